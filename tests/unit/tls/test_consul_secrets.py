"""
The gossip key and the management token of Consul are replaced, and the old one stays until the end.
"""

import base64
import json
import uuid

import pytest

from _modules import swarm_consul
from swarm_formula.consul import acl as consul_acl
from swarm_formula.consul import acl_rules, agent_api, config_file, container_spec
from swarm_formula.consul import wanted as consul_wanted
from swarm_formula.core import errors, host_files
from swarm_formula.salt.execution import Minion
from swarm_formula.tls import ca_state, cert_files, consul_secrets
from tests.unit import consul_agent
from tests.unit.execution import mocked
from tests.unit.pillars import FILES, VALID, node, settings_of

OLD, NEW = "b2xk", "bmV3"
TLS = {**VALID, "tls": {}}
KINDS = ("gossip", "acl")


def with_consul(**more):
    return {**TLS, "consul": {**VALID["consul"], **more}}


# ---- the state of the CA


@pytest.mark.parametrize("kind", KINDS)
def test_old_one_stays_until_the_end_and_each_step_may_be_repeated(kind):
    state = {kind: "old", "issued": {}}
    made = consul_secrets.begun(state, kind)
    assert (made[kind], consul_secrets.begun(made, kind)) == ("old", made)
    new = consul_secrets.following(made, kind)
    used = consul_secrets.followed(made, kind)
    assert used == {kind: new, f"{kind}_old": "old", "issued": {}}
    assert consul_secrets.followed(used, kind) == consul_secrets.begun(used, kind) == used
    assert consul_secrets.former(used, kind) == "old"
    done = consul_secrets.ended(used, kind)
    assert done == consul_secrets.ended(done, kind) == {kind: new, "issued": {}}
    phases = [consul_secrets.phase(one, kind) for one in (state, made, used, done)]
    assert phases == ["done", "made", "used", "done"]
    told = [consul_secrets.unfinished(one) for one in (state, made, used, done)]
    assert [len(one) for one in told] == [0, 1, 1, 0]
    assert told[1][0].endswith(f"resume it there: salt-run swarm.rotate {kind}")


@pytest.mark.parametrize("step", [consul_secrets.followed, consul_secrets.ended])
def test_step_out_of_order_changes_nothing(step):
    assert step({"gossip": "old"}, "gossip") == {"gossip": "old"}


def test_new_ones_are_what_consul_accepts():
    assert len(base64.b64decode(consul_secrets.made("gossip"))) == 32
    assert uuid.UUID(consul_secrets.made("acl"))


@pytest.mark.parametrize(
    ("kind", "pillar", "words"),
    [
        ("gossip", TLS, None),
        ("gossip", VALID, "no Consul of the formula with TLS"),
        ("gossip", {"mode": "builtin", "managers": ["m1"]}, "no Consul of the formula"),
        ("acl", TLS, "ACLs are off"),
        ("acl", with_consul(acl=True), None),
        (
            "acl",
            with_consul(**{"acl": True, "acl_token": "sdb://v/t"}),
            "another UUID to sdb://v/t",
        ),
        ("password", TLS, "there is no 'password'"),
    ],
    ids=str,
)
def test_what_the_formula_does_not_keep_is_refused_with_what_to_edit(kind, pillar, words):
    why = consul_secrets.refusal(kind, settings_of(pillar))
    assert why is None if words is None else words in why


# ---- Consul


@pytest.fixture
def agent():
    with consul_agent.running() as agent:
        agent.serve("m1", "m2", "m3")
        agent.keyring, agent.primary = {OLD: 4}, OLD
        yield agent


@pytest.fixture
def on(monkeypatch, agent, tmp_path):
    """Return a function that sets up m1, which is a server and the CA with this state."""
    monkeypatch.setattr(ca_state, "FILE", tmp_path / "ca.json")

    def on(config=None, **state):
        settings = settings_of(with_consul(http_port=agent.port, acl=True), node("m1"))
        settings["tls"] = {**settings["tls"], "used": False}
        found = ca_state.found(settings_of(TLS))
        ca_state.save({**found, **state})
        ports = {"ports": {"http": agent.port}}
        config_file.write(json.dumps({**ports, **(config or {})}))
        salt = mocked(swarm_settings__get=settings)
        monkeypatch.setattr(swarm_consul, "__salt__", salt, raising=False)
        monkeypatch.setattr(swarm_consul, "__opts__", {"id": "m1"}, raising=False)
        return Minion(salt, {"id": "m1"}, {})

    return on


def test_gossip_key_is_used_once_all_agents_have_it_and_the_old_one_goes_at_the_end(on, agent):
    on({"encrypt": OLD}, gossip=OLD, gossip_next=NEW)
    assert swarm_consul.admit("gossip") is True
    assert (set(agent.keyring), agent.primary) == ({OLD, NEW}, NEW)
    on({"encrypt": NEW}, gossip=NEW, gossip_old=OLD)
    for _ in range(2):
        assert swarm_consul.retire("gossip") is True
        assert (set(agent.keyring), agent.primary) == ({NEW}, NEW)


def test_gossip_key_that_an_agent_lacks_is_not_used(on, agent):
    agent.agents = 3
    on({"encrypt": OLD}, gossip=OLD, gossip_next=NEW)
    with pytest.raises(errors.StoreError, match="on 3 of 4 agents"):
        swarm_consul.admit("gossip")
    assert (OLD in agent.keyring, agent.primary) == (True, OLD)


def test_old_gossip_key_stays_while_this_node_would_start_with_it(on, agent):
    on({"encrypt": OLD}, gossip=NEW, gossip_old=OLD)
    assert "m1 starts with the old one" in swarm_consul.renewed("gossip")
    with pytest.raises(errors.SwarmError, match="apply swarm there"):
        swarm_consul.retire("gossip")
    assert OLD in agent.keyring


def acl(token):
    return {"acl": consul_acl.config(token, managers=acl_rules.token(token))}


def test_management_token_exists_beside_the_old_one_which_is_deleted_at_the_end(on, agent):
    agent.management = "t1"
    on(acl("t1"), acl="t1", acl_next="t2")
    for _ in range(2):
        assert swarm_consul.admit("acl") is True
        assert (agent.management, [*agent.tokens]) == ("t1", ["t2", acl_rules.token("t2")])
    assert swarm_consul.renewed("acl") is True
    on({"acl": consul_acl.config("t2")}, acl="t2", acl_old="t1")
    assert "starts with the old one" in swarm_consul.renewed("acl"), "a manager without its token"
    on(acl("t2"), acl="t2", acl_old="t1")
    for _ in range(2):
        assert swarm_consul.retire("acl") is True
        assert (agent.management, [*agent.tokens]) == (None, ["t2", acl_rules.token("t2")])


def test_token_that_a_server_would_make_again_is_not_deleted(on, agent):
    agent.management = "t1"
    on(acl("t1"), acl="t2", acl_old="t1")
    with pytest.raises(errors.SwarmError, match="starts with the old one"):
        swarm_consul.retire("acl")
    assert agent.management == "t1"


def test_nothing_is_said_of_the_secrets(on, agent):
    on({"encrypt": OLD}, gossip=OLD, gossip_next=NEW)
    agent.management = "t9"  # Consul refuses
    with pytest.raises(errors.StoreError) as error:
        swarm_consul.admit("gossip")
    assert NEW not in str(error.value)


def test_token_is_not_in_the_url(agent):
    agent.management = "t1"
    first = agent_api.connect(agent.settings, FILES, token=agent.management)
    settings = settings_of(with_consul(acl=True, http_port=agent.port), node("m1"))
    settings["tls"] = {**settings["tls"], "used": False}
    consul_acl.create(first, settings, "secret-token")
    assert len(agent.tokens) == 2
    consul_acl.delete(first, settings, "secret-token")
    assert agent.tokens == {}
    assert not any("secret-token" in line for line in agent.log)


# ---- a configuration with another key


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.setattr(host_files, "CONFIG", tmp_path)


def runs_with_old_key():
    """Return Consul's container, which has read a file with the old key."""
    config_file.write(json.dumps({"encrypt": OLD}), "label")
    label = {container_spec.CONFIG_LABEL: "label"}
    return {"labels": label, "started": "2020-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("led", "rekeyed", "goes_on"),
    [(True, True, True), (False, True, False), (True, False, False)],
    ids=["renewed", "it was away meanwhile", "a key of one's own"],
)
def test_consul_that_has_the_new_key_already_is_not_restarted(led, rekeyed, goes_on):
    container = runs_with_old_key()
    wanted = json.dumps({"encrypt": NEW})
    assert config_file.runs_with(container, wanted, led, rekeyed) is goes_on


def test_other_setting_beside_the_new_key_restarts_consul():
    container = runs_with_old_key()
    wanted = json.dumps({"encrypt": NEW, "node_name": "x"})
    assert config_file.runs_with(container, wanted, led=True, rekeyed=True) is False


@pytest.mark.parametrize(
    ("state", "rekeyed"),
    [
        ({"gossip": NEW, "gossip_old": OLD}, True),
        ({"gossip": NEW}, False),
        ({"gossip": NEW, "gossip_old": "b3RoZXI="}, False),
    ],
    ids=["in a renewal", "a CA from a backup", "it missed the last renewal"],
)
@pytest.mark.usefixtures("agent")
def test_only_a_renewal_in_progress_spares_the_restart(on, state, rekeyed):
    minion = on({"encrypt": OLD}, **state)
    certs = cert_files.Set("ca", "cert", "key", NEW)
    assert consul_wanted.is_rekeyed(minion, minion.settings(), certs) is rekeyed
