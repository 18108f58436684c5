"""
What `salt-run swarm.status` costs in builtin mode, by the number of members.

A real master on loopback and the real command. The members are keys and grains in the master's
cache; what they answer is fired on the bus.
"""

import argparse
import json
import logging
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import salt.cache
import salt.utils.event
import salt.version

from bench import loopback
from swarm_formula.salt import current_pillar

REPO = Path(__file__).resolve().parent.parent
SIZES = (100, 300, 1000)
MANAGERS = ("m0", "m1", "m2")
LABELS = {"zone": "a"}
SWARM = {"mode": "builtin", "managers": [*MANAGERS], "nodes": {"*": {"labels": LABELS}}}
# As a pillar is written: the master renders it for each minion.
PILLAR = "{% set zone = 'a' %}\n" + json.dumps({"swarm": SWARM}).replace('"a"', '"{{ zone }}"')
GRAINS = {"os": "Debian", "os_family": "Debian", "kernel": "Linux", "cpuarch": "x86_64"}


def _config(folder: Path) -> dict:
    (folder / "pillar").mkdir()
    (folder / "pillar/top.sls").write_text(json.dumps({"base": {"*": ["swarm"]}}))
    (folder / "pillar/swarm.sls").write_text(PILLAR)
    # As `salt-run saltutil.sync_all` leaves them.
    for name in ("runners", "utils"):
        shutil.copytree(REPO / f"_{name}", folder / f"cache/extmods/{name}", dirs_exist_ok=True)
    return {"pillar_roots": {"base": [str(folder / "pillar")]}}


def _fill(opts: dict, members: int) -> None:
    """Fill the master's cache with the members' grains."""
    cache = salt.cache.factory(opts)
    for name in map("m{}".format, range(members)):
        grains = {**GRAINS, "id": name, "host": name}
        cache.store("grains", name, grains)
        # Salt 3006 keeps them with the other data of a minion.
        cache.store(f"minions/{name}", "data", {"grains": grains, "pillar": {}})


def _report(name: str) -> dict:
    return {
        "mode": "builtin",
        "address": "127.0.0.1",
        "manager": name in MANAGERS,
        "server": False,
        "managers": dict.fromkeys(MANAGERS, "127.0.0.1"),
        "servers": {},
        "ca": None,
        "registry": None,
        "engine": "26.1.5",
        "pillar": current_pillar.digest(SWARM),
        "endpoint": f"node-{name}",
        "state": "active",
        "error": "",
        "labels": LABELS,
        "availability": None,
    }


def _node(name: str) -> dict:
    return {
        "name": name,
        "hostname": name,
        "address": "127.0.0.1",
        "status": "Ready",
        "error": "",
        "version": "26.1.5",
        "role": "manager" if name in MANAGERS else "worker",
        "labels": LABELS,
        "id": f"node-{name}",
    }


class Members(loopback.Answering):
    """Members that answer whatever is published, on the master's bus."""

    def __init__(self, opts: dict, count: int) -> None:
        super().__init__()
        self._opts = opts
        nodes = {f"node-{name}": _node(name) for name in map("m{}".format, range(count))}
        roles = {name: {"role": "manager", "nodes": {}} for name in MANAGERS}
        managers = {**roles, MANAGERS[0]: {"role": "leader", "nodes": nodes}}
        self._answers: Mapping[str, Callable[[str], object]] = {
            "swarm_node.report": _report,
            "swarm_node.managers": lambda _: managers,
        }

    def run(self) -> None:
        """Answer until the end."""
        opts = self._opts
        with salt.utils.event.get_event(
            "master", sock_dir=opts["sock_dir"], opts=opts, listen=True
        ) as bus:
            self.ready.set()
            while not self.ended.is_set():
                event = bus.get_event(wait=0.1, tag="salt/job/", full=True)
                if event and event["tag"].endswith("/new"):
                    self._answer(bus, event["data"])

    def _answer(self, bus: object, job: dict) -> None:
        answer = self._answers.get(job["fun"], lambda _: True)
        for name in job["minions"]:
            data = {"id": name, "jid": job["jid"], "fun": job["fun"], "return": answer(name)}
            data |= {"success": True, "retcode": 0}
            bus.fire_event(data, f"salt/job/{job['jid']}/ret/{name}")


class Used(NamedTuple):
    """CPU seconds of the command and of the master, and wall seconds."""

    command: float
    master: float
    wall: float


def _children() -> float:
    return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


def _status(folder: str, members: int) -> None:
    """Run the command; fails if it does not show all members as ready."""
    command = [Path(sys.executable).with_name("salt-run"), "-c", folder, "--out", "json"]
    done = subprocess.run(  # noqa: S603
        [*command, "swarm.status"], capture_output=True, text=True, check=True
    )
    ready = sum(row["state"] == "Ready" and not row["why"] for row in json.loads(done.stdout))
    if ready != members:
        raise SystemExit(f"{ready} of {members} members are ready: {done.stdout[:2000]}")


def measure(members: int) -> Used:
    """Return what one status of a swarm with so many members takes."""
    with loopback.master(members, _config) as (root, opts), Members(opts, members):
        _fill(opts, members)
        status = partial(_status, opts["root_dir"], members)
        command, master, started = _children(), loopback.cpu_seconds(root), time.monotonic()
        status()
        wall = time.monotonic() - started
        return Used(_children() - command, loopback.cpu_seconds(root) - master, wall)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="bench/status", description=__doc__.strip().splitlines()[0]
    )
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES, help="members")
    options = parser.parse_args()
    # Salt logs that a master ends while others are connected to it.
    logging.disable(logging.CRITICAL)
    # So that the master ends with us, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(f"Salt {salt.version.__version__}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    titles = ("members", "command CPU s", "master CPU s", "wall s", "CPU ms each", "ratio")
    print(loopback.line(titles), flush=True)
    base = None
    for members in options.sizes:
        used = measure(members)
        each = (used.command + used.master) / members * 1000
        base = base or each
        seconds = (f"{one:.1f}" for one in used)
        print(loopback.line((members, *seconds, f"{each:.0f}", f"{each / base:.2f}")), flush=True)


if __name__ == "__main__":
    main()
