{#- Everything: from a bare machine to a healthy node of the swarm. #}
include:
  - swarm.settings
  - swarm.engine
  - swarm.classic
  - swarm.networks
  - swarm.client
