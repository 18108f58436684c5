"""Which endpoints of an overlay network have no container any more."""

import pytest

from swarm_formula.core import errors
from swarm_formula.docker import stale_endpoints

ALIVE, LEFT, FAILED = 1, 3, 4
OWN, HOST = "10.0.0.11", "10.0.0.13"
MEMBERS = {OWN: ("m1", ALIVE), HOST: ("m3", FAILED)}


def judge(names=None, members=MEMBERS, host=HOST):
    ends = {"e": {"name": "web", "locator": host}}
    return stale_endpoints.judge(ends, {HOST: names}.get, members)


@pytest.mark.parametrize(
    ("names", "members"),
    [
        pytest.param(set(), MEMBERS, id="its engine answers and has none"),
        pytest.param({"other"}, None, id="whatever Consul says"),
        pytest.param(None, {**MEMBERS, HOST: ("m3", LEFT)}, id="the host has left"),
        pytest.param(None, {OWN: ("m1", ALIVE)}, id="nobody knows such a host"),
    ],
)
def test_what_is_certain_to_be_nowhere_is_gone(names, members):
    assert judge(names, members) == stale_endpoints.Verdict({"web"}, [])


@pytest.mark.parametrize(
    ("names", "members", "host", "words"),
    [
        pytest.param({"web"}, MEMBERS, HOST, "web on 10.0.0.13", id="it is there"),
        pytest.param(None, MEMBERS, HOST, "salt-run swarm.remove m3", id="only away"),
        pytest.param(None, {HOST: ("m3", ALIVE)}, HOST, "bring that host up", id="engine stopped"),
        pytest.param(None, None, HOST, "docker network disconnect -f", id="a store of one's own"),
        pytest.param(None, MEMBERS, "", "docker network disconnect -f", id="no host is told"),
    ],
)
def test_what_may_be_somewhere_is_not_gone_and_told(names, members, host, words):
    verdict = judge(names, members, host)
    assert verdict.gone == set()
    assert words in verdict.notes[0]


def test_worker_whom_no_engine_answers_sends_to_a_manager():
    """It does not know whether the engine is down, and nobody has to bring it up."""
    ends = {"e": {"name": "web", "locator": HOST}, "f": {"name": "db", "locator": OWN}}
    left = {**MEMBERS, HOST: ("m3", LEFT)}
    verdict = stale_endpoints.judge(ends, {OWN: set()}.get, MEMBERS, asks=False)
    assert verdict.gone == {"db"}
    assert verdict.notes == [
        f"web on {HOST}, whose engine does not take the certificate of a worker: apply on a"
        " manager, which asks it, and again"
    ]
    assert stale_endpoints.judge(ends, {OWN: set()}.get, left, asks=False).gone == {"web", "db"}


def test_list_of_members_without_this_host_is_none():
    """With ACLs, Consul's list has whom one may see: an empty one is not a swarm of nobody."""
    one = {"Addr": HOST, "Name": "m3", "Status": FAILED}
    assert stale_endpoints.members([one], OWN, {}) is None
    assert stale_endpoints.members([], OWN, {}) is None
    both = [one, {"Addr": OWN, "Name": "m1", "Status": ALIVE}]
    assert stale_endpoints.members(both, OWN, {}) == MEMBERS


@pytest.mark.parametrize("listed", [True, False])
def test_server_of_pillar_that_consul_has_made_leave_is_only_away(listed):
    """Seen with Consul 1.8: 25 s after its power was cut, a server has status 3."""
    found = [{"Addr": OWN, "Name": "m1", "Status": ALIVE}]
    found += [{"Addr": HOST, "Name": "m3", "Status": LEFT}] if listed else []
    members = stale_endpoints.members(found, OWN, {"m1": OWN, "m3": HOST})
    assert members == MEMBERS
    assert judge(None, members).gone == set()
    assert judge(None, stale_endpoints.members(found, OWN, {"m1": OWN})).gone == {"web"}


def test_names_of_containers_are_without_their_links():
    found = [{"Names": ["/web", "/other/alias"]}, {"Names": None}]
    assert stale_endpoints.container_names(found) == {"web"}


def test_own_containers_are_not_asked_for_over_the_network():
    names = stale_endpoints.asker(2376, OWN, {"web"}, None)
    assert names(OWN) == {"web"}


def test_engine_that_does_not_answer_is_no_answer():
    assert stale_endpoints.asker(1, OWN, set(), None)("127.0.0.1") is None


def test_refusal_says_who_and_where():
    err = stale_endpoints.refusal("backend", "cannot be removed", ["web"], judge({"web"}))
    assert isinstance(err, errors.ApiError)
    assert "network backend cannot be removed while containers use it: web" in str(err)
    assert "web on 10.0.0.13" in str(err)
