from unittest.mock import Mock

import pytest

from _modules import swarm_network
from swarm_formula.core import errors
from swarm_formula.overlay import kv_store, routes
from tests.unit.execution import mocked
from tests.unit.pillars import VALID, node, settings_of

REFUSED = "network b cannot be changed (subnet) while containers use it: web"


@pytest.fixture
def calls(monkeypatch):
    """Have an engine on which the network ``b`` is in use; gives what was done to it."""
    done = []

    def apply(name, spec, test=False):
        if name == "b" and spec.get("subnet"):
            raise errors.ApiError(REFUSED)
        if not test:
            done.append(name)
        return {} if name == "c" else {"internal": {"old": False, "new": True}}

    monkeypatch.setattr(swarm_network, "apply", apply)
    return done


@pytest.fixture
def pillar(monkeypatch):
    """Return a function that sets the networks of the pillar."""

    def pillar(**networks):
        salt = mocked(swarm_settings__get={"mode": "classic", "networks": networks})
        monkeypatch.setattr(swarm_network, "__salt__", salt, raising=False)

    return pillar


@pytest.mark.parametrize("test", [False, True], ids=["run", "test"])
def test_if_one_network_is_refused_none_is_changed(calls, pillar, test):
    pillar(a={"internal": True}, b={"subnet": "10.9.0.0/24"})
    with pytest.raises(errors.ApiError, match="while containers use it"):
        swarm_network.apply_all(test=test)
    assert calls == []


def test_only_networks_that_differ_are_changed_and_test_mode_foretells_them(calls, pillar):
    pillar(a={"internal": True}, b={"internal": True}, c={"internal": True})
    promised = swarm_network.apply_all(test=True)
    assert calls == []
    assert swarm_network.apply_all() == promised
    assert calls == ["a", "b"]


# ---- the end of them


USED = "network front cannot be removed while containers use it"
SPECS = {"front": {"driver": "overlay"}, "own": {"driver": "bridge"}}


@pytest.fixture
def leaving(monkeypatch):
    """Return a function that removes all networks of m4; what is asked of the engine is kept."""

    def leaving(nodes, used=(), here=(), leader=True, test=False):
        asked = []

        def remove(name, test=False):
            asked.append((name, test))
            if name in used:
                raise errors.ApiError(USED)
            return {"state": {"old": "present", "new": "absent"}}

        salt = mocked(
            swarm_settings__get={
                "mode": "classic",
                "networks": SPECS,
                "address": "10.77.0.14",
                "engine": {"port": 2376},
            },
            swarm_engine__exists=True,
            swarm_consul__nodes=nodes,
            swarm_consul__has_leader=leader,
        )
        monkeypatch.setattr(swarm_network, "__salt__", salt, raising=False)
        monkeypatch.setattr(swarm_network, "remove", remove)
        monkeypatch.setattr(swarm_network, "get_users", lambda name: [*here])
        return [*swarm_network.remove_all(test=test)], asked

    return leaving


OTHERS = ["10.77.0.11:2376", "10.77.0.14:2376"]


@pytest.mark.parametrize("used", [(), ("front",)], ids=["free", "used elsewhere"])
def test_node_that_leaves_others_takes_only_its_own_networks_with_it(leaving, used):
    gone, asked = leaving(OTHERS, used)
    assert gone == ["own"]
    assert ("front", False) not in asked


def test_last_node_takes_the_rest(leaving):
    assert leaving([])[0] == ["front", "own"]
    assert leaving(["10.77.0.14:2376"])[0] == ["front", "own"]


def test_network_that_a_container_here_uses_is_refused(leaving):
    for test in (True, False):
        with pytest.raises(errors.ApiError, match=USED):
            leaving(OTHERS, ["front"], here=["web"], test=test)


def test_last_node_is_refused_a_network_that_is_in_use(leaving):
    with pytest.raises(errors.ApiError, match=USED):
        leaving([], ["front"])
    assert leaving([], ["front"], leader=False)[0] == ["own"]


def test_store_that_does_not_answer_counts_for_no_others(leaving):
    assert leaving(errors.SwarmError("no store"), leader=False)[0] == ["front", "own"]


def test_dry_run_cannot_tell_who_is_the_last(leaving):
    assert leaving(OTHERS, test=True)[0] == ["front", "own"]
    assert leaving(OTHERS, ["front"], test=True)[0] == ["own"]


# ---- endpoints of hosts that may be lost


class Store:
    """The store of overlay networks, as m4 uses it."""

    own = "10.77.0.14"

    def __init__(self, _):
        pass

    def read(self, _):
        return [], 0


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("m1", "whose engine does not answer"),
        ("m4", "whose engine does not take the certificate of a worker"),
    ],
)
def test_only_a_manager_asks_other_engines_for_their_containers(monkeypatch, host, words):
    settings = settings_of({**VALID, "tls": {}, "engine": {"port": 1}}, node(host))
    salt = mocked(swarm_settings__get=settings)
    monkeypatch.setattr(swarm_network, "__salt__", salt, raising=False)
    monkeypatch.setattr(kv_store, "Store", Store)
    ends = {"n": {"e": {"name": "web", "locator": "127.0.0.1"}}}
    monkeypatch.setattr(routes, "endpoints", lambda _: ends)
    judge = swarm_network._judge(Mock(**{"containers.return_value": []}))
    verdict = judge({"Id": "n", "Driver": "overlay"})
    assert verdict.gone == set()
    assert words in verdict.notes[0]
