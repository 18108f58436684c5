import pytest
import swarm_errors

from _modules import swarm_network
from tests.unit.execution import mocked

REFUSED = "network b cannot be changed (subnet) while containers use it: web"


@pytest.fixture
def calls(monkeypatch):
    """Have an engine on which the network ``b`` is in use; gives what was done to it."""
    done = []

    def apply(name, spec, test=False):
        if name == "b" and spec.get("subnet"):
            raise swarm_errors.ApiError(REFUSED)
        if not test:
            done.append(name)
        return {} if name == "c" else {"internal": {"old": False, "new": True}}

    monkeypatch.setattr(swarm_network, "apply", apply)
    return done


@pytest.fixture
def pillar(monkeypatch):
    """Return a function that sets the networks of the pillar."""

    def pillar(**networks):
        salt = mocked(swarm_settings__get={"mode": "classic", "networks": networks})
        monkeypatch.setattr(swarm_network, "__salt__", salt, raising=False)

    return pillar


@pytest.mark.parametrize("test", [False, True], ids=["run", "test"])
def test_if_one_network_is_refused_none_is_changed(calls, pillar, test):
    pillar(a={"internal": True}, b={"subnet": "10.9.0.0/24"})
    with pytest.raises(swarm_errors.ApiError, match="while containers use it"):
        swarm_network.apply_all(test=test)
    assert calls == []


def test_only_networks_that_differ_are_changed_and_test_mode_foretells_them(calls, pillar):
    pillar(a={"internal": True}, b={"internal": True}, c={"internal": True})
    promised = swarm_network.apply_all(test=True)
    assert calls == []
    assert swarm_network.apply_all() == promised
    assert calls == ["a", "b"]
