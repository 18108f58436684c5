{#- All states include this file: it refuses what none of them can do. #}
{%- if "_ssh_version" in opts %}
{{ raise("swarm-formula needs a salt-minion on each host: with salt-ssh there is no mine and no peer"
         " communication, by which the hosts find one another. Nothing was changed") }}
{%- endif %}
{#- Brings this formula's modules to the minion, if it has not these very ones. That is done while
    this file is rendered, not by a state: the states that follow have to be known in test mode as
    well, and on a minion that never had them. Their file is looked for first: who asks Salt for a
    module that is not there yet, has it remembered as missing. #}
{%- import_json "swarm/manifest.json" as manifest %}
{%- set ours = opts["extension_modules"] ~ "/modules/swarm_modules.py" %}
{%- if not salt["file.file_exists"](ours) or salt["swarm_modules.stale"](manifest) %}
{%-   for kind in ("utils", "modules", "states") %}
{%-     do salt["saltutil.sync_" ~ kind](saltenv=saltenv, refresh=False) %}
{%-   endfor %}
{%- endif %}
{}
