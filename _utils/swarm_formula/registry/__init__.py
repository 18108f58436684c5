"""The swarm's own registry: its container, its users, and who trusts it."""
