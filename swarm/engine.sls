{#- Installs the Docker Engine, from its repository if pillar has one; options, labels and the TCP port of it, once that is guarded. #}
include:
  - swarm.libraries
  - swarm.tls
  - swarm.firewall

{#- Both are pulled forward by the state that requires them: packages come before the certificate,
    for which a new host may have to wait. #}
repository of the engine is known:
  swarm_repository.managed:
    - require:
      - swarm_settings: swarm pillar is valid
    - require_in:
      - swarm_firewall: ports of the swarm are guarded

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
