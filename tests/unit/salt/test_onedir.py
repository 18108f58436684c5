"""
The libraries in the layout of Salt's own packages (onedir), with Salt's own ``salt-pip`` and a real
pip: a folder takes the place of ``/opt/saltstack/salt``. No such package is installed here.
"""

import importlib.metadata
import sys
import sysconfig
import venv
import zipfile

import pytest
import salt.config
import salt.loader

from _modules import swarm_libraries
from swarm_formula.core import host_files
from tests.unit.pillars import VALID, settings_of

WHEELS = {"docker": "7.1.0", "python_consul": "1.1.0"}
# What /usr/bin/salt-pip does in the Python of the package.
SALT_PIP = """#!{python}
import pathlib, sys
sys.RELENV = pathlib.Path({root!r})
from salt.scripts import salt_pip
salt_pip()
"""


def _make_wheel(folder, name, version):
    """Make a package without anything to import: what pip tells of it is enough."""
    about = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", "")
        wheel.writestr(
            f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        wheel.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{about}/RECORD", f"{name}.py,,\n")


@pytest.fixture
def extras(tmp_path, monkeypatch):
    """Return the folder where a package of Salt has what was installed in addition to it."""
    root = tmp_path / "salt"
    # A Python with its own prefix, as that of a package, and with pip and Salt of the tests.
    venv.create(root, symlinks=True)
    (own,) = root.glob("lib/python*/site-packages")
    (own / "tests.pth").write_text(sysconfig.get_path("purelib"))
    script = root / "salt-pip"
    script.write_text(SALT_PIP.format(python=root / "bin/python", root=str(root)))
    script.chmod(0o755)
    monkeypatch.setattr(sys, "RELENV", root, raising=False)
    extras = root / "extras-{}.{}".format(*sys.version_info)

    def version(name):
        # The tests' own Python has these libraries as well, in another folder.
        for found in importlib.metadata.distributions(name=name, path=[str(extras)]):
            return found.version
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setattr(host_files, "RECORD", tmp_path / "record.json")
    return extras


@pytest.fixture
def functions(tmp_path, monkeypatch):
    """Have Salt's own functions, and wheels in a folder."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for name, version in WHEELS.items():
        _make_wheel(wheels, name, version)
    settings = settings_of({**VALID, "libraries": {"source": str(wheels)}})
    opts = salt.config.minion_config(None)
    opts |= {"root_dir": str(tmp_path), "cachedir": str(tmp_path / "cache"), "grains": {}}
    found = salt.loader.minion_mods(opts)
    given = {one: found[one] for one in ("pip.install", "pip.uninstall")}
    given["swarm_settings.get"] = lambda: settings
    monkeypatch.setattr(swarm_libraries, "__salt__", given, raising=False)


@pytest.mark.usefixtures("functions")
def test_libraries_go_where_salts_package_looks_and_from_there(extras):
    assert len(swarm_libraries.missing()) == len(WHEELS)
    changes = swarm_libraries.install()
    assert sorted(one["new"] for one in changes.values()) == ["docker 7.1.0", "python-consul 1.1.0"]
    assert {f"{one}.py" for one in WHEELS} <= {one.name for one in extras.iterdir()}
    assert swarm_libraries.install() == {}
    assert swarm_libraries.remove() == {
        requirement: {"old": change["new"], "new": None} for requirement, change in changes.items()
    }
    assert len(swarm_libraries.missing()) == len(WHEELS)
    assert not [*extras.glob("*.py")]
