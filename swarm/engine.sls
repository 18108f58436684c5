{#- Installs the Docker Engine; options, labels and the TCP port of it. #}
include:
  - swarm.libraries
  - swarm.tls

engine is installed:
  swarm_engine.installed:
    - require:
      - swarm_libraries: client libraries are installed

engine is configured:
  swarm_engine.configured:
    - require:
      - swarm_engine: engine is installed
      - swarm_tls: this node has its certificate
