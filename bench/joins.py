"""
What it costs a master that many minions start at once.

A real master, real keys, no minions: the events that they would send are fired on its bus, and so
are their answers. What the states would cost that are published is not in it.
"""

import argparse
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import salt.config
import salt.utils.event
import yaml

from bench.usage import PROC, below, processes, rollup, tree_megabytes

REPO = Path(__file__).resolve().parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
SIZES = (10, 100, 1000, 3000)
# A side that takes a third of a second for each event is measured on fewer of them.
FEWER = 30
LIMIT = 300
# Seconds without anything new after which those that are left count as lost.
SILENCE = 30
ORCHESTRATE = """
{%- set id = data["id"] %}
join:
  runner.state.orchestrate:
    - args:
      - mods: orch
      - pillar: {id: {{ id | json }}}
"""
ORCH = """
join:
  salt.state:
    - tgt: [{{ pillar["id"] | json }}]
    - tgt_type: list
    - sls: swarm.join
    - timeout: 1
"""


def _engine(_: Path) -> dict:
    return {"engines": [{"swarm_autojoin": {"targets": "*"}}]}


def _reactor(_: Path) -> dict:
    return {"reactor": [{"salt/minion/*/start": [str(REPO / "swarm/reactor/join.sls")]}]}


def _orchestration(folder: Path) -> dict:
    (folder / "reaction.sls").write_text(ORCHESTRATE)
    (folder / "states/orch.sls").write_text(ORCH)
    return {"reactor": [{"salt/minion/*/start": [str(folder / "reaction.sls")]}]}


SIDES = {
    "reactor": _reactor,
    "engine, members": _engine,
    "engine, new": _engine,
    "orchestration": _orchestration,
}


def _write_config(folder: Path, side: str, keys: int) -> Path:
    for name in ("states", "pki/minions", "cache/extmods/engines"):
        (folder / name).mkdir(parents=True)
    for number in range(keys):
        (folder / f"pki/minions/m{number}").write_text("a key\n")
    shutil.copy(REPO / "_engines/swarm_autojoin.py", folder / "cache/extmods/engines")
    config = {
        "interface": "127.0.0.1",
        "publish_port": 14505,
        "ret_port": 14506,
        "worker_threads": 3,
        "user": "root",
        "root_dir": str(folder),
        "pki_dir": str(folder / "pki"),
        "cachedir": str(folder / "cache"),
        "extension_modules": str(folder / "cache/extmods"),
        "sock_dir": str(folder / "sock"),
        "log_file": str(folder / "log"),
        "log_level": "info",
        "log_level_logfile": "info",
        "file_roots": {"base": [str(folder / "states"), str(REPO)]},
        **SIDES[side](folder),
    }
    path = folder / "master"
    path.write_text(yaml.safe_dump(config))
    return path


@contextlib.contextmanager
def master(side: str, keys: int) -> Iterator[tuple[int, dict]]:
    """Run a master with so many accepted keys; gives its process and its options."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = _write_config(folder, side, keys)
        process = subprocess.Popen(  # noqa: S603
            [Path(sys.executable).with_name("salt-master"), "-c", folder],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            opts = salt.config.master_config(str(path))
            _await(folder / "log", side)
            yield process.pid, opts
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)


def _await(log: Path, side: str) -> None:
    """Wait until whatever reacts to events is there; some seconds more for its subscription."""
    word = r"swarm_autojoin" if side.startswith("engine") else r"reactor"
    end = time.monotonic() + 30
    while not (log.exists() and re.search(rf"Starting Engine\(.*{word}", log.read_text())):
        if time.monotonic() > end:
            break
        time.sleep(0.2)
    time.sleep(5)


def cpu_seconds(root: int) -> float:
    """Return the CPU time of a process tree, with that of its children that have ended."""
    total = 0
    for pid in below(root, processes()):
        with contextlib.suppress(OSError):
            fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15]))
    return total / TICKS


def megabytes(root: int) -> float:
    """Return the memory of a process tree."""
    return tree_megabytes(map(rollup, below(root, processes())))


class Minions:
    """Minions that start, are asked whether they are members in order, and join if they are not."""

    def __init__(self, bus: object, count: int, members: bool) -> None:
        self.bus, self.members, self.done = bus, members, set()
        self.last = time.monotonic()
        self.wanted = {f"m{number}" for number in range(count)}

    def start(self) -> None:
        """Fire all start events, as fast as the bus takes them."""
        for minion in self.wanted:
            self.bus.fire_event({"id": minion}, f"salt/minion/{minion}/start")

    def follow(self, limit: float) -> None:
        """Answer what is published, until there is nothing left to do for any of them."""
        end = time.monotonic() + limit
        while self.wanted - self.done and time.monotonic() < min(end, self.last + SILENCE):
            event = self.bus.get_event(wait=1, tag="salt/job/", full=True)
            if event and event["tag"].endswith("/new"):
                self._answer(event["data"])
                self.last = time.monotonic()

    def _answer(self, job: dict) -> None:
        joins = job["fun"] in {"state.apply", "state.sls"}
        answer = {"swarm_node_|-x": {"result": True}} if joins else self.members
        for minion in job["minions"]:
            if joins or self.members:
                self.done.add(minion)
            data = {"id": minion, "return": answer, "success": True, "fun": job["fun"]}
            self.bus.fire_event(data, f"salt/job/{job['jid']}/ret/{minion}")


def measure(side: str, events: int) -> tuple[float, float, int, float]:
    """Return CPU seconds, wall seconds, lost events and the growth of memory in megabytes."""
    with (
        master(side, max(events, 1000)) as (root, opts),
        salt.utils.event.get_event(
            "master", sock_dir=opts["sock_dir"], opts=opts, listen=True
        ) as bus,
    ):
        minions = Minions(bus, events, side == "engine, members")
        before, memory, started = cpu_seconds(root), megabytes(root), time.monotonic()
        minions.start()
        minions.follow(LIMIT)
        wall = minions.last - started
        used = cpu_seconds(root) - before
        grown = megabytes(root) - memory
    return used, wall, events - len(minions.done), grown


def _row(side: str, events: int, base: float | None) -> tuple[str, float]:
    run = min(events, FEWER) if side == "orchestration" else events
    used, wall, lost, grown = measure(side, run)
    each = used / run
    ratio = f"{each / base:.2f}" if base else ""
    note = f"  (of {run}, times {events / run:.0f})" if run != events else ""
    total, took = each * events, wall / run * events
    cells = (side, events, f"{total:.1f}", f"{took:.1f}", lost, f"{grown:+.0f}", ratio)
    return "".join(str(cell).ljust(16) for cell in cells).rstrip() + note, each


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="bench/joins", description=__doc__.strip().splitlines()[0]
    )
    parser.add_argument("--events", type=int, nargs="*", default=SIZES, help="how many minions")
    parser.add_argument("--sides", nargs="*", default=list(SIDES), choices=SIDES)
    options = parser.parse_args()
    # So that the master ends with us, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    titles = ("side", "events", "master CPU s", "wall s", "lost", "memory MB", "CPU ratio")
    print(f"Salt {salt.version.__version__}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    print("".join(title.ljust(16) for title in titles).rstrip(), flush=True)
    for events in options.events:
        base = None
        for side in options.sides:
            text, each = _row(side, events, base)
            base = base or (each if side == "reactor" else None)
            print(text, flush=True)


if __name__ == "__main__":
    main()
