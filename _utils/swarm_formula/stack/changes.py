"""
Collect the changes of stacks; tell those that will be made in a cluster that does not exist yet.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from swarm_formula.compose.file import Stack
from swarm_formula.core import errors
from swarm_formula.docker import network_spec
from swarm_formula.service import apply, content_options, secrets_configs

_REMOVED = {"state": {"old": "present", "new": "absent"}}


class Changes:
    """What changed, by stack, kind and name."""

    def __init__(self, stacks: list[Stack]) -> None:
        self._found: dict[str, dict[str, Any]] = {}
        self._owners = {name: one.name for one in stacks for name in one.services}

    def add(self, stack: str, kind: str, name: str, change: Mapping[str, Any]) -> None:
        """Add what changed in an object, if anything did."""
        if change:
            self._found.setdefault(stack, {}).setdefault(kind, {})[name] = change

    def removed(self, stack: str, kind: str, name: str) -> None:
        """Add an object that is removed."""
        self.add(stack, kind, name, _REMOVED)

    def applied(self, services: Callable[[], Mapping[str, dict[str, Any]]], test: bool) -> None:
        """Apply services, and add what changed in them."""
        try:
            self.services(services())
        except errors.WaitTimeoutError:
            # A dry run waits for services only if nothing else is to do.
            if not (test and self._found):
                raise

    def services(self, found: Mapping[str, dict[str, Any]]) -> None:
        """Add what changed in services."""
        for name, change in found.items():
            self.add(self._owners[name], "services", name, change)

    def found(self) -> dict[str, dict[str, Any]]:
        """Return what changed: ``{stack: {kind: {name: ...}}}``."""
        return self._found

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """Have an error carry what was changed before it."""
        try:
            yield
        except errors.RolloutError as err:
            self.services(err.changes)
            raise errors.RolloutError(str(err), self._found) from None
        except errors.SwarmError as err:
            if not self._found:
                raise
            raise errors.RolloutError(str(err), self._found) from None


def versions(stacks: list[Stack], kind: str) -> dict[str, str]:
    """Return the versions that the secrets or configs of stacks have, by name."""
    files = [each for one in stacks for each in one.files if each.kind == kind]
    return {one.name: secrets_configs.version(kind, one.name, one.content) for one in files}


def promised(
    stacks: list[Stack], pending: Mapping[str, Mapping[str, str]] = MappingProxyType({})
) -> dict[str, dict[str, Any]]:
    """
    Return the changes that will be made in a cluster that does not exist yet.

    pending
        Versions that earlier states will have made.
    """
    changes = Changes(stacks)
    made = {
        kind: {**pending.get(kind, {}), **versions(stacks, kind)} for kind in content_options.KINDS
    }
    for one in stacks:
        for name, settings in one.networks.items():
            changes.add(one.name, "networks", name, network_spec.differences(settings, None))
        for kind in content_options.KINDS:
            files = [each for each in one.files if each.kind == kind]
            for name, change in secrets_configs.promised(files).items():
                changes.add(one.name, kind, name, change)
        changes.services(apply.promised(one.services, made))
    return changes.found()
