"""
How long a new minion takes from its start event to a healthy member of the swarm, and what of it.

On the lab's hosts. A bare machine once, then the same machine with an engine, several times; each
time it was no member before: removed by `salt-run swarm.remove`.
"""

import argparse
import json
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from bench import ground
from lab import config
from lab.api import Lab
from lab.config import MASTER
from lab.run import LabError, say

NEW = "m4"
PYTHON = "/opt/salt/bin/python3"
LIMIT = 900
AUTOJOIN = {"swarm_master": {"autojoin": {"targets": ["m*"], "cooldown": 2}}}
# Runs on the master, and ends with the event that a member fires: its states have waited for that.
WATCH = """
import datetime, json, sys
import salt.config, salt.utils.event
host, found, states = sys.argv[1], {}, {}
opts = salt.config.master_config("/etc/salt/master")
with salt.utils.event.get_master_event(opts, opts["sock_dir"]) as bus:
    while True:
        event = bus.get_event(full=True, auto_reconnect=True)
        tag, data = (event["tag"], event["data"]) if event else ("", {})
        stamp = data.get("_stamp") if isinstance(data, dict) else None
        if tag == f"salt/minion/{host}/start":
            found["start"] = stamp
        elif tag.endswith(f"/ret/{host}") and data.get("fun") == "state.apply":
            states = {one["__id__"]: one.get("duration", 0) for one in data["return"].values()}
        elif tag.startswith(f"swarm/node/{host}/"):
            found[tag.rpartition("/")[2]] = stamp
            break
start, end = (datetime.datetime.fromisoformat(one[:26]) for one in found.values())
print(json.dumps({"events": list(found), "seconds": (end - start).total_seconds(),
                  "states": states}))
"""
PARTS = {
    "client libraries are installed": "libraries",
    "engine is installed": "engine's package",
    "engine is configured": "engine",
    "Consul is running": "consul",
    "Consul has a leader": "consul",
    "this node has joined the cluster": "join",
    "this node is healthy": "healthy",
}


def _watched(lab: Lab, trigger: object) -> dict:
    """Have the new minion start; returns what the master's bus told of it."""
    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(lab.exec, MASTER, PYTHON, "-c", WATCH, NEW, timeout=LIMIT)
        time.sleep(3)
        trigger()
        found = json.loads(told.result().stdout)
    if found["events"] != ["start", "joined"]:
        raise LabError(f"{NEW}: {found}")
    return found


def _row(number: object, found: dict) -> str:
    parts: dict[str, float] = {}
    for state, took in found["states"].items():
        name = PARTS.get(state, "other states")
        parts[name] = parts.get(name, 0) + took / 1000
    rest = found["seconds"] - sum(parts.values())
    shown = [f"{name} {took:.1f}" for name, took in {**parts, "Salt": rest}.items()]
    return f"{number!s:10}{found['seconds']:8.1f} s   ({', '.join(shown)})"


def _prepare(lab: Lab, salt: str, mode: str) -> None:
    lab.up(hosts=3, mode=mode, salt=salt, suite="bullseye", autojoin=False)
    command = ["salt-call", "--local", "--file-root=/srv/formula", "state.apply", "swarm.master"]
    lab.exec(MASTER, *command, f"pillar={json.dumps(AUTOJOIN)}", timeout=120)
    # The master has restarted, so all of them have told that they are there.
    end = time.monotonic() + LIMIT
    while set(lab.salt("*", "swarm_node.joined").values()) != {True}:
        if time.monotonic() > end:
            raise LabError("the first three have not joined")
        time.sleep(1)
    ground.settle()


def _install(lab: Lab) -> float:
    """Installs the engine by apt alone, which starts it; returns the seconds that this takes."""
    # A removal may leave the engine, or what it needs.
    _apt(lab, "purge -qq --autoremove docker.io containerd runc")
    started = time.monotonic()
    _apt(lab, "install -qq --no-install-recommends docker.io")
    return time.monotonic() - started


def _apt(lab: Lab, words: str) -> None:
    command = f"DEBIAN_FRONTEND=noninteractive apt-get {words} >/dev/null"
    lab.exec(NEW, "sh", "-c", command, timeout=LIMIT)


def measure(lab: Lab, salt: str, mode: str, runs: int) -> None:
    """Prints a row for each join, the median of those with an engine, and what apt alone takes."""
    _prepare(lab, salt, mode)
    say(f"{NEW}, a bare machine")
    bare = _watched(lab, lambda: lab.add(NEW))
    print(_row("bare", bare), flush=True)
    took, installed = [], []
    for number in range(1, runs + 1):
        lab.salt_run("swarm.remove", NEW, timeout=LIMIT)
        installed.append(_install(lab))
        ground.settle()
        found = _watched(lab, lambda: lab.exec(NEW, "systemctl", "restart", "salt-minion"))
        took.append(found["seconds"])
        print(_row(number, found), flush=True)
    print(
        f"{'median':10}{statistics.median(took):8.1f} s of {runs}, from {min(took)} to {max(took)}"
    )
    alone = statistics.median(installed)
    ratio = bare["seconds"] / alone
    print(
        f"{'apt-get':10}{alone:8.1f} s alone, of {runs}; the bare machine takes {ratio:.2f} of it"
    )


def main() -> int:
    """Reads the options and measures."""
    parser = argparse.ArgumentParser(prog="bench/first", description=__doc__.strip())
    parser.add_argument("--runs", type=int, default=10, help="joins with an engine (10)")
    parser.add_argument("--salt", choices=config.SALT, default="3008", help="Salt release (3008)")
    parser.add_argument("--mode", choices=config.MODES, default="classic", help="(classic)")
    options = parser.parse_args()
    return ground.run(lambda lab: measure(lab, options.salt, options.mode, options.runs))


if __name__ == "__main__":
    sys.exit(main())
