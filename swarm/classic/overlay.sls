#!yaml
# Gives the engine overlay networks, by SIGHUP, now that the store answers.
include:
  - swarm.classic.consul

overlay networks are enabled:
  swarm_engine.overlay:
    - require:
      - swarm_consul: Consul ACLs are enforced

overlay service is configured:
  swarm_overlay.applied:
    - require:
      - swarm_engine: overlay networks are enabled
