"""
Choose the functions of a mode: each mode has the same ones.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from swarm_formula.builtin import backup as builtin_backup
from swarm_formula.builtin import node as builtin_node
from swarm_formula.builtin import restore as builtin_restore
from swarm_formula.builtin import services as builtin_services
from swarm_formula.classic import lead as classic_services
from swarm_formula.classic import node as classic_node
from swarm_formula.consul import backup as consul_backup
from swarm_formula.core import archive
from swarm_formula.core.salt_types import Salt
from swarm_formula.core.settings_types import Mode, Settings
from swarm_formula.salt.execution import Minion
from swarm_formula.stack import lead_builtin as builtin_stacks
from swarm_formula.stack import lead_classic as classic_stacks

_Rows = list[dict[str, Any]] | None
_Changes = dict[str, Any] | None


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


class Verbs(NamedTuple):
    """The functions of a mode."""

    services: Services
    stacks: Stacks
    node: Node
    save: Callable[[Salt, Settings, str | None, bool], Path]
    restore: Callable[[Salt, Settings, Path, archive.Consent, bool], dict[str, Any]]


VERBS: dict[Mode, Verbs] = {
    "classic": Verbs(
        classic_services, classic_stacks, classic_node, consul_backup.save, consul_backup.restore
    ),
    "builtin": Verbs(
        builtin_services,
        builtin_stacks,
        builtin_node,
        builtin_backup.save,
        builtin_restore.restore,
    ),
}


def of(settings: Settings) -> Verbs:
    """Return the functions of the mode in the settings."""
    return VERBS[settings["mode"]]
