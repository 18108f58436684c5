"""
Files and functions stay small enough to be read at once. What is longer is in a table, with why.
"""

import ast

import pytest

from tests.conftest import REPO_ROOT

pytestmark = pytest.mark.once

FOLDERS = ("_engines", "_modules", "_runners", "_states", "_utils", "lab")
LIBRARY = "_utils/swarm_formula"
# Lines of a file; lines of a function below its signature and docstring.
FILE, FUNCTION = 300, 30
LONG_FILES = {
    "_engines/swarm_autojoin.py": "a process that runs for long imports nothing that a sync renews",
    "_modules/swarm_service.py": "one noun in one file; two thirds are docstrings",
    "_runners/swarm.py": "one noun in one file; two thirds are docstrings",
    f"{LIBRARY}/cluster/membership.py": "one decision: the order of its steps is read as a whole",
    f"{LIBRARY}/core/settings_types.py": "declarations: one class for each section of the pillar",
    f"{LIBRARY}/daemon/holdings.py": "each key of the table needs the reader of its data",
    f"{LIBRARY}/service/rollout.py": "the tables of tasks are judged as the rollout is",
    f"{LIBRARY}/settings/schema.py": "one table: the pillar",
    f"{LIBRARY}/spec/service_options.py": "one table: the options of a service",
}
LONG_FUNCTIONS = {
    f"{LIBRARY}/settings/topology.py resolve": "names every derived setting once",
    "lab/cli.py parser": "the commands and their options, one after the other",
    f"{LIBRARY}/spec/service_options.py _rollout": "a part of the table, for two sections",
}


def sources():
    """Return the files with their places in the repository."""
    paths = [path for folder in FOLDERS for path in sorted((REPO_ROOT / folder).rglob("*.py"))]
    return {str(path.relative_to(REPO_ROOT)): path.read_text() for path in paths}


def length(function):
    """Return the lines of a function, without its signature and its docstring."""
    has_text = ast.get_docstring(function, clean=False) is not None
    body = function.body[1:] if has_text else function.body
    return function.end_lineno - body[0].lineno + 1 if body else 0


def functions(text):
    """Return the functions of a file, also those inside of others, as ``(name, lines)``."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = [node for node in ast.walk(ast.parse(text)) if isinstance(node, kinds)]
    return {(node.name, length(node)) for node in found}


def test_files_are_small():
    long = {name for name, text in sources().items() if len(text.splitlines()) > FILE}
    assert long == set(LONG_FILES)


def test_functions_are_small():
    long = {
        f"{name} {function}"
        for name, text in sources().items()
        for function, lines in functions(text)
        if lines > FUNCTION
    }
    assert long == set(LONG_FUNCTIONS)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("def f():\n    return 1\n", {("f", 1)}),
        (
            'def f(\n    a,\n):\n    """\n    Text.\n    """\n    b = a\n\n    return b\n',
            {("f", 3)},
        ),
        ('def f():\n    """Text."""\n', {("f", 0)}),
        ("class C:\n    def f(self):\n        def g():\n            pass\n", {("f", 2), ("g", 1)}),
    ],
)
def test_signature_and_docstring_are_not_counted(text, found):
    assert functions(text) == found
