import os

import pytest

from swarm_formula.daemon import dockerd
from tests.unit.execution import own_time

PID = "627"


@pytest.fixture
def engine(monkeypatch, tmp_path):
    """
    Return a function that sets up an engine's threads; each is named with its namespace.

    A namespace is a file: what counts is which file a name leads to.
    """
    monkeypatch.setattr(dockerd, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(dockerd, "_VISIT", 0)
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
    assert dockerd.lost_threads(options) == set()


def test_threads_in_a_sandbox_that_is_gone_are_lost(engine):
    options = engine(sandboxes=["box"], t1="host", t2="box", t3="gone", t4="gone too")
    assert dockerd.lost_threads(options) == {"t3", "t4"}


def test_thread_that_only_visits_is_not_lost(engine, monkeypatch):
    options = engine(t1="host", t2="for a moment")
    monkeypatch.setattr(dockerd, "time", own_time(sleep=lambda _: engine(t1="host", t2="host")))
    assert dockerd.lost_threads(options) == set()


def test_engine_that_does_not_run_has_none(tmp_path):
    assert dockerd.lost_threads({"pidfile": str(tmp_path / "none")}) == set()


# ---- the program that runs


@pytest.fixture
def program(monkeypatch, tmp_path):
    """Return a function that gives an engine's options; its program runs and lies in a folder."""
    monkeypatch.setattr(dockerd, "_PROC", tmp_path / "proc")
    (tmp_path / "docker.pid").write_text(PID)
    exe = tmp_path / "proc" / PID / "exe"
    exe.parent.mkdir(parents=True)

    def program(name, runs, installed, gone):
        place = tmp_path / name
        # As /proc shows what has no name any more; a file of that very name stands for its content.
        shown = tmp_path / f"{name} (deleted)" if gone else place
        if installed is not None:
            place.write_text(installed)
        shown.write_text(runs)
        exe.symlink_to(shown)
        return {"pidfile": str(tmp_path / "docker.pid")}

    return program


@pytest.mark.parametrize(
    ("given", "replaced"),
    [
        (("dockerd", "1", "1", False), False),
        (("dockerd", "1", "2", True), True),
        # the same again, by a reinstallation
        (("dockerd", "1", "1", True), False),
        # the package was removed
        (("dockerd", "1", None, True), False),
        # the number of the process is another's by now
        (("python3", "1", "2", True), False),
    ],
)
def test_program_that_was_replaced(program, given, replaced):
    assert dockerd.replaced(program(*given)) is replaced


def test_engine_that_does_not_run_is_not_replaced(tmp_path):
    assert not dockerd.replaced({"pidfile": str(tmp_path / "none")})
