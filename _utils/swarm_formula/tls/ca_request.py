"""
Read a request for a certificate, which any minion may send, refuse it, and say what is granted.
"""

import json
from typing import Any, NamedTuple

from swarm_formula.core import errors

# The key of the CSR of a second certificate in a request, which is its kind as well.
MORE = "consul"
# What a certificate is for (RFC 5280, extended key usage), by OpenSSL's names.
SERVER, CLIENT = "serverAuth", "clientAuth"


class Asked(NamedTuple):
    """A certificate request; ``minion`` comes from the master, the rest from the minion itself."""

    minion: str
    kind: str
    address: str

    def refused(self, why: str) -> errors.SwarmError:
        """Return the error that refuses this request."""
        return errors.SwarmError(f"no certificate for {self.minion}: {why}")


class Grant(NamedTuple):
    """The subject, the usages and the names that a certificate is issued for."""

    name: str
    usages: tuple[str, ...]
    names: tuple[str, ...] = ()  # host names
    addresses: tuple[str, ...] = ()


def parsed(request: object) -> dict[str, str]:
    """
    Return a request, ``{"csr", "kind", "address"}``; raise an error for any other value.

    A node of classic mode asks for its certificate for Consul as well, with the CSR in ``consul``.
    """
    keys = {"csr", "kind", "address"}
    if isinstance(request, dict) and set(request) - {MORE} == keys and _all_texts(request):
        return request
    raise errors.SwarmError(
        f"a request for a certificate is a mapping of {', '.join(sorted(keys))}, found"
        f" {json.dumps(request, default=str)[:80]}"
    )


def _all_texts(request: dict[str, Any]) -> bool:
    return all(isinstance(one, str) for one in request.values())
