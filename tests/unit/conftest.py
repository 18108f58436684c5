import os

from hypothesis import HealthCheck, settings

# How fast a machine is must never decide, nor must chance: the same examples in every run.
# HYPOTHESIS_PROFILE=search looks for new ones.
calm = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
settings.register_profile("unit", max_examples=100, derandomize=True, **calm)
settings.register_profile("search", max_examples=3000, **calm)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "unit"))
