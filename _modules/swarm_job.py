"""
Run the jobs of a cluster in builtin mode, as from Salt's schedule. Only the leader acts.
"""

from swarm_formula.cluster import leading, swarm_api
from swarm_formula.service import jobs

__virtualname__ = "swarm_job"


def __virtual__():
    return __virtualname__


def run(name, timeout=None, lines=20, test=False):
    """
    Run a job and wait until it ends; return the exit code and the last log lines of each task.

    The job is a service with ``mode: replicated-job`` or ``global-job``, which Docker has already.
    The return code of a run that fails is 1. On nodes that do not lead the cluster, nothing happens
    and the result is ``None``: schedule it on all managers.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_job.run backup timeout=600

    name
        Name of the service.

    timeout
        Seconds to wait; a job that takes longer continues. Defaults to ``swarm:timeout``.

    lines
        Number of lines of the log of each task. Defaults to 20.

    test
        Run nothing; ``completed`` is ``None``. A job that does not exist yet counts as one that an
        earlier state will create.
    """
    who = leading.role(__salt__, test)
    if who == leading.IDLE:
        return None
    if who == leading.FOUNDS:
        return jobs.promised(name)
    if timeout is None:
        timeout = __salt__["swarm_settings.get"]()["timeout"]
    with swarm_api.connect(__salt__) as client:
        if test:
            return jobs.check(client, name)
        done = jobs.run(client, name, timeout, lines)
    if not done["completed"]:
        __context__["retcode"] = 1
    return done
