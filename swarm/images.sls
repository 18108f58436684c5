{#- Pulls or loads the images of services with `prepull` or `image_source` on nodes that may run them.
    Applied to all nodes before `swarm.services`, tasks start without a pull. #}
{%- from "swarm/mode.jinja" import mode, registry with context %}
include:
  - swarm.{{ mode }}
{%- if registry %}
  - swarm.registry
{%- endif %}

swarm images are present:
  swarm_image.prepulled:
    - require:
      - swarm_{{ mode }}: this node is healthy
{%- if registry %}
      - swarm_registry: swarm registry is running
{%- endif %}
