"""
Deploy, prune and remove the stacks of classic mode: projects of docker-compose, on many hosts.

Services are containers that the managers place, and networks are in the store of the engines. Only
objects with the formula's own label are changed or removed, never those of docker-compose itself.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from swarm_formula.classic import service_plan, services
from swarm_formula.classic.services import Run
from swarm_formula.cluster import swarm_api
from swarm_formula.compose.file import Stack
from swarm_formula.compose.target import MARK
from swarm_formula.core import errors, wait
from swarm_formula.core.faults import Fault
from swarm_formula.core.salt_types import Salt
from swarm_formula.docker import network_spec
from swarm_formula.spec import option_table
from swarm_formula.stack.changes import Changes
from swarm_formula.stack.file import Wanted


def promised(stacks: list[Stack]) -> dict[str, dict[str, Any]]:
    """Return the changes that will be made in a swarm that does not exist yet."""
    changes = Changes(stacks)
    for one in stacks:
        for name, settings in one.networks.items():
            changes.add(one.name, "networks", name, network_spec.differences(settings, None))
        changes.services(services.promised(one.services))
    return changes.found()


class Projects:
    """
    The stacks of a swarm before anything is changed.

    Containers are those that the managers know. Networks are those of this host's engine, which
    reads the store: managers hear late of a network that went. ``swarm_network`` changes them.
    """

    def __init__(self, client: Any, salt: Salt, run: Run) -> None:
        self.client, self.salt, self.run = client, salt, run
        self.listed = service_plan.look(client)
        with swarm_api.connect(salt) as engine:
            self.networks = _networks(engine)

    def deploy(self, wanted: list[Wanted]) -> dict[str, dict[str, Any]]:
        """
        Ensure stacks are as their files say, and their services run; return what changed.

        Nothing is changed if one is refused. The result is ``{stack: {kind: {name: ...}}}``.
        """
        stacks = [one.stack for one in wanted]
        own = {name for one in stacks for name in one.networks}
        run = self.run._replace(networks={*self.run.networks, *own})
        found = self._checked(stacks, run)
        changes, pruned = Changes(stacks), [one.stack for one in wanted if one.prune]
        made = self._make_networks(stacks, changes, test=True)
        if not run.test:
            changes = Changes(stacks)
        with changes.told():
            if made and not run.test:
                self._make_networks(stacks, changes, test=False)
                self._wait_for(made)
            for one in pruned:
                gone = self._services(one.name) - one.kept["services"]
                self._remove_services(one.name, gone, changes)
            changes.applied(lambda: services.apply(self.client, found, run), run.test)
            for one in pruned:
                self._remove_networks(one.name, one.kept["networks"], changes)
        return changes.found()

    def remove(self, stack: str) -> dict[str, dict[str, Any]]:
        """Remove all services and networks of a stack; return what changed."""
        changes = Changes([])
        with changes.told():
            self._remove_services(stack, self._services(stack), changes)
            if left := self._remove_networks(stack, set(), changes):
                raise errors.SwarmError(
                    f"stack {stack}: other containers use its networks: {'; '.join(left)}. Remove"
                    " them, or disconnect them with `docker network disconnect`, and apply again"
                )
        return changes.found().get(stack, {})

    # ---- what there is

    def _checked(self, stacks: list[Stack], run: Run) -> dict[str, dict[str, Any]]:
        """Return the services of stacks with all their options; raise an error for faults."""
        strangers = [fault for one in stacks for fault in self._strangers(one)]
        option_table.refuse([*dict.fromkeys(strangers)], unchanged=True)
        found = {
            name: service_plan.whole(self.client, name, options, self.listed)
            for one in stacks
            for name, options in one.services.items()
        }
        service_plan.refuse(self.client, found, self.listed, run.networks)
        return found

    def _services(self, stack: str) -> set[str]:
        return {one.service for one in self.listed.values() if one.project == stack} - {""}

    def _strangers(self, stack: Stack) -> Iterator[Fault]:
        """Find objects that a stack would change or join, and that are not its own."""
        path = f"stack {stack.name}"
        want = "another name, or to remove it first"
        for name, one in self.listed.items():
            if one.project == stack.name and not one.service:
                text = f"container {name} on {one.node}, which docker-compose has created"
                cure = f"another name of the stack, or first `docker-compose -p {stack.name} down`"
                yield Fault(f"{path}:services", text, cure)
            elif one.service in stack.services and one.project != stack.name:
                text = f"service {one.service} of {_owner(one.project)}"
                yield Fault(f"{path}:services", text, want)
        for name, owner in self.networks:
            if name in stack.networks and owner != stack.name:
                text = f"network {name} of {_owner(owner)}"
                yield Fault(f"{path}:networks", text, f"`external: true`, {want}")

    # ---- doing it

    def _make_networks(self, stacks: list[Stack], changes: Changes, test: bool) -> list[str]:
        """Create the networks of stacks; return those that have changed."""
        names = []
        for one in stacks:
            for name, settings in one.networks.items():
                found = self.salt["swarm_network.apply"](name, settings, test=test)
                changes.add(one.name, "networks", name, found)
                names += [name] if found else []
        return names

    def _wait_for(self, networks: Iterable[str]) -> None:
        """Wait until the manager has heard of networks that this host's engine has made."""

        def probe() -> str | None:
            missing = sorted(set(networks) - {name for name, _ in _networks(self.client)})
            return (
                f"the manager does not see the networks {', '.join(missing)}" if missing else None
            )

        wait.until(probe, self.run.timeout)

    def _remove_services(self, stack: str, names: Iterable[str], changes: Changes) -> None:
        for name in sorted(names):
            found = services.remove_service(self.client, name, self.run.test)
            changes.add(stack, "services", name, found)

    def _remove_networks(self, stack: str, kept: set[str], changes: Changes) -> list[str]:
        """Remove networks of a stack that no other container uses; return those that stay."""
        own = {name for name, one in self.listed.items() if one.service and one.project == stack}
        left = []
        for name in sorted({name for name, owner in self.networks if owner == stack} - kept):
            network = self.salt["swarm_network.get"](name)
            if used := sorted(set(network["users"] if network else ()) - own):
                left.append(f"{name} is used by {', '.join(used)}")
                continue
            if not self.run.test:
                self.salt["swarm_network.remove"](name)
            changes.removed(stack, "networks", name)
        return left


def _networks(client: Any) -> list[tuple[str, str]]:
    """Return the names of all networks, each with its stack; empty if it belongs to none."""
    return [(one["Name"], (one.get("Labels") or {}).get(MARK, "")) for one in client.networks()]


def _owner(stack: str) -> str:
    return f"stack {stack}" if stack else "no stack"
