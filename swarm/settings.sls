#!yaml
# Checks the whole pillar before anything is touched. Everything else requires it.
include:
  - swarm.modules

swarm pillar is valid:
  swarm_settings.valid: []
