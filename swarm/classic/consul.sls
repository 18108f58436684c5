#!yaml
# Runs Consul, server or client, waits for its leader, and has it keep others out.
include:
  - swarm.registries

Consul is running:
  swarm_consul.running:
    - require:
      - swarm_registry: registry logins are present

Consul has a leader:
  swarm_consul.ready:
    - require:
      - swarm_consul: Consul is running

Consul ACLs are enforced:
  swarm_consul.guarded:
    - require:
      - swarm_consul: Consul has a leader
