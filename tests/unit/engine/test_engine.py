"""
The engine's configuration: reload or restart, and an admin's own.
"""

import contextlib

import pytest

from _modules import swarm_engine
from swarm_formula.core import errors, host_files
from swarm_formula.daemon import daemon_json, dockerd, log_driver
from swarm_formula.engine import config, restart_turn
from tests.unit.dockerd import BASE, COMMAND, OVERLAY, TCP
from tests.unit.pillars import BUILTIN, settings_of

# ---- version and refusal


def test_engine_without_a_port_has_no_keys_for_overlay_networks():
    """In builtin mode: they would name the port."""
    assert config.overlay_options(settings_of(BUILTIN)) == {}


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
    with pytest.raises(errors.SwarmError, match=r"nothing was written: cluster-store is gone"):
        function(test=test)
    assert daemon.on_disk() is None
    assert not host_files.RECORD.exists()
    assert daemon.calls == []


# ---- a log driver that the engine lacks: it would accept the name, and start no container


LOKI = {"Name": "loki:latest", "Enabled": True}


@pytest.mark.parametrize("test", [False, True], ids=["run", "test"])
@pytest.mark.parametrize("plugins", [[], [LOKI | {"Enabled": False}]], ids=["none", "disabled"])
def test_log_driver_that_the_engine_lacks_is_refused(converged, pillar, test, plugins):
    """Found by the matrix: all engines of a cluster restarted, and then no task could start."""
    converged.plugins = plugins
    before = converged.on_disk()
    pillar(engine={"options": {"log-driver": "loki"}})
    said = r"no log driver 'loki' \(swarm:engine:options:log-driver\).* one of journald, json-file,"
    with pytest.raises(errors.SwarmError, match=said):
        swarm_engine.configure(test=test)
    assert (converged.on_disk(), converged.calls) == (before, [])


@pytest.mark.parametrize("driver", ["none", "json-file", "loki", "loki:latest", "old"])
def test_log_driver_of_the_engine_or_of_a_plugin_is_taken(
    converged, pillar, driver, tmp_path, monkeypatch
):
    (tmp_path / "old.sock").touch()
    monkeypatch.setattr(log_driver, "_LEGACY", (tmp_path,))
    converged.plugins = [LOKI]
    pillar(engine={"options": {"log-driver": driver}})
    swarm_engine.configure()
    assert converged.config["log-driver"] == driver


@pytest.mark.usefixtures("pillar")
def test_log_driver_is_not_checked_while_no_engine_runs(daemon, pillar):
    daemon.up = False
    pillar(engine={"options": {"log-driver": "loki"}})
    swarm_engine.configure(test=True)


# ---- what opens the port brings its TLS along


OWN = {"tlsverify": True, "tlscacert": "/ca.pem", "tlscert": "/cert.pem", "tlskey": "/key.pem"}
FILES = {key: value for key, value in OWN.items() if key != "tlsverify"}


@pytest.fixture
def secure(pillar):
    """Return a function that wants TLS on the engine's socket, and more options."""

    def secure(**options):
        pillar(overlay=False, tls={"enabled": False}, engine={"options": {**OWN, **options}})

    return secure


def test_socket_and_tls_are_opened_by_one_file(daemon, secure):
    secure()
    swarm_engine.configure()
    assert daemon.command == f"{TCP} --tlsverify"
    assert daemon.on_disk() == {"live-restore": True, **FILES}
    assert swarm_engine.configure() == swarm_engine.configure(test=True) == {}


def test_engine_of_a_version_before_is_not_restarted_for_it(daemon, secure, monkeypatch):
    secure()
    with monkeypatch.context() as patch:
        patch.setattr(daemon_json, "by_flag", lambda wanted: (wanted, False))
        swarm_engine.configure()
    assert daemon.command == TCP
    pid = daemon.pid
    assert swarm_engine.configure(test=True) == swarm_engine.configure() == {}
    secure(debug=True)
    swarm_engine.configure()
    assert (daemon.pid, daemon.command) == (pid, TCP), "by SIGHUP"
    assert daemon.config["debug"] is True
    # It restarts for something else, and has both then.
    secure(mtu=1400)
    swarm_engine.configure()
    assert daemon.pid == pid + 1
    assert daemon.command == f"{TCP} --tlsverify"
    assert "tlsverify" not in daemon.on_disk()
    assert swarm_engine.configure() == {}


def test_tls_that_goes_takes_its_flag_with_it(daemon, secure, pillar):
    secure()
    swarm_engine.configure()
    pillar(overlay=False)
    swarm_engine.configure()
    assert daemon.command == TCP
    assert daemon.on_disk() == BASE
    swarm_engine.clean()
    assert daemon.command == COMMAND


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
    assert set(changes) == {"daemon.json", str(daemon.dropin), "restart"}


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
    assert daemon.calls == ["daemon-reload", "restart", "start"]


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


@pytest.mark.parametrize("test", [False, True], ids=["run", "test"])
@pytest.mark.usefixtures("pillar")
def test_unit_that_is_masked_is_told_with_the_cure_and_nothing_is_touched(daemon, test):
    daemon.masked, daemon.installed = True, False
    with pytest.raises(errors.SwarmError, match=r"docker\.service is masked on m1") as error:
        swarm_engine.configure(test=test)
    assert "'systemctl unmask docker.service docker.socket' on m1" in str(error.value)
    assert "installed" not in str(error.value)
    assert daemon.calls == []
    assert daemon.on_disk() is None


@pytest.mark.usefixtures("pillar")
def test_unit_that_is_not_there_is_told(daemon):
    daemon.installed = daemon.up = False
    with pytest.raises(
        errors.SwarmError, match=r"m1 has no unit docker\.service \(swarm:engine:serv"
    ):
        swarm_engine.configure()
    assert daemon.on_disk() is None


@pytest.mark.parametrize("test", [False, True], ids=["run", "test"])
@pytest.mark.usefixtures("pillar")
def test_unit_that_an_installed_engine_does_not_have_is_told_in_test_mode_as_well(daemon, test):
    daemon.unit = False
    with pytest.raises(errors.SwarmError, match=r"no unit docker\.service"):
        swarm_engine.configure(test=test)
    assert daemon.on_disk() is None
    assert daemon.calls == []


# ---- reload or restart


def test_label_is_changed_by_a_reload(converged, pillar):
    pillar(labels={"zone": "a"})
    changes = swarm_engine.configure()
    assert changes == {"daemon.json": {"labels": {"old": None, "new": ["zone=a"]}}}
    assert converged.config == {**BASE, **OVERLAY, "labels": ["zone=a"]}
    assert converged.calls == ["reload"]
    assert converged.pid == 2


def test_last_label_goes_by_a_reload(converged, pillar):
    """The engine keeps the labels it has if the key is only taken out of its file."""
    pillar(labels={"zone": "a"}, engine={"options": {"debug": True}})
    swarm_engine.configure()
    converged.calls.clear()
    pillar()
    assert set(swarm_engine.configure()["daemon.json"]) == {"labels", "debug"}
    assert converged.config == {**BASE, **OVERLAY, "labels": [], "debug": False}
    assert converged.on_disk() == {**BASE, **OVERLAY}
    assert converged.calls == ["reload"]
    assert swarm_engine.configure() == {}


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


def test_other_files_for_the_store_come_with_the_restart_for_a_new_certificate(
    daemon, pillar, monkeypatch
):
    """As in the upgrade that gives Consul a certificate of its own: one restart, not two."""
    with monkeypatch.context() as before:
        before.setattr(daemon_json.certificate_due, "consul_files", lambda _, files: files)
        pillar(tls={"enabled": True})
        swarm_engine.configure()
        swarm_engine.configure_overlay()
    pid = daemon.pid
    pillar(tls={"enabled": True}, engine={"options": {"mtu": 1400}})
    promised = swarm_engine.configure(test=True)
    assert promised["daemon.json"].keys() == {"cluster-store-opts", "mtu"}
    assert swarm_engine.configure() == promised
    assert daemon.pid == pid + 1
    assert daemon.config["cluster-store-opts"]["kv.certfile"].endswith(
        "tls/current/consul/cert.pem"
    )
    assert swarm_engine.configure() == swarm_engine.configure_overlay() == {}


def test_option_that_no_reload_takes_needs_a_restart(converged, pillar):
    pillar(engine={"options": {"log-driver": "journald"}})
    swarm_engine.configure()
    assert converged.config["log-driver"] == "journald"
    assert converged.pid == 3


def test_other_port_needs_a_restart(converged, pillar):
    pillar(engine={"port": 2375})
    assert set(swarm_engine.configure()) == {str(converged.dropin), "restart"}
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
    with pytest.raises(errors.SwarmError, match=r"remove that key; swarm:engine:listen and"):
        swarm_engine.configure()
    assert daemon.on_disk() == {"hosts": ["fd://"]}
    assert daemon.calls == []


@pytest.mark.usefixtures("pillar")
def test_file_of_an_admin_that_is_no_json_stays(daemon):
    daemon.json.parent.mkdir()
    daemon.json.write_text("{debug: true}")
    with pytest.raises(errors.SwarmError, match="is not JSON"):
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
    assert daemon.on_disk() == before
    assert daemon.config == {**before, "live-restore": False}
    assert daemon.command == COMMAND
    assert not daemon.dropin.parent.exists()
    assert not host_files.RECORD.exists()
    assert swarm_engine.clean() == {}


ADMINS = f"[Service]\nExecStart=\nExecStart={COMMAND} --debug\n"


@pytest.mark.parametrize("first", [True, False], ids=["first apply", "later apply"])
@pytest.mark.parametrize("test", [False, True], ids=["run", "test"])
def test_drop_in_that_would_take_the_socket_away_is_refused(daemon, pillar, first, test):
    if not first:
        swarm_engine.configure()
    path = daemon.units / "docker.service.d/zzz-local.conf"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(ADMINS)
    daemon.dropins = [path]
    before = daemon.on_disk(), daemon.pid
    with pytest.raises(errors.SwarmError, match="nothing was changed") as error:
        swarm_engine.configure(test=test)
    assert f"m1: {path} sets ExecStart after {daemon.dropin}" in str(error.value)
    assert (daemon.on_disk(), daemon.pid) == before
    # Its cure.
    daemon.dropins = [path.rename(path.with_name("10-override.conf"))]
    swarm_engine.configure()
    assert daemon.command == f"{COMMAND} --debug -H tcp://10.77.0.11:2275"


@pytest.mark.usefixtures("pillar")
def test_drop_in_is_found_before_there_is_an_engine(daemon):
    """``swarm_package.install`` asks before it installs; systemctl shows none of it yet."""
    daemon.installed = daemon.up = False
    path = daemon.units / "docker.service.d/zzz-local.conf"
    path.parent.mkdir(parents=True)
    path.write_text(ADMINS)
    with pytest.raises(errors.SwarmError, match=r"zzz-local\.conf sets ExecStart"):
        swarm_engine.check("26.1.5")


@pytest.mark.usefixtures("pillar")
def test_drop_in_of_another_purpose_may_come_later(daemon):
    path = daemon.units / "docker.service.d/zzz-proxy.conf"
    path.parent.mkdir(parents=True)
    path.write_text("[Service]\nEnvironment=HTTPS_PROXY=http://p:3128\n")
    daemon.dropins = [path]
    swarm_engine.configure()
    assert daemon.command == TCP


@pytest.mark.usefixtures("converged")
def test_engine_of_another_package_starts_with_its_own_command(daemon):
    """The drop-in has the command of the package that is gone, whose program there is no more."""
    own = daemon.own = COMMAND.replace("/usr/sbin", "/usr/bin")
    assert own != COMMAND
    daemon.up = False
    swarm_engine.refit()
    assert daemon.up
    assert daemon.command == f"{own} -H tcp://10.77.0.11:2275"
    pid = daemon.pid
    swarm_engine.refit()
    assert swarm_engine.configure() == {}
    assert daemon.pid == pid


TEXTS = [
    "",
    "\n",
    "{}",
    '{"debug":false,"labels":["rack=1"]}',
    '{\n    "mtu": 1400,\n    "live-restore": true\n}\n',
    '{\r\n\t"mtu": 1400,\r\n\t"debug": true\r\n}\r\n',
]


@pytest.mark.parametrize("text", TEXTS)
def test_clean_gives_an_admins_file_back_byte_by_byte(daemon, pillar, text):
    daemon.json.parent.mkdir()
    daemon.json.write_bytes(text.encode())
    daemon.json.chmod(0o640)
    for options in ({"debug": True, "mtu": 1500}, {"debug": True}):
        pillar(labels={"zone": "a"}, engine={"options": options})
        swarm_engine.configure()
        swarm_engine.configure_overlay()
    swarm_engine.clean()
    assert daemon.json.read_bytes() == text.encode()
    assert daemon.json.stat().st_mode & 0o7777 == 0o640
    assert not host_files.RECORD.exists()
    assert swarm_engine.clean() == {}
    assert daemon.json.read_bytes() == text.encode()


def test_text_is_given_back_where_the_values_are_those_of_before_already(daemon, pillar):
    """The last key that differed went with an apply; that wrote the file in our form."""
    text = '{"live-restore":true,"tls":false}'
    daemon.json.parent.mkdir()
    daemon.json.write_text(text)
    for options in ({"debug": True}, {}):
        pillar(overlay=False, engine={"options": options})
        swarm_engine.configure()
    swarm_engine.clean()
    assert daemon.json.read_text() == text


def test_what_an_admin_has_changed_since_is_not_overruled_by_the_text_of_before(daemon, pillar):
    daemon.write({"mtu": 1400})
    swarm_engine.configure()
    daemon.write({**daemon.on_disk(), "mtu": 9000})
    swarm_engine.clean()
    assert daemon.on_disk() == {"mtu": 9000}
    assert not host_files.RECORD.exists()


def test_clean_without_an_engine(daemon, pillar):
    daemon.installed = daemon.up = False
    assert swarm_engine.clean() == {}


# ---- what only a restart cures


@pytest.fixture
def lost(monkeypatch):
    """Have the engine lose threads; the test says which."""
    lost = {"12"}
    monkeypatch.setattr(dockerd, "lost_threads", lambda _: lost)
    return lost


def test_lost_threads_are_complained_of_with_their_cure(converged, lost):
    (text,) = swarm_engine.complaints()
    assert "1 thread(s)" in text
    assert "salt m1 swarm_engine.heal" in text
    assert converged.calls == []


def test_heal_restarts_an_engine_with_complaints_and_no_other(converged, lost):
    before = converged.pid
    assert len(swarm_engine.heal()) == 1
    assert converged.pid == before + 1
    lost.clear()
    assert swarm_engine.heal() == []
    assert converged.pid == before + 1


def test_overlay_networks_are_mended_without_a_restart(converged, lost, pillar):
    lost.clear()
    salt = pillar()
    salt["swarm_overlay.complaints"].return_value = ["no way to 10.20.0.3"]
    salt["swarm_overlay.heal"].return_value = ["no way to 10.20.0.3"]
    assert swarm_engine.complaints() == swarm_engine.heal() == ["no way to 10.20.0.3"]
    assert converged.calls == []


@pytest.mark.usefixtures("converged", "lost")
def test_without_overlay_networks_no_thread_is_looked_for(pillar):
    pillar(overlay=False)
    assert swarm_engine.complaints() == []


# ---- another program than the one that runs


@pytest.mark.parametrize("test", [False, True], ids=["run", "test"])
def test_engine_that_apt_has_upgraded_is_restarted(converged, test):
    converged.upgraded = "26.1.5"
    converged.config.clear()  # the store is gone since 23, and the overlay with it
    with pytest.raises(errors.SwarmError, match="cluster-store is gone since Docker 23"):
        swarm_engine.configure(test=test)
    assert converged.pid == 2


@pytest.mark.usefixtures("daemon")
def test_restart_after_an_upgrade_is_foretold_and_done_once(daemon, pillar):
    pillar(overlay=False)
    daemon.version = "28.4.0"
    swarm_engine.configure()
    before, daemon.upgraded = daemon.pid, "28.5.2+dfsg1"
    promised = swarm_engine.configure(test=True)
    assert promised == {
        "restart": {"old": "engine 28.4.0", "new": "engine 28.5.2+dfsg1, restarted"}
    }
    assert daemon.pid == before
    assert swarm_engine.configure() == promised
    assert (daemon.pid, daemon.version) == (before + 1, "28.5.2+dfsg1")
    assert swarm_engine.configure() == {}


def test_upgrade_to_29_brings_the_oldest_api_that_the_manager_speaks(daemon, pillar):
    """28 does not know the key: it is not told of it before it ends."""
    pillar(overlay=False)
    daemon.version = "28.5.2"
    swarm_engine.configure()
    daemon.upgraded = "29.0.1"
    daemon.never_reloads_with = {"min-api-version"}
    daemon.calls.clear()
    changes = swarm_engine.configure()
    assert changes["daemon.json"] == {"min-api-version": {"old": None, "new": "1.24"}}
    assert daemon.config["min-api-version"] == "1.24"
    assert daemon.calls == ["daemon-reload", "restart", "start"]
    assert swarm_engine.configure() == {}


def test_upgrade_of_pillar_is_foretold_with_its_restart(daemon, pillar):
    pillar(overlay=False)
    daemon.version = "28.5.2"
    swarm_engine.configure()
    pillar(overlay=False, engine={"version": "29.*"})
    daemon.planned = "29.0.1"
    assert swarm_engine.configure(test=True) == {
        "daemon.json": {"min-api-version": {"old": None, "new": "1.24"}},
        "restart": {"old": "engine 28.5.2", "new": "engine 29.0.1, restarted"},
    }


@pytest.mark.parametrize(
    ("options", "images", "words"),
    [
        ({}, 2, "Docker 28 would not find 2 images, which are in containerd's image store"),
        ({"features": {"containerd-snapshotter": True}}, 2, None),
        ({}, 0, None),
    ],
)
def test_older_engine_that_would_not_find_the_images_is_refused(
    daemon, pillar, options, images, words
):
    pillar(overlay=False, engine={"options": options})
    daemon.version, daemon.images = "29.0.1", images
    daemon.driver = [["driver-type", "io.containerd.snapshotter.v1"]]
    if words:
        with pytest.raises(errors.SwarmError, match=words):
            swarm_engine.check("28.5.2")
    else:
        swarm_engine.check("28.5.2")


def test_restart_waits_for_its_turn_and_sees_what_has_changed_meanwhile(
    converged, pillar, monkeypatch
):
    """An admin's edit of daemon.json while this host waits is not lost."""

    @contextlib.contextmanager
    def held(*_):
        converged.write({**converged.on_disk(), "mtu": 1400})
        yield restart_turn.Held(lambda: None, {})
        assert converged.up

    monkeypatch.setattr(restart_turn, "held", held)
    pillar(engine={"options": {"log-driver": "journald"}})
    swarm_engine.configure()
    assert converged.on_disk()["mtu"] == converged.config["mtu"] == 1400
    assert converged.config["log-driver"] == "journald"


def test_restart_after_which_no_container_starts_is_undone_in_its_turn(
    converged, pillar, monkeypatch
):
    """The engine runs with the option, and the containers of its services do not."""
    in_turn = []

    @contextlib.contextmanager
    def held(*_):
        def prove():
            in_turn.append(converged.config.get("mtu"))
            raise errors.NoContainerError("it starts no container: it needs an MTU")

        yield restart_turn.Held(prove, {})

    monkeypatch.setattr(restart_turn, "held", held)
    before = converged.json.read_text()
    pillar(engine={"options": {"mtu": 1}})
    said = (
        r"does not work with mtu; everything was put back as it was, and it runs again:"
        r" .*it needs an MTU\. Correct swarm:engine:options:mtu"
    )
    with pytest.raises(errors.SwarmError, match=said):
        swarm_engine.configure()
    assert in_turn == [1]
    assert converged.json.read_text() == before
    assert "mtu" not in converged.config, "the engine runs with the options of before"


@pytest.mark.usefixtures("converged")
def test_clean_takes_no_turn(daemon, monkeypatch):
    """Who gives it, Consul or the cluster, is taken away at the same time."""
    turns = []
    monkeypatch.setattr(
        restart_turn,
        "_consuls",
        lambda *_: turns.append(1) or contextlib.nullcontext(),
    )
    swarm_engine.clean()
    assert "restart" in daemon.calls
    assert turns == []


@pytest.mark.parametrize("option", [{"debug": True}, {}])
def test_what_needs_no_restart_takes_no_turn(converged, pillar, monkeypatch, option):
    monkeypatch.setattr(restart_turn, "held", None)
    pillar(engine={"options": option})
    swarm_engine.configure()
    assert "restart" not in converged.calls


# ---- what only a restart cures


@pytest.mark.parametrize(("live", "goes"), [(True, "containers go on"), (False, "stop with it")])
@pytest.mark.usefixtures("pillar")
def test_restart_that_is_advised_tells_what_it_costs(converged, monkeypatch, live, goes):
    monkeypatch.setattr(dockerd, "lost_threads", lambda _: {"1", "2"})
    converged.config["live-restore"] = live
    (text,) = swarm_engine.complaints()
    assert "salt m1 swarm_engine.heal restarts it" in text
    assert goes in text
