#!yaml
# Logins to private registries and their CAs, before anything is pulled from there.
include:
  - swarm.engine

registry logins are present:
  swarm_registry.logged_in:
    - require:
      - swarm_engine: engine is configured
