"""
What an apply costs the master in builtin mode, by the size of the fleet.

A real master on loopback. Its minions are keys and what they have published in Salt's mine, but for
four: one makes the requests of an apply, and three managers answer when they are asked.
"""

import argparse
import contextlib
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import salt.cache
import salt.channel.client
import salt.config
import salt.fileclient
import salt.minion
import salt.pillar
import salt.utils.event
import salt.utils.jid
import salt.utils.mine
import salt.version

from bench import loopback
from swarm_formula.builtin import next_step, publication
from swarm_formula.cluster import peers
from swarm_formula.salt import execution
from swarm_formula.salt import mine as salt_mine

SIZES = (100, 1000, 3000)
MANAGERS = ("m0", "m1", "m2")
# The minion that applies. It is a worker, or stands for the leader.
ME = "worker"
LISTS, SETTLE = "swarm_leader.lists", "swarm_leader.settle"
# Seconds that a manager takes to answer.
DELAY = 0.2
LACKS = "the mine lacks what it was filled with"
# What an engine reports of its cluster's managers.
REMOTE = [{"NodeID": f"node-{one}"} for one in MANAGERS]
REPO = Path(__file__).resolve().parent.parent
# What a minion gets that has none of the formula's modules.
FILES = ("*.jinja", "*.json", "*.sls", "builtin/*.sls")
# What a state run of a new worker returns.
STATES = {
    f"swarm_{one}_|-{one}_|-{one}_|-run": {"result": True, "comment": "x" * 80, "changes": {}}
    for one in range(30)
}
# How the pillar names the nodes: by one glob, or each of them.
GLOB, NAMED = "a glob", "their IDs"


def _nodes(size: int, named: str) -> dict:
    return {one: {} for one in (["*"] if named == GLOB else [*map("m{}".format, range(size)), ME])}


def _config(size: int, named: str, folder: Path) -> dict:
    (folder / "pillar").mkdir()
    swarm = {"mode": "builtin", "managers": list(MANAGERS), "nodes": _nodes(size, named)}
    for name, value in (("top", {"base": {"*": ["swarm"]}}), ("swarm", {"swarm": swarm})):
        (folder / f"pillar/{name}.sls").write_text(json.dumps(value))
    # These have keys of their own.
    for name in MANAGERS:
        (folder / f"pki/minions/{name}").unlink()
    return {
        "auto_accept": True,
        "file_roots": {"base": [str(REPO)]},
        "pillar_roots": {"base": [str(folder / "pillar")]},
        "peer": {".*": [LISTS, SETTLE]},
    }


def _settings(size: int, named: str) -> dict:
    """Return what of the settings the requests depend on."""
    managers = dict.fromkeys(MANAGERS, "127.0.0.1")
    found = {"id": ME, "managers": managers, "servers": {}, "nodes": _nodes(size, named)}
    return {**found, "is_manager": False, "address": "127.0.0.1"}


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


def _compile_pillar(opts: dict) -> None:
    salt.pillar.get_pillar(opts, {}, opts["id"], "base").compile_pillar()


class Manager(loopback.Answering):
    """A manager that answers what it is asked; the first one leads the cluster."""

    def __init__(self, name: str, master: dict, settings: dict) -> None:
        super().__init__()
        self._master, self._opts, self._settings = master, _opts(name, master), settings

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
            self.ready.set()
            while not self.ended.is_set():
                job = bus.get_event(wait=0.1, tag="salt/job/")
                if job and self._opts["id"] in job.get("minions", ()):
                    self._answer(channel, job)

    def _answer(self, channel: object, job: dict) -> None:
        # As a minion would: the master may not have noted its job yet.
        time.sleep(DELAY)
        if job["fun"] == SETTLE:
            self._settle()
        answer = {"cmd": "_return", "fun": job["fun"], "jid": job["jid"], "success": True}
        said = "ready" if job["fun"] == LISTS else {}
        self._send(channel, {**answer, "return": said, "retcode": 0})

    def _settle(self) -> None:
        """Make the requests of the leader, which updates the nodes."""
        if self._opts["id"] == MANAGERS[0]:
            _compile_pillar(self._opts)
            peers.node_ids(salt_mine.Mine({}, self._opts), self._settings)

    def _send(self, channel: object, load: dict) -> None:
        channel.send({**load, "id": self._opts["id"]})


class Applier:
    """A minion that makes the requests of an apply."""

    def __init__(self, master: dict, settings: dict) -> None:
        self.minion = salt.minion.SMinion(_opts(ME, master))
        self.settings = settings
        self.mine = salt_mine.Mine(self.minion.functions, self.minion.opts)

    def new(self) -> None:
        """Apply on a worker that joins: it has neither the formula's modules nor a node."""
        opts = self.minion.opts
        _compile_pillar(opts)
        self._get_files()
        minion, inactive = execution.Minion(self.minion.functions, opts, {}), {"NodeID": ""}
        known = next_step.own(minion, inactive, self.settings, managers=True)
        publication.withdraw(minion, inactive, self.settings, known)
        swarm = {
            "LocalNodeState": "active",
            "NodeID": f"node-{ME}",
            "RemoteManagers": REMOTE,
            "NodeAddr": "127.0.0.1",
        }
        joined = known._replace(claims={})
        publication.update(minion, swarm, self.settings, joined)
        next_step.ask_leader(minion, swarm, self.settings, joined)
        self._own(swarm, self.settings)
        self._return()

    def _get_files(self) -> None:
        """Get the formula's modules and states."""
        client = salt.fileclient.get_file_client(self.minion.opts)
        place = Path(self.minion.opts["root_dir"]) / "got"
        for path in (one for glob in FILES for one in sorted((REPO / "swarm").glob(glob))):
            place.unlink(missing_ok=True)
            gzip = 5 if path.name == "modules.json" else None
            if not client.get_file(f"salt://{path.relative_to(REPO)}", str(place), gzip=gzip):
                raise SystemExit(f"the master does not serve {path}")

    def _return(self) -> None:
        """Return the state run."""
        jid = salt.utils.jid.gen_jid(self.minion.opts)
        load = {"cmd": "_return", "id": ME, "jid": jid, "fun": "state.apply", "fun_args": []}
        with salt.channel.client.ReqChannel.factory(self.minion.opts) as channel:
            channel.send({**load, "return": STATES, "success": True, "retcode": 0})

    def worker(self) -> None:
        """Apply on a worker."""
        _compile_pillar(self.minion.opts)
        swarm = {
            "LocalNodeState": "active",
            "NodeID": f"node-{ME}",
            "RemoteManagers": REMOTE,
            "NodeAddr": "127.0.0.1",
        }
        self._own(swarm, self.settings)
        publish = self.minion.functions["publish.publish"]
        answer = publish(MANAGERS[0], LISTS, "node", tgt_type="list", timeout=5)
        if answer != {MANAGERS[0]: "ready"}:
            raise SystemExit(f"{MANAGERS[0]} has not answered: {answer}")

    def leader(self) -> None:
        """Apply on the leader, which looks at all nodes."""
        _compile_pillar(self.minion.opts)
        managers = {**dict.fromkeys(MANAGERS[1:], "127.0.0.1"), ME: "127.0.0.1"}
        settings = {**self.settings, "managers": managers, "is_manager": True}
        cluster = {"Cluster": {"ID": "c"}, "ControlAvailable": True}
        node = {
            "LocalNodeState": "active",
            "NodeID": f"node-{ME}",
            "RemoteManagers": REMOTE,
            "NodeAddr": "127.0.0.1",
        }
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
    "a new worker": (Applier.new, MANAGERS),
    "a worker": (Applier.worker, MANAGERS),
    "the leader": (Applier.leader, (*MANAGERS[1:], ME)),
}
# The roles in one apply with nothing to change on all.
MEAN = ("a worker", "the leader")


def measure(size: int, named: str, runs: int, roles: Iterable[str]) -> Iterator[tuple[str, float]]:
    """Yield for each role the master's CPU milliseconds for an apply."""
    settings = _settings(size, named)
    with (
        loopback.master(size, partial(_config, size, named)) as (root, opts),
        contextlib.ExitStack() as managers_there,
    ):
        for name in MANAGERS:
            managers_there.enter_context(Manager(name, opts, settings))
        applier = Applier(opts, settings)
        for role in roles:
            apply, managers = ROLES[role]
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
    if {*MEAN} <= {*used}:
        worker, leader = (used[role] for role in MEAN)
        yield "all, for each", (worker * (size - 1) + leader) / size


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="bench/fleet", description=__doc__.strip().splitlines()[0]
    )
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES, help="accepted minions")
    parser.add_argument("--runs", type=int, default=10, help="applies of each role (10)")
    parser.add_argument("--roles", nargs="*", default=list(ROLES), choices=ROLES)
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
            for role, used in _with_mean(size, measure(size, named, options.runs, options.roles)):
                ratio = used / base.setdefault((named, role), used)
                cells = (size, named, role, f"{used:.0f}", f"{ratio:.2f}")
                print(loopback.line(cells), flush=True)


if __name__ == "__main__":
    main()
