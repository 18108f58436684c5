"""
States that take the options of a table: Salt passes them on, and the table refuses unknown ones.
"""

import importlib
import re

import pytest
import salt.state
from salt.utils.args import format_call

from _modules import swarm_container, swarm_network
from swarm_formula.docker import network_spec
from swarm_formula.settings import host_containers
from tests.unit.execution import mocked

# state: the options that it takes
OPTIONS = {
    "swarm_container.running": host_containers.OPTIONS.keys() - {"nodes"},
    "swarm_network.present": network_spec.FIELDS.keys(),
}
# What Salt adds to each state, and what users write beside the options.
AROUND = {
    "__sls__": "web",
    "__id__": "web",
    "__env__": "base",
    "__pub_jid": "1",
    "order": 10001,
    "require": [{"test": "x"}],
    "unless": "false",
}


@pytest.fixture
def run(monkeypatch):
    """Return a function that calls a state as Salt does, with these functions."""

    def run(name, functions, **given):
        module, _, function = name.partition(".")
        states = importlib.import_module(f"_states.{module}")
        monkeypatch.setattr(states, "__salt__", functions, raising=False)
        monkeypatch.setattr(states, "__opts__", {"test": False}, raising=False)
        state = getattr(states, function)
        low = {"name": "web", "state": module, "fun": function, **AROUND, **given}
        call = format_call(
            state, low, {"full": name}, expected_extra_kws=salt.state.STATE_INTERNAL_KEYWORDS
        )
        return state(*call["args"], **call["kwargs"])

    return run


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_of_the_table_reaches_the_module_and_nothing_else_does(run, name):
    function = f"{name.partition('.')[0]}.apply"
    functions = mocked(**{function.replace(".", "__"): {}})
    given = {key: f"the {key}" for key in OPTIONS[name]}
    assert run(name, functions, **given)["result"] is True
    assert functions[function].call_args.args == ("web", given)


@pytest.mark.parametrize("name", OPTIONS)
def test_option_without_a_value_is_not_passed_on(run, name):
    function = f"{name.partition('.')[0]}.apply"
    functions = mocked(**{function.replace(".", "__"): {}})
    run(name, functions, image="a", labels=None)
    assert functions[function].call_args.args == ("web", {"image": "a"})


@pytest.mark.parametrize(
    ("name", "module", "typo", "meant"),
    [
        ("swarm_container.running", swarm_container, "comand", "command"),
        ("swarm_container.running", swarm_container, "image_sorce", "image_source"),
        ("swarm_container.running", swarm_container, "time_out", "timeout"),
        ("swarm_network.present", swarm_network, "subnets", "subnet"),
    ],
)
def test_state_with_a_typo_fails_and_changes_nothing(run, name, module, typo, meant):
    functions = {f"{module.__name__.rpartition('.')[2]}.apply": module.apply}
    given = {"image": "a"} if module is swarm_container else {}
    ret = run(name, functions, **given, **{typo: "x"})
    assert (ret["result"], ret["changes"]) == (False, {})
    assert f"web:{typo}" in ret["comment"]
    assert f"Did you mean {meant!r}?" in ret["comment"]


@pytest.mark.parametrize("name", OPTIONS)
def test_docstring_has_every_option(name):
    module, _, function = name.partition(".")
    text = getattr(importlib.import_module(f"_states.{module}"), function).__doc__
    terms = re.findall(r"^    (\w+(?:, \w+)*)$", text, re.MULTILINE)
    told = {word for term in terms for word in term.split(", ")}
    assert told >= OPTIONS[name]
    assert told - OPTIONS[name] <= {"name", "settings", "timeout"}
