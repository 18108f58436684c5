"""
The service that keeps overlay networks whole: what it mends, when, and how it comes and goes.
"""

import configparser
import subprocess
import sys
from pathlib import Path

import pytest

from _modules import swarm_overlay as module
from swarm_formula.core import errors, wait
from swarm_formula.overlay import keeper as overlay_keeper
from swarm_formula.overlay import keeper_unit
from swarm_formula.overlay import namespaces as overlay_namespaces
from swarm_formula.overlay.keeper import Keeper, Look
from swarm_formula.overlay.kv_store import StoreError
from swarm_formula.overlay.routes import Device, Route
from tests.unit.execution import mocked, own_time
from tests.unit.pillars import VALID, settings_of

NET = "5d3c131e2c8de5fb216b115302f77cdc5336ced22d8e252b437a92e8abf3f3ab"
ROUTE = Route("10.20.0.3", "02:42:0a:14:00:03", "10.0.0.12", None)
END = {
    "name": "web",
    "locator": ROUTE.host,
    "ep_iface": {"addr": "10.20.0.3/24", "mac": ROUTE.mac},
}
CONFIG = {"cluster-store": "consul://127.0.0.1:8500", "cluster-advertise": "10.0.0.11:2376"}
LATE = {
    "Id": "c1",
    "Name": "/web",
    "State": {"Status": "exited", "Error": f"network {NET} not found"},
    "HostConfig": {"RestartPolicy": {"Name": "always"}},
    "NetworkSettings": {"Networks": {"backend": {"NetworkID": NET}}},
}


class Host:
    """A host with one overlay network: its store, its kernel, its engine."""

    def __init__(self, folder):
        self.folder = folder
        self.config = {**CONFIG, "exec-root": str(folder), "pidfile": str(folder / "pid")}
        self.ends = {f"docker/network/v1.0/endpoint/{NET}/e/": END}
        self.store_answers = self.engine_answers = True
        self.device = Device("vxlan0", 256, {}, {})
        self.mended, self.started, self.containers = [], [], []
        namespaces = folder / "netns"
        namespaces.mkdir()
        (namespaces / f"3-{NET[:10]}").touch()
        (namespaces / "1a2b3c4d5e6f").touch()
        (folder / "pid").touch()

    def read(self, what):
        if not self.store_answers:
            raise StoreError("the store does not answer")
        return (self.ends, 7) if what == "endpoint" else ({}, 7)

    def mend(self, path, faults):
        self.mended.append((path.name, faults))
        for name, route in faults:
            assert name == "vxlan0"
            near = {**self.device.neighbors, route.address: route.mac}
            far = {**self.device.forwards, route.mac: {route.host}}
            self.device = Device("vxlan0", 256, near, far)

    def engine(self, method, path):
        if not self.engine_answers:
            raise ConnectionRefusedError("no engine")
        if method == "POST":
            self.started.append(path)
            return None
        if path.startswith("/containers/json"):
            return [{"Id": one["Id"]} for one in self.containers]
        return next(one for one in self.containers if one["Id"] in path)


@pytest.fixture
def host(monkeypatch, tmp_path):
    host = Host(tmp_path)
    # An ordinary file in place of a namespace.
    monkeypatch.setattr(overlay_namespaces, "_OWN", tmp_path)

    def read(_, what, *__):
        return host.read(what)

    monkeypatch.setattr(overlay_keeper, "config", lambda: host.config)
    monkeypatch.setattr(overlay_keeper.Store, "read", read)
    monkeypatch.setattr(overlay_keeper, "look", lambda _: [host.device])
    monkeypatch.setattr(overlay_keeper, "mend", host.mend)
    monkeypatch.setattr(overlay_keeper, "_engine", host.engine)
    monkeypatch.setattr(module, "_PATIENCE", 0)
    return host


def test_engine_has_the_time_of_one_look_and_what_it_missed_is_mended(host):
    keeper = Keeper()
    keeper.round()
    assert host.mended == []
    keeper.round()
    keeper.round()
    assert host.mended == [(f"3-{NET[:10]}", [("vxlan0", ROUTE)])]
    assert not overlay_keeper.survey()


def test_what_the_engine_does_itself_is_left_to_it(host):
    keeper = Keeper()
    keeper.round()
    host.device = Device("vxlan0", 256, {ROUTE.address: ROUTE.mac}, {ROUTE.mac: {ROUTE.host}})
    keeper.round()
    assert host.mended == []


def test_container_that_moves_between_two_looks_is_left_to_the_engine(host):
    keeper = Keeper()
    keeper.round()
    host.ends = {f"docker/network/v1.0/endpoint/{NET}/f/": {**END, "locator": "10.0.0.13"}}
    keeper.round()
    assert host.mended == []
    keeper.round()
    assert host.mended == [(f"3-{NET[:10]}", [("vxlan0", ROUTE._replace(host="10.0.0.13"))])]


def test_without_the_store_nothing_is_done_and_it_is_said_once(host, caplog):
    caplog.set_level("INFO")
    keeper = Keeper()
    host.store_answers = False
    host.containers = [LATE]
    for _ in range(3):
        keeper.round()
    assert host.mended == host.started == []
    assert len(caplog.records) == 1


def test_engine_without_a_store_is_left_alone(host):
    host.config = {}
    assert Keeper().round() > 0
    assert not overlay_keeper.survey()


def test_containers_that_the_engine_gave_up_are_started_once_it_answers(host):
    host.containers = [LATE]
    host.engine_answers = False
    keeper = Keeper()
    keeper.round()
    assert host.started == []
    host.engine_answers = True
    keeper.round()
    assert host.started == ["/containers/c1/start"]


def test_start_that_fails_is_not_tried_for_ever(host):
    host.containers = [LATE]
    keeper = Keeper()
    for _ in range(20):
        keeper.round()
    assert len(host.started) == 5


def test_container_that_fails_later_is_not_started_until_the_engine_starts(host, monkeypatch):
    keeper = Keeper()
    keeper.round()
    host.containers = [LATE]
    keeper.round()
    assert host.started == []
    monkeypatch.setattr(overlay_keeper, "_started", lambda _: 99.0)
    keeper.round()
    assert host.started == ["/containers/c1/start"]


def test_container_of_no_overlay_network_is_not_started(host):
    ends = {"bridge": {"NetworkID": "77"}}
    host.containers = [{**LATE, "NetworkSettings": {"Networks": ends}}]
    Keeper().round()
    assert host.started == []


def test_words_name_the_network_and_its_way():
    look = Look({NET: (Path("ns"), [("vxlan0", ROUTE)])}, [LATE])
    first, second = overlay_keeper.words(look)
    assert first == "the overlay network 5d3c131e2c8d has no way to 10.20.0.3 on 10.0.0.12"
    assert "web was not started" in second


# ---- by Salt


@pytest.fixture
def files(monkeypatch, tmp_path):
    """The service's files, in a folder of the test."""
    monkeypatch.setattr(keeper_unit, "UNIT", tmp_path / "swarm-overlay.service")
    monkeypatch.setattr(keeper_unit, "FOLDER", tmp_path / "lib")


@pytest.fixture
def salt(monkeypatch, host, files):
    """Return a function that sets pillar and how the service is."""

    def salt(runs=True, **pillar):
        salt = mocked(
            "service.stop",
            "service.disable",
            "service.enable",
            "service.restart",
            "service.systemctl_reload",
            swarm_settings__get=settings_of({**VALID, **pillar}),
            swarm_engine__exists=True,
            service__status=runs,
            service__enabled=runs,
        )
        monkeypatch.setattr(module, "__salt__", salt, raising=False)
        monkeypatch.setattr(module, "__opts__", {"id": "m1"}, raising=False)
        return salt

    return salt


def test_complaint_has_its_cure_and_heal_mends_it(host, salt):
    salt()
    (text,) = module.complaints()
    assert "no way to 10.20.0.3 on 10.0.0.12" in text
    assert "salt m1 swarm_overlay.heal" in text
    assert module.heal(test=True)
    assert host.mended == []
    assert len(module.heal()) == 1
    assert module.complaints() == module.heal() == []


@pytest.mark.parametrize("silent", ["store_answers", "engine_answers"])
def test_without_store_or_engine_there_is_no_complaint_and_an_error_of_heal(host, salt, silent):
    salt()
    setattr(host, silent, False)
    assert module.complaints() == []
    with pytest.raises(errors.StoreError, match="overlay networks of m1"):
        module.heal()


@pytest.mark.parametrize("test", [False, True])
def test_apply_waits_for_a_store_whose_servers_take_turns_and_test_mode_does_not(
    host, salt, monkeypatch, test
):
    """Seen in the lab: without a leader for a moment, Consul answers 500."""
    salt()
    host.store_answers, pauses = False, []

    def pause(seconds):
        pauses.append(seconds)
        host.store_answers = True

    monkeypatch.setattr(wait, "time", own_time(sleep=pause))
    changes = module.apply(test=test)
    assert bool(pauses) is not test
    assert ("overlay networks" in changes) is not test


def test_file_that_a_namespace_left_behind_is_none(host, monkeypatch):
    assert overlay_keeper.survey()
    monkeypatch.setattr(overlay_namespaces, "_OWN", Path("/proc/self/ns/net"))
    assert not overlay_keeper.survey()


@pytest.mark.parametrize("gone", [True, False])
def test_namespace_that_goes_is_none_and_a_missing_tool_is_an_error(host, monkeypatch, gone):
    def look(path):
        if gone:
            path.unlink()
        raise OSError("nsenter: failed to execute bridge")

    monkeypatch.setattr(overlay_keeper, "look", look)
    if gone:
        assert not overlay_keeper.survey()
    else:
        with pytest.raises(OSError, match="bridge"):
            overlay_keeper.survey()


def test_what_heal_cannot_do_is_an_error(host, salt, monkeypatch):
    salt()

    def fail(*_):
        raise OSError("nsenter: no such file")

    monkeypatch.setattr(overlay_keeper, "mend", fail)
    with pytest.raises(errors.StoreError, match="nsenter"):
        module.heal()


def test_service_comes_mends_and_is_left_alone(host, salt):
    mocks = salt()
    foretold = module.apply(test=True)
    assert host.mended == []
    assert not keeper_unit.UNIT.exists()
    assert module.apply() == foretold
    assert foretold["swarm-overlay"] == {"old": None, "new": "running"}
    assert "10.20.0.3" in foretold["overlay networks"]["old"][0]
    assert module.apply() == {}
    mocks["service.restart"].assert_called_once_with("swarm-overlay")
    mocks["service.enable"].assert_called_once_with("swarm-overlay")


def test_files_of_the_service_run_by_themselves(host, salt):
    """It has nothing of Salt's: what the program imports is among its files, or Python's own."""
    salt()
    module.apply()
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str
    unit.read(keeper_unit.UNIT)
    assert unit["Unit"]["After"] == "docker.service"
    service = unit["Service"]
    start, name = service["ExecStart"].rsplit(" -m ", 1)
    assert start == f"{keeper_unit.python()} -Es -B"
    alone = [sys.executable, "-EsS", "-B", "-c", f"import sys, {name} as it; print(it.__file__)"]
    folder = service["WorkingDirectory"]
    done = subprocess.run(alone, cwd=folder, check=True, capture_output=True, text=True)  # noqa: S603
    assert Path(folder) in Path(folder, done.stdout.strip()).parents


def test_files_of_a_former_version_of_the_program_go(host, salt):
    salt()
    module.apply()
    old = keeper_unit.FOLDER / "former/swarm_former.py"
    old.parent.mkdir()
    old.write_text("")
    assert module.apply(test=True)["swarm-overlay"]["old"] == "of another version"
    module.apply()
    assert not old.parent.exists()
    old.parent.mkdir()
    old.write_text("")
    module.remove()
    assert not keeper_unit.FOLDER.exists()


@pytest.mark.parametrize("what", ["stopped", "another version"])
def test_service_that_is_not_as_it_is_to_be_is_started(host, salt, what):
    salt()
    module.apply()
    mocks = salt(runs=what != "stopped")
    if what != "stopped":
        keeper_unit.UNIT.write_text("another")
    assert module.apply()["swarm-overlay"]["new"] == "running"
    mocks["service.restart"].assert_called_once_with("swarm-overlay")


def test_service_goes_where_it_is_not_wanted(host, salt):
    salt()
    module.apply()
    mocks = salt(overlay=False)
    assert module.apply(test=True) == {"swarm-overlay": {"old": "present", "new": None}}
    assert keeper_unit.UNIT.exists()
    assert module.apply() == {"swarm-overlay": {"old": "present", "new": None}}
    mocks["service.stop"].assert_called_once_with("swarm-overlay")
    assert not keeper_unit.UNIT.exists()
    assert not keeper_unit.FOLDER.exists()
    assert module.apply() == module.remove() == {}


def test_bare_machine_is_told_of_the_service_only(host, salt):
    host.config = {}
    salt()
    assert set(module.apply(test=True)) == {"swarm-overlay"}


def test_python_is_named_as_it_stays(monkeypatch, tmp_path):
    """Salt's onedir has ``python3`` beside ``python3.10``, and an upgrade brings ``python3.11``."""
    (tmp_path / "python3.10").touch()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python3.10"))
    assert keeper_unit.python() == str(tmp_path / "python3.10")
    (tmp_path / "python3").touch()
    assert keeper_unit.python() == str(tmp_path / "python3")
