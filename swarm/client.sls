{#- Points docker and docker-compose of a node's users at the swarm. #}
include:
  - swarm.tls

docker clients use the swarm:
  swarm_client.configured:
    - require:
      - swarm_tls: this node has its certificate
