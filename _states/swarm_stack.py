"""
Manage the stacks of a cluster. Only its leader acts; in classic mode, the host whose manager is the
primary.
"""

from salt.utils.args import clean_kwargs

from swarm_formula.salt import state_return

__virtualname__ = "swarm_stack"


def __virtual__():
    if "swarm_stack.apply" not in __salt__:
        return False, "The swarm_stack execution module is not available"
    return __virtualname__


def deployed(name, **options):
    """
    Ensure a stack is as its compose file says, and that its services run.

    The state succeeds and fails as ``swarm_service.present`` does. Its comment tells what the file
    has that is ignored.

    .. code-block:: yaml

        shop:
          swarm_stack.deployed:
            - source: salt://stacks/shop.yml
            - environment: {TAG: "7"}
            - prune: true

    name
        Name of the stack: the first part of the names of its objects.

    options
        Any of the options of docs/workloads.md, as in ``swarm:stacks``; unknown ones are refused.
    """
    return _applied(name, "swarm_stack.apply", name, clean_kwargs(**options))


def removed(name):
    """
    Ensure there are no services, networks, secrets and configs of a stack. Its volumes stay.

    .. code-block:: yaml

        shop:
          swarm_stack.removed: []

    name
        Name of the stack.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_stack.remove"], name)


def managed(name):
    """
    Ensure the stacks of ``swarm:stacks`` are as their files say, and run.

    .. code-block:: yaml

        swarm stacks are deployed:
          swarm_stack.managed: []

    name
        A name for the report.
    """
    return _applied(name, "swarm_stack.apply_all")


def _applied(name, function, *args):
    ret = state_return.applied(name, __opts__["test"], __salt__[function], *args)
    said = [ret["comment"], *__salt__["swarm_stack.ignored"]()]
    ret = {**ret, "comment": "\n".join(said)}
    return state_return.warned(ret, __salt__["swarm_stack.complaints"]())
