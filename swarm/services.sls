{#- Secrets, configs and services that pillar names, in builtin mode. The leader sees to them. #}
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
