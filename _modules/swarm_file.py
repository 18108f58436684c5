"""
Tell which files of ``swarm:files`` this host gets, for containers that mount them.
"""

import swarm_host_files

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
    return swarm_host_files.of_node(settings["id"], settings["files"])
