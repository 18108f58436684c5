{#- Runs Consul, server or client, and waits for its leader. #}
include:
  - swarm.engine

consul is running:
  swarm_consul.running:
    - require:
      - swarm_engine: engine is configured

consul has a leader:
  swarm_consul.ready:
    - require:
      - swarm_consul: consul is running
