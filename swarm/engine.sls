{#- Installs the Docker Engine; options, labels and the TCP port of it, once that is guarded. #}
include:
  - swarm.libraries
  - swarm.tls
  - swarm.firewall

engine is installed:
  swarm_engine.installed:
    - require:
      - swarm_libraries: client libraries are installed
    - require_in:
      - swarm_firewall: ports of the swarm are guarded

engine is configured:
  swarm_engine.configured:
    - require:
      - swarm_engine: engine is installed
      - swarm_tls: this node has its certificate
      - swarm_firewall: ports of the swarm are guarded
