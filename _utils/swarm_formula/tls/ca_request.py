"""
Read a request for a certificate, which any minion may send, and refuse it.
"""

import json
from typing import NamedTuple

from swarm_formula.core import errors


class Asked(NamedTuple):
    """A certificate request; ``minion`` comes from the master, the rest from the minion itself."""

    minion: str
    kind: str
    address: str | None

    def refused(self, why: str) -> errors.SwarmError:
        """Return the error that refuses this request."""
        return errors.SwarmError(f"no certificate for {self.minion}: {why}")


def parsed(request: object) -> dict:
    """Return a request, ``{"csr", "kind", "address"}``; raise an error for any other value."""
    keys = {"csr", "kind", "address"}
    shaped = isinstance(request, dict) and set(request) == keys
    if not shaped or not all(isinstance(one, str) for one in request.values()):
        raise errors.SwarmError(
            f"a request for a certificate is a mapping of {', '.join(sorted(keys))}, found"
            f" {json.dumps(request, default=str)[:80]}"
        )
    return request
