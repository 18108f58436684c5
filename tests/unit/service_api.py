"""
A stand-in for a manager of swarm mode: services, tasks, secrets and configs, and a clock.
"""

import base64
import collections
import contextlib
import copy
import json
from types import SimpleNamespace

import docker
import requests

from swarm_formula.core import wait
from swarm_formula.docker import engine_api
from swarm_formula.docker import networks as docker_networks
from swarm_formula.service import api, digests, watch
from swarm_formula.spec import service_modes
from tests.unit.clock import Clock
from tests.unit.cluster_api import node
from tests.unit.spec_api import kept

NAMES = {"id-backend": "backend"}


def failed(text, state="failed"):
    """Return the status of a task that has failed."""
    return {"State": state, "Message": "started", "Err": text}


RUNNING = {"State": "running", "Message": "started"}


class Manager(Clock):
    """What the SDK's client and ``docker.engine_api.post`` do; counts what was written."""

    def __init__(self):
        super().__init__()
        self.number = 0
        self.services_, self.tasks_, self.files = {}, [], {"secrets": {}, "configs": {}}
        self.nodes_ = [node("m1", "manager", leader=True), node("m2")]
        self.written, self.headers, self.reads = [], [], 0
        self.behave = {}  # service: what becomes of its tasks after a write; by default, they run
        self.networks_ = {
            one: {"Id": one, "Name": name, "Scope": "swarm", "Driver": "overlay"}
            for one, name in NAMES.items()
        }
        self.timeout = 60
        self.registry = {}  # image: digest, or what asking for it does
        self.asked = []  # images
        self.swarm_ = {"ID": "c1", "Spec": {}, "DefaultAddrPool": ["10.0.0.0/8"], "SubnetSize": 24}
        self.logs = collections.defaultdict(bytes)  # ID of a task: what Docker returns

    def _next(self):
        self.number += 1
        return self.number

    # --- reading

    @contextlib.contextmanager
    def connect(self, *_, **__):
        yield self

    def services(self):
        self.reads += 1
        return copy.deepcopy(list(self.services_.values()))

    def tasks(self):
        self.reads += 1
        return copy.deepcopy(self.tasks_)

    def nodes(self):
        return self.nodes_

    def networks(self, names=()):
        self.reads += 1
        local = {"Id": "id-bridge", "Name": "bridge", "Scope": "local", "Driver": "bridge"}
        found = [local, *copy.deepcopy(list(self.networks_.values()))]
        return [one for one in found if not names or names[0] in one["Name"]]

    def inspect_network(self, which):
        if which == "id-host":
            return {"Id": which, "Name": "host", "Scope": "swarm"}
        if which in self.networks_:
            return {**self.networks_[which], "Containers": {}}
        raise docker.errors.NotFound("no such network")

    def inspect_swarm(self):
        return copy.deepcopy(self.swarm_)

    def containers(self, **_):
        return []

    def inspect_service(self, which):
        self.reads += 1
        (found,) = [
            one for one in self.services_.values() if which in (one["ID"], one["Spec"]["Name"])
        ]
        return copy.deepcopy(found)

    def secrets(self):
        return copy.deepcopy(list(self.files["secrets"].values()))

    def configs(self):
        return copy.deepcopy(list(self.files["configs"].values()))

    def get(self, _client, path, headers=None, timeout=None):
        what, _, rest = path.removeprefix("/").partition("/")
        if what == "tasks":
            found = self.logs[rest.partition("/")[0]]
            if isinstance(found, Exception):
                raise found
            return SimpleNamespace(content=found)
        assert what == "distribution"
        image = rest.removesuffix("/json")
        self.asked.append(image)
        self.headers.append(headers)
        found = self.registry.get(image, docker.errors.APIError("x", explanation="no such host"))
        found = found() if callable(found) else found
        if isinstance(found, Exception):
            raise found
        return SimpleNamespace(json=lambda: {"Descriptor": {"digest": found}})

    # --- writing

    def post(self, _client, path, json=None, headers=None):
        self.written.append(path.partition("?")[0])
        self.headers.append(headers)
        what, _, rest = path.removeprefix("/").partition("/")
        if what == "services":
            self._service(rest, copy.deepcopy(json))
        elif what == "networks":
            return self._network(copy.deepcopy(json))
        else:
            self._file(what, rest, copy.deepcopy(json))
        return None

    def _network(self, body):
        which = f"id-{body['Name']}-{self._next()}"
        more = {"Id": which, "Scope": "swarm"}
        self.networks_[which] = {**body, **more}
        return SimpleNamespace(json=lambda: more)

    def remove_network(self, which):
        used = [
            one["Spec"]["TaskTemplate"].get("Networks") or [] for one in self.services_.values()
        ]
        if any(one["Target"] == which for each in used for one in each):
            raise docker.errors.APIError("x", explanation=f"network {which} is in use by service")
        self.written.append(f"-{which}")
        del self.networks_[which]

    def _service(self, rest, body):
        ids = {"host": "id-host", **{one["Name"]: key for key, one in self.networks_.items()}}
        body = kept(body, ids)
        name = body["Name"]
        old = self.services_.get(name)
        if rest.endswith("&rollback=previous"):
            body = copy.deepcopy(old["PreviousSpec"])
        if old and f"version={old['Version']['Index']}" not in rest:
            response = requests.Response()
            raise docker.errors.APIError("x", response, explanation="update out of sequence")
        new = {
            "ID": f"id-{name}",
            "CreatedAt": self.stamp(),
            **(old or {}),
            "Version": {"Index": self._next()},
            "UpdatedAt": self.stamp(),
            "Spec": body,
        }
        new.pop("UpdateStatus", None)
        if {"ReplicatedJob", "GlobalJob"} & body["Mode"].keys():
            # As Docker does: every update is another run.
            runs = old["JobStatus"]["JobIteration"].get("Index", 0) + 1 if old else 0
            new["JobStatus"] = {"JobIteration": {"Index": runs} if runs else {}}
        if old:
            new["PreviousSpec"] = old["Spec"]
        self.services_[name] = new
        self.behave.get(name, Manager.complete if "JobStatus" in new else Manager.run)(self, name)

    def _file(self, kind, rest, body):
        if rest == "create":
            base64.b64decode(body["Data"])
            one = {"ID": f"id-{body['Name']}", "Version": {"Index": self._next()}, "Spec": body}
            self.files[kind][body["Name"]] = one
        else:
            self.files[kind][body["Name"]]["Spec"] = body

    def _remove(self, kind, which):
        self.written.append(f"-{which}")
        self.files[kind] = {
            name: one for name, one in self.files[kind].items() if one["ID"] != which
        }

    def remove_secret(self, which):
        self._remove("secrets", which)

    def remove_config(self, which):
        self._remove("configs", which)

    def remove_service(self, which):
        self.written.append(f"-{which}")
        self.services_ = {n: one for n, one in self.services_.items() if one["ID"] != which}
        gone = [one for one in self.tasks_ if one["ServiceID"] == which]
        self.later.append((self.now + 2, lambda: [self.tasks_.remove(one) for one in gone]))

    # --- what becomes of tasks

    def start(self, name, status=RUNNING, desired="running", template=None, slots=None, **more):
        """Create tasks of a service, by default with its spec, one for each replica."""
        service = self.services_[name]
        count = service["Spec"]["Mode"].get("Replicated", {}).get("Replicas", 1)
        for slot in range(1, count + 1) if slots is None else slots:
            template = copy.deepcopy(template or service["Spec"]["TaskTemplate"])
            template.pop("Runtime", None)
            self.tasks_.append(
                {
                    "ID": f"t{self._next()}",
                    "ServiceID": service["ID"],
                    "Slot": slot,
                    "NodeID": f"id-m{slot}",
                    "CreatedAt": self.stamp(),
                    "UpdatedAt": self.stamp(),
                    "DesiredState": desired,
                    "Status": dict(status),
                    "Spec": template,
                    **more,
                }
            )

    def stop(self, name):
        self.tasks_ = [one for one in self.tasks_ if one["ServiceID"] != f"id-{name}"]

    def run(self, name):
        """Have the tasks of a service run with its spec."""
        self.stop(name)
        self.start(name)

    def complete(self, name, code=0, desired="complete"):
        """Have the tasks of a job end."""
        service = self.services_[name]
        text = f"task: non-zero exit ({code})" if code else ""
        status = {"State": "failed" if code else "complete", "ContainerStatus": {"ExitCode": code}}
        count = service["Spec"]["Mode"].get("ReplicatedJob", {}).get("TotalCompletions", 1)
        iteration = {"JobIteration": service["JobStatus"]["JobIteration"]}
        status |= {"Message": "finished", **({"Err": text} if text else {})}
        self.start(name, status, desired, slots=range(count), **iteration)

    def status(self, name, state, message=""):
        self.services_[name]["UpdateStatus"] = {"State": state, "Message": message}

    # --- for tests

    def patch(self, monkeypatch):
        """Be the API and the clock of the formula's libraries."""
        monkeypatch.setattr(engine_api, "post", self.post)
        monkeypatch.setattr(engine_api, "get", self.get)
        monkeypatch.setattr(engine_api, "registry_login", lambda _, image: {"login for": image})
        for module in (
            wait,
            api,
            watch,
            digests,
            docker_networks,
        ):
            monkeypatch.setattr(module, "time", self)
        return self


def options(**given):
    """Return the options of a service in their canonical form."""
    return service_modes.parsed({"image": "a", "timeout": 30, **given}, "service")


def text(value):
    """Return anything as a text, to look for what must not be in it."""
    return json.dumps(value, default=str)
