"""
What becomes of tasks while something else is done, as the hosts themselves saw it.

All hosts of the lab have one clock, so what they note can be laid side by side.
"""

import contextlib

from tests.integration import engines
from tests.integration.cluster import IDLE, WORKLOAD

_END = "/run/watch.end"
_PROCESS = "sleep 86401"
# The task's own process, not what Docker says of it.
_LOOK = f"""
rm -f {_END} /run/watch.log
while [ ! -e {_END} ]; do
    echo "$(date +%s.%N) $(pgrep -fxc '{_PROCESS}')"
    sleep 0.2
done >>/run/watch.log
"""


_CALLS = "/srv/calls"
_START = ("systemd-run", "--quiet", "--collect")


class Watched:
    """How many hosts ran a task, from one moment to another."""

    def __init__(self, mode, hosts):
        self.mode, self.hosts = mode, hosts
        self.since = engines.now(mode.lab)

    def tasks(self):
        """Return how many hosts ran a task, at each moment that one of them was looked at."""
        noted = []
        for host in self.hosts:
            lines = self.mode.lab.exec(host, "cat", "/run/watch.log").stdout.splitlines()
            noted += [(float(when), host, count != "0") for when, count in map(str.split, lines)]
        running, counts = {}, []
        for _, host, runs in sorted(noted):
            running[host] = runs
            if len(running) == len(self.hosts):
                counts.append(sum(running.values()))
        return counts


@contextlib.contextmanager
def watched(mode, replicas=None):
    """
    Run a service with one task on each host, or with some replicas; give what becomes of it, and
    take it away.
    """
    hosts = mode.lab.hosts()
    mode.lab.salt("*", "swarm_image.load", WORKLOAD, "salt://images/busybox.tar")
    service = {
        "Name": "watched",
        "TaskTemplate": {"ContainerSpec": {"Image": WORKLOAD, "Command": IDLE}},
        "Mode": {"Replicated": {"Replicas": replicas}} if replicas else {"Global": {}},
    }
    assert mode.post(mode.leader(), "/services/create", service)
    try:
        for host in hosts:
            mode.lab.exec(host, *_START, "--unit=watch", "sh", "-c", _LOOK)
        found = Watched(mode, hosts)
        mode.wait(lambda: found.tasks()[-1:] == [replicas or len(hosts)], 90)
        for host in hosts:
            mode.lab.exec(host, "sh", "-c", ": >/run/watch.log")
        yield found
    finally:
        for host in hosts:
            mode.lab.exec(host, "touch", _END, check=False)
            mode.lab.exec(host, "systemctl", "stop", "watch", check=False)
        mode.api(mode.leader(), "/services/watched", "-X", "DELETE")


@contextlib.contextmanager
def called(mode, host, *urls, patience=2):
    """
    Call a service about ten times a second from a host; give a list that holds the answers
    afterwards, and "failed" for each call that none of the URLs has answered in time.
    """
    calls = " || ".join(f"curl -sf -m {patience} {url}" for url in urls)
    script = f"while :; do {calls} || echo failed; sleep 0.1; done >{_CALLS}"
    mode.lab.exec(host, *_START, "--unit=calls", "sh", "-c", script)
    answers = []
    try:
        yield answers
    finally:
        mode.lab.exec(host, "systemctl", "stop", "calls")
        answers += mode.lab.exec(host, "cat", _CALLS).stdout.split()
