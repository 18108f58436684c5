"""
Decide which members the engine ``swarm_autojoin`` removes, because their key was deleted.
"""

from collections.abc import Callable, Iterable

# Seconds between two checks of the accepted keys, after a key event and without one; and between
# two removals, so that the managers have finished one before the next starts.
_KEYS_LOOK, _KEYS_POLL, _KEYS_PACE = 1, 60, 60


class Leaving:
    """
    Members whose key was deleted, until they are due for removal; removed one at a time.

    A key event only triggers a check of the accepted keys, because any accepted minion can forge
    one. A member is removed if it had an accepted key at the previous check and has none now.
    """

    def __init__(
        self,
        after: float | None,
        wanted: Callable[[str], bool],
        accepted: Callable[[], Iterable[str]],
    ) -> None:
        self.after, self.wanted, self.accepted = after, wanted, accepted
        self.known = set(accepted()) if after is not None else set()
        self.waiting = {}  # minion: time of its removal
        self.hinted = False
        self.looked = self.removed = float("-inf")

    def hint(self) -> None:
        """Record a key event."""
        self.hinted = True

    def _look(self, now: float) -> None:
        if now - self.looked < (_KEYS_LOOK if self.hinted else _KEYS_POLL):
            return
        there = set(self.accepted())
        for minion in sorted(filter(self.wanted, self.known - there)):
            self.waiting.setdefault(minion, now + self.after)
        self.waiting = {one: when for one, when in self.waiting.items() if one not in there}
        self.known, self.looked, self.hinted = there, now, False

    def due(self, now: float) -> str | None:
        """Return the next minion to remove, or ``None`` if none is due."""
        if self.after is None:
            return None
        self._look(now)
        ready = [minion for minion, when in self.waiting.items() if when <= now]
        if not ready or now - self.removed < _KEYS_PACE:
            return None
        self.removed = now
        del self.waiting[ready[0]]
        return ready[0]
