"""
The engine behind a proxy: where each version has it, what goes past it, and no password shown.
"""

import json
import stat

import pytest
from salt.exceptions import CommandExecutionError

from _modules import swarm_engine, swarm_libraries
from swarm_formula.core import errors, host_files
from swarm_formula.daemon import file_plan, systemd_unit
from swarm_formula.daemon import proxy as daemon_proxy
from tests.unit.execution import mocked
from tests.unit.pillars import BUILTIN, VALID, settings_of

WORD = "p@ss%w/rd"
QUOTED = "p%40ss%25w%2Frd"
URL = "http://proxy.example.com:3128"
FULL = f"http://swarm:{QUOTED}@proxy.example.com:3128"
LOGIN = {"username": "me", "password": "/word"}
DIRECT = "localhost,127.0.0.0/8,::1,10.77.0.11,m1,m2,10.77.0.12,m3,10.77.0.13,127.0.0.1"


@pytest.fixture
def word(tmp_path, monkeypatch):
    """Return the file with the password; the formula's folder is one of the test."""
    monkeypatch.setattr(host_files, "CONFIG", tmp_path / "formula")
    path = tmp_path / "word"
    path.write_text(f"{WORD}\n")
    return path


@pytest.fixture
def behind(pillar, word):
    """Return a function that puts the engine behind the proxy."""

    def behind(**more):
        proxy = {"http": URL, "https": URL, "username": "swarm", "password": str(word), **more}
        return pillar(overlay=False, engine={"proxy": proxy})

    return behind


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_older_engine_has_it_in_the_environment_of_its_unit(converged, behind):
    behind()
    foreseen = swarm_engine.configure(test=True)
    done = swarm_engine.configure()
    env, dropin = daemon_proxy.environment_file(), converged.dropin.parent / "zz-swarm-proxy.conf"
    assert f'HTTPS_PROXY="{FULL}"\n' in env.read_text()
    assert mode(env) == 0o600
    assert dropin.read_text().endswith(f"[Service]\nEnvironmentFile={env}\n")
    assert "restart" in converged.calls
    assert "proxies" not in converged.on_disk()
    assert foreseen == done
    assert QUOTED not in json.dumps(done)
    assert "swarm:***@proxy.example.com" in json.dumps(done)
    assert swarm_engine.configure() == swarm_engine.configure(test=True) == {}


def test_engine_from_23_on_has_it_in_daemon_json(converged, behind):
    converged.version = "28.5.2"
    converged.json.chmod(0o640)
    behind()
    foreseen = swarm_engine.configure(test=True)
    done = swarm_engine.configure()
    wanted = {"http-proxy": FULL, "https-proxy": FULL, "no-proxy": DIRECT}
    assert converged.on_disk()["proxies"] == converged.config["proxies"] == wanted
    assert mode(converged.json) == mode(host_files.RECORD) == 0o600
    assert not daemon_proxy.environment_file().exists()
    assert foreseen == done
    assert QUOTED not in json.dumps(done)
    assert swarm_engine.configure() == {}


def test_upgrade_to_23_moves_it(converged, behind):
    behind()
    swarm_engine.configure()
    converged.upgraded = "28.5.2"
    done = swarm_engine.configure()
    assert converged.config["proxies"]["http-proxy"] == FULL
    assert not daemon_proxy.environment_file().exists()
    assert not [one for one in converged.dropin.parent.iterdir() if "proxy" in one.name]
    assert QUOTED not in json.dumps(done)


@pytest.mark.parametrize("version", ["20.10.24", "28.5.2"])
def test_other_password_is_a_change_that_shows_neither(converged, behind, word, version):
    converged.version = version
    behind()
    swarm_engine.configure()
    word.write_text("other-word")
    foreseen = swarm_engine.configure(test=True)
    assert swarm_engine.configure() == foreseen != {}
    assert QUOTED not in json.dumps(foreseen)
    assert "other-word" not in json.dumps(foreseen)


@pytest.mark.parametrize("version", ["20.10.24", "28.5.2"])
@pytest.mark.parametrize("way", ["clean", "pillar"])
def test_it_goes_and_leaves_nothing(converged, behind, pillar, version, way):
    converged.json.chmod(0o640)
    before = converged.on_disk()
    converged.version = version
    behind()
    pillar(overlay=False)
    swarm_engine.configure()
    before = converged.on_disk()
    behind()
    swarm_engine.configure()
    if way == "clean":
        before = None
        done = swarm_engine.clean()
    else:
        pillar(overlay=False)
        done = swarm_engine.configure()
    assert QUOTED not in json.dumps(done)
    assert converged.on_disk() == before
    if before is not None:
        assert mode(converged.json) == 0o640
    assert not daemon_proxy.environment_file().exists()
    assert not (converged.dropin.parent / "zz-swarm-proxy.conf").exists()
    record = host_files.RECORD
    assert not record.exists() or QUOTED not in record.read_text()


def test_refusal_of_the_engine_does_not_show_it(converged, behind):
    converged.version = "28.5.2"
    converged.never_starts_with = {"proxies"}
    before = converged.on_disk()
    behind()
    start, bad = converged.start, f"failed to start daemon: bad URL {FULL}"

    def speak(name):
        if "proxies" in (converged.on_disk() or {}):
            converged.journal.append(bad)
        return start(name)

    converged.start = speak
    behind()
    with pytest.raises(errors.SwarmError, match=r"swarm:\*\*\*@proxy") as caught:
        swarm_engine.configure()
    assert QUOTED not in str(caught.value)
    assert converged.on_disk() == before


@pytest.mark.usefixtures("daemon")
def test_password_that_is_nowhere_is_told_by_its_path(behind, word):
    behind()
    word.unlink()
    with pytest.raises(errors.SwarmError, match="swarm:engine:proxy:password"):
        swarm_engine.configure(test=True)


def bypass(**pillar):
    return daemon_proxy.bypass(settings_of(pillar))


def test_past_the_proxy_goes_what_the_swarm_needs():
    found = bypass(
        **{**VALID, "overlay": False, "store": "etcd://10.0.0.21:2379,10.0.0.22:2379"},
        engine={"proxy": {"http": URL, "no_proxy": [".example.com", "localhost"]}},
        registries={
            "hub.example.org:5000": {"ca_cert": "/ca.pem"},
            "10.0.0.5:5000": LOGIN,
            "ghcr.io": LOGIN,
            "docker.io": LOGIN,
        },
    )
    assert found[:2] == [".example.com", "localhost"]
    assert {"10.77.0.13", "10.0.0.21", "10.0.0.22", "hub.example.org:5000"} < set(found)
    assert "10.0.0.5:5000" in found
    assert not {"ghcr.io", "docker.io"} & set(found)
    assert len(found) == len(set(found))


def test_builtin_mode_has_no_store():
    assert "127.0.0.1" not in bypass(**BUILTIN)
    assert "10.77.0.12" in bypass(**BUILTIN)


def test_pip_has_it_in_its_environment_and_its_errors_do_not_show_it(monkeypatch, word):
    proxy = {"http": URL, "username": "swarm", "password": str(word)}
    salt = mocked(
        swarm_settings__get=settings_of({**VALID, "engine": {"proxy": proxy}}),
        pip__install=CommandExecutionError(f"Unable to run pip with {FULL}"),
    )
    monkeypatch.setattr(swarm_libraries, "__salt__", salt, raising=False)
    monkeypatch.setattr(swarm_libraries, "_version", lambda _: None)
    with pytest.raises(errors.SdkMissingError, match="could not install") as caught:
        swarm_libraries.install()
    assert QUOTED not in str(caught.value)
    given = salt["pip.install"].call_args.kwargs
    assert given["env_vars"]["HTTP_PROXY"] == given["env_vars"]["http_proxy"] == FULL
    assert "10.77.0.12" in given["env_vars"]["NO_PROXY"]
    assert "proxy" not in given


def test_no_file_of_it_takes_the_socket_away(word, tmp_path):
    files = daemon_proxy.files({"http-proxy": FULL, "no-proxy": ""}, "20.10", tmp_path)
    units = "\n".join(f"# {path}\n{text}" for path, text in files.items())
    assert systemd_unit.later(units) == []
    assert file_plan.DAEMON not in files
