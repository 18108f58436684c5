"""
The rooms of the library (`_utils/swarm_formula`): a room knows only rooms below it.
"""

import ast
import graphlib

import pytest

from tests.conftest import REPO_ROOT

pytestmark = pytest.mark.once

UTILS = REPO_ROOT / "_utils"
# From the ground up. A room may import what is in the rooms that it names, and in itself.
ROOMS = {
    "core": "",
    "overlay": "",
    "firewall": "core",
    "salt": "core",
    "spec": "core",
    "tls": "core salt",
    "docker": "core spec tls",
    "standalone": "core tls docker",
    "registry": "core salt tls docker standalone",
    "cluster": "core salt spec tls docker",
    "consul": "core salt tls docker standalone",
    "daemon": "core salt tls docker standalone",
    "engine": "core salt tls docker standalone cluster consul daemon",
    "package": "core salt docker standalone daemon engine",
    "classic": "core salt spec tls docker standalone cluster consul daemon",
    "service": "core salt spec docker cluster",
    "builtin": "core salt spec tls docker cluster daemon engine service",
    "compose": "core spec docker classic service",
    "stack": "core salt spec docker cluster classic service compose",
    "settings": "core firewall spec docker standalone cluster daemon classic service stack",
    "fleet": "core salt tls cluster consul",
    "modes": "core salt consul classic builtin stack",
}
MOST = 25


def imported(node):
    """Return the names of the modules that a node of a file imports."""
    if isinstance(node, ast.Import):
        return [one.name for one in node.names]
    if isinstance(node, ast.ImportFrom):
        module = "." * node.level + (node.module or "")
        return [f"{module}.{one.name}" for one in node.names]
    return []


def fault(room, name):
    """Return what is wrong with an import of a file in a room, ``None`` if nothing is."""
    if name.startswith("."):
        return "a relative import"
    package, _, rest = name.partition(".")
    if package.startswith("swarm_") and package != "swarm_formula":
        return f"{package} is no part of the library"
    if package != "swarm_formula":
        return None
    other = rest.split(".")[0]
    if other not in ROOMS:
        return f"there is no room {other!r}"
    if other != room and other not in ROOMS[room].split():
        return f"{room} does not know {other}"
    return None


def faults(folder):
    """Return what is wrong with the files below a folder, as ``file:line: text``."""
    found = [f"{path.name}:1: a file outside of the rooms" for path in folder.glob("*.py")]
    for path in sorted(folder.glob("*/**/*.py")):
        place = path.relative_to(folder)
        package, *rooms, _ = place.parts
        room = rooms[0] if rooms else None
        if package != "swarm_formula" or len(rooms) > 1 or (room and room not in ROOMS):
            found.append(f"{place}:1: an unknown room")
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            texts = [fault(room, name) for name in imported(node)]
            if room is None and texts:
                texts = ["imports nothing"]
            found += [f"{place}:{node.lineno}: {text}" for text in texts if text]
    return found


def arrows(folder):
    """
    Return which files each file imports, also in functions, by their names below the folder.

    What is imported for a type checker only is left out.
    """
    files = {str(path.relative_to(folder)): path for path in folder.glob("*/*/*.py")}
    found = {}
    for place, path in files.items():
        tree = ast.parse(path.read_text())
        blocks = [node for node in ast.walk(tree) if isinstance(node, ast.If)]
        typing = [node for node in blocks if ast.unparse(node.test) == "TYPE_CHECKING"]
        skipped = {id(node) for block in typing for node in ast.walk(block)}
        names = [
            name for node in ast.walk(tree) if id(node) not in skipped for name in imported(node)
        ]
        # ``a.b`` is a file, or a name in the file ``a``.
        places = [
            f"{one.replace('.', '/')}.py"
            for name in names
            for one in (name, name[: name.rfind(".")])
        ]
        found[place] = {one for one in places if one in files}
    return found


def test_no_circle_of_files_is_hidden_by_an_import_in_a_function():
    order = graphlib.TopologicalSorter(arrows(UTILS)).static_order()
    assert len([*order]) == len([*UTILS.glob("*/*/*.py")])


def test_a_circle_through_a_function_is_found(tmp_path):
    room = tmp_path / "swarm_formula/core"
    room.mkdir(parents=True)
    (room / "a.py").write_text("from swarm_formula.core import b\n")
    (room / "b.py").write_text("def f():\n    from swarm_formula.core.a import x\n")
    with pytest.raises(graphlib.CycleError):
        graphlib.TopologicalSorter(arrows(tmp_path)).prepare()


def test_rooms_know_only_rooms_below():
    assert faults(UTILS) == []


def test_table_has_no_circle_and_no_room_that_is_not_there():
    below = set()
    for room, known in ROOMS.items():
        assert set(known.split()) <= below, room
        below.add(room)
    folders = {path.parent.name for path in UTILS.glob("swarm_formula/*/*.py")}
    assert folders == below


@pytest.mark.parametrize("room", ROOMS)
def test_room_is_small_and_its_first_file_says_what_it_holds(room):
    folder = UTILS / "swarm_formula" / room
    assert len(list(folder.glob("*.py"))) <= MOST + 1
    (text,) = ast.parse((folder / "__init__.py").read_text()).body
    assert isinstance(text.value.value, str)
    assert len(text.value.value.splitlines()) == 1


@pytest.mark.parametrize(
    ("file", "text", "fault"),
    [
        ("swarm_other.py", "", "swarm_other.py:1: a file outside of the rooms"),
        ("other/a.py", "", "other/a.py:1: an unknown room"),
        ("swarm_formula/attic/a.py", "", "attic/a.py:1: an unknown room"),
        ("swarm_formula/core/more/a.py", "", "more/a.py:1: an unknown room"),
        ("swarm_formula/__init__.py", "import json\n", "__init__.py:1: imports nothing"),
        (
            "swarm_formula/core/a.py",
            "\nimport swarm_formula.tls.pki\n",
            ":2: core does not know tls",
        ),
        (
            "swarm_formula/core/a.py",
            "from swarm_formula import tls\n",
            ":1: core does not know tls",
        ),
        (
            "swarm_formula/core/a.py",
            "from swarm_formula.tls import pki",
            ":1: core does not know tls",
        ),
        ("swarm_formula/core/a.py", "from swarm_formula.tls.pki import x", "does not know tls"),
        ("swarm_formula/tls/a.py", "def f():\n    from swarm_formula.fleet import x\n", ":2: tls"),
        ("swarm_formula/tls/a.py", "from swarm_formula.attic import x\n", "no room 'attic'"),
        ("swarm_formula/tls/a.py", "from ..core import x\n", ":1: a relative import"),
        ("swarm_formula/tls/a.py", "import swarm_other\n", ":1: swarm_other is no part"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line(tmp_path, file, text, fault):
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    (found,) = faults(tmp_path)
    assert fault in found
