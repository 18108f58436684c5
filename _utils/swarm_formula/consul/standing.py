"""
Read how Consul on one host sees the servers.
"""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from swarm_formula.consul import acl, agent_api, config_file, raft
from swarm_formula.consul.raft import Standing
from swarm_formula.core import errors
from swarm_formula.core.settings_types import Settings


class Consul:
    """
    Consul on this host.

    salt
        Salt's execution modules.
    """

    def __init__(self, settings: Settings, salt: Mapping[str, Callable[..., Any]]) -> None:
        self.settings, self.salt = settings, salt
        self.me, self.limit = settings["id"], settings["timeout"]
        self.name = settings["consul"]["container"]

    def look(self) -> Standing:
        """Return the servers as Consul on this host sees them; an error if it does not answer."""
        return raft.look(acl.connect(self.settings), self.settings["servers"])

    def standing(self) -> Standing:
        """Return the servers, none if Consul does not answer."""
        try:
            return self.look()
        except errors.SwarmError:
            return Standing()

    def seen(self) -> tuple[Standing | None, str | None]:
        """Return the servers as Consul sees them, and as a sentence what keeps it from working."""
        try:
            found = self.look()
        except errors.StoreError as err:
            self.salt["swarm_container.check"](self.name)
            return None, str(err)
        if not found.leader:
            self._find_others()
        return found, agent_api.missing(self.settings["servers"], set(found.alive), found.leader)

    def _find_others(self) -> None:
        for address in config_file.joining():
            with contextlib.suppress(errors.StoreError):
                raft.join(acl.connect(self.settings), address)

    def missing(self, led: bool = True) -> str | None:
        """
        Return as a sentence what Consul on this host lacks, or ``None``.

        led
            Whether it needs a leader; otherwise it only has to answer.
        """
        found, missing = self.seen()
        if found is None or (led and missing):
            return missing
        if led and self.settings["is_server"] and self.me not in found.names:
            return raft.not_in(found, self.me)
        return None

    def probed(self, function: Callable[[Standing], str | None]) -> str | None:
        """Return as a sentence what Consul lacks, or what the function finds in the servers."""
        found, missing = self.seen()
        return missing if found is None or missing else function(found)

    def container(self) -> dict[str, Any]:
        """Return Consul's container, ``{}`` if there is none."""
        try:
            return self.salt["swarm_container.get"](self.name) or {}
        except errors.SwarmError:
            # In test mode, the engine may not be installed yet.
            return {}
