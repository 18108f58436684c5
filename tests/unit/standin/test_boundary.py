"""
The stand-in of Swarm 1.2.9 is a place of its own: two doors, and no circle of imports within.
"""

import ast
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[3]
PLACE = ROOT / "lab/standin"
DOORS = {"lab.standin.build", "lab.standin.outside"}
# Its own tests know its insides.
OWN_TESTS = ("tests/unit/standin", "tests/contract")


def imported(path):
    """Return the modules that a file imports, relative ones of the stand-in by their names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(filter(None, ["lab.standin" if node.level else "", node.module]))
            found |= {base, *(f"{base}.{one.name}" for one in node.names)}
    modules = {f"lab.standin.{one.stem}" for one in PLACE.glob("*.py")}
    return found & modules


def test_nothing_outside_imports_its_insides():
    files = [path for top in ("lab", "tests", "bench") for path in (ROOT / top).rglob("*.py")]
    outside = {
        path
        for path in files
        if PLACE not in path.parents and not str(path.relative_to(ROOT)).startswith(OWN_TESTS)
    }
    found = {str(path.relative_to(ROOT)): imported(path) - DOORS for path in outside}
    assert {path: names for path, names in found.items() if names} == {}
    assert any(imported(path) & DOORS for path in outside), "the doors are used"


def test_its_modules_import_each_other_in_no_circle():
    left = {f"lab.standin.{path.stem}": imported(path) for path in PLACE.glob("*.py")}
    assert len(left) > 20
    while free := [name for name, needs in left.items() if not needs & left.keys()]:
        for name in free:
            del left[name]
    assert left == {}
