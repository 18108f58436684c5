"""
Inspect and manage the stacks of a cluster: what compose files describe.

Only the leader of the cluster changes them; in classic mode, the host whose manager is the primary.
On other nodes, functions that change something do nothing and return ``None``.
"""

from swarm_formula.modes import verbs
from swarm_formula.salt import execution
from swarm_formula.stack import reading

__virtualname__ = "swarm_stack"


def __virtual__():
    return __virtualname__


def _settings():
    return __salt__["swarm_settings.get"]()


def _minion():
    return execution.Minion(__salt__, __opts__, __context__)


def _stacks():
    return verbs.of(_settings()).stacks()


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
    changes = _stacks().apply_one(_minion(), name, spec, test)
    return None if changes is None else changes.get(name, {})


def apply_all(test=False):
    """
    Ensure the stacks of ``swarm:stacks`` are as their files say, and run; return what changed.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_stack.apply_all test=True
    """
    wanted = _settings()["stacks"]
    return _stacks().apply(_minion(), wanted, test) if wanted else {}


def complaints():
    """
    Return the warnings of what this job has applied so far, each once, for the states.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_stack.complaints
    """
    return __context__.pop(reading.WARNINGS, [])


def ignored():
    """
    Return the keys of compose files that had no effect so far in this job, for the states.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_stack.ignored
    """
    return __context__.pop(reading.IGNORED, [])


def remove(name, test=False):
    """
    Remove all services, networks, secrets and configs of a stack, and wait; return what changed.

    In builtin mode, what ``docker stack deploy`` has made is removed as well; in classic mode, what
    docker-compose has made stays. Volumes stay, with their data.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_stack.remove shop

    name
        Name of the stack.

    test
        Change nothing.
    """
    return _stacks().remove(_minion(), name, test)
