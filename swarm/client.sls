#!yaml
# Points docker and docker-compose of a node's users at the swarm.
include:
  - swarm.tls

Docker clients use the swarm:
  swarm_client.configured:
    - require:
      - swarm_tls: node certificate is present
