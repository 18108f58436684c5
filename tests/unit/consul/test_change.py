"""
A change of Consul on one host: how Raft takes it, and the way back if it does not work.
"""

import functools
import hashlib
import json

import pytest

from _modules import swarm_consul
from swarm_formula.consul import config_file
from swarm_formula.core import errors, host_files, wait
from swarm_formula.standalone import container_names
from swarm_formula.tls import pki
from tests.unit import consul_agent
from tests.unit.execution import mocked, tried
from tests.unit.pillars import VALID, node, settings_of

CHANGED = {"labels": {"old": "a", "new": "b"}}
CREATED = {"state": {"old": "absent", "new": "running"}}


@pytest.fixture
def file(monkeypatch, tmp_path):
    """Return where Consul's configuration is."""
    monkeypatch.setattr(host_files, "CONFIG", tmp_path / "etc")
    monkeypatch.setattr(host_files, "RECORD", tmp_path / "record.json")
    monkeypatch.setattr(wait, "_FIRST", 0.01)
    return tmp_path / "etc" / "consul.json"


@pytest.fixture
def on(monkeypatch, agent, file, tmp_path):
    """Return a function that sets up a host, what its Consul was, and what a change does."""

    def on(host, was=None, act=None, changes=CHANGED, **consul):
        consul = {**VALID["consul"], "http_port": agent.port, **consul}
        settings = settings_of({**VALID, "consul": consul, "timeout": 5}, node(host))
        if was is not None:
            host_files.write(file, json.dumps({"server": was}))
        salt = mocked(
            swarm_settings__get=settings,
            swarm_container__apply=tried(changes, act),
            swarm_container__check=None,
            swarm_container__get=None,
            swarm_container__logs="its words",
            swarm_container__remove={},
            swarm_container__rename=True,
            swarm_container__start=True,
            swarm_container__update=True,
            swarm_classic__managers={"m1": {"error": "no connection"}},
            swarm_classic__hand_over=True,
            swarm_volume__path=str(tmp_path),
        )
        monkeypatch.setattr(swarm_consul, "__salt__", salt, raising=False)
        monkeypatch.setattr(swarm_consul, "__opts__", {"id": host}, raising=False)
        return salt

    return on


def written(file):
    """Return the configuration."""
    return json.loads(file.read_text())


# ---- becoming a server


@pytest.mark.parametrize("wanted", [["m1", "m2"], ["m1", "m2", "m3"], ["m2"]])
def test_new_server_joins_without_a_turn(on, agent, file, wanted):
    """390db08 asked for the quorum of pillar's list, and each of the new ones for the others."""
    agent.raft = {"m1": True}
    on("m2", was=False, act=functools.partial(agent.raft.update, m2=True), servers=wanted)
    assert swarm_consul.apply(test=True) == CHANGED
    assert swarm_consul.apply() == CHANGED
    assert not any("session" in line for line in agent.log)
    # Alone in pillar, it would make a cluster of its own with that.
    assert "bootstrap_expect" not in written(file)
    assert config_file.joining() == []
    assert swarm_consul.peers() == {"m1": "voter", "m2": "voter"}


@pytest.mark.parametrize("raft", [{"m1": True}, {"m1": True, "m2": False}])
def test_new_server_that_is_not_let_in_is_a_client_again(on, agent, file, raft):
    """390db08 reported success for a server that the leader refuses for ever."""
    agent.raft = {"m1": True}
    salt = on("m2", was=False, act=lambda: agent.raft.update(raft), servers=["m1", "m2", "m3"])
    salt["swarm_settings.get"].return_value["timeout"] = 0.1
    with pytest.raises(errors.WaitTimeoutError) as failure:
        swarm_consul.apply()
    assert "Consul's servers have not taken m2 in" in str(failure.value)
    assert "its words" in str(failure.value)
    assert "swarm:consul:options" in str(failure.value)
    assert written(file) == {"server": False}


def test_what_raft_knew_here_before_is_out_of_the_way(on, agent, tmp_path):
    (tmp_path / "raft").mkdir()
    (tmp_path / "raft" / "raft.db").write_text("old")
    agent.raft = {"m1": True}
    on("m2", was=False, act=functools.partial(agent.raft.update, m2=True), servers=["m1", "m2"])
    swarm_consul.apply()
    assert not (tmp_path / "raft").exists()
    assert (tmp_path / "raft-replaced" / "raft.db").read_text() == "old"


def test_bare_host_joins_the_swarm_that_there_is(on, agent, file):
    """Pillar names new servers only: with ``bootstrap_expect`` they make a second cluster."""
    leader, agent.leader, agent.raft = agent.leader, "", {"m1": True}

    def act():
        agent.leader = leader
        agent.raft["m3"] = True

    salt = on("m3", act=act, changes=CREATED, servers=["m3"])
    salt["swarm_classic.managers"].return_value = {
        "m1": {"role": "primary"},
        "m2": {"error": "x"},
        "m3": {"role": "replica"},
    }
    assert swarm_consul.apply() == CREATED
    assert "bootstrap_expect" not in written(file)


def test_bare_host_that_was_killed_while_it_joined_goes_on(on, agent, file):
    config_file.note_joining(["10.77.0.11"])
    leader, agent.leader, agent.raft = agent.leader, "", {"m1": True, "m3": True}
    salt = on("m3", was=True, changes={})
    salt["swarm_settings.get"].return_value["timeout"] = 0.1
    with pytest.raises(errors.WaitTimeoutError):
        swarm_consul.wait()
    assert "PUT /v1/agent/join/10.77.0.11" in agent.log
    agent.leader = leader
    swarm_consul.wait()
    assert config_file.joining() == []


# ---- stopping to be one


def leaving(agent, host="m3"):
    """Return what becomes of Raft's list once a host has left."""

    def act():
        assert agent.left
        assert agent.keys["swarm-formula/turn"][0] == host
        del agent.raft[host]

    return act


def test_server_leaves_in_its_turn(on, agent):
    agent.raft = {"m1": True, "m2": True, "m3": True}
    salt = on("m3", was=True, act=leaving(agent), servers=["m1", "m2"])
    assert swarm_consul.apply(test=True) == CHANGED
    assert not agent.left
    assert swarm_consul.apply() == CHANGED
    salt["swarm_container.update"].assert_called_once_with("swarm-consul", {"restart_policy": "no"})
    salt["swarm_classic.hand_over"].assert_called_once_with()
    assert agent.keys == {}


def test_server_leaves_only_after_the_one_that_replaces_it_has_come(on, agent, file):
    agent.raft = {"m1": True, "m2": True, "m3": True}
    salt = on("m3", was=True, servers=["m1", "m2", "m4"])
    salt["swarm_settings.get"].return_value["timeout"] = 0.1
    assert swarm_consul.apply(test=True) == CHANGED
    with pytest.raises(errors.WaitTimeoutError, match="m3 stays a server of Consul until m4"):
        swarm_consul.apply()
    assert not agent.left
    assert written(file) == {"server": True}
    assert not any("session" in line for line in agent.log)


@pytest.mark.parametrize("test", [False, True])
def test_server_that_the_quorum_needs_does_not_leave(on, agent, test):
    agent.raft = {"m1": True, "m2": True, "m3": True}
    agent.serve("m2", status=consul_agent.FAILED)
    salt = on("m3", was=True, servers=["m1", "m2"])
    salt["swarm_settings.get"].return_value["timeout"] = 0.1
    with pytest.raises(errors.SwarmError, match=r"would cost the quorum: .* bring m2 up"):
        swarm_consul.apply(test=test)
    assert not agent.left


@pytest.mark.parametrize("test", [False, True])
def test_server_without_leader_does_not_leave(on, agent, test):
    agent.leader, agent.raft = "", {"m1": True, "m3": True}
    salt = on("m3", was=True, servers=["m1"])
    salt["swarm_settings.get"].return_value["timeout"] = 0.1
    with pytest.raises(errors.SwarmError, match=r"has no leader\. Bring the other servers up"):
        swarm_consul.apply(test=test)


def test_leave_that_was_killed_is_taken_up_again(on, agent):
    """Consul has left and ended, and nothing is in its place yet."""
    leader, agent.leader, agent.raft = agent.leader, "", {"m1": True, "m3": True}
    salt = on("m3", was=True, act=leaving(agent), servers=["m1"])
    there = {"swarm-consul-replaced": {"status": "exited"}}
    salt["swarm_container.get"].side_effect = there.get

    def rename(old, new):
        there[new] = there.pop(old)

    salt["swarm_container.rename"].side_effect = rename
    salt["swarm_container.start"].side_effect = lambda _: setattr(agent, "leader", leader)
    assert swarm_consul.apply() == CHANGED
    assert salt["swarm_container.start"].called


def test_leave_that_was_killed_after_the_file_was_written_is_over(on, agent, file):
    agent.raft = {"m1": True}
    on("m3", was=False, servers=["m1"])
    host_files.write(file.with_name("consul.json-replaced"), '{"server": true}')
    assert swarm_consul.apply() == CHANGED
    assert not agent.left
    assert not file.with_name("consul.json-replaced").exists()


def test_join_that_was_killed_keeps_what_raft_knows_by_now(on, agent, file, tmp_path):
    (tmp_path / "raft").mkdir()
    agent.raft = {"m1": True}
    on("m2", was=True, act=functools.partial(agent.raft.update, m2=True), servers=["m1", "m2"])
    host_files.write(file.with_name("consul.json-replaced"), '{"server": false}')
    assert swarm_consul.apply() == CHANGED
    assert (tmp_path / "raft").exists()


# ---- staying what it is


def test_restart_that_would_cost_the_quorum_is_foretold(on, agent):
    agent.serve("m3", status=consul_agent.FAILED)
    on("m1", was=True)
    with pytest.raises(errors.SwarmError, match=r"would cost the quorum: .* bring m3 up"):
        swarm_consul.apply(test=True)


@pytest.mark.parametrize("status", [3, consul_agent.FAILED], ids=["left", "failed"])
def test_server_of_pillar_that_is_down_and_off_rafts_list_counts(on, agent, status):
    """Consul takes it off the list by itself; the two that are left bear no loss."""
    agent.serve("m3", status=status)
    agent.raft = {"m1": True, "m2": True}
    on("m1", was=True)
    with pytest.raises(errors.SwarmError, match=r"would cost the quorum: .* bring m3 up"):
        swarm_consul.apply(test=True)
    on("m1", was=True, servers=["m1", "m2"])
    assert swarm_consul.apply() == CHANGED


def test_two_servers_are_restarted_while_both_are_up(on, agent):
    """390db08 refused for ever, for example a new certificate."""
    agent.servers = {"m1": consul_agent.ALIVE, "m2": consul_agent.ALIVE}
    on("m1", was=True, servers=["m1", "m2"])
    assert swarm_consul.apply() == CHANGED


def test_configuration_that_does_not_work_is_undone(on, agent, file):
    fallen = errors.NotRunningError("container swarm-consul does not stay up: its last words")

    def act():
        assert "log_levl" in written(file)
        raise fallen

    on("m1", was=True, act=act, options={"log_levl": "WARN"})
    with pytest.raises(errors.NotRunningError, match=r"its last words \(see swarm:consul:opt"):
        swarm_consul.apply()
    assert written(file) == {"server": True}
    assert [one.name for one in file.parent.iterdir()] == ["consul.json"]


def test_what_a_killed_run_replaced_is_what_there_is_to_go_back_to(on, agent, file):
    on("m1", was=True, act=lambda: 1 / 0, options={"log_level": "WARN"})
    host_files.write(file.with_name("consul.json-replaced"), '{"server": true, "of": "before"}')
    with pytest.raises(ZeroDivisionError):
        swarm_consul.apply()
    assert written(file) == {"server": True, "of": "before"}


@pytest.mark.parametrize("host", ["m1", "m4"])
def test_another_list_of_servers_restarts_nobody_whose_role_stays(on, agent, file, host):
    """How the others are found is of use at the next start only."""
    on(host, changes=CREATED, servers=["m1", "m2", "m3"])
    swarm_consul.apply()
    label = hashlib.sha256(file.read_text().encode()).hexdigest()[:16]
    for servers in (["m1", "m2"], ["m1"], ["m1", "m2", "m3"]):
        salt = on(host, changes={}, servers=servers)
        labels = {"swarm-formula.config": label}
        salt["swarm_container.get"].return_value = {"labels": labels, "started": "2020-01-01T00:00"}
        found = swarm_consul.apply(test=True)
        assert set(found) == {"consul.json"}
        assert swarm_consul.apply() == found
        (_, spec), _ = salt["swarm_container.apply"].call_args
        assert spec["labels"] == labels
        assert len(written(file)["retry_join"]) == len(servers)
        assert swarm_consul.apply() == {}


@pytest.mark.parametrize(
    ("started", "kept"), [("2020-01-01T00:00:00.123456789Z", False), ("2200-01-01T00:00:00Z", True)]
)
def test_consul_without_leader_has_to_have_read_the_list(on, agent, file, started, kept):
    on("m4", changes=CREATED)
    swarm_consul.apply()
    label = hashlib.sha256(file.read_text().encode()).hexdigest()[:16]
    container = {"labels": {"swarm-formula.config": label}, "started": started}
    salt = on("m4", changes={}, servers=["m1", "m2"])
    salt["swarm_container.get"].return_value = container
    swarm_consul.apply()
    agent.leader = ""
    swarm_consul.apply()
    (_, spec), _ = salt["swarm_container.apply"].call_args
    assert (spec["labels"]["swarm-formula.config"] == label) is kept


def test_broken_file_of_an_admin_is_written_anew(on, agent, file):
    file.parent.mkdir()
    file.write_text("{broken")
    on("m4")
    assert swarm_consul.apply() == CHANGED
    assert written(file)["node_name"] == "m4"


# ---- what is fixed, and what is renamed


def test_other_datacenter_is_refused(on, file):
    on("m1", datacenter="berlin")
    swarm_consul.check_fixed()
    host_files.write(file, json.dumps({"server": True, "datacenter": "dc1"}))
    with pytest.raises(errors.SwarmError, match=r"runs in dc1: .* Put dc1 back"):
        swarm_consul.check_fixed()


@pytest.mark.parametrize("others", [False, True])
@pytest.mark.parametrize("host", ["m1", "m4"])
def test_other_volume_is_refused_where_it_is_the_only_copy(on, agent, others, host):
    """On the clients as well, by the same words: the matrix saw these change alone."""
    agent.raft = {"m1": True, **({"m2": True} if others else {})}
    salt = on(host, was=host == "m1", volume="new")
    salt["swarm_container.get"].return_value = {"mounts": ["/etc/x:/etc/x:ro", "old:/consul/data"]}
    if others:
        swarm_consul.check_fixed()
    else:
        with pytest.raises(errors.SwarmError, match=r"m1 is the only server .* is in old"):
            swarm_consul.check_fixed()


def containers(**found):
    """Return a ``swarm_container.get`` that finds these."""
    return lambda name: found.get(name.replace("-", "_"))


OURS = {"command": ["agent", "-config-file=x"], "network_mode": "host"}


@pytest.mark.parametrize(
    ("there", "renamed"),
    [
        ({"swarm_consul": OURS}, True),
        ({}, False),
        ({"swarm_consul": OURS, "store": OURS}, False),
        ({"swarm_consul": {**OURS, "command": ["httpd"]}}, False),
    ],
    ids=["ours", "none", "both", "somebody's"],
)
def test_container_gets_the_name_of_pillar(on, there, renamed):
    salt = on("m4", changes={}, container="store")
    salt["swarm_container.get"].side_effect = containers(**there)
    name = {"name": {"old": "swarm-consul", "new": "store"}} if renamed else {}
    assert swarm_consul.apply(test=True) == name
    salt["swarm_container.rename"].assert_not_called()
    assert swarm_consul.apply() == name
    assert salt["swarm_container.rename"].called is renamed
    # And back: it is known by then.
    salt = on("m4", changes={})
    salt["swarm_container.get"].side_effect = containers(store=OURS)
    assert swarm_consul.apply() == {"name": {"old": "store", "new": "swarm-consul"}}


def test_record_of_a_containers_name_goes_with_it(on):
    salt = on("m4", changes={}, container="store")
    salt["swarm_container.get"].side_effect = containers(swarm_consul=OURS)
    swarm_consul.apply()
    salt["swarm_container.get"].side_effect = containers(store=OURS)
    for test, left in ((True, {"consul": "store"}), (False, {})):
        container_names.remove(salt["swarm_settings.get"](), salt, "consul", test)
        assert host_files.record("containers") == left


# ---- what all servers have to have the same of


@pytest.fixture(scope="module")
def authorities():
    """Return two CAs."""
    return [pki.new_authority(name, 10) for name in ("one", "other")]


def _signed(authority):
    key = pki.new_key()
    grant = pki.Grant("m1", (pki.SERVER, pki.CLIENT), ("m1",))
    return pki.sign(pki.request(key, "m1"), authority, grant, 5)


@pytest.fixture
def config(authorities, tmp_path):
    """Return a function that gives a configuration, signed by one CA and trusting some."""

    def config(name, signs, trusts):
        paths = {f"{one}_file": tmp_path / f"{name}-{one}" for one in ("cert", "ca")}
        paths["cert_file"].write_text(_signed(authorities[signs]))
        paths["ca_file"].write_text("".join(authorities[one].cert for one in trusts))
        files = {key: str(path) for key, path in paths.items()}
        return {**files, "encrypt": "x", "verify_outgoing": True}

    return config


@pytest.mark.parametrize(
    ("trust", "extra", "works"),
    [
        ((0, [0]), {}, True),
        ((0, [0, 1]), {}, True),
        ((1, [1]), {}, False),
        ((1, [0, 1]), {}, False),
        ((0, [0]), {"encrypt": "another"}, False),
        ((0, [0]), {"verify_outgoing": False}, False),
        ((0, [0]), {"ports": {"serf_lan": 9301}}, False),
        ((0, [0]), {"log_level": "WARN"}, True),
    ],
)
def test_servers_take_turns_only_if_old_and_new_work_together(file, config, trust, extra, works):
    """A change of the CA has a step in which both are trusted; a lost CA has none."""
    host_files.write(file, json.dumps(config("old", 0, [0])))
    new = {**config("new", *trust), **extra}
    assert config_file.works_with_others(json.dumps(new)) is works


def test_image_that_is_not_where_pillar_says_is_told_with_its_key(on, agent):
    """Seen by the matrix: the words were those of the archive alone."""

    def act():
        raise errors.SettingsError("image consul:9: salt://images/consul.tar does not hold it")

    on("m1", was=True, act=act)
    with pytest.raises(errors.SettingsError, match=r"hold it .*swarm:consul:image"):
        swarm_consul.apply()
