"""
Stacks from pillar: what an apply makes of a compose file is what `docker stack deploy` makes of it.
"""

import json

import pytest

from tests.builtin.test_services import RUN as SERVICES
from tests.builtin.test_services import Services
from tests.integration.cluster import WORKLOAD, changed, failures

pytestmark = [pytest.mark.once, pytest.mark.long]

RUN = "swarm stacks are deployed"
NAMESPACE = "com.docker.stack.namespace"
KINDS = ("services", "networks", "secrets", "configs")
# In the words of version 3.8, which the command lines of all engines know. There is no registry.
SLEEP = {
    "image": WORKLOAD,
    "command": ["sleep", "3600"],
    "stop_grace_period": "1s",
    "deploy": {"update_config": {"monitor": "2s"}},
}
FILE = {
    "version": "3.8",
    "x-labels": {"anything": True},
    "services": {
        "web": {
            **SLEEP,
            "environment": {"LEVEL": "${LEVEL}", "PRICE": "5$$"},
            "labels": {"owner": "shop-team"},
            "networks": {"front": {"aliases": ["shop"]}, "default": None},
            "ports": ["8083:80", {"target": 81, "published": 8084, "mode": "host"}],
            "volumes": ["data:/data", "/etc:/host:ro", {"type": "tmpfs", "target": "/cache"}],
            "secrets": ["password"],
            "configs": [{"source": "site", "target": "/site", "mode": 0o440}],
            "healthcheck": {"test": "true", "interval": "1s", "retries": 3},
            "extra_hosts": ["db.example.com:10.0.0.5"],
            "ulimits": {"nproc": 512},
            "cap_drop": ["NET_RAW"],
            "logging": {"driver": "json-file", "options": {"max-size": "1m"}},
            "deploy": {
                **SLEEP["deploy"],
                "replicas": 2,
                "labels": {"tier": "front"},
                "placement": {"constraints": ["node.platform.os == linux"]},
                "resources": {"limits": {"cpus": "0.5", "memory": "64M"}},
                "restart_policy": {"condition": "on-failure", "delay": "1s", "max_attempts": 3},
                "rollback_config": {"order": "stop-first"},
            },
            "depends_on": ["idle"],
        },
        "idle": {**SLEEP, "deploy": {**SLEEP["deploy"], "replicas": 0, "endpoint_mode": "dnsrr"}},
        "each": {**SLEEP, "deploy": {**SLEEP["deploy"], "mode": "global"}},
    },
    "networks": {"front": {"attachable": True}},
    "volumes": {"data": {"labels": {"a": "b"}}},
    "secrets": {"password": {"file": "/root/stack-password"}},
    "configs": {"site": {"file": "/root/stack-site"}},
}
ENVIRONMENT = {"LEVEL": "info"}
SHOP = {"content": FILE, "environment": ENVIRONMENT, "resolve": "never", "timeout": 60}


class Stacks(Services):
    """Stacks of pillar, as the leader applies them, and what a cluster has of them."""

    def write(self, content="one"):
        """Write the files of the secret and the config, on every host."""
        for host in self.mode.lab.hosts():
            for path in ("/root/stack-password", "/root/stack-site"):
                self.mode.lab.exec(host, "tee", path, input=content)

    def deploy(self, stacks, **more):
        """Apply, after a dry run whose promise is insisted on; return what changed of stacks."""
        promised = self.apply({}, test=True, stacks=stacks, **more)
        done = self.apply({}, stacks=stacks, **more)
        assert failures({"": done}) == {}
        assert promised[RUN]["changes"] == done[RUN]["changes"]
        assert done[SERVICES]["changes"] == {}
        self.said = done[RUN]["comment"]
        return done[RUN]["changes"]

    def quiet(self, stacks):
        """Insist that neither a run nor a dry run finds anything to change."""
        for test in (True, False):
            done = self.apply({}, test=test, stacks=stacks)
            assert done[RUN]["result"] is True, done[RUN]
            assert done[RUN]["changes"] == {}

    def of(self, stack, kind):
        """Return the names of a stack's objects."""
        query = json.dumps({"label": [f"{NAMESPACE}={stack}"]})
        command = ["-G", "--data-urlencode", f"filters={query}"]
        found = self.mode.api(self.leader, f"/{kind}", *command) or []
        return {one["Name"] if kind == "networks" else one["Spec"]["Name"] for one in found}

    def docker(self, *command, **env):
        """Run the command line on the leader's host."""
        given = [f"{key}={value}" for key, value in env.items()]
        return self.mode.lab.exec(self.leader, "env", *given, "docker", *command).stdout

    def clear(self):
        super().clear()
        self.mode.wait(lambda: not self.mode.api(self.leader, "/tasks"), 60)
        for one in self.mode.api(self.leader, "/networks") or []:
            if NAMESPACE in (one.get("Labels") or {}):
                self.mode.api(self.leader, f"/networks/{one['Id']}", "-X", "DELETE")


@pytest.fixture
def stacks(cluster):
    found = Stacks(cluster)
    found.clear()
    found.write()
    yield found
    found.clear()


def edited(service, **keys):
    """Return the stack with other keys of a service."""
    one = {**FILE["services"][service], **keys}
    return {**SHOP, "content": {**FILE, "services": {**FILE["services"], service: one}}}


def test_stack_is_deployed_changed_pruned_and_removed(stacks):
    changes = stacks.deploy({"shop": SHOP})["shop"]
    services = {"shop_web", "shop_idle", "shop_each"}
    assert set(changes["services"]) == services
    assert set(changes["networks"]) == {"shop_front", "shop_default"}
    assert set(changes["secrets"]) == {"shop_password"}
    assert "services.web.depends_on" in stacks.said
    assert stacks.of("shop", "services") == services
    assert len(stacks.tasks("shop_web")) == 2
    assert len(stacks.tasks("shop_each")) == len(stacks.mode.lab.hosts())
    stacks.quiet({"shop": SHOP})
    # The command line sees it, and has the same count of its services and tasks.
    (row,) = stacks.docker("stack", "ls", "--format", "{{.Name}} {{.Services}}").splitlines()
    assert row.split() == ["shop", "3"]
    told = stacks.docker("stack", "ps", "--format", "{{.Name}}", "shop").splitlines()
    assert {one.partition(".")[0] for one in told} == {"shop_web", "shop_each"}

    # A change of one service by option; what the file does not have any more is gone.
    index = {name: stacks.index(name) for name in services}
    wanted = edited("web", labels={}, environment={"LEVEL": "debug"})
    changes = stacks.deploy({"shop": wanted})["shop"]
    assert changes == {
        "services": {
            "shop_web": {
                "container_labels": {"old": {"owner": "shop-team"}, "new": {"owner": None}},
                "env": {"old": {"LEVEL": "info", "PRICE": "5$"}, "new": {"LEVEL": "debug"}},
            }
        }
    }
    assert {one for one in services if stacks.index(one) != index[one]} == {"shop_web"}
    stacks.quiet({"shop": wanted})

    # A secret of another content is followed by the one service that has it.
    stacks.write("two")
    changes = stacks.deploy({"shop": wanted})["shop"]
    assert set(changes) == {"secrets", "configs", "services"}
    assert set(changes["services"]) == {"shop_web"}

    # Without prune, what the file does not name stays; with it, only that goes.
    other = {"content": {"services": {"web": SLEEP}}, "resolve": "never"}
    small = {"services": {"idle": FILE["services"]["idle"]}}
    smaller = {**SHOP, "content": small}
    stacks.deploy({"shop": wanted, "other": other})
    assert stacks.deploy({"shop": smaller, "other": other}) == {}
    gone = stacks.deploy({"shop": {**smaller, "prune": True}, "other": other})
    assert set(gone) == {"shop"}
    assert set(gone["shop"]["services"]) == {"shop_web", "shop_each"}
    assert {kind: stacks.of("shop", kind) for kind in KINDS} == {
        "services": {"shop_idle"},
        "networks": {"shop_default"},
        "secrets": set(),
        "configs": set(),
    }
    assert stacks.of("other", "services") == {"other_web"}

    for test in (True, False):
        command = ["state.single", "swarm_stack.removed", "shop", f"test={test}"]
        states = stacks.mode.lab.salt(stacks.leader, *command)
        assert failures(states) == {}
        ((_, changes),) = changed(states).items()
        assert {kind: set(one) for kind, one in changes.items()} == {
            "services": {"shop_idle"},
            "networks": {"shop_default"},
        }
    assert all(stacks.of("shop", kind) == set() for kind in KINDS)
    assert stacks.of("other", "services") == {"other_web"}
    assert stacks.docker("stack", "ls", "--format", "{{.Name}}").split() == ["other"]


def plain(value, stack, networks):
    """Return a part of a spec without what says nothing, and without the name of its stack."""
    if isinstance(value, dict):
        found = {key: plain(one, stack, networks) for key, one in value.items()}
        empty = (None, {}, [], "", 0)
        return {key: one for key, one in found.items() if one not in empty}
    if isinstance(value, list):
        return sorted((plain(one, stack, networks) for one in value), key=json.dumps)
    if isinstance(value, str):
        text = networks.get(value, value)
        return text.replace(f"{stack}_", "STACK_") if text != stack else "STACK"
    return value


def specs(stacks, stack):
    """Return the specs of a stack's services, by their names in the file."""
    networks = {one["Id"]: one["Name"] for one in stacks.mode.api(stacks.leader, "/networks")}
    found = {}
    for name in stacks.of(stack, "services"):
        spec = stacks.spec(name)
        task = spec["TaskTemplate"]
        container = task["ContainerSpec"]
        # Docker fills these in, or not, by what is sent beside them: they are its defaults.
        container.pop("Isolation", None)
        task.pop("Runtime", None)
        spec["EndpointSpec"] = {"Mode": "vip", **(spec.get("EndpointSpec") or {})}
        placement = task.get("Placement") or {}
        placement.pop("Platforms", None)
        constraints = placement.get("Constraints") or []
        placement["Constraints"] = [one.replace(" ", "") for one in constraints]
        # Contents have versions; their IDs are others anyhow.
        for kind in ("Secret", "Config"):
            for one in container.get(f"{kind}s") or []:
                one.pop(f"{kind}ID")
                one[f"{kind}Name"] = one[f"{kind}Name"].partition("-")[0]
        found[name.removeprefix(f"{stack}_")] = plain(spec, stack, networks)
    return found


def test_same_file_by_the_command_line_gives_the_same_services(stacks):
    # A port can be published once: the other one has the next two.
    ports = json.dumps(FILE).replace("8083:80", "8093:80").replace("8084", "8094")
    path = "/root/stack.yml"
    stacks.mode.lab.exec(stacks.leader, "tee", path, input=ports)
    stacks.docker(
        *("stack", "deploy", "--resolve-image=never", "-c", path, "theirs"), **ENVIRONMENT
    )
    stacks.deploy({"ours": SHOP})
    ours, theirs = specs(stacks, "ours"), specs(stacks, "theirs")
    for one in theirs["web"]["EndpointSpec"]["Ports"]:
        one["PublishedPort"] -= 10
    assert ours == theirs
    for kind in ("services", "networks"):
        names = {one.removeprefix("ours_") for one in stacks.of("ours", kind)}
        assert names == {one.removeprefix("theirs_") for one in stacks.of("theirs", kind)}

    # As a pillar, they are what runs.
    exported = stacks.mode.lab.salt_run("swarm.export")["swarm"]
    names = stacks.of("ours", "services") | stacks.of("theirs", "services")
    assert set(exported["services"]) == names
    stacks.unchanged(exported["services"], networks=exported["networks"])
    index = {name: stacks.index(name) for name in names}
    assert stacks.run(exported["services"], networks=exported["networks"]) == {}
    assert {name: stacks.index(name) for name in names} == index

    # The formula continues what the command line has made: only contents get versions.
    theirs = {**SHOP, "content": json.loads(ports)}
    changes = stacks.deploy({"theirs": theirs})["theirs"]
    assert set(changes) == {"secrets", "configs", "services"}
    assert {key: set(one) for key, one in changes["services"].items()} == {
        "theirs_web": {"secrets", "configs"}
    }
    stacks.quiet({"theirs": theirs})
    # And the command line removes what the formula has made.
    stacks.docker("stack", "rm", "ours")
    stacks.mode.wait(lambda: not any(stacks.of("ours", kind) for kind in KINDS), 60)


LABEL = "swarm-test-data"
DATABASE = {
    "services": {
        "db": {
            **SLEEP,
            "command": ["sh", "-c", "cat /run/secrets/db-key >> /data/starts; exec sleep 3600"],
            "secrets": ["db-key"],
            "volumes": ["data:/data"],
            "deploy": {
                **SLEEP["deploy"],
                "placement": {"constraints": [f"node.labels.{LABEL}==store"]},
            },
        }
    },
    "volumes": {"data": {}},
    "secrets": {"db-key": {"external": True}},
}


class Database:
    """The stack with a database on one node, as the docs have it."""

    def __init__(self, stacks):
        self.stacks, self.mode, self.lab = stacks, stacks.mode, stacks.mode.lab

    def keys(self, node, **env):
        """Return the keys of the pillar with the label on a node."""
        labels = {"m*": {"labels": {LABEL: None}}, node: {"labels": {LABEL: "store"}}}
        db = {**DATABASE["services"]["db"], "environment": env}
        stack = {"content": {**DATABASE, "services": {"db": db}}, "resolve": "never"}
        secrets = {"db-key": {"content": "key\n"}}
        return {"stacks": {"store": stack}, "nodes": labels, "secrets": secrets}

    def scale(self, old, new):
        done = self.lab.salt_run("swarm.scale", f"store_db={new}")
        assert done == {"store_db": {"replicas": {"old": old, "new": new}}}

    def starts(self, node):
        """Return how often the database has started with the data on a node; nowhere else runs."""
        running = {task["NodeID"] for task in self.stacks.tasks("store_db")}
        assert running == {self.mode.by_host()[node]["ID"]}
        return len(self.lab.exec(node, "cat", f"{self.path(node)}/starts").stdout.splitlines())

    def path(self, node):
        return self.lab.salt(node, "swarm_volume.path", "store_data")[node]


@pytest.fixture
def database(stacks):
    yield Database(stacks)
    stacks.clear()
    stacks.mode.pillar(nodes={"m*": {"labels": {LABEL: None}}})
    assert failures(stacks.mode.state("swarm.builtin", stacks.leader)) == {}
    stacks.mode.lab.salt("*", "swarm_volume.remove", "store_data")


def test_database_stays_on_the_node_with_its_data_until_both_are_moved(stacks, database):
    lab = stacks.mode.lab
    first, second = [one for one in lab.hosts() if one != stacks.leader][:2]
    assert set(stacks.deploy(**database.keys(first))["store"]["services"]) == {"store_db"}
    assert database.starts(first) == 1
    stacks.deploy(**database.keys(first, LEVEL="debug"))
    assert database.starts(first) == 2, "another task has the same data"
    database.scale(1, 0)
    database.scale(0, 1)
    assert database.starts(first) == 3
    # It is moved: stopped, its data copied, its label moved, and started.
    database.scale(1, 0)
    data = lab.exec(first, "cat", f"{database.path(first)}/starts").stdout
    lab.exec(second, "docker", "volume", "create", "store_data")
    lab.exec(second, "tee", f"{database.path(second)}/starts", input=data)
    assert stacks.deploy(**database.keys(second, LEVEL="debug")) == {}
    database.scale(0, 1)
    assert database.starts(second) == 4
    assert stacks.deploy(**database.keys(second, LEVEL="debug")) == {}
