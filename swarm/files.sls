#!yaml
# Writes the files that pillar names for containers on this node.
include:
  - swarm.settings

swarm files are present:
  swarm_file.managed:
    - require:
      - swarm_settings: swarm pillar is valid
