{#- Creates the networks that pillar names. #}
{%- from "swarm/mode.jinja" import mode with context %}
include:
  - swarm.{{ mode }}

swarm networks are present:
  swarm_network.managed:
    - require:
      - swarm_{{ mode }}: this node is healthy
