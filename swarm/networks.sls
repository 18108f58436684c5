{#- Creates the networks that pillar names. #}
include:
  - swarm.classic

networks of pillar are present:
  swarm_network.managed:
    - require:
      - swarm_classic: this node is healthy
