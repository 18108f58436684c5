"""The network states against a real engine."""

import concurrent.futures

import docker
import pytest

from swarm_formula.docker import engine_api, networks
from tests.functional.conftest import IMAGE, PREFIX

NAME = f"{PREFIX}net"
SPEC = {
    "driver": "bridge",
    "subnet": "10.213.7.0/24",
    "gateway": "10.213.7.254",
    "ip_range": "10.213.7.0/25",
    "options": {"com.docker.network.bridge.enable_icc": True},
    "labels": {"tier": "web"},
    "internal": True,
    "attachable": False,
}
OTHERS = {
    "subnet": {"subnet": "10.213.8.0/24"},
    "gateway": {"subnet": SPEC["subnet"], "gateway": "10.213.7.1"},
    "ip_range": {"subnet": SPEC["subnet"], "ip_range": "10.213.7.128/25"},
    "options": {"options": {"com.docker.network.bridge.enable_icc": False}},
    "labels": {"labels": {}},
    "internal": {"internal": False},
    "attachable": {"attachable": True},
}

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def network(states):
    return states.swarm_network


@pytest.fixture
def ids(engine):
    def ids_by_name(name=NAME):
        return [one.id for one in engine.networks.list(names=[name]) if one.name == name]

    return ids_by_name


@pytest.fixture
def net(network, ids):
    ret = network.present(NAME, **SPEC)
    assert ret.result is True, ret.comment
    return ids()[0]


@pytest.fixture(params=["running", "never-started"])
def user(request, engine, net):
    """A container that uses the network."""
    body = engine.containers.create(IMAGE, name=f"{PREFIX}user", network=NAME)
    if request.param == "running":
        body.start()
    return body


def test_present_creates(network, ids, testmode):
    ret = network.present(NAME, test=testmode, **SPEC)
    assert ret.result is (None if testmode else True), ret.comment
    assert ret.changes["state"] == {"old": "absent", "new": "present"}
    assert set(ret.changes) == {"state", *SPEC}
    assert len(ids()) == (0 if testmode else 1)


def test_present_converges(network, ids, net):
    assert network.present(NAME, **SPEC).changes == {}
    assert network.present(NAME).changes == {}
    assert ids() == [net]


@pytest.mark.parametrize("key", OTHERS)
def test_an_unused_network_is_made_anew(network, ids, net, key):
    promised = network.present(NAME, test=True, **OTHERS[key])
    assert ids() == [net]
    ret = network.present(NAME, **OTHERS[key])
    assert ret.result is True, ret.comment
    assert set(ret.changes) == {key}
    assert ret.changes == promised.changes
    assert ids() != [net]
    assert network.present(NAME, **OTHERS[key]).changes == {}


def test_a_used_network_is_left_and_its_users_named(network, ids, user, testmode):
    net = ids()
    for ret in (
        network.present(NAME, internal=False, test=testmode),
        network.absent(NAME, test=testmode),
    ):
        assert ret.result is False
        assert user.name in ret.comment
    assert ids() == net
    assert network.present(NAME, **SPEC).changes == {}


def test_a_network_that_docker_refuses_leaves_the_old_one(network, modules, engine, net):
    engine.networks.create(
        f"{PREFIX}neighbour",
        ipam=docker.types.IPAMConfig(
            pool_configs=[docker.types.IPAMPool(subnet="10.213.9.0/24")],
        ),
    )
    ret = network.present(NAME, subnet="10.213.9.0/24")
    assert ret.result is False
    assert "overlap" in ret.comment
    assert network.present(NAME, **SPEC).changes == {}


def test_a_part_of_a_name_is_another_name(network, ids, net):
    assert network.present(NAME[:-1]).changes["state"]["new"] == "present"
    assert network.absent(NAME[:-1]).changes
    assert ids() == [net]


def test_minions_at_the_same_time_make_one(docker_url, ids):
    """Several minions create the network at the same moment."""
    wanted = {"driver": "bridge", "subnet": SPEC["subnet"]}

    def create(_minion):
        with engine_api.connect(docker_url) as client:
            return networks.apply(client, NAME, wanted)

    with concurrent.futures.ThreadPoolExecutor(5) as minions:
        # A minion that fails raises its error here.
        assert len(list(minions.map(create, range(5)))) == 5
    assert len(ids()) == 1


def test_duplicates_are_removed(network, engine, ids, testmode):
    """Docker before 25 lets the same name be given twice, and so does a race in the store."""
    try:
        for _ in range(3):
            engine.networks.create(NAME, check_duplicate=False)
    except docker.errors.APIError as err:
        pytest.skip(f"this engine lets no duplicate come about: {err.explanation}")
    kept = sorted(ids())[0]
    ret = network.present(NAME, test=testmode)
    assert ret.result is (None if testmode else True), ret.comment
    assert len(ret.changes["duplicates"]["old"]) == 2
    assert len(ids()) == (3 if testmode else 1)
    assert kept in ids()


def test_of_duplicates_the_used_one_stays(network, engine, ids):
    try:
        first, second = (engine.networks.create(NAME, check_duplicate=False) for _ in range(2))
    except docker.errors.APIError as err:
        pytest.skip(f"this engine lets no duplicate come about: {err.explanation}")
    used = max(first.id, second.id)
    body = engine.containers.run(IMAGE, name=f"{PREFIX}user", network="none", detach=True)
    engine.networks.get("none").disconnect(body)
    engine.networks.get(used).connect(body)
    assert network.present(NAME).result is True
    assert ids() == [used]


def test_an_overlay_without_a_store_says_what_it_needs(network, engine):
    if engine.info()["Swarm"]["LocalNodeState"] != "inactive":
        pytest.skip("this engine is in a swarm, it has overlay networks")
    ret = network.present(NAME, driver="overlay")
    assert ret.result is False
    assert "swarm:overlay: true" in ret.comment
    assert network.present(NAME, driver="overlay", test=True).result is None


def test_absent(network, ids, net, testmode):
    ret = network.absent(NAME, test=testmode)
    assert ret.result is (None if testmode else True)
    assert ret.changes == {"state": {"old": "present", "new": "absent"}}
    assert ids() == ([net] if testmode else [])
    if not testmode:
        assert network.absent(NAME).changes == {}


def test_get(modules, net, user):
    got = modules.swarm_network.get(NAME)
    assert got["subnet"] == SPEC["subnet"]
    assert got["users"] == [user.name]
    assert modules.swarm_network.get(net) is None


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"subnet": "10.0.0.0/99"}, "'subnet' must be a network"),
        ({"internal": "maybe"}, "'internal' must be true or false, found 'maybe'"),
        ({"labels": ["a"]}, "'labels' must be a dictionary"),
    ],
)
def test_wrong_settings_fail_in_test_mode_too(network, spec, words, testmode):
    ret = network.present(NAME, test=testmode, **spec)
    assert ret.result is False
    assert words in ret.comment
