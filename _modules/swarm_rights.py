"""
Manage the permissions of the swarm in Consul (ACLs with the default policy ``deny``).
"""

from swarm_formula.consul import acl, config_file
from swarm_formula.core import errors, wait

__virtualname__ = "swarm_rights"

_GRANTED = {"rights of the swarm in Consul": {"old": None, "new": "granted"}}


def __virtual__():
    return __virtualname__


def _client(settings, token=None):
    return config_file.connect(settings, token)


def apply(test=False):
    """
    Ensure the swarm has the permissions that it needs in Consul; return what changed.

    Only with ``swarm:consul:acl``. A server grants the permissions; other nodes wait for them. If
    ACLs are enabled in a running swarm, the servers then deny everything else, one at a time.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_rights.apply test=True
    """
    settings = __salt__["swarm_settings.get"]()
    if not settings["consul"]["acl"]:
        return {}
    denied = __salt__["swarm_consul.deny"](test=True)
    if test:
        return {**_promised(settings), **denied}
    if denied:
        # The other servers enable their ACLs one at a time.
        wait.until(lambda: acl.laggards(_client(settings), settings), 3 * settings["timeout"])
    changes = {}
    wait.until(lambda: _ungranted(settings, changes), settings["timeout"])
    return {**changes, **(__salt__["swarm_consul.deny"]() if denied else {})}


def _ungranted(settings, changes, test=False):
    """Grant the permissions if this is a server; return what is still missing as a sentence."""
    try:
        manager = _client(settings, acl.management()) if settings["is_server"] else None
        if manager and acl.grant(manager, test):
            changes.update(_GRANTED)
        if acl.marked(_client(settings)):
            return None
        why = "no server has granted them"
    except errors.StoreError as err:
        why = str(err)
    return f"{settings['id']} waits for the rights of the swarm in Consul: {why}"


def _promised(settings):
    changes = {}
    try:
        lacking = _ungranted(settings, changes, test=True)
    except errors.SdkMissingError:
        lacking = "a library, which this run would bring"
    return _GRANTED if lacking and settings["is_server"] else changes
