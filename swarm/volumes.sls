{#- Creates the volumes that pillar names for this node. #}
{%- from "swarm/mode.jinja" import mode with context %}
include:
  - swarm.{{ mode }}

swarm volumes are present:
  swarm_volume.managed:
    - require:
      - swarm_{{ mode }}: this node is healthy
