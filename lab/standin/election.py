"""
Elect the primary: run for the leader key, and follow who holds it.
"""

import threading
import time

from . import log
from .discovery import KeyValue
from .store import StoreError, start

LEADER_PATH = "docker/swarm/leader"
RECOVER_TIME = 10.0


class Election:
    """What this manager knows of the election; a manager alone is always primary."""

    def __init__(self, address: str = "") -> None:
        self.address = address
        self.leading = not address
        self.leader = ""
        # The leader that requests go to; unlike ``leader`` it outlives a failing store.
        self.target = ""
        self._changed = threading.Condition()

    def status(self) -> list[list[str]]:
        """Return the first lines of ``/info``'s SystemStatus."""
        if self.leading:
            return [["Role", "primary"]]
        return [["Role", "replica"], ["Primary", self.leader]]

    def wait_for_target(self, timeout: float) -> str:
        """Return the primary's address, waiting for one to be known; ``""`` on time-out."""
        with self._changed:
            self._changed.wait_for(lambda: self.target or self.leading, timeout)
            return self.target or (self.address if self.leading else "")

    def run(self, backend: KeyValue, ttl: float) -> None:
        """Take part in the election, in the background, for ever."""
        key = f"{backend.prefix}/{LEADER_PATH}".strip("/")
        start(self._campaign, backend, key, ttl)
        start(self._follow, backend, key)

    def _campaign(self, backend: KeyValue, key: str, ttl: float) -> None:
        while True:
            stop = threading.Event()
            self._lead(False)
            try:
                held = backend.store.lock(key, self.address, ttl, stop)
                self._lead(True)
                held.lost.wait()
                stop.set()
            except StoreError as err:
                log.error(str(err))
                stop.set()
                time.sleep(RECOVER_TIME)

    def _lead(self, leading: bool) -> None:
        log.info(f"Leader Election: Cluster leadership {'acquired' if leading else 'lost'}")
        with self._changed:
            self.leading = leading
            self._changed.notify_all()

    def _follow(self, backend: KeyValue, key: str) -> None:
        while True:
            self.leader = ""
            try:
                for leader in backend.store.watch(key):
                    self._note(leader)
            except StoreError as err:
                log.error(
                    f"Leader Election: watch leader channel closed, the store may be "
                    f"unavailable... {err}"
                )
            time.sleep(RECOVER_TIME)

    def _note(self, leader: str) -> None:
        if leader == self.leader or not leader:
            return
        log.info(f"New leader elected: {leader}")
        with self._changed:
            self.leader = self.target = leader
            self._changed.notify_all()
