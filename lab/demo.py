"""
bin/demo: bare machines, one command, a healthy swarm; and what it can do.
"""

import argparse
import shlex
import subprocess
import sys
import time

from lab import config
from lab.api import Lab
from lab.run import LabError

WORKLOAD = "busybox:lab"
ZONES = "abcdefghi"


def title(text: str) -> None:
    """Prints a heading."""
    print(f"\n\033[1m# {text}\033[0m" if sys.stdout.isatty() else f"\n# {text}", flush=True)


def pillar(lab: Lab, mode: str) -> None:
    """Writes the demo's pillar: the lab's own, a label for each host, and an overlay network."""
    swarm = lab.default_pillar()
    zones = dict(zip(lab.hosts(), ZONES, strict=False))
    if mode == "builtin":
        swarm["nodes"] = {host: {"labels": {"zone": zone}} for host, zone in zones.items()}
        swarm["networks"] = {"backend": {"subnet": "10.20.0.0/24", "attachable": True}}
        lab.pillar(swarm)
        return
    if swarm.get("overlay"):
        swarm["networks"] = {"backend": {"driver": "overlay", "subnet": "10.20.0.0/24"}}
    swarm["client"] = {"nodes": ["m1"]}
    lab.pillar(swarm)
    for host, zone in zones.items():
        lab.pillar({"labels": {"zone": zone}}, host)


def apply(lab: Lab) -> None:
    """Applies the formula to all hosts and prints a line for each; fails if a state does."""
    returns = lab.salt("*", "state.apply", "swarm", timeout=900)
    for host, states in sorted(returns.items()):
        if not isinstance(states, dict):
            raise LabError(f"{host}: {states}")
        bad = [one["comment"] for one in states.values() if one["result"] is False]
        if bad:
            raise LabError(f"{host}: {bad[0]}")
        done = sum(bool(one["changes"]) for one in states.values())
        took = sum(float(one.get("duration", 0)) for one in states.values()) / 1000
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
    last = lab.hosts()[-1]
    zone = ZONES[len(lab.hosts()) - 1]
    title(f"A container placed by constraint:zone=={zone}, which is {last}'s label")
    swarm(lab, "run", "-d", "--name", "placed", "-e", f"constraint:zone=={zone}", WORKLOAD,
          "sleep", "3600")  # fmt: skip
    names = swarm(lab, "ps", "--format", "{{.Names}}", "--filter", "name=placed")
    if names != f"{last}/placed":
        raise LabError(f"it runs as {names}, not on {last}")


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
    last, zone = lab.hosts()[-1], ZONES[len(lab.hosts()) - 1]
    title(f"A service placed by node.labels.zone=={zone}, which is {last}'s label")
    where = ["--constraint", f"node.labels.zone=={zone}"]
    docker(lab, "m1", "service", "create", "--quiet", "--no-resolve-image", "--name", "placed",
           *where, WORKLOAD, "sleep", "3600")  # fmt: skip
    shown = docker(lab, "m1", "service", "ps", "--format", "{{.Node}} {{.CurrentState}}", "placed")
    if not shown.startswith(f"{last} Running"):
        raise LabError(f"it runs on {shown}, not on {last}")


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
    lab.up(options.hosts, options.mode, options.salt, options.suite)
    pillar(lab, options.mode)
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
    title(f"Done in {time.monotonic() - started:.0f} s")
    if options.down:
        lab.down()
    else:
        print("The lab stays up: bin/lab status, bin/lab salt '*' test.ping; bin/lab down ends it.")


def main() -> int:
    """Reads the options and runs the demo."""
    parser = argparse.ArgumentParser(prog="bin/demo", description=__doc__.strip())
    parser.add_argument("--hosts", type=int, default=3, help="how many, 1 to 9 (3)")
    parser.add_argument(
        "--mode", choices=config.MODES, default="classic", help="which kind of swarm (classic)"
    )
    parser.add_argument("--salt", choices=config.SALT, default="3008", help="Salt release (3008)")
    parser.add_argument(
        "--suite", choices=config.SUITES, default="bullseye", help="where the engine comes from"
    )
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
