"""
Generated services on a real engine: what it has kept of them is what the next apply wants.

The unit tests have the same services, many more of them, before a stand-in for a manager.
"""

import os

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.builtin.test_services import NEWER, SLEEP, Services
from tests.unit.spec.test_service_spec import twice

pytestmark = [pytest.mark.once, pytest.mark.long]

NO_TASKS = {"image": SLEEP["image"], "resolve": "never", "replicas": 0, "timeout": 20}
COUNT = int(os.environ.get("SWARM_TEST_GENERATED", "50"))
MORE = {
    "networks": {name: {"driver": "overlay"} for name in ("backend", "front")},
    "secrets": {name: {"content": name} for name in ("password-1", "key")},
    "configs": {"site-1": {"content": "site"}},
}


@pytest.fixture
def services(cluster):
    found = Services(cluster)
    found.clear()
    yield found
    found.clear()


def drawn(count):
    """Return services, each in two spellings."""
    found = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(twice())
    def draw(pair):
        found.append(pair)

    draw()
    return found


def runnable(options):
    """Return the options without tasks, and without those that not every engine has."""
    kept = {key: one for key, one in options.items() if key not in NEWER}
    return {**kept, **NO_TASKS}


def pillar(pairs, which):
    """Return the services in one of their spellings."""
    found = {f"s{number}": runnable(pair[which]) for number, pair in enumerate(pairs)}
    # A port of the cluster can be published once.
    for one in [one for one in found.values() if one.get("ports")][1:]:
        del one["ports"]
    return found


def test_services_that_an_engine_has_kept_are_no_update(services):
    pairs = drawn(COUNT)
    wanted, again = pillar(pairs, 0), pillar(pairs, 1)
    assert set(services.run(wanted, **MORE)) == set(wanted)
    index = {name: services.index(name) for name in wanted}
    for spelling in (wanted, again):
        services.unchanged(spelling, **MORE)
        assert services.run(spelling, **MORE) == {}
    assert {name: services.index(name) for name in wanted} == index
