{#- Everything: from a bare machine to a healthy node of the swarm. #}
{%- from "swarm/mode.jinja" import mode, volumes, workloads with context %}
include:
  - swarm.settings
  - swarm.firewall
  - swarm.engine
  - swarm.{{ mode }}
  - swarm.networks
{%- if volumes %}
  - swarm.volumes
{%- endif %}
{%- if workloads %}
  - swarm.services
{%- endif %}
  - swarm.client
  - swarm.tidy
