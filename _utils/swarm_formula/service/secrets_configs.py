"""
Secrets and configs of swarm mode in versions: one name in the pillar, one object for each content.

Docker cannot change the content of a secret or config. Each content therefore has an object of its
own, ``NAME-HASH``, with labels that tell its name in the pillar and its place in the row of
versions. Services follow to the latest version by an update. Contents are never in a return, an
error or a log.
"""

import base64
import hashlib
from collections.abc import Container, Mapping
from typing import Any

from swarm_formula.core import errors
from swarm_formula.docker import engine_api
from swarm_formula.service import rollout
from swarm_formula.service.content_options import KINDS, Wanted

NAME, SERIAL = "swarm-formula.name", "swarm-formula.serial"


# Secrets or configs by their names in Docker, as it describes them.
Objects = Mapping[str, dict[str, Any]]


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
            f"{KINDS[kind].word} {name} cannot be removed: services use"
            f" {', '.join(in_use)}. Take it out of their options first"
        )
    for one in row if not test else ():
        _delete(client, kind, one)
    return {"state": {"old": "present", "new": "absent"}} if row else {}
