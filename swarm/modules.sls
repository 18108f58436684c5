{#- Brings this formula's modules to the minion. That is done while this file is rendered, not by a
    state: the states that follow have to be known in test mode as well, and on a minion that
    never had them. It costs little when nothing is new. #}
{%- for kind in ("utils", "modules", "states") %}
{%- do salt["saltutil.sync_" ~ kind](refresh=False) %}
{%- endfor %}
{}
