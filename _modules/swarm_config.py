"""
Manage the configs of a cluster in builtin mode, each content as a version of one name.

Only the leader of the cluster changes them. On other nodes, functions that change something do
nothing and return ``None``. No function returns a content.
"""

from swarm_formula.cluster import leading, membership, swarm_api
from swarm_formula.salt import dry_run
from swarm_formula.service import content_options, secrets_configs
from swarm_formula.settings import parse
from swarm_formula.spec import container_options

__virtualname__ = "swarm_config"

_KIND = "configs"


def __virtual__():
    return __virtualname__


def _client():
    return swarm_api.connect(__salt__)


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
    with _client() as client:
        if not membership.manager(swarm_api.swarm(client)):
            return {}
        return secrets_configs.listed(client, _KIND)


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
    who = leading.role(__salt__, test)
    if who == leading.IDLE:
        return None
    spec = container_options.drop_unset(content=content, source=source, keep=keep)
    wanted = [content_options.given(__salt__, _KIND, name, spec)]
    return _apply(wanted, who, test).get(name, {})


def _apply(wanted, who, test):
    if who == leading.FOUNDS:
        changes = secrets_configs.promised(wanted)
    else:
        with _client() as client:
            changes = secrets_configs.apply_all(client, wanted, test)
    if test:
        dry_run.note(__context__, _KIND, changes)
    return changes


def apply_all(test=False):
    """
    Ensure the configs of ``swarm:configs`` have their contents; return what changed.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_config.apply_all test=True
    """
    if not __salt__["swarm_settings.get"]()[_KIND]:
        return {}
    who = leading.role(__salt__, test)
    return None if who == leading.IDLE else _apply(_of_pillar(), who, test)


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
    who = leading.role(__salt__, test)
    if who != leading.LEADS:
        return None if who == leading.IDLE else {}
    gone = dry_run.noted(__context__, test).gone
    with _client() as client:
        return secrets_configs.remove(client, _KIND, name, test, gone)
