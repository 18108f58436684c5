"""
Manage the configs of a cluster in builtin mode, each content as a version of one name.

Only the leader of the cluster changes them. On other nodes, functions that change something do
nothing and return ``None``. No function returns a content.
"""

from swarm_formula.service import content_options, leader_versions, secrets_configs
from swarm_formula.settings import parse
from swarm_formula.spec import container_options

__virtualname__ = "swarm_config"

_KIND = "configs"


def __virtual__():
    return __virtualname__


def _of_pillar():
    __salt__["swarm_settings.get"]()  # raises an error if the pillar is invalid
    # Not pillar.get: Salt 3008 masks the values that it returns to Python.
    return content_options.of_pillar(__salt__, __pillar__.get(parse.ROOT), _KIND)


def versions():
    """
    Return the versions of each config that the formula manages, as Docker has them, latest first.

    Empty on a worker.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_config.versions
    """
    return leader_versions.listed(__salt__, _KIND)


def planned():
    """
    Return the names that the versions of ``swarm:configs`` have or get in Docker.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_config.planned
    """
    found = _of_pillar()
    return {one.name: secrets_configs.version(_KIND, one.name, one.content) for one in found}


def apply(name, content=None, source=None, keep=content_options.LEAST, test=False):
    """
    Ensure the latest version of a config has this content; return what changed.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_config.apply site source=salt://files/site

    name
        Name of the config in options of services.

    content
        The content itself. Either this or ``source``.

    source
        ``salt://PATH``, ``sdb://PROFILE/KEY`` or the absolute path of a file on this host.

    keep
        Number of versions that stay; more stay while services use them. Defaults to 2.

    test
        Change nothing.
    """
    spec = container_options.drop_unset(content=content, source=source, keep=keep)
    changes = _apply(lambda: [content_options.given(__salt__, _KIND, name, spec)], test)
    return changes and changes.get(name, {})


def _apply(read, test):
    return leader_versions.apply(__salt__, __context__, _KIND, read, test)


def apply_all(test=False):
    """
    Ensure the configs of ``swarm:configs`` have their contents; return what changed.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_config.apply_all test=True
    """
    if not __salt__["swarm_settings.get"]()[_KIND]:
        return {}
    return _apply(_of_pillar, test)


def remove(name, test=False):
    """
    Remove all versions of a config; refused while a service uses one. Return what changed.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_config.remove site

    name
        Name of the config.

    test
        Change nothing.
    """
    return leader_versions.remove(__salt__, __context__, _KIND, name, test)
