{#- Runs the swarm's registry on the node that pillar names for it, and on no other. #}
include:
  - swarm.registries

registry of pillar runs:
  swarm_registry.running:
    - require:
      - swarm_registry: registries are known
