"""
Real hosts, engines, master and minions: the lab. Its options come from the environment.
"""

import os

import pytest

from lab.api import Lab

# Its assertions are the tests' own: they show what they compared.
pytest.register_assert_rewrite("tests.integration.cluster", "tests.host_conditions")

from tests.integration.cluster import Cluster  # noqa: E402

SALT = os.environ.get("SWARM_TEST_SALT", "3008")
HOSTS = 3


@pytest.fixture(scope="session")
def lab():
    """A lab that comes up once and goes down at the end, also after a failure."""
    lab = Lab()
    if os.environ.get("SWARM_TEST_KEEP_LAB"):
        lab.up(hosts=HOSTS, salt=SALT, autojoin=False)
        yield lab
        return
    lab.down()
    try:
        lab.up(hosts=HOSTS, salt=SALT, autojoin=False)
        yield lab
    finally:
        lab.down()


@pytest.fixture(scope="session")
def cluster(lab):
    """The lab's hosts as a swarm; made by ``state.apply swarm`` when first asked for."""
    cluster = Cluster(lab)
    cluster.pillar()
    return cluster


@pytest.fixture
def swarm(cluster):
    """A healthy swarm with the lab's own pillar, and again with that after the test."""
    cluster.heal()
    yield cluster
    cluster.restore()
