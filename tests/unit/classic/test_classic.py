import contextlib
import copy
import json
from pathlib import Path

import pytest

from _modules import swarm_classic
from swarm_formula.classic import health
from swarm_formula.classic import manager as classic_manager
from swarm_formula.consul import agent_api
from swarm_formula.core import errors, host_files
from swarm_formula.core import wait as core_wait
from swarm_formula.docker import container_actions
from swarm_formula.salt import caller
from swarm_formula.standalone import containers, manager_info, registration
from swarm_formula.tls import cert_files, pki
from tests.unit import consul_agent
from tests.unit.execution import mocked, own_time, tried
from tests.unit.pillars import VALID, node, settings_of

DATA = Path(__file__).parents[1] / "data"
COMMANDS = {"swarm-manager": "manage", "swarm-agent": "join"}
CREATED = {"state": {"old": None, "new": "running"}}
CHANGED = {"command": {"old": ["a"], "new": ["b"]}}
ENDPOINTS = {f"10.77.0.1{n}:{port}": f"m{n}" for n in (1, 2, 3) for port in (3375, 3376)}


@pytest.fixture
def said(monkeypatch, tmp_path):
    """Return what managers say, ``{host: /info}``; the test changes it, who is off is missing."""
    info = {
        name: json.loads((DATA / f"info_{name}.json").read_text())
        for name in ("primary", "replica")
    }
    answers = {"m1": info["replica"], "m2": info["primary"], "m3": copy.deepcopy(info["replica"])}

    def fetch(endpoint, tls=None, timeout=3):
        if ENDPOINTS[endpoint] not in answers:
            raise errors.ApiError(f"manager {endpoint}: no connection")
        return manager_info.parse(answers[ENDPOINTS[endpoint]], endpoint)

    monkeypatch.setattr(manager_info, "fetch", fetch)
    monkeypatch.setattr(host_files, "CONFIG", tmp_path)
    monkeypatch.setattr(core_wait, "_FIRST", 0.001)
    return answers


@pytest.fixture
def on(monkeypatch, said):
    """Return a function that sets up a host, and what applying a container changes."""

    def publish(target, function, arg=(), **_):
        # What is sent has been through the bus.
        assert function == "swarm_classic.lists"
        settings = settings_of({**VALID, **SECURE}, node(target))
        return {target: json.loads(json.dumps(health.listing(settings, *arg)))}

    def on(host="m1", changes=None, leader=False, exists=True, registered=None, **pillar):
        salt = mocked(
            swarm_settings__get=settings_of({**VALID, "timeout": 5, **pillar}, node(host)),
            swarm_container__apply=tried(changes or {}),
            swarm_container__check=None,
            swarm_container__get=lambda name: {"restarts": 0, "command": [COMMANDS[name]]},
            swarm_container__logs="its words",
            swarm_container__start=True,
            swarm_container__stop=True,
            swarm_container__remove={},
            swarm_consul__has_leader=leader,
            swarm_consul__nodes=registered or [],
            swarm_consul__deregister={},
            swarm_engine__exists=exists,
            swarm_engine__reload=True,
            swarm_image__remove_unused={},
            publish__publish=publish,
        )
        monkeypatch.setattr(swarm_classic, "__salt__", salt, raising=False)
        monkeypatch.setattr(container_actions, "SETTLE", 0)
        return salt

    return on


# A worker's certificate is none of a client: it asks through the master.
SECURE = {"tls": {"enabled": True}, "engine": {"port": 2275}, "labels": {"zone": "a"}}


def wrote(salt):
    """Say whether a container was applied for real."""
    calls = salt["swarm_container.apply"].call_args_list
    return any(not call.kwargs.get("test") for call in calls)


# ---- looking


def test_what_each_manager_says(on, said):
    on()
    del said["m3"]
    found = swarm_classic.managers()
    assert {name: one.get("role") for name, one in found.items()} == {
        "m1": "replica",
        "m2": "primary",
        "m3": None,
    }
    assert found["m3"] == {"error": "manager 10.77.0.13:3375: no connection"}


def test_primary(on):
    on()
    assert swarm_classic.wait_primary() == "10.77.0.12:3375"


def test_no_primary_is_told_with_every_managers_word(on, said):
    on()
    del said["m2"]
    with pytest.raises(errors.WaitTimeoutError) as failure:
        swarm_classic.wait_primary(timeout=0)
    assert str(failure.value) == (
        "no manager is primary; replicas that wait for the lock: m1, m3;"
        " manager 10.77.0.12:3375: no connection"
    )


def test_primary_that_comes_later_is_waited_for(on, said, monkeypatch):
    on()
    primary = said.pop("m2")
    monkeypatch.setattr(core_wait, "time", own_time(sleep=lambda _: said.update(m2=primary)))
    assert swarm_classic.wait_primary() == "10.77.0.12:3375"


def test_node_that_is_healthy(on):
    on("m1", labels={"zone": "a"})
    assert swarm_classic.wait_healthy() is None


def test_own_manager_that_does_not_answer_is_told_although_another_is_primary(on, said):
    on("m3")
    del said["m3"]
    with pytest.raises(errors.WaitTimeoutError, match="the manager on m3 does not answer"):
        swarm_classic.wait_healthy(timeout=0)


def test_own_manager_that_has_ended_ends_the_wait(on, said):
    salt = on("m3")
    del said["m3"]
    salt["swarm_container.check"].side_effect = FALLEN
    with pytest.raises(errors.NotRunningError, match="exit code 2"):
        swarm_classic.wait_healthy()


def test_node_that_is_not_registered_is_told(on):
    on("m4")
    with pytest.raises(errors.WaitTimeoutError, match=r"10\.77\.0\.14:2275 is not in the list"):
        swarm_classic.wait_healthy(timeout=0)


def test_label_that_does_not_arrive_is_told(on):
    on(labels={"zone": "b"})
    with pytest.raises(errors.WaitTimeoutError, match="does not know zone=b"):
        swarm_classic.wait_healthy(timeout=0)


def test_engine_is_nudged_when_a_label_lags(on, said, monkeypatch):
    """A manager that missed the engine's reload event looks again in minutes only."""
    salt = on(labels={"zone": "b"})
    monkeypatch.setattr(health, "_NUDGE", 0.01)

    def reload():
        said["m2"] = json.loads(json.dumps(said["m2"]).replace("zone=a", "zone=b"))
        return True

    salt["swarm_engine.reload"].side_effect = reload
    assert swarm_classic.wait_healthy() is None
    salt["swarm_engine.reload"].assert_called_once_with()


def test_engine_is_left_alone_while_its_labels_are_known(on):
    salt = on(labels={"zone": "a"})
    swarm_classic.wait_healthy()
    salt["swarm_engine.reload"].assert_not_called()


def installed_again(salt, said, leaves=True):
    """Have the primary refuse m1's engine until it has forgotten it; return what is done."""
    good = json.dumps(said["m2"])
    done = []
    words = "Engine (ID: A|10.77.0.11:2275) shows up with another ID:B. Please remove it"

    info = json.loads(good)
    rows = info["SystemStatus"]
    at = 1 + next(i for i, (key, _) in enumerate(rows) if key.endswith("Status"))
    rows[at - 1][1] = "Pending"
    rows.insert(at, ["  \u2514 Error", words])
    said["m2"] = info

    def deregister():
        done.append("deregister")
        if leaves:
            said["m2"] = json.loads(good.replace('"10.77.0.11:2275"', '"10.77.0.99:2275"'))

    def start(name):
        done.append(f"start {name}")
        if leaves:
            said["m2"] = json.loads(good)
        return True

    salt["swarm_container.stop"].side_effect = lambda name, **_: done.append(f"stop {name}")
    salt["swarm_consul.deregister"].side_effect = deregister
    salt["swarm_container.start"].side_effect = start
    return done


def test_host_that_was_installed_again_is_registered_again(on, said):
    """Seen with the real Swarm 1.2.9: the primary would never take its engine again."""
    done = installed_again(on(labels={"zone": "a"}), said)
    swarm_classic.wait_healthy()
    assert done == ["stop swarm-agent", "deregister", "start swarm-agent"]


def test_host_that_the_primary_does_not_forget_is_registered_again_once(on, said, monkeypatch):
    monkeypatch.setattr(registration, "_NOTICED", 0.01)
    done = installed_again(on(), said, leaves=False)
    with pytest.raises(errors.WaitTimeoutError, match="shows up with another ID"):
        swarm_classic.wait_healthy(0.1)
    assert done == ["stop swarm-agent", "deregister", "start swarm-agent"]


def test_mere_check_and_a_store_of_somebody_else_register_nothing(on, said):
    for pillar, timeout in (({}, 0), ({"store": "consul://consul.example.com:8500"}, 0.01)):
        done = installed_again(on(**pillar), said)
        with pytest.raises(errors.WaitTimeoutError, match="shows up with another ID"):
            swarm_classic.wait_healthy(timeout)
        assert done == []


FALLEN = errors.NotRunningError("container swarm-agent does not stay up: exit code 2")


@pytest.mark.parametrize("wait", [swarm_classic.wait_primary, swarm_classic.wait_healthy])
def test_own_container_that_has_ended_ends_the_wait(on, said, wait):
    """What it would be waited for never comes; its last words tell more than a limit of time."""
    salt = on()
    del said["m2"]
    salt["swarm_container.check"].side_effect = FALLEN
    with pytest.raises(errors.NotRunningError, match="exit code 2"):
        wait()


def test_own_containers_are_not_looked_at_while_all_is_well(on):
    salt = on()
    swarm_classic.wait_healthy()
    salt["swarm_container.check"].assert_not_called()


# ---- a worker asks through the master


@pytest.fixture
def worker(on, said):
    """Set up m4 as a worker that the primary calls healthy; return its ``__salt__``."""
    said["m2"] = json.loads(json.dumps(said["m2"]).replace("10.77.0.11:2275", "10.77.0.14:2275"))
    return on("m4", **SECURE)


def test_worker_asks_a_minion_of_a_manager(worker):
    swarm_classic.wait_healthy()
    assert swarm_classic.wait_primary() == "10.77.0.12:3376"
    found = swarm_classic.managers()
    assert {name: one["role"] for name, one in found.items()} == {
        "m1": "replica",
        "m2": "primary",
        "m3": "replica",
    }
    assert [*found["m2"]["nodes"]] == ["10.77.0.14:2275"], "of others it is told nothing"
    for call in worker["publish.publish"].call_args_list:
        assert call.args[1:] == ("swarm_classic.lists",)
        assert (call.kwargs["arg"], call.kwargs["tgt_type"]) == (["10.77.0.14:2275"], "list")
    assert worker["publish.publish"].call_count == 3, "one minion each time"


@pytest.mark.parametrize("usages", [(pki.SERVER,), (pki.SERVER, pki.CLIENT)], ids=len)
@pytest.mark.parametrize("host", ["m1", "m4"])
def test_certificate_decides_who_is_asked_whatever_the_last_pillar_says(worker, on, host, usages):
    authority, key = pki.new_authority("a CA", 1), pki.new_key()
    grant = pki.Grant(host, usages, (host,))
    cert = pki.sign(pki.request(key, host), authority, grant, 1)
    cert_files.NODE.install(cert_files.Set(authority.cert, cert, key))
    salt = on(host, **SECURE)
    assert swarm_classic.wait_primary() == "10.77.0.12:3376"
    assert salt["publish.publish"].called == (pki.CLIENT not in usages)


@pytest.mark.parametrize("host", ["m1", "m4"])
@pytest.mark.parametrize(
    "tls",
    [{"enabled": False}, {"ca_cert": "/ca", "cert": "/cert", "key": "/key"}],
    ids=["without TLS", "files of the user's own"],
)
def test_whose_certificate_is_a_clients_asks_directly(on, host, tls):
    salt = on(host, tls=tls, consul={**VALID["consul"], "gossip_key": "/gossip"})
    swarm_classic.wait_primary()
    on("m1", **SECURE)
    swarm_classic.wait_primary()
    salt["publish.publish"].assert_not_called()


NONSENSE = (
    {},
    None,
    "Minion in blackout mode.",
    ["m2"],
    {"m2": "primary"},
    {"m2": {"role": "primary"}},
    {"m2": {"role": "primary", "primary": "x", "nodes": [], "version": "swarm/1.2.9"}},
    {"m2": {"role": "primary", "primary": "x", "nodes": {"x": {"name": 1}}, "version": "1"}},
    {"m2": {"role": ["primary"], "primary": "x", "nodes": {}, "version": "1"}},
    {"m9": {"role": "primary", "primary": "x", "nodes": {}, "version": "1"}},
    {"busy": "busy with another minion"},
    {"busy": 1},
)


@pytest.mark.parametrize("answer", NONSENSE, ids=str)
def test_minion_that_answers_nonsense_is_passed_over(worker, answer):
    publish = worker["publish.publish"].side_effect
    worker["publish.publish"].side_effect = lambda name, *more, **options: (
        {name: answer} if name != "m3" else publish(name, *more, **options)
    )
    swarm_classic.wait_healthy(timeout=0)
    for silent in ({"m1": answer, "m2": answer, "m3": answer}, {}, answer):
        worker["publish.publish"].side_effect = lambda *_, silent=silent, **__: silent
        with pytest.raises(errors.WaitTimeoutError, match=r"no manager is primary; .*m1"):
            swarm_classic.wait_healthy(timeout=0)


def test_master_that_lets_nobody_ask_is_told_with_the_cure(worker):
    worker["publish.publish"].side_effect = lambda *_, **__: {}
    with pytest.raises(errors.WaitTimeoutError) as failure:
        swarm_classic.wait_primary(timeout=0)
    text = str(failure.value)
    assert "no answer of the minion m1 to swarm_classic.lists" in text
    assert "the master does not let minions ask it (peer in" in text
    assert "apply swarm.master" in text


def test_minion_whose_managers_are_out_of_its_reach_is_not_the_only_one_asked(worker):
    publish = worker["publish.publish"].side_effect
    cut = {name: {"error": "no connection"} for name in ("m1", "m2", "m3")}
    worker["publish.publish"].side_effect = lambda name, *more, **options: (
        {name: cut} if name != "m2" else publish(name, *more, **options)
    )
    swarm_classic.wait_healthy(timeout=0)
    worker["publish.publish"].side_effect = lambda name, *_, **__: {name: cut}
    with pytest.raises(errors.WaitTimeoutError, match="no manager is primary; no connection"):
        swarm_classic.wait_healthy(timeout=0)


@pytest.mark.parametrize("address", [None, 1, ["x"], {"a": 1}])
def test_question_that_is_none_gets_no_answer(on, monkeypatch, address):
    on("m1", **SECURE)
    monkeypatch.setattr(swarm_classic, "__opts__", {"id": "m1"}, raising=False)
    assert swarm_classic.lists(address, __pub_id="m4") == {}


def test_only_managers_tell(on, monkeypatch):
    monkeypatch.setattr(swarm_classic, "__opts__", {"id": "m4"}, raising=False)
    on("m4", nodes={"m4": {}}, **SECURE)
    assert swarm_classic.lists("10.77.0.11:2275", __pub_id="m1") == {}


def test_manager_that_is_one_since_the_last_refresh_tells(on, monkeypatch):
    """As in the first apply of a swarm: only a state run has the pillar of now."""
    now = on("m1", nodes={"m4": {}}, **SECURE)["swarm_settings.get"].return_value
    monkeypatch.setattr(swarm_classic, "__opts__", {"id": "m1"}, raising=False)
    builtin = settings_of({"mode": "builtin", "managers": ["m1"], "nodes": {"m4": {}}})
    for before in ({**now, "is_manager": False}, builtin, errors.SettingsError("no swarm")):
        settings = on("m1")["swarm_settings.get"]
        settings.side_effect = lambda fresh=False, before=before: now if fresh else raised(before)
        assert "m2" in swarm_classic.lists("10.77.0.13:2275", __pub_id="m4")


def raised(value):
    if isinstance(value, Exception):
        raise value
    return value


def test_manager_tells_of_the_node_that_is_asked_for_and_no_other(on, monkeypatch):
    monkeypatch.setattr(swarm_classic, "__opts__", {"id": "m1"}, raising=False)
    on("m1", nodes={"m4": {}}, **SECURE)
    found = swarm_classic.lists("10.77.0.13:2275", __pub_id="m4")
    assert [*found["m2"]["nodes"]] == ["10.77.0.13:2275"]
    assert swarm_classic.lists("10.77.0.99:2275", __pub_id="m4")["m2"]["nodes"] == {}
    with caller.admitted("m9", []):
        assert "busy" in swarm_classic.lists("10.77.0.13:2275", __pub_id="m8")


# ---- containers


@pytest.mark.parametrize("test", [False, True], ids=["run", "test"])
def test_agent(on, test):
    salt = on("m4", changes=CREATED)
    assert swarm_classic.apply_agent(test=test) == CREATED
    (name, spec), options = salt["swarm_container.apply"].call_args
    assert name == "swarm-agent"
    assert spec["command"][:2] == ["join", "--advertise=10.77.0.14:2275"]
    assert options == ({"test": True} if test else {"trial": contextlib.nullcontext})


def test_agent_leaves_no_address_of_before(on):
    """One engine at two addresses would be taken for two that were copied from one another."""
    salt = on(changes=CHANGED, registered=["10.77.0.11:2376", "10.77.0.11:2275", "10.77.0.12:2376"])
    swarm_classic.apply_agent()
    salt["swarm_consul.deregister"].assert_called_once_with(endpoint="10.77.0.11:2376")


def test_agent_that_stays_asks_nobody(on):
    salt = on(registered=["10.77.0.11:2376"])
    swarm_classic.apply_agent()
    salt["swarm_consul.nodes"].assert_not_called()


def test_manager_where_pillar_names_one(on):
    salt = on(changes=CREATED)
    assert swarm_classic.apply_manager() == CREATED
    name, spec = salt["swarm_container.apply"].call_args.args
    assert name == "swarm-manager"
    assert "--advertise=10.77.0.11:3375" in spec["command"]
    salt["swarm_container.remove"].assert_not_called()


def test_no_manager_where_pillar_names_none(on):
    salt = on("m4")
    salt["swarm_container.remove"].return_value = CHANGED
    assert swarm_classic.apply_manager(test=True) == CHANGED
    salt["swarm_container.remove"].assert_called_once_with("swarm-manager", test=True)
    salt["swarm_container.apply"].assert_not_called()


def test_dry_run_before_there_is_an_engine_finds_no_manager(on):
    """It failed on bare hosts; found by the lab."""
    salt = on("m4")
    salt["swarm_container.get"].side_effect = errors.EngineUnreachableError("No such file")
    assert swarm_classic.apply_manager(test=True) == {}
    with pytest.raises(errors.EngineUnreachableError):
        swarm_classic.apply_manager()


def test_manager_in_test_mode(on):
    salt = on(changes=CHANGED, leader=True)
    assert swarm_classic.apply_manager(test=True) == CHANGED
    assert not wrote(salt)


def test_manager_as_it_should_be(on):
    salt = on()
    assert swarm_classic.apply_manager() == {}
    assert not wrote(salt)


TURN, LEAD = "swarm-formula/turn", "docker/swarm/leader"


@pytest.fixture
def agent(monkeypatch):
    """Run an agent of Consul, for turns; another manager leads."""
    with consul_agent.running() as agent:
        agent.sessions["of m2"] = {}
        agent.keys[LEAD] = ("10.77.0.12:3375", "of m2")
        connect = agent_api.connect
        monkeypatch.setattr(
            agent_api, "connect", lambda _, files, *more: connect(agent.settings, files, *more)
        )
        yield agent


@pytest.mark.parametrize(
    ("changes", "pillar", "turn"),
    [
        (CHANGED, {}, True),
        (CREATED, {}, False),
        (CHANGED, {"managers": ["m1"]}, False),
        (CHANGED, {"store": "etcd://e:2379"}, False),
    ],
    ids=["one of three", "new", "the only one", "no Consul"],
)
def test_manager_that_goes_down_does_so_in_its_turn(on, agent, changes, pillar, turn):
    salt = on(leader="store" not in pillar, **pillar)
    seen = []

    def apply(name, spec, test=False, **_):
        seen.extend([] if test else [TURN in agent.keys])
        return changes

    salt["swarm_container.apply"].side_effect = apply
    assert swarm_classic.apply_manager() == changes
    assert seen == [turn]
    assert agent.keys == {LEAD: ("10.77.0.12:3375", "of m2")}


@pytest.mark.parametrize("port", [3375, 4000], ids=["as now", "before a change"])
def test_primary_hands_over_before_it_goes_down(on, agent, monkeypatch, port):
    """Or nobody would be primary until its session ends by itself, 20 s later."""
    salt = on(changes=CHANGED, leader=True)
    agent.sessions["of m1"] = {}
    agent.keys[LEAD] = (f"10.77.0.11:{port}", "of m1")
    leads = []

    def sleep(_):
        """Another takes the lead a moment later."""
        leads.append(agent.keys.get(LEAD))
        agent.keys[LEAD] = ("10.77.0.12:3375", "of m2")

    def apply(*_, test=False, **__):
        leads.extend([] if test else [agent.keys[LEAD]])
        return CHANGED

    monkeypatch.setattr(core_wait, "time", own_time(sleep=sleep))
    salt["swarm_container.apply"].side_effect = apply
    swarm_classic.apply_manager()
    assert leads == [None, ("10.77.0.12:3375", "of m2")]
    assert "of m1" not in agent.sessions


def test_manager_goes_down_in_the_end_if_no_other_takes_the_lead(on, agent, monkeypatch):
    on(changes=CHANGED, leader=True)
    del agent.keys[LEAD]
    monkeypatch.setattr(classic_manager, "_SUCCESSION", 0)
    assert swarm_classic.hand_over() is False


def test_consul_that_has_no_leader_for_a_moment_is_asked_again(on, agent, monkeypatch):
    on(changes=CHANGED, leader=True)
    leader, agent.leader = agent.leader, ""
    monkeypatch.setattr(
        core_wait, "time", own_time(sleep=lambda _: setattr(agent, "leader", leader))
    )
    assert swarm_classic.hand_over() is True


def test_lead_of_another_is_left_to_it(on, agent):
    on(changes=CHANGED, leader=True)
    swarm_classic.apply_manager()
    assert agent.keys == {LEAD: ("10.77.0.12:3375", "of m2")}


@pytest.mark.parametrize("lacking", ["its answer", "the lock"])
def test_turn_lasts_until_it_answers_and_somebody_leads(on, agent, said, monkeypatch, lacking):
    """Whoever that is, and wherever he listens: that may be what changes."""
    on(changes=CHANGED, leader=True)
    mine, lock, held = said["m1"], agent.keys[LEAD], []
    said.pop("m2")
    if lacking == "its answer":
        said.pop("m1")
    else:
        agent.keys[LEAD] = ("10.77.0.12:3375", None)

    def sleep(_):
        held.append(TURN in agent.keys)
        said["m1"], agent.keys[LEAD] = mine, lock

    monkeypatch.setattr(core_wait, "time", own_time(sleep=sleep))
    swarm_classic.apply_manager()
    assert held == [True]


def test_lock_that_came_too_late_to_be_handed_over_is_given_back(on, agent, monkeypatch):
    """Or nobody would be primary until it runs out: who has it was stopped."""
    salt = on(changes=CHANGED, leader=True)
    agent.sessions["of m1"] = {}
    seen = []

    def act():
        agent.keys[LEAD] = ("10.77.0.11:3375", "of m1")

    def sleep(_):
        seen.append((agent.keys.get(LEAD), "of m1" in agent.sessions))
        agent.keys[LEAD] = ("10.77.0.12:3375", "of m2")

    monkeypatch.setattr(core_wait, "time", own_time(sleep=sleep))
    salt["swarm_container.apply"].side_effect = tried(CHANGED, act)
    swarm_classic.apply_manager()
    assert seen == [(None, False)]


# ---- what does not work


def test_only_manager_that_does_not_answer_is_undone_with_its_words(on, said):
    salt = on(changes=CHANGED, managers=["m1"])
    said.pop("m1")
    salt["swarm_settings.get"].return_value["timeout"] = 0.1
    with pytest.raises(errors.WaitTimeoutError) as failure:
        swarm_classic.apply_manager()
    assert "manager 10.77.0.11:3375: no connection; its last words: its words" in str(failure.value)
    assert "(see swarm:manager:options, swarm:manager:image)" in str(failure.value)


def test_manager_is_not_undone_for_what_ails_the_agent(on, agent, said):
    salt = on(changes=CHANGED, leader=True)
    said.pop("m1")
    salt["swarm_settings.get"].return_value["timeout"] = 0.1

    def check(name):
        if name == "swarm-agent":
            raise FALLEN

    salt["swarm_container.check"].side_effect = check
    with pytest.raises(errors.WaitTimeoutError):
        swarm_classic.apply_manager()


def test_agent_that_ends_is_undone_with_its_words(on):
    salt = on(changes=CHANGED)
    salt["swarm_container.check"].side_effect = FALLEN
    with pytest.raises(errors.NotRunningError, match=r"exit code 2 \(see swarm:agent:option"):
        swarm_classic.apply_agent()


def test_agent_that_is_started_again_and_again_is_not_settled(on, monkeypatch):
    """Docker starts it anew at once; between two starts it runs."""
    salt, restarts = on(changes=CHANGED), iter(range(3))
    monkeypatch.setattr(container_actions, "SETTLE", 60)
    salt["swarm_container.get"].side_effect = lambda _: {"restarts": next(restarts)}
    salt["swarm_container.check"].side_effect = [None, None, FALLEN]
    with pytest.raises(errors.NotRunningError, match="exit code 2"):
        swarm_classic.apply_agent()


KEY = "docker/swarm/nodes/10.77.0.11:2275"


@pytest.mark.parametrize(
    ("registered", "options", "lost"),
    [
        (False, {}, True),
        (True, {}, False),
        # It may be waiting.
        (False, {"delay": "5s"}, False),
        (False, {"advertise": "10.77.0.99:1"}, True),
        (True, {"discovery-opt": {"kv.path": "elsewhere"}}, True),
    ],
)
def test_agent_whose_node_consul_has_forgotten_is_restarted(on, agent, registered, options, lost):
    """A Consul that leaves, as it does when its role changes, takes its registrations along."""
    # Where nodes are in the store has to be the same for managers and agents.
    store = {key: one for key, one in options.items() if key == "discovery-opt"}
    manager = {**VALID["manager"], "options": store}
    salt = on(agent={"options": options}, manager=manager)
    if registered:
        agent.keys[KEY] = ("10.77.0.11:2275", "a session")
    settings = salt["swarm_settings.get"].return_value
    key = containers.agent_key(settings)
    salt["swarm_container.start"].side_effect = lambda _: agent.keys.update({key: ("x", "y")})
    changes = {"registration": {"old": None, "new": "10.77.0.11:2275"}} if lost else {}
    assert swarm_classic.apply_agent(test=True) == changes
    salt["swarm_container.stop"].assert_not_called()
    assert swarm_classic.apply_agent() == changes
    assert salt["swarm_container.start"].called is lost
    assert swarm_classic.apply_agent() == {}


# ---- leaving


def test_remove_takes_both_containers_and_the_image(on):
    salt = on()
    for function in ("swarm_container.remove", "swarm_image.remove_unused"):
        salt[function].return_value = CREATED
    assert set(swarm_classic.remove(test=True)) == {"swarm-agent", "swarm-manager", "swarm:1.2.9"}
    assert all(call.kwargs["test"] for call in salt["swarm_container.remove"].call_args_list)


def test_remove_leaves_what_somebody_else_calls_so(on):
    salt = on()
    salt["swarm_container.get"].side_effect = lambda _: {"command": ["/portainer"]}
    assert swarm_classic.remove() == {}
    salt["swarm_container.remove"].assert_not_called()


def test_remove_where_nothing_is_left(on):
    on()
    assert swarm_classic.remove() == {}


def test_remove_without_an_engine(on):
    salt = on(exists=False)
    assert swarm_classic.remove() == {}
    salt["swarm_container.remove"].assert_not_called()
