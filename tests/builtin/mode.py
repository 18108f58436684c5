"""
Questions and orders to a cluster in swarm mode, in the words of the tests.
"""

import contextlib
import json

from tests.integration.cluster import Cluster

SOCKET = "/var/run/docker.sock"
# The word that ends a cluster with all that it has.
END = {"pillar": json.dumps({"swarm_clean": {"lose_cluster": True}})}


class SwarmMode(Cluster):
    """The lab's hosts, seen as a cluster in swarm mode."""

    def api(self, host: str, path: str, *more: str):
        """Ask a host's engine by its API; ``None`` for an error."""
        command = ["curl", "-sf", "--max-time", "30", "--unix-socket", SOCKET, *more]
        done = self.lab.exec(host, *command, f"http://docker{path}", check=False)
        return json.loads(done.stdout or "{}") if done.returncode == 0 else None

    def post(self, host: str, path: str, body: object = None):
        """Order something of a host's engine."""
        given = json.dumps(body or {})
        kind = "Content-Type: application/json"
        return self.api(host, path, "-X", "POST", "-H", kind, "-d", given)

    def swarm(self, host: str) -> dict:
        """Return what a host's engine says of its swarm mode."""
        return (self.api(host, "/info") or {}).get("Swarm") or {}

    def state_of(self, host: str) -> str:
        """Return a host's state: active, inactive, locked..."""
        return self.swarm(host).get("LocalNodeState", "")

    def nodes(self) -> list[dict]:
        """Return all nodes, as the first manager tells that can."""
        for host in self.lab.hosts():
            if self.swarm(host).get("ControlAvailable") and (found := self.api(host, "/nodes")):
                return found
        return []

    def by_host(self) -> dict[str, dict]:
        """Return the nodes that are hosts of the lab, by their names."""
        ids = {self.swarm(host).get("NodeID"): host for host in self.lab.hosts()}
        return {ids[one["ID"]]: one for one in self.nodes() if one["ID"] in ids}

    def roles(self) -> dict[str, str]:
        """Return ``{host: "manager" or "worker"}`` of the nodes that are ready."""
        return {
            host: one["Spec"]["Role"]
            for host, one in self.by_host().items()
            if one["Status"]["State"] == "ready"
        }

    def become(self, **roles: str) -> None:
        """Wait until hosts are ready in their roles; fails, with what they are."""
        with contextlib.suppress(AssertionError):
            # A new leader knows of no node how it is, until that one has asked for its work again.
            self.wait(lambda: roles.items() <= self.roles().items(), 60)
        assert roles.items() <= self.roles().items(), self.roles()

    def demote(self, node: str) -> None:
        """Demote a node by hand."""
        (found,) = [one for one in self.nodes() if one["ID"] == node]
        path = f"/nodes/{node}/update?version={found['Version']['Index']}"
        assert self.post(self.leader(), path, {**found["Spec"], "Role": "worker"}) is not None

    def labels(self, host: str) -> dict:
        """Return a node's labels."""
        return self.by_host()[host]["Spec"].get("Labels") or {}

    def leader(self) -> str | None:
        """Return the host that leads."""
        found = self.by_host().items()
        return next((h for h, one in found if one.get("ManagerStatus", {}).get("Leader")), None)

    def cluster(self) -> str:
        """Return the ID of the one cluster; fails if the managers are in several."""
        found = {(self.swarm(host).get("Cluster") or {}).get("ID") for host in self.lab.hosts()}
        (one,) = found - {None, ""}
        return one

    def state(self, sls: str = "swarm", target: str = "*", **kwargs: object) -> dict:
        """Apply an SLS, after what the master's engine may have a host apply."""
        returns = super().state(sls, target, queue=True, **kwargs)
        asked = set(self.lab.hosts() if target == "*" else target.split(","))
        if not (silent := asked - set(returns)):
            return returns
        # 3008's command gives up on minions in whose queue another state waits.
        self.await_idle()
        return returns | super().state(sls, ",".join(sorted(silent)), queue=True, **kwargs)

    def install_autojoin(self, **more: object) -> None:
        """Have the formula's engine and runner on the master, with more options of the engine."""
        autojoin = {"targets": ["m*"], "window": 2, "cooldown": 2, **more}
        given = {"swarm_master": {"autojoin": autojoin, "members": "m[0-9.a-z]+"}}
        command = ["salt-call", "--local", "--file-root=/srv/formula", "state.apply"]
        words = ["swarm.master", f"pillar={json.dumps(given)}"]
        self.lab.exec("salt", *command, *words, timeout=120)
        self.await_minions()

    def heal(self) -> None:
        """Switch on and plug in whatever is not, and apply until all is well."""
        self.switch_on()
        self.await_minions()
        self.apply()

    def dockerd(self, host: str) -> str:
        """Return the PID of a host's engine."""
        return self.lab.exec(host, "cat", "/run/docker.pid").stdout.strip()
