#!yaml
# Who may reach the swarm's ports on this host, if pillar wants a firewall; else there is none.
# Within `swarm` it comes after the engine's package, which brings iptables to a host that has
# no nft, and before the engine listens.
include:
  - swarm.settings

firewall rules are applied:
  swarm_firewall.applied:
    - require:
      - swarm_settings: swarm pillar is valid
