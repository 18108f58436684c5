"""
Remove the CA from its host, once no member needs it there.
"""

from typing import Any

from swarm_formula.core import host_files, pem_text, wait
from swarm_formula.core.settings_types import Settings
from swarm_formula.salt.execution import Minion
from swarm_formula.tls import ca_publication, ca_record, ca_state

# Seconds to wait for other members that are cleaned at the same time.
_TOGETHER = 60


def remove(minion: Minion, test: bool) -> dict[str, Any]:
    """Remove the CA and its records; return the changes."""
    if not ca_state.load():
        return {}
    if not test:
        # If all members are cleaned at once, the others finish shortly.
        wait.until(lambda: _dependants(minion), _TOGETHER)
        host_files.write(ca_state.FILE, None)
        for name in (ca_record.RECORD, ca_record.ACL):
            minion.mine().forget(name)
    return {"CA": {"old": "present", "new": None}}


def _dependants(minion: Minion) -> str | None:
    """Return the members that still need the CA, as a sentence."""
    me, settings = minion.opts["id"], minion.settings()
    if _has_moved(minion, settings):
        return None
    if left := sorted(set(ca_publication.reports(minion, settings)) - {me}):
        return (
            f"the CA of {me} stays, for {', '.join(left)} has certificates of it: clean the others"
            f" first, or salt-key -d what is gone; then salt {me} swarm_ca.remove"
        )
    return None


def _has_moved(minion: Minion, settings: Settings) -> bool:
    """Check whether another minion is this CA by the pillar, and has published it."""
    ca = settings["tls"]["ca"]
    if settings["is_ca"] or not ca:
        return False
    told = minion.mine().get([ca], ca_record.RECORD).get(ca) or {}
    own = pem_text.fingerprint(ca_state.load()["ca"]["cert"])
    return own in pem_text.fingerprints(told.get("trust", ""))
