{#- Runs Consul, server or client, and waits for its leader. #}
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
