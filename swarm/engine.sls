#!yaml
# Installs the Docker Engine, from its repository if pillar has one; options, labels and the TCP port of it, once that is guarded.
include:
  - swarm.libraries
  - swarm.tls
  - swarm.firewall

# Both are pulled forward by the state that requires them: packages come before the certificate,
# for which a new host may have to wait.
engine repository is present:
  swarm_repository.managed:
    - require:
      - swarm_settings: swarm pillar is valid
    - require_in:
      - swarm_firewall: firewall rules are applied

engine is installed:
  swarm_engine.installed:
    - require:
      - swarm_libraries: client libraries are installed
      - swarm_repository: engine repository is present
    - require_in:
      - swarm_firewall: firewall rules are applied

engine is configured:
  swarm_engine.configured:
    - require:
      - swarm_engine: engine is installed
      - swarm_tls: node certificate is present
      - swarm_firewall: firewall rules are applied
