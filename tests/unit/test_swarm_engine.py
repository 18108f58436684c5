"""
The engine's configuration: reload or restart, back to what it was, and runs that were cut off.
"""

import pytest
import swarm_docker
import swarm_errors
import swarm_files
import swarm_plan
import swarm_wait

from _modules import swarm_engine
from tests.unit.dockerd import COMMAND, Dockerd
from tests.unit.execution import mocked
from tests.unit.pillars import VALID, settings_of

TCP = f"{COMMAND} -H tcp://10.77.0.11:2275"
BASE = {"live-restore": True, "tls": False}
OVERLAY = {"cluster-store": "consul://127.0.0.1:8500", "cluster-advertise": "10.77.0.11:2275"}


@pytest.fixture
def daemon(monkeypatch, tmp_path):
    """Run an engine with a package's own unit, whose files are all in a folder of the test."""
    daemon = Dockerd(tmp_path)
    monkeypatch.setattr(swarm_files, "RECORD", tmp_path / "record.json")
    monkeypatch.setattr(swarm_plan, "DAEMON", daemon.json)
    monkeypatch.setattr(swarm_engine, "_UNITS", daemon.units)
    monkeypatch.setattr(swarm_docker, "connect", daemon.connect)
    monkeypatch.setattr(swarm_wait, "_FIRST", 0.001)
    return daemon


@pytest.fixture
def pillar(monkeypatch, daemon):
    """Return a function that sets the pillar of this host."""

    def pillar(**given):
        salt = mocked(
            "cmd.run",
            swarm_settings__get=settings_of({**VALID, "timeout": 5, **given}),
            swarm_libraries__missing=[],
            pkg__version=lambda *_, **__: daemon.version if daemon.installed else "",
            cmd__run_all=lambda *_, **__: {"stdout": daemon.cat(), "retcode": 0},
            cmd__run_stdout=lambda *_, **__: "\n".join(daemon.journal),
            service__start=daemon.start,
            service__restart=daemon.restart,
            service__reload=daemon.reload,
            service__enable=daemon.enable,
            service__enabled=lambda *_, **__: daemon.enabled,
            service__systemctl_reload=daemon.daemon_reload,
        )
        monkeypatch.setattr(swarm_engine, "__salt__", salt, raising=False)
        return salt

    pillar()
    return pillar


@pytest.fixture
def converged(daemon, pillar):
    """Have the engine configured, and forget how that came about."""
    swarm_engine.configure()
    swarm_engine.configure_overlay()
    daemon.calls.clear()
    return daemon


def kill(monkeypatch, function):
    """Have a run be cut off where it calls this; as by a power cut, nothing is cleaned up."""

    def cut(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setitem(swarm_engine.__salt__, function, cut)
        with pytest.raises(KeyboardInterrupt):
            swarm_engine.configure()


# ---- version and refusal


@pytest.mark.usefixtures("pillar")
def test_version_is_that_of_the_engine_that_runs(daemon):
    assert swarm_engine.version() == "20.10.5+dfsg1"


@pytest.mark.usefixtures("pillar")
def test_version_is_that_of_the_package_while_none_runs(daemon):
    daemon.up = False
    assert swarm_engine.version() == "20.10.5+dfsg1"
    daemon.installed = False
    assert swarm_engine.version() == ""


@pytest.mark.parametrize("function", [swarm_engine.configure, swarm_engine.configure_overlay])
@pytest.mark.parametrize("test", [False, True], ids=["run", "test"])
@pytest.mark.usefixtures("pillar")
def test_what_the_version_cannot_take_is_refused_before_anything_is_written(daemon, function, test):
    daemon.version = "23.0.1"
    with pytest.raises(
        swarm_errors.SwarmError, match=r"nothing was written: cluster-store is gone"
    ):
        function(test=test)
    assert daemon.on_disk() is None
    assert not swarm_files.RECORD.exists()
    assert daemon.calls == []


# ---- from nothing to configured


@pytest.mark.usefixtures("pillar")
def test_engine_as_the_package_left_it(daemon):
    changes = swarm_engine.configure()
    assert daemon.config == daemon.on_disk() == BASE
    assert daemon.command == TCP
    assert changes["daemon.json"] == {
        "live-restore": {"old": None, "new": True},
        "tls": {"old": None, "new": False},
    }
    assert set(changes) == {"daemon.json", str(daemon.dropin)}


@pytest.mark.usefixtures("pillar")
def test_live_restore_takes_effect_before_the_first_restart(daemon):
    """Otherwise that restart would take an admin's containers down."""
    swarm_engine.configure()
    assert daemon.calls == ["daemon-reload", "reload", "restart", "start"]


@pytest.mark.usefixtures("pillar")
def test_engine_that_is_stopped_is_started_and_enabled(daemon):
    daemon.up = daemon.enabled = False
    changes = swarm_engine.configure()
    assert changes["service"] == {"old": "stopped", "new": "running"}
    assert daemon.up
    assert daemon.enabled
    assert (daemon.config, daemon.command) == (BASE, TCP)
    assert daemon.calls == ["daemon-reload", "start"]


def test_engine_that_is_not_enabled(converged):
    converged.enabled = False
    assert swarm_engine.configure() == {"enabled": {"old": False, "new": True}}
    assert converged.enabled
    assert converged.pid == 2


@pytest.mark.parametrize("function", [swarm_engine.configure, swarm_engine.configure_overlay])
def test_second_run_changes_nothing(converged, function):
    assert function() == {}
    assert converged.calls == []


@pytest.mark.usefixtures("pillar")
def test_test_mode_promises_what_then_happens(daemon):
    for function in (swarm_engine.configure, swarm_engine.configure_overlay):
        promised = function(test=True)
        before = (daemon.on_disk(), list(daemon.calls), daemon.dropin.exists())
        assert function(test=True) == promised
        assert (daemon.on_disk(), daemon.calls, daemon.dropin.exists()) == before
        assert function() == promised


@pytest.mark.usefixtures("pillar")
def test_test_mode_on_a_bare_host_fails_nowhere(daemon):
    daemon.installed = daemon.up = daemon.enabled = False
    changes = swarm_engine.configure(test=True)
    assert {"daemon.json", "service", str(daemon.dropin)} == set(changes)
    assert swarm_engine.configure_overlay(test=True)["daemon.json"].keys() == OVERLAY.keys()


@pytest.mark.usefixtures("pillar")
def test_unit_that_is_not_there_is_told(daemon):
    daemon.installed = daemon.up = False
    with pytest.raises(
        swarm_errors.SwarmError, match=r"no unit docker\.service \(swarm:engine:serv"
    ):
        swarm_engine.configure()
    assert daemon.on_disk() is None


# ---- reload or restart


def test_label_is_changed_by_a_reload(converged, pillar):
    pillar(labels={"zone": "a"})
    changes = swarm_engine.configure()
    assert changes == {"daemon.json": {"labels": {"old": None, "new": ["zone=a"]}}}
    assert converged.config == {**BASE, **OVERLAY, "labels": ["zone=a"]}
    assert converged.calls == ["reload"]
    assert converged.pid == 2


def test_store_is_given_by_a_reload(daemon, pillar):
    swarm_engine.configure()
    daemon.calls.clear()
    swarm_engine.configure_overlay()
    assert daemon.config == {**BASE, **OVERLAY}
    assert daemon.calls == ["reload"]


def test_store_is_taken_away_by_a_restart(converged, pillar):
    pillar(overlay=False)
    swarm_engine.configure_overlay()
    assert converged.config == BASE
    assert "restart" in converged.calls


def test_option_that_no_reload_takes_needs_a_restart(converged, pillar):
    pillar(engine={"options": {"log-driver": "journald"}})
    swarm_engine.configure()
    assert converged.config["log-driver"] == "journald"
    assert converged.pid == 3


def test_other_port_needs_a_restart(converged, pillar):
    pillar(engine={"port": 2375})
    assert set(swarm_engine.configure()) == {str(converged.dropin)}
    assert converged.command == f"{COMMAND} -H tcp://10.77.0.11:2375"


@pytest.mark.parametrize(
    ("listen", "socket"),
    [("0.0.0.0", "0.0.0.0:2275"), ("::", "[::]:2275"), (None, "10.77.0.11:2275")],
)
def test_address_it_listens_on(daemon, pillar, listen, socket):
    pillar(engine={"listen": listen})
    swarm_engine.configure()
    assert daemon.command == f"{COMMAND} -H tcp://{socket}"


# ---- an admin's own


def test_keys_and_labels_of_an_admin_stay(daemon, pillar):
    pillar(labels={"zone": "a"})
    daemon.write({"mtu": 1400, "labels": ["rack=1"]})
    swarm_engine.configure()
    assert daemon.on_disk() == {"mtu": 1400, "labels": ["rack=1", "zone=a"], **BASE}


@pytest.mark.usefixtures("pillar")
def test_hosts_of_an_admin_are_refused_with_the_cure(daemon):
    """dockerd does not start with ``hosts`` in the file and ``-H`` on its command line."""
    daemon.write({"hosts": ["fd://"]})
    with pytest.raises(swarm_errors.SwarmError, match=r"remove that key; swarm:engine:listen and"):
        swarm_engine.configure()
    assert daemon.on_disk() == {"hosts": ["fd://"]}
    assert daemon.calls == []


@pytest.mark.usefixtures("pillar")
def test_file_of_an_admin_that_is_no_json_stays(daemon):
    daemon.json.parent.mkdir()
    daemon.json.write_text("{debug: true}")
    with pytest.raises(swarm_errors.SwarmError, match="is not JSON"):
        swarm_engine.configure()
    assert daemon.json.read_text() == "{debug: true}"
    assert daemon.calls == []


def test_clean_leaves_what_was_there_before(daemon, pillar):
    pillar(labels={"zone": "a"}, engine={"options": {"debug": True}})
    before = {"debug": False, "mtu": 1400, "labels": ["rack=1"]}
    daemon.write(before)
    swarm_engine.configure()
    swarm_engine.configure_overlay()
    promised = swarm_engine.clean(test=True)
    assert swarm_engine.clean() == promised
    assert daemon.on_disk() == daemon.config == before
    assert daemon.command == COMMAND
    assert not daemon.dropin.parent.exists()
    assert not swarm_files.RECORD.exists()
    assert swarm_engine.clean() == {}


def test_clean_without_an_engine(daemon, pillar):
    daemon.installed = daemon.up = False
    assert swarm_engine.clean() == {}


# ---- back to what it was


def test_reload_that_is_refused_is_taken_back(converged, pillar):
    before = converged.json.read_text()
    converged.never_reloads_with = {"no-such-key"}
    pillar(engine={"options": {"no-such-key": 1}}, labels={"zone": "b"})
    with pytest.raises(swarm_errors.SwarmError) as failure:
        swarm_engine.configure()
    assert str(failure.value) == (
        "the engine of m1 does not take labels, no-such-key; everything was put back as it was,"
        " and it runs again. It said: no such thing as no-such-key (the reload was refused)"
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
    with pytest.raises(
        swarm_errors.SwarmError, match="failed to start daemon: no such thing as sto"
    ):
        swarm_engine.configure()
    assert (converged.json.read_text(), converged.dropin.read_text()) == before
    assert converged.up
    assert (converged.config, converged.command) == ({**BASE, **OVERLAY}, TCP)


def test_first_configuration_that_fails_leaves_the_packages_own(daemon, pillar):
    daemon.never_starts_with = {"storage-driver"}
    pillar(engine={"options": {"storage-driver": "floppy"}})
    with pytest.raises(swarm_errors.SwarmError):
        swarm_engine.configure()
    assert daemon.on_disk() is None
    assert not daemon.dropin.exists()
    assert not swarm_files.RECORD.exists()
    assert (daemon.up, daemon.command) == (True, COMMAND)


def test_engine_that_did_not_run_before_is_not_said_to_run_again(daemon, pillar):
    daemon.up = False
    daemon.never_starts_with = {"storage-driver"}
    pillar(engine={"options": {"storage-driver": "floppy"}})
    with pytest.raises(swarm_errors.SwarmError) as failure:
        swarm_engine.configure()
    assert "runs again" not in str(failure.value)
    assert daemon.on_disk() is None


def test_lock_of_systemd_after_bad_starts_is_lifted(converged, pillar):
    converged.never_starts_with = {"storage-driver"}
    salt = pillar(engine={"options": {"storage-driver": "floppy"}})
    with pytest.raises(swarm_errors.SwarmError):
        swarm_engine.configure()
    assert salt["cmd.run"].call_args.args[0] == ["systemctl", "reset-failed", "docker.service"]


def test_corrected_pillar_converges_after_a_failure(converged, pillar):
    converged.never_starts_with = {"storage-driver"}
    pillar(engine={"options": {"storage-driver": "floppy"}})
    with pytest.raises(swarm_errors.SwarmError):
        swarm_engine.configure()
    pillar(labels={"zone": "a"})
    swarm_engine.configure()
    assert converged.config == {**BASE, **OVERLAY, "labels": ["zone=a"]}
    assert swarm_engine.configure() == {}


def test_full_disk_leaves_everything(converged, pillar, monkeypatch):
    before = converged.json.read_text()
    real = swarm_files.write

    def full(path, *args, **kwargs):
        if path == converged.json:
            raise swarm_errors.SwarmError(f"cannot write {path}: No space left on device")
        real(path, *args, **kwargs)

    monkeypatch.setattr(swarm_files, "write", full)
    pillar(labels={"zone": "a"})
    with pytest.raises(swarm_errors.SwarmError, match="No space left on device"):
        swarm_engine.configure()
    assert converged.json.read_text() == before
    assert (converged.up, converged.pid) == (True, 2)


def test_store_that_the_engine_ignores_is_taken_back(daemon, pillar):
    """Debian 12's engine accepts the reload, and would then refuse its next start."""
    swarm_engine.configure()
    daemon.no_libkv = True
    with pytest.raises(swarm_errors.SwarmError, match="set swarm:overlay to false"):
        swarm_engine.configure_overlay()
    assert daemon.on_disk() == BASE
    assert daemon.pid == 2
    assert swarm_engine.configure() == {}


# ---- runs that were cut off


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
    with pytest.raises(swarm_errors.SwarmError, match=words):
        swarm_engine.configure()
    assert converged.json.read_text() == before
    with pytest.raises(swarm_errors.SwarmError, match="no such thing as no-such-key"):
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
    with pytest.raises(swarm_errors.SwarmError):
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
