"""
Manage the encrypted copy of the swarm's CA that each manager keeps.

If the CA's host is lost, a new host with its ID, or another manager that the pillar names as
``swarm:tls:ca``, restores the CA from these copies. Minions ask each other through Salt's
``publish``, which the master's configuration must allow (``peer``).
"""

from swarm_formula.core import errors
from swarm_formula.salt import caller
from swarm_formula.salt import mine as salt_mine
from swarm_formula.tls import ca_copy_store, ca_record

__virtualname__ = "swarm_ca_copy"


def __virtual__():
    return __virtualname__


def _settings():
    return __salt__["swarm_settings.get"]()


def _mine():
    return salt_mine.Mine(__salt__, __opts__)


def apply(test=False):
    """
    Ensure a manager has a current copy of the CA, and any other host none; return the changes.

    A copy that is only refreshed is no change.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_ca_copy.apply test=True
    """
    settings, mine = _settings(), _mine()
    if not ca_copy_store.is_due(settings):
        return remove(test)
    ca, before = settings["tls"]["ca"], ca_copy_store.held()
    if mine.masterless:
        return {}
    told = mine.get([ca, settings["id"]], ca_record.RECORD)
    published = told.get(ca)
    if published and settings["id"] in told and not test:
        # The CA has moved: its old record must not count if it moves back.
        for name in (ca_record.RECORD, ca_record.ACL):
            mine.forget(name)
    if published and ca_copy_store.is_current(published, settings["id"]):
        return {}
    # Before the first run, no CA has published anything; a run makes it before this.
    if not published and not test:
        return {}
    if not test:
        from swarm_formula.tls import ca_copy_exchange

        ca_copy_exchange.fetch(__salt__, settings, published)
        report = __salt__["swarm_tls.report"]()
        mine.tell(settings["id"], ca_record.REPORT, report)
    return {} if before else {"copy of the CA": {"old": None, "new": f"of {ca}"}}


def give(request, **kwargs):
    """
    Return the CA encrypted for the key of the minion that asks, ``{"ca", "box"}``.

    ``{"none": why}``: there is no copy here. ``{"refused": why}``; ``{"busy": why}``: retry later.
    Only managers get it from the CA, and only the CA's minion gets it from a manager.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_ca_copy.give '{}'  # refused: the command names no minion
        salt m2 publish.publish m1 swarm_ca_copy.give '[{key: ...}]'

    request
        A mapping with the public ``key`` of the minion that asks.
    """
    me = __opts__["id"]
    try:
        minion = caller.name(kwargs, me)
        settings = _settings()
        known = filter(None, [settings["tls"]["ca"], *settings["managers"]])
        with caller.admitted(minion, known):
            # The pillar of now: the requester may have been removed since the last refresh.
            settings = __salt__["swarm_settings.get"](fresh=True)
            key = request.get("key") if isinstance(request, dict) else None
            from swarm_formula.tls import ca_copy_exchange

            return ca_copy_exchange.given(minion, key, settings)
    except errors.BusyError as err:
        return {"busy": str(err)}
    except errors.SwarmError as err:
        return {"refused": str(err)}


def remove(test=False):
    """
    Ensure this host has no copy of the CA, and no key for one; return the changes.

    CLI Example:

    .. code-block:: bash

        salt m2 swarm_ca_copy.remove test=True
    """
    if not ca_copy_store.is_kept():
        return {}
    if not test:
        ca_copy_store.drop()
    return {"copy of the CA": {"old": "present", "new": None}}
