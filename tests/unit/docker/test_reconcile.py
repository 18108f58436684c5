import docker
import pytest

from swarm_formula.consul import container_spec
from swarm_formula.docker import reconcile
from swarm_formula.spec import container_options
from swarm_formula.standalone import containers
from tests.unit.pillars import FILES, VALID, settings_of

STATE = {"state": {"old": "x", "new": "running"}}
MEMORY = {"memory": {"old": 1, "new": 2}}
HOSTNAME = {"hostname": {"old": "a", "new": "b"}}


def container(status, image="sha256:1", **config):
    return {
        "Image": image,
        "State": {"Status": status},
        "Config": {"Image": "swarm:1.2.9", **config},
        "HostConfig": {},
    }


@pytest.mark.parametrize(
    ("status", "changes", "action"),
    [
        (None, STATE, "create"),
        ("running", {}, None),
        ("running", MEMORY, "update"),
        ("running", HOSTNAME, "recreate"),
        ("running", MEMORY | HOSTNAME, "recreate"),
        ("exited", STATE, "start"),
        ("exited", STATE | MEMORY, "start"),
        ("exited", STATE | HOSTNAME, "recreate"),
        ("created", STATE, "start"),
        ("paused", STATE, "unpause"),
        ("paused", STATE | HOSTNAME, "recreate"),
        ("restarting", STATE, "restart"),
        ("restarting", STATE | HOSTNAME, "recreate"),
        ("dead", STATE, "replace"),
        ("dead", STATE | HOSTNAME, "replace"),
        ("removing", STATE, "replace"),
    ],
)
def test_action(status, changes, action):
    assert reconcile.action(status and container(status), changes) == action


RUNNING, CREATED, OLD = container("running"), container("created"), container("exited")


@pytest.mark.parametrize(
    ("current", "leftover", "changes", "kept"),
    [
        (None, None, STATE, None),
        (CREATED, None, STATE, CREATED),
        (RUNNING, None, MEMORY, RUNNING),
        (None, OLD, STATE, OLD),
        (RUNNING, OLD, {}, RUNNING),
        (CREATED, OLD, STATE, OLD),
        # Nobody knows whether it works, and it is not wanted any more.
        (RUNNING, OLD, MEMORY, OLD),
    ],
)
def test_survivor_of_an_interrupted_recreation(current, leftover, changes, kept):
    assert reconcile.survivor(current, leftover, changes) is kept


def differences(current, image, **wanted):
    return reconcile.differences({"image": "swarm:1.2.9", **wanted}, current, image)


def test_an_absent_container_is_all_difference():
    assert differences(None, None, memory=1) == {
        "state": {"old": "absent", "new": "running"},
        "image": {"old": None, "new": "swarm:1.2.9"},
        "memory": {"old": None, "new": 1},
    }


def test_images_are_compared_by_id():
    assert differences(container("running"), {"Id": "sha256:1"}) == {}
    assert differences(container("running"), {"Id": "sha256:2"}) == {
        "image": {"old": "swarm:1.2.9 (1)", "new": "swarm:1.2.9 (2)"}
    }


def test_an_image_that_is_not_here_is_a_difference():
    assert differences(container("running"), None)["image"]["new"] == "swarm:1.2.9"


def test_a_variable_that_pillar_dropped_is_noticed():
    current = container("running", Env=["A=1", "B=2"])
    assert differences(current, {"Id": "sha256:1"}, environment={"A": "1"}) == {
        "environment": {"old": {"B": "2"}, "new": {}}
    }


def test_a_stopped_container_is_a_difference():
    assert differences(container("exited"), {"Id": "sha256:1"}) == {
        "state": {"old": "exited", "new": "running"}
    }


class Engine:
    """An engine with one container, and maybe with ``userns-remap``."""

    def __init__(self, *options, **host):
        self.options = options
        self.web = {**container("running"), "Id": "c1", "Name": "/web", "HostConfig": host}

    def info(self):
        return {"SecurityOptions": ["name=seccomp,profile=builtin", *self.options]}

    def inspect_container(self, name):
        if name != "web":
            raise docker.errors.NotFound("404")
        return self.web

    def inspect_image(self, _name):
        return {"Id": "sha256:1"}


WANTED = {"image": "swarm:1.2.9", "network_mode": "host", "userns_mode": "host"}
HOST = {"NetworkMode": "host"}


@pytest.mark.parametrize(
    ("options", "host", "differs"),
    [
        # A container of a version before, on an engine like any other, is not created anew.
        ((), HOST, set()),
        ((), {**HOST, "UsernsMode": "host"}, set()),
        (("name=userns",), HOST, {"userns_mode"}),
        (("name=userns",), {**HOST, "UsernsMode": "host"}, set()),
    ],
)
def test_user_namespace_counts_where_the_engine_has_some(options, host, differs):
    plan = reconcile.plan(Engine(*options, **host), "web", WANTED)
    assert set(plan.changes) == differs
    assert container_options.body(plan.wanted)["HostConfig"].get("UsernsMode") == (
        "host" if options else None
    )


def test_what_shares_the_hosts_network_is_in_the_hosts_user_namespace():
    """dockerd: cannot share the host's network namespace when user namespaces are enabled."""
    settings = settings_of(VALID)
    specs = [
        container_spec.consul_container(settings, {})[0],
        containers.manager_container(settings, FILES),
        containers.agent_container(settings, FILES),
    ]
    for spec in specs:
        assert (spec["network_mode"], spec["userns_mode"]) == ("host", "host")
        assert container_options.wanted("x", spec)
