"""
Manage the files of ``swarm:files`` on this host, by Salt's own ``file.managed``.
"""

from salt.exceptions import CommandExecutionError

from swarm_formula.salt import state_return

__virtualname__ = "swarm_file"


def __virtual__():
    if "swarm_file.wanted" not in __salt__:
        return False, "The swarm_file execution module is not available"
    return __virtualname__


def managed(name):
    """
    Ensure the files of ``swarm:files`` for this host are present.

    .. code-block:: yaml

        swarm files are present:
          swarm_file.managed: []

    name
        A name for the report.
    """
    try:
        wanted = __salt__["swarm_file.wanted"]()
    except CommandExecutionError as err:
        return state_return.failed(name, err)
    found = {path: __states__["file.managed"](path, **options) for path, options in wanted.items()}
    changes = {path: one["changes"] for path, one in found.items() if one["changes"]}
    if failed := [one for one in found.values() if one["result"] is False]:
        return state_return.failed(name, "; ".join(one["comment"] for one in failed), changes)
    if not changes and (told := [path for path, one in found.items() if one["result"] is None]):
        # In a dry run, Salt tells some changes by the result alone.
        changes = {path: {"old": None, "new": found[path]["comment"]} for path in told}
    return state_return.done(name, changes, __opts__["test"])
