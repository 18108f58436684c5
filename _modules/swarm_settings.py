"""
Validate the pillar ``swarm``, and complete it with defaults and derived values.
"""

import json

import salt.pillar

from swarm_formula.core import errors, member_rules, normalize
from swarm_formula.daemon import file_plan, holdings
from swarm_formula.salt import current_pillar
from swarm_formula.settings import parse, relations, topology
from swarm_formula.settings import warnings as settings_warnings
from swarm_formula.tls import cert_files

__virtualname__ = "swarm_settings"


def __virtual__():
    return __virtualname__


def _minion():
    # Salt lists secondary addresses, further ones in the same subnet, under a separate key.
    interfaces = {
        name: [
            one["address"] for kind in ("inet", "inet6", "secondary") for one in entry.get(kind, [])
        ]
        for name, entry in __salt__["network.interfaces"]().items()
    }
    return topology.Minion(
        id=__opts__["id"], local=__opts__.get("file_client") == "local", interfaces=interfaces
    )


def _given(fresh=False):
    """Return the pillar ``swarm`` as it is, with the keys that YAML has read."""
    # Not pillar.get: Salt 3008 masks the values that it returns to Python. Not config.get: there, a
    # grain or a minion option called "swarm" takes precedence over the pillar.
    pillar = _compiled() if fresh else current_pillar.find(__context__, _compiled)
    return (__pillar__ if pillar is None else pillar).get(parse.ROOT)


def _compiled():
    """Return the current pillar from the master; ``__pillar__`` dates from the last refresh."""
    return salt.pillar.get_pillar(
        __opts__,
        dict(__grains__.items()),
        __opts__["id"],
        __opts__.get("saltenv"),
        pillarenv=__opts__.get("pillarenv"),
    ).compile_pillar()


def _read(pillar, odd=()):
    settings, faults = parse.read(pillar)
    faults = [*odd, *faults]
    settings, more = topology.resolve(settings, _minion())
    faults += more
    faults += relations.faults(settings)
    return settings, parse.texts(faults), settings_warnings.warnings(settings)


def check(fresh=True):
    """
    Return the faults of the pillar ``swarm`` and the warnings about it, as two lists of strings.

    Each fault names the pillar path, the value found and the value expected.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_settings.check

    fresh
        Have the master compile the pillar now. Defaults to ``True``: the pillar of the last refresh
        lacks what was edited since.
    """
    given = _given(fresh)
    _, faults, warnings = _read(normalize.plain(given), parse.odd_keys(given))
    return {"faults": faults, "warnings": warnings}


def check_member():
    """
    Raise an error if the pillar of this minion does not name it: it would get no certificate and no
    join token. Return a warning instead, in a list, if it is in the swarm already.

    The minion ``swarm:tls:ca`` needs not be a node.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_settings.check_member
    """
    settings = get()
    me = settings["id"]
    if member_rules.is_member(me, settings) or settings["is_ca"]:
        return []
    why = member_rules.unnamed(me)
    if cert_files.NODE.read() or holdings.in_cluster(file_plan.config()):
        return [why]
    raise errors.SettingsError(f"nothing was changed: {why}")


def get(fresh=False):
    """
    Return the effective settings of this minion: pillar, defaults, addresses and roles.

    Raises an error that lists every fault if the pillar is invalid.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_settings.get

    fresh
        Have the master compile the pillar now. Defaults to ``False``: use that of the last refresh,
        or the current one in functions that operators call.
    """
    given = _given(fresh)
    pillar, odd = normalize.plain(given), parse.odd_keys(given)
    key = json.dumps(pillar, sort_keys=True)
    cached = __context__.get("swarm_settings")
    if cached and cached[0] == key and not odd:
        return cached[1]
    settings, faults, _ = _read(pillar, odd)
    if faults:
        raise errors.SettingsError(
            f"{len(faults)} fault(s) in the pillar of {__opts__['id']}, nothing was touched:\n- "
            + "\n- ".join(faults)
        )
    __context__["swarm_settings"] = (key, settings)
    return settings
