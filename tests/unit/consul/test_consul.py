import functools
import json

import pytest

from _modules import swarm_consul
from swarm_formula.core import errors, host_files, wait
from tests.unit import consul_agent
from tests.unit.execution import mocked, own_time, tried
from tests.unit.pillars import VALID, node, settings_of

RUNNING = {"command": ["agent", "-config-dir=/c"], "network_mode": "host"}
CREATED = {"state": {"old": None, "new": "running"}}
CHANGED = {"image": {"old": "a", "new": "b"}}
NODES = "docker/swarm/nodes/"


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """Have Consul's configuration in a folder of the test."""
    monkeypatch.setattr(host_files, "CONFIG", tmp_path / "swarm-formula")
    monkeypatch.setattr(wait, "_FIRST", 0.01)
    return tmp_path / "swarm-formula"


@pytest.fixture
def on(monkeypatch, agent, folder):
    """Return a function that sets up a host, and what applying its container changes."""

    def on(host="m1", changes=None, exists=True, **pillar):
        consul = {**VALID["consul"], **pillar.pop("consul", {}), "http_port": agent.port}
        settings = settings_of({**VALID, "consul": consul, "timeout": 5, **pillar}, node(host))
        salt = mocked(
            swarm_settings__get=settings,
            swarm_container__apply=tried(changes or {}),
            swarm_container__check=None,
            swarm_container__get=None,
            swarm_container__logs="its words",
            swarm_container__start=True,
            swarm_container__update=True,
            swarm_classic__managers={},
            swarm_classic__hand_over=True,
            swarm_volume__path=None,
            swarm_container__remove={},
            swarm_engine__exists=exists,
            swarm_volume__remove={},
            swarm_image__remove_unused={},
        )
        monkeypatch.setattr(swarm_consul, "__salt__", salt, raising=False)
        monkeypatch.setattr(swarm_consul, "__opts__", {"id": host}, raising=False)
        return salt

    return on


def wrote(salt):
    """Say whether the container was applied for real."""
    calls = salt["swarm_container.apply"].call_args_list
    return any(not call.kwargs.get("test") for call in calls)


# ---- looking


def test_status(on, agent):
    on()
    agent.serve("m3", status=consul_agent.FAILED)
    assert swarm_consul.status() == {
        "leader": "10.77.0.11:8300",
        "servers": ["m1", "m2"],
        "voters": ["m1", "m2", "m3"],
    }


def test_leader(on, agent):
    on()
    assert swarm_consul.has_leader() is True
    agent.leader = ""
    assert swarm_consul.has_leader() is False


def test_consul_that_does_not_run_has_no_leader(on):
    salt = on()
    salt["swarm_settings.get"].return_value["consul"]["http_port"] = 9  # nobody listens there
    assert swarm_consul.has_leader() is False


def test_wait_ends_at_once_with_a_leader(on):
    on()
    assert swarm_consul.wait() is None


def test_wait_says_which_servers_are_missing(on, agent):
    on()
    agent.leader = ""
    agent.serve("m2", "m3", status=consul_agent.FAILED)
    with pytest.raises(errors.WaitTimeoutError) as failure:
        swarm_consul.wait(timeout=0)
    assert str(failure.value) == "Consul has no leader: 1 of 3 servers answers; m2, m3 missing"


def test_wait_says_that_consul_does_not_answer(on):
    salt = on()
    salt["swarm_settings.get"].return_value["consul"]["http_port"] = 9
    with pytest.raises(errors.WaitTimeoutError, match="Consul on this host does not answer"):
        swarm_consul.wait(timeout=0)


def test_consul_that_has_ended_ends_the_wait(on):
    salt = on()
    salt["swarm_settings.get"].return_value["consul"]["http_port"] = 9
    salt["swarm_container.check"].side_effect = errors.NotRunningError("exit code 1")
    with pytest.raises(errors.NotRunningError, match="exit code 1"):
        swarm_consul.wait()


def test_store_of_ones_own_is_not_waited_for(on, agent):
    on(store="etcd://e:2379")
    swarm_consul.wait(timeout=0)
    assert agent.log == []


def test_nodes(on, agent):
    on()
    assert swarm_consul.nodes() == []
    agent.keys[f"{NODES}10.77.0.12:2275"] = ("10.77.0.12:2275", None)
    agent.keys["docker/swarm/leader"] = ("10.77.0.11:3375", None)
    assert swarm_consul.nodes() == ["10.77.0.12:2275"]


# ---- the container


def test_configuration_is_there_before_the_container(on, folder):
    salt = on(changes=CREATED)
    seen = []

    def act():
        seen.append((folder / "consul.json").exists())

    salt["swarm_container.apply"].side_effect = tried(CREATED, act)
    assert swarm_consul.apply() == CREATED
    assert seen == [True]
    config = json.loads((folder / "consul.json").read_text())
    assert (config["node_name"], config["bootstrap_expect"]) == ("m1", 3)


def test_nothing_to_change_writes_nothing(on, folder):
    salt = on()
    assert swarm_consul.apply() == {}
    assert not wrote(salt)
    assert not folder.exists()


def test_test_mode_promises_and_writes_nothing(on, folder):
    salt = on(changes=CREATED)
    assert swarm_consul.apply(test=True) == CREATED
    assert not wrote(salt)
    assert not folder.exists()


@pytest.mark.parametrize("test", [False, True])
def test_store_of_ones_own_needs_no_consul_here(on, agent, folder, test):
    salt = on(store=f"etcd://127.0.0.1:9,127.0.0.1:{agent.port}")
    salt["swarm_container.get"].return_value = RUNNING
    salt["swarm_container.remove"].return_value = {"state": {"old": "running", "new": None}}
    assert swarm_consul.apply(test=test) == {"state": {"old": "running", "new": None}}
    salt["swarm_container.apply"].assert_not_called()
    assert not folder.exists()
    assert len(salt["swarm_container.remove"].call_args_list) == (1 if test else 2)


@pytest.mark.parametrize("test", [False, True])
def test_consul_stays_if_the_store_that_replaces_it_does_not_answer(on, test):
    salt = on(store="etcd://127.0.0.1:9")
    salt["swarm_container.get"].return_value = RUNNING
    salt["swarm_container.remove"].return_value = CREATED
    with pytest.raises(errors.SwarmError, match=r"swarm:store: nothing answers .* from m1"):
        swarm_consul.apply(test=test)
    salt["swarm_container.remove"].assert_called_once_with("swarm-consul", test=True)


@pytest.mark.parametrize("test", [False, True])
def test_consul_stays_on_a_node_of_builtin_mode(on, test):
    salt = on(mode="builtin", overlay=False)
    salt["swarm_container.get"].return_value = RUNNING
    salt["swarm_container.remove"].return_value = CREATED
    with pytest.raises(errors.SwarmError, match=r"mode: builtin.*salt m1 swarm_consul\.remove"):
        swarm_consul.apply(test=test)
    salt["swarm_container.remove"].assert_called_once_with("swarm-consul", test=True)


def test_store_that_does_not_answer_is_refused_before_anything_is_touched(on, agent):
    """Before the certificates, which are not those of servers any more; seen by the matrix."""
    salt = on(store="etcd://127.0.0.1:9")
    salt["swarm_container.get"].return_value = RUNNING
    salt["swarm_container.remove"].return_value = CREATED
    with pytest.raises(errors.SwarmError, match=r"swarm:store: nothing answers .* from m1"):
        swarm_consul.check_fixed()
    salt["swarm_container.remove"].return_value = {}
    swarm_consul.check_fixed()
    salt = on(store=f"etcd://127.0.0.1:{agent.port}")
    salt["swarm_container.get"].return_value = RUNNING
    salt["swarm_container.remove"].return_value = CREATED
    swarm_consul.check_fixed()


# ---- going down


def test_others_do_not_wait_for_a_run_of_this_host_that_was_killed_in_its_turn(on, agent):
    """The next run of this host may have nothing to restart, and so never ask for a turn."""
    on()
    agent.sessions["session-9"] = {}
    agent.keys["swarm-formula/turn"] = ("m2", "session-9")
    swarm_consul.wait()
    assert agent.keys["swarm-formula/turn"] == ("m2", "session-9"), "that of another host"
    agent.keys["swarm-formula/turn"] = ("m1", "session-9")
    swarm_consul.wait()
    assert (agent.keys, agent.sessions) == ({}, {})


def test_server_goes_down_in_its_turn(on, agent):
    salt = on(changes=CHANGED)

    def act():
        assert agent.keys["swarm-formula/turn"][0] == "m1"

    salt["swarm_container.apply"].side_effect = tried(CHANGED, act)
    assert swarm_consul.apply() == CHANGED
    assert wrote(salt)
    assert agent.keys == {}


def test_server_stays_up_while_the_quorum_needs_it(on, agent, folder):
    salt = on(changes=CHANGED)
    agent.serve("m3", status=consul_agent.FAILED)
    salt["swarm_settings.get"].return_value["timeout"] = 0.1
    with pytest.raises(errors.SwarmError, match=r"would cost the quorum: .* bring m3 up"):
        swarm_consul.apply()
    assert not wrote(salt)
    assert not folder.exists()
    assert agent.keys == {}


def test_without_leader_there_is_no_quorum_to_lose(on, agent):
    """A configuration that keeps Consul from electing has to be repaired somehow."""
    salt = on(changes=CHANGED)
    agent.leader = ""
    assert swarm_consul.apply() == CHANGED
    assert wrote(salt)
    assert not any("session" in line for line in agent.log)


def test_server_that_is_new_takes_no_turn(on, agent):
    on(changes=CREATED)
    assert swarm_consul.apply() == CREATED
    assert not any("session" in line for line in agent.log)


def test_client_takes_no_turn(on, agent):
    salt = on("m4", changes=CHANGED)
    assert swarm_consul.apply() == CHANGED
    assert wrote(salt)
    assert not any("session" in line for line in agent.log)


def test_server_that_does_not_come_back_is_told(on, agent):
    salt = on(changes=CHANGED)

    failed = functools.partial(agent.serve, "m1", status=consul_agent.FAILED)
    salt["swarm_container.apply"].side_effect = tried(CHANGED, failed)
    salt["swarm_settings.get"].return_value["timeout"] = 0.1
    with pytest.raises(errors.WaitTimeoutError, match="Consul of m1 is not back yet"):
        swarm_consul.apply()
    assert agent.keys == {}


def test_server_that_does_not_answer_for_a_while_is_waited_for(on, agent, monkeypatch):
    """Its own Consul is the one that was restarted: at first there is nobody to ask."""
    salt, leader = on(changes=CHANGED), agent.leader
    salt["swarm_container.apply"].side_effect = tried(
        CHANGED, functools.partial(setattr, agent, "leader", "")
    )
    monkeypatch.setattr(wait, "time", own_time(sleep=lambda _: setattr(agent, "leader", leader)))
    assert swarm_consul.apply() == CHANGED
    assert agent.keys == {}


# ---- leaving


def test_deregister_drops_this_nodes_key_only(on, agent):
    on()
    for address in ("10.77.0.11:2275", "10.77.0.12:2275"):
        agent.keys[f"{NODES}{address}"] = (address, None)
    wanted = {"10.77.0.11:2275": {"old": "registered", "new": None}}
    assert swarm_consul.deregister(test=True) == wanted
    assert len(agent.keys) == 2
    assert swarm_consul.deregister() == wanted
    assert list(agent.keys) == [f"{NODES}10.77.0.12:2275"]
    assert swarm_consul.deregister() == {}


def test_remove_takes_container_volume_image_and_file(on, folder, tmp_path):
    salt = on()
    salt["swarm_volume.path"].return_value = str(tmp_path / "volume")
    salt["swarm_container.get"].return_value = RUNNING
    folder.mkdir()
    (folder / "consul.json").write_text("{}")
    for function in ("swarm_container.remove", "swarm_volume.remove", "swarm_image.remove_unused"):
        salt[function].return_value = CREATED
    promised = swarm_consul.remove(test=True)
    assert (folder / "consul.json").exists()
    assert swarm_consul.remove() == promised
    assert sorted(promised) == sorted(
        ["swarm-consul", "volume swarm-consul", "consul:1.8.7", str(folder / "consul.json")]
    )
    assert not folder.exists()


def test_remove_leaves_what_somebody_else_calls_so(on, tmp_path):
    salt = on()
    salt["swarm_container.get"].return_value = {**RUNNING, "command": ["/portainer"]}
    salt["swarm_volume.path"].return_value = str(tmp_path)
    (tmp_path / "dump.sql").write_text("")
    assert swarm_consul.remove() == {}
    salt["swarm_container.remove"].assert_not_called()
    salt["swarm_volume.remove"].assert_not_called()


def test_remove_where_nothing_is(on):
    salt = on(exists=False)
    assert swarm_consul.remove() == {}
    salt["swarm_container.remove"].assert_not_called()


def test_deregister_of_another_node(on, agent):
    on()
    agent.keys[f"{NODES}10.77.0.12:2275"] = ("10.77.0.12:2275", None)
    assert swarm_consul.deregister(endpoint="10.77.0.12:2275")
    assert agent.keys == {}


def test_server_that_is_gone_is_forgotten(on, agent):
    on()
    agent.serve("m3", status=consul_agent.FAILED)
    assert swarm_consul.expel("m3") == {"m3": {"old": "gone", "new": "forgotten"}}
    assert "m3" not in agent.servers
    assert swarm_consul.expel("m3") == {}


def test_server_that_lives_is_waited_for_before_it_is_forgotten(on, agent):
    """It would only come back."""
    salt = on()
    salt["swarm_settings.get"].return_value["timeout"] = 0.1
    with pytest.raises(errors.WaitTimeoutError, match="Consul of m3 is still alive"):
        swarm_consul.expel("m3")
    salt["swarm_settings.get"].return_value["timeout"] = 180
    with pytest.raises(errors.WaitTimeoutError, match="Consul of m3 is still alive"):
        swarm_consul.expel("m3", timeout=0)
    assert "PUT /v1/agent/force-leave/m3" not in agent.log
