{#- Points docker and docker-compose of a node's users at the swarm. #}
include:
  - swarm.settings

docker clients use the swarm:
  swarm_client.configured:
    - require:
      - swarm_settings: swarm pillar is valid
