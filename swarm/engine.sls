{#- Installs the Docker Engine; options, labels and the TCP port of it. #}
include:
  - swarm.modules
  - swarm.settings

engine is installed:
  swarm_engine.installed:
    - require:
      - swarm_settings: swarm pillar is valid
      - swarm_libraries: client libraries are installed

engine is configured:
  swarm_engine.configured:
    - require:
      - swarm_engine: engine is installed
