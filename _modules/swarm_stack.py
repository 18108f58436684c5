"""
Inspect and manage the stacks of a cluster in builtin mode: what compose files describe.

Only the leader of the cluster changes them. On other nodes, functions that change something do
nothing and return ``None``.
"""

from swarm_formula.cluster import leading, swarm_api
from swarm_formula.salt import dry_run
from swarm_formula.service import apply as service_apply
from swarm_formula.spec import option_table
from swarm_formula.stack import changes as stack_changes
from swarm_formula.stack import file, objects
from swarm_formula.stack import stacks as stack_stacks

__virtualname__ = "swarm_stack"

_WARNINGS, _IGNORED = "swarm_stack.warnings", "swarm_stack.ignored"


def __virtual__():
    return __virtualname__


def _client():
    return swarm_api.connect(__salt__)


def apply(name, spec, test=False):
    """
    Ensure a stack is as its compose file says, and that its services run; return what changed.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_stack.apply shop '{source: "salt://stacks/shop.yml"}' test=True

    name
        Name of the stack.

    spec
        Options, as in ``swarm:stacks``.

    test
        Change nothing.
    """
    options = file.parsed(name, spec)
    changes = _apply({name: options}, lambda: dry_run.noted(__context__, test), test)
    return None if changes is None else changes.get(name, {})


def apply_all(test=False):
    """
    Ensure the stacks of ``swarm:stacks`` are as their files say, and run; return what changed.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_stack.apply_all test=True
    """
    stacks = __salt__["swarm_settings.get"]()["stacks"]
    if not stacks:
        return {}
    return _apply(stacks, lambda: service_apply.pending(__salt__, __context__, test), test)


def _apply(stacks, find_pending, test):
    who = leading.role(__salt__, test)
    if who == leading.IDLE:
        return None
    pending = find_pending()
    if who == leading.LEADS:
        changes = _deploy(stacks, pending, test)
    else:
        found = [one.stack for one in _given(stacks)]
        changes = stack_changes.promised(found, pending.versions)
    return _noted(changes, test)


def _noted(changes, test):
    """Note what a dry run would make and remove, for its later states."""
    for kinds in changes.values() if test else ():
        for kind, found in kinds.items():
            dry_run.note(__context__, kind, found)
    return changes


def _given(stacks):
    """Return stacks with their contents, and keep what they ignore for the states."""
    wanted = [file.given(__salt__, name, one) for name, one in stacks.items()]
    settings = __salt__["swarm_settings.get"]()
    option_table.refuse(objects.collisions([one.stack for one in wanted], settings))
    for one in wanted:
        if one.stack.ignored:
            text = f"stack {one.stack.name} ignores {', '.join(one.stack.ignored)}"
            __context__.setdefault(_IGNORED, []).append(text)
    return wanted


def _deploy(stacks, pending, test):
    timeout = __salt__["swarm_settings.get"]()["timeout"]
    warn = service_apply.noting(__context__, _WARNINGS)
    run = service_apply.Run(timeout, pending, test, warn)
    wanted = _given(stacks)
    with _client() as client:
        return stack_stacks.deploy(client, wanted, run)


def complaints():
    """
    Return the warnings of what this job has applied so far, each once, for the states.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_stack.complaints
    """
    return __context__.pop(_WARNINGS, [])


def ignored():
    """
    Return the keys of compose files that had no effect so far in this job, for the states.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_stack.ignored
    """
    return __context__.pop(_IGNORED, [])


def remove(name, test=False):
    """
    Remove all services, networks, secrets and configs of a stack, and wait; return what changed.

    What ``docker stack deploy`` has made is removed as well. Volumes stay, with their data.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_stack.remove shop

    name
        Name of the stack.

    test
        Change nothing.
    """
    who = leading.role(__salt__, test)
    if who != leading.LEADS:
        return None if who == leading.IDLE else {}
    timeout = __salt__["swarm_settings.get"]()["timeout"]
    with _client() as client:
        return _noted({name: stack_stacks.remove(client, name, timeout, test)}, test)[name]
