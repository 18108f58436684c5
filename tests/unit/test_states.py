"""
The states that do no more than call one function: result, changes, test mode, errors.
"""

import importlib
from pathlib import Path

import pytest

from swarm_formula.core import errors
from tests.unit.execution import mocked

ROOT = Path(__file__).parents[2]

# state: the one function that it calls
APPLIED = {
    "swarm_libraries.installed": "swarm_libraries.install",
    "swarm_libraries.removed": "swarm_libraries.remove",
    "swarm_engine.installed": "swarm_package.install",
    "swarm_engine.configured": "swarm_engine.configure",
    "swarm_engine.overlay": "swarm_engine.configure_overlay",
    "swarm_engine.cleaned": "swarm_engine.clean",
    "swarm_engine.removed": "swarm_package.remove",
    "swarm_consul.running": "swarm_consul.apply",
    "swarm_consul.guarded": "swarm_rights.apply",
    "swarm_consul.deregistered": "swarm_consul.deregister",
    "swarm_consul.removed": "swarm_consul.remove",
    "swarm_classic.manager": "swarm_classic.apply_manager",
    "swarm_classic.agent": "swarm_classic.apply_agent",
    "swarm_classic.removed": "swarm_classic.remove",
    "swarm_builtin.member": "swarm_builtin.apply",
    "swarm_builtin.cluster": "swarm_leader.apply_cluster",
    "swarm_builtin.left": "swarm_builtin.leave",
    "swarm_ca.present": "swarm_ca.apply",
    "swarm_ca.absent": "swarm_ca.remove",
    "swarm_ca_copy.absent": "swarm_ca_copy.remove",
    "swarm_tls.certified": "swarm_tls.apply",
    "swarm_tls.tidied": "swarm_tls.tidy",
    "swarm_tls.removed": "swarm_tls.remove",
    "swarm_client.configured": "swarm_client.apply",
    "swarm_client.removed": "swarm_client.remove",
    "swarm_firewall.applied": "swarm_firewall.apply",
    "swarm_firewall.removed": "swarm_firewall.remove",
    "swarm_overlay.applied": "swarm_overlay.apply",
    "swarm_overlay.removed": "swarm_overlay.remove",
    "swarm_registry.logged_in": "swarm_registry.apply",
    "swarm_registry.logged_out": "swarm_registry.remove",
    "swarm_registry.running": "swarm_registry.run",
    "swarm_registry.absent": "swarm_registry.remove_container",
    "swarm_repository.managed": "swarm_repository.apply",
    "swarm_repository.removed": "swarm_repository.remove",
    "swarm_secret.managed": "swarm_secret.apply_all",
    "swarm_config.managed": "swarm_config.apply_all",
    "swarm_service.managed": "swarm_service.apply_all",
    "swarm_service.removed": "swarm_service.remove_local",
    "swarm_stack.managed": "swarm_stack.apply_all",
    "swarm_volume.managed": "swarm_volume.apply_all",
    "swarm_image.prepulled": "swarm_image.prepull",
    "swarm_container.managed": "swarm_container.apply_all",
}
# What a state says besides.
WORDS = {
    "swarm_builtin.left": {"lose_cluster": False, "ending": True, "fresh": False},
    "swarm_ca.absent": {"fresh": False},
}
WAITED = {
    "swarm_consul.ready": "swarm_consul.wait",
    "swarm_classic.elected": "swarm_classic.wait_primary",
    "swarm_classic.healthy": "swarm_classic.wait_healthy",
    "swarm_builtin.ready": "swarm_builtin.wait_ready",
}
# states: what has to be there for them
GATES = {
    "swarm_image": "swarm_image.apply",
    "swarm_libraries": "swarm_libraries.install",
    "swarm_settings": "swarm_settings.get",
    "swarm_engine": "swarm_engine.configure",
    "swarm_consul": "swarm_consul.apply",
    "swarm_classic": "swarm_classic.managers",
    "swarm_builtin": "swarm_builtin.apply",
    "swarm_client": "swarm_client.apply",
    "swarm_ca": "swarm_ca.apply",
    "swarm_ca_copy": "swarm_ca_copy.apply",
    "swarm_tls": "swarm_tls.apply",
    "swarm_firewall": "swarm_firewall.apply",
    "swarm_overlay": "swarm_overlay.apply",
    "swarm_registry": "swarm_registry.apply",
    "swarm_repository": "swarm_repository.apply",
    "swarm_secret": "swarm_secret.apply",
    "swarm_config": "swarm_config.apply",
    "swarm_service": "swarm_service.apply",
    "swarm_stack": "swarm_stack.apply",
    "swarm_volume": "swarm_volume.apply",
    "swarm_job": "swarm_job.run",
    "swarm_file": "swarm_file.wanted",
}
CHANGES = {"thing": {"old": None, "new": "there"}}


@pytest.fixture
def run(monkeypatch):
    """Return a function that runs a state over a mock of what it calls; gives both."""

    def run(name, function, outcome, test=False, complaints=(), **kwargs):
        faults = kwargs.pop("faults", [])
        module, _, state = name.partition(".")
        states = importlib.import_module(f"_states.{module}")
        salt = mocked(
            **{
                "swarm_engine__complaints": complaints,
                "swarm_engine__known_faults": faults,
                "swarm_leader__complaints": complaints,
                "swarm_ca__complaints": complaints,
                "swarm_service__complaints": complaints,
                "swarm_stack__complaints": complaints,
                "swarm_stack__ignored": kwargs.pop("ignored", []),
                "swarm_rights__remarks": kwargs.pop("remarks", []),
                "swarm_builtin__release": kwargs.pop("stays", ""),
                function.replace(".", "__"): outcome,
            }
        )
        monkeypatch.setattr(states, "__salt__", salt, raising=False)
        monkeypatch.setattr(states, "__opts__", {"test": test}, raising=False)
        return getattr(states, state)("a name", **kwargs), salt[function]

    return run


@pytest.mark.parametrize("changes", [{}, CHANGES], ids=["no change", "change"])
@pytest.mark.parametrize("test", [False, True], ids=["run", "test"])
def test_rights_that_nodes_should_not_have_are_told_in_a_dry_run_too(run, changes, test):
    told = {"remarks": ["Consul of m3 lacks a token"]}
    ret, _ = run("swarm_consul.guarded", "swarm_rights.apply", changes, test, **told)
    assert ret["comment"].endswith(". Consul of m3 lacks a token")


@pytest.mark.parametrize(("name", "function"), APPLIED.items())
@pytest.mark.parametrize("test", [False, True], ids=["run", "test"])
def test_changes_are_made_or_promised(run, name, function, test):
    ret, called = run(name, function, CHANGES, test)
    assert ret["changes"] == CHANGES
    assert ret["result"] is (None if test else True)
    assert ret["comment"].startswith("a name would be" if test else "a name was changed")
    called.assert_called_once_with(test=test, **WORDS.get(name, {}))


@pytest.mark.parametrize(("name", "function"), APPLIED.items())
@pytest.mark.parametrize("test", [False, True], ids=["run", "test"])
def test_nothing_to_change(run, name, function, test):
    ret, _ = run(name, function, {}, test)
    assert (ret["result"], ret["changes"]) == (True, {})


@pytest.mark.parametrize(
    ("name", "function"),
    [pair for pair in APPLIED.items() if pair[0] != "swarm_consul.deregistered"],
)
@pytest.mark.parametrize("test", [False, True], ids=["run", "test"])
def test_error_fails_the_state_with_its_words(run, name, function, test):
    ret, _ = run(name, function, errors.SwarmError("what, where, what to do"), test)
    assert (ret["result"], ret["changes"]) == (False, {})
    assert ret["comment"] == "what, where, what to do"


@pytest.mark.parametrize("test", [False, True], ids=["run", "test"])
def test_manager_without_a_copy_of_the_ca_is_warned_and_does_not_fail(run, test):
    ret, _ = run("swarm_ca_copy.present", "swarm_ca_copy.apply", CHANGES, test)
    assert (ret["result"], ret["changes"]) == (None if test else True, CHANGES)
    error = errors.SwarmError("m1 gives none")
    ret, _ = run("swarm_ca_copy.present", "swarm_ca_copy.apply", error, test)
    assert (ret["result"], ret["changes"], ret["warnings"]) == (True, {}, ["m1 gives none"])


@pytest.mark.parametrize("test", [False, True], ids=["run", "test"])
def test_rollout_that_fails_tells_what_was_changed_all_the_same(run, test):
    error = errors.RolloutError("service web: paused", CHANGES)
    ret, _ = run("swarm_service.managed", "swarm_service.apply_all", error, test)
    assert (ret["result"], ret["changes"], ret["comment"]) == (
        False,
        CHANGES,
        "service web: paused",
    )


LEADERS = {
    "swarm_service.present": ("swarm_service.apply", {"image": "a", "limits": None}),
    "swarm_service.absent": ("swarm_service.remove", {}),
    "swarm_stack.deployed": ("swarm_stack.apply", {"source": "/x", "prune": True}),
    "swarm_stack.removed": ("swarm_stack.remove", {}),
    "swarm_secret.present": ("swarm_secret.apply", {"content": "x"}),
    "swarm_secret.absent": ("swarm_secret.remove", {}),
    "swarm_config.present": ("swarm_config.apply", {"source": "/x", "keep": 3}),
    "swarm_config.absent": ("swarm_config.remove", {}),
}


@pytest.mark.parametrize("name", LEADERS)
@pytest.mark.parametrize("test", [False, True], ids=["run", "test"])
def test_leader_acts_on_what_is_the_clusters(run, name, test):
    function, given = LEADERS[name]
    ret, called = run(name, function, CHANGES, test, **given)
    assert (ret["result"], ret["changes"]) == (None if test else True, CHANGES)
    assert called.call_args.args[0] == "a name"
    assert called.call_args.kwargs["test"] is test


@pytest.mark.parametrize("name", LEADERS)
def test_node_that_does_not_lead_leaves_it_to_the_leader(run, name):
    function, given = LEADERS[name]
    ret, called = run(name, function, None, **given)
    assert (ret["result"], ret["changes"]) == (True, {})
    assert "not the leader" in ret["comment"]
    called.assert_called_once()


def test_node_that_cannot_tell_who_acts_fails(run):
    """In classic mode, the managers have to be asked."""
    error = errors.WaitTimeoutError("gave up after 5 s: no manager is primary")
    ret, _ = run("swarm_service.managed", "swarm_service.apply_all", error)
    assert (ret["result"], ret["changes"]) == (False, {})
    assert "no manager is primary" in ret["comment"]


@pytest.mark.parametrize(
    ("completed", "test", "result"),
    [(True, False, True), (False, False, False), (None, True, None)],
)
def test_job_fails_if_it_does_not_complete_and_tells_its_tasks(run, completed, test, result):
    tasks = [{"task": "job.1 on m1", "exit code": 3, "log": ["no"]}]
    done = {"job": "a name", "completed": completed, "why not": "0 of 1", "tasks": tasks}
    ret, called = run("swarm_job.run", "swarm_job.run", done, test, timeout=9)
    assert (ret["result"], ret["changes"]["tasks"]["new"]) == (result, tasks)
    assert ("job a name: 0 of 1" in ret["comment"]) is (result is False)
    called.assert_called_once_with("a name", timeout=9, lines=20, test=test)
    assert run("swarm_job.run", "swarm_job.run", None)[0]["result"] is True
    error = errors.SettingsError("no job")
    assert run("swarm_job.run", "swarm_job.run", error)[0]["result"] is False


def test_stack_tells_what_is_ignored_and_each_warning(run):
    ret, _ = run(
        "swarm_stack.managed", "swarm_stack.apply_all", {}, complaints=["no digest"], ignored=["x"]
    )
    assert (ret["result"], ret["warnings"]) == (True, ["no digest"])
    assert ret["comment"].splitlines()[1:] == ["x"]


def test_service_gets_every_option_that_is_given_and_none_of_salts_own(run):
    """An option that is null is given: it takes a value away."""
    given = {"image": "a", "limits": None, "__pub_fun": "state.apply"}
    _, called = run("swarm_service.present", "swarm_service.apply", {}, **given)
    assert called.call_args.args == ("a name", {"image": "a", "limits": None})


@pytest.mark.parametrize("test", [False, True], ids=["run", "test"])
def test_nodes_are_settled_by_the_pillar_of_this_run(run, test):
    """It was refreshed when the run began; who asks for it from elsewhere wants a newer one."""
    ret, called = run("swarm_builtin.nodes", "swarm_leader.settle", CHANGES, test)
    assert (ret["result"], ret["changes"]) == (None if test else True, CHANGES)
    called.assert_called_once_with(test=test, fresh=False)


@pytest.mark.parametrize(
    "case",
    [
        ("swarm_engine.configured", "swarm_engine.configure", {}),
        ("swarm_builtin.member", "swarm_builtin.apply", {}),
    ],
)
def test_complaints_are_warnings(run, case):
    ret, _ = run(*case, complaints=["2 threads are lost"])
    assert (ret["result"], ret["warnings"]) == (True, ["2 threads are lost"])
    assert "warnings" not in run(*case)[0]


def test_known_faults_of_the_engine_are_warnings_beside_its_complaints(run):
    case = ("swarm_engine.configured", "swarm_engine.configure", {})
    ret, _ = run(*case, complaints=["2 threads are lost"], faults=["Docker 28.2.2: names"])
    assert ret["warnings"] == ["2 threads are lost", "Docker 28.2.2: names"]


@pytest.mark.parametrize("test", [False, True], ids=["run", "test"])
@pytest.mark.parametrize(
    ("old", "new", "warns"),
    [
        ("/etc/docker/ca.pem", "/etc/swarm-formula/tls/1/ca.pem", True),
        ("/etc/swarm-formula/tls/1/ca.pem", "/etc/swarm-formula/tls/2/ca.pem", False),
        (None, "/etc/swarm-formula/tls/1/ca.pem", False),
        # given back
        ("/etc/docker/ca.pem", None, False),
    ],
)
def test_certificate_of_an_admin_is_not_replaced_without_a_word(run, old, new, warns, test):
    changes = {"daemon.json": {"tlscacert": {"old": old, "new": new}}}
    ret, _ = run("swarm_engine.configured", "swarm_engine.configure", changes, test)
    assert len(ret.get("warnings", [])) == warns
    if warns:
        assert "daemon.json had tlscacert /etc/docker/ca.pem" in ret["warnings"][0]


@pytest.mark.parametrize(
    ("state", "function"),
    [
        ("swarm_engine.configured", "swarm_engine.configure"),
        ("swarm_engine.installed", "swarm_package.install"),
    ],
)
def test_comment_tells_of_the_drain(run, state, function):
    changes = {"drain": {"old": None, "new": "drained before the restart, in 9 s"}}
    ret, _ = run(state, function, changes)
    assert ret["comment"].endswith("changed. Node: drained before the restart, in 9 s")
    assert "Node:" not in run(state, function, {"mtu": {"old": 1, "new": 2}})[0]["comment"]


def test_store_that_is_gone_keeps_nobody_from_leaving(run):
    """No store, no key: its TTL ends it."""
    error = errors.StoreError("Consul on this host does not answer (nodes)")
    ret, _ = run("swarm_consul.deregistered", "swarm_consul.deregister", error)
    assert (ret["result"], ret["changes"]) == (True, {})
    assert "Consul on this host does not answer" in ret["comment"]


@pytest.mark.parametrize(("name", "function"), WAITED.items())
@pytest.mark.parametrize("timeout", [None, 30])
def test_wait_that_ends_well(run, name, function, timeout):
    ret, called = run(name, function, None, timeout=timeout)
    assert (ret["result"], ret["changes"]) == (True, {})
    called.assert_called_once_with(timeout)


@pytest.mark.parametrize(("name", "function"), WAITED.items())
def test_wait_in_vain_fails_with_what_is_missing(run, name, function):
    ret, _ = run(name, function, errors.WaitTimeoutError("gave up: m3 missing"))
    assert (ret["result"], ret["comment"]) == (False, "gave up: m3 missing")


@pytest.mark.parametrize(("name", "function"), WAITED.items())
def test_wait_in_test_mode_looks_once_and_fails_nothing(run, name, function):
    """On a bare host nothing is there yet, and an earlier state would have brought it."""
    error = errors.WaitTimeoutError("m3 missing")
    ret, called = run(name, function, error, test=True, timeout=30)
    assert (ret["result"], ret["changes"]) == (None, {})
    assert ret["comment"] == "would wait for it: m3 missing"
    called.assert_called_once_with(0)


@pytest.mark.parametrize("module", GATES)
def test_state_without_its_execution_module_says_so(monkeypatch, module):
    states = importlib.import_module(f"_states.{module}")
    monkeypatch.setattr(states, "__salt__", {}, raising=False)
    available, why = states.__virtual__()
    assert available is False
    assert why == f"The {module} execution module is not available"


@pytest.mark.parametrize(("module", "function"), GATES.items())
def test_state_with_its_execution_module_is_there(monkeypatch, module, function):
    states = importlib.import_module(f"_states.{module}")
    monkeypatch.setattr(states, "__salt__", mocked(function), raising=False)
    assert states.__virtual__() == module


@pytest.mark.parametrize("kind", ["_modules", "_states"])
def test_every_file_is_called_as_its_module(kind):
    """Salt looks for a module in the file of that name first."""
    for path in ROOT.glob(f"{kind}/*.py"):
        module = importlib.import_module(f"{kind}.{path.stem}")
        assert module.__virtualname__ == path.stem


@pytest.mark.parametrize("test", [False, True], ids=["run", "test"])
def test_node_that_was_there_before_is_left_with_a_warning(run, test):
    name, function = "swarm_builtin.left", "swarm_builtin.leave"
    ret, leave = run(name, function, CHANGES, test, stays="m1 stays")
    assert (ret["result"], ret["changes"], ret["warnings"]) == (True, {}, ["m1 stays"])
    leave.assert_not_called()
    for word in ("lose_cluster", "alone"):
        ret, leave = run(name, function, CHANGES, test, stays="m1 stays", **{word: True})
        assert ret["changes"] == CHANGES
        lost = word == "lose_cluster"
        leave.assert_called_once_with(test=test, lose_cluster=lost, ending=lost, fresh=False)
