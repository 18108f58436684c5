"""
The pillar ``swarm``, checked and with everything filled in that follows from it.
"""

import json

import salt.pillar
import swarm_errors
import swarm_pillar
import swarm_relations
import swarm_topology

__virtualname__ = "swarm_settings"


def __virtual__():
    return __virtualname__


def _minion():
    # Salt keeps apart what the kernel calls secondary: further addresses in the same subnet.
    interfaces = {
        name: [
            one["address"] for kind in ("inet", "inet6", "secondary") for one in entry.get(kind, [])
        ]
        for name, entry in __salt__["network.interfaces"]().items()
    }
    return swarm_topology.Minion(
        id=__opts__["id"], local=__opts__.get("file_client") == "local", interfaces=interfaces
    )


def _pillar(fresh=False):
    # Not pillar.get: Salt 3008 masks what that gives to Python. Not config.get: a grain or a
    # minion's own configuration called "swarm" would come before pillar there.
    pillar = _compiled() if fresh else __pillar__
    return json.loads(json.dumps(pillar.get(swarm_pillar.ROOT), default=str))


def _compiled():
    """Return the pillar as the master has it now; a minion's own is that of its last refresh."""
    return salt.pillar.get_pillar(
        __opts__,
        dict(__grains__.items()),
        __opts__["id"],
        __opts__.get("saltenv"),
        pillarenv=__opts__.get("pillarenv"),
    ).compile_pillar()


def _read(pillar):
    settings, faults = swarm_pillar.read(pillar)
    settings, more = swarm_topology.resolve(settings, _minion())
    faults += more
    faults += swarm_relations.faults(settings)
    return settings, swarm_pillar.texts(faults), swarm_relations.warnings(settings)


def check():
    """
    Return the faults of the pillar ``swarm`` and the warnings about it, as two lists of texts.

    Each fault names its pillar path, what was found and what would be right.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_settings.check
    """
    _, faults, warnings = _read(_pillar())
    return {"faults": faults, "warnings": warnings}


def get(fresh=False):
    """
    Return the settings in force on this minion: pillar, defaults, addresses, roles.

    Raises an error that lists every fault if the pillar is wrong.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_settings.get

    fresh
        Have the master compile the pillar now. Defaults to ``False``: as of the last refresh.
    """
    pillar = _pillar(fresh)
    key = json.dumps(pillar, sort_keys=True)
    cached = __context__.get("swarm_settings")
    if cached and cached[0] == key:
        return cached[1]
    settings, faults, _ = _read(pillar)
    if faults:
        raise swarm_errors.SettingsError(
            f"{len(faults)} fault(s) in the pillar of {__opts__['id']}, nothing was touched:\n- "
            + "\n- ".join(faults)
        )
    __context__["swarm_settings"] = (key, settings)
    return settings
