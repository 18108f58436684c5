{#- Secrets, configs, services and stacks that pillar names, in builtin mode. The leader sees to
    them. #}
{%- from "swarm/mode.jinja" import stacks with context %}
include:
  - swarm.networks

secrets of pillar are present:
  swarm_secret.managed:
    - require:
      - swarm_network: networks of pillar are present

configs of pillar are present:
  swarm_config.managed:
    - require:
      - swarm_network: networks of pillar are present

services of pillar run:
  swarm_service.managed:
    - require:
      - swarm_secret: secrets of pillar are present
      - swarm_config: configs of pillar are present
{%- if stacks %}

stacks of pillar run:
  swarm_stack.managed:
    - require:
      - swarm_service: services of pillar run
{%- endif %}
