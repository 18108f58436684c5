import importlib.metadata

import pytest

from _modules import swarm_libraries
from swarm_formula.core import errors, host_files
from tests.unit.execution import mocked
from tests.unit.pillars import BUILTIN, VALID, settings_of

BOTH = {"docker": "7.1.0", "python-consul": "1.1.0"}
DOCKER, CONSUL = "docker>=5,<8", "python-consul>=1.1,<2"


@pytest.fixture
def there(monkeypatch, tmp_path):
    """Return the distributions that are there, ``{name: version}``; the test changes them."""
    found = {}

    def version(name):
        if name not in found:
            raise importlib.metadata.PackageNotFoundError(name)
        return found[name]

    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setattr(host_files, "RECORD", tmp_path / "record.json")
    return found


@pytest.fixture
def salt(monkeypatch, there):
    """Have a pip that installs and removes."""

    def install(pkgs, **_):
        there.update({one.split(">")[0]: "9" for one in pkgs})
        return {"retcode": 0, "stdout": "", "stderr": ""}

    def uninstall(pkgs):
        for one in pkgs:
            del there[one]

    salt = mocked(
        "cp.cache_dir",
        "cp.cache_file",
        pip__install=install,
        pip__uninstall=uninstall,
        swarm_settings__get=settings_of(VALID),
    )
    monkeypatch.setattr(swarm_libraries, "__salt__", salt, raising=False)
    return salt


@pytest.mark.parametrize(
    ("found", "missing"),
    [
        ({}, [DOCKER, CONSUL]),
        ({"docker": "7.1.0"}, [CONSUL]),
        ({"docker": "7.1.0", "python-consul": "1.1.0"}, []),
        ({"docker": "7.1.0", "py-consul": "1.5.3"}, []),
    ],
    ids=str,
)
@pytest.mark.usefixtures("salt")
def test_missing(there, found, missing):
    there.update(found)
    assert swarm_libraries.missing() == missing


def test_builtin_mode_needs_no_library_of_consul(salt, there):
    salt["swarm_settings.get"].return_value = settings_of(BUILTIN)
    assert swarm_libraries.missing() == [DOCKER]
    assert list(swarm_libraries.install()) == [DOCKER]
    assert salt["pip.install"].call_args.kwargs["pkgs"] == [DOCKER]
    assert "python-consul" not in there


def wheels(salt, source, **kept):
    salt["swarm_settings.get"].return_value = settings_of(
        {**VALID, "libraries": {"source": source}}
    )
    salt["cp.cache_dir"].return_value = [str(one) for one in kept.get("cached", ())]


def test_folder_with_wheels_is_all_that_pip_asks(salt, tmp_path):
    (tmp_path / "docker-7.1.0-py3-none-any.whl").touch()
    wheels(salt, str(tmp_path))
    swarm_libraries.install()
    given = salt["pip.install"].call_args.kwargs
    assert (given["no_index"], given["find_links"]) == (True, [str(tmp_path)])


def test_wheels_of_salts_file_server_are_fetched(salt, tmp_path):
    cached = [tmp_path / "files/base/wheels/README", tmp_path / "files/base/wheels/docker-7.whl"]
    wheels(salt, "salt://wheels", cached=cached)
    swarm_libraries.install(test=True)
    salt["cp.cache_dir"].assert_not_called()
    swarm_libraries.install()
    assert salt["cp.cache_dir"].call_args.args == ("salt://wheels",)
    assert salt["pip.install"].call_args.kwargs["find_links"] == [str(cached[0].parent)]


@pytest.mark.parametrize("source", ["salt://wheels", "/no/such/folder"])
def test_source_without_wheels_says_how_to_make_them(salt, source):
    wheels(salt, source)
    with pytest.raises(errors.SdkMissingError, match=r"swarm:libraries:source.*pip wheel"):
        swarm_libraries.install()
    salt["pip.install"].assert_not_called()


def pinned(salt, place, **more):
    given = {"requirements": place, **more}
    salt["swarm_settings.get"].return_value = settings_of({**VALID, "libraries": given})


@pytest.mark.parametrize("served", [True, False], ids=["salt://", "path"])
def test_requirements_with_hashes_are_all_that_pip_installs(salt, there, tmp_path, served):
    path = tmp_path / "pins.txt"
    path.touch()
    (tmp_path / "docker-7.1.0-py3-none-any.whl").touch()
    salt["cp.cache_file"].return_value = str(path)

    def install(**_):
        there.update(BOTH)
        return {"retcode": 0}

    salt["pip.install"].side_effect = install
    pinned(salt, "salt://pins.txt" if served else str(path), source=str(tmp_path))
    swarm_libraries.install()
    salt["pip.install"].assert_called_once_with(
        requirements=str(path),
        extra_args=["--require-hashes"],
        no_index=True,
        find_links=[str(tmp_path)],
        disable_version_check=True,
    )


@pytest.mark.parametrize("place", ["salt://pins.txt", "/no/such/file"])
def test_requirements_that_are_missing_are_named(salt, place):
    salt["cp.cache_file"].return_value = False
    pinned(salt, place)
    with pytest.raises(errors.SdkMissingError, match=rf"{place} for m1 \(swarm:libraries:req"):
        swarm_libraries.install()
    salt["pip.install"].assert_not_called()


def test_install_brings_what_is_missing(salt, there):
    there["docker"] = "7.1.0"
    assert swarm_libraries.install() == {CONSUL: {"old": None, "new": "python-consul 9"}}
    assert salt["pip.install"].call_args.kwargs["pkgs"] == [CONSUL]
    assert swarm_libraries.install() == {}


@pytest.mark.usefixtures("there")
def test_test_mode_promises_and_installs_nothing(salt):
    assert swarm_libraries.install(test=True) == {
        DOCKER: {"old": None, "new": DOCKER},
        CONSUL: {"old": None, "new": CONSUL},
    }
    salt["pip.install"].assert_not_called()


@pytest.mark.parametrize(
    "result",
    [
        {"retcode": 1, "stdout": "", "stderr": "No matching distribution found for docker"},
        {"retcode": 1, "stdout": "No matching distribution found for docker"},
        # a pip that reports success for another Python
        {"retcode": 0, "stdout": "No matching distribution found for docker", "stderr": None},
    ],
    ids=["stderr", "stdout", "nothing there"],
)
@pytest.mark.usefixtures("there")
def test_pip_that_fails_is_quoted(monkeypatch, result):
    salt = mocked(pip__install=result, swarm_settings__get=settings_of(VALID))
    monkeypatch.setattr(swarm_libraries, "__salt__", salt, raising=False)
    with pytest.raises(errors.SdkMissingError, match="No matching distribution found"):
        swarm_libraries.install()
    assert not host_files.RECORD.exists()


@pytest.mark.usefixtures("there")
def test_python_of_the_system_gets_its_packages(monkeypatch):
    """As Debian 12 and Ubuntu 24.04 have it, and not Salt's own packages."""
    result = {"retcode": 1, "stderr": "error: externally-managed-environment\n\nThis environment"}
    salt = mocked(pip__install=result, swarm_settings__get=settings_of(VALID))
    monkeypatch.setattr(swarm_libraries, "__salt__", salt, raising=False)
    with pytest.raises(errors.SdkMissingError, match=r"own Python: .* python3-docker"):
        swarm_libraries.install()


def test_remove_takes_away_what_install_brought_and_no_more(salt, there):
    there["docker"] = "7.1.0"
    swarm_libraries.install()
    assert swarm_libraries.remove(test=True) == {CONSUL: {"old": "python-consul 9", "new": None}}
    assert "python-consul" in there
    assert swarm_libraries.remove() == {CONSUL: {"old": "python-consul 9", "new": None}}
    assert there == {"docker": "7.1.0"}
    assert swarm_libraries.remove() == {}
    salt["pip.uninstall"].assert_called_once()


@pytest.mark.usefixtures("salt")
def test_remove_without_anything_of_ours(there):
    there.update(BOTH)
    assert swarm_libraries.remove() == {}
    assert there == BOTH
