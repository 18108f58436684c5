"""
Validate the pillar ``swarm``, and complete it with defaults and derived values.
"""

import json

import salt.pillar
import swarm_certs
import swarm_current
import swarm_errors
import swarm_holdings
import swarm_member_rules
import swarm_pillar
import swarm_plan
import swarm_relations
import swarm_relations_warnings
import swarm_topology
import swarm_values

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
    return swarm_topology.Minion(
        id=__opts__["id"], local=__opts__.get("file_client") == "local", interfaces=interfaces
    )


def _given(fresh=False):
    """Return the pillar ``swarm`` as it is, with the keys that YAML has read."""
    # Not pillar.get: Salt 3008 masks the values that it returns to Python. Not config.get: there, a
    # grain or a minion option called "swarm" takes precedence over the pillar.
    pillar = _compiled() if fresh else swarm_current.find(__context__, _compiled)
    return (__pillar__ if pillar is None else pillar).get(swarm_pillar.ROOT)


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
    settings, faults = swarm_pillar.read(pillar)
    faults = [*odd, *faults]
    settings, more = swarm_topology.resolve(settings, _minion())
    faults += more
    faults += swarm_relations.faults(settings)
    return settings, swarm_pillar.texts(faults), swarm_relations_warnings.warnings(settings)


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
    _, faults, warnings = _read(swarm_values.plain(given), swarm_pillar.odd_keys(given))
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
    if swarm_member_rules.is_member(me, settings) or settings["is_ca"]:
        return []
    why = swarm_member_rules.unnamed(me)
    if swarm_certs.NODE.read() or swarm_holdings.in_cluster(swarm_plan.config()):
        return [why]
    raise swarm_errors.SettingsError(f"nothing was changed: {why}")


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
    pillar, odd = swarm_values.plain(given), swarm_pillar.odd_keys(given)
    key = json.dumps(pillar, sort_keys=True)
    cached = __context__.get("swarm_settings")
    if cached and cached[0] == key and not odd:
        return cached[1]
    settings, faults, _ = _read(pillar, odd)
    if faults:
        raise swarm_errors.SettingsError(
            f"{len(faults)} fault(s) in the pillar of {__opts__['id']}, nothing was touched:\n- "
            + "\n- ".join(faults)
        )
    __context__["swarm_settings"] = (key, settings)
    return settings
