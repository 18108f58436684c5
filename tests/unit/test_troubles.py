"""
The table of error messages and the tests that provoke them are about the same texts.
"""

import ast

import pytest

from tests import troubles
from tests.builtin.troubles import TROUBLES as BUILTIN
from tests.integration.troubles import TROUBLES as CLASSIC
from tests.troubles import PAPER, Table

TABLES = [CLASSIC, BUILTIN]
ROOT = PAPER.parents[1]


def test_each_text_of_the_readme_is_provoked_and_no_other():
    provoked = set().union(*(table.texts() for table in TABLES))
    assert sorted(provoked) == sorted(set(troubles.texts()))


@pytest.mark.parametrize(
    "place", sorted({place for table in TABLES for place in table.elsewhere.values()})
)
def test_test_that_provokes_it_elsewhere_is_there(place):
    path, _, name = place.partition("::")
    names = {one.name for one in ast.walk(ast.parse((ROOT / path).read_text()))
             if isinstance(one, ast.FunctionDef)}  # fmt: skip
    assert name in names


@pytest.mark.parametrize(
    ("text", "said", "same"),
    [
        ("no repository has docker-ce", "no repository has docker-ce (swarm:engine", True),
        ("N fault(s) in the pillar of m1", "12 fault(s) in the pillar of m3, nothing", True),
        ("10.0.0.12:2376 is Pending", "10.85.0.13:2376 is Pending to", True),
        ("does not hold it, but ...", "x.tar does not hold it, but y", True),
        ("Consul has no leader: 1 of 3", "Consul has no leader: two of 3", False),
        ("image ..., which is not here", "image x could not be pulled", False),
    ],
)
def test_text_of_the_readme_stands_for_what_is_said(text, said, same):
    assert bool(troubles.pattern(text).search(said)) is same


def test_sample_is_of_the_cheap_ones_and_the_same_for_a_seed(monkeypatch):
    monkeypatch.delenv("SWARM_TEST_ROWS", raising=False)
    table = Table({})
    for number in range(9):

        def steps(_):
            yield ""

        steps.__name__ = f"s{number}"
        table.row(f"text {number}", cheap=number % 2 == 0)(steps)
    chosen = table.chosen(3)
    assert len(chosen) == 3
    assert all(one.cheap for one in chosen)
    assert table.chosen(3) == chosen
    monkeypatch.setenv("SWARM_TEST_ROWS", "all")
    assert len(table.chosen(3)) == 9
