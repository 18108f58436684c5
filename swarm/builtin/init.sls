#!yaml
# Swarm mode of the engine: this node in the cluster, the cluster's own settings, and what pillar
# says of its nodes, which the leader sees to.
include:
  - swarm.registries

this node has joined the cluster:
  swarm_builtin.member:
    - require:
      - swarm_registry: registry logins are present

cluster is configured:
  swarm_builtin.cluster:
    - require:
      - swarm_builtin: this node has joined the cluster

nodes are configured:
  swarm_builtin.nodes:
    - require:
      - swarm_builtin: cluster is configured

this node is healthy:
  swarm_builtin.ready:
    - require:
      - swarm_builtin: nodes are configured
