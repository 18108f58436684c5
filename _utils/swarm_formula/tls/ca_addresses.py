"""
Reserve each address for the member that has a certificate for it.
"""

from typing import Any

from swarm_formula.core import addresses as core_addresses
from swarm_formula.core.settings_types import Settings
from swarm_formula.tls import certificate_due
from swarm_formula.tls.ca_request import Asked

# The key of the addresses in certificates that have not expired, {member: {address: end}}, and how
# many a member may have: each is reserved for it until the certificate expires.
_GRANTS, _MOST_GRANTS = "grants", 8


def reserved(state: dict[str, Any], now: float) -> dict[str, set[str]]:
    """Return the addresses that are reserved: the last of each member, and all unexpired ones."""
    found = {minion: {core_addresses.form(address)} for minion, address in state["issued"].items()}
    for minion, grants in state.get(_GRANTS, {}).items():
        found.setdefault(minion, set()).update(
            address for address, end in grants.items() if end > now
        )
    return found


def noted(
    state: dict[str, Any], minion: str, address: str, end: float, now: float
) -> dict[str, Any]:
    """Return the state with a certificate's address, without the certificates that have expired."""
    grants = {
        one: {place: until for place, until in places.items() if until > now}
        for one, places in state.get(_GRANTS, {}).items()
    }
    own = grants.setdefault(minion, {})
    # A shorter tls:days must not free the address while an earlier certificate is valid.
    own[address] = max(end, own.get(address, 0))
    grants = {one: places for one, places in grants.items() if places}
    return {**state, "issued": {**state["issued"], minion: address}, _GRANTS: grants}


def without(state: dict[str, Any], minion: str) -> dict[str, Any]:
    """Return the state without a minion's addresses."""
    issued, grants = (
        {one: value for one, value in state.get(key, {}).items() if one != minion}
        for key in ("issued", _GRANTS)
    )
    return {**state, "issued": issued, _GRANTS: grants}


def refuse_name(asked: Asked, settings: Settings) -> None:
    """Raise an error if a member's ID is a name that certificates of others have."""
    reserved = {"localhost", *certificate_due.split(settings["tls"]["names"])[0]}
    if asked.minion in reserved and asked.minion not in settings["managers"]:
        raise asked.refused("its ID is a name of the managers (swarm:tls:names), or of every host")
    registry = settings["registry"]
    if asked.minion in registry["names"] and asked.minion != registry["node"]:
        raise asked.refused("its ID is a name of the registry (swarm:registry:names)")


def checked(asked: Asked, settings: Settings, held: dict[str, set[str]]) -> str:
    """
    Return the address for a node's certificate; raise an error if another minion has it.

    held
        The addresses in certificates issued so far: ``{minion: addresses}``.
    """
    me, listed = settings["id"], _listed(settings)
    due = listed.get(asked.minion)
    address = _canonical(asked, due)
    of_managers = certificate_due.split(settings["tls"]["names"])[1]
    if (
        address in map(core_addresses.form, of_managers)
        and asked.minion not in settings["managers"]
    ):
        raise asked.refused(f"{address} is one of the managers' (swarm:tls:names)")
    registry = settings["registry"]
    of_registry = certificate_due.split(registry["names"])[1]
    if address in map(core_addresses.form, of_registry) and asked.minion != registry["node"]:
        raise asked.refused(f"{address} is one of the registry's (swarm:registry:names)")
    if due and due != address:
        cure = (
            f"if {address} is right, say so in the pillar of all, e.g. swarm: {{managers:"
            f" {{{asked.minion}: {address}}}}}; else correct swarm:address of {asked.minion}"
        )
        raise asked.refused(f"it says it has {address}, and {me} knows it by {due}: {cure}")
    if owner := _owner(address, asked.minion, listed, held):
        cure = f"if {owner} is gone: salt {me} swarm_ca.forget {owner}"
        raise asked.refused(f"it asks for {address}, which is that of {owner}; {cure}")
    own = held.get(asked.minion, set())
    if not due and address not in own and len(own) >= _MOST_GRANTS:
        cure = f"if it really moves so often: salt {me} swarm_ca.forget {asked.minion}"
        raise asked.refused(f"it has certificates for {len(own)} other addresses; {cure}")
    return address


def _listed(settings: Settings) -> dict[str, str]:
    """Return the addresses by the pillar, ``{minion: address}``."""
    places = {**settings["managers"], **settings["servers"]}
    return {minion: core_addresses.form(place) for minion, place in places.items()}


def _canonical(asked: Asked, due: str | None) -> str:
    """Return the requested address in its canonical form; refuse one that no host reaches."""
    address = core_addresses.form(asked.address)
    if address == due:
        return address
    try:
        return core_addresses.canonical(asked.address)
    except ValueError as err:
        why = f"{asked.address!r} is no address that other hosts reach"
        raise asked.refused(why) from err


def _owner(
    address: str, minion: str, listed: dict[str, str], held: dict[str, set[str]]
) -> str | None:
    """Return another member that has an address by the pillar or in a certificate."""
    by_pillar = (one for one, place in listed.items() if place == address)
    by_grant = (one for one, places in held.items() if address in map(core_addresses.form, places))
    return next((one for one in (*by_pillar, *by_grant) if one != minion), None)


def refuse_shared(asked: Asked, settings: Settings, held: dict[str, set[str]]) -> None:
    """Raise an error if a member would get another member's ID or address as one more name."""
    listed = _listed(settings)
    members = {*listed, *held}
    for path, names in certificate_due.shared(asked.minion, settings).items():
        hosts, addresses = certificate_due.split(names)
        shared = {one: one for one in hosts if one in members and one != asked.minion}
        for one in addresses:
            if owner := _owner(core_addresses.form(one), asked.minion, listed, held):
                shared[one] = owner
        if shared:
            texts = ", ".join(f"{one} is that of {owner}" for one, owner in shared.items())
            raise asked.refused(f"in {path}, {texts}: take it out there")
