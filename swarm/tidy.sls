{#- Takes away what was replaced, once all is well: until then it is what there is to go back to. #}
{%- from "swarm/mode.jinja" import mode with context %}
include:
  - swarm.{{ mode }}
  - swarm.registry

old certificates are removed:
  swarm_tls.tidied:
    - require:
      - swarm_{{ mode }}: this node is healthy
      - swarm_registry: swarm registry is running
