{#- Swarm mode of the engine: this node in the cluster, the cluster's own settings, and what pillar
    says of its nodes, which the leader sees to. #}
include:
  - swarm.registries

this node is in the cluster:
  swarm_builtin.member:
    - require:
      - swarm_registry: registries are known

cluster has its settings:
  swarm_builtin.cluster:
    - require:
      - swarm_builtin: this node is in the cluster

nodes are as pillar says:
  swarm_builtin.nodes:
    - require:
      - swarm_builtin: cluster has its settings

this node is healthy:
  swarm_builtin.ready:
    - require:
      - swarm_builtin: nodes are as pillar says
