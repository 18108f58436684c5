"""
Manage the configs of a cluster in builtin mode, each content as a version of one name.

Only the leader of the cluster changes them. On other nodes, functions that change something do
nothing and return ``None``. No function returns a content.
"""

import swarm_dry_run
import swarm_leading
import swarm_membership
import swarm_mode
import swarm_pillar
import swarm_spec
import swarm_versions

__virtualname__ = "swarm_config"

_KIND = "configs"


def __virtual__():
    return __virtualname__


def _client():
    return swarm_mode.connect(__salt__)


def _of_pillar():
    __salt__["swarm_settings.get"]()  # raises an error if the pillar is invalid
    # Not pillar.get: Salt 3008 masks the values that it returns to Python.
    return swarm_versions.of_pillar(__salt__, __pillar__.get(swarm_pillar.ROOT), _KIND)


def versions():
    """
    Return the versions of each config that the formula manages, as Docker has them, latest first.

    Empty on a worker.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_config.versions
    """
    with _client() as client:
        if not swarm_membership.manager(swarm_mode.swarm(client)):
            return {}
        return swarm_versions.listed(client, _KIND)


def planned():
    """
    Return the names that the versions of ``swarm:configs`` have or get in Docker.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_config.planned
    """
    found = _of_pillar()
    return {one.name: swarm_versions.version(_KIND, one.name, one.content) for one in found}


def apply(name, content=None, source=None, keep=swarm_versions.LEAST, test=False):
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
    who = swarm_leading.role(__salt__, test)
    if who == swarm_leading.IDLE:
        return None
    spec = swarm_spec.drop_unset(content=content, source=source, keep=keep)
    wanted = [swarm_versions.given(__salt__, _KIND, name, spec)]
    return _apply(wanted, who, test).get(name, {})


def _apply(wanted, who, test):
    if who == swarm_leading.FOUNDS:
        changes = swarm_versions.promised(wanted)
    else:
        with _client() as client:
            changes = swarm_versions.apply_all(client, wanted, test)
    if test:
        swarm_dry_run.note(__context__, _KIND, changes)
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
    who = swarm_leading.role(__salt__, test)
    return None if who == swarm_leading.IDLE else _apply(_of_pillar(), who, test)


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
    who = swarm_leading.role(__salt__, test)
    if who != swarm_leading.LEADS:
        return None if who == swarm_leading.IDLE else {}
    gone = swarm_dry_run.noted(__context__, test).gone
    with _client() as client:
        return swarm_versions.remove(client, _KIND, name, test, gone)
