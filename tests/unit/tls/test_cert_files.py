import os
from pathlib import Path

import pytest

from swarm_formula.core import errors, host_files
from swarm_formula.tls import cert_files

ONE = cert_files.Set(
    "ca\n", "cert\n", "key\n", "gossip", "clients\n", "its ca\n", "its cert\n", "its key\n"
)
TWO = ONE._replace(cert="another\n")


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Return a store in a folder of the test."""
    monkeypatch.setattr(host_files, "CONFIG", tmp_path)
    return cert_files.NODE


def test_before_the_first(store, tmp_path):
    assert store.kept() == []
    assert store.read() is None
    assert store.outdated() == []
    assert store.current().key == str(tmp_path / "tls/new/key.pem")


def test_set_is_written_and_read(store):
    store.install(ONE)
    assert store.read() == ONE
    modes = [os.stat(path).st_mode & 0o777 for path in store.current()]
    assert modes == [0o644, 0o644, 0o600, 0o600, 0o644, 0o644, 0o644, 0o600]


def test_certificate_for_consul_is_beside_the_nodes(store):
    """In one set: a new one restarts the engine and Consul once."""
    store.install(ONE)
    for files in (store.current(), store.steady()):
        consul = files.for_consul()
        assert consul.folder == f"{files.folder}/consul"
        texts = [Path(path).read_text() for path in (consul.ca, consul.cert, consul.key)]
        assert texts == ["its ca\n", "its cert\n", "its key\n"]
    assert ONE.for_consul()[:3] == ("its ca\n", "its cert\n", "its key\n")
    store.install(ONE.without_consul())
    assert store.read().for_consul() is None


def test_what_a_set_does_not_have_is_no_file(store):
    without = cert_files.Set(*ONE[:3])
    store.install(without)
    assert store.read() == without
    folder = Path(store.current().folder)
    assert sorted(one.name for one in folder.iterdir()) == ["ca.pem", "cert.pem", "key.pem"]


def test_another_set_has_other_paths_and_leaves_the_first(store):
    """So that engine and containers are started anew, and can go back."""
    store.install(ONE)
    before, steady = store.current(), store.steady()
    store.install(TWO)
    assert store.current() != before
    assert Path(before.key).read_text() == "key\n"
    assert store.steady() == steady
    assert Path(steady.cert).read_text() == "another\n"
    assert store.outdated() == [Path(before.folder).name]
    assert store.kept() == [TWO, ONE]
    store.drop(store.outdated())
    assert (store.outdated(), store.read(), store.kept()) == ([], TWO, [TWO])


def test_same_set_has_the_same_paths(store):
    store.install(ONE)
    before = store.current()
    store.install(ONE)
    assert (store.current(), store.outdated()) == (before, [])


@pytest.mark.parametrize("step", range(5))
def test_run_that_is_killed_half_way_leaves_the_old_set(store, monkeypatch, step):
    store.install(ONE)
    write, left = host_files.write, [step]

    def killed(*arguments, **options):
        if not left[0]:
            raise errors.SwarmError("killed")
        left[0] -= 1
        write(*arguments, **options)

    monkeypatch.setattr(host_files, "write", killed)
    with pytest.raises(errors.SwarmError):
        store.install(TWO)
    monkeypatch.setattr(host_files, "write", write)
    assert store.read() == ONE
    assert store.kept()[0] == ONE
    store.install(TWO)
    assert store.read() == TWO


def test_who_forgets_begins_anew_and_keeps_the_files(store):
    store.install(ONE)
    before = store.current()
    store.forget()
    assert store.read() is None
    assert store.current() != before
    assert Path(before.cert).exists()
    assert (store.kept(), store.outdated()) == ([ONE], [])
    store.install(TWO)
    assert (store.read(), store.kept()) == (TWO, [TWO, ONE])


def test_engine_that_restarts_after_its_host_forgets_finds_its_files(store):
    """Else a reboot between ``swarm_tls.distrust`` and the next apply leaves it down."""
    store.install(ONE)
    store.forget()
    assert Path(store.steady().cert).read_text() == ONE.cert
    store.drop(store.outdated())
    assert Path(store.steady().cert).read_text() == ONE.cert


def test_host_that_has_nothing_to_forget(store):
    store.forget()
    assert store.current().folder.endswith("/new")
    assert not store.folder.exists()


def test_clear(store, tmp_path):
    store.install(ONE)
    assert (store.clear(), store.clear()) == (True, False)
    assert not list(tmp_path.iterdir())


def test_dry_run_foretells_the_paths_of_the_set_that_it_promises(store):
    store.install(ONE)
    now = store.current()
    for promised in (False, True):
        store.promise(promised)
        assert store.due(test=False) == store.current() == now
        assert (store.due(test=True) == now) is not promised
    store.promise(False)
    assert store.due(test=True) == now
