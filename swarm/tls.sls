{#- The certificate of this node. #}
include:
  - swarm.ca

this node has its certificate:
  swarm_tls.certified:
    - require:
      - swarm_ca: swarm has its CA

this manager has a copy of the CA:
  swarm_ca_copy.present:
    - require:
      - swarm_tls: this node has its certificate
