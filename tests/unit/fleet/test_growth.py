"""
The work of a status grows with the number of members, not with its square: bytecodes are counted.
"""

import sys

import pytest

from swarm_formula.fleet import member_rows, swarms, views
from swarm_formula.salt import minion_reports
from tests.unit.fleet.test_members import node, report, said

pytestmark = pytest.mark.once


def cost(function, *args):
    """Return how many bytecodes a function runs."""
    count = 0

    def opcode(frame, event, _):
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return opcode

    before = sys.gettrace()
    sys.settrace(opcode)
    try:
        function(*args)
    finally:
        sys.settrace(before)
    return count


def by_glob(size):
    return {f"m{one}": {"swarm": {"managers": ["m1"], "nodes": {"*": {}}}} for one in range(size)}


def by_name(size):
    nodes = {f"m{one}": {} for one in range(size)}
    return {one: {"swarm": {"managers": ["m1", "m2"], "nodes": nodes}} for one in nodes}


def many(size):
    """Return the pillars of swarms with ten members each."""
    pillar = lambda one: {"managers": [f"m{one // 10}0"], "nodes": {"*": {}}}  # noqa: E731
    return {f"m{one}": {"swarm": pillar(one)} for one in range(size)}


def reports(size):
    return {f"m{one}": minion_reports.read(report(one)) for one in range(size)}


def lists(size):
    return said(*map(node, range(size)))


def status(size, heard):
    answers = dict.fromkeys(("m1", "m2"), lists(size))
    found = views.read(answers)
    names = [f"m{one}" for one in range(size)]
    doubles = views.doubles(heard, names, found.said)
    rows = member_rows.rows(names, heard, found.said, "m1", doubles)
    assert len(rows) == size
    member_rows.table(rows)


WORK = {
    "swarms by a glob": lambda size: (swarms.swarms, by_glob(size)),
    "swarms by IDs": lambda size: (swarms.swarms, by_name(size)),
    "many swarms": lambda size: (swarms.swarms, many(size)),
    "all report": lambda size: (status, size, reports(size)),
    "none reports": lambda size: (status, size, {}),
}


@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
def test_twice_the_members_are_twice_the_work(work):
    small, large = (cost(*work(size)) for size in (200, 400))
    assert small
    assert large / small < 2.2
