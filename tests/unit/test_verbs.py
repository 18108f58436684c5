"""
The verbs: each mode has the functions that the modules call, with the same parameters.
"""

import inspect

import pytest

from swarm_formula.core import modes
from swarm_formula.modes import verbs
from tests.unit.pillars import BUILTIN, VALID, settings_of

PROTOCOLS = {"services": verbs.Services, "stacks": verbs.Stacks, "node": verbs.Node}
FUNCTIONS = [
    (section, name)
    for section, protocol in PROTOCOLS.items()
    for name, one in vars(protocol).items()
    if inspect.isfunction(one) and not name.startswith("_")
]


def parameters(function):
    """Return the names of the parameters; one that a mode has no use for begins with ``_``."""
    return [name.removeprefix("_") for name in inspect.signature(function).parameters]


def test_every_mode_has_its_verbs():
    assert verbs.VERBS.keys() == modes.MODES.keys()
    for mode, pillar in (("classic", VALID), ("builtin", BUILTIN)):
        assert verbs.of(settings_of(pillar)) is verbs.VERBS[mode]


@pytest.mark.parametrize("mode", modes.MODES)
@pytest.mark.parametrize(("section", "name"), FUNCTIONS)
def test_a_mode_has_each_function_with_its_parameters(mode, section, name):
    protocol = getattr(PROTOCOLS[section], name)
    module = getattr(verbs.VERBS[mode], section)()
    assert ["self", *parameters(getattr(module, name))] == parameters(protocol)


@pytest.mark.parametrize("name", ["save", "restore"])
def test_backups_of_the_modes_take_the_same(name):
    first, *others = (getattr(one, name)() for one in verbs.VERBS.values())
    assert [parameters(one) for one in others] == [parameters(first)] * len(others)
