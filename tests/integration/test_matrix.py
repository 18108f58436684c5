"""
Every key of pillar, edited on a running swarm of classic mode, and back.

SWARM_TEST_MATRIX=N for as many by chance (SWARM_TEST_SEED); `bundles` for all, as many at once as
go together; `all` for each one by itself. `-k KEY` for some of these.
"""

import pytest

from tests.integration.cluster import Cluster
from tests.matrix import choice
from tests.matrix.runner import END_WORK, RUN_WORK, Matrix, Watch

pytestmark = [pytest.mark.once, pytest.mark.long]


class Queued(Cluster):
    """As the lab's swarm; an apply comes after what the master's engine has a host apply."""

    def state(self, sls="swarm", target="*", **kwargs):
        """Apply an SLS; return ``{host: {state: return}}``."""
        return super().state(sls, target, queue=True, **kwargs)


@pytest.fixture(scope="module")
def matrix(lab):
    """A swarm with a container of a user's on each host."""
    cluster = Queued(lab)
    watch = Watch(
        cluster, cluster.all_healthy, lambda seen: {h: one["work"] for h, one in seen.items()}
    )
    matrix = Matrix(watch)
    matrix.prepare(RUN_WORK)
    yield matrix
    matrix.tidy(END_WORK)


@pytest.mark.parametrize("case", choice.cases("classic"), ids=lambda case: case.id)
def test_edit_of_pillar_on_a_running_swarm(matrix, case):
    wrong = matrix.run(case)
    # A run of all takes hours: with `-s`, what it finds is there at once.
    print(f"{case.id}: {wrong or 'as the table says'}")
    assert wrong == []
