{#- Installs the Docker Engine, from its repository if pillar has one; options, labels and the TCP port of it, once that is guarded. #}
include:
  - swarm.libraries
  - swarm.tls
  - swarm.firewall

repository of the engine is known:
  swarm_repository.managed:
    - require:
      - swarm_settings: swarm pillar is valid

{#- Salt orders by the length of these chains: the packages come before the certificate, for which
    a new host may have to wait. #}
engine is installed:
  swarm_engine.installed:
    - require:
      - swarm_libraries: client libraries are installed
      - swarm_repository: repository of the engine is known
    - require_in:
      - swarm_firewall: ports of the swarm are guarded

engine is configured:
  swarm_engine.configured:
    - require:
      - swarm_engine: engine is installed
      - swarm_tls: this node has its certificate
      - swarm_firewall: ports of the swarm are guarded
