"""Where the stand-in's scheduler puts containers."""

from types import SimpleNamespace

import pytest

from lab.standin import config
from lab.standin.expr import ExpressionError, parse
from lab.standin.filters import FILTERS, Node, NoNodeError
from lab.standin.scheduler import Scheduler

pytestmark = pytest.mark.once


class Container:
    """What filters ask of a container."""

    def __init__(self, name, container_id="c1", ports=None, mode="", **labels):
        self.id, self.names, self.labels, self.info = container_id, [f"/{name}"], labels, {}
        self.host_config = {"PortBindings": ports or {}, "NetworkMode": mode}
        self.config = {"ExposedPorts": {"80/tcp": {}}}
        self.engine = SimpleNamespace(id="e1", name="n-x")


def node(name, *containers, **more):
    known = {"total_memory": 1000, "total_cpus": 4, "labels": {"zone": name[-1]}} | more
    return Node(id=f"id-{name}", name=name, containers=list(containers), **known)


def select(nodes, *env, strategy="spread", chosen=tuple(FILTERS), **asked):
    wanted = config.build({"Env": list(env), **asked})
    return [found.name for found in Scheduler(strategy, chosen).select(nodes, wanted)]


def bound(port, ip=""):
    return {"80/tcp": [{"HostPort": port, "HostIp": ip}]}


@pytest.mark.parametrize(
    ("text", "candidates", "matches"),
    [
        ("zone==a", ["a"], True),
        ("zone==a", ["ab"], False),
        ("zone==a*", ["ab"], True),
        ("zone!=a", ["b"], True),
        ("zone!=a", [""], True),
        ("zone==/^[ab]$/", ["b"], True),
        ("zone==/x/", ["axa"], True),
        ("zone==/(/", ["("], False),
        ("zone==~a", ["a"], True),
        ("image==a/b:1", ["x", "a/b:1"], True),
    ],
)
def test_expressions(text, candidates, matches):
    assert parse(text).matches(*candidates) is matches


@pytest.mark.parametrize(
    ("text", "said"),
    [("zone", "One of operator"), ("z==a", "Key 'z' is"), ("1a==b", "Key"), ("zone==a,b", "Value")],
)
def test_bad_expressions(text, said):
    with pytest.raises(ExpressionError, match=said):
        parse(text)


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        (["constraint:zone==a"], {"n-a"}),
        (["constraint:zone!=a"], {"n-b"}),
        (["constraint:node==n-b"], {"n-b"}),
        (["constraint:node==id-n-b"], {"n-b"}),
        (["constraint:zone==~c"], {"n-a", "n-b"}),
        (["constraint:zone==~c", "constraint:zone==a"], {"n-a"}),
        (["affinity:container==web"], {"n-b"}),
        (["affinity:container!=web"], {"n-a"}),
        (["affinity:tier==front"], {"n-b"}),
        (["affinity:image==busybox"], {"n-a"}),
        (["whitelist:node==n-a|n-c"], {"n-a"}),
    ],
)
def test_filters(env, expected):
    images = [{"Id": "sha256:1", "RepoTags": ["busybox:lab"]}]
    nodes = [node("n-a", images=images), node("n-b", Container("web", tier="front"))]
    assert set(select(nodes, *env)) == expected


def test_no_node_lists_what_was_asked_up_to_the_filter_that_failed():
    with pytest.raises(NoNodeError) as refused:
        select([node("n-a")], "constraint:zone==b", "affinity:container==~x", "whitelist:node==n-z")
    assert str(refused.value) == (
        "Unable to find a node that satisfies the following conditions \n"
        "[available container slots]\n[container==x (soft=true)]\n[zone==b]"
    )


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ([], "No healthy node available in the cluster"),
        ([node("n-a", health=0)], "No healthy node available in the cluster"),
        ([node("n-a", total_memory=10)], "no resources available to schedule container"),
        ([node("n-a", used_memory=990)], "no resources available to schedule container"),
    ],
)
def test_no_node_at_all(nodes, said):
    with pytest.raises(NoNodeError, match=said):
        select(nodes, HostConfig={"Memory": 20})


def test_spread_binpack_and_health():
    full = node("n-a", Container("x"), used_memory=500)
    empty = node("n-b")
    weak = node("n-c", health=67)
    asked = {"HostConfig": {"Memory": 10}}
    assert select([full, empty, weak], **asked) == ["n-b", "n-a", "n-c"]
    assert select([full, empty, weak], strategy="binpack", **asked) == ["n-a", "n-b", "n-c"]
    assert sorted(select([full, empty], strategy="random", **asked)) == ["n-a", "n-b"]


@pytest.mark.parametrize(
    ("wanted", "free"),
    [
        (bound("8080"), False),
        (bound("8081"), True),
        (bound("8080", "10.0.0.1"), False),
        (bound("8080", "10.0.0.2"), True),
    ],
)
def test_ports(wanted, free):
    nodes = [node("n-a", Container("x", ports=bound("8080", "10.0.0.1")))]
    asked = {"HostConfig": {"PortBindings": wanted}}
    if free:
        assert select(nodes, **asked) == ["n-a"]
    else:
        with pytest.raises(NoNodeError, match=r"\[port 8080 \(Bridge mode\)\]"):
            select(nodes, **asked)


def test_host_network_takes_exposed_ports():
    nodes = [node("n-a", Container("x", mode="host")), node("n-b", Container("y"))]
    asked = {"HostConfig": {"NetworkMode": "host"}, "ExposedPorts": {"80/tcp": {}}}
    assert select(nodes, **asked) == ["n-b"]


def test_slots_and_dependencies():
    labels = {"containerslots": "1"}
    nodes = [node("n-a", Container("x"), labels=labels), node("n-b", Container("y", "c2"))]
    assert select(nodes) == ["n-b"]
    with pytest.raises(NoNodeError, match=r"\[--link=x:db --net=container:y\]"):
        select(nodes, HostConfig={"Links": ["x:db"], "NetworkMode": "container:y"})


def test_only_the_chosen_filters_count():
    assert select([node("n-a")], "constraint:zone==b", chosen=("health",)) == ["n-a"]
