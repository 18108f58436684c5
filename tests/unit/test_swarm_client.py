import pytest
import swarm_errors
import swarm_files

from _modules import swarm_client
from tests.unit.execution import mocked
from tests.unit.pillars import VALID, node, settings_of

PROFILE = """\
# Written by Salt (swarm-formula): docker and docker-compose talk to the swarm.
export DOCKER_HOST=tcp://{}:3375
export DOCKER_API_VERSION=1.30
"""


@pytest.fixture
def profile(tmp_path, monkeypatch):
    """Have the profile in a folder of the test."""
    path = tmp_path / "profile.d" / "swarm.sh"
    monkeypatch.setattr(swarm_client, "_PROFILE", path)
    return path


@pytest.fixture
def on(monkeypatch, tmp_path):
    """Return a function that sets the minion and the nodes that are clients."""

    def on(host, nodes):
        settings = settings_of({**VALID, "client": {"nodes": nodes}}, node(host))
        salt = mocked(swarm_settings__get=settings, swarm_tls__apply_client={})
        monkeypatch.setattr(swarm_client, "__salt__", salt, raising=False)
        monkeypatch.setattr(swarm_files, "CONFIG", tmp_path)

    return on


def test_client_on_a_manager_uses_its_own(profile, on):
    on("m2", ["m2"])
    changes = swarm_client.apply()
    assert profile.read_text() == PROFILE.format("10.77.0.12")
    assert changes == {str(profile): {"old": None, "new": PROFILE.format("10.77.0.12")}}


def test_client_elsewhere_uses_the_first_manager(profile, on):
    on("m4", ["m4"])
    swarm_client.apply()
    assert profile.read_text() == PROFILE.format("10.77.0.11")


def test_second_run_changes_nothing(profile, on):
    on("m2", ["m2"])
    swarm_client.apply()
    before = profile.stat().st_ino
    assert swarm_client.apply() == {}
    assert profile.stat().st_ino == before


def test_test_mode_promises_and_writes_nothing(profile, on):
    on("m2", ["m2"])
    promised = swarm_client.apply(test=True)
    assert not profile.exists()
    assert promised == swarm_client.apply()


def test_node_that_is_no_client_any_more(profile, on):
    on("m2", ["m2"])
    swarm_client.apply()
    on("m2", ["m1"])
    assert swarm_client.apply()[str(profile)]["new"] is None
    assert not profile.exists()


@pytest.mark.parametrize("test", [False, True], ids=["run", "test"])
def test_user_that_is_not_there_is_refused_before_anything_is_written(
    profile, tmp_path, monkeypatch, test
):
    pillar = {
        **VALID,
        "tls": {"enabled": True},
        "client": {"nodes": ["m2"], "users": ["root", "nosuchuser"]},
    }
    salt = mocked(swarm_settings__get=settings_of(pillar, node("m2")))
    monkeypatch.setattr(swarm_client, "__salt__", salt, raising=False)
    monkeypatch.setattr(swarm_client, "__opts__", {"id": "m2"}, raising=False)
    monkeypatch.setattr(swarm_files, "CONFIG", tmp_path)
    # No certificate is asked for: there is no such function here.
    with pytest.raises(swarm_errors.SwarmError, match=r"no user nosuchuser on m2 \(swarm:client:u"):
        swarm_client.apply(test=test)
    assert not profile.exists()


def test_node_that_never_was_a_client(profile, on):
    on("m2", [])
    assert swarm_client.apply() == {}
    assert not profile.parent.exists()


def test_remove(profile, on):
    on("m2", ["m2"])
    swarm_client.apply()
    assert swarm_client.remove(test=True)
    assert profile.exists()
    assert swarm_client.remove() == {
        str(profile): {"old": PROFILE.format("10.77.0.12"), "new": None}
    }
    assert not profile.exists()
    assert swarm_client.remove() == {}
