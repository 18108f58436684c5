{#- Everything: from a bare machine to a healthy node of the swarm. #}
{%- from "swarm/mode.jinja" import mode with context %}
include:
  - swarm.settings
  - swarm.firewall
  - swarm.engine
  - swarm.{{ mode }}
  - swarm.networks
  - swarm.client
  - swarm.tidy
