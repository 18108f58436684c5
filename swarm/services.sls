{#- Secrets, configs, services and stacks that pillar names. The leader sees to them. In classic
    mode, there are only services, and the host of the primary manager sees to them. #}
{%- from "swarm/mode.jinja" import mode, files, images, registry, stacks with context %}
include:
  - swarm.networks
{%- if registry %}
  - swarm.registry
{%- endif %}
{%- if files %}
  - swarm.files
{%- endif %}
{%- if images %}
  - swarm.images
{%- endif %}
{%- if mode == "builtin" %}

secrets of pillar are present:
  swarm_secret.managed:
    - require:
      - swarm_network: networks of pillar are present

configs of pillar are present:
  swarm_config.managed:
    - require:
      - swarm_network: networks of pillar are present
{%- endif %}

services of pillar run:
  swarm_service.managed:
    - require:
{%- if mode == "builtin" %}
      - swarm_secret: secrets of pillar are present
      - swarm_config: configs of pillar are present
{%-   if images %}
      - swarm_image: images of services are present
{%-   endif %}
{%- else %}
      - swarm_network: networks of pillar are present
{%- endif %}
{%- if registry %}
      - swarm_registry: registry of pillar runs
{%- endif %}
{%- if files %}
      - swarm_file: files of services are present
{%- endif %}
{%- if stacks %}

stacks of pillar run:
  swarm_stack.managed:
    - require:
      - swarm_service: services of pillar run
{%- endif %}
