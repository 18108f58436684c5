"""
Every key of pillar, edited on a running cluster in swarm mode, and back.

SWARM_TEST_MATRIX=N for as many by chance (SWARM_TEST_SEED); `bundles` for all, as many at once as
go together; `all` for each one by itself. `-k KEY` for some of these.
"""

import functools

import pytest

from tests.integration.cluster import IDLE, WORKLOAD
from tests.matrix import choice
from tests.matrix.rows import ROWS
from tests.matrix.runner import Matrix, Watch
from tests.wrong_pillars import merged

pytestmark = pytest.mark.once

SERVICE = {
    "Name": "matrix-work",
    "TaskTemplate": {"ContainerSpec": {"Image": WORKLOAD, "Command": IDLE}},
    "Mode": {"Replicated": {"Replicas": 3}},
}


def _running(mode):
    tasks = mode.api(mode.leader(), "/tasks") or []
    return sum(one["Status"]["State"] == "running" == one["DesiredState"] for one in tasks)


def _healthy(mode):
    leader, nodes = mode.leader(), mode.by_host()
    ready = all(one["Status"]["State"] == "ready" for one in nodes.values())
    return bool(leader) and ready and len(nodes) == len(mode.lab.hosts()) and _running(mode) == 3


def _remove(mode):
    mode.api(mode.leader(), "/services/matrix-work", "-X", "DELETE")


@pytest.fixture(scope="module")
def matrix(bare, master):
    """A cluster with a service of a user's."""

    def clusters(seen):
        return {(one["swarm"].get("Cluster") or {}).get("ID") for one in seen.values()} - {None, ""}

    matrix = Matrix(Watch(bare, lambda: _healthy(bare), clusters))
    of_cluster = (dict(row.undo) for row in ROWS if row.key.startswith("builtin:cluster:"))
    matrix.prepare("true", functools.reduce(merged, of_cluster))
    # One may be left of a run that was killed.
    _remove(bare)
    assert bare.post(bare.leader(), "/services/create", SERVICE)
    yield matrix
    _remove(bare)
    matrix.tidy("true")


@pytest.mark.parametrize("case", choice.cases("builtin"), ids=lambda case: case.id)
def test_edit_of_pillar_on_a_running_cluster(matrix, case):
    wrong = matrix.run(case)
    # A run of all takes hours: with `-s`, what it finds is there at once.
    print(f"{case.id}: {wrong or 'as the table says'}")
    assert wrong == []
