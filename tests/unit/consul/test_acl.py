"""
Consul's ACLs: who gets the token, what is granted with it, and what pillar may say of them.
"""

import functools
import json
import re
import uuid
from unittest.mock import Mock

import pytest

from _modules import swarm_consul, swarm_rights
from swarm_formula.consul import acl as consul_acl
from swarm_formula.consul import acl_rules, agent_api, container_spec
from swarm_formula.core import errors, host_files, wait
from swarm_formula.tls import ca_state
from tests.unit import consul_agent
from tests.unit.execution import mocked, tried
from tests.unit.pillars import FILES, VALID, node, settings_of

TOKEN = str(uuid.UUID(int=7))
MANAGERS = acl_rules.token(TOKEN)
NARROWED = acl_rules.narrowed(["m1", "m2", "m3"])
CREATED = {"state": {"old": None, "new": "running"}}
CHANGED = {"labels": {"old": "a", "new": "b"}}
IN_USE = {"managers' token in Consul": {"old": None, "new": "in use"}}
GRANTED = {"rights of the swarm in Consul": {"old": None, "new": "granted"}}


@pytest.fixture
def agent():
    """Run an agent of Consul that has ACLs."""
    with consul_agent.running() as agent:
        agent.management = TOKEN
        agent.serve("m1", "m2", "m3")
        yield agent


@pytest.fixture
def on(monkeypatch, agent, tmp_path):
    """Return a function that sets up a host, and what applying its container changes."""
    monkeypatch.setattr(host_files, "CONFIG", tmp_path)
    monkeypatch.setattr(ca_state, "FILE", tmp_path / "ca.json")
    monkeypatch.setattr(wait, "_FIRST", 0.01)

    def on(host="m2", changes=None, mine=None, **consul):
        pillar = {**VALID, "tls": {}, "timeout": 5}
        pillar["consul"] = {**VALID["consul"], "http_port": agent.port, "acl": True, **consul}
        settings = settings_of(pillar, node(host))
        # The agent of the test speaks no TLS.
        settings["tls"] = {**settings["tls"], "used": False}
        salt = mocked(
            swarm_settings__get=settings,
            swarm_container__apply=tried(changes or {}),
            swarm_container__check=None,
            swarm_container__get=None,
            swarm_container__logs="",
            swarm_classic__managers={},
        )
        salt["mine.get"] = Mock(return_value=mine or {})
        for name, value in (("__salt__", salt), ("__opts__", {"id": host}), ("__context__", {})):
            for module in (swarm_consul, swarm_rights):
                monkeypatch.setattr(module, name, value, raising=False)
        return salt

    return on


def told(token=TOKEN):
    return {"m1": {"servers": "(?:m1|m2|m3)$", "token": token}}


def written(tmp_path):
    return json.loads((tmp_path / "consul.json").read_text())["acl"]


# ---- the token


def test_server_gets_the_token_from_the_ca_and_denies_what_is_not_granted(on, tmp_path):
    salt = on(changes=CREATED, mine=told())
    assert swarm_consul.apply() == CREATED
    assert written(tmp_path) == {
        "enabled": True,
        "default_policy": "deny",
        "tokens": {"master": TOKEN, "default": MANAGERS},
    }
    assert (tmp_path / "consul.json").stat().st_mode & 0o777 == 0o600
    assert salt["mine.get"].call_args.args == (["m1"], "swarm_acl")
    assert consul_acl.management() == TOKEN


def test_client_gets_no_token(on, tmp_path):
    salt = on("m4", changes=CREATED)
    swarm_consul.apply()
    assert written(tmp_path) == {"enabled": True, "default_policy": "deny"}
    salt["mine.get"].assert_not_called()
    assert consul_acl.management() is None


def test_ca_takes_its_own(on, tmp_path):
    on("m1", changes=CREATED)
    host_files.write(tmp_path / "ca.json", json.dumps({"acl": TOKEN}))
    swarm_consul.apply()
    assert written(tmp_path)["tokens"] == {"master": TOKEN, "default": MANAGERS}


def test_token_of_ones_own(on, tmp_path):
    host_files.write(tmp_path / "secret", f"{TOKEN}\n")
    salt = on(changes=CREATED, acl_token=str(tmp_path / "secret"))
    swarm_consul.apply()
    assert written(tmp_path)["tokens"] == {"master": TOKEN, "default": MANAGERS}
    salt["mine.get"].assert_not_called()


@pytest.mark.parametrize("mine", [{}, {"m1": ""}, {"m1": {"token": ""}}])
def test_ca_that_has_not_told_is_waited_for_and_named(on, tmp_path, mine):
    salt = on(changes=CREATED, mine=mine)
    salt["swarm_settings.get"].return_value["timeout"] = 0
    with pytest.raises(errors.WaitTimeoutError, match=r"m1, the CA \(swarm:tls:ca\), has not"):
        swarm_consul.apply()
    assert not (tmp_path / "consul.json").exists()
    assert swarm_consul.apply(test=True) == CREATED


def test_ca_makes_a_token_once_and_only_if_pillar_wants_one():
    def having(**consul):
        return {"consul": {"acl": True, "acl_token": None, **consul}}

    made = ca_state.with_token({}, having())
    assert uuid.UUID(made["acl"])
    assert ca_state.with_token(made, having()) == made
    for wanted in (having(acl=False), having(**{"acl_token": "/root/token"})):
        assert ca_state.with_token({}, wanted) == {}


# ---- switching


@pytest.fixture
def running(on, tmp_path):
    """Have Consul run on this host, and say so when its container is asked for."""

    def running(before, host="m2", **consul):
        text = json.dumps({"acl": before} if before else {})
        host_files.write(tmp_path / "consul.json", text)
        return on(host, changes=CHANGED, mine=told(), **consul)

    return running


@pytest.mark.parametrize(
    ("before", "policy"),
    [
        (None, "allow"),
        (consul_acl.config(TOKEN, "allow"), "allow"),
        (consul_acl.config(TOKEN), "deny"),
    ],
    ids=["on", "killed in it", "another change"],
)
def test_servers_change_in_turn_and_deny_nothing_that_is_not_granted_yet(
    running, agent, tmp_path, before, policy
):
    running(before)
    assert swarm_consul.apply() == CHANGED
    assert "PUT /v1/session/create" in agent.log
    assert written(tmp_path) == consul_acl.config(TOKEN, policy)


def test_servers_are_switched_off_in_turn(running, agent, tmp_path):
    running(consul_acl.config(TOKEN), acl=False)
    assert swarm_consul.apply() == CHANGED
    assert "PUT /v1/session/create" in agent.log
    assert "acl" not in json.loads((tmp_path / "consul.json").read_text())


def test_client_denies_at_once(running, tmp_path):
    """What a client denies is its own affairs; the store is the servers'."""
    running(None, "m4")
    swarm_consul.apply()
    assert written(tmp_path) == {"enabled": True, "default_policy": "deny"}


def test_server_under_a_leader_without_acls_asks_that_one(running, agent):
    """It can tell nothing of its own then, not even to who has the token."""
    agent.alone = True
    running(consul_acl.config(TOKEN, "allow"))
    assert swarm_consul.status()["servers"] == ["m1", "m2", "m3"]
    assert swarm_consul.apply() == CHANGED
    agent.serve("m3", status=consul_agent.FAILED)
    assert swarm_consul.status()["servers"] == ["m1", "m2"]


@pytest.mark.parametrize("acl", [None, consul_acl.config(TOKEN)])
def test_server_that_should_know_by_itself_is_waited_for(running, agent, acl):
    """Else the next one goes down before this one is back."""
    agent.alone = True
    running(acl)
    with pytest.raises(errors.StoreError, match="ACL not found"):
        swarm_consul.status()


def test_all_else_is_denied_once_the_swarm_has_its_rights(running, agent, tmp_path):
    salt = running(consul_acl.config(TOKEN, "allow"))
    both = {**GRANTED, "all else in Consul": {"old": "allowed", "new": "denied"}}
    assert swarm_rights.apply(test=True) == both
    both |= IN_USE
    assert written(tmp_path)["default_policy"] == "allow"

    def act():
        assert agent.anonymous == ["swarm-formula"]
        assert agent.keys["swarm-formula/turn"][0] == "m2"

    salt["swarm_container.apply"].side_effect = tried(CHANGED, act)
    assert swarm_rights.apply() == both
    assert written(tmp_path) == consul_acl.config(TOKEN, managers=MANAGERS)
    assert "swarm-formula/turn" not in agent.keys
    salt["swarm_container.apply"].reset_mock()
    assert swarm_rights.apply() == swarm_rights.apply(test=True) == {}
    salt["swarm_container.apply"].assert_not_called()


def test_test_mode_promises_the_same_before_there_are_acls(running, agent):
    running(None)
    agent.management = "none"
    assert list(swarm_rights.apply(test=True)) == [*GRANTED, "all else in Consul"]


@pytest.mark.parametrize(
    ("others", "mode"),
    [("1", "0"), ("2", "0"), ("1", "2")],
    ids=["none", "the others wait for it", "of before 1.4"],
)
def test_nothing_is_denied_while_a_server_has_no_acls(running, agent, tmp_path, others, mode):
    salt = running(consul_acl.config(TOKEN, "allow"))
    salt["swarm_settings.get"].return_value["timeout"] = 0
    agent.modes = {"m1": others, "m2": others, "m3": mode}
    with pytest.raises(errors.WaitTimeoutError, match="Consul of m3 has no ACLs yet: apply"):
        swarm_rights.apply()
    assert written(tmp_path)["default_policy"] == "allow"
    salt["swarm_container.apply"].assert_not_called()
    agent.modes = {"m1": "1", "m2": "1"}
    agent.serve("m3", status=consul_agent.FAILED)
    with pytest.raises(errors.SwarmError, match="would cost the quorum"):
        swarm_rights.apply()


@pytest.mark.parametrize(
    ("leader", "words"),
    [
        ("10.77.0.13:8300", "Consul of m3 has no ACLs yet: apply"),
        ("10.77.0.12:8300", "ACL not found"),
        ("10.99.0.1:8300", "ACL not found"),
    ],
    ids=["another", "this one", "who is not in pillar"],
)
def test_leader_without_acls_is_told_for_none_else_can_be(running, agent, leader, words):
    salt = running(consul_acl.config(TOKEN, "allow"))
    salt["swarm_settings.get"].return_value["timeout"] = 0
    agent.alone, agent.leader = True, leader
    with pytest.raises(errors.WaitTimeoutError, match=words):
        swarm_rights.apply()


def test_turn_ends_when_the_server_knows_the_rights_again(running, agent):
    """After a start it has none of them; if it became the leader then, nobody would."""
    salt = running(consul_acl.config(TOKEN, "allow"))
    salt["swarm_settings.get"].return_value["timeout"] = 0.1
    modes = functools.partial(agent.modes.update, m2="2")
    salt["swarm_container.apply"].side_effect = tried(CHANGED, modes)
    with pytest.raises(errors.WaitTimeoutError, match="Consul of m2 has no ACLs yet"):
        swarm_rights.apply()
    assert "swarm-formula/turn" not in agent.keys


# ---- rights


@pytest.fixture
def server(on, tmp_path):
    """Have ACLs on this host, which is a server."""
    acl = consul_acl.config(TOKEN, managers=MANAGERS)
    host_files.write(tmp_path / "consul.json", json.dumps({"acl": acl}))
    return on()


@pytest.mark.usefixtures("server")
def test_rights_are_granted_once(agent):
    assert swarm_rights.apply(test=True) == GRANTED
    assert (agent.policies, agent.anonymous, agent.keys) == ({}, [], {})
    assert swarm_rights.apply() == GRANTED
    assert agent.policies == {
        "swarm-formula": NARROWED,
        "swarm-formula-managers": acl_rules.MANAGERS,
    }
    assert agent.limited == {MANAGERS: ["swarm-formula-managers"]}
    assert agent.anonymous == ["swarm-formula"]
    assert swarm_rights.apply() == {}
    assert swarm_rights.apply(test=True) == {}


def test_bare_host_is_promised_the_rights(on, monkeypatch):
    """Before the library is there with which Consul is asked."""
    on()
    missing = Mock(side_effect=errors.SdkMissingError("swarm.libraries installs it"))
    monkeypatch.setattr(agent_api, "connect", missing)
    assert swarm_rights.apply(test=True) == GRANTED
    with pytest.raises(errors.SdkMissingError):
        swarm_rights.apply()


@pytest.mark.usefixtures("server")
def test_rights_that_somebody_changed_are_put_right_and_those_he_added_stay(agent):
    swarm_rights.apply()
    agent.policies |= {"swarm-formula": "", "dns": "node_prefix ..."}
    agent.anonymous = ["dns"]
    assert swarm_rights.apply() == GRANTED
    assert agent.policies["swarm-formula"] == NARROWED
    assert agent.anonymous == ["dns", "swarm-formula"]
    assert swarm_rights.apply() == {}


def test_client_waits_until_a_server_has_granted_them(on, agent):
    salt = on("m4")
    assert swarm_rights.apply(test=True) == {}
    salt["swarm_settings.get"].return_value["timeout"] = 0
    with pytest.raises(errors.WaitTimeoutError, match=r"m4 waits for .*: no server has"):
        swarm_rights.apply()
    agent.keys["swarm-formula/acl"] = ("swarm-formula", None)
    assert swarm_rights.apply() == {}
    assert agent.policies == {}


@pytest.mark.usefixtures("server")
def test_server_says_what_consul_says(agent, server):
    agent.management = "another"
    server["swarm_settings.get"].return_value["timeout"] = 0
    with pytest.raises(errors.WaitTimeoutError, match=r"refuses \(ACLs\): .*Permission den"):
        swarm_rights.apply()
    assert swarm_rights.apply(test=True) == GRANTED


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("answer", [b"[]x", b"3", b"[3]", b"[{}]", b'{"a": 1}', b"null"])
def test_answer_that_is_none_of_consuls(monkeypatch, server, answer):
    monkeypatch.setattr(
        agent_api, "call", lambda *_, **__: type("", (), {"code": 200, "body": answer.decode()})
    )
    server["swarm_settings.get"].return_value["timeout"] = 0
    with pytest.raises(errors.WaitTimeoutError, match="answer on its ACLs is not understood"):
        swarm_rights.apply()


# ---- the rights of managers


@pytest.fixture
def restarts(agent, tmp_path):
    """Have Consul register its node as it is configured whenever its container is replaced."""

    def restarts(salt, host="m2"):
        def act():
            given = json.loads((tmp_path / "consul.json").read_text())
            agent.nodes[host] = given.get("node_meta", {})

        salt["swarm_container.apply"].side_effect = tried(CHANGED, act)
        return salt

    return restarts


def lets(rules, key):
    """Return whether rules of Consul let one write a key: the longest prefix counts."""
    found = re.findall(r'key(?:_prefix)? "([^"]*)" { policy = "(\w+)" }', rules)
    return max((one for one in found if key.startswith(one[0])), key=lambda one: len(one[0]))[1]


def test_others_than_managers_write_all_but_the_lock():
    assert lets(acl_rules.MANAGERS, "docker/swarm/leader") == "write"
    assert lets(NARROWED, "docker/swarm/leader") == "read"
    assert lets(NARROWED, "swarm-formula/acl") == "read"
    for key in ("docker/swarm/nodes/10.0.0.14:2376", "docker/network/v1.0/x", "swarm-formula/turn"):
        assert lets(NARROWED, key) == "write"


def test_managers_token_does_not_reveal_the_management_token():
    assert uuid.UUID(MANAGERS).version == 4
    assert MANAGERS != TOKEN
    assert acl_rules.token(TOKEN) == MANAGERS
    assert acl_rules.token(str(uuid.UUID(int=8))) != MANAGERS


def test_upgrade_takes_the_managers_rights_from_the_others_at_its_end(
    running, restarts, agent, tmp_path
):
    """While a manager has no token yet, its host needs the rights of all."""
    salt = restarts(running(consul_acl.config(TOKEN)))
    agent.nodes = {"m1": {}, "m2": {}, "m3": {}, "m4": {}}
    agent.policies, agent.anonymous = {"swarm-formula": acl_rules.MANAGERS}, ["swarm-formula"]
    swarm_consul.apply()
    assert written(tmp_path) == consul_acl.config(TOKEN), "Consul does not know the token yet"
    assert swarm_rights.apply(test=True) == GRANTED
    assert swarm_rights.apply() == {**GRANTED, **IN_USE}
    assert written(tmp_path) == consul_acl.config(TOKEN, managers=MANAGERS)
    assert agent.nodes["m2"] == acl_rules.META
    assert agent.policies["swarm-formula"] == acl_rules.MANAGERS
    assert swarm_rights.apply() == {}
    [remark] = swarm_rights.remarks()
    assert "until Consul of m1, m3 has the managers' token: apply swarm there" in remark
    agent.nodes |= {"m1": acl_rules.META, "m3": acl_rules.META}
    assert swarm_rights.apply(test=True) == swarm_rights.apply() == GRANTED
    assert agent.policies["swarm-formula"] == NARROWED
    assert swarm_rights.apply() == {}
    assert swarm_rights.remarks() == []
    salt["swarm_settings.get"].return_value["consul"]["acl"] = False
    assert swarm_rights.remarks() == []


@pytest.mark.parametrize("nodes", [{1: {}}, {None: {}}], ids=str)
@pytest.mark.usefixtures("server")
def test_catalog_that_is_none_of_consuls_is_told_and_stops_no_remark(agent, server, nodes):
    agent.nodes = nodes
    server["swarm_settings.get"].return_value["timeout"] = 0
    with pytest.raises(errors.WaitTimeoutError, match=r"what answers on Consul's port .* is no"):
        swarm_rights.apply()
    assert swarm_rights.remarks() == []


def test_last_manager_ends_the_upgrade(running, restarts, agent):
    restarts(running(consul_acl.config(TOKEN)))
    agent.nodes = {"m1": acl_rules.META, "m2": {}, "m3": acl_rules.META}
    agent.policies, agent.anonymous = {"swarm-formula": acl_rules.MANAGERS}, ["swarm-formula"]
    assert swarm_rights.apply() == {**GRANTED, **IN_USE}
    assert agent.policies["swarm-formula"] == NARROWED
    assert swarm_rights.apply() == {}


def test_new_manager_does_not_give_the_others_their_rights_back(server, agent):
    swarm_rights.apply()
    agent.nodes = {"m1": acl_rules.META, "m2": acl_rules.META, "m3": {}}
    assert swarm_rights.apply() == {}
    assert agent.policies["swarm-formula"] == NARROWED
    settings = server["swarm_settings.get"].return_value
    settings["managers"] = {**settings["managers"], "m4": "10.77.0.14"}
    agent.nodes["m3"] = acl_rules.META
    assert swarm_rights.apply() == GRANTED
    assert agent.policies["swarm-formula"] == acl_rules.narrowed(["m1", "m2", "m3", "m4"])


@pytest.fixture
def lone_manager(on, restarts, tmp_path):
    """Have ACLs on m4, a manager that is no server of Consul, without the managers' token yet."""

    def lone_manager(mine, **consul):
        servers = {"servers": ["m1", "m2", "m3"], **consul}
        salt = restarts(on("m4", changes=CHANGED, mine=mine, **servers), "m4")
        settings = salt["swarm_settings.get"].return_value
        settings["managers"] = {**settings["managers"], "m4": "10.77.0.14"}
        settings["is_manager"] = True
        host_files.write(tmp_path / "consul.json", json.dumps({"acl": consul_acl.config(None)}))
        return salt

    return lone_manager


def test_manager_that_is_no_server_gets_the_managers_token_and_no_other(
    lone_manager, agent, tmp_path
):
    lone_manager(told())
    agent.nodes["m4"] = {}
    assert swarm_rights.apply() == {**GRANTED, **IN_USE}
    assert written(tmp_path) == consul_acl.config(None, managers=MANAGERS)
    assert consul_acl.management() is None
    assert agent.policies["swarm-formula"] == acl_rules.narrowed(["m1", "m2", "m3", "m4"])
    assert swarm_rights.apply() == {}
    assert swarm_consul.renewed("acl") is True


def test_manager_that_is_no_server_waits_for_the_ca_which_is_named(lone_manager, agent):
    salt = lone_manager({"m1": ""})
    salt["swarm_settings.get"].return_value["timeout"] = 0
    agent.keys["swarm-formula/acl"] = ("swarm-formula", None)
    with pytest.raises(
        errors.WaitTimeoutError, match=r"m4 waits for m1, the CA \(swarm:tls:ca\), to"
    ):
        swarm_rights.apply()


def test_manager_keeps_its_token_while_the_ca_does_not_tell_one(lone_manager, agent, tmp_path):
    salt = lone_manager(told())
    swarm_rights.apply()
    salt["mine.get"].return_value = {}
    swarm_consul.apply()
    assert written(tmp_path) == consul_acl.config(None, managers=MANAGERS)


def test_manager_that_is_none_any_more_loses_the_token(server, agent, tmp_path):
    server["swarm_settings.get"].return_value["is_manager"] = False
    server["swarm_container.apply"].side_effect = tried(CHANGED)
    agent.serve("m1", "m2", "m3")
    server["mine.get"].return_value = told()
    swarm_consul.apply()
    assert written(tmp_path) == consul_acl.config(TOKEN)
    assert swarm_consul.renewed("acl") is True


@pytest.mark.parametrize(
    ("consul", "rules"),
    [
        ({"acl": False}, acl_rules.MANAGERS),
        ({"managers": ["m1", "m3"]}, acl_rules.narrowed(["m1", "m3"])),
    ],
    ids=["ACLs are switched off", "it is no manager any more"],
)
def test_host_that_loses_the_token_gets_its_rights_before(running, agent, consul, rules):
    """Found by the lab: a server without ACLs waited for its turn to end until it timed out."""
    salt = running(consul_acl.config(TOKEN, managers=MANAGERS), acl=consul.get("acl", True))
    settings = salt["swarm_settings.get"].return_value
    if "managers" in consul:
        settings["managers"] = {one: settings["managers"][one] for one in consul["managers"]}
        settings["is_manager"] = False
    agent.policies, agent.anonymous = {"swarm-formula": NARROWED}, ["swarm-formula"]
    seen = []
    salt["swarm_container.apply"].side_effect = tried(
        CHANGED, lambda: seen.append(agent.policies["swarm-formula"])
    )
    assert swarm_consul.apply(test=True) == CHANGED
    assert agent.policies["swarm-formula"] == NARROWED
    assert swarm_consul.apply() == CHANGED
    assert seen == [rules]


def test_manager_that_is_no_server_waits_until_a_server_has_released_it(
    lone_manager, agent, tmp_path
):
    salt = lone_manager(told())
    swarm_rights.apply()
    settings = salt["swarm_settings.get"].return_value
    settings["consul"]["acl"], settings["timeout"] = False, 0
    agent.restricted = True
    with pytest.raises(
        errors.WaitTimeoutError, match="Consul of m4 needs the managers' token until"
    ):
        swarm_consul.apply()
    assert written(tmp_path)["tokens"] == {"default": MANAGERS}
    agent.restricted = False
    swarm_consul.apply()
    assert "acl" not in json.loads((tmp_path / "consul.json").read_text())


@pytest.mark.parametrize(
    ("consul", "tls", "split"),
    [
        ({}, {}, True),
        ({"acl": False}, {}, False),
        ({}, {"cert": "/own"}, False),
        ({"acl_token": "/own"}, {}, True),
        ({"acl_token": "/own", "servers": ["m1"]}, {}, False),
    ],
    ids=["of the CA", "no ACLs", "own certificates", "own token", "own token, other managers"],
)
def test_managers_have_rights_of_their_own_if_others_cannot_have_them(on, consul, tls, split):
    settings = on(**consul)["swarm_settings.get"].return_value
    settings["tls"] = {**settings["tls"], **tls}
    assert acl_rules.is_split(settings) is split


def test_one_right_for_all_where_there_is_no_other_way(on, agent, tmp_path):
    host_files.write(tmp_path / "secret", TOKEN)
    on(changes=CREATED, acl_token=str(tmp_path / "secret"), servers=["m2"])
    swarm_consul.apply()
    assert written(tmp_path)["tokens"] == {"master": TOKEN}
    assert swarm_rights.apply() == GRANTED
    assert agent.policies == {"swarm-formula": acl_rules.MANAGERS}
    assert swarm_rights.apply() == {}
    assert written(tmp_path)["tokens"] == {"master": TOKEN}


def test_metadata_of_the_pillar_stays(on):
    settings = on(options={"node_meta": {"rack": "r1"}})["swarm_settings.get"].return_value
    acl = consul_acl.config(TOKEN, managers=MANAGERS)
    config = container_spec.consul_config(settings, None, FILES, acl)
    assert config["node_meta"] == {"rack": "r1", **acl_rules.META}
    config = container_spec.consul_config(settings, None, FILES, consul_acl.config(TOKEN))
    assert config["node_meta"] == {"rack": "r1"}


def test_without_acls_nobody_is_asked(on, agent):
    on(acl=False)
    assert swarm_rights.apply() == {}
    assert agent.log == []
