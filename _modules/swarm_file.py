"""
Tell which files of ``swarm:files`` this host gets, for containers that mount them.
"""

from swarm_formula.settings import host_files

__virtualname__ = "swarm_file"


def __virtual__():
    return __virtualname__


def wanted():
    """
    Return the files that this host gets, ``{path: options of file.managed}``.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_file.wanted
    """
    settings = __salt__["swarm_settings.get"]()
    return host_files.of_node(settings["id"], settings["files"])
