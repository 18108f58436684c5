{#- Checks the whole pillar before anything is touched. Everything else requires it. #}
include:
  - swarm.modules

swarm pillar is valid:
  swarm_settings.valid:
    - require_in:
      - swarm_libraries: client libraries are installed
