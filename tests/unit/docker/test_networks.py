import docker
import pytest
import requests

from swarm_formula.core import errors
from swarm_formula.docker import network_spec
from swarm_formula.docker import networks as docker_networks
from tests.unit.execution import own_time

# Knows nothing of Salt.
pytestmark = pytest.mark.once

SPEC = {
    "driver": "overlay",
    "subnet": "10.9.0.0/24",
    "gateway": "10.9.0.1",
    "ip_range": "10.9.0.0/25",
    "options": {"encrypted": ""},
    "labels": {"tier": "web"},
    "internal": True,
    "attachable": True,
}


def inspected(body):
    """Return what Docker tells about a network that was created by ``body``."""
    return {"Id": "1", **body}


def wanted(**settings):
    return network_spec.wanted("net", settings)


BARE = inspected(network_spec.body("net", {"driver": "overlay"}))


def test_what_is_created_is_what_is_wanted():
    body = network_spec.body("net", wanted(**SPEC))
    assert network_spec.current(inspected(body)) == SPEC
    assert set(SPEC) == set(network_spec.FIELDS)


@pytest.mark.parametrize("key", SPEC)
def test_every_setting_is_compared(key):
    spec = {**SPEC, "driver": "bridge"}
    assert set(network_spec.differences(wanted(**{key: spec[key]}), BARE)) == {key}


def test_what_is_not_given_is_not_compared():
    body = network_spec.body("net", wanted(**SPEC))
    assert network_spec.differences({}, inspected(body)) == {}


def test_options_of_the_driver_are_not_compared():
    network = {**BARE, "Options": {"encrypted": "", "vxlanid_list": "4097"}}
    assert network_spec.differences(wanted(options={"encrypted": None}), network) == {}
    assert network_spec.differences(wanted(options={}), network) == {}


@pytest.mark.parametrize(
    ("ipam", "spec"),
    [
        (
            {"Config": [{"Subnet": "10.0.0.0/24", "Gateway": "10.0.0.1/24"}]},
            {"gateway": "10.0.0.1"},
        ),
        ({"Config": [{"Subnet": "10.0.0.0/24"}]}, {"subnet": "10.0.0.0/24"}),
        ({"Config": []}, {"subnet": ""}),
        ({"Config": None}, {"gateway": ""}),
    ],
)
def test_addresses_in_all_their_forms(ipam, spec):
    assert network_spec.differences(wanted(**spec), {**BARE, "IPAM": ipam}) == {}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"subnet": "10.0.0.0/99"}, "'subnet' must be a network"),
        ({"gateway": "m1"}, "'gateway' must be an address"),
        ({"internal": "no"}, "'internal' must be true or false, found 'no'"),
        ({"labels": ["a"]}, "'labels' must be a dictionary"),
        ({"subnets": "10.0.0.0/8"}, "subnets.*Did you mean 'subnet'"),
        ({"qqq": 1}, "qqq.* a known one: attachable"),
    ],
)
def test_wrong_settings(spec, words):
    with pytest.raises(errors.SettingsError, match=f"^network net:.*{words}"):
        wanted(**spec)


class Store:
    """The engines of one cluster, whose networks are in one store."""

    base_url, api_version, timeout = "http://x", "1.41", 1

    def __init__(self, *ids, late=()):
        self.ids = [*ids]
        self.late = [*late]
        self.removed = []

    def networks(self, names):
        return [{**BARE, "Id": one, "Name": name} for one in self.ids for name in names]

    def inspect_network(self, one):
        return {**BARE, "Id": one}

    def containers(self, **_kwargs):
        return []

    def remove_network(self, one):
        self.removed.append(one)
        self.ids.remove(one)

    def post(self, url, **_kwargs):
        """Create network ``m``; at the same moment others create theirs."""
        assert url.endswith("/networks/create")
        self.ids += ["m", *self.late]
        return self

    def raise_for_status(self):
        """Be content."""

    def json(self):
        return {"Id": "m"}


@pytest.mark.parametrize(
    ("others", "left"),
    [
        ([], ["m"]),
        (["a"], ["a"]),
        (["z"], ["m", "z"]),
        (["a", "z"], ["a", "z"]),
    ],
    ids=["alone", "mine-is-later", "mine-is-first", "mine-is-between"],
)
def test_of_networks_created_at_the_same_moment_each_takes_away_its_own(monkeypatch, others, left):
    """All see the same IDs and choose the same one, so exactly one is left when all are done."""
    monkeypatch.setattr(docker_networks, "SETTLE", 0)
    store = Store(late=others)
    assert docker_networks.apply(store, "net", wanted(driver="overlay"))["state"]
    assert sorted(store.ids) == left
    assert set(store.removed) <= {"m"}


class Rivals(Store):
    """A store out of which another engine takes the network at the same moment."""

    def __init__(self, error, rival_is_faster):
        super().__init__("a")
        self.error, self.rival_is_faster = error, rival_is_faster

    def remove_network(self, one):
        if self.rival_is_faster:
            self.ids.remove(one)
        raise self.error


@pytest.mark.parametrize(
    "error", [docker.errors.APIError("key modified"), requests.exceptions.ReadTimeout("60")]
)
def test_a_network_that_another_minion_removed_is_removed(error):
    """Seen with 20.10.5 and three minions: refused, or no answer at all, though it was gone."""
    assert docker_networks.remove(Rivals(error, rival_is_faster=True), "net")["state"]
    with pytest.raises(errors.SwarmError, match="network net"):
        docker_networks.remove(Rivals(error, rival_is_faster=False), "net")


def test_duplicates_of_an_earlier_race_are_removed():
    store = Store("b", "a", "c")
    changes = docker_networks.apply(store, "net", {})
    assert changes == {"duplicates": {"old": ["b", "c"], "new": []}}
    assert store.ids == ["a"]


class Emptying(Store):
    """A manager whose network has a task's container, until the third look."""

    def __init__(self, services=(), label="com.docker.swarm.task.id", stays=False):
        super().__init__("n1")
        self.services_, self.label, self.looks, self.stays = list(services), label, 0, stays

    def services(self):
        return self.services_

    def inspect_network(self, one):
        # As of an engine with tasks: the load balancer's endpoint is no container.
        found = {"lb-net": {"Name": "net-endpoint"}, "c1": {"Name": "web.1.x"}}
        return {**super().inspect_network(one), "Containers": found if self.is_used else {}}

    @property
    def is_used(self):
        return self.looks <= 2 or self.stays

    def containers(self, filters=None, **_):
        self.looks += filters is None
        if not self.is_used:
            return []
        if filters and filters["label"] != self.label:
            return []
        networks = {"net": {"NetworkID": "n1"}}
        return [{"Names": ["/web.1.x"], "NetworkSettings": {"Networks": networks}}]


@pytest.fixture
def quick(monkeypatch):
    ticks = iter(range(10000))
    clock = own_time(sleep=lambda _: None, monotonic=lambda: next(ticks))
    monkeypatch.setattr(docker_networks, "time", clock)


@pytest.mark.usefixtures("quick")
def test_tasks_of_a_service_that_was_removed_just_now_are_waited_for():
    """Found in the lab: state after state removed the service and its network."""
    store = Emptying()
    assert docker_networks.remove(store, "net", test=True)
    assert docker_networks.remove(store, "net")
    assert store.ids == []


@pytest.mark.parametrize(
    "store",
    [
        Emptying([{"Spec": {"TaskTemplate": {"Networks": [{"Target": "n1"}]}}}]),
        Emptying(label="none"),
        Emptying(stays=True),
    ],
    ids=["the service is there", "a container of its own", "it does not end"],
)
@pytest.mark.usefixtures("quick")
def test_network_that_is_really_in_use_stays(store):
    with pytest.raises(errors.SwarmError, match="cannot be removed while containers use it"):
        docker_networks.remove(store, "net")
    assert store.ids == ["n1"]
