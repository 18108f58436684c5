"""
Secrets or configs by the role of this node: only the leader of the cluster changes them.

On other nodes, functions that change something do nothing and return ``None``.
"""

from collections.abc import Callable
from typing import Any, Literal

from swarm_formula.cluster import leading, membership, swarm_api
from swarm_formula.salt import dry_run
from swarm_formula.salt.execution import Minion
from swarm_formula.service import content_options, secrets_configs
from swarm_formula.service.content_options import Wanted

Kind = Literal["secrets", "configs"]  # the section of the pillar


def listed(minion: Minion, kind: Kind) -> dict[str, list[str]]:
    """Return the versions that the cluster has, the latest first; empty on a worker."""
    with swarm_api.connect(minion.salt) as client:
        if not membership.manager(swarm_api.swarm(client)):
            return {}
        return secrets_configs.listed(client, kind)


def planned(minion: Minion, kind: Kind, pillar: Any) -> dict[str, str]:
    """
    Return the names that the versions of the pillar have or get in Docker.

    pillar
        The pillar ``swarm``, from ``__pillar__``: Salt 3008 masks what ``pillar.get`` returns.
    """
    return {
        one.name: secrets_configs.version(kind, one.name, one.content)
        for one in _of_pillar(minion, kind, pillar)
    }


def _of_pillar(minion: Minion, kind: Kind, pillar: Any) -> list[Wanted]:
    minion.settings()  # raises an error if the pillar is invalid
    return content_options.of_pillar(minion.salt, pillar, kind)


def apply_all(
    minion: Minion, kind: Kind, pillar: Any, test: bool
) -> dict[str, dict[str, Any]] | None:
    """Ensure those of the pillar have their contents; return what changed."""
    if not minion.settings()[kind]:
        return {}
    return _apply(minion, kind, lambda: _of_pillar(minion, kind, pillar), test)


def apply_one(
    minion: Minion,
    kind: Kind,
    name: str,
    spec: dict[str, Any],
    test: bool,
) -> dict[str, Any] | None:
    """Ensure the latest version of one has this content; return what changed."""
    changes = _apply(
        minion, kind, lambda: [content_options.given(minion.salt, kind, name, spec)], test
    )
    return changes and changes.get(name, {})


def _apply(
    minion: Minion,
    kind: Kind,
    read: Callable[[], list[Wanted]],
    test: bool,
) -> dict[str, dict[str, Any]] | None:
    """Ensure some have the contents that ``read`` returns; return what changed."""
    who = leading.role(minion.salt, test)
    if who == leading.IDLE:
        return None
    wanted = read()
    if who == leading.FOUNDS:
        changes = secrets_configs.promised(wanted)
    else:
        with swarm_api.connect(minion.salt) as client:
            changes = secrets_configs.apply_all(client, wanted, test)
    if test:
        dry_run.note(minion.context, kind, changes)
    return changes


def remove(minion: Minion, kind: Kind, name: str, test: bool) -> dict[str, Any] | None:
    """Remove all versions of one; refused while a service uses one. Return what changed."""
    who = leading.role(minion.salt, test)
    if who != leading.LEADS:
        return None if who == leading.IDLE else {}
    gone = dry_run.noted(minion.context, test).gone
    with swarm_api.connect(minion.salt) as client:
        return secrets_configs.remove(client, kind, name, test, gone)
