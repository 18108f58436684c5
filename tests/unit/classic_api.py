"""
A stand-in for a manager of classic mode and its engines, with the scheduler of the lab's stand-in.
"""

import contextlib
import copy
from types import SimpleNamespace

import docker

from lab.standin.outside import Node, NoNodeError, Scheduler, container_config
from swarm_formula.classic import kept_options, service_rollout, watch
from swarm_formula.core import wait
from swarm_formula.docker import engine_api
from tests.unit.clock import Clock

FILTERS = ("health", "port", "containerslots", "dependency", "affinity", "constraint", "whitelist")
IMAGE_ENV = "PATH=/bin"
CPUS = 2  # of each engine
# What becomes of a container that starts, by its image: (seconds until then, state, exit code).
CRASHES = {"crash": (0, "exited", 1), "late": (2, "exited", 3)}


class Box:
    """A container on an engine."""

    def __init__(self, number, engine, name, body):
        self.id, self.engine, self.name = f"id-{number}", engine, name
        self.body, self.status, self.since, self.restarts = body, "created", None, 0
        self.more = {}  # networks that it has joined later, and its aliases
        self.info, self.config = {}, body  # for the scheduler

    @property
    def image(self):
        return self.body["Image"]

    # As the scheduler asks.
    names = property(lambda self: [f"/{self.name}"])
    labels = property(lambda self: self.body["Labels"])
    host_config = property(lambda self: self.body["HostConfig"])


class Swarm(Clock):
    """What the SDK's client does at a manager; counts what was written."""

    def __init__(self, *nodes):
        super().__init__()
        self.number, self.timeout = 0, 60
        self.nodes = {name: {"zone": name[-1]} for name in nodes or ("m1", "m2", "m3")}
        self.down, self.pending = set(), []
        self.memory = {}  # of engines that have not 1 GiB
        self.boxes, self.written, self.headers, self.reads = [], [], [], 0
        self.lags, self.ghosts = False, []  # the manager still lists what it has removed
        self.networks_ = {"backend", "front", "m1/bridge"}
        self.network_labels = {}
        self.missing = {"bad"}  # images that are not to be had
        self.drops = set()  # keys that engines do not keep
        self.refusals = {}  # (name, image) of a container: error of its start
        self.health = {}  # image: health
        self.scheduler = Scheduler("spread", FILTERS)

    def patch(self, monkeypatch):
        """Be the API and the clock of the formula's libraries."""
        monkeypatch.setattr(engine_api, "post", self.post)
        monkeypatch.setattr(engine_api, "registry_login", lambda _, image: {"login for": image})
        for module in (wait, watch, service_rollout):
            monkeypatch.setattr(module, "time", self)
        return self

    @contextlib.contextmanager
    def connect(self, *_, **__):
        yield self

    # --- reading

    def box(self, which):
        for one in self.boxes:
            if which in (one.id, one.name):
                self._age(one)
                return one
        raise docker.errors.NotFound("x", explanation=f"No such container {which}")

    def _age(self, box):
        """Let a container end that does not stay up."""
        if box.status == "running" and box.image in CRASHES:
            after, status, _ = CRASHES[box.image]
            if self.now - box.since >= after:
                box.status = status
        if box.status == "running" and box.image == "loop":
            box.restarts = int(self.now - box.since) // 2

    def containers(self, all=False):  # noqa: A002
        self.reads += 1
        assert all
        return [
            {
                "Id": one.id,
                "Names": [f"/{one.engine}/other/alias", f"/{one.engine}/{one.name}"],
                "Labels": one.labels,
                "Status": "Host Down" if one.engine in self.down else "Up 2 seconds",
            }
            for one in [*self.boxes, *self.ghosts]
        ]

    def inspect_container(self, which):
        self.reads += 1
        box = self.box(which)
        if box.engine in self.down:
            raise docker.errors.APIError("x", explanation="running on unhealthy node")
        code = CRASHES.get(box.image, (0, "", 0))[2] if box.status == "exited" else 0
        health = self.health.get(box.image)
        config = {
            "Cmd": ["the-image's"],
            "WorkingDir": "",
            **{key: one for key, one in box.body.items() if key not in self.drops},
        }
        config["Env"] = [*box.body.get("Env", []), IMAGE_ENV]
        host = {key: one for key, one in config.pop("HostConfig").items() if key not in self.drops}
        ends = config.pop("NetworkingConfig", {}).get("EndpointsConfig", {})
        mode = host.get("NetworkMode", "bridge")
        return copy.deepcopy(
            {
                "Id": box.id,
                "Name": f"/{box.name}",
                "Image": f"sha256:{box.image}",
                "Node": {"Name": box.engine},
                "Config": config,
                "HostConfig": host,
                "NetworkSettings": {"Networks": {mode: ends.get(mode), **box.more}},
                "RestartCount": box.restarts,
                "State": {
                    "Status": box.status,
                    "Running": box.status in {"running", "paused", "restarting"},
                    "ExitCode": code,
                    "Error": "",
                    "StartedAt": self.stamp(box.since or 0),
                    **({"Health": {"Status": health, "Log": []}} if health else {}),
                },
            }
        )

    def logs(self, which, tail):
        return f"the last words of {self.box(which).image}".encode()

    def networks(self):
        labels = self.network_labels
        return [{"Name": one, "Labels": labels.get(one)} for one in sorted(self.networks_)]

    def info(self):
        status = [["Role", "primary"]]
        for name in self.nodes:
            pending = name in self.pending
            status += [[f" {name}", f"{name}:2375"]]
            status += [["  \u2514 Status", "Pending" if pending else "Healthy"]]
        return {"ServerVersion": "swarm/1.2.9", "SystemStatus": status}

    # --- writing

    def post(self, _client, path, json=None, headers=None):
        assert path.startswith("/containers/create?name=")
        name = path.partition("=")[2]
        self.headers.append(headers)
        body = container_config(copy.deepcopy(json))
        if any(one.name == name for one in self.boxes):
            self._refuse(f"Conflict: The name {name} is already assigned.")
        try:
            node = self.scheduler.select([self._node(one) for one in self.nodes], body)[0]
        except NoNodeError as err:
            self._refuse(str(err))
        if (body["HostConfig"].get("NanoCpus") or 0) > CPUS * 1e9:
            self._refuse("Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available")
        if body["Image"] in self.missing:
            self._refuse(f"pull access denied for {body['Image']}")
        self.number += 1
        self.boxes.append(Box(self.number, node.name, name, body))
        self.written.append(f"+{name}")
        return SimpleNamespace(json=lambda: {"Id": f"id-{self.number}"})

    def _refuse(self, text):
        raise docker.errors.APIError("x", explanation=text)

    def _node(self, name):
        return Node(
            id=f"id-{name}",
            name=name,
            labels=self.nodes[name],
            containers=[one for one in self.boxes if one.engine == name],
            used_memory=sum(
                one.host_config.get("Memory") or 0 for one in self.boxes if one.engine == name
            ),
            total_memory=self.memory.get(name, 1 << 30),
            total_cpus=CPUS,
            health=0 if name in self.down else 100,
        )

    def start(self, which):
        box = self.box(which)
        if text := self.refusals.get((box.name, box.image)):
            self._refuse(text)
        if box.status != "running":
            self.written.append(f"start {box.name}")
            box.status, box.since = "running", self.now

    def restart(self, which):
        self.box(which).status = "exited"
        self.start(which)

    def unpause(self, which):
        self.box(which).status = "running"

    def stop(self, which, timeout):
        box = self.box(which)
        self.written.append(f"stop {box.name}")
        box.status = "exited"

    def rename(self, which, name):
        box = self.box(which)
        if any(one.name == name for one in self.boxes):
            self._refuse(f"Conflict: The name {name} is already assigned.")
        self.written.append(f"{box.name} -> {name}")
        box.name = name

    def remove_container(self, which, v, force):
        box = self.box(which)
        self.written.append(f"-{box.name}")
        self.boxes.remove(box)
        self.ghosts += [box] if self.lags else []

    def connect_container_to_network(self, which, network, aliases):
        self.box(which).more[network] = {"Aliases": aliases}

    # --- for tests

    def run(self, name, image, **body):
        """Create and start a container as a user does."""
        body = {"Image": image, "HostConfig": {}, **body}
        self.post(self, f"/containers/create?name={name}", body)
        self.start(name)
        self.written.clear()

    def there(self):
        """Return the containers, by name, with their image and status."""
        for one in self.boxes:
            self._age(one)
        return {one.name: (one.image, one.status) for one in self.boxes}


def options(**given):
    """Return the options of a service in their canonical form."""
    return kept_options.parsed({"timeout": 30, **given}, "service web")
