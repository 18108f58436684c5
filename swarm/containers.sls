{#- Runs the containers that pillar names for this node, beside the swarm. #}
{%- from "swarm/mode.jinja" import mode, files, volumes with context %}
include:
  - swarm.networks
{%- if files %}
  - swarm.files
{%- endif %}
{%- if volumes %}
  - swarm.volumes
{%- endif %}

containers of pillar run:
  swarm_container.managed:
    - require:
      - swarm_network: networks of pillar are present
{%- if files %}
      - swarm_file: files of services are present
{%- endif %}
{%- if volumes %}
      - swarm_volume: volumes of pillar are present
{%- endif %}
