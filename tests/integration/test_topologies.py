"""
Other shapes of a swarm, one after the other on the same hosts: roles change in place.
"""

import pytest

# What it is about does not depend on Salt's release.
pytestmark = [pytest.mark.once, pytest.mark.long]


def test_one_manager_with_three_servers(swarm):
    first, *rest = swarm.lab.hosts()
    consul = {**swarm.lab.default_pillar()["consul"], "servers": swarm.lab.hosts()}
    swarm.pillar(managers=[first], consul=consul)
    done = swarm.apply()
    assert {key for key in done if "manager is running" in key} >= {
        f"{host}: manager is running" for host in rest
    }
    swarm.wait(lambda: swarm.roles() == {first: "primary"}, 120)
    swarm.wait(swarm.all_healthy, 120)
    assert swarm.apply() == {}


def test_back_to_three_managers(swarm):
    """The fixture applied the lab's own pillar again: three managers, in place."""
    swarm.wait(lambda: sorted(swarm.roles().values()) == ["primary", "replica", "replica"], 120)
    assert swarm.all_healthy()


def test_even_number_of_managers_is_a_warning_that_says_why(swarm):
    first, second, _ = swarm.lab.hosts()
    swarm.pillar(managers=[first, second])
    states = swarm.state("swarm.settings", first)[first]
    (valid,) = (one for one in states.values() if one["__id__"] == "swarm pillar is valid")
    assert valid["result"] is True
    assert "even number" in " ".join(valid["warnings"])
