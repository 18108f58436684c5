#!yaml
# Runs the swarm's registry on the node that pillar names for it, and on no other.
include:
  - swarm.registries

swarm registry is running:
  swarm_registry.running:
    - require:
      - swarm_registry: registry logins are present
