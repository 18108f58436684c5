"""
What a job imports: only the rooms that its mode needs, for an import takes longer than most checks.
"""

import json
import subprocess
import sys

import pytest

from swarm_formula.core import modes
from tests.conftest import REPO_ROOT

# The modules that `state.apply swarm` loads in builtin mode, and those that the master calls.
OF_BUILTIN = (
    "builtin ca ca_copy client consul engine firewall leader libraries network node package"
    " registry repository service settings tls turn"
).split()
LOAD = """
import importlib.util, json, sys
from pathlib import Path

for place in map(Path, sys.argv[1:]):
    spec = importlib.util.spec_from_file_location(place.parent.name + place.stem, place)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
print(json.dumps(list(sys.modules)))
"""
USE = """
import json, sys
from swarm_formula.modes import verbs

# Not the stacks: the table of a compose file's keys is for both modes.
for name, verb in verbs.VERBS[sys.argv[1]]._asdict().items():
    if name != "stacks":
        verb()
print(json.dumps(list(sys.modules)))
"""


def imported(program, *arguments):
    """Return the modules that a program has imported in a process of its own."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    path = {"PYTHONPATH": str(REPO_ROOT / "_utils")}
    done = subprocess.run(  # noqa: S603
        command, env=path, check=True, capture_output=True, timeout=60
    )
    return json.loads(done.stdout)


def rooms(names):
    return {name.split(".")[1] for name in names if name.startswith("swarm_formula.")}


def test_modules_of_builtin_mode_import_no_room_of_classic_mode_and_none_of_workloads():
    files = [REPO_ROOT / f"_modules/swarm_{name}.py" for name in OF_BUILTIN]
    files += [
        one for name in OF_BUILTIN if (one := REPO_ROOT / f"_states/swarm_{name}.py").exists()
    ]
    found = imported(LOAD, *files)
    assert {"builtin", "cluster", "settings"} <= rooms(found)
    assert not rooms(found) & {"classic", "compose", "consul", "overlay", "service", "stack"}
    # Nearly a third of all imports, and an engine without a TCP port has no certificate.
    assert "cryptography.x509" not in found


@pytest.mark.parametrize("mode", modes.MODES)
def test_verbs_of_a_mode_import_no_room_of_the_other_one(mode):
    other = {"classic": {"builtin"}, "builtin": {"classic", "consul"}}[mode]
    assert not rooms(imported(USE, mode)) & other
