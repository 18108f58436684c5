"""
Manage the firewall rules for the swarm's own ports on this host.
"""

from pathlib import Path

from salt.exceptions import CommandExecutionError

from swarm_formula.core import errors, host_files
from swarm_formula.firewall import netfilter
from swarm_formula.firewall import rules as firewall_rules

__virtualname__ = "swarm_firewall"

_UNITS = Path("/etc/systemd/system")
_IPV6 = Path("/proc/net/if_inet6")
_TOOLS = ("nft", "iptables", "ip6tables")


def __virtual__():
    return __virtualname__


def _run(command, stdin=None):
    done = __salt__["cmd.run_all"](command, stdin=stdin, python_shell=False, ignore_retcode=True)
    if done["retcode"]:
        said = done["stderr"] or done["stdout"] or f"exit code {done['retcode']}"
        raise errors.SwarmError(f"'{' '.join(command)}' failed on {__opts__['id']}: {said}")
    return done["stdout"]


def _tables():
    tools = {name: __salt__["cmd.which"](name) for name in _TOOLS}
    return netfilter.tables(tools, _IPV6.exists())


def _live(table):
    return table.own(_run(table.show))


def _unit():
    return _UNITS / netfilter.UNIT


def _file(name):
    return host_files.CONFIG / name


def _no_tool():
    return errors.SwarmError(
        f"swarm:firewall:enabled: neither nft nor iptables is on {__opts__['id']}: install the"
        " package nftables there"
    )


def status():
    """
    Return the swarm's rules in the kernel, by table; an empty result means no firewall.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_firewall.status
    """
    used, others = _tables()
    found = {table.name: _live(table) for table in (*used, *others)}
    return {name: lines for name, lines in found.items() if lines}


def apply(test=False):
    """
    Ensure the swarm's firewall on this host matches the pillar, now and after a reboot.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_firewall.apply test=True
    """
    settings = __salt__["swarm_settings.get"]()
    if not settings["firewall"]["enabled"]:
        return remove(test)
    used, others = _tables()
    if not used and not test:
        raise _no_tool()
    rules = firewall_rules.rules(settings)
    texts = _texts(used, rules, settings["engine"]["service"])
    kernel = {
        table.name: change
        for table in used
        if (change := netfilter.differ(_live(table), table.lines(rules)))
    }
    # The file shows that an earlier run used this table, when nft was not installed yet.
    left = [(table, _live(table)) for table in others if _file(table.file).exists()]
    changes = {**_differing(texts), **kernel, **_gone(left), **_disabled()}
    if changes and not test:
        _write({path: text for path, text in texts.items() if text})
        _start()
        _undo(left)
        # Remove obsolete files last: an interrupted run finds their tables only by these files.
        _write(texts)
    return changes


def remove(test=False):
    """
    Remove the swarm's firewall from this host; return what changed.

    Nothing is run on a host without the files of the firewall.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_firewall.remove test=True
    """
    files = _differing(_texts([], None, None))
    if not files:
        return {}
    used, others = _tables()
    left = [(table, _live(table)) for table in (*used, *others)]
    changes = {**files, **_gone(left)}
    if not test:
        _undo(left)
        if _unit().exists():
            __salt__["service.stop"](netfilter.UNIT)
            __salt__["service.disable"](netfilter.UNIT)
        _write(_texts([], None, None))
        __salt__["service.systemctl_reload"]()
        host_files.drop_empty(host_files.CONFIG)
    return changes


def _texts(tables, rules, service):
    """Return ``{path: text}`` of all our files; ``None`` for the files of unused tables."""
    texts = {_file(name): None for name in netfilter.FILES} | {_unit(): None}
    commands = []
    for table in tables:
        texts[_file(table.file)] = table.text(table.lines(rules))
        commands += table.start(_file(table.file))
    return {**texts, _unit(): netfilter.unit(commands, service)} if service else texts


def _differing(texts):
    current = {path: host_files.read(path) for path in texts}
    return {
        str(path): {"old": current[path], "new": text}
        for path, text in texts.items()
        if current[path] != text
    }


def _gone(left):
    return {table.name: {"old": lines, "new": None} for table, lines in left if lines}


def _disabled():
    if __salt__["service.enabled"](netfilter.UNIT):
        return {}
    return {netfilter.UNIT: {"old": "disabled", "new": "enabled"}}


def _write(texts):
    for path, text in texts.items():
        if host_files.read(path) != text:
            host_files.write(path, text)


def _start():
    """Load the rules through the unit, so that an error at boot would already occur now."""
    name = netfilter.UNIT
    try:
        __salt__["service.systemctl_reload"]()
        if not __salt__["service.enabled"](name):
            __salt__["service.enable"](name)
        __salt__["service.restart"](name)
    except CommandExecutionError as err:
        journal = ["journalctl", "--no-pager", "--output=cat", "--lines=5", f"--unit={name}"]
        words = __salt__["cmd.run_stdout"](journal, python_shell=False, ignore_retcode=True)
        raise errors.SwarmError(
            f"the firewall of {__opts__['id']} could not be loaded: {words or err}"
        ) from err


def _undo(left):
    for table, lines in left:
        if lines:
            _run(table.load, stdin=table.undo(lines))
