"""
Secrets or configs by the role of this node: only the leader of the cluster changes them.

On other nodes, functions that change something do nothing and return ``None``.
"""

from collections.abc import Callable, MutableMapping
from typing import Any

from swarm_formula.cluster import leading, membership, swarm_api
from swarm_formula.core.salt_types import Salt
from swarm_formula.salt import dry_run
from swarm_formula.service import secrets_configs
from swarm_formula.service.content_options import Wanted


def listed(salt: Salt, kind: str) -> dict[str, list[str]]:
    """Return the versions that the cluster has, the latest first; empty on a worker."""
    with swarm_api.connect(salt) as client:
        if not membership.manager(swarm_api.swarm(client)):
            return {}
        return secrets_configs.listed(client, kind)


def apply(
    salt: Salt,
    context: MutableMapping[str, Any],
    kind: str,
    read: Callable[[], list[Wanted]],
    test: bool,
) -> dict[str, dict[str, Any]] | None:
    """Ensure some have the contents that ``read`` returns; return what changed."""
    who = leading.role(salt, test)
    if who == leading.IDLE:
        return None
    wanted = read()
    if who == leading.FOUNDS:
        changes = secrets_configs.promised(wanted)
    else:
        with swarm_api.connect(salt) as client:
            changes = secrets_configs.apply_all(client, wanted, test)
    if test:
        dry_run.note(context, kind, changes)
    return changes


def remove(
    salt: Salt, context: MutableMapping[str, Any], kind: str, name: str, test: bool
) -> dict[str, Any] | None:
    """Remove all versions of one; refused while a service uses one. Return what changed."""
    who = leading.role(salt, test)
    if who != leading.LEADS:
        return None if who == leading.IDLE else {}
    gone = dry_run.noted(context, test).gone
    with swarm_api.connect(salt) as client:
        return secrets_configs.remove(client, kind, name, test, gone)
