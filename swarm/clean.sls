{#- Takes away everything the formula brought, in the reverse order. An admin's own keys in
    daemon.json and own containers stay, and with such a container the engine. #}
{%- from "swarm/mode.jinja" import mode with context %}
include:
  - swarm.settings

extend:
  swarm pillar is valid:
    swarm_settings:
      - leaving: True

{%- if mode == "builtin" %}

{%- set word = pillar.get("swarm_clean", {}) %}

# First: it is refused where the cluster would take something of its users with it.
this node is out of the cluster:
  swarm_builtin.left:
    - lose_cluster: {{ word.get("lose_cluster", False) | json }}
    - alone: {{ word.get("alone", False) | json }}
    - require:
      - swarm_settings: swarm pillar is valid
{%- endif %}

docker clients use the engine:
  swarm_client.removed:
    - require:
      - {{ "swarm_builtin: this node is out of the cluster" if mode == "builtin"
           else "swarm_settings: swarm pillar is valid" }}

{%- if mode != "builtin" %}

containers of services are removed:
  swarm_service.removed:
    - require:
      - swarm_client: docker clients use the engine

agent and manager are removed:
  swarm_classic.removed:
    - require:
      - swarm_service: containers of services are removed

this node is out of the store:
  swarm_consul.deregistered:
    - require:
      - swarm_classic: agent and manager are removed
{%- endif %}

registry of pillar is removed:
  swarm_registry.absent:
    - require:
      - {{ "swarm_client: docker clients use the engine" if mode == "builtin"
           else "swarm_consul: this node is out of the store" }}

networks of pillar are removed:
  swarm_network.unmanaged:
    - require:
      - swarm_registry: registry of pillar is removed

service for overlay networks is removed:
  swarm_overlay.removed:
    - require:
      - swarm_network: networks of pillar are removed

engine is as it was:
  swarm_engine.cleaned:
    - require:
      - swarm_overlay: service for overlay networks is removed

consul is removed:
  swarm_consul.removed:
    - require:
      - swarm_engine: engine is as it was

ports of the swarm are nobody's:
  swarm_firewall.removed:
    - require:
      - swarm_consul: consul is removed

engine is removed:
  swarm_engine.removed:
    - require:
      - swarm_firewall: ports of the swarm are nobody's

repository of the engine is removed:
  swarm_repository.removed:
    - require:
      - swarm_engine: engine is removed

registries are forgotten:
  swarm_registry.logged_out:
    - require:
      - swarm_repository: repository of the engine is removed

client libraries are removed:
  swarm_libraries.removed:
    - require:
      - swarm_registry: registries are forgotten

certificates are removed:
  swarm_tls.removed:
    - require:
      - swarm_libraries: client libraries are removed

copy of the CA is removed:
  swarm_ca_copy.absent:
    - require:
      - swarm_tls: certificates are removed

CA is removed:
  swarm_ca.absent:
    - require:
      - swarm_ca_copy: copy of the CA is removed
