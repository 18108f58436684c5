import os

import pytest
import swarm_dockerd

PID = "627"


@pytest.fixture
def engine(monkeypatch, tmp_path):
    """
    Return a function that sets up an engine's threads; each is named with its namespace.

    A namespace is a file: what counts is which file a name leads to.
    """
    monkeypatch.setattr(swarm_dockerd, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(swarm_dockerd, "_VISIT", 0)
    (tmp_path / "namespaces").mkdir()

    def link(name, path):
        namespace = tmp_path / "namespaces" / name
        namespace.touch()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        os.link(namespace, path)

    def engine(sandboxes=(), **threads):
        link("host", tmp_path / "proc/1/ns/net")
        for thread, name in threads.items():
            link(name, tmp_path / f"proc/{PID}/task/{thread}/ns/net")
        for name in sandboxes:
            link(name, tmp_path / f"docker/netns/{name}")
        (tmp_path / "docker.pid").write_text(PID + "\n")
        return {"pidfile": str(tmp_path / "docker.pid"), "exec-root": str(tmp_path / "docker")}

    return engine


def test_threads_of_a_healthy_engine(engine):
    options = engine(sandboxes=["box"], t1="host", t2="box", t3="host")
    assert swarm_dockerd.lost_threads(options) == set()


def test_threads_in_a_sandbox_that_is_gone_are_lost(engine):
    options = engine(sandboxes=["box"], t1="host", t2="box", t3="gone", t4="gone too")
    assert swarm_dockerd.lost_threads(options) == {"t3", "t4"}


def test_thread_that_only_visits_is_not_lost(engine, monkeypatch):
    options = engine(t1="host", t2="for a moment")
    monkeypatch.setattr(swarm_dockerd.time, "sleep", lambda _: engine(t1="host", t2="host"))
    assert swarm_dockerd.lost_threads(options) == set()


def test_engine_that_does_not_run_has_none(tmp_path):
    assert swarm_dockerd.lost_threads({"pidfile": str(tmp_path / "none")}) == set()
