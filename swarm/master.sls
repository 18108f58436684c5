{#- For the master: the engine that joins new minions, the runner `swarm`, and their configuration.
    Apply it to the master's own minion, or without one: salt-run state.orchestrate swarm.master.
    The master restarts only for the engine or its settings. #}
{%- set master = pillar.get("swarm_master", {}) %}
{%- set service = master.get("service", "salt-master") %}
{%- set extmods = master.get("extension_modules", "/var/cache/salt/master/extmods") %}
{%- set config = master.get("config", "/etc/salt/master.d/swarm.conf") %}
{%- set there = salt["file.read"](config) if salt["file.file_exists"](config) else "" %}
{%- set others = (there | load_yaml or {}).keys() | reject("in", ["engines", "peer", "preserve_minion_cache"]) | list %}
{#- Who may ask: a regular expression, or IDs and globs of minions. By default all minions, each of
    which the functions check by the pillar: neither the pillar of the master's own minion, which may
    have no swarm or one of several, nor `autojoin:targets`, which may leave out members that join by
    hand, tells all members. Without the right, a member gets no certificate and no turn. #}
{%- set members = master.get("members") or ".*" %}
{%- if members is not string %}
{%-   for one in members if "[" in one %}
{{ raise("swarm_master:members: " ~ one ~ ": a glob may have * and ? only. Nothing was changed") }}
{%-   endfor %}
{%-   set members = members | map("regex_escape") | join("|") | replace("\\*", ".*") | replace("\\?", ".") %}
{%- endif %}
{%- if others %}
{{ raise(config ~ " has settings that are not those of this state, which would remove them: "
         ~ others | join(", ") ~ ". Move them to another file of that folder, and apply again. Nothing was changed") }}
{%- endif %}
swarm_autojoin engine is installed:
  file.managed:
    - name: {{ extmods }}/engines/swarm_autojoin.py
    - source: salt://_engines/swarm_autojoin.py
    - makedirs: true

swarm runner is installed:
  file.managed:
    - name: {{ extmods }}/runners/swarm.py
    - source: salt://_runners/swarm.py
    - makedirs: true

swarm runner library is installed:
  file.recurse:
    - name: {{ extmods }}/utils
    - source: salt://_utils
    - include_pat: swarm_*.py
{%- from "swarm/former.jinja" import former with context %}
{%- set gone = former(extmods) | load_json %}
{%- if gone %}

# One state, not one for each file.
old library files are removed:
  cmd.run:
    - name: xargs -d '\n' rm -rf --
    - stdin: {{ gone | join("\n") | json }}
{%- endif %}

swarm_autojoin engine is configured:
  file.serialize:
    - name: {{ config }}
    - serializer: yaml
    - makedirs: true
    - dataset:
        engines:
          - swarm_autojoin: {{ dict({"targets": "*"}, **master.get("autojoin", {})) | json }}
        # A node may ask the CA for a certificate, which says what the CA's pillar says of that node; in
        # classic mode have the managers tell whether a worker is healthy; and in builtin mode have them
        # look what pillar says of the nodes, tell whether they list a node, and which they count, and
        # say whose turn it is to restart its engine. Salt adds to this what other files have under
        # `peer`.
        peer:
          {{ ("(?:" ~ members ~ ")$") | json }}:
            - ^swarm_ca\.sign$
            - ^swarm_ca_copy\.give$
            - ^swarm_classic\.lists$
            - ^swarm_leader\.settle$
            - ^swarm_leader\.lists$
            - ^swarm_leader\.list_nodes$
            - ^swarm_turn\.request$
        # What managers have told of their cluster must not go with their keys: whoever is installed
        # anew would make a second one. Salt 3006 would delete it, 3008 keeps it in any case.
        preserve_minion_cache: true
    - require:
      - file: swarm_autojoin engine is installed

{%- if opts.get("__cli") == "salt-call" %}

master service is running:
  service.running:
    - name: {{ service }}
    - watch:
      - file: swarm_autojoin engine is installed
      - file: swarm_autojoin engine is configured
{%- else %}

# This run returns by way of the master: a restart within the run would lose the return.
master service is restarted after this run:
  cmd.run:
    - name: systemd-run --collect --on-active=3 systemctl restart {{ service }}
    - onchanges:
      - file: swarm_autojoin engine is installed
      - file: swarm_autojoin engine is configured
{%- endif %}
