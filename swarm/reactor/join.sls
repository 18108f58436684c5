{#- For small fleets, in place of the engine: one `state.apply` for each minion that starts. Nothing
    of the event counts but an ID that looks like one and is that of the tag: events can be forged. #}
{%- set id = data.get("id") %}
{%- if id is string and tag == "salt/minion/" ~ id ~ "/start"
       and id | regex_match("([A-Za-z0-9][A-Za-z0-9._-]{0,252})\\Z") %}
minion joins the swarm:
  local.state.apply:
    - tgt:
      - {{ id | json }}
    - tgt_type: list
    - args:
      - mods: swarm.join
      - queue: true
{%- endif %}
