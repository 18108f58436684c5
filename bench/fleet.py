"""
What an apply with nothing to change costs the master in builtin mode, by the size of the fleet.

A real master on loopback. Its minions are keys and what they have published in Salt's mine, but for
two: one makes the requests of an apply, and a manager answers when it is asked for a node.
"""

import argparse
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import salt.cache
import salt.channel.client
import salt.config
import salt.minion
import salt.pillar
import salt.utils.event
import salt.utils.mine
import salt.version

from bench import loopback
from swarm_formula.builtin import next_step
from swarm_formula.cluster import peers
from swarm_formula.salt import execution
from swarm_formula.salt import mine as salt_mine

SIZES = (100, 1000, 3000)
MANAGERS = ("m0", "m1", "m2")
# The minion that applies. It is a worker, or stands for the leader.
ME = "worker"
LISTS = "swarm_leader.lists"
# Seconds that a manager takes to answer.
DELAY = 0.2
LACKS = "the mine lacks what it was filled with"
# What an engine reports of its cluster's managers.
REMOTE = [{"NodeID": f"node-{one}"} for one in MANAGERS]
# How the pillar names the nodes: by one glob, or each of them.
GLOB, NAMED = "a glob", "their IDs"


def _nodes(size: int, named: str) -> dict:
    return {one: {} for one in (["*"] if named == GLOB else [*map("m{}".format, range(size)), ME])}


def _config(size: int, named: str, folder: Path) -> dict:
    (folder / "pillar").mkdir()
    swarm = {"mode": "builtin", "managers": list(MANAGERS), "nodes": _nodes(size, named)}
    for name, value in (("top", {"base": {"*": ["swarm"]}}), ("swarm", {"swarm": swarm})):
        (folder / f"pillar/{name}.sls").write_text(json.dumps(value))
    # These two have keys of their own.
    (folder / f"pki/minions/{MANAGERS[0]}").unlink()
    return {
        "auto_accept": True,
        "pillar_roots": {"base": [str(folder / "pillar")]},
        "peer": {".*": [LISTS]},
    }


def _settings(size: int, named: str) -> dict:
    """Return what of the settings the requests depend on."""
    managers = dict.fromkeys(MANAGERS, "127.0.0.1")
    found = {"id": ME, "managers": managers, "servers": {}, "nodes": _nodes(size, named)}
    return {**found, "is_manager": False}


def _publish(opts: dict, size: int, settings: dict, managers: tuple[str, ...]) -> None:
    """Fill the mine with what the members of a cluster with these managers publish."""
    cache = salt.cache.factory(opts)
    allowed = {"allow_tgt": salt_mine.members(settings), "allow_tgt_type": salt_mine.TYPE}
    for name in [*map("m{}".format, range(size)), ME]:
        data: dict = {peers.NODE: f"node-{name}"}
        if name in managers:
            record = {"cluster": "c", "node": f"node-{name}", "address": "127.0.0.1:2377"}
            record |= {"members": allowed["allow_tgt"], "token": "SWMTKN"}
            data[peers.CLUSTER] = salt.utils.mine.wrap_acl_structure(record, **allowed)
        # Salt 3006 keeps it with the other data of a minion.
        cache.store("mine", name, data)
        cache.store(f"minions/{name}", "mine", data)


def _opts(name: str, master: dict) -> dict:
    """Return the options of a minion with a key of its own."""
    folder = Path(master["root_dir"]) / "of" / name
    (folder / "pki").mkdir(parents=True)
    config = {
        "id": name,
        "master": loopback.ADDRESS,
        "master_port": loopback.REQUEST_PORT,
        "publish_port": loopback.PUBLISH_PORT,
        "root_dir": str(folder),
        "pki_dir": str(folder / "pki"),
        "user": "root",
    }
    (folder / "minion").write_text(json.dumps(config))
    opts = salt.config.minion_config(str(folder / "minion"))
    return {**opts, "master_uri": f"tcp://{loopback.ADDRESS}:{loopback.REQUEST_PORT}"}


class Manager(threading.Thread):
    """A manager that answers that it lists the node as ready."""

    def __init__(self, master: dict) -> None:
        super().__init__()
        self._master, self._opts = master, _opts(MANAGERS[0], master)
        self._ready, self._ended = threading.Event(), threading.Event()

    def __enter__(self) -> None:
        self.start()
        self._ready.wait()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        """Answer until the end."""
        master = self._master
        with (
            salt.channel.client.ReqChannel.factory(self._opts) as channel,
            salt.utils.event.get_event(
                "master", sock_dir=master["sock_dir"], opts=master, listen=True
            ) as bus,
        ):
            # With its first request, the master accepts its key.
            self._send(channel, {"cmd": "_mine", "data": {}})
            self._ready.set()
            while not self._ended.is_set():
                job = bus.get_event(wait=0.1, tag="salt/job/")
                if job and job.get("fun") == LISTS and "minions" in job:
                    # As a minion would: the master may not have noted its job yet.
                    time.sleep(DELAY)
                    answer = {"cmd": "_return", "fun": LISTS, "return": "ready", "retcode": 0}
                    self._send(channel, {**answer, "jid": job["jid"], "success": True})

    def _send(self, channel: object, load: dict) -> None:
        channel.send({**load, "id": MANAGERS[0]})


class Applier:
    """A minion that makes the requests of an apply with nothing to change."""

    def __init__(self, master: dict, settings: dict) -> None:
        self.minion = salt.minion.SMinion(_opts(ME, master))
        self.settings = settings
        self.mine = salt_mine.Mine(self.minion.functions, self.minion.opts)

    def _pillar(self) -> None:
        opts = self.minion.opts
        salt.pillar.get_pillar(opts, {}, ME, "base").compile_pillar()

    def worker(self) -> None:
        """Apply on a worker."""
        self._pillar()
        swarm = {"LocalNodeState": "active", "NodeID": f"node-{ME}", "RemoteManagers": REMOTE}
        self._own(swarm, self.settings)
        publish = self.minion.functions["publish.publish"]
        answer = publish(MANAGERS[0], LISTS, "node", tgt_type="list", timeout=5)
        if answer != {MANAGERS[0]: "ready"}:
            raise SystemExit(f"{MANAGERS[0]} has not answered: {answer}")

    def leader(self) -> None:
        """Apply on the leader, which looks at all nodes."""
        self._pillar()
        managers = {**dict.fromkeys(MANAGERS[1:], "127.0.0.1"), ME: "127.0.0.1"}
        settings = {**self.settings, "managers": managers, "is_manager": True}
        cluster = {"Cluster": {"ID": "c"}, "ControlAvailable": True}
        node = {"LocalNodeState": "active", "NodeID": f"node-{ME}", "RemoteManagers": REMOTE}
        self._own({**cluster, **node}, settings)
        # "joined" also tells what no apply can change, and "nodes" uses what it has read.
        if len(peers.node_ids(self.mine, settings).claims) < len(MANAGERS):
            raise SystemExit(LACKS)

    def _own(self, swarm: dict, settings: dict) -> None:
        """Read the mine as "this node has joined the cluster" and "this node is healthy" do."""
        minion = execution.Minion(self.minion.functions, self.minion.opts, {})
        for _ in range(2):
            if not set(next_step.own(minion, swarm, settings).records) >= {*MANAGERS[1:]}:
                raise SystemExit(LACKS)


ROLES = {
    "a worker": (Applier.worker, MANAGERS),
    "the leader": (Applier.leader, (*MANAGERS[1:], ME)),
}


def measure(size: int, named: str, runs: int) -> Iterator[tuple[str, float]]:
    """Yield for each role the master's CPU milliseconds for an apply."""
    settings = _settings(size, named)
    with loopback.master(size, partial(_config, size, named)) as (root, opts), Manager(opts):
        applier = Applier(opts, settings)
        for role, (apply, managers) in ROLES.items():
            _publish(opts, size, settings, managers)
            apply(applier)
            before = loopback.cpu_seconds(root)
            for _ in range(runs):
                apply(applier)
            yield role, (loopback.cpu_seconds(root) - before) / runs * 1000


def _with_mean(size: int, found: Iterable[tuple[str, float]]) -> Iterator[tuple[str, float]]:
    """Yield what each role takes, and what a node takes in one apply on all: one of them leads."""
    used = {}
    for role, milliseconds in found:
        used[role] = milliseconds
        yield role, milliseconds
    worker, leader = (used[role] for role in ROLES)
    yield "all, for each", (worker * (size - 1) + leader) / size


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="bench/fleet", description=__doc__.strip().splitlines()[0]
    )
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES, help="accepted minions")
    parser.add_argument("--runs", type=int, default=10, help="applies of each role (10)")
    parser.add_argument("--named", nargs="*", default=(GLOB, NAMED), choices=(GLOB, NAMED))
    options = parser.parse_args()
    # Salt logs that a master ends while others are connected to it.
    logging.disable(logging.CRITICAL)
    # So that the master ends with us, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(f"Salt {salt.version.__version__}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    print(loopback.line(("minions", "nodes named by", "apply on", "master CPU ms", "ratio")))
    base: dict[tuple[str, str], float] = {}
    for size in options.sizes:
        for named in options.named:
            for role, used in _with_mean(size, measure(size, named, options.runs)):
                ratio = used / base.setdefault((named, role), used)
                cells = (size, named, role, f"{used:.0f}", f"{ratio:.2f}")
                print(loopback.line(cells), flush=True)


if __name__ == "__main__":
    main()
