{#- The certificate of this node. #}
include:
  - swarm.ca

this node has its certificate:
  swarm_tls.certified:
    - require:
      - swarm_ca: swarm has its CA
