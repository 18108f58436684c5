import os
from types import SimpleNamespace

import pytest

from _modules import swarm_client
from swarm_formula.core import errors, host_files
from swarm_formula.tls import cert_files
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
        monkeypatch.setattr(host_files, "CONFIG", tmp_path)

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
    monkeypatch.setattr(host_files, "CONFIG", tmp_path)
    # No certificate is asked for: there is no such function here.
    with pytest.raises(errors.SwarmError, match=r"no user nosuchuser on m2 \(swarm:client:u"):
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


@pytest.fixture
def users(monkeypatch, tmp_path):
    """Have a client's certificate, and this process in place of a user; return their folder."""
    source = tmp_path / "client"
    source.mkdir()
    for name in swarm_client._FILES:
        (source / name).write_text(f"new {name}")
    current = SimpleNamespace(current=lambda: SimpleNamespace(folder=str(source)))
    monkeypatch.setattr(cert_files, "CLIENT", current)
    monkeypatch.setattr(host_files, "CONFIG", tmp_path)
    return tmp_path / "users"


ME = SimpleNamespace(pw_uid=os.geteuid(), pw_gid=os.getegid())


@pytest.mark.parametrize("how", ["symlink", "hardlink", "pipe", "folder"])
def test_root_follows_nothing_that_a_user_has_put_into_its_folder(users, tmp_path, how):
    victim = tmp_path / "shadow"
    victim.write_text("secret")
    victim.chmod(0o640)
    swarm_client._users({"deploy": ME}, test=False)
    key = users / "deploy" / "key.pem"
    key.unlink()
    {
        "symlink": lambda: key.symlink_to(victim),
        "hardlink": lambda: key.hardlink_to(victim),
        "pipe": lambda: os.mkfifo(key),
        "folder": key.mkdir,
    }[how]()
    assert swarm_client._users({"deploy": ME}, test=True)
    assert swarm_client._users({"deploy": ME}, test=False)
    assert (victim.read_text(), victim.stat().st_mode & 0o777) == ("secret", 0o640)
    assert key.read_text() == "new key.pem"
    assert not key.is_symlink()
    assert swarm_client._users({"deploy": ME}, test=False) == {}


def test_link_in_place_of_a_users_folder_is_replaced(users, tmp_path):
    other = tmp_path / "etc"
    other.mkdir()
    users.mkdir()
    (users / "deploy").symlink_to(other)
    swarm_client._users({"deploy": ME}, test=False)
    assert list(other.iterdir()) == []
    assert (users / "deploy" / "key.pem").stat().st_mode & 0o777 == 0o400


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder to another user")
def test_folder_that_a_former_version_gave_to_its_user_is_taken_back(users):
    nobody = SimpleNamespace(pw_uid=65534, pw_gid=65534)
    swarm_client._users({"deploy": nobody}, test=False)
    os.chown(users / "deploy", 65534, 65534)
    assert swarm_client._users({"deploy": nobody}, test=False)
    assert (users / "deploy").stat().st_uid == 0
    assert (users / "deploy" / "key.pem").stat().st_uid == 65534
    assert swarm_client._users({"deploy": nobody}, test=False) == {}
