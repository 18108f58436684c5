"""
What a node may take away from its cluster by force.
"""

import pytest

from swarm_formula.cluster import leave
from tests.unit.pillars import BUILTIN, node, settings_of

WORKER = {"LocalNodeState": "active", "ControlAvailable": False}
MANAGER = {"LocalNodeState": "active", "ControlAvailable": True}
PENDING = {"LocalNodeState": "pending", "ControlAvailable": False}
FAILED = {"LocalNodeState": "error", "ControlAvailable": False}
LOCKED = {"LocalNodeState": "locked", "ControlAvailable": False}
R, U = "reachable", "unreachable"


def listed(*reaches):
    """Return what a manager says of nodes, of which the first one asks."""
    return {"cluster": "c1", "nodes": {f"n{i}": reach for i, reach in enumerate(reaches, 1)}}


@pytest.mark.parametrize(
    ("swarm", "host", "said", "recorded", "words"),
    [
        (WORKER, "m4", {}, None, None),
        (PENDING, "m4", {}, None, None),
        (FAILED, "m4", {}, None, None),
        (FAILED, "m1", listed(None, R), None, None),
        (FAILED, "m1", listed(R, R, R), None, None),
        (FAILED, "m1", listed(U, R, U), "c1", "2 of 3 managers are needed, and 1 of"),
        (MANAGER, "m1", listed(R), "c1", "the last manager"),
        (MANAGER, "m1", listed(R, R), "c1", "2 of 2 managers are needed, and 1 of"),
        # What the others have removed is theirs no more; of another cluster they cannot tell.
        (FAILED, "m1", {"cluster": "c1", "nodes": {"n9": R}}, "c1", None),
        (FAILED, "m1", {"cluster": "c2", "nodes": {"n9": R}}, "c1", "no manager tells"),
        *((one, "m1", {}, None, "no manager tells") for one in (MANAGER, FAILED, LOCKED)),
        *((one, "m4", {}, "c1", "no manager tells") for one in (FAILED, PENDING)),
    ],
)
def test_what_costs_the_cluster_is_refused(swarm, host, said, recorded, words):
    settings = settings_of(BUILTIN, node(host))
    text = leave.refusal(swarm, settings, "n1", said, recorded)
    assert (text is None) if words is None else (words in text)


@pytest.mark.parametrize(
    ("swarm", "said", "force"),
    [
        (WORKER, {}, False),
        (PENDING, {}, False),
        (PENDING, listed(R, R, R), True),
        (PENDING, listed(None, R), False),
        (FAILED, {}, True),
        (MANAGER, listed(R, R, R), True),
    ],
)
def test_the_engine_of_a_worker_is_not_forced(swarm, said, force):
    assert leave.needs_force(swarm, "n1", said) is force
