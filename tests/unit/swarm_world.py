"""
A stand-in for a whole fleet: hosts with engines, their raft, Salt's mine and the pillar of all.

Each engine is seen by its API, as in ``cluster_api``; what it does is what swarmkit and moby do, as
far as it matters here: who votes, who leads, what a manager's loss costs.
"""

import contextlib
import copy
import fnmatch
import re

import docker

from _modules import swarm_backup, swarm_builtin, swarm_leader
from swarm_formula.cluster import peers, swarm_api
from swarm_formula.core import errors, host_files
from swarm_formula.daemon import dockerd
from swarm_formula.docker import engine_api
from tests.unit.execution import CLOCKS
from tests.unit.pillars import HOSTS, settings_of
from tests.unit.pillars import node as minion

MODULES = (swarm_backup, swarm_builtin, swarm_leader)
# Seconds for which a new leader does not know of a node that is gone.
UNKNOWN = 8
STALE = "can't initialize raft node: rpc error: connection refused"


def _is_in(host, target, kind):
    """Say whether a target has a minion, as the master does."""
    if kind == "pcre":
        return bool(re.match(target, host))
    names = target.split(",") if isinstance(target, str) else target
    return any(fnmatch.fnmatchcase(host, glob) for glob in names)


class Cluster:
    """What the raft knows, and who votes in it."""

    def __init__(self, name):
        self.id, self.token = name, f"SWMTKN-1-{name}-0"
        self.nodes, self.voters = {}, []
        # Voters whose engines are workers: see cluster.roles.
        self.ghosts = set()
        # Who leads, and since when: it cannot tell at first which of the others are gone.
        self.led, self.since = None, 0.0

    def rotate(self):
        head, _, count = self.token.rpartition("-")
        self.token = f"{head}-{int(count) + 1}"


class Engine:
    """One host's engine in swarm mode."""

    def __init__(self, world, host):
        self.world, self.host, self._on = world, host, True
        self.address = HOSTS[host]
        self.forget()

    def forget(self):
        if getattr(self, "cluster", None):
            self.cluster.ghosts.discard(self.node)
        self.state, self.node, self.cluster = "inactive", "", None
        self.error, self.joined_by, self.managers = "", None, []
        # It was demoted while it was off, and still has the certificate of a manager.
        self.stale = False

    @property
    def on(self):
        return self._on

    @on.setter
    def on(self, on):
        self._on = on
        if on and self.stale and self.leader() and self.node in self.cluster.nodes:
            self.stale = False
            if self.cluster.nodes[self.node]["Spec"]["Role"] == "worker":
                # It joins the raft anew, before it learns that it is a worker.
                self.cluster.voters.append(self.node)
                self.cluster.ghosts.add(self.node)

    # --- what it is

    def votes(self):
        return bool(self.cluster) and self.node in set(self.cluster.voters) - self.cluster.ghosts

    def works(self):
        return self.on and self.state in {"active", "error"} and not self.error

    def info(self):
        self._check()
        leads = self.votes() and self.works()
        swarm = {"LocalNodeState": self.state, "NodeID": "", "ControlAvailable": leads}
        swarm |= {"Error": self.error, "NodeAddr": self.address}
        if self.works() and self.cluster:
            swarm["NodeID"] = self.node
            if self.leader():
                self.managers = list(self.cluster.voters)
            swarm["RemoteManagers"] = [{"NodeID": one, "Addr": "?:2377"} for one in self.managers]
            if leads and self.leader():
                swarm["Cluster"] = {"ID": self.cluster.id}
        return {"Swarm": swarm, "ServerVersion": "26.1.5", "DockerRootDir": "/nowhere"}

    def leader(self):
        return self.world.leader(self.cluster)

    def _check(self):
        assert self.on, "nobody asks a host that is off"

    def _raft(self):
        self._check()
        if not (self.votes() and self.works()):
            raise docker.errors.APIError("503", explanation="This node is not a swarm manager.")
        if not self.leader():
            raise docker.errors.APIError("500", explanation="The swarm does not have a leader.")
        self.world.reconcile(self.cluster)
        return self.cluster

    # --- what the SDK asks of it

    @contextlib.contextmanager
    def connect(self):
        yield self

    def nodes(self, filters=None):
        cluster, wanted = self._raft(), (filters or {}).get("role")
        found = []
        for node in cluster.nodes.values():
            if wanted not in {None, node["Acts"]}:
                continue
            engine = self.world.of(node["ID"])
            shown = copy.deepcopy(node)
            up = bool(engine) and engine.works()
            # The raft notices sooner than the list of nodes.
            led = self.world.now - cluster.since
            state = "ready" if up else "unknown" if led < UNKNOWN else "down"
            shown["Status"] = {"State": state, "Addr": node["Addr"]}
            if node["ID"] in cluster.voters:
                there = up or led < UNKNOWN / 2 or self.world.echoes(cluster, node)
                there = there and node["ID"] not in cluster.ghosts
                shown["ManagerStatus"] = {
                    "Reachability": "reachable" if there else "unreachable",
                    "Leader": node["ID"] == self.leader(),
                    "Addr": f"{node['Addr']}:2377",
                }
            found.append(shown)
        return found

    def inspect_swarm(self):
        return {"JoinTokens": {"Worker": self._raft().token}}

    def inspect_node(self, which):
        return copy.deepcopy(self._raft().nodes[which])

    def update_node(self, which, version, spec):
        cluster = self._raft()
        old, new = cluster.nodes[which]["Spec"]["Role"], spec["Role"]
        if (old, new) == ("manager", "worker") and not self.world.spares(cluster, which):
            raise docker.errors.APIError("500", explanation="this would result in a loss of quorum")
        cluster.nodes[which]["Spec"] = spec
        self.world.reconcile(cluster)

    def remove_node(self, which, force=False):
        cluster = self._raft()
        if which in cluster.voters and cluster.nodes[which]["Spec"]["Role"] == "manager":
            raise docker.errors.APIError("500", explanation="must be demoted to worker")
        del cluster.nodes[which]
        cluster.voters = [one for one in cluster.voters if one != which]
        cluster.ghosts.discard(which)

    def tasks(self, filters=None):
        return []

    def configs(self, filters=None):
        return []

    def leave_swarm(self, force=False):
        if self.votes() and self.works() and not force:
            raise docker.errors.APIError("503", explanation="You are attempting to leave")
        self.forget()

    def post(self, _, path, json=None):
        if path == "/swarm/init":
            self.world.found(self)
        elif path == "/swarm/join":
            self.world.join(self, json["RemoteAddrs"][0], json["JoinToken"])

    def restart(self):
        self.joined_by, self.error = None, ""
        if self.state == "error":
            self.state = "active"
        if self.cluster:
            self.world.reconcile(self.cluster)


class World:
    """All hosts, and what an operator, chance and the formula do to them."""

    def __init__(self, monkeypatch, tmp_path, stale_flag=False):
        self.engines = {host: Engine(self, host) for host in HOSTS}
        self.mine, self.clusters, self.now = {}, [], 0.0
        self.joins, self.asked = 0, 0
        self.pillar = {"mode": "builtin", "managers": ["m1"], "nodes": {"m*": {}}, "timeout": 20}
        self.pillars = {}  # of hosts that have another one
        self.mute = False  # whether the master lets nobody ask (peer)
        self.meanwhile = []  # what others do while the current host waits
        self.stale_flag, self._settings = stale_flag, {}
        self._patch, self.current = monkeypatch, None
        monkeypatch.setattr(engine_api, "connect", lambda *_, **__: self.here().connect())
        monkeypatch.setattr(engine_api, "post", lambda *a, **k: self.here().post(*a, **k))
        monkeypatch.setattr(dockerd, "start", lambda *_: self.here().restart())
        monkeypatch.setattr(dockerd, "wait", lambda _: None)
        monkeypatch.setattr(peers, "places", lambda *_: {})
        monkeypatch.setattr(swarm_api, "alone", contextlib.nullcontext)
        monkeypatch.setattr(host_files, "_LOCKS", tmp_path)
        for module in CLOCKS:
            monkeypatch.setattr(module, "time", self)
        for module in MODULES:
            monkeypatch.setattr(module, "__context__", {}, raising=False)

    # --- time

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += max(seconds, 0.5)
        if self.meanwhile:
            self.meanwhile.pop()()
        for cluster in self.clusters:
            for node in cluster.ghosts:
                assert cluster.nodes[node]["Spec"]["Role"] == "worker", (
                    f"the engine of {node} panics"
                )

    # --- the raft

    def here(self):
        return self.engines[self.current]

    def of(self, node):
        return next((one for one in self.engines.values() if one.node == node), None)

    def up(self, cluster):
        found = [self.of(one) for one in cluster.voters if one not in cluster.ghosts]
        return [one.node for one in found if one and one.works()]

    def echoes(self, cluster, node):
        """Say whether another manager answers at a manager's address."""
        found = [self.of(one) for one in cluster.voters if one != node["ID"]]
        return any(one and one.works() and one.address == node["Addr"] for one in found)

    def has_quorum(self, cluster):
        return len(self.up(cluster)) * 2 > len(cluster.voters)

    def leader(self, cluster):
        return self.up(cluster)[0] if cluster and self.has_quorum(cluster) else None

    def spares(self, cluster, node):
        """Say whether a voter may go: the rest has a majority of its own."""
        rest = [one for one in cluster.voters if one != node]
        return bool(rest) and len(set(self.up(cluster)) & set(rest)) * 2 > len(rest)

    def reconcile(self, cluster):
        """Do what the leader's role manager does, again and again."""
        if (leader := self.leader(cluster)) != cluster.led:
            # The first one of all has nobody to wait for.
            cluster.since = self.now if cluster.led else -UNKNOWN
            cluster.led = leader
        for node in list(cluster.nodes.values()):
            engine, role = self.of(node["ID"]), node["Spec"]["Role"]
            if role == node["Acts"] == "worker":
                continue
            if role == "worker" and node["ID"] in cluster.voters:
                if self.has_quorum(cluster) and self.spares(cluster, node["ID"]):
                    cluster.voters.remove(node["ID"])
                    cluster.ghosts.discard(node["ID"])
                    node["Acts"] = "worker"
                    if engine:
                        engine.stale = not engine.on
            elif role == "manager" and node["ID"] not in cluster.voters and engine:
                self.promote(cluster, engine)
            node["Acts"] = role if role == "manager" else node["Acts"]

    def promote(self, cluster, engine):
        by = self.engines.get(engine.joined_by)
        gone = by and not (by.votes() and by.works() and by.cluster is cluster)
        if not engine.works() or not self.has_quorum(cluster):
            return
        if gone and not self.stale_flag:
            engine.state, engine.error = "error", STALE
            return
        if gone:
            engine.state = "error"
        cluster.voters.append(engine.node)

    def demote_half(self, cluster, node):
        """Demote a manager that is killed in it, and comes back (see cluster.roles)."""
        cluster.nodes[node]["Spec"]["Role"] = cluster.nodes[node]["Acts"] = "worker"
        cluster.ghosts.add(node)

    def found(self, engine):
        cluster = Cluster(f"c{len(self.clusters)}")
        self.clusters.append(cluster)
        self._enter(engine, cluster, "manager")
        cluster.voters = [engine.node]

    def join(self, engine, address, token):
        by = next(one for one in self.engines.values() if f"{one.address}:2377" == address)
        if not (by.votes() and by.works() and by.leader()):
            raise docker.errors.APIError("500", explanation="connection refused")
        if token != by.cluster.token:
            raise docker.errors.APIError("500", explanation="A valid join token is necessary")
        engine.joined_by = by.host
        self._enter(engine, by.cluster, "worker")

    def _enter(self, engine, cluster, role):
        self.joins += 1
        engine.state, engine.cluster, engine.node = (
            "active",
            cluster,
            f"n{self.joins}-{engine.host}",
        )
        cluster.nodes[engine.node] = {
            "ID": engine.node,
            "Version": {"Index": 1},
            "Acts": role,
            "Spec": {"Role": role, "Availability": "active", "Labels": {}},
            "Description": {"Hostname": engine.host},
            "UpdatedAt": "2026-01-01T00:00:00Z",
            "Addr": engine.address,
        }

    # --- Salt

    @contextlib.contextmanager
    def on(self, host):
        """Have the modules run on a host."""
        before, self.current = self.current, host
        for module in MODULES:
            self._patch.setattr(module, "__salt__", self._salt(host), raising=False)
            self._patch.setattr(module, "__opts__", {"id": host}, raising=False)
        try:
            yield
        finally:
            self.current = before
            if before:
                for module in MODULES:
                    self._patch.setattr(module, "__salt__", self._salt(before))
                    self._patch.setattr(module, "__opts__", {"id": before})

    def settings(self, host):
        # Who has asked another host does not wait for all that this one waits for.
        pillar = {**self.pillar, **self.pillars.get(host, {}), "timeout": 10 if self.asked else 20}
        key = (host, str(pillar))
        if key not in self._settings:
            self._settings[key] = settings_of(pillar, minion(host))
        return self._settings[key]

    def _salt(self, host):
        return {
            "config.get": lambda _: None,
            "swarm_settings.get": lambda fresh=False: self.settings(host),
            "swarm_engine.exists": lambda: True,
            "swarm_builtin.tell": swarm_builtin.tell,
            "swarm_builtin.claims": swarm_builtin.claims,
            "swarm_leader.settle": swarm_leader.settle,
            "publish.publish": self._publish,
            "mine.get": self._mine_get,
            "mine.send": lambda name, data, **_: self._mine_send(host, name, data),
            "test.outputter": None,
            "mine.delete": lambda name: self.mine.pop((host, name), None),
        }

    def _mine_get(self, target, names, tgt_type=None):
        found = {}
        for (host, name), value in self.mine.items():
            if _is_in(host, target, tgt_type):
                found.setdefault(name, {})[host] = copy.deepcopy(value)
        return found if isinstance(names, list) else found.get(names, {})

    def _mine_send(self, host, name, data):
        self.mine[host, name] = data

    def _publish(self, target, function, arg=(), tgt_type="glob", timeout=None):
        answers = {}
        if self.mute:
            return answers
        for host in HOSTS:
            if _is_in(host, target, tgt_type) and host != self.current and self.engines[host].on:
                with self.on(host):
                    self.asked += 1
                    try:
                        answers[host] = getattr(swarm_leader, function.partition(".")[2])(*arg)
                    except errors.SwarmError as err:
                        answers[host] = str(err)
                    finally:
                        self.asked -= 1
        return answers

    # --- the formula

    def apply(self, host):
        """Apply on a host; return what changed, or the error."""
        with self.on(host):
            try:
                done = swarm_builtin.apply(), swarm_leader.settle(fresh=False)
                swarm_builtin.wait_ready()
            except errors.SwarmError as err:
                return str(err)
        return {key: one for changes in done for key, one in changes.items()}

    def apply_all(self, order=None):
        """Apply on all hosts that are on, one after the other; return what each said."""
        said = {host: self.apply(host) for host in order or self.engines if self.engines[host].on}
        # Nobody is so quick that the leader could not tell by the next time.
        self.sleep(UNKNOWN)
        return said
