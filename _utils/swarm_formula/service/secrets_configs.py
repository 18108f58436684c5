"""
Secrets and configs of swarm mode in versions: one name in the pillar, one object for each content.

Docker cannot change the content of a secret or config. Each content therefore has an object of its
own, ``NAME-HASH``, with labels that tell its name in the pillar and its place in the row of
versions. Services follow to the latest version by an update. Contents are never in a return, an
error or a log.
"""

import base64
import hashlib
import re
from collections.abc import Callable, Container, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from swarm_formula.core import errors, normalize
from swarm_formula.core.faults import Fault
from swarm_formula.docker import engine_api
from swarm_formula.salt import secret_store
from swarm_formula.service import rollout
from swarm_formula.spec import option_table
from swarm_formula.spec.option_table import Option, Shape

NAME, SERIAL = "swarm-formula.name", "swarm-formula.serial"
# The fewest versions that are kept: the one that services follow to, and the one that they have.
LEAST = 2
# Docker's longest name, less a dash and the hash.
_LONGEST = 64 - 13
_VALID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?")
_SALT = "salt://"
_SOURCE = re.compile(r"salt://\S+|sdb://[^/\s]+/\S+|/\S+")
_MOST = 100


# Secrets or configs by their names in Docker, as it describes them.
Objects = Mapping[str, dict[str, Any]]


class Kind(NamedTuple):
    """Secrets or configs."""

    word: str
    path: str  # in the API
    largest: int  # bytes that Docker takes
    key: str  # in a task's ContainerSpec
    id: str  # in that list


KINDS = {
    "secrets": Kind("secret", "/secrets", 500 * 1024, "Secrets", "SecretID"),
    "configs": Kind("config", "/configs", 1000 * 1024, "Configs", "ConfigID"),
}


def _content(value: Any) -> bool:
    """Return whether there is a content: the settings, which anybody may print, hold none."""
    if not isinstance(value, str) or not value:
        raise TypeError
    return True


def _source(value: Any) -> str:
    if not isinstance(value, str) or not _SOURCE.fullmatch(value):
        raise ValueError("found something else")
    return value


def _keep(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not LEAST <= value <= _MOST:
        raise ValueError(f"found no number from {LEAST} to {_MOST}")
    return value


SOURCE = Shape(
    _source, "salt://PATH, sdb://PROFILE/KEY or the absolute path of a file on every manager"
)
OPTIONS = {
    "content": Option(
        Shape(_content, "a text that is not empty"), (), "the content itself", hidden=True
    ),
    "source": Option(SOURCE, (), "where the content is", hidden=True),
    "keep": Option(
        Shape(_keep, "a number of versions, 2 or more"), (), "versions that stay [2]", LEAST
    ),
}


def conflicts(given: dict[str, Any], path: str) -> Iterator[Fault]:
    """Find out whether exactly one of ``content`` and ``source`` is given."""
    if bool(given.get("content")) == bool(given.get("source")):
        yield Fault(path, "not one of them", "either 'content' or 'source'")


class Wanted(NamedTuple):
    """A secret or config: its name in the pillar, its content and the versions that stay."""

    kind: str  # "secrets" or "configs"
    name: str
    content: bytes
    keep: int = LEAST
    labels: Mapping[str, str] = MappingProxyType({})  # more labels of a new version


def check_name(value: object) -> str | None:
    """Accept a name that leaves room for the hash of a version."""
    good = isinstance(value, str) and len(value) <= _LONGEST and _VALID.fullmatch(value)
    return None if good else f"letters, digits, '_', '.' and '-', no longer than {_LONGEST}"


def given(
    salt: Mapping[str, Callable[..., Any]],
    kind: str,
    name: str,
    spec: dict[str, Any],
    what: str = "",
) -> Wanted:
    """Return a secret or config with its content; raise an error if an option is wrong."""
    what = what or f"{KINDS[kind].word} {name}"
    options, faults = option_table.parse(spec, OPTIONS, what)
    if want := check_name(name):
        faults.append(Fault(what, name, want))
    option_table.refuse([*faults, *conflicts(options, what)])
    content = spec.get("content")
    loaded = content.encode() if content else load(salt, options["source"], what)
    return Wanted(kind, name, loaded, options.get("keep", LEAST))


def load(salt: Mapping[str, Callable[..., Any]], source: str, what: str) -> bytes:
    """Return a content exactly as it is in its file; ``sdb`` keeps texts."""
    if source.startswith("sdb://"):
        return secret_store.load(salt, source, path=what).encode()
    path = salt["cp.cache_file"](source) if source.startswith(_SALT) else source
    try:
        return Path(path or "").read_bytes()
    except OSError as err:
        reason = err.strerror if path else "the master has no such file"
        raise errors.SwarmError(f"{what}: {source} cannot be read: {reason}") from None


def of_pillar(salt: Mapping[str, Callable[..., Any]], pillar: Any, kind: str) -> list[Wanted]:
    """Return the secrets or configs of the pillar ``swarm`` with their contents."""
    found = normalize.plain(pillar).get(kind) or {}
    return [given(salt, kind, name, one, f"swarm:{kind}:{name}") for name, one in found.items()]


def apply_all(client: Any, wanted: list[Wanted], test: bool = False) -> dict[str, dict[str, Any]]:
    """Ensure several are as wanted; nothing is changed if one of them is refused."""
    changes = {one.name: apply(client, one, test=True) for one in wanted}
    if not test:
        changes = {one.name: apply(client, one) for one in wanted if changes[one.name]}
    return {name: one for name, one in changes.items() if one}


def promised(wanted: list[Wanted]) -> dict[str, dict[str, Any]]:
    """Return the changes that will be made in a cluster that does not exist yet."""
    return {
        one.name: {"version": {"old": None, "new": version(one.kind, one.name, one.content)}}
        for one in wanted
    }


def version(kind: str, name: str, content: bytes) -> str:
    """
    Return the name that Docker has for a content.

    The name of a secret is shown in many places: the hash of a secret is one that takes long to
    compute, so that a weak one is not guessed from it at once.
    """
    if kind == "secrets":
        digest = hashlib.scrypt(content, salt=name.encode(), n=1 << 12, r=8, p=1, dklen=6).hex()
    else:
        digest = hashlib.sha256(name.encode() + b"\0" + content).hexdigest()[:12]
    return f"{name}-{digest}"


def objects(client: Any, kind: str) -> dict[str, dict[str, Any]]:
    """Return all secrets or configs of the cluster, by their names in Docker."""
    listed = client.secrets if kind == "secrets" else client.configs
    with engine_api.translated(kind):
        return {one["Spec"]["Name"]: one for one in listed() or []}


def labels_of(one: dict[str, Any]) -> dict[str, str]:
    """Return the labels of a secret or config, as Docker describes it."""
    return one["Spec"].get("Labels") or {}


def _serial(one: dict[str, Any]) -> int:
    text = labels_of(one).get(SERIAL, "")
    return int(text) if text.isdigit() else 0


def versions(found: Objects, name: str) -> list[dict[str, Any]]:
    """Return the versions of one name, the latest first."""
    ours = [one for one in found.values() if labels_of(one).get(NAME) == name]
    return sorted(ours, key=_serial, reverse=True)


def listed(client: Any, kind: str) -> dict[str, list[str]]:
    """Return ``{name in pillar: [names in Docker]}``, the latest version first."""
    found = objects(client, kind)
    return {
        name: [one["Spec"]["Name"] for one in versions(found, name)]
        for name in sorted(current(found))
    }


def current(found: Objects) -> dict[str, str]:
    """Return ``{name in pillar: name of its latest version in Docker}``."""
    names = {labels[NAME] for labels in map(labels_of, found.values()) if NAME in labels}
    return {name: versions(found, name)[0]["Spec"]["Name"] for name in names}


def names(found: Objects) -> dict[str, str]:
    """Return ``{name in Docker: name in pillar}`` of all versions."""
    return {key: labels_of(one)[NAME] for key, one in found.items() if NAME in labels_of(one)}


def apply(client: Any, one: Wanted, test: bool = False) -> dict[str, Any]:
    """Ensure the latest version of a name has this content; return what changed."""
    _check_size(one)
    found = objects(client, one.kind)
    wanted = version(one.kind, one.name, one.content)
    row = versions(found, one.name)
    latest = row[0]["Spec"]["Name"] if row else None
    changes = {}
    if latest != wanted:
        changes["version"] = {"old": latest, "new": wanted}
        _check_ours(one, found.get(wanted))
        if not test:
            labels = {NAME: one.name, SERIAL: str(_serial(row[0]) + 1 if row else 1)}
            _put(client, one, labels, found.get(wanted))
    older = [each for each in row if each["Spec"]["Name"] != wanted]
    return {**changes, **_collect(client, one.kind, older[one.keep - 1 :], test)}


def _check_size(one: Wanted) -> None:
    about, found = KINDS[one.kind], len(one.content)
    if not 0 < found <= about.largest:
        raise errors.SettingsError(
            f"{about.word} {one.name}: found {found} bytes; right would be 1 to {about.largest}"
        )


def _check_ours(one: Wanted, there: dict[str, Any] | None) -> None:
    if there and labels_of(there).get(NAME) != one.name:
        word = KINDS[one.kind].word
        raise errors.SwarmError(
            f"{word} {one.name}: the cluster has a {word} {there['Spec']['Name']} that this formula"
            " has not made. Nothing was changed: choose another name in pillar"
        )


def _put(client: Any, one: Wanted, labels: dict[str, str], there: dict[str, Any] | None) -> None:
    """Create a version, or make one that is there the latest."""
    about = KINDS[one.kind]
    with engine_api.translated(f"{about.word} {one.name}"):
        if there is None:
            name = version(one.kind, one.name, one.content)
            data = base64.b64encode(one.content).decode()
            body = {"Name": name, "Labels": {**one.labels, **labels}, "Data": data}
            engine_api.post(client, f"{about.path}/create", json=body)
            return
        body = {**there["Spec"], "Labels": {**labels_of(there), **labels}}
        path = f"{about.path}/{there['ID']}/update?version={there['Version']['Index']}"
        engine_api.post(client, path, json=body)


def _collect(client: Any, kind: str, old: list[dict[str, Any]], test: bool) -> dict[str, Any]:
    """Remove versions that no service and no task uses; return what changed."""
    names = discard(client, kind, old, test)
    return {"old versions": {"old": names, "new": []}} if names else {}


def discard(client: Any, kind: str, objects: list[dict[str, Any]], test: bool = False) -> list[str]:
    """Remove those of some objects that no service and no task uses; return their names."""
    used = _used(client, kind) if objects else set()
    unused = [one for one in objects if one["ID"] not in used]
    for one in unused if not test else ():
        _delete(client, kind, one)
    return sorted(one["Spec"]["Name"] for one in unused)


def _used(client: Any, kind: str, gone: Container[str] = ()) -> set[str]:
    """Return the IDs that a service, a task or an update that may be rolled back refers to."""
    specs, left = [], set()
    with engine_api.translated(f"users of {kind}"):
        for service in client.services():
            if service["Spec"]["Name"] in gone:
                left.add(service["ID"])
                continue
            specs.append(service["Spec"]["TaskTemplate"])
            if (service.get("UpdateStatus") or {}).get("State", "completed") != "completed":
                specs.append((service.get("PreviousSpec") or {}).get("TaskTemplate") or {})
        tasks = client.tasks()
    # A task that is to stop has its files, and is not started again.
    due = [one for one in tasks if rollout.is_due(one) and one["ServiceID"] not in left]
    specs += [one["Spec"] for one in due]
    return {one for each in specs for one in ids_of(kind, each)}


def ids_of(kind: str, task: dict[str, Any]) -> set[str]:
    """Return the IDs of the secrets or configs that the spec of a task refers to."""
    about = KINDS[kind]
    return {one[about.id] for one in (task.get("ContainerSpec") or {}).get(about.key) or []}


def _delete(client: Any, kind: str, one: dict[str, Any]) -> None:
    delete = client.remove_secret if kind == "secrets" else client.remove_config
    with engine_api.translated(f"{KINDS[kind].word} {one['Spec']['Name']}"):
        engine_api.found(delete, one["ID"])


def remove(
    client: Any, kind: str, name: str, test: bool = False, gone: Container[str] = ()
) -> dict[str, Any]:
    """
    Remove all versions of a name; refused while a service uses one. Return what changed.

    gone
        Services that earlier states of a dry run would have removed.
    """
    row = versions(objects(client, kind), name)
    used = _used(client, kind, gone) if row else set()
    if in_use := sorted(one["Spec"]["Name"] for one in row if one["ID"] in used):
        raise errors.SwarmError(
            f"{KINDS[kind].word} {name} cannot be removed: services use {', '.join(in_use)}. Take"
            " it out of their options first"
        )
    for one in row if not test else ():
        _delete(client, kind, one)
    return {"state": {"old": "present", "new": "absent"}} if row else {}
