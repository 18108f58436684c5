"""
Decide which rights hosts have in Consul: managers' hosts all that Swarm needs, others less. Pure.

``swarm`` and the engine can be given a token only in their arguments or their environment.
Therefore a client with a certificate of the swarm has rights without a token: on managers' hosts,
where Consul's agent adds the managers' token to such requests, those of ``MANAGERS``; on all other
hosts the rights of Consul's anonymous token, which do not include the lock of the primary manager.
"""

import hashlib
import hmac
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from swarm_formula.core.settings_types import Settings

# The key of the managers' lock, if the URL of the store has no path.
LEADER = "docker/swarm/leader"
# This key shows clients that may not read policies that the policy is in force.
MARK = "swarm-formula/acl"
# The store of Swarm and of overlay networks, the formula's turns, and the registration of agents.
MANAGERS = """\
key_prefix "docker/" { policy = "write" }
key_prefix "swarm-formula/" { policy = "write" }
session_prefix "" { policy = "write" }
node_prefix "" { policy = "write" }
service_prefix "" { policy = "read" }
"""
# The most specific rule counts: these take away what only managers write.
_LOCK = f"""\
key_prefix "{LEADER}" {{ policy = "read" }}
key "{MARK}" {{ policy = "read" }}
"""
# Whoever ends the session of the primary, or removes its node, ends its lock.
_OF_MANAGER = """\
session "{0}" {{ policy = "read" }}
node "{0}" {{ policy = "read" }}
"""
# In the metadata of an agent: it adds the managers' token to requests without one.
META = {"swarm-formula-token": "managers"}


def narrowed(managers: Iterable[str]) -> str:
    """Return the rights of hosts that are not managers: without the lock of the primary."""
    return MANAGERS + _LOCK + "".join(map(_OF_MANAGER.format, sorted(managers)))


def token(management: str) -> str:
    """
    Return the managers' token, which follows from the management token but does not reveal it.

    Managers know the management token anyway, by their copies of the CA. What their agents have in
    memory for each request must not have all rights.
    """
    digest = hmac.digest(management.encode(), b"swarm-formula: managers", hashlib.sha256)
    return str(uuid.UUID(bytes=digest[:16], version=4))


def is_split(settings: Settings) -> bool:
    """
    Check whether managers' hosts have rights of their own in Consul.

    Not with own certificates, with which each node is a client of all engines and managers; and not
    if a manager that is no server cannot be sent a management token that the CA does not keep.
    """
    consul = settings["consul"]
    if not consul["acl"] or settings["tls"]["cert"]:
        return False
    return not consul["acl_token"] or set(settings["managers"]) <= set(settings["servers"])


def is_managers_host(settings: Settings) -> bool:
    """Check whether Consul on this host is to add the managers' token to requests."""
    return settings["is_manager"] and is_split(settings)


def of_all(settings: Settings) -> str:
    """Return the rights of all hosts, once each manager's host has its own."""
    return narrowed(settings["managers"]) if is_split(settings) else MANAGERS


def added(acl: Mapping[str, Any] | None) -> str | None:
    """Return the token that Consul with this ACL section adds to requests without one."""
    found: str | None = (acl or {}).get("tokens", {}).get("default")
    return found


def is_marked(node: Any) -> bool:
    """Check whether an entry of Consul's catalog is of an agent with the managers' token."""
    meta = node.get("Meta") if isinstance(node, dict) else None
    return isinstance(meta, dict) and meta.items() >= META.items()
