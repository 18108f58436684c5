#!yaml
# Runs the agent that registers this node, and waits until a manager calls it healthy.
include:
  - swarm.classic.consul
  - swarm.classic.overlay
  - swarm.classic.manager

agent is running:
  swarm_classic.agent:
    - require:
      - swarm_engine: overlay networks are enabled
      - swarm_classic: manager is running

this node is healthy:
  swarm_classic.healthy:
    - require:
      - swarm_classic: agent is running
