"""
A trial container on a real engine.
"""

import pytest

from swarm_formula.core import errors
from swarm_formula.docker import engine_api
from swarm_formula.engine import probe
from tests.functional.conftest import IMAGE, PREFIX


@pytest.fixture
def serving(clean, local):
    """A client of an engine with a container that runs."""
    clean.containers.run(IMAGE, "sleep 60", name=f"{PREFIX}user", detach=True)
    return clean


@pytest.fixture
def local(docker_url, monkeypatch):
    """Have the engine of the tests as this host's own."""
    monkeypatch.setattr(engine_api, "SOCKET", docker_url)


def left(client):
    return client.containers.list(all=True, filters={"label": probe._LABEL})


def test_engine_that_starts_containers_does_so_and_keeps_none(serving):
    check = probe.before().check
    check()
    assert left(serving) == []
    assert serving.containers.get(f"{PREFIX}user").status == "running"


@pytest.mark.parametrize(
    "broken",
    [
        {"LogConfig": {"Type": "nonsense"}},
        {"Runtime": "nonsense"},
        {"Mounts": [{"Type": "bind", "Source": "/nowhere", "Target": "/sbin/docker-init"}]},
    ],
    ids=["log driver", "runtime", "init"],
)
def test_engine_that_starts_none_any_more_is_told_in_its_words(serving, monkeypatch, broken):
    check = probe.before().check
    monkeypatch.setattr(probe, "_HOST", {**probe._HOST, **broken})
    with pytest.raises(errors.NoContainerError, match=r"starts no container: .*no(nsense|where)"):
        check()
    assert left(serving) == []


def test_engine_that_did_not_start_any_before_is_not_blamed(serving, monkeypatch):
    monkeypatch.setattr(probe, "_HOST", {**probe._HOST, "Runtime": "nonsense"})
    probe.before().check()
    assert left(serving) == []


def test_image_that_is_gone_is_no_fault_of_the_engine(serving):
    before = probe.before()
    probe.Trial("sha256:" + "0" * 64).check()
    assert before.image == serving.images.get(IMAGE).id


def test_engine_that_runs_nothing_is_not_tried(clean, local, monkeypatch):
    monkeypatch.setattr(probe, "_refusal", None)
    if clean.containers.list():
        pytest.skip("the engine has containers of others")
    probe.before().check()
