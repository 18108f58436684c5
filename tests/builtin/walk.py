"""
A walk at random through what operators and accidents do to a cluster in swarm mode.

A step is a line of text, such as ``off m2``: the walk is printed, and done again, as it stands.
``plan`` makes the lines from a seed; ``Walker`` does them on real hosts and looks at the engines.
"""

import contextlib
import json
import os
import random
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from lab.api import Lab
from lab.run import LabError
from tests.builtin.mode import SwarmMode
from tests.integration.cluster import IDLE, WORKLOAD, changed, failures

HOSTS = ("m1", "m2", "m3", "m4", "m5")
RUN = "salt-call state.apply swarm"
SERVICE, REPLICAS = "walkers", 3
# Steps between two looks at whether an apply on all makes everything good.
STRETCH = 12
# Seconds that an engine, a leader or a task may take on a machine that is busy.
PATIENCE = 240
# Whether ``swarm.status`` is compared after each step, and not only when all is good.
ALWAYS = bool(os.environ.get("SWARM_TEST_STATUS"))
# What ``swarm.status`` calls a node that takes part.
WELL = {"ready", "drain", "pause"}


def majority(count: int) -> int:
    """Return how many of ``count`` managers have to be up."""
    return count // 2 + 1


class Expected:
    """What a careful operator has in mind while planning: who is there, and who is a manager."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.there, self.off, self.drained = {"m1", "m2", "m3"}, set(), set()
        self.managers = ["m1", "m2", "m3"]

    @property
    def on(self) -> set[str]:
        """Return the hosts that are switched on."""
        return self.there - self.off

    def can_miss(self, host: str) -> bool:
        """Say whether the managers go on without this host, and some other host works."""
        left = set(self.managers) & self.on - {host}
        return len(left) >= majority(len(self.managers)) and bool(self.on - self.drained - {host})

    def pick(self, hosts: set[str]) -> str | None:
        """Return one of the hosts, ``None`` if there is none."""
        return self.chance.choice(sorted(hosts)) if hosts else None

    def missable(self) -> str | None:
        """Return a host that may fail."""
        return self.pick({host for host in self.on if self.can_miss(host)})

    def worker(self) -> str | None:
        """Return a host that is no manager."""
        return self.pick(self.on - set(self.managers))


def _managers(mind: Expected) -> list[str]:
    """Edit the list: any hosts, new machines too, as long as most of them are up."""
    count = mind.chance.choice((1, 1, 2, 2, 3, 3, 3))
    new = mind.chance.sample(HOSTS, count)
    if len(set(new) - mind.off) < majority(len(new)):
        return []
    steps = [f"add {host}" for host in new if host not in mind.there]
    mind.there |= set(new)
    mind.managers = new
    return [*steps, f"managers {','.join(new)}", *_apply(mind)]


def _apply(mind: Expected) -> list[str]:
    """Apply: mostly on all, else on some, or until it is killed."""
    kind = mind.chance.random()
    hosts = sorted(mind.on)
    if kind < 0.6:
        return ["apply *"]
    if kind < 0.8:
        some = mind.chance.sample(hosts, mind.chance.randint(1, len(hosts)))
        return [f"apply {','.join(sorted(some))}"]
    return [f"kill {mind.chance.choice(hosts)} {mind.chance.uniform(0.5, 12):.1f}"]


def _off(mind: Expected) -> list[str]:
    host = mind.missable()
    mind.off |= {host} - {None}
    return [f"off {host}"] if host else []


def _on(mind: Expected) -> list[str]:
    host = mind.pick(mind.off)
    mind.off -= {host}
    return [f"on {host}"] if host else []


def _reset(mind: Expected) -> list[str]:
    host = mind.missable()
    mind.drained -= {host}
    return [f"reset {host}"] if host else []


def _add(mind: Expected) -> list[str]:
    host = mind.pick(set(HOSTS) - mind.there)
    mind.there |= {host} - {None}
    return [f"add {host}"] if host else []


def _remove(mind: Expected) -> list[str]:
    host = mind.worker()
    if not host or not mind.can_miss(host):
        return []
    mind.there -= {host}
    mind.drained -= {host}
    return [f"remove {host}"]


def _rename(mind: Expected) -> list[str]:
    old, new = mind.worker(), mind.pick(set(HOSTS) - mind.there)
    if not old or not new or not mind.can_miss(old):
        return []
    mind.there = mind.there - {old} | {new}
    mind.drained -= {old}
    return [f"rename {old} {new}"]


def _engine(mind: Expected) -> list[str]:
    host = mind.missable()
    return [f"{mind.chance.choice(('restart', 'crash'))} {host}"] if host else []


def _role(mind: Expected) -> list[str]:
    """Promote or demote by hand, against the pillar."""
    if mind.chance.random() < 0.5 and (host := mind.worker()):
        return [f"promote {host}"]
    host = mind.missable()
    return [f"demote {host}"] if host else []


def _drain(mind: Expected) -> list[str]:
    if mind.drained:
        host = mind.pick(mind.drained)
        mind.drained = set()
        return [f"activate {host}"]
    host = mind.missable()
    mind.drained |= {host} - {None}
    return [f"drain {host}"] if host else []


def _rmnode(mind: Expected) -> list[str]:
    host = mind.worker()
    return [f"rmnode {host}"] if host else []


def _absent(mind: Expected) -> list[str]:
    """Do something to a node whose host is off."""
    host = mind.pick(mind.off) or mind.missable()
    if not host:
        return []
    mind.off |= {host}
    return [f"off {host}", f"demote {host}", *mind.chance.choice(([], [f"rmnode {host}"]))]


def _secret(mind: Expected) -> list[str]:
    return [mind.chance.choice(("token worker", "token manager", "ca"))]


def _flush(mind: Expected) -> list[str]:
    return [f"flush {mind.chance.choice(sorted(mind.on))}"]


def _crossing(mind: Expected) -> list[str]:
    """Cut a host's power right after an apply that takes a role from it, and switch it on."""
    old = set(mind.managers)
    steps = _managers(mind)
    host = mind.pick({one for one in old & mind.on if mind.can_miss(one)} - set(mind.managers))
    return [*steps, f"off {host}", f"on {host}"] if steps and host else steps


_STEPS = {
    _managers: 4,
    _crossing: 2,
    _apply: 3,
    _off: 3,
    _on: 3,
    _reset: 1,
    _add: 1,
    _remove: 1,
    _rename: 1,
    _engine: 2,
    _role: 2,
    _drain: 1,
    _rmnode: 1,
    _absent: 1,
    _secret: 2,
    _flush: 1,
}


def plan(seed: int, count: int) -> list[str]:
    """Return at least ``count`` steps, always the same for one seed."""
    mind = Expected(random.Random(seed))  # noqa: S311  not for secrets
    steps: list[str] = []
    settled = 0
    while len(steps) < count:
        (step,) = mind.chance.choices(list(_STEPS), list(_STEPS.values()))
        steps += step(mind)
        if len(steps) - settled >= STRETCH:
            steps.append("settle")
            mind.off, settled = set(), len(steps)
    return steps if steps[-1] == "settle" else [*steps, "settle"]


class WalkError(AssertionError):
    """Something that must never be."""


class Walker:
    """Does the steps on the lab's hosts, each only if the managers keep their quorum."""

    def __init__(self, mode: SwarmMode, say=print) -> None:
        self.mode, self.lab, self.say = mode, mode.lab, say
        self.managers = ["m1", "m2", "m3"]
        self.off: set[str] = set()
        self.was: dict[str, str] = {}  # node IDs of hosts that are off
        self.raft: set[str] | None = None  # by a report without failures, ``None``: look
        self.cluster = mode.cluster()
        self.finished = False
        self.start = time.monotonic()

    # --- what is

    @property
    def on(self) -> list[str]:
        """Return the hosts that are switched on."""
        return [host for host in self.lab.hosts() if host not in self.off]

    def swarm(self, host: str) -> dict:
        """Return what a host's engine says of its swarm mode, nothing if there is none."""
        with contextlib.suppress(LabError):
            return self.mode.swarm(host)
        return {}

    def swarms(self) -> dict[str, dict]:
        """Return what all engines say."""
        with ThreadPoolExecutor() as pool:
            return dict(zip(self.on, pool.map(self.swarm, self.on), strict=True))

    def voice(self) -> tuple[str, list[dict]] | None:
        """Return a host that can speak for the cluster, and its list of nodes."""
        for host, swarm in self.swarms().items():
            if swarm.get("ControlAvailable") and (found := self.mode.api(host, "/nodes")):
                return host, found
        return None

    def nodes(self) -> tuple[str, list[dict]]:
        """Wait until there is a leader; return a manager, and its list of nodes."""
        found = self._until(self.voice, "the cluster has no leader")
        return found

    def _until(self, probe, text: str, limit: float = PATIENCE):
        end = time.monotonic() + limit
        while not (found := probe()):
            if time.monotonic() > end:
                raise WalkError(text() if callable(text) else text)
            time.sleep(1)
        return found

    def node_of(self, host: str) -> tuple[str, dict | None]:
        """Return a manager, and the node that a host is, or was when it was switched off."""
        speaker, nodes = self.nodes()
        me = self.was.get(host) if host in self.off else self.swarm(host).get("NodeID")
        return speaker, next((one for one in nodes if one["ID"] == me), None)

    # --- what must always be

    def one_cluster(self) -> None:
        """Fail if any engine is in another cluster than the first one."""
        found = {host: (one.get("Cluster") or {}).get("ID") for host, one in self.swarms().items()}
        others = {host: one for host, one in found.items() if one not in (None, "", self.cluster)}
        if others:
            raise WalkError(f"the cluster was {self.cluster}, and there is {others}")

    def serves(self) -> None:
        """Wait until the service runs on what is there."""

        def running() -> bool:
            speaker, nodes = self.nodes()
            ready = {one["ID"] for one in nodes if one["Status"]["State"] == "ready"}
            query = json.dumps({"service": [SERVICE], "desired-state": ["running"]})
            words = ["-G", "--data-urlencode", f"filters={query}"]
            tasks = self.mode.api(speaker, "/tasks", *words) or []
            good = [
                one
                for one in tasks
                if one["Status"]["State"] == "running" and one.get("NodeID") in ready
            ]
            return len(good) == REPLICAS

        self._until(running, "the service does not run on the nodes that are there")

    def quorum_without(self, host: str) -> bool:
        """Say whether the managers go on without a host, as its operator would look it up."""
        if self.raft is not None:
            left = self.raft & set(self.on) - {host}
            return host not in self.raft or len(left) >= majority(len(self.raft))
        _, nodes = self.nodes()
        me = self.was.get(host) if host in self.off else self.swarm(host).get("NodeID")
        managers = [one for one in nodes if one.get("ManagerStatus") or _due(one) == "manager"]
        left = [one for one in managers if one["ID"] != me and _reachable(one)]
        return len(left) >= majority(len(managers))

    # --- the way

    def walk(self, steps: list[str]) -> None:
        """Do the steps; a fault tells which have been done, and how to do them again."""
        self._serve()
        for number, step in enumerate(steps, 1):
            try:
                self.say(f"walk {time.monotonic() - self.start:6.0f}s  {number:3}  {step}")
                word, *rest = step.split()
                getattr(self, f"do_{word}")(*rest)
                self.one_cluster()
                if ALWAYS:
                    self._told()
            except (AssertionError, LabError) as err:
                done = "; ".join(steps[:number])
                raise WalkError(
                    f"{err}\nafter step {number} of this walk; to do it again:\n"
                    f"SWARM_TEST_STEPS='{done}'\n{self.picture()}"
                ) from err
        self.finished = True

    def picture(self) -> str:
        """Return what everybody says, for the one who looks into a fault."""
        lines = [f"pillar's managers: {self.managers}; off: {sorted(self.off)}"]
        for host, one in self.swarms().items():
            keys = ("LocalNodeState", "NodeID", "ControlAvailable", "Error")
            known = [each["Addr"] for each in one.get("RemoteManagers") or []]
            lines.append(f"{host}: {[one.get(key) for key in keys]} knows {known}")
        if found := self.voice():
            lines += [f"node {_words(one)}" for one in found[1]]
        return "\n".join(lines)

    def _serve(self) -> None:
        self.lab.salt("*", "swarm_image.load", WORKLOAD, "salt://images/busybox.tar")
        speaker, _ = self.nodes()
        self.mode.api(speaker, f"/services/{SERVICE}", "-X", "DELETE")
        spec = {"Image": WORKLOAD, "Command": IDLE}
        service = {
            "Name": SERVICE,
            "TaskTemplate": {"ContainerSpec": spec},
            "Mode": {"Replicated": {"Replicas": REPLICAS}},
        }
        if not self.mode.post(speaker, "/services/create", service):
            raise WalkError("no service could be made")

    # --- steps: pillar and applies

    def do_managers(self, names: str) -> None:
        """Edit the list in pillar."""
        self.managers, self.raft = names.split(","), None
        self.mode.pillar(managers=self.managers, timeout=60)

    def _state(self, hosts: list[str]) -> tuple[dict, dict]:
        """Apply; return what failed and what changed. An error of our own code is a fault."""
        for host in hosts:
            self.mode.await_minion(host)
        returns = self.mode.state(target=",".join(hosts))
        told = failures(returns) | {one: "no answer" for one in hosts if one not in returns}
        for key, text in told.items():
            if "requisite failed" not in text:
                self.say(f"       {key}: {text}")
            if "Traceback" in text or "An exception occurred" in text:
                raise WalkError(f"{key}: {text}")
        done = changed({key: one for key, one in returns.items() if isinstance(one, dict)})
        self._load(hosts)
        return told, done

    def _load(self, hosts: list[str]) -> None:
        """Give engines the service's image: there is no registry."""
        for host in hosts:
            if self.mode.api(host, f"/images/{WORKLOAD}/json") is None:
                self.lab.salt(host, "swarm_image.load", WORKLOAD, "salt://images/busybox.tar")

    def do_apply(self, names: str) -> None:
        """Apply on all that are on, or on some."""
        hosts = self.on if names == "*" else [one for one in names.split(",") if one in self.on]
        if not hosts:
            return
        told, _ = self._state(hosts)
        there = set(self.managers) <= set(self.on)
        self.raft = set(self.managers) if names == "*" and not told and there else None

    def do_kill(self, host: str, seconds: str) -> None:
        """Have a host apply, and kill that in the middle."""
        if host not in self.on:
            return
        self.raft = None
        self.mode.await_minion(host)
        with ThreadPoolExecutor() as pool:
            run = pool.submit(self.lab.exec, host, *RUN.split(), check=False, timeout=300)
            time.sleep(float(seconds))
            self.lab.exec(host, "pkill", "-9", "-f", RUN, check=False)
            run.result()

    def do_flush(self, host: str) -> None:
        """Have a minion's mine forget all."""
        if host in self.on:
            self.mode.await_minion(host)
            self.lab.salt(host, "mine.flush")

    # --- steps: hosts

    def do_off(self, host: str) -> None:
        """Cut a host's power."""
        if host in self.on and self.quorum_without(host):
            self.was[host] = self.swarm(host).get("NodeID", "")
            self.lab.stop(host)
            self.off.add(host)

    def do_on(self, host: str) -> None:
        """Switch a host on."""
        if host in self.off:
            self.lab.start(host)
            self.off.discard(host)

    def do_reset(self, host: str) -> None:
        """Have a fresh machine in a host's place."""
        if host in self.on and self.quorum_without(host):
            self.raft = None
            self.lab.reset(host)

    def do_add(self, host: str) -> None:
        """Add a new machine."""
        if host not in self.lab.hosts():
            self.lab.add(host)

    def do_remove(self, host: str) -> None:
        """Take a machine away, and tell nobody."""
        if host in self.on and host not in self.managers and self.quorum_without(host):
            self.raft = None
            self.lab.remove(host)

    def do_rename(self, old: str, new: str) -> None:
        """Have a host's engine go on, with its data, under another name and address."""
        hosts = self.lab.hosts()
        if old not in self.on or new in hosts or not self.quorum_without(old):
            return
        self.raft = None
        self.lab.stop(old)
        # Added without a key: no engine may start there before the data are.
        self.lab.add(new, accept=False)
        places = [self._volume(host) for host in (old, new)]
        subprocess.run(["cp", "-a", f"{places[0]}/.", places[1]], check=True)  # noqa: S603, S607
        self.lab.remove(old)
        keys = "/etc/salt/pki/master"
        # On a busy machine, the minion may not have sent it yet, and nothing would be accepted.
        self._until(
            lambda: self._is_on_master(f"{keys}/minions_pre/{new}"), f"no key of {new} came"
        )
        self.lab.exec("salt", "salt-key", "--yes", f"--accept={new}")

    def _is_on_master(self, path: str) -> bool:
        return self.lab.exec("salt", "test", "-e", path, check=False).returncode == 0

    def _volume(self, host: str) -> str:
        name = self.lab.settings.volume(host)
        done = self.lab.engine.docker("volume", "inspect", "-f", "{{.Mountpoint}}", name)
        return done.stdout.strip()

    def do_restart(self, host: str) -> None:
        """Restart a host's engine."""
        if host in self.on and self.quorum_without(host):
            self.lab.exec(host, "systemctl", "restart", "docker", check=False, timeout=300)

    def do_crash(self, host: str) -> None:
        """Kill a host's engine; systemd starts it again."""
        if host in self.on and self.quorum_without(host):
            self.lab.exec(host, "pkill", "-9", "dockerd", check=False)

    # --- steps: what somebody does by hand

    def _update(self, host: str, **spec: str) -> None:
        speaker, node = self.node_of(host)
        if node:
            path = f"/nodes/{node['ID']}/update?version={node['Version']['Index']}"
            self.mode.post(speaker, path, {**node["Spec"], **spec})

    def do_promote(self, host: str) -> None:
        """Make a worker a manager."""
        if host in self.on:
            self.raft = None
            self._update(host, Role="manager")

    def do_demote(self, host: str) -> None:
        """Make a manager a worker, also one that is off."""
        if host in self.lab.hosts() and self.quorum_without(host):
            self.raft = None
            self._update(host, Role="worker")

    def do_drain(self, host: str) -> None:
        """Have a node's tasks go elsewhere."""
        if host in self.on:
            self._update(host, Availability="drain")

    def do_activate(self, host: str) -> None:
        """Let a node have tasks again."""
        if host in self.on:
            self._update(host, Availability="active")

    def do_rmnode(self, host: str) -> None:
        """Remove a worker from the list, alive or not."""
        speaker, node = self.node_of(host)
        if node and not node.get("ManagerStatus") and _due(node) == "worker":
            self.mode.api(speaker, f"/nodes/{node['ID']}?force=true", "-X", "DELETE")

    def _change(self, query: str = "", **spec: object) -> None:
        speaker, _ = self.nodes()
        now = self.mode.api(speaker, "/swarm")
        if now:
            path = f"/swarm/update?version={now['Version']['Index']}{query}"
            self.mode.post(speaker, path, {**now["Spec"], **spec})

    def do_token(self, whose: str) -> None:
        """Rotate a token."""
        self._change(f"&rotate{whose.capitalize()}Token=true")

    def do_ca(self) -> None:
        """Rotate the cluster's CA."""
        speaker, _ = self.nodes()
        now = (self.mode.api(speaker, "/swarm") or {}).get("Spec", {}).get("CAConfig", {})
        self._change(CAConfig={**now, "ForceRotate": now.get("ForceRotate", 0) + 1})

    # --- the end of a stretch

    def do_settle(self) -> None:
        """Switch on all hosts: one apply makes everything good, and the next changes nothing."""
        for host in sorted(self.off):
            self.do_on(host)
        for host in self.managers:
            self.do_add(host)
        for host in self.on:
            self.mode.await_minion(host)
        self.mode.await_idle()
        self._until(self._noticed, "the managers do not notice which nodes are gone")
        told, _ = self._state(self.on)
        if told:
            raise WalkError(f"an apply on all fails: {told}")
        self._until(self._noticed, "the managers do not notice which nodes are gone")
        told, done = self._state(self.on)
        if told or done:
            raise WalkError(f"the second apply is not quiet: {told or done}")
        self._good()
        self.raft = set(self.managers)
        self.serves()

    def _noticed(self) -> bool:
        """Say whether the leader knows of each node whether it is there."""
        found = self.voice()
        here = {one.get("NodeID") for one in self.swarms().values()}
        return bool(found) and all(
            one["Status"]["State"] in (("ready", "down") if one["ID"] in here else ("down",))
            for one in found[1]
            # A join that was interrupted leaves a node without a name, for ever unknown: the
            # formula removes it after ten minutes.
            if one["ID"] in here or one["Description"].get("Hostname")
        )

    def _good(self) -> None:
        """Fail unless each host is a ready node in the role of pillar, and there is no other."""
        _, nodes = self.nodes()
        by_id = {one["ID"]: one for one in nodes}
        found = {}
        for host, swarm in self.swarms().items():
            node = by_id.get(swarm.get("NodeID"))
            found[host] = (
                (node["Status"]["State"], _due(node), bool(node.get("ManagerStatus")))
                if node and swarm.get("LocalNodeState") == "active"
                else None
            )
        due = {
            host: ("ready", "manager" if host in self.managers else "worker", host in self.managers)
            for host in self.on
        }
        if found != due:
            raise WalkError(f"both applies are quiet, and the nodes are {found}, not {due}")
        self._told()

    def _told(self) -> None:
        """Wait until ``swarm.status`` shows what the managers list."""
        self._until(
            lambda: not self._untold(),
            lambda: f"swarm.status and the managers differ: {self._untold()}",
        )

    def _untold(self) -> str:
        """Return how ``swarm.status`` differs from what the managers list, empty if it does not."""
        _, nodes = self.nodes()
        by_id = {one["ID"]: one for one in nodes}
        swarms = self.swarms()
        mine = {host: one.get("NodeID") for host, one in swarms.items()} | {
            host: self.was.get(host) for host in self.off
        }
        listed = {host: by_id[key] for host, key in mine.items() if key in by_id}
        active = {host for host, one in swarms.items() if one.get("LocalNodeState") == "active"}
        due = {
            host: (_state(node), _role(node))
            for host, node in listed.items()
            if host in active | self.off
        }
        members = {node["ID"] for node in listed.values()}
        # A machine that was taken away, or made anew, leaves its node until somebody removes it.
        due |= {
            f"({node['Description'].get('Hostname') or key})": (_state(node), "no member")
            for key, node in by_id.items()
            if key not in members
        }
        rows = {row["id"]: row for row in self.lab.salt_run("swarm.status")}
        said = {host: (row["state"].lower(), row["role"]) for host, row in rows.items()}
        # Whoever is in no list, or has an engine that is in none, is anything but well.
        outside = {host for host in mine if host not in due and said.get(host, ("",))[0] in WELL}
        due |= {host: ("not well", "outside") for host in outside}
        known = {host: one for host, one in said.items() if host in due or host not in mine}
        return "" if known == due else f"{said}, not {due}"


def _due(node: dict) -> str:
    return node["Spec"]["Role"]


def _state(node: dict) -> str:
    """Return what ``swarm.status`` calls the state of a node: a ready one may take no tasks."""
    state, availability = node["Status"]["State"], node["Spec"]["Availability"]
    return availability if state == "ready" and availability != "active" else state


def _role(node: dict) -> str:
    """Return what ``swarm.status`` calls a node that takes part."""
    if not (manager := node.get("ManagerStatus")):
        return "worker"
    return "leader" if manager.get("Leader") else "manager"


def _reachable(node: dict) -> bool:
    return (node.get("ManagerStatus") or {}).get("Reachability") == "reachable"


def _words(node: dict) -> str:
    status = node.get("ManagerStatus") or {}
    name = node["Description"].get("Hostname")
    words = [node["ID"], name, node["Status"]["State"], _due(node), node["Spec"]["Availability"]]
    return " ".join([*map(str, words), status.get("Reachability", ""), status.get("Addr", "")])


def restore(mode: SwarmMode, broken: bool) -> None:
    """Have the lab's three hosts in one cluster again, in a new one if the old one is broken."""
    lab, three = mode.lab, HOSTS[:3]
    mode.restore()
    mode.switch_on()
    others = set(lab.hosts()) - set(three)
    if broken:
        _start_over(lab, three, others)
    for host in set(three) - set(lab.hosts()):
        lab.add(host)
    mode.heal()
    for host in others if not broken else ():
        lab.salt_run("swarm.remove", host, timeout=300)
        lab.remove(host)


def _start_over(lab: Lab, three: tuple[str, ...], others: set[str]) -> None:
    for host in others:
        lab.remove(host)
    there = [host for host in three if host in lab.hosts()]
    # All at once: the cluster must not go on with the last of them.
    for host in there:
        lab.stop(host)
    for host in there:
        lab.reset(host)
    for name in ("swarm_cluster", "swarm_node"):
        lab.salt("*", "mine.delete", name)
