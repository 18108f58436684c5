#!yaml
# Installs the libraries that the modules stand on into Salt's own Python.
include:
  - swarm.settings

client libraries are installed:
  swarm_libraries.installed:
    - require:
      - swarm_settings: swarm pillar is valid
