"""
Find the objects of stacks in a cluster, and names that are taken.

A stack has no object of its own in Docker: what belongs to it has the label
``com.docker.stack.namespace``, by which ``docker stack ls``, ``ps`` and ``rm`` find it as well.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from swarm_formula.compose.file import Stack
from swarm_formula.compose.keys import NAMESPACE
from swarm_formula.core.faults import Fault
from swarm_formula.service import api, secrets_configs
from swarm_formula.spec import service_spec

_KINDS = ("networks", *secrets_configs.KINDS, "services")


def _namespace(kind: str, one: Mapping[str, Any]) -> str | None:
    labels = one.get("Labels") if kind == "networks" else one["Spec"].get("Labels")
    return (labels or {}).get(NAMESPACE)


def _id(kind: str, one: Mapping[str, Any]) -> str:
    found: str = one["Id" if kind == "networks" else "ID"]
    return found


def _used(kind: str, service: Mapping[str, Any]) -> set[str]:
    """Return the IDs of the networks, secrets or configs that a service uses."""
    if kind == "networks":
        return service_spec.network_ids(service)
    return secrets_configs.ids_of(kind, service["TaskTemplate"])


class Cluster:
    """The objects of a cluster, by kind and name."""

    def __init__(self, client: Any) -> None:
        self.client, found = client, api.look(client)
        self.services = found.services
        self.objects: dict[str, dict[str, dict[str, Any]]] = {
            "services": found.services,
            "networks": {one["Name"]: one for one in api.described(client, found)},
            **{kind: secrets_configs.objects(client, kind) for kind in secrets_configs.KINDS},
        }

    def of(self, stack: str, kind: str) -> dict[str, dict[str, Any]]:
        """Return the objects of a stack, by name."""
        found = self.objects[kind].items()
        return {name: one for name, one in found if _namespace(kind, one) == stack}

    def unnamed(self, stack: Stack, kind: str) -> dict[str, dict[str, Any]]:
        """Return the objects of a stack that its file does not name."""
        named = secrets_configs.names(self.objects[kind]) if kind in secrets_configs.KINDS else {}
        kept = stack.kept[kind]
        found = self.of(stack.name, kind)
        return {one: each for one, each in found.items() if not {one, named.get(one)} & kept}

    def free(
        self, stack: str, kind: str, found: Mapping[str, dict[str, Any]]
    ) -> dict[str, dict[str, Any]]:
        """Return those of some objects that no service outside of a stack uses."""
        others = self.services.keys() - self.of(stack, "services").keys()
        used = {each for one in others for each in _used(kind, self.services[one]["Spec"])}
        return {name: one for name, one in found.items() if _id(kind, one) not in used}

    def strangers(self, stack: Stack) -> Iterator[Fault]:
        """Find objects that a stack would change, and that are not its own."""
        wanted = {"services": set(stack.services), "networks": set(stack.networks)}
        for kind in secrets_configs.KINDS:
            named = secrets_configs.names(self.objects[kind])
            names = {one.name for one in stack.files if one.kind == kind}
            wanted[kind] = {one for one, name in named.items() if name in names}
        for kind, names in wanted.items():
            for name in sorted(names & self.objects[kind].keys()):
                owner = _namespace(kind, self.objects[kind][name])
                if owner != stack.name:
                    word = f"{kind[:-1]} {name} of {f'stack {owner}' if owner else 'no stack'}"
                    want = "another name, `external: true`, or to remove it first"
                    yield Fault(f"stack {stack.name}:{kind}", word, want)


def collisions(stacks: list[Stack], settings: Mapping[str, Any]) -> list[Fault]:
    """Find names that two stacks have, or that a stack and the pillar have."""
    owners = {(kind, name): f"swarm:{kind}" for kind in _KINDS for name in settings.get(kind) or ()}
    faults = []
    for stack in stacks:
        names = [("services", one) for one in stack.services]
        names += [("networks", one) for one in stack.networks]
        names += [(one.kind, one.name) for one in stack.files]
        for kind, name in names:
            owner = owners.setdefault((kind, name), f"stack {stack.name}")
            if owner != f"stack {stack.name}":
                want = f"another name: {owner} has it as well"
                faults.append(Fault(f"stack {stack.name}:{kind}", name, want))
    return faults
