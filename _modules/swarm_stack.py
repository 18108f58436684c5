"""
Inspect and manage the stacks of a cluster in builtin mode: what compose files describe.

Only the leader of the cluster changes them. On other nodes, functions that change something do
nothing and return ``None``.
"""

import swarm_dry_run
import swarm_leading
import swarm_mode
import swarm_options
import swarm_services
import swarm_stack_changes
import swarm_stack_file
import swarm_stack_objects
import swarm_stacks

__virtualname__ = "swarm_stack"

_WARNINGS, _IGNORED = "swarm_stack.warnings", "swarm_stack.ignored"


def __virtual__():
    return __virtualname__


def _client():
    return swarm_mode.connect(__salt__)


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
    options = swarm_stack_file.parsed(name, spec)
    changes = _apply({name: options}, lambda: swarm_dry_run.noted(__context__, test), test)
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
    return _apply(stacks, lambda: swarm_services.pending(__salt__, __context__, test), test)


def _apply(stacks, find_pending, test):
    who = swarm_leading.role(__salt__, test)
    if who == swarm_leading.IDLE:
        return None
    pending = find_pending()
    if who == swarm_leading.LEADS:
        changes = _deploy(stacks, pending, test)
    else:
        found = [one.stack for one in _given(stacks)]
        changes = swarm_stack_changes.promised(found, pending.versions)
    return _noted(changes, test)


def _noted(changes, test):
    """Note what a dry run would make and remove, for its later states."""
    for kinds in changes.values() if test else ():
        for kind, found in kinds.items():
            swarm_dry_run.note(__context__, kind, found)
    return changes


def _given(stacks):
    """Return stacks with their contents, and keep what they ignore for the states."""
    wanted = [swarm_stack_file.given(__salt__, name, one) for name, one in stacks.items()]
    settings = __salt__["swarm_settings.get"]()
    swarm_options.refuse(swarm_stack_objects.collisions([one.stack for one in wanted], settings))
    for one in wanted:
        if one.stack.ignored:
            text = f"stack {one.stack.name} ignores {', '.join(one.stack.ignored)}"
            __context__.setdefault(_IGNORED, []).append(text)
    return wanted


def _deploy(stacks, pending, test):
    timeout = __salt__["swarm_settings.get"]()["timeout"]
    warn = swarm_services.noting(__context__, _WARNINGS)
    run = swarm_services.Run(timeout, pending, test, warn)
    wanted = _given(stacks)
    with _client() as client:
        return swarm_stacks.deploy(client, wanted, run)


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
    who = swarm_leading.role(__salt__, test)
    if who != swarm_leading.LEADS:
        return None if who == swarm_leading.IDLE else {}
    timeout = __salt__["swarm_settings.get"]()["timeout"]
    with _client() as client:
        return _noted({name: swarm_stacks.remove(client, name, timeout, test)}, test)[name]
