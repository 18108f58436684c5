"""
The manifest tells what there is: else a minion would go on with old modules.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import swarm_files

from _modules import swarm_modules

ROOT = Path(__file__).parents[2]
MANIFEST = json.loads((ROOT / "swarm/manifest.json").read_text())
FOLDERS = ("_utils", "_modules", "_states")


def test_manifest_is_that_of_the_modules():
    there = {
        f"{folder}/{path.name}": swarm_files.digest(path)
        for folder in FOLDERS
        for path in ROOT.glob(f"{folder}/*.py")
    }
    assert there == MANIFEST, "a module was changed: run bin/manifest"


def test_lines_are_those_of_the_modules():
    """ASCII: Salt writes them in the encoding of the host's locale."""
    lines = json.loads((ROOT / "swarm/modules.json").read_text())
    there = {name: (ROOT / name).read_text(encoding="ascii") for name in MANIFEST}
    assert {name: "\n".join([*each, ""]) for name, each in lines.items()} == there


def test_command_writes_the_manifest(tmp_path):
    for folder in (*FOLDERS, "swarm", "bin"):
        (tmp_path / folder).mkdir()
    command = tmp_path / "bin/manifest"
    shutil.copy(ROOT / "bin/manifest", command)
    for name in MANIFEST:
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run([command], check=True)  # noqa: S603
    for name in ("manifest.json", "modules.json"):
        assert (tmp_path / "swarm" / name).read_bytes() == (ROOT / "swarm" / name).read_bytes()


def minion(monkeypatch, folder):
    """Give a minion copies of all modules, in the folder where a sync puts them."""
    for name in MANIFEST:
        copy = folder / name.lstrip("_")
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes((ROOT / name).read_bytes())
    opts = {"extension_modules": str(folder)}
    monkeypatch.setattr(swarm_modules, "__opts__", opts, raising=False)


def test_minion_with_these_very_modules_has_nothing_to_sync(monkeypatch, tmp_path):
    minion(monkeypatch, tmp_path)
    assert swarm_modules.stale(MANIFEST) == []


def test_changed_and_missing_modules_are_told(monkeypatch, tmp_path):
    minion(monkeypatch, tmp_path)
    (tmp_path / "utils/swarm_wait.py").unlink()
    (tmp_path / "modules/swarm_engine.py").write_text("# of an older release\n")
    assert swarm_modules.stale(MANIFEST) == ["_modules/swarm_engine.py", "_utils/swarm_wait.py"]


def test_what_brings_the_modules_stands_on_none_of_them():
    """
    Python keeps what it has imported: the first run of a new release would mix it with the old one.
    """
    alone = "import sys, runpy; runpy.run_path(sys.argv[1])"
    path = ROOT / "_modules/swarm_modules.py"
    subprocess.run([sys.executable, "-I", "-c", alone, str(path)], check=True)  # noqa: S603
