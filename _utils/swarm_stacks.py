"""
Deploy stacks: compare, refuse, change, prune, and remove what a compose file names.

A stack has no object of its own in Docker: what belongs to it has the label
``com.docker.stack.namespace``, by which ``docker stack ls``, ``ps`` and ``rm`` find it as well.
Objects with another label, or without one, are never changed or removed.
"""

import contextlib
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import swarm_compose
import swarm_errors
import swarm_networks
import swarm_options
import swarm_service_api as api
import swarm_service_parts as parts
import swarm_service_spec as spec
import swarm_services
import swarm_versions
from salt.exceptions import SaltRenderError
from swarm_compose import Source, Stack
from swarm_compose_keys import NAMESPACE
from swarm_fault import Fault, FaultError
from swarm_options import Option, Shape
from swarm_services import Pending, Run

_SALT = "salt://"
_KINDS = ("networks", *swarm_versions.KINDS, "services")
_REMOVED = {"state": {"old": "present", "new": "absent"}}


def _content(value: Any) -> Any:
    if not isinstance(value, str | dict) or not value:
        raise TypeError
    return value


OPTIONS = {
    "source": Option(swarm_versions.SOURCE, (), "where the compose file is", hidden=True),
    "content": Option(
        Shape(_content, "a compose file, as a text or as a mapping"), (), "itself", hidden=True
    ),
    "template": Option(Shape(parts.one_of("jinja"), "jinja"), (), "what renders the file first"),
    "environment": Option(spec.ENVIRONMENT, (), "values of its variables", {}, hidden=True),
    "prune": Option(spec.FLAG, (), "remove what the file does not name any more", False),
    "resolve": Option(
        spec.RESOLVE, (), "when the registry is asked for the digests of images", "changed"
    ),
    "timeout": Option(spec.COUNT, (), "seconds that an apply waits for each service"),
}


def conflicts(given: dict, path: str) -> Iterator[Fault]:
    """Find out what cannot be together, and the faults of a file that stands in the pillar."""
    if bool(given.get("content")) == bool(given.get("source")):
        yield Fault(path, "not one of them", "either 'content' or 'source'")
    elif given.get("template") and given.get("content"):
        yield Fault(f"{path}:template", "jinja", "no such key: Jinja has rendered the pillar")
    elif given.get("content"):
        name = re.split("[: ]", path)[-1]
        yield from _read(name, given, lambda _: b"", f"{path}:content")[1]


def _read(
    name: str, given: dict, read: Callable[[str], bytes], where: str
) -> tuple[Stack, list[Fault]]:
    variables = given.get("environment") or {}
    return swarm_compose.read(name, Source(given["content"], variables, read, where))


class Wanted(NamedTuple):
    """A stack, and how it is deployed."""

    stack: Stack
    prune: bool


def parsed(name: str, given: dict) -> dict:
    """Return the options of a stack in their canonical form; raise an error for faults."""
    what = f"stack {name}"
    options, faults = swarm_options.parse(given, OPTIONS, what)
    swarm_options.refuse(faults or [*conflicts(options, what)])
    return options


def given(salt: Mapping[str, Callable], name: str, options: dict) -> Wanted:
    """Return a stack with the contents of its files; raise an error if the file is wrong."""
    what, source = f"stack {name}", options.get("source")
    if source:
        options = {**options, "content": _source(salt, what, options)}
    stack, faults = _read(name, options, _reader(salt, what, source), what)
    swarm_options.refuse(faults, unchanged=True)
    more = {key: options[key] for key in ("resolve", "timeout") if options.get(key) is not None}
    services = {key: {**one, **more} for key, one in stack.services.items()}
    return Wanted(stack._replace(services=services), options.get("prune") or False)


def _source(salt: Mapping[str, Callable], what: str, options: dict) -> Any:
    text = _decoded(what, swarm_versions.load(salt, options["source"], what))
    if not options.get("template"):
        return text
    try:
        return salt["slsutil.renderer"](string=text, default_renderer="jinja")
    except SaltRenderError as err:
        # What follows the first line is the file, which may hold secrets.
        reason = str(err).partition("\n")[0]
        raise swarm_errors.SettingsError(
            f"{what}: {options['source']} cannot be rendered: {reason}"
        ) from None


def _decoded(what: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise swarm_errors.SettingsError(f"{what}: its file is no text in UTF-8") from None


def _reader(salt: Mapping[str, Callable], what: str, source: str | None) -> Callable[[str], bytes]:
    """Return a function that reads files beside the compose file, or from where they say."""

    def read(path: str) -> bytes:
        if path.startswith((_SALT, "sdb://", "/")):
            return swarm_versions.load(salt, path, what)
        if not source or source.startswith("sdb://"):
            raise FaultError(path, "salt://PATH or an absolute path: the file is in no folder")
        scheme = _SALT if source.startswith(_SALT) else ""
        place, query, saltenv = source.removeprefix(scheme).partition("?saltenv=")
        folder = posixpath.dirname(place)
        found = posixpath.normpath(posixpath.join(folder, path))
        if found.startswith(".."):
            raise FaultError(path, "a path within salt://")
        return swarm_versions.load(salt, f"{scheme}{found}{query}{saltenv}", what)

    return read


# ---- what a cluster has of stacks


def _namespace(kind: str, one: dict) -> str | None:
    labels = one.get("Labels") if kind == "networks" else one["Spec"].get("Labels")
    return (labels or {}).get(NAMESPACE)


def _id(kind: str, one: dict) -> str:
    return one["Id" if kind == "networks" else "ID"]


def _used(kind: str, service: dict) -> set[str]:
    """Return the IDs of the networks, secrets or configs that a service uses."""
    if kind == "networks":
        return spec.network_ids(service)
    return swarm_versions.ids_of(kind, service["TaskTemplate"])


class _Cluster:
    """The objects of a cluster, by kind and name."""

    def __init__(self, client: Any) -> None:
        self.client, found = client, api.look(client)
        self.services = found.services
        self.objects: dict[str, dict[str, dict]] = {
            "services": found.services,
            "networks": {one["Name"]: one for one in api.described(client, found)},
            **{kind: swarm_versions.objects(client, kind) for kind in swarm_versions.KINDS},
        }

    def of(self, stack: str, kind: str) -> dict[str, dict]:
        """Return the objects of a stack, by name."""
        found = self.objects[kind].items()
        return {name: one for name, one in found if _namespace(kind, one) == stack}

    def unnamed(self, stack: Stack, kind: str) -> dict[str, dict]:
        """Return the objects of a stack that its file does not name."""
        named = swarm_versions.names(self.objects[kind]) if kind in swarm_versions.KINDS else {}
        kept = stack.kept[kind]
        found = self.of(stack.name, kind)
        return {one: each for one, each in found.items() if not {one, named.get(one)} & kept}

    def free(self, stack: str, kind: str, found: Mapping[str, dict]) -> dict[str, dict]:
        """Return those of some objects that no service outside of a stack uses."""
        others = self.services.keys() - self.of(stack, "services").keys()
        used = {each for one in others for each in _used(kind, self.services[one]["Spec"])}
        return {name: one for name, one in found.items() if _id(kind, one) not in used}

    def strangers(self, stack: Stack) -> Iterator[Fault]:
        """Find objects that a stack would change, and that are not its own."""
        wanted = {"services": set(stack.services), "networks": set(stack.networks)}
        for kind in swarm_versions.KINDS:
            named = swarm_versions.names(self.objects[kind])
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


# ---- deploying


def deploy(client: Any, wanted: list[Wanted], run: Run) -> dict[str, dict]:
    """
    Ensure stacks are as their files say, and their services run; return what changed.

    Nothing is changed if one of them is refused. The result is ``{stack: {kind: {name: ...}}}``.
    """
    cluster = _Cluster(client)
    stacks = [one.stack for one in wanted]
    swarm_options.refuse([fault for one in stacks for fault in cluster.strangers(one)])
    run = run._replace(pending=_pending(stacks, run.pending))
    services = {
        name: spec.whole(cluster.services[name]["Spec"], options)
        if name in cluster.services
        else options
        for one in stacks
        for name, options in one.services.items()
    }
    swarm_services.check(client, services, run)
    changes = _Changes(stacks)
    _objects(client, stacks, changes, test=True)
    if not run.test:
        changes = _Changes(stacks)
    pruned = [one.stack for one in wanted if one.prune]
    with changes.told():
        if not run.test:
            _objects(client, stacks, changes, test=False)
        _prune(cluster, pruned, changes, run, ("services",))
        _services(client, services, changes, run)
        _prune(cluster, pruned, changes, run, ("networks", *swarm_versions.KINDS))
    return changes.found()


class _Changes:
    """What changed, by stack, kind and name."""

    def __init__(self, stacks: list[Stack]) -> None:
        self._found: dict[str, dict] = {}
        self._owners = {name: one.name for one in stacks for name in one.services}

    def add(self, stack: str, kind: str, name: str, change: dict) -> None:
        if change:
            self._found.setdefault(stack, {}).setdefault(kind, {})[name] = change

    def services(self, found: Mapping[str, dict]) -> None:
        for name, change in found.items():
            self.add(self._owners[name], "services", name, change)

    def found(self) -> dict[str, dict]:
        return self._found

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """Have an error carry what was changed before it."""
        try:
            yield
        except swarm_errors.RolloutError as err:
            self.services(err.changes)
            raise swarm_errors.RolloutError(str(err), self._found) from None
        except swarm_errors.SwarmError as err:
            if not self._found:
                raise
            raise swarm_errors.RolloutError(str(err), self._found) from None


def _pending(stacks: list[Stack], pending: Pending) -> Pending:
    """Return the names that exist once the networks, secrets and configs of stacks are made."""
    networks = {name for one in stacks for name in one.networks}
    versions = {
        kind: {**pending.versions.get(kind, {}), **_versions(stacks, kind)}
        for kind in swarm_versions.KINDS
    }
    return Pending(pending.networks | networks, versions)


def _versions(stacks: list[Stack], kind: str) -> dict[str, str]:
    files = [each for one in stacks for each in one.files if each.kind == kind]
    return {one.name: swarm_versions.version(kind, one.name, one.content) for one in files}


def _objects(client: Any, stacks: list[Stack], changes: _Changes, test: bool) -> None:
    for one in stacks:
        for name, settings in one.networks.items():
            found = swarm_networks.apply(client, name, settings, test)
            changes.add(one.name, "networks", name, found)
        for file in one.files:
            found = swarm_versions.apply(client, file, test)
            changes.add(one.name, file.kind, file.name, found)


def _services(client: Any, services: dict, changes: _Changes, run: Run) -> None:
    try:
        changes.services(swarm_services.apply(client, services, run))
    except swarm_errors.WaitTimeoutError:
        # A dry run waits for services only if nothing else is to do.
        if not (run.test and changes.found()):
            raise


def _prune(
    cluster: _Cluster, stacks: list[Stack], changes: _Changes, run: Run, kinds: tuple[str, ...]
) -> None:
    for one in stacks:
        for kind in kinds:
            found = cluster.unnamed(one, kind)
            for name in _remove(cluster, one.name, kind, found, run):
                changes.add(one.name, kind, name, _REMOVED)


def _remove(
    cluster: _Cluster, stack: str, kind: str, found: Mapping[str, dict], run: Run
) -> Iterator[str]:
    """Remove those objects of a stack that no service of others uses; yield the name of each."""
    free = found if kind == "services" else cluster.free(stack, kind, found)
    if kind in swarm_versions.KINDS and not run.test:
        yield from swarm_versions.discard(cluster.client, kind, list(free.values()))
        return
    for name in sorted(free):
        if run.test:
            pass
        elif kind == "services":
            api.remove(cluster.client, name, run.timeout)
        else:
            swarm_networks.remove(cluster.client, name)
        yield name


def remove(client: Any, name: str, timeout: float, test: bool = False) -> dict[str, dict]:
    """Remove all objects of a stack, and wait until its tasks are gone; return what changed."""
    cluster, run = _Cluster(client), Run(timeout, test=test)
    changes = _Changes([])
    with changes.told():
        for kind in ("services", "networks", *swarm_versions.KINDS):
            _remove_all(cluster, name, kind, changes, run)
    return changes.found().get(name, {})


def _remove_all(cluster: _Cluster, stack: str, kind: str, changes: _Changes, run: Run) -> None:
    found = cluster.of(stack, kind)
    left = set(found)
    for one in _remove(cluster, stack, kind, found, run):
        changes.add(stack, kind, one, _REMOVED)
        left.discard(one)
    if left:
        raise swarm_errors.SwarmError(
            f"stack {stack}: other services use its {kind} {', '.join(sorted(left))}. Take them out"
            " of their options, and apply again"
        )


def promised(wanted: list[Wanted]) -> dict[str, dict]:
    """Return the changes that will be made in a cluster that does not exist yet."""
    stacks = [one.stack for one in wanted]
    changes = _Changes(stacks)
    versions = {kind: _versions(stacks, kind) for kind in swarm_versions.KINDS}
    for one in stacks:
        for name, settings in one.networks.items():
            changes.add(one.name, "networks", name, swarm_networks.differences(settings, None))
        for kind in swarm_versions.KINDS:
            files = [each for each in one.files if each.kind == kind]
            for name, change in swarm_versions.promised(files).items():
                changes.add(one.name, kind, name, change)
        changes.services(swarm_services.promised(one.services, versions))
    return changes.found()
