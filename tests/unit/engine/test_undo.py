"""
The engine's configuration when something goes wrong: put back, or finished by the next run.
"""

import contextlib
from unittest.mock import Mock

import pytest
from salt.exceptions import CommandExecutionError

from _modules import swarm_engine
from swarm_formula.core import errors, host_files
from swarm_formula.daemon import dockerd, file_plan
from tests.unit.dockerd import BASE, COMMAND, OVERLAY, TCP
from tests.unit.engine.test_engine import TEXTS


def kill(monkeypatch, function):
    """Have a run be cut off where it calls this; as by a power cut, nothing is cleaned up."""

    def cut(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setitem(swarm_engine.__salt__, function, cut)
        with pytest.raises(KeyboardInterrupt):
            swarm_engine.configure()


def cut_off(monkeypatch, number, function):
    """Have a run be killed instead of its n-th write; if it writes less, it ends."""
    write, writes = host_files.write, []

    def cut(*arguments, **options):
        writes.append(arguments)
        if len(writes) == number:
            raise KeyboardInterrupt
        write(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(host_files, "write", cut)
        with contextlib.suppress(KeyboardInterrupt):
            function()


# ---- back to what it was


@pytest.mark.parametrize(
    ("comes", "words"),
    [
        (True, "everything was put back as it was, and it runs again"),
        (False, "it does not run with them either (gave up after"),
    ],
)
def test_first_start_with_the_former_files_fails(daemon, pillar, monkeypatch, comes, words):
    pillar(engine={"options": {}})
    swarm_engine.configure()
    before = daemon.json.read_bytes() if daemon.json.exists() else None
    daemon.never_starts_with = {"storage-driver"}
    salt = pillar(engine={"options": {"storage-driver": "floppy"}})
    wait = dockerd.wait
    monkeypatch.setattr(dockerd, "wait", lambda _: wait(0.05))

    def restart(service):
        daemon.up = False
        if "floppy" in daemon.json.read_text() or comes:
            daemon.restart(service)
        # systemd says so at once, and tries again.
        raise CommandExecutionError("Job for docker.service failed")

    monkeypatch.setitem(salt, "service.restart", restart)
    with pytest.raises(errors.SwarmError) as raised:
        swarm_engine.configure()
    assert "the engine of m1 does not take storage-driver" in str(raised.value)
    assert words in str(raised.value)
    assert (daemon.json.read_bytes() if daemon.json.exists() else None) == before


@pytest.mark.parametrize("text", TEXTS)
def test_first_change_that_is_refused_leaves_the_file_byte_by_byte(daemon, pillar, text):
    daemon.json.parent.mkdir()
    daemon.json.write_bytes(text.encode())
    daemon.never_starts_with = {"storage-driver"}
    pillar(engine={"options": {"storage-driver": "floppy"}})
    with pytest.raises(errors.SwarmError, match="storage-driver"):
        swarm_engine.configure()
    assert daemon.json.read_bytes() == text.encode()
    assert not host_files.RECORD.exists()


@pytest.mark.parametrize("number", range(1, 13))
def test_clean_that_is_killed_after_each_write_is_finished_by_the_next(
    daemon, pillar, monkeypatch, number
):
    text = '{"debug":false, "labels":["rack=1"]}'
    daemon.json.parent.mkdir()
    daemon.json.write_text(text)
    pillar(labels={"zone": "a"}, engine={"options": {"debug": True, "registry-mirrors": ["x"]}})
    swarm_engine.configure()
    swarm_engine.configure_overlay()
    cut_off(monkeypatch, number, swarm_engine.clean)
    swarm_engine.clean()
    assert daemon.json.read_text() == text
    assert daemon.config == {"debug": False, "labels": ["rack=1"], "live-restore": False}
    assert daemon.command == COMMAND
    assert not host_files.RECORD.exists()


@pytest.mark.parametrize("number", range(1, 7))
def test_keys_that_go_by_a_reload_go_though_the_run_is_killed_after_each_write(
    converged, pillar, monkeypatch, number
):
    """A list whose default is written for one reload, labels, and a plain value."""
    options = {"debug": True, "registry-mirrors": ["https://mirror.example.com"]}
    pillar(labels={"zone": "a"}, engine={"options": options})
    swarm_engine.configure()
    pillar()
    cut_off(monkeypatch, number, swarm_engine.configure)
    swarm_engine.configure()
    assert converged.on_disk() == {**BASE, **OVERLAY}
    assert set(host_files.record("daemon.json")) == {*BASE, *OVERLAY}
    assert swarm_engine.configure() == {}


def test_reload_that_is_refused_is_taken_back(converged, pillar):
    before = converged.json.read_text()
    converged.never_reloads_with = {"no-such-key"}
    pillar(engine={"options": {"no-such-key": 1}}, labels={"zone": "b"})
    with pytest.raises(errors.SwarmError) as failure:
        swarm_engine.configure()
    assert str(failure.value) == (
        "the engine of m1 does not take labels, no-such-key; everything was put back as it was,"
        " and it runs again. It said: no such thing as no-such-key (the reload was refused)."
        " Correct swarm:engine:options:no-such-key"
    )
    assert converged.json.read_text() == before
    assert converged.config == {**BASE, **OVERLAY}
    assert converged.pid == 2
    assert "restart" not in converged.calls


def test_start_that_fails_is_taken_back(converged, pillar):
    """What only the daemon itself finds out, such as a store without libkv."""
    before = converged.json.read_text(), converged.dropin.read_text()
    converged.never_starts_with = {"storage-driver"}
    pillar(engine={"options": {"storage-driver": "floppy"}, "port": 2375})
    with pytest.raises(errors.SwarmError, match="failed to start daemon: no such thing as sto"):
        swarm_engine.configure()
    assert (converged.json.read_text(), converged.dropin.read_text()) == before
    assert converged.up
    assert (converged.config, converged.command) == ({**BASE, **OVERLAY}, TCP)


def test_first_configuration_that_fails_leaves_the_packages_own(daemon, pillar):
    daemon.never_starts_with = {"storage-driver"}
    pillar(engine={"options": {"storage-driver": "floppy"}})
    with pytest.raises(errors.SwarmError):
        swarm_engine.configure()
    assert daemon.on_disk() is None
    assert not daemon.dropin.exists()
    assert not host_files.RECORD.exists()
    assert (daemon.up, daemon.command) == (True, COMMAND)


def test_engine_that_did_not_run_before_is_not_said_to_run_again(daemon, pillar):
    daemon.up = False
    daemon.never_starts_with = {"storage-driver"}
    pillar(engine={"options": {"storage-driver": "floppy"}})
    with pytest.raises(errors.SwarmError) as failure:
        swarm_engine.configure()
    assert "runs again" not in str(failure.value)
    assert daemon.on_disk() is None


def test_lock_of_systemd_after_bad_starts_is_lifted(converged, pillar):
    converged.never_starts_with = {"storage-driver"}
    salt = pillar(engine={"options": {"storage-driver": "floppy"}})
    with pytest.raises(errors.SwarmError):
        swarm_engine.configure()
    assert salt["cmd.run"].call_args.args[0] == ["systemctl", "reset-failed", "docker.service"]


def test_corrected_pillar_converges_after_a_failure(converged, pillar):
    converged.never_starts_with = {"storage-driver"}
    pillar(engine={"options": {"storage-driver": "floppy"}})
    with pytest.raises(errors.SwarmError):
        swarm_engine.configure()
    pillar(labels={"zone": "a"})
    swarm_engine.configure()
    assert converged.config == {**BASE, **OVERLAY, "labels": ["zone=a"]}
    assert swarm_engine.configure() == {}


def test_full_disk_leaves_everything(converged, pillar, monkeypatch):
    before = converged.json.read_text()
    real = host_files.write

    def full(path, *args, **kwargs):
        if path == converged.json:
            raise errors.SwarmError(f"cannot write {path}: No space left on device")
        real(path, *args, **kwargs)

    monkeypatch.setattr(host_files, "write", full)
    pillar(labels={"zone": "a"})
    with pytest.raises(errors.SwarmError, match="No space left on device"):
        swarm_engine.configure()
    assert converged.json.read_text() == before
    assert (converged.up, converged.pid) == (True, 2)


def test_store_that_the_engine_ignores_is_taken_back(daemon, pillar):
    """Debian 12's engine accepts the reload, and would then refuse its next start."""
    swarm_engine.configure()
    daemon.no_libkv = True
    with pytest.raises(errors.SwarmError, match="set swarm:overlay to false"):
        swarm_engine.configure_overlay()
    assert daemon.on_disk() == BASE
    assert daemon.pid == 2
    assert swarm_engine.configure() == {}


# ---- runs that were cut off


def test_run_that_was_cut_off_while_a_label_goes_is_finished_by_the_next(
    converged, pillar, monkeypatch
):
    pillar(labels={"zone": "a"})
    swarm_engine.configure()
    pillar()
    kill(monkeypatch, "service.reload")
    assert converged.config["labels"] == ["zone=a"]
    assert swarm_engine.configure() != {}
    assert converged.config["labels"] == []
    assert converged.on_disk() == {**BASE, **OVERLAY}
    assert swarm_engine.configure() == {}


def test_run_that_was_cut_off_when_the_label_is_gone_leaves_nothing(converged, pillar, monkeypatch):
    pillar(labels={"zone": "a"})
    swarm_engine.configure()
    pillar()
    with monkeypatch.context() as patched:
        patched.setattr(file_plan, "end", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            swarm_engine.configure()
    assert converged.config["labels"] == []
    assert swarm_engine.configure() != {}
    assert converged.on_disk() == {**BASE, **OVERLAY}
    assert swarm_engine.configure() == {}
    assert "labels" not in host_files.record("daemon.json")


@pytest.mark.parametrize("where", ["service.systemctl_reload", "service.reload", "service.restart"])
def test_run_that_was_cut_off_is_finished_by_the_next(daemon, pillar, monkeypatch, where):
    pillar(labels={"zone": "a"})
    kill(monkeypatch, where)
    assert daemon.command == COMMAND
    assert swarm_engine.configure(test=True) != {}
    assert swarm_engine.configure() != {}
    assert daemon.config == {**BASE, "labels": ["zone=a"]}
    assert daemon.command == TCP
    assert swarm_engine.configure() == {}


def test_reload_that_was_cut_off_is_finished_without_a_restart(converged, pillar, monkeypatch):
    pillar(labels={"zone": "a"})
    kill(monkeypatch, "service.reload")
    assert converged.config == {**BASE, **OVERLAY}
    swarm_engine.configure()
    assert converged.config["labels"] == ["zone=a"]
    assert converged.pid == 2


def test_cut_off_and_then_refused_is_taken_back(converged, pillar, monkeypatch):
    """The next run did not write the files, and yet has to know what they were."""
    before = converged.json.read_text()
    converged.never_reloads_with = {"no-such-key"}
    pillar(engine={"options": {"no-such-key": 1}})
    kill(monkeypatch, "service.reload")
    words = "does not take no-such-key; everything was put back .* no such thing as no-such-key"
    with pytest.raises(errors.SwarmError, match=words):
        swarm_engine.configure()
    assert converged.json.read_text() == before
    with pytest.raises(errors.SwarmError, match="no such thing as no-such-key"):
        swarm_engine.configure()
    pillar()
    assert swarm_engine.configure() == {}


def test_cut_off_and_then_another_pillar_refused_goes_back_to_the_first(
    converged, pillar, monkeypatch
):
    before = converged.json.read_text()
    pillar(labels={"zone": "a"})
    kill(monkeypatch, "service.reload")
    converged.never_reloads_with = {"no-such-key"}
    pillar(engine={"options": {"no-such-key": 1}}, labels={"zone": "a"})
    with pytest.raises(errors.SwarmError):
        swarm_engine.configure()
    assert converged.json.read_text() == before
    pillar()
    assert swarm_engine.configure() == {}
    assert converged.config == {**BASE, **OVERLAY}


def test_overlay_step_finishes_what_the_first_step_left(daemon, pillar, monkeypatch):
    kill(monkeypatch, "service.restart")
    swarm_engine.configure_overlay()
    assert (daemon.config, daemon.command) == ({**BASE, **OVERLAY}, TCP)
    assert swarm_engine.configure() == {}


@pytest.mark.usefixtures("pillar")
def test_file_that_cannot_be_written_is_not_blamed_on_the_engine(converged, pillar, monkeypatch):
    write = host_files.write

    def full(path, *arguments, **options):
        if path == converged.json:
            raise errors.SwarmError(f"cannot write {path}: No space left on device")
        write(path, *arguments, **options)

    before = converged.json.read_text()
    monkeypatch.setattr(host_files, "write", full)
    pillar(labels={"zone": "a"})
    with pytest.raises(errors.SwarmError) as error:
        swarm_engine.configure()
    text = str(error.value)
    assert text.startswith("m1 could not change labels of its engine; everything was put back")
    assert "does not take" not in text
    assert "It said" not in text
    assert "Cause: a file system is full" in text
    assert converged.json.read_text() == before
    assert host_files.record("pending") == {}


def test_engine_that_systemd_could_not_start_is_told_in_systemds_words(daemon, pillar):
    daemon.never_starts_with = {"log-driver"}
    pillar(engine={"options": {"log-driver": "none"}})
    daemon.systemd = [
        "docker.service: Failed at step EXEC spawning /usr/sbin/dockerd: No such file"
    ]
    start = daemon.start

    def silent(name):
        try:
            return start(name)
        finally:
            daemon.journal.clear()

    pillar(engine={"options": {"log-driver": "none"}})["service.restart"].side_effect = silent
    with pytest.raises(errors.SwarmError, match=r"It said: docker\.service: Failed at step EXEC"):
        swarm_engine.configure()
