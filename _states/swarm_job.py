"""
Run the jobs of a cluster in builtin mode. Only the leader of the cluster acts.
"""

from salt.exceptions import CommandExecutionError

from swarm_formula.salt import state_return

__virtualname__ = "swarm_job"


def __virtual__():
    if "swarm_job.run" not in __salt__:
        return False, "The swarm_job execution module is not available"
    return __virtualname__


def run(name, timeout=None, lines=20):
    """
    Run a job again whenever the state is applied, and wait until it ends.

    The state fails if the job does not complete, with the error of its tasks. The changes have the
    exit code and the last lines of the log of each task. Use it with ``onchanges``, or in an
    orchestration: a job that ``swarm_service.present`` creates or changes is run by Docker.

    .. code-block:: yaml

        migrate:
          swarm_job.run:
            - timeout: 600
            - onchanges:
                - file: /srv/migrations

    name
        Name of the service, with ``mode: replicated-job`` or ``global-job``.

    timeout
        Seconds to wait; a job that takes longer continues. Defaults to ``swarm:timeout``.

    lines
        Number of lines of the log of each task. Defaults to 20.
    """
    test = __opts__["test"]
    try:
        done = __salt__["swarm_job.run"](name, timeout=timeout, lines=lines, test=test)
    except CommandExecutionError as err:
        return state_return.failed(name, err)
    if done is None:
        return state_return.not_leading(name)
    changes = {"job": {"old": None, "new": "run"}, "tasks": {"old": None, "new": done["tasks"]}}
    if done["completed"] is False:
        return state_return.failed(name, f"job {name}: {done['why not']}", changes)
    return state_return.done(name, changes, test)
