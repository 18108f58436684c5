{#- All states include this file: it refuses what none of them can do. #}
{%- if "_ssh_version" in opts %}
{{ raise("swarm-formula needs a salt-minion on each host: with salt-ssh there is no mine and no peer"
         " communication, by which the hosts find one another. Nothing was changed") }}
{%- endif %}
{#- Brings the formula's modules to a minion that does not have exactly these, by one file instead of
    a sync, which makes three requests for each module. This is done while the file is rendered, not
    by a state: the states that follow have to be known in test mode as well. The file of the module
    is looked for first: a lookup of a module that is not there makes Salt load all others. #}
{%- import_json "swarm/manifest.json" as manifest %}
{%- set extmods = opts["extension_modules"] %}
{%- set there = salt["file.file_exists"](extmods ~ "/modules/swarm_modules.py") %}
{%- if there and not salt["swarm_modules.stale"](manifest) %}
{}
{%- else %}
{#- Compressed on its way, to a fourth of its size. #}
{%-   set archive = salt["cp.get_file"]("salt://swarm/modules.json", "", saltenv, gzip=5) %}
{%-   set modules = salt["file.read"](archive) | load_json %}
{%-   set folders = [] %}
{%-   for name, lines in modules.items() %}
{%-     set path = extmods ~ "/" ~ name[1:] %}
{%-     set folder = path.rpartition("/")[0] %}
{%-     if folder not in folders %}
{%-       do folders.append(folder) %}
{%-       do salt["file.mkdir"](folder) %}
{%-     endif %}
{%-     do salt["file.write"](path, args=lines) %}
{%-   endfor %}
{%-   from "swarm/former.jinja" import former with context %}
{%-   for path in former(extmods) | load_json %}
{%-     do salt["file.remove"](path) %}
{%-   endfor %}
{%-   if "test" in (opts.get("whitelist_state_modules") or ["test"]) %}
{#- Salt finds the new modules without loading all others. #}
swarm modules are loaded:
  test.nop:
    - order: 1
    - force_reload_modules: true
{%-   else %}
{}
{%-   endif %}
{%- endif %}
