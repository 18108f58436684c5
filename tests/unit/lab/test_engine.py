import os
from types import SimpleNamespace

import pytest

from lab import locks
from lab.engine import Engine


@pytest.fixture
def settings(tmp_path):
    return SimpleNamespace(cache=tmp_path / "cache", engine=tmp_path / "engine")


@pytest.fixture
def engine(settings, monkeypatch):
    """An engine of the lab's own, on which nothing runs; ``stopped`` lists its ends."""
    found = Engine(settings)
    found.stopped = []
    monkeypatch.setattr(found, "ensure", lambda: None)
    monkeypatch.setattr(found, "find", lambda: found._own_url)
    monkeypatch.setattr(Engine, "url", property(lambda self: self._own_url))
    monkeypatch.setattr(found, "docker", lambda *_: SimpleNamespace(stdout=""))
    monkeypatch.setattr(found, "stop", lambda: found.stopped.append(1))
    return found


def test_engine_that_is_borrowed_outlives_the_last_lab(engine):
    with engine.borrowed():
        engine.stop_unused()
        assert not engine.stopped
    assert engine.stopped


def test_engine_stays_until_the_last_has_given_it_back(settings, engine):
    other = locks.Borrowing(settings)
    with engine.borrowed():
        pass
    assert not engine.stopped
    other.end()
    engine.stop_unused()
    assert engine.stopped


def test_engine_with_a_lab_on_it_stays(engine, monkeypatch):
    monkeypatch.setattr(engine, "docker", lambda *_: SimpleNamespace(stdout="4711\n"))
    with engine.borrowed():
        pass
    assert not engine.stopped


def test_hold_ends_with_its_process(settings):
    child = os.fork()
    if not child:
        locks.Borrowing(settings)
        os._exit(0)
    os.waitpid(child, 0)
    assert not locks.held(settings)
