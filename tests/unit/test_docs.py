"""
The papers say what is there, and everything that is there is in the papers.
"""

import ast
import fnmatch
import re
from pathlib import Path

import pytest
import yaml

from swarm_formula.classic import kept_options
from swarm_formula.compose import keys as compose_keys
from swarm_formula.docker import network_spec, volumes
from swarm_formula.service import content_options
from swarm_formula.spec import (
    option_table,
    service_mounts,
    service_networks,
    service_options,
    service_ports,
)
from swarm_formula.stack import options as stack_options
from tests.unit.test_pillar_example import faults

ROOT = Path(__file__).parents[2]
REFERENCE = (ROOT / "docs/reference.md").read_text()
PAPERS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/*.md"))]


def functions(path):
    """Return the public functions of a file as ``{name: docstring}``."""
    body = ast.parse(path.read_text()).body
    public = (one for one in body if isinstance(one, ast.FunctionDef) and one.name[0] != "_")
    return {one.name: ast.get_docstring(one) or "" for one in public}


MODULES = {path.stem: functions(path) for path in sorted(ROOT.glob("_modules/*.py"))}
STATES = {path.stem: functions(path) for path in sorted(ROOT.glob("_states/*.py"))}


def heading(title):
    """Return the anchor that a heading has on the usual web sites."""
    return re.sub(r"[^\w -]", "", title.strip().lower()).replace(" ", "-")


def rows(title):
    """Return the cells of the table under a heading of the reference."""
    section = re.split(r"^#+ ", REFERENCE.split(f"# {title}\n", 1)[1], flags=re.MULTILINE)[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split(" |")] for line in lines]


def code(text):
    """Return the words of a text that are marked as code."""
    return set(re.findall(r"`([^`]+)`", text))


def option_rows(table):
    """Return the cells of the paper's table for the options of an object."""
    for name, one in table.items():
        if one.shape is not option_table.SECTION:
            unset = "" if one.default in (None, [], {}) else f"`{str(one.default).lower()}`"
            yield [f"`{name}`", one.shape.expects, one.help, unset]


def names_of_tests(*patterns):
    """Return the names of the tests in files of the tests' folder."""
    paths = [path for one in patterns for path in (ROOT / "tests").glob(one)]
    return set(re.findall(r"def (test_\w+)", "".join(path.read_text() for path in paths)))


def test_paper_on_workloads_has_each_case_with_tests_that_exist():
    """A table of cases is worth what its tests are."""
    text = (ROOT / "docs/workloads.md").read_text().split("# Cases from the field\n")[1]
    lines = re.findall(r"^\| \d.*", text.split("\n## ")[0], flags=re.MULTILINE)
    cases = [[cell.strip() for cell in line.split("|")[1:5]] for line in lines]
    assert [case.partition(".")[0] for case, *_ in cases] == [str(one) for one in range(1, 26)]
    unit, cluster = names_of_tests("unit/**/test_*.py"), names_of_tests("builtin/test_*.py")
    for case, alone, on_hosts, result in cases:
        assert code(alone) <= unit, case
        assert code(on_hosts) <= cluster, case
        assert code(alone + on_hosts), case
        assert result, case


def test_each_line_of_who_has_what_names_tests_that_exist():
    """A claim on security is worth what its tests are."""
    text = (ROOT / "docs/security.md").read_text().split("# Who has broken into what has what\n")[1]
    lines = [line for line in text.split("\n## ")[0].splitlines() if line.startswith("| ")][1:]
    assert len(lines) > 6
    there = names_of_tests(*(f"{tier}/**/test_*.py" for tier in ("unit", "builtin", "integration")))
    for line in lines:
        named = set(re.findall(r"`(test_\w+)`", line.rpartition(" | ")[2]))
        assert named, line
        assert named - there == set()


def test_paper_on_workloads_has_every_option_as_the_table_has_it():
    text = (ROOT / "docs/workloads.md").read_text().split("| option | value | meaning | unset |")[1]
    lines = [line for line in text.split("\n#")[0].splitlines() if line.startswith("| `")]
    assert lines == [f"| {' | '.join(row)} |" for row in option_rows(service_options.OPTIONS)]


def of_parts(option, fields):
    """Return how the paper names the keys of the values in a list."""
    return {f"{option}: {key}" for key in fields}


SERVICE = {n for n, one in service_options.OPTIONS.items() if one.shape is not option_table.SECTION}
OURS = {
    "docker_swarm_service": {
        *SERVICE,
        *of_parts("mounts", service_mounts.FIELDS),
        *of_parts("networks", service_networks.FIELDS),
        *of_parts("ports", service_ports.FIELDS),
    },
    "docker_stack": set(stack_options.OPTIONS),
    "docker_secret and docker_config": set(content_options.OPTIONS),
    "docker_network": set(network_spec.FIELDS),
    "docker_volume": set(volumes.OPTIONS),
}


def spelled_out(names, known):
    """Return names with all that a `*` stands for."""
    return {
        one
        for name in names
        for one in (fnmatch.filter(known, name) if name.endswith(".*") else [name])
    }


@pytest.mark.parametrize("module", OURS)
def test_paper_compares_each_option_with_ansibles_and_no_other(module):
    text = (ROOT / "docs/workloads.md").read_text().split(f"\n### {module}\n")[1]
    lines = [line for line in text.split("\n#")[0].splitlines() if line.startswith("| ")][1:]
    cells = [[one.strip() for one in line.split("|")[1:4]] for line in lines]
    assert (
        spelled_out({one for _, ours, _ in cells for one in code(ours)}, OURS[module])
        == (OURS[module])
    )
    theirs = [one for cell, _, _ in cells for one in code(cell)]
    assert len(theirs) == len(set(theirs))
    # What one of both has alone comes with the reason.
    assert [line for line, (_, ours, why) in zip(lines, cells, strict=True) if not ours + why] == []


def test_paper_has_every_key_of_a_mount():
    text = (ROOT / "docs/workloads.md").read_text().split("\n### Keys of a mount\n")[1]
    lines = [line for line in text.split("\n#")[0].splitlines() if line.startswith("| `")]
    assert {one for line in lines for one in code(line.split("|")[1])} == set(service_mounts.FIELDS)


OF_CLASSIC = {
    key: reason
    for key, reason in compose_keys.REFUSED_IN_CLASSIC.items()
    if key not in compose_keys.REFUSED
}


def reasons(table):
    """Return the rows of the paper's table for keys and their reasons."""
    found: dict = {}
    for key, reason in table.items():
        found.setdefault(reason, []).append(f"`{key}`")
    return [f"| {', '.join(keys)} | {reason} |" for reason, keys in found.items()]


@pytest.mark.parametrize(
    ("title", "table"),
    [
        ("What a stack ignores", compose_keys.IGNORED),
        ("What a stack refuses", compose_keys.REFUSED),
        ("What classic mode refuses", kept_options.REFUSED),
        ("Stacks in classic mode", {**compose_keys.IGNORED_IN_CLASSIC, **OF_CLASSIC}),
    ],
)
def test_paper_on_workloads_has_every_key_that_is_not_kept(title, table):
    text = (ROOT / "docs/workloads.md").read_text().split(f"### {title}\n")[1]
    lines = [line for line in text.split("\n#")[0].splitlines() if line.startswith("| `")]
    assert lines == reasons(table)


def test_reference_names_every_sls_and_no_other():
    paths = (path.relative_to(ROOT).with_suffix("") for path in ROOT.glob("swarm/**/*.sls"))
    there = {".".join(path.parts).removesuffix(".init") for path in paths}
    assert {row[0].strip("`") for row in rows("SLS")} == there


def test_reference_names_every_module_and_every_state():
    table = {row[0].strip("`"): row[1:] for row in rows("State and execution modules")}
    assert set(table) == set(MODULES) | set(STATES)
    told = {name: code(cells[0]) for name, cells in table.items()}
    assert told == {name: set(STATES.get(name, ())) for name in table}
    for name, cells in table.items():
        assert code(cells[1]) <= set(MODULES[name]), name


@pytest.mark.parametrize("path", PAPERS, ids=lambda path: path.name)
def test_functions_of_the_formula_that_a_paper_names_exist(path):
    known = {
        f"{name}.{one}"
        for table in (MODULES, STATES)
        for name, public in table.items()
        for one in public
    }
    assert set(re.findall(r"\bswarm_\w+\.(?!py\b)\w+", path.read_text())) <= known


def test_files_that_operations_tells_of_are_those_of_the_code():
    text = (ROOT / "docs/operations.md").read_text().split("# What is where\n", 1)[1]
    source = "".join(path.read_text() for path in ROOT.glob("_*/**/*.py"))
    paths = re.findall(r"^\| `(/\S+)`", text, flags=re.MULTILINE)
    assert paths
    assert [path for path in paths if Path(path).name not in source] == []


@pytest.mark.parametrize("path", PAPERS, ids=lambda path: path.name)
def test_yaml_in_a_paper_is_yaml_and_its_pillars_are_valid(path):
    blocks = re.findall(r"^```yaml\n(.*?)^```", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    for block in blocks:
        value = yaml.safe_load(block)
        if "swarm" in value:
            # What is left out of an excerpt comes from the pillar that all nodes have.
            assert faults({"managers": ["m1"], **value["swarm"]})[0] == [], block


def peers(text):
    """Return what a text has under ``peer``."""
    block = re.search(r"^ *peer:\n(?: *#.*\n)* *\S.*:\n((?: +- \S+\n)+)", text, flags=re.MULTILINE)
    return yaml.safe_load(block[1])


PEERS = peers((ROOT / "swarm/master.sls").read_text())


@pytest.mark.parametrize("path", ["README.md", "docs/security.md", "lab/host/etc/salt/master"])
def test_minions_may_ask_the_same_by_every_paper(path):
    assert peers((ROOT / path).read_text()) == PEERS


def test_minions_may_ask_one_function_by_each_line_and_no_other():
    public = [f"{name}.{one}" for name, table in MODULES.items() for one in table]
    asked = [f"{one}{more}" for one in public for more in ("", "s", "_all")]
    # As Salt does: from the beginning, and by no more than what the expression says.
    assert [sum(bool(re.match(line, one)) for one in asked) for line in PEERS] == [1] * len(PEERS)


@pytest.mark.parametrize("path", PAPERS, ids=lambda path: path.name)
def test_links_of_a_paper_lead_somewhere(path):
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", path.read_text()):
        file, _, anchor = link.partition("#")
        target = path.parent / file if file else path
        assert target.exists(), link
        titles = re.findall(r"^#+ (.+)$", target.read_text(), flags=re.MULTILINE)
        assert not anchor or anchor in map(heading, titles), link


@pytest.mark.parametrize(
    ("module", "function"), [(name, one) for name, public in MODULES.items() for one in public]
)
def test_every_execution_function_has_an_example(module, function):
    example = rf"CLI Example:\n\n\.\. code-block:: bash\n\n    salt \S+ {module}\.{function}\b"
    assert re.search(example, MODULES[module][function])


@pytest.mark.parametrize(
    ("module", "function"), [(name, one) for name, public in STATES.items() for one in public]
)
def test_every_state_has_an_example(module, function):
    docs = STATES[module][function]
    example = re.search(r"\.\. code-block:: yaml\n\n((?:    .*\n|\n)+)", docs)
    assert example
    (state,) = yaml.safe_load(example[1]).values()
    assert list(state) == [f"{module}.{function}"]
