#!yaml
# Classic mode: Consul, overlay networks through it, manager and agent.
include:
  - swarm.classic.consul
  - swarm.classic.overlay
  - swarm.classic.manager
  - swarm.classic.agent
