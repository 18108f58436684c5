{#- Everything: from a bare machine to a healthy node of the swarm. A minion that is the CA and no
    node becomes the CA, and nothing more. #}
{%- from "swarm/mode.jinja" import mode, containers, files, volumes, workloads with context %}
{%- from "swarm/member.jinja" import only_ca with context %}
include:
{%- if only_ca %}
  - swarm.ca
{%- else %}
  - swarm.settings
  - swarm.firewall
  - swarm.engine
  - swarm.registry
  - swarm.{{ mode }}
  - swarm.networks
{%-   if files %}
  - swarm.files
{%-   endif %}
{%-   if volumes %}
  - swarm.volumes
{%-   endif %}
{%-   if containers %}
  - swarm.containers
{%-   endif %}
{%-   if workloads %}
  - swarm.services
{%-   endif %}
  - swarm.client
  - swarm.tidy
{%- endif %}
