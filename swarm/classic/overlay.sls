{#- Gives the engine overlay networks, by SIGHUP, now that the store answers. #}
include:
  - swarm.classic.consul

engine has overlay networks:
  swarm_engine.overlay:
    - require:
      - swarm_consul: consul is for the swarm

overlay networks reach other hosts:
  swarm_overlay.applied:
    - require:
      - swarm_engine: engine has overlay networks
