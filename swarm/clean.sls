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
this node has left the cluster:
  swarm_builtin.left:
    - lose_cluster: {{ word.get("lose_cluster", False) | json }}
    - alone: {{ word.get("alone", False) | json }}
    - require:
      - swarm_settings: swarm pillar is valid
{%- endif %}

Docker clients use the engine:
  swarm_client.removed:
    - require:
      - {{ "swarm_builtin: this node has left the cluster" if mode == "builtin"
           else "swarm_settings: swarm pillar is valid" }}

{%- if mode != "builtin" %}

service containers are removed:
  swarm_service.removed:
    - require:
      - swarm_client: Docker clients use the engine

agent and manager are removed:
  swarm_classic.removed:
    - require:
      - swarm_service: service containers are removed

this node is deregistered:
  swarm_consul.deregistered:
    - require:
      - swarm_classic: agent and manager are removed
{%- endif %}

swarm registry is removed:
  swarm_registry.absent:
    - require:
      - {{ "swarm_client: Docker clients use the engine" if mode == "builtin"
           else "swarm_consul: this node is deregistered" }}

swarm networks are removed:
  swarm_network.unmanaged:
    - require:
      - swarm_registry: swarm registry is removed

overlay service is removed:
  swarm_overlay.removed:
    - require:
      - swarm_network: swarm networks are removed

engine configuration is restored:
  swarm_engine.cleaned:
    - require:
      - swarm_overlay: overlay service is removed

Consul is removed:
  swarm_consul.removed:
    - require:
      - swarm_engine: engine configuration is restored

firewall rules are removed:
  swarm_firewall.removed:
    - require:
      - swarm_consul: Consul is removed

engine is removed:
  swarm_engine.removed:
    - require:
      - swarm_firewall: firewall rules are removed

engine repository is removed:
  swarm_repository.removed:
    - require:
      - swarm_engine: engine is removed

registry logins are removed:
  swarm_registry.logged_out:
    - require:
      - swarm_repository: engine repository is removed

client libraries are removed:
  swarm_libraries.removed:
    - require:
      - swarm_registry: registry logins are removed

certificates are removed:
  swarm_tls.removed:
    - require:
      - swarm_libraries: client libraries are removed

CA copy is removed:
  swarm_ca_copy.absent:
    - require:
      - swarm_tls: certificates are removed

CA is removed:
  swarm_ca.absent:
    - require:
      - swarm_ca_copy: CA copy is removed
