"""
Check the settings of builtin mode against each other. Pure.
"""

from collections.abc import Iterator

from swarm_formula.cluster import spec
from swarm_formula.core.faults import Fault
from swarm_formula.core.settings_types import Builtin, Draft

# Values that an engine in swarm mode refuses, and the values to use instead.
_NOT_WITH_SWARM_MODE = {
    "live-restore": (True, "false"),
    "firewall-backend": ("nftables", "iptables"),
}


def faults(settings: Draft) -> Iterator[Fault]:
    """Refuse settings that swarm mode does not have or take."""
    if settings["overlay"]:
        yield Fault("swarm:overlay", True, "false: swarm mode has overlay networks of its own")
    if settings["store"]:
        yield Fault("swarm:store", settings["store"], "null: swarm mode is its own store")
    if settings["id"] in settings["client"]["nodes"] and not settings["engine"]["port"]:
        want = (
            f"without {settings['id']}, or a port in swarm:engine:port on it and on the managers,"
            " whose engines are the swarm in builtin mode"
        )
        yield Fault("swarm:client:nodes", settings["client"]["nodes"], want)
    for key, (value, instead) in _NOT_WITH_SWARM_MODE.items():
        if settings["engine"]["options"].get(key) == value:
            want = f"{instead}: Docker refuses swarm mode together with it"
            yield Fault(f"swarm:engine:options:{key}", value, want)
    for name, options in settings["services"].items():
        from swarm_formula.spec import service_modes

        yield from service_modes.of_classic(options, f"swarm:services:{name}")
    yield from _cluster(settings["builtin"])


def _cluster(builtin: Builtin) -> Iterator[Fault]:
    election = builtin["cluster"]["election-tick"] or 10
    beat = builtin["cluster"]["heartbeat-tick"] or 1
    if election <= beat:
        want = f"above heartbeat-tick, {beat}; Docker's own are 10 and 1"
        yield Fault("swarm:builtin:cluster:election-tick", election, want)
    yield from _authority(builtin)
    yield from _pools(builtin)


def _pools(builtin: Builtin) -> Iterator[Fault]:
    given, mask = builtin["address_pool_mask"], spec.mask(builtin)
    low, high = spec.mask_limits(builtin)
    if not low <= mask <= high:
        unset = "" if given else f"; unset, it is {mask}"
        want = f"from {low}, that of the smallest of swarm:builtin:address_pools, to {high}{unset}"
        yield Fault("swarm:builtin:address_pool_mask", given, want)


def _authority(builtin: Builtin) -> Iterator[Fault]:
    cert, key = (builtin[one] for one in ("signing_ca_cert", "signing_ca_key"))
    if key and not cert:
        want = "set, as the other half of the CA is: a CA signs with both"
        yield Fault("swarm:builtin:signing_ca_cert", None, want)
    elsewhere = any(one.get("ca") for one in builtin["cluster"]["external-ca"] or ())
    if cert and not key and not elsewhere:
        want = (
            "set, as the other half of the CA is; or in swarm:builtin:cluster:external-ca who has"
            " it, with that certificate as `ca`"
        )
        yield Fault("swarm:builtin:signing_ca_key", None, want)


def warnings(settings: Draft) -> list[str]:
    """Return warnings about settings of builtin mode that are allowed but unwise."""
    builtin = settings["builtin"]
    if not builtin["cluster"]["autolock"] or builtin["unlock_key"]:
        return []
    return [
        "swarm:builtin:cluster:autolock: without swarm:builtin:unlock_key, a manager that"
        " was restarted stays locked until somebody unlocks it"
    ]
