"""
A stand-in for the API of an engine in swarm mode: one cluster, seen from one node of it.
"""

import contextlib
import copy
import re

import docker


def node(name, role="worker", leader=False, state="ready", **spec):
    """Return a node as ``/nodes`` has it."""
    found = {
        "ID": f"id-{name}",
        "Version": {"Index": 1},
        "CreatedAt": "2026-01-01T00:00:00Z",
        "UpdatedAt": "2026-01-01T00:00:00Z",
        "Spec": {"Role": role, "Availability": "active", "Labels": {}, **spec},
        "Description": {"Hostname": name, "Engine": {"EngineVersion": "26.1.5"}},
        "Status": {"State": state, "Addr": f"10.77.0.1{name[1:]}"},
    }
    if role == "manager":
        reach = "reachable" if state == "ready" else "unreachable"
        place = f"{found['Status']['Addr']}:2377"
        found["ManagerStatus"] = {"Reachability": reach, "Leader": leader, "Addr": place}
    return found


class ClusterApi:
    """What the SDK's client does, over the nodes that it holds; counts what was asked of it."""

    def __init__(self, me, nodes=(), state="active"):
        self.me, self.state = me, state
        self.known = {one["ID"]: one for one in nodes}
        self.things = {}  # what users have: {"services": [names], ...}
        self.spec = {"Labels": {}, "EncryptionConfig": {"AutoLockManagers": False}}
        self.index, self.rotations, self.stale = 1, 0, 0
        self.manager_rotations = 0
        self.root_ca, self.slow = (
            "-----BEGIN CERTIFICATE-----\nTUlORQ==\n-----END CERTIFICATE-----\n",
            False,
        )
        self.next_ca = None  # that of a rotation that a node holds up
        self.rotating = 0  # how often it says yet that its CA changes
        self.keyless = False  # whether only CAs outside have the key of its own
        self.engine, self.root = "26.1.5", None
        self.asked = []
        self.refuses = {}  # address of a manager: what it says to a join

    @contextlib.contextmanager
    def connect(self, *_, **__):
        yield self

    def info(self):
        mine = self.known.get(f"id-{self.me}")
        managers = [one for one in self.known.values() if one.get("ManagerStatus")]
        swarm = {"LocalNodeState": self.state, "NodeID": "", "ControlAvailable": False}
        if self.state == "active":
            leads = bool(mine and mine.get("ManagerStatus"))
            swarm |= {"NodeID": f"id-{self.me}", "ControlAvailable": leads}
            swarm["NodeAddr"] = mine["Status"]["Addr"] if mine else ""
            swarm["RemoteManagers"] = [
                {"NodeID": one["ID"], "Addr": one["ManagerStatus"].get("Addr")} for one in managers
            ]
            swarm |= {"Cluster": {"ID": "c1"}} if leads else {}
        return {
            "Swarm": swarm,
            "ServerVersion": self.engine,
            "DockerRootDir": self.root or "/nowhere",
        }

    def nodes(self, filters=None):
        found = copy.deepcopy(list(self.known.values()))
        wanted = (filters or {}).get("role")
        # In fact, a node is a manager if the raft knows it.
        return [
            one
            for one in found
            if wanted in {None, "manager" if one.get("ManagerStatus") else "worker"}
        ]

    def inspect_swarm(self):
        if self.rotating and not self.slow:
            self.rotating -= 1
            self.keyless = self.keyless and bool(self.rotating)
        return {
            "RootRotationInProgress": bool(self.rotating),
            "ID": "c1",
            "Version": {"Index": self.index},
            "UpdatedAt": f"2026-01-01T00:00:0{self.rotations}Z",
            "Spec": copy.deepcopy(self.spec),
            "TLSInfo": {"TrustRoot": self.root_ca},
            "JoinTokens": {"Worker": f"worker-{self.rotations}", "Manager": "manager"},
        }

    def inspect_node(self, which):
        return copy.deepcopy(self.known[which])

    def update_node(self, which, version, spec):
        found = self.known[which]
        if self.stale:
            self.stale -= 1
            found["Version"]["Index"] += 1
        if version != found["Version"]["Index"]:
            error = "rpc error: code = Unknown desc = update out of sequence"
            raise docker.errors.APIError("500", explanation=error)
        found["Version"]["Index"] += 1
        found["Spec"] = spec
        if spec["Role"] == "manager":
            found["ManagerStatus"] = {"Reachability": "reachable", "Leader": False}
        else:
            found.pop("ManagerStatus", None)
        self.asked.append((which, spec["Role"], spec["Availability"], spec["Labels"]))

    def remove_node(self, which, force=False):
        del self.known[which]
        if self.next_ca and not any(
            one["Status"]["State"] == "down" for one in self.known.values()
        ):
            self.root_ca = self.next_ca

    def tasks(self, filters=None):
        return self.things.get("left", [])

    def _of(self, kind):
        return [{"Spec": {"Name": name}} for name in self.things.get(kind, ())]

    def services(self):
        return self._of("services")

    def secrets(self):
        return self._of("secrets")

    def configs(self, filters=None):
        return [] if filters else self._of("configs")

    def containers(self, filters):
        label = "com.docker.swarm.service.name"
        assert filters == {"label": label}
        return [{"Labels": {label: name}} for name in self.things.get("tasks", ())]

    def leave_swarm(self, force=False):
        self.asked.append(("leave", force))
        self.state = "inactive"

    def unlock_swarm(self, key):
        self.asked.append(("unlock", key))
        self.state = "active"

    def get_unlock_key(self):
        return {"UnlockKey": "SWMKEY" if self.spec["EncryptionConfig"]["AutoLockManagers"] else ""}

    def post(self, _, path, json=None):
        """Stand in for ``docker.engine_api.post``."""
        name = path.partition("?")[0]
        self.asked.append((name, json))
        if name == "/swarm/init":
            self.state = "active"
            self.known[f"id-{self.me}"] = node(self.me, "manager", leader=True)
        elif name == "/swarm/join":
            said = self.refuses.get(json["RemoteAddrs"][0])
            if said:
                raise docker.errors.APIError("500", explanation=said)
            self.state = "active"
            self.known[f"id-{self.me}"] = node(self.me)
        elif "rotateWorkerToken" in path:
            self.rotations += 1
            self.manager_rotations += "rotateManagerToken=true" in path
        else:
            self._renew_ca(json.get("CAConfig") or {})
            self.index, self.spec = self.index + 1, copy.deepcopy(json)
            # As Docker does: it keeps neither of them in the spec.
            authority = self.spec.get("CAConfig", {})
            authority.pop("SigningCAKey", None)
            cert = authority.pop("SigningCACert", None)
            self.next_ca = cert
            if cert and not self.slow:
                self.root_ca = cert

    def _renew_ca(self, wanted):
        """Begin a new CA if one is wanted; until that is done, the signers of the old one stay."""
        if self.keyless and not wanted.get("ExternalCAs"):
            said = "there must be at least one valid, reachable external CA"
            raise docker.errors.APIError("400", explanation=said)
        had = self.spec.get("CAConfig") or {}
        if wanted.get("ForceRotate") != had.get("ForceRotate"):
            self.rotating = 3


class Mine(dict):
    """Salt's mine, ``{(minion, name): value}``, without anybody's rights."""

    def __init__(self, *told):
        super().__init__(*told)
        self.asked = []

    def get_from(self, target, name, tgt_type=None):
        self.asked.append((target, tgt_type))
        wanted = target if tgt_type == "list" else [x for x, _ in self if re.match(target, x)]
        if isinstance(name, list):
            found = {one: self.get_from(target, one, tgt_type) for one in name}
            return {one: told for one, told in found.items() if told}
        return {one: self[one, name] for one in sorted(wanted) if (one, name) in self}
