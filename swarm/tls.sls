#!yaml
# The certificate of this node.
include:
  - swarm.ca

node certificate is present:
  swarm_tls.certified:
    - require:
      - swarm_ca: CA is present

CA copy is present:
  swarm_ca_copy.present:
    - require:
      - swarm_tls: node certificate is present
