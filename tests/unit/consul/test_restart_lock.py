import functools
import threading

import pytest

from swarm_formula.consul import agent_api, restart_lock
from swarm_formula.core import errors
from swarm_formula.core import quorum as core_quorum
from tests.unit import consul_agent
from tests.unit.pillars import FILES

KEY = "swarm-formula/turn"


@pytest.fixture
def agent():
    """Run an agent of Consul."""
    with consul_agent.running() as agent:
        yield agent


@pytest.fixture
def connect(agent):
    """Return what gives a client of it."""
    return functools.partial(agent_api.connect, agent.settings, FILES)


@pytest.mark.parametrize(("count", "quorum"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (7, 4)])
def test_majority(count, quorum):
    assert core_quorum.majority(count) == quorum


SERVERS = {f"m{n}": f"10.77.0.1{n}" for n in range(1, 6)}


def test_turn_is_held_and_given_back(agent, connect):
    with restart_lock.turn(connect, "m1", 5):
        assert agent.keys[KEY][0] == "m1"
    assert agent.keys == {}
    assert agent.sessions == {}


def test_turn_outlives_its_host_by_no_more_than_its_ttl(agent, connect):
    """A session with a check of the host's own Consul would end when that goes down."""
    with restart_lock.turn(connect, "m1", 5):
        (session,) = agent.sessions.values()
    assert session["checks"] == []
    assert session["ttl"] == "120s"
    assert session["behavior"] == "delete"


def test_turn_of_another_is_waited_for_and_named(connect):
    with restart_lock.turn(connect, "m1", 5):
        words = "m2 waits for its turn to restart Consul or a manager: m1 has it"
        with (
            pytest.raises(errors.WaitTimeoutError, match=words),
            restart_lock.turn(connect, "m2", 0),
        ):
            pytest.fail("two hosts at a time")


def test_turn_of_a_run_of_this_host_that_was_killed_is_taken_over(agent, connect):
    """Nobody is to wait until it ends by itself."""
    agent.sessions["of before"] = {}
    agent.keys[KEY] = ("m1", "of before")
    with restart_lock.turn(connect, "m1", 5):
        assert agent.keys[KEY][0] == "m1"
        assert "of before" not in agent.sessions


def test_who_waits_for_longer_than_the_ttl_gets_the_turn(agent, connect):
    """Found by the lab: the session of a host that waited for four minutes had ended."""
    with restart_lock.turn(connect, "m1", 5):
        (first,) = agent.sessions

        def end():
            while len(agent.sessions) < 2:
                pass
            agent.sessions = {first: agent.sessions[first]}
            agent.keys.clear()

        thread = threading.Thread(target=end)
        thread.start()
        with restart_lock.turn(connect, "m2", 5):
            thread.join()
            assert agent.keys[KEY][0] == "m2"


def test_who_waited_in_vain_leaves_nothing_behind(agent, connect):
    with restart_lock.turn(connect, "m1", 5):
        with pytest.raises(errors.WaitTimeoutError), restart_lock.turn(connect, "m2", 0):
            pass
        assert len(agent.sessions) == 1


def test_only_one_at_a_time(connect):
    """Five hosts at once, each looks who else is in its turn."""
    inside, most = set(), []

    def host(name):
        with restart_lock.turn(connect, name, 60):
            inside.add(name)
            most.append(len(inside))
            inside.remove(name)

    threads = [threading.Thread(target=host, args=(name,)) for name in SERVERS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * len(SERVERS)


def test_failure_in_the_turn_gives_it_back(agent, connect):
    with pytest.raises(ZeroDivisionError), restart_lock.turn(connect, "m1", 5):
        raise ZeroDivisionError
    assert agent.keys == {}


def test_consul_that_is_not_back_hides_no_error(agent, connect):
    def gone():
        with restart_lock.turn(connect, "m1", 5):
            agent.leader = ""
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        gone()


def test_turn_is_waited_for_while_consul_elects(agent, connect):
    """Whose turn it is may be the leader's, and then nobody answers for a moment."""
    agent.leader = ""
    threading.Timer(0.2, setattr, (agent, "leader", "10.77.0.12:8300")).start()
    with restart_lock.turn(connect, "m1", 60):
        assert agent.keys[KEY][0] == "m1"
    assert agent.sessions == {}


def test_turn_without_leader_is_no_turn(agent, connect):
    agent.leader = ""
    with (
        pytest.raises(errors.WaitTimeoutError, match="No cluster leader"),
        restart_lock.turn(connect, "m1", 0),
    ):
        pytest.fail("no leader, no lock")
