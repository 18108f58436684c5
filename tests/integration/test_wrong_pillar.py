"""
A wrong pillar, on a real minion: a precise message, no file changed, no container touched.
"""

import pytest

from tests.integration.cluster import failures
from tests.wrong_pillars import SAMPLE, merged

# What it is about does not depend on Salt's release.
pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def before(cluster):
    """What is on the host before any of it."""
    cluster.heal()
    host = cluster.lab.hosts()[0]
    return cluster.files(host), cluster.pids(host)


@pytest.mark.parametrize("case", SAMPLE, ids=lambda case: case.id)
def test_wrong_pillar_changes_nothing(cluster, before, case):
    host = cluster.lab.hosts()[0]
    cluster.lab.pillar(merged(cluster.lab.default_pillar(), case.pillar))
    try:
        told = failures(cluster.state(target=host))
        said = told[f"{host}: swarm pillar is valid"]
        assert case.path in said
        assert case.text in said
        assert "Traceback" not in "".join(told.values())
        others = {comment for key, comment in told.items() if "pillar is valid" not in key}
        assert all("requisite failed" in comment for comment in others)
        assert (cluster.files(host), cluster.pids(host)) == before
    finally:
        cluster.restore()
