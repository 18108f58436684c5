"""
What it costs a master that many minions start at once.

A real master, real keys, no minions: the events that they would send are fired on its bus, and so
are their answers. What the states would cost that are published is not in it.
"""

import argparse
import contextlib
import os
import shutil
import signal
import sys
import time
from functools import partial
from pathlib import Path

import salt.utils.event
import salt.version

from bench import loopback
from bench.usage import below, processes, rollup, tree_megabytes

REPO = Path(__file__).resolve().parent.parent
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


def _config(side: str, folder: Path) -> dict:
    shutil.copy(REPO / "_engines/swarm_autojoin.py", folder / "cache/extmods/engines")
    roots = {"base": [str(folder / "states"), str(REPO)]}
    return {"file_roots": roots, **SIDES[side](folder)}


def _master(side: str, keys: int) -> contextlib.AbstractContextManager[tuple[int, dict]]:
    """Run a master of which this side reacts to events."""
    ready = "swarm_autojoin" if side.startswith("engine") else "reactor"
    return loopback.master(keys, partial(_config, side), ready)


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
        _master(side, max(events, 1000)) as (root, opts),
        salt.utils.event.get_event(
            "master", sock_dir=opts["sock_dir"], opts=opts, listen=True
        ) as bus,
    ):
        minions = Minions(bus, events, side == "engine, members")
        before, memory, started = loopback.cpu_seconds(root), megabytes(root), time.monotonic()
        minions.start()
        minions.follow(LIMIT)
        wall = minions.last - started
        used = loopback.cpu_seconds(root) - before
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
    return loopback.line(cells) + note, each


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
    print(loopback.line(titles), flush=True)
    for events in options.events:
        base = None
        for side in options.sides:
            text, each = _row(side, events, base)
            base = base or (each if side == "reactor" else None)
            print(text, flush=True)


if __name__ == "__main__":
    main()
