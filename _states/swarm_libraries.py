"""
Manage the Python libraries that the formula's modules depend on.
"""

from swarm_formula.salt import state_return

__virtualname__ = "swarm_libraries"


def __virtual__():
    if "swarm_libraries.install" not in __salt__:
        return False, "The swarm_libraries execution module is not available"
    return __virtualname__


def installed(name):
    """
    Ensure the ``docker`` SDK, and in classic mode ``python-consul``, are in Salt's own Python.

    .. code-block:: yaml

        client libraries are installed:
          swarm_libraries.installed: []

    name
        A name for the report.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_libraries.install"])


def removed(name):
    """
    Ensure the libraries that this formula installed are absent.

    .. code-block:: yaml

        client libraries are removed:
          swarm_libraries.removed: []

    name
        A name for the report.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_libraries.remove"])
