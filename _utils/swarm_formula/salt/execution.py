"""
Hold the Salt dunders of an execution module for utilities, which have none of their own.
"""

from collections.abc import Mapping, MutableMapping
from typing import Any, NamedTuple

from swarm_formula.core.salt_types import Salt
from swarm_formula.core.settings_types import Settings
from swarm_formula.salt import mine as salt_mine


class Minion(NamedTuple):
    """``__salt__``, ``__opts__`` and ``__context__`` of the calling module."""

    salt: Salt
    opts: Mapping[str, Any]
    context: MutableMapping[str, Any]

    @property
    def masterless(self) -> bool:
        """Return whether this minion has no master."""
        return self.opts.get("file_client") == "local"

    @property
    def grains(self) -> Mapping[str, Any]:
        """Return the facts about this host."""
        grains: Mapping[str, Any] = self.opts.get("grains") or {}
        return grains

    def settings(self) -> Settings:
        """Return the settings by the pillar of the last refresh, or by the current one."""
        settings: Settings = self.salt["swarm_settings.get"]()
        return settings

    def mine(self) -> salt_mine.Mine:
        """Return the access to Salt's mine."""
        return salt_mine.Mine(self.salt, self.opts)


class Host(NamedTuple):
    """This host: its minion, a client of its engine, and its settings."""

    minion: Minion
    client: Any
    settings: Settings
