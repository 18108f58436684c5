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

standalone containers are running:
  swarm_container.managed:
    - require:
      - swarm_network: swarm networks are present
{%- if files %}
      - swarm_file: swarm files are present
{%- endif %}
{%- if volumes %}
      - swarm_volume: swarm volumes are present
{%- endif %}
