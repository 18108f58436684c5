#!yaml
# Runs a manager where pillar names this minion as one, and waits until one is primary.
include:
  - swarm.classic.consul

manager is running:
  swarm_classic.manager:
    - require:
      - swarm_consul: Consul ACLs are enforced
