"""
Manage the configs of a cluster in builtin mode. Only the leader of the cluster acts.
"""

from swarm_formula.salt import state_return

__virtualname__ = "swarm_config"


def __virtual__():
    if "swarm_config.apply" not in __salt__:
        return False, "The swarm_config execution module is not available"
    return __virtualname__


def present(name, content=None, source=None, keep=2):
    """
    Ensure the latest version of a config has this content.

    Docker cannot change a config: another content becomes another object, ``NAME-HASH``. Services
    name it by ``name``; ``swarm_service.present`` updates them to the latest version.

    .. code-block:: yaml

        site:
          swarm_config.present:
            - source: salt://files/site

    name
        Name of the config in options of services.

    content
        The content itself. Either this or ``source``.

    source
        ``salt://PATH``, ``sdb://PROFILE/KEY`` or the absolute path of a file on every manager.

    keep
        Number of versions that stay; more stay while services use them. Defaults to 2.
    """
    apply, test = __salt__["swarm_config.apply"], __opts__["test"]
    return state_return.applied(name, test, apply, name, content=content, source=source, keep=keep)


def absent(name):
    """
    Ensure there is no version of a config; refused while a service uses one.

    .. code-block:: yaml

        site:
          swarm_config.absent: []

    name
        Name of the config. Configs that others have made are not removed.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_config.remove"], name)


def managed(name):
    """
    Ensure the configs of ``swarm:configs`` are present.

    .. code-block:: yaml

        swarm configs are present:
          swarm_config.managed: []

    name
        A name for the report.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_config.apply_all"])
