"""
Manage the secrets of a cluster in builtin mode. Only the leader of the cluster acts.
"""

from swarm_formula.salt import state_return

__virtualname__ = "swarm_secret"


def __virtual__():
    if "swarm_secret.apply" not in __salt__:
        return False, "The swarm_secret execution module is not available"
    return __virtualname__


def present(name, content=None, source=None, keep=2):
    """
    Ensure the latest version of a secret has this content.

    Docker cannot change a secret: another content becomes another object, ``NAME-HASH``. Services
    name it by ``name``; ``swarm_service.present`` updates them to the latest version.

    .. code-block:: yaml

        password:
          swarm_secret.present:
            - source: salt://files/password

    name
        Name of the secret in options of services.

    content
        The content itself. Either this or ``source``.

    source
        ``salt://PATH``, ``sdb://PROFILE/KEY`` or the absolute path of a file on every manager.

    keep
        Number of versions that stay; more stay while services use them. Defaults to 2.
    """
    apply, test = __salt__["swarm_secret.apply"], __opts__["test"]
    return state_return.applied(name, test, apply, name, content=content, source=source, keep=keep)


def absent(name):
    """
    Ensure there is no version of a secret; refused while a service uses one.

    .. code-block:: yaml

        password:
          swarm_secret.absent: []

    name
        Name of the secret. Secrets that others have made are not removed.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_secret.remove"], name)


def managed(name):
    """
    Ensure the secrets of ``swarm:secrets`` are present.

    .. code-block:: yaml

        swarm secrets are present:
          swarm_secret.managed: []

    name
        A name for the report.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_secret.apply_all"])
