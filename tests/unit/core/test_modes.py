"""
The modes: what differs between them is in one table of facts, not in comparisons all over the code.
"""

import ast
from typing import get_args

import pytest

from swarm_formula.core import modes, settings_types
from tests.conftest import REPO_ROOT

FOLDERS = ("_utils", "_modules", "_states", "_runners", "_engines")
NAMES = set(modes.MODES)
# Where a comparison says more than a fact would.
ALLOWED = {
    # What a host is and what its pillar wants: both modes, by name, in one sentence.
    "_utils/swarm_formula/engine/mode_guard.py",
}


def is_mode(node):
    if isinstance(node, ast.Tuple | ast.Set | ast.List):
        return any(map(is_mode, node.elts))
    return isinstance(node, ast.Constant) and node.value in NAMES


def comparisons(source):
    """Return the lines that compare something with the name of a mode."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Compare) and any(map(is_mode, [node.left, *node.comparators]))
    ]


def by_mode(source):
    """Return the keys of each table by mode."""
    tables = [
        {key.value for key in node.keys if isinstance(key, ast.Constant)}
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Dict)
    ]
    return [keys for keys in tables if modes.DEFAULT in keys]


def sources():
    for folder in FOLDERS:
        for path in sorted((REPO_ROOT / folder).rglob("*.py")):
            yield str(path.relative_to(REPO_ROOT)), path.read_text()


def test_only_these_files_compare_modes():
    assert {path for path, source in sources() if comparisons(source)} == ALLOWED


def test_each_table_by_mode_has_every_mode():
    tables = {path: found for path, source in sources() if (found := by_mode(source))}
    assert "_utils/swarm_formula/core/modes.py" in tables
    assert [path for path, found in tables.items() if any(keys != NAMES for keys in found)] == []


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("if settings['mode'] == 'classic':\n    pass", [1]),
        ("\nis_other = 'builtin' != mode", [2]),
        ("mode in {'builtin', 'other'}", [1]),
        ("{'classic': 1}['classic']", []),
        ("settings['builtin']['port'] == 1", []),
    ],
)
def test_what_counts_as_a_comparison(source, lines):
    assert comparisons(source) == lines


def test_every_mode_of_the_pillar_has_its_facts():
    assert set(get_args(settings_types.Mode)) == NAMES


def test_a_mode_that_is_none_counts_as_the_default():
    """In the pillar of another minion, which nobody has checked."""
    assert modes.named("builtin") is modes.MODES["builtin"]
    for one in (None, "other", 1, ["builtin"]):
        assert modes.named(one) is modes.MODES[modes.DEFAULT]
