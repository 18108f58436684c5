#!yaml
# The swarm's CA, on the minion that pillar names for it. All of `swarm` has it; a minion that is
# the CA and nothing else applies this alone.
include:
  - swarm.settings

CA is present:
  swarm_ca.present:
    - require:
      - swarm_settings: swarm pillar is valid
