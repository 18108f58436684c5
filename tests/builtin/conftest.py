"""
A cluster in the engine's swarm mode, on the lab's hosts. Debian 13's engine with the newer Salt,
Debian 12's with the older one.
"""

import os

import pytest

from lab import config
from lab.api import Lab

pytest.register_assert_rewrite(
    "tests.builtin.mode", "tests.integration.cluster", "tests.host_conditions"
)

from tests.builtin.mode import SwarmMode  # noqa: E402
from tests.integration.cluster import WORKLOAD  # noqa: E402

SALT = os.environ.get("SWARM_TEST_SALT", "3008")
HOST_SUITE = os.environ.get("SWARM_TEST_HOST_SUITE", config.RELEASE)
# Hosts of another release have their own engine.
_SUITE = {"3008": "trixie", "3006": "bookworm"}[SALT] if HOST_SUITE == config.RELEASE else None
OPTIONS = {
    **{"hosts": 3, "mode": "builtin", "salt": SALT, "autojoin": False, "host_suite": HOST_SUITE},
    "suite": os.environ.get("SWARM_TEST_SUITE", _SUITE),
}


@pytest.fixture(scope="session")
def lab():
    """A lab that comes up once and goes down at the end, also after a failure."""
    lab = Lab()
    keep = os.environ.get("SWARM_TEST_KEEP_LAB")
    if not keep:
        lab.down()
    try:
        lab.up(**OPTIONS)
        yield lab
    finally:
        if not keep:
            lab.down()


@pytest.fixture(scope="session")
def bare(lab):
    """The lab's hosts as they are, with the lab's own pillar."""
    mode = SwarmMode(lab)
    mode.pillar()
    return mode


@pytest.fixture(scope="session")
def master(bare):
    """The master, with the engine and the runner of the formula."""
    bare.install_autojoin()


@pytest.fixture
def mode(bare, master):
    """A whole cluster with the lab's own pillar, and again with that after the test."""
    bare.heal()
    yield bare
    bare.restore()


@pytest.fixture(scope="module")
def cluster(bare, master):
    """A whole cluster with the image of the services, for tests that do not harm it."""
    bare.heal()
    bare.lab.salt("*", "swarm_image.load", WORKLOAD, "salt://images/busybox.tar")
    yield bare
    bare.restore()
