{#- Secrets, configs, services and stacks that pillar names. The leader sees to them. In classic
    mode, there are only services and stacks, and the host of the primary manager sees to them. #}
{%- from "swarm/mode.jinja" import mode, files, images, registry, stacks, volumes with context %}
include:
  - swarm.networks
{%- if registry %}
  - swarm.registry
{%- endif %}
{%- if files %}
  - swarm.files
{%- endif %}
{%- if volumes %}
  - swarm.volumes
{%- endif %}
{%- if images %}
  - swarm.images
{%- endif %}
{%- if mode == "builtin" %}

swarm secrets are present:
  swarm_secret.managed:
    - require:
      - swarm_network: swarm networks are present

swarm configs are present:
  swarm_config.managed:
    - require:
      - swarm_network: swarm networks are present
{%- endif %}

swarm services are deployed:
  swarm_service.managed:
    - require:
{%- if mode == "builtin" %}
      - swarm_secret: swarm secrets are present
      - swarm_config: swarm configs are present
{%-   if images %}
      - swarm_image: swarm images are present
{%-   endif %}
{%- else %}
      - swarm_network: swarm networks are present
{%- endif %}
{%- if registry %}
      - swarm_registry: swarm registry is running
{%- endif %}
{%- if files %}
      - swarm_file: swarm files are present
{%- endif %}
{%- if volumes %}
      - swarm_volume: swarm volumes are present
{%- endif %}
{%- if stacks %}

swarm stacks are deployed:
  swarm_stack.managed:
    - require:
      - swarm_service: swarm services are deployed
{%- endif %}
