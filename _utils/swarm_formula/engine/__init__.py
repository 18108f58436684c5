"""Changes of the engine on one host: check, plan, drain, restart in turn, roll back."""
