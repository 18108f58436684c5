"""
The manifest tells what there is: else a minion would go on with old modules.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from _modules import swarm_modules
from swarm_formula.core import host_files

ROOT = Path(__file__).parents[2]
MANIFEST = json.loads((ROOT / "swarm/manifest.json").read_text())
HASHES = {name: digest for name, digest in MANIFEST.items() if digest is not None}
FOLDERS = ("_utils", "_modules", "_states")


def test_manifest_is_that_of_the_modules():
    there = {
        str(path.relative_to(ROOT)): host_files.digest(path)
        for folder in FOLDERS
        for path in ROOT.glob(f"{folder}/**/*.py")
    }
    assert there == HASHES, "a module was changed: run bin/manifest"


def test_lines_are_those_of_the_modules():
    """ASCII: Salt writes them in the encoding of the host's locale."""
    lines = json.loads((ROOT / "swarm/modules.json").read_text())
    there = {name: (ROOT / name).read_text(encoding="ascii") for name in HASHES}
    assert {name: "\n".join([*each, ""]) for name, each in lines.items()} == there


@pytest.fixture
def tree(tmp_path):
    """Return a folder with the modules, for which the manifest is to be written."""
    for name in (*HASHES, "swarm/manifest.json", "bin/manifest"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def written(tree):
    """Return the files that the command writes."""
    subprocess.run([tree / "bin/manifest"], check=True)  # noqa: S603
    return {path.name: path.read_bytes() for path in (tree / "swarm").iterdir()}


def test_command_writes_the_manifest(tree):
    there = {
        name: (ROOT / "swarm" / name).read_bytes() for name in ("manifest.json", "modules.json")
    }
    assert written(tree) == written(tree) == there


def test_file_that_is_gone_stays_in_the_manifest(tree):
    name = "_utils/swarm_formula/room/leaf.py"
    path = tree / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("# a module\n")
    assert json.loads(written(tree)["modules.json"])[name] == ["# a module"]
    path.unlink()
    files = written(tree)
    assert json.loads(files["manifest.json"]) == {**MANIFEST, name: None}
    assert name not in json.loads(files["modules.json"])
    assert written(tree) == files


def minion(monkeypatch, folder):
    """Give a minion copies of all modules, in the folder where a sync puts them."""
    for name in HASHES:
        copy = folder / name.lstrip("_")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((ROOT / name).read_bytes())
    opts = {"extension_modules": str(folder)}
    monkeypatch.setattr(swarm_modules, "__opts__", opts, raising=False)


def test_minion_with_these_very_modules_has_nothing_to_sync(monkeypatch, tmp_path):
    minion(monkeypatch, tmp_path)
    assert swarm_modules.stale(MANIFEST) == []


def test_changed_and_missing_modules_are_told(monkeypatch, tmp_path):
    minion(monkeypatch, tmp_path)
    (tmp_path / "utils/swarm_formula/core/wait.py").unlink()
    (tmp_path / "modules/swarm_engine.py").write_text("# of an older release\n")
    assert swarm_modules.stale(MANIFEST) == [
        "_modules/swarm_engine.py",
        "_utils/swarm_formula/core/wait.py",
    ]


def test_module_that_is_to_be_gone_is_told(monkeypatch, tmp_path):
    minion(monkeypatch, tmp_path)
    gone = {"_utils/swarm_gone.py": None}
    assert swarm_modules.stale({**MANIFEST, **gone}) == []
    (tmp_path / "utils/swarm_gone.py").write_text("")
    assert swarm_modules.stale({**MANIFEST, **gone}) == [*gone]


def test_what_brings_the_modules_stands_on_none_of_them():
    """
    Python keeps what it has imported: the first run of a new release would mix it with the old one.
    """
    alone = "import sys, runpy; runpy.run_path(sys.argv[1])"
    path = ROOT / "_modules/swarm_modules.py"
    subprocess.run([sys.executable, "-I", "-c", alone, str(path)], check=True)  # noqa: S603
