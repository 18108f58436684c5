"""
Decide which CA nodes trust for the swarm's own registry.
"""

from swarm_formula.core import own_registry
from swarm_formula.core.settings_types import Settings
from swarm_formula.salt.mine import Mine
from swarm_formula.tls import cert_files, trust


def authority(settings: Settings, mine: Mine, test: bool) -> str | None:
    """
    Return the certificates of the CAs that this node trusts, during a rotation of both.

    ``None`` in test mode on a host that has none yet.
    """
    if test and settings["tls"]["ca"] and (found := trust.find(settings, mine)):
        # What the run would have installed by now.
        certs: str = found["trust"]
        return certs
    have = cert_files.NODE.read()
    return have.ca if have else None


def authorities(settings: Settings, mine: Mine, test: bool) -> dict[str, str | None]:
    """Return the CA for each name of the registry, ``{}`` without a registry."""
    if not (hosts := own_registry.hosts(settings)):
        return {}
    return dict.fromkeys(hosts, authority(settings, mine, test))


def known() -> str:
    """Return the certificates of all CAs that services of this host may trust."""
    return "".join(one.ca for one in cert_files.NODE.kept())
