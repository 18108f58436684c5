"""
Verify that this node is a member of the swarm.
"""

from swarm_formula.salt import state_return

__virtualname__ = "swarm_node"


def __virtual__():
    if "swarm_node.joined" not in __salt__:
        return False, "The swarm_node execution module is not available"
    return __virtualname__


def joined(name):
    """
    Ensure that this node is a healthy member. This state runs last and changes nothing.

    .. code-block:: yaml

        this node is a member of the swarm:
          swarm_node.joined: []

    name
        A name for the state's return.
    """
    if __opts__["test"] or __salt__["swarm_node.joined"]():
        return state_return.done(name, {})
    return state_return.failed(name, "the managers do not call this node a healthy member any more")
