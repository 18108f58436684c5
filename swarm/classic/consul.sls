{#- Runs Consul, server or client, waits for its leader, and has it keep others out. #}
include:
  - swarm.registries

consul is running:
  swarm_consul.running:
    - require:
      - swarm_registry: registries are known

consul has a leader:
  swarm_consul.ready:
    - require:
      - swarm_consul: consul is running

consul is for the swarm:
  swarm_consul.guarded:
    - require:
      - swarm_consul: consul has a leader
