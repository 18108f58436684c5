"""
What services cost: 20 and 200 of them, created, and then with nothing to change.

By `swarm:services` in pillar, by Ansible's docker_swarm_service in a loop, and by
`docker stack deploy`, in turn on the same cluster. In the end, each with the engines' log of API
requests.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bench import ground
from bench.sides import LIMIT
from bench.tools import FOLDER, Ansible
from lab import config
from lab.api import Lab
from lab.run import LabError, run, say
from lab.workloads import BUSYBOX

LEADER = "m1"
ARGS, ENV, LABELS = ["sleep", "1000000"], {"A": "1", "B": "2"}, {"tier": "bench"}
MEMORY = 64 << 20
STACK = "bench"
# Runs with nothing to change, after each that creates.
AGAIN = 3


def names(count: int) -> list[str]:
    """Return the names of so many services."""
    return [f"s{number}" for number in range(1, count + 1)]


@dataclass
class Took:
    """What one side took for one number of services, in seconds, and its requests."""

    created: list[float] = field(default_factory=list)
    again: list[float] = field(default_factory=list)
    requests: int = 0


class Salt:
    """The formula's SLS for services, on all nodes, as in a highstate."""

    name = "Salt"

    def __init__(self, lab: Lab, replicas: int) -> None:
        self._lab, self._replicas = lab, replicas

    def write(self, count: int) -> None:
        """Write so many services into the pillar."""
        one = {
            "image": BUSYBOX,
            "args": ARGS,
            "env": ENV,
            "labels": LABELS,
            "replicas": self._replicas,
            "limits": {"memory": MEMORY},
            "resolve": "never",
        }
        services = {name: one for name in names(count)}
        self._lab.pillar({**ground.read_pillar(self._lab), "services": services})

    def apply(self) -> bool:
        """Apply the SLS; return whether it changed anything."""
        answers = self._lab.salt("*", "state.apply", "swarm.services", timeout=LIMIT)
        states = [
            one
            for host in self._lab.hosts()
            for one in (answers[host].values() if isinstance(answers.get(host), dict) else [{}])
        ]
        if bad := [one for one in states if one.get("result") is not True]:
            raise LabError(f"Salt: {json.dumps(bad)[:2000]}")
        return any(one["changes"] for one in states)


class AnsibleLoop:
    """Ansible's module, once for each service."""

    name = "Ansible"

    def __init__(self, ansible: Ansible, replicas: int) -> None:
        self._ansible, self._replicas, self._count = ansible, replicas, 0

    def write(self, count: int) -> None:
        """Note how many services the next run is for."""
        self._count = count

    def apply(self) -> bool:
        """Run the playbook; return whether it changed anything."""
        given = {
            "services": names(self._count),
            "image": BUSYBOX,
            "args": ARGS,
            "env": ENV,
            "labels": LABELS,
            "replicas": self._replicas,
        }
        inventory = ["--inventory", self._ansible.inventory]
        command = [self._ansible.command, *inventory, "--extra-vars", json.dumps(given)]
        done = run(
            [*command, FOLDER / "services.yml"], env=self._ansible.env, timeout=LIMIT, check=False
        )
        if done.returncode:
            raise LabError(f"Ansible: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        return " changed=0 " not in done.stdout


class StackDeploy:
    """Docker's own command line, with a compose file on the manager."""

    name = "docker stack deploy"

    def __init__(self, lab: Lab, replicas: int) -> None:
        self._lab, self._replicas = lab, replicas

    def write(self, count: int) -> None:
        """Write the compose file with so many services."""
        one = {
            "image": BUSYBOX,
            "command": ARGS,
            "environment": ENV,
            "deploy": {
                "labels": LABELS,
                "replicas": self._replicas,
                "resources": {"limits": {"memory": str(MEMORY)}},
            },
        }
        text = json.dumps({"version": "3.8", "services": dict.fromkeys(names(count), one)})
        self._lab.exec(LEADER, "sh", "-c", "cat > /root/bench.yml", input=text)

    def apply(self) -> bool:
        """Deploy the stack; it does not say whether it changed anything."""
        options = ["--resolve-image=never", "--compose-file=/root/bench.yml"]
        self._lab.exec(LEADER, "docker", "stack", "deploy", *options, STACK, timeout=LIMIT)
        return False


Side = Salt | AnsibleLoop | StackDeploy


def clear(lab: Lab) -> None:
    """Remove all services, and wait until their tasks are gone."""
    script = "docker service ls -q | xargs -r docker service rm >/dev/null"
    lab.exec(LEADER, "sh", "-c", script, timeout=LIMIT)
    end = time.monotonic() + LIMIT
    left = "docker ps -q --filter label=com.docker.swarm.service.name"
    while any(lab.exec(host, "sh", "-c", left).stdout.strip() for host in lab.hosts()):
        if time.monotonic() > end:
            raise LabError("tasks of removed services are still running")
        time.sleep(1)
    lab.exec(LEADER, "sh", "-c", f"docker network rm {STACK}_default >/dev/null 2>&1 || true")
    ground.settle()


def converged(lab: Lab, count: int, replicas: int) -> None:
    """Wait until all tasks of all services run: `docker stack deploy` does not."""
    wanted, end = f"{replicas}/{replicas}", time.monotonic() + LIMIT
    command = ["docker", "service", "ls", "--format", "{{.Replicas}}"]
    while True:
        shown = lab.exec(LEADER, *command).stdout.split()
        if len(shown) == count and set(shown) == {wanted}:
            return
        if time.monotonic() > end:
            raise LabError(f"not all of {count} services have their tasks: {shown}")
        time.sleep(0.2)


def clock(call: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    started = time.monotonic()
    call()
    return time.monotonic() - started


def measure(lab: Lab, side: Side, count: int, replicas: int, took: Took) -> None:
    """Create the services, and run again with nothing to change."""
    clear(lab)
    side.write(count)

    def create() -> None:
        side.apply()
        converged(lab, count, replicas)

    took.created.append(clock(create))
    ground.settle()
    for _ in range(AGAIN):
        changed: list[bool] = []
        took.again.append(clock(lambda changed=changed: changed.append(side.apply())))
        if any(changed):
            raise LabError(f"{side.name} changed something in a run with nothing to change")
    took.requests = requests(lab, side)
    if not isinstance(side, Salt):
        take_over(lab, count, replicas)
    say(
        f"  {count} services, {side.name}: created {took.created[-1]:.1f} s, again"
        f" {statistics.median(took.again):.1f} s, {took.requests} requests"
    )


def take_over(lab: Lab, count: int, replicas: int) -> None:
    """Export what another tool has created, and apply that pillar: it must change nothing."""
    before = ground.read_pillar(lab)
    exported = lab.salt_run("swarm.export")["swarm"]
    if len(exported.get("services", {})) != count:
        raise LabError(f"the export has not all of {count} services: {json.dumps(exported)[:2000]}")
    try:
        lab.pillar({**before, **exported})
        if Salt(lab, replicas).apply():
            raise LabError("an apply with the exported pillar changed something")
    finally:
        lab.pillar(before)
    say(f"  {count} services exported, and applied: 0 changes")


def requests(lab: Lab, side: Side) -> int:
    """Return how many API requests one more run with nothing to change makes on all engines."""
    _debug(lab, True)
    before = _calls(lab)
    side.apply()
    made = _calls(lab) - before
    _debug(lab, False)
    return made


def _debug(lab: Lab, on: bool) -> None:
    """Have the engines log their requests, without a restart."""
    script = (
        "import json,sys; p='/etc/docker/daemon.json'; d=json.load(open(p));"
        f" d.update(debug=True) if {on} else d.pop('debug', None); json.dump(d, open(p, 'w'))"
    )
    for host in lab.hosts():
        lab.exec(host, "python3", "-c", script)
        lab.exec(host, "systemctl", "reload", "docker")
    time.sleep(1)


def _calls(lab: Lab) -> int:
    count = "journalctl -u docker -o cat | grep -c ' /v1[0-9.]*/' || true"
    return sum(int(lab.exec(host, "sh", "-c", count).stdout) for host in lab.hosts())


def render(found: Mapping[int, Mapping[str, Took]]) -> str:
    """Return the table: ratios to Ansible's median, and the growth from few to many."""
    lines = [
        f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}",
        f"{'':24}{'services':>10}{'created, s':>22}{'nothing to change, s':>24}{'requests':>10}",
    ]
    for count, sides in found.items():
        theirs = sides[AnsibleLoop.name]
        for name, one in sides.items():
            created = _cell(one.created, theirs.created)
            again = _cell(one.again, theirs.again)
            lines.append(f"{name:24}{count:>10}{created:>22}{again:>24}{one.requests:>10}")
    if len(found) > 1:
        lines += _slopes(found)
    return "\n".join(lines)


def _slopes(found: Mapping[int, Mapping[str, Took]]) -> list[str]:
    few, many = min(found), max(found)
    lines = []
    for name, one in found[many].items():
        grown = statistics.median(one.again) - statistics.median(found[few][name].again)
        slope = 1000 * grown / (many - few)
        lines.append(f"{name}: {slope:.1f} ms for each more service, with nothing to change")
    return lines


def _cell(values: list[float], by: list[float]) -> str:
    median = statistics.median(values)
    spread = f"{min(values):.1f}-{max(values):.1f}"
    return f"{median:.1f} ({spread}) {median / statistics.median(by):.2f}"


def prepare(lab: Lab, salt: str) -> Ansible:
    """Set up a cluster of three nodes that both sides can use."""
    ansible = Ansible(lab.settings, "builtin")
    # With the runner on the master, which exports.
    lab.up(hosts=3, mode="builtin", salt=salt, suite="bookworm", autojoin=True)
    key = ansible.ensure()
    say("preparing the hosts: engine, images, libraries, cluster")
    ground.prepare(lab, key)
    ansible.write_inventory(lab, ground.read_pillar(lab))
    answers = lab.salt("*", "state.apply", "swarm", timeout=LIMIT)
    bad = [
        one
        for answer in answers.values()
        for one in (answer.values() if isinstance(answer, dict) else [{"comment": answer}])
        if one.get("result") is not True
    ]
    if bad:
        raise LabError(f"the cluster is not set up: {json.dumps(bad)[:2000]}")
    # There is no registry.
    lab.salt("*", "swarm_image.load", BUSYBOX, "salt://images/busybox.tar")
    return ansible


def compare(lab: Lab, options: argparse.Namespace) -> None:
    """Measure all sides in turn, and print the table."""
    ansible = prepare(lab, options.salt)
    sides = [
        Salt(lab, options.replicas),
        AnsibleLoop(ansible, options.replicas),
        StackDeploy(lab, options.replicas),
    ]
    found = {one: {side.name: Took() for side in sides} for one in sorted(options.counts)}
    for _ in range(options.runs):
        for count, took in found.items():
            for side in sides:
                measure(lab, side, count, options.replicas, took[side.name])
    print(render(found))


def main() -> int:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(prog="bench/services", description=__doc__.strip())
    parser.add_argument("--counts", type=int, nargs="+", default=[20, 200], help="(20 200)")
    parser.add_argument("--runs", type=int, default=3, help="repetitions (3)")
    parser.add_argument("--replicas", type=int, default=1, help="of each service (1)")
    parser.add_argument("--salt", choices=config.SALT, default="3008", help="Salt release (3008)")
    options = parser.parse_args()
    return ground.run(lambda lab: compare(lab, options))


if __name__ == "__main__":
    sys.exit(main())
