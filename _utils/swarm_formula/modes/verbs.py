"""
Choose the functions of a mode: each mode has the same ones.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from swarm_formula.core.salt_types import Salt
from swarm_formula.core.settings_types import Mode, Settings
from swarm_formula.salt.execution import Minion

if TYPE_CHECKING:
    from swarm_formula.core import archive

_Rows = list[dict[str, Any]] | None
_Changes = dict[str, Any] | None
_Save = Callable[[Salt, Settings, str | None, bool], Path]
_Restore = Callable[[Salt, Settings, Path, "archive.Consent", bool], dict[str, Any]]


class Services(Protocol):
    """
    The services of the swarm, in a module with these functions.

    ``None`` is the answer of a node that cannot tell or does not act.
    """

    def leads(self, minion: Minion, test: bool, /) -> bool:
        """Check whether this node acts on services."""

    def status(self, minion: Minion, /) -> _Rows:
        """Return all services."""

    def apply(
        self, minion: Minion, wanted: Mapping[str, dict[str, Any]], test: bool, /
    ) -> _Changes:
        """Ensure the services have their options, and run; return what changed, by service."""

    def apply_one(self, minion: Minion, name: str, spec: dict[str, Any], test: bool, /) -> _Changes:
        """Do so for one service, with options as a user writes them."""

    def restart(self, minion: Minion, name: str, test: bool, /) -> _Changes:
        """Start the tasks of a service again."""

    def tasks(self, minion: Minion, name: str, /) -> _Rows:
        """Return the tasks of a service."""

    def logs(self, minion: Minion, name: str, lines: int, /) -> _Rows:
        """Return the last lines of the logs of a service."""

    def scale(self, minion: Minion, name: str, replicas: int, /) -> _Changes:
        """Set the number of tasks of a service."""

    def rollback(self, minion: Minion, name: str, /) -> _Changes:
        """Return a service to its previous spec."""

    def remove(self, minion: Minion, name: str, test: bool, /) -> _Changes:
        """Remove a service."""

    def remove_local(self, minion: Minion, test: bool, /) -> dict[str, Any]:
        """Remove what services have on a host that leaves the swarm."""


class Stacks(Protocol):
    """The stacks of the swarm, in a module with these functions; ``None`` as of services."""

    def apply(
        self, minion: Minion, wanted: Mapping[str, dict[str, Any]], test: bool, /
    ) -> _Changes:
        """Ensure stacks are as their files say, and run; return what changed, by stack."""

    def apply_one(self, minion: Minion, name: str, spec: dict[str, Any], test: bool, /) -> _Changes:
        """Do so for one stack, with options as a user writes them."""

    def remove(self, minion: Minion, name: str, test: bool, /) -> _Changes:
        """Remove a stack."""


class Node(Protocol):
    """This host as a node, in a module with these functions."""

    def check(self, salt: Salt, /) -> None:
        """Raise an error if this node is not a healthy member."""

    def report(self, salt: Salt, settings: Settings, /) -> dict[str, Any]:
        """Return what the master is told of this node, besides what the settings say."""

    def managers(self, salt: Salt, /) -> Any:
        """Return the managers' view of the whole swarm."""


# An import takes longer than most functions: each verb imports its own rooms, and only in its mode.


def _classic_services() -> Services:
    from swarm_formula.classic import lead

    return lead


def _builtin_services() -> Services:
    from swarm_formula.builtin import services

    return services


def _classic_stacks() -> Stacks:
    from swarm_formula.stack import lead_classic

    return lead_classic


def _builtin_stacks() -> Stacks:
    from swarm_formula.stack import lead_builtin

    return lead_builtin


def _classic_node() -> Node:
    from swarm_formula.classic import node

    return node


def _builtin_node() -> Node:
    from swarm_formula.builtin import node

    return node


def _classic_save() -> _Save:
    from swarm_formula.consul import backup

    return backup.save


def _builtin_save() -> _Save:
    from swarm_formula.builtin import backup

    return backup.save


def _classic_restore() -> _Restore:
    from swarm_formula.consul import backup

    return backup.restore


def _builtin_restore() -> _Restore:
    from swarm_formula.builtin import restore

    return restore.restore


class Verbs(NamedTuple):
    """The functions of a mode, or the modules that have them; a call imports them."""

    services: Callable[[], Services]
    stacks: Callable[[], Stacks]
    node: Callable[[], Node]
    save: Callable[[], _Save]
    restore: Callable[[], _Restore]


VERBS: dict[Mode, Verbs] = {
    "classic": Verbs(
        _classic_services, _classic_stacks, _classic_node, _classic_save, _classic_restore
    ),
    "builtin": Verbs(
        _builtin_services, _builtin_stacks, _builtin_node, _builtin_save, _builtin_restore
    ),
}


def of(settings: Settings) -> Verbs:
    """Return the functions of the mode in the settings."""
    return VERBS[settings["mode"]]
