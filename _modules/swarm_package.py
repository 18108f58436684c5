"""
Install, hold and remove the package of the Docker Engine.
"""

from swarm_formula.package import change, plan
from swarm_formula.salt import execution

__virtualname__ = "swarm_package"


def __virtual__():
    return __virtualname__


def _settings():
    return __salt__["swarm_settings.get"]()


def _minion():
    return execution.Minion(__salt__, __opts__, __context__)


def planned():
    """
    Return the version that ``install`` would install, ``""`` if the present version stays.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_package.planned
    """
    return plan.planned(_minion(), _settings()["engine"])


def install(test=False):
    """
    Ensure the engine's package is installed as the pillar specifies; return what changed.

    Before anything is installed, a version that does not support the pillar's settings is refused.
    The engine of a host that had none is left stopped: ``swarm_engine.configure`` starts it.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_package.install test=True
    """
    return change.install(_minion(), _settings(), test)


def remove(test=False):
    """
    Remove the engine's package if this formula installed it; return what changed.

    The package and its data stay if the engine has a container that is not the formula's own.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_package.remove test=True
    """
    return change.remove(_minion(), _settings(), test)
