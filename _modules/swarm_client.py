"""
Point the Docker clients of a node's users at the swarm.
"""

from pathlib import Path

import swarm_files
import swarm_roles

__virtualname__ = "swarm_client"

_PROFILE = Path("/etc/profile.d/swarm.sh")


def __virtual__():
    return __virtualname__


def _profile(settings):
    if settings["id"] not in settings["client"]["nodes"]:
        return None
    manager = next(iter(swarm_roles.manager_endpoints(settings).values()))
    return (
        "# Written by Salt (swarm-formula): docker and docker-compose talk to the swarm.\n"
        f"export DOCKER_HOST=tcp://{manager}\n"
    )


def apply(test=False):
    """
    Ensure ``DOCKER_HOST`` is set for login shells where ``swarm:client:nodes`` names this minion.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_client.apply
    """
    return _apply(_profile(__salt__["swarm_settings.get"]()), test)


def remove(test=False):
    """
    Ensure the formula's ``DOCKER_HOST`` is gone.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_client.remove
    """
    return _apply(None, test)


def _apply(wanted, test):
    current = swarm_files.read(_PROFILE)
    if current == wanted:
        return {}
    if not test:
        swarm_files.write(_PROFILE, wanted)
    return {str(_PROFILE): {"old": current, "new": wanted}}
