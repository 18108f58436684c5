"""
Warnings about settings that are allowed but unwise.
"""

import pytest

from swarm_formula.settings import warnings
from tests.unit.pillars import BUILTIN, VALID, settings_of


@pytest.mark.parametrize(
    ("pillar", "words"),
    [
        ({**BUILTIN, "nodes": {"*": {}}}, "swarm:nodes: '*' makes a member of every minion"),
        (
            {**VALID, "manager": {"image_source": "http://files.example.com/swarm.tar"}},
            "swarm:manager:image_source: http://files.example.com/swarm.tar is transferred",
        ),
    ],
)
def test_what_is_open_to_others_is_warned_of(pillar, words):
    assert any(one.startswith(words) for one in warnings.warnings(settings_of(pillar)))


@pytest.mark.parametrize(
    "pillar",
    [
        {**BUILTIN, "nodes": {"web-*": {}}},
        {
            **VALID,
            "consul": {"image_source": "http://files.example.com/a.tar", "image_hash": "0" * 64},
        },
        {**VALID, "consul": {"image_source": "https://files.example.com/consul.tar"}},
    ],
)
def test_what_is_not_is_not(pillar):
    found = warnings.warnings(settings_of(pillar))
    assert not any("image_source" in one or "swarm:nodes" in one for one in found)
