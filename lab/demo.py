"""
bin/demo: bare machines, one command, a healthy swarm; what it can do; a label that is edited, and a
machine that joins by itself.
"""

import argparse
import shlex
import subprocess
import sys
import time

from lab import cli, config
from lab.api import Lab
from lab.run import LabError

WORKLOAD = "busybox:lab"
ZONES = "abcdefghi"
# Seconds that a new machine may take to install an engine and join.
JOIN_LIMIT = 300


def title(text: str) -> None:
    """Prints a heading."""
    print(f"\n\033[1m# {text}\033[0m" if sys.stdout.isatty() else f"\n# {text}", flush=True)


def zones(lab: Lab) -> dict[str, str]:
    """Returns a zone for each host."""
    return dict(zip(lab.hosts(), ZONES, strict=False))


def pillar(lab: Lab, mode: str, labels: dict[str, dict]) -> None:
    """Writes the demo's pillar: the lab's own, labels for the hosts, and an overlay network."""
    swarm = lab.default_pillar()
    if mode == "builtin":
        # The glob: hosts that are added later may join.
        swarm["nodes"] |= {host: {"labels": one} for host, one in labels.items()}
        swarm["networks"] = {"backend": {"subnet": "10.20.0.0/24", "attachable": True}}
        lab.pillar(swarm)
        return
    if swarm.get("overlay"):
        swarm["networks"] = {"backend": {"driver": "overlay", "subnet": "10.20.0.0/24"}}
    swarm["client"] = {"nodes": ["m1"]}
    lab.pillar(swarm)
    for host, one in labels.items():
        lab.pillar({"labels": one}, host)


def applied(lab: Lab, sls: str = "swarm") -> dict[str, list[dict]]:
    """Applies an SLS to all hosts; returns each host's states, and fails if one of them does."""
    returns = lab.salt("*", "state.apply", sls, timeout=900)
    if silent := set(lab.hosts()) - set(returns):
        raise LabError(f"no answer of {', '.join(sorted(silent))}: is the machine very busy?")
    for host, states in sorted(returns.items()):
        if not isinstance(states, dict):
            raise LabError(f"{host}: {states}")
        if bad := [one["comment"] for one in states.values() if one["result"] is False]:
            raise LabError(f"{host}: {bad[0]}")
    return {host: list(states.values()) for host, states in sorted(returns.items())}


def apply(lab: Lab) -> None:
    """Applies the formula to all hosts and prints a line for each; fails if a state does."""
    for host, states in applied(lab).items():
        done = sum(bool(one["changes"]) for one in states)
        took = sum(float(one.get("duration", 0)) for one in states) / 1000
        print(f"{host}: {len(states)} states, {done} changed, none failed, {took:.1f} s")


def swarm(lab: Lab, *argv: str) -> str:
    """Runs docker in a shell whose docker is the swarm, prints the command and what it says."""
    print(f"m1$ docker {' '.join(argv)}", flush=True)
    # A login shell: the formula has told it where the swarm is, and has a certificate for it.
    done = lab.exec("m1", "bash", "-lc", shlex.join(["docker", *argv]), check=False, timeout=120)
    print((done.stdout + done.stderr).rstrip())
    if done.returncode:
        raise LabError(f"docker {argv[0]} failed with {done.returncode}")
    return done.stdout.strip()


def show_nodes(lab: Lab) -> None:
    """Shows the swarm's own info, and insists that every host is healthy."""
    title("The swarm, as its manager sees it")
    text = swarm(lab, "info")
    if text.count("Status: Healthy") != len(lab.hosts()):
        raise LabError("not every host is Healthy")


def show_constraint(lab: Lab) -> None:
    """Places a container by the label of the last host."""
    last, zone = list(zones(lab).items())[-1]
    title(f"A container placed by constraint:zone=={zone}, which is {last}'s label")
    place_container(lab, "placed", f"zone=={zone}", last)


def place_container(lab: Lab, name: str, constraint: str, host: str) -> None:
    """Runs a container by a constraint, and insists on the host that it is to be on."""
    where = ["-e", f"constraint:{constraint}"]
    swarm(lab, "run", "-d", "--name", name, *where, WORKLOAD, "sleep", "3600")
    names = swarm(lab, "ps", "--format", "{{.Names}}", "--filter", f"name={name}")
    if names != f"{host}/{name}":
        raise LabError(f"it runs as {names}, not on {host}")


def show_overlay(lab: Lab) -> None:
    """Pings a container on the first host from one on the last."""
    title("Traffic between two hosts over the overlay network 'backend'")
    if not lab.default_pillar().get("overlay"):
        print("skipped: the engine of this suite has no cluster-store, so no overlay networks")
        return
    hosts = lab.hosts()
    if len(hosts) < 2:  # noqa: PLR2004
        print("skipped: one host only")
        return
    zone = ZONES[len(hosts) - 1]
    web = ["--net", "backend", "--ip", "10.20.0.100", "-e", "constraint:zone==a"]
    swarm(lab, "run", "-d", "--name", "web", *web, WORKLOAD, "sleep", "3600")
    # The engines tell each other where a container is within some seconds.
    ask = "for i in 1 2 3 4 5 6 7 8 9; do ping -c 1 -W 2 10.20.0.100 && exit; sleep 1; done"
    there = ["--net", "backend", "-e", f"constraint:zone=={zone}"]
    # Not with --rm: when the last container of a network leaves, the engine loses a thread there.
    swarm(lab, "run", "-d", "--name", "visitor", *there, WORKLOAD, "sleep", "3600")
    text = swarm(lab, "exec", "visitor", "sh", "-c", ask)
    if "1 packets received" not in text:
        raise LabError("no answer over the overlay network")


def docker(lab: Lab, host: str, *argv: str) -> str:
    """Runs docker on a host, prints the command and what it says."""
    print(f"{host}$ docker {' '.join(argv)}", flush=True)
    done = lab.exec(host, "docker", *argv, check=False, timeout=120)
    print((done.stdout + done.stderr).rstrip())
    if done.returncode:
        raise LabError(f"docker {argv[0]} failed with {done.returncode}")
    return done.stdout.strip()


def show_cluster(lab: Lab) -> None:
    """Shows the nodes, and insists that all of them are ready."""
    title("The cluster, as a manager sees it")
    if docker(lab, "m1", "node", "ls").count(" Ready ") != len(lab.hosts()):
        raise LabError("not every host is Ready")


def show_service(lab: Lab) -> None:
    """Places a service by the label of the last host."""
    last, zone = list(zones(lab).items())[-1]
    title(f"A service placed by node.labels.zone=={zone}, which is {last}'s label")
    place_service(lab, "placed", f"node.labels.zone=={zone}", last)


def place_service(lab: Lab, name: str, constraint: str, host: str) -> None:
    """Runs a service by a constraint, and insists on the host that it is to be on."""
    what = ["--name", name, "--constraint", constraint, WORKLOAD, "sleep", "3600"]
    docker(lab, "m1", "service", "create", "--quiet", "--no-resolve-image", *what)
    shown = docker(lab, "m1", "service", "ps", "--format", "{{.Node}} {{.CurrentState}}", name)
    if not shown.startswith(f"{host} Running"):
        raise LabError(f"it runs on {shown}, not on {host}")


def show_attached(lab: Lab) -> None:
    """Pings a container on the first host from one on the last."""
    title("Traffic between two hosts over the overlay network 'backend'")
    first, last = lab.hosts()[0], lab.hosts()[-1]
    if first == last:
        print("skipped: one host only")
        return
    web = ["--net", "backend", "--ip", "10.20.0.100", WORKLOAD, "sleep", "3600"]
    docker(lab, first, "run", "-d", "--name", "web", *web)
    ask = "for i in 1 2 3 4 5 6 7 8 9; do ping -c 1 -W 2 10.20.0.100 && exit; sleep 1; done"
    text = docker(lab, last, "run", "--net", "backend", WORKLOAD, "sh", "-c", ask)
    if "1 packets received" not in text:
        raise LabError("no answer over the overlay network")


def processes(lab: Lab) -> dict[str, list[str]]:
    """Returns the PIDs of each host's engine and of all its containers."""
    ask = "pidof dockerd; docker ps -q | xargs -r docker inspect -f '{{.State.Pid}}' | sort"
    return {host: lab.exec(host, "sh", "-c", ask).stdout.split() for host in lab.hosts()}


def show_label(lab: Lab, mode: str) -> None:
    """Edits a label in pillar, applies, and has the scheduler obey it; nothing restarts."""
    host = lab.hosts()[0]
    title(f"A label is edited in pillar: {host} gets disk: ssd")
    before = processes(lab)
    labels = {name: {"zone": zone} for name, zone in zones(lab).items()}
    labels[host]["disk"] = "ssd"
    pillar(lab, mode, labels)
    apply(lab)
    if processes(lab) != before:
        raise LabError(f"something restarted: {before} before, {processes(lab)} after")
    print("the PIDs of all engines and containers are what they were")
    if mode == "builtin":
        place_service(lab, "fast", "node.labels.disk==ssd", host)
    else:
        place_container(lab, "fast", "disk==ssd", host)


def remove_placed(lab: Lab, mode: str) -> None:
    """Removes what ``show_label`` has placed."""
    if mode == "builtin":
        docker(lab, "m1", "service", "rm", "fast")
    else:
        swarm(lab, "rm", "-f", "fast")


def show_join(lab: Lab) -> None:
    """Adds a machine, accepts its key, and waits until it is a member."""
    names = [name for name in config.every_name() if name not in (config.MASTER, *lab.hosts())]
    if not names:
        return
    host = names[0]
    title(f"bin/lab add {host}: a new machine, its key is accepted, nothing else is done")
    lab.add(host)
    accepted = time.monotonic()
    while host not in members(lab):
        if time.monotonic() - accepted > JOIN_LIMIT:
            raise LabError(
                f"{host} is no member after {JOIN_LIMIT} s: bin/lab salt-run swarm.status"
            )
        time.sleep(1)
    print(f"{host} answers its master; {time.monotonic() - accepted:.0f} s later it is a member")


def members(lab: Lab) -> list[str]:
    """Returns the members that are healthy, as `salt-run swarm.status` tells."""
    rows = lab.salt_run("swarm.status")
    return [row["id"] for row in rows if row["state"] in {"Healthy", "Ready"}]


def show_status(lab: Lab) -> None:
    """Shows the whole as the master sees it, and insists that all is well."""
    title("salt-run swarm.status")
    print(lab.exec(config.MASTER, "salt-run", "swarm.status").stdout.rstrip())
    if members(lab) != lab.hosts():
        raise LabError("not every host is a healthy member")


SHOWN = {
    "classic": (show_nodes, show_constraint, show_overlay),
    "builtin": (show_cluster, show_service, show_attached),
}


def load_workload(lab: Lab) -> None:
    """Brings the demo's workload to the hosts, which have no registry."""
    lab.salt("*", "swarm_image.load", WORKLOAD, "salt://images/busybox.tar")


def run(options: argparse.Namespace) -> None:
    """Runs the demo, from nothing to the end."""
    started = time.monotonic()
    lab = Lab()
    lab.down()
    title(f"{options.hosts} bare machines and a Salt master")
    lab.up(options.hosts, options.mode, options.salt, options.suite, host_suite=options.host_suite)
    pillar(lab, options.mode, {host: {"zone": zone} for host, zone in zones(lab).items()})
    swarm_image = lab.status()["images"].get("swarm", {})
    if options.mode == "classic" and swarm_image.get("standin"):
        print("note: no swarm image could be had; a stand-in for tests takes its place")
    title("salt '*' state.apply swarm")
    applied = time.monotonic()
    apply(lab)
    print(f"from bare machines to a healthy swarm: {time.monotonic() - applied:.0f} s")
    load_workload(lab)
    for show in SHOWN[options.mode]:
        show(lab)
    title("Once more: nothing to change")
    apply(lab)
    show_label(lab, options.mode)
    show_join(lab)
    show_status(lab)
    title(f"Done in {time.monotonic() - started:.0f} s")
    if options.down:
        lab.down()
    else:
        print("The lab stays up: bin/lab status, bin/lab salt '*' test.ping; bin/lab down ends it.")


def main() -> int:
    """Reads the options and runs the demo."""
    parser = argparse.ArgumentParser(prog="bin/demo", description=__doc__.strip())
    cli.add_options(parser)
    parser.add_argument("--down", action="store_true", help="take the lab down at the end")
    try:
        run(parser.parse_args())
    except LabError as error:
        print(f"demo: {error}\nbin/lab down cleans up", file=sys.stderr)
        return 1
    except subprocess.TimeoutExpired as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
