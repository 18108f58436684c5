{#- The automatic way in, for the engine, the reactor and the schedule: a minion that pillar makes no
    member is left as it is. By hand, apply `swarm`: that tells what is missing. A node that its own
    pillar does not name goes on, with a warning: its certificate has to be renewed. #}
{%- from "swarm/mode.jinja" import mode with context %}
{%- from "swarm/member.jinja" import named with context %}
{%- set swarm = pillar.get("swarm") or {} %}
{%- set known = named or salt["file.file_exists"]("/var/lib/swarm-formula/record.json") %}
{%- if swarm.get("managers") and known and swarm.get("autojoin", {}).get("enabled", true) %}
include:
  - swarm

this node is a member of the swarm:
  swarm_node.joined:
    - require:
      - swarm_{{ mode }}: this node is healthy
{%- elif swarm.get("managers") and not known %}
this minion is not a member because its pillar does not list it (swarm:nodes):
  test.nop: []
{%- else %}
this minion is not a member:
  test.nop: []
{%- endif %}
