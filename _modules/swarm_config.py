"""
Manage the configs of a cluster in builtin mode, each content as a version of one name.

Only the leader of the cluster changes them. On other nodes, functions that change something do
nothing and return ``None``. No function returns a content.
"""

from swarm_formula.salt import execution
from swarm_formula.service import content_options, leader_versions
from swarm_formula.settings import parse
from swarm_formula.spec import container_options

__virtualname__ = "swarm_config"

_KIND = "configs"


def __virtual__():
    return __virtualname__


def _minion():
    return execution.Minion(__salt__, __opts__, __context__)


def versions():
    """
    Return the versions of each config that the formula manages, as Docker has them, latest first.

    Empty on a worker.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_config.versions
    """
    return leader_versions.listed(_minion(), _KIND)


def planned():
    """
    Return the names that the versions of ``swarm:configs`` have or get in Docker.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_config.planned
    """
    return leader_versions.planned(_minion(), _KIND, __pillar__.get(parse.ROOT))


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
    return leader_versions.apply_one(_minion(), _KIND, name, spec, test)


def apply_all(test=False):
    """
    Ensure the configs of ``swarm:configs`` have their contents; return what changed.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_config.apply_all test=True
    """
    pillar = __pillar__.get(parse.ROOT)
    return leader_versions.apply_all(_minion(), _KIND, pillar, test)


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
    return leader_versions.remove(_minion(), _KIND, name, test)
