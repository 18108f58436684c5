"""
The table of edits has every key of pillar, and the settings refuse what it says that they refuse.
"""

import json
import re
from types import SimpleNamespace

import pytest
import yaml

from swarm_formula.settings import parse, schema, warnings
from tests.matrix import rows
from tests.matrix.runner import Matrix, Watch, cases
from tests.unit.pillars import resolved
from tests.unit.test_pillar_example import EXAMPLE, HOSTS, M1, leaves, with_examples
from tests.wrong_pillars import merged

BASE = {"managers": list(HOSTS), "nodes": {"m*": {}}, "overlay": True}


def shape(path):
    """Return a path of pillar as the table has it: ``*`` for names of the user's."""
    return re.sub(r"^swarm:", "", re.sub(r":(nodes|networks|registries):.+:", r":\1:*:", path))


def keys(fields=schema.SCHEMA, path=""):
    """Return every key of the schema, ``*`` for names of the user's."""
    if isinstance(fields, schema.Each):
        return keys(fields.fields, f"{path}*:")
    if isinstance(fields, schema.Field | schema.Objects):
        return {path.rstrip(":")}
    return {one for key, field in fields.items() for one in keys(field, f"{path}{key}:")}


def found(case, mode):
    """Return the faults and warnings of a case's pillar."""
    base = BASE if mode == "classic" else {**BASE, "mode": "builtin", "overlay": False}
    text = json.dumps(merged(base, case.pillar())).replace("@subnet", "10.0.0.0/24")
    text = text.replace("@salt", "10.0.0.2").replace("@machine", "10.0.0.1")
    for name, address in HOSTS.items():
        text = text.replace(f"@{name}", address)
    settings, faults = resolved(json.loads(text), M1)
    return parse.texts(faults), warnings.warnings(settings) if not faults else []


class Host:
    """A stand-in for a lab of one host, whose containers outlive their entries in pillar."""

    settings = SimpleNamespace(subnet=["10.77.0.0", "10.77.0.1"])

    def __init__(self):
        self.lab, self.manager_port, self.wanted, self.containers = self, None, {}, {}

    def hosts(self):
        return ["m1"]

    def address(self, _host):
        return "10.77.0.11"

    def default_pillar(self):
        return {}

    def pillar(self, settings):
        self.wanted = settings.get("containers", {})

    def state(self, test=False):
        new = {key: one for key, one in self.wanted.items() if self.containers.get(key) != one}
        if not test:
            self.containers |= new
        told = {"__id__": "standalone containers are running", "result": True, "comment": ""}
        return {"m1": {"containers": {**told, "changes": new}}}

    def exec(self, *_words, **_input):
        seen = {"settings": {"containers": self.containers}, "identity": {}, "work": []}
        return SimpleNamespace(stdout=json.dumps(seen))

    def salt(self, _target, function, name):
        assert function == "swarm_container.remove"
        self.containers.pop(name, None)

    def wait(self, _healthy, _patience):
        return None


def test_what_stays_without_its_entry_is_removed_as_by_a_user():
    host = Host()
    matrix = Matrix(Watch(host, lambda: True, lambda _: None))
    (row,) = (row for row in rows.ROWS if row.key == "containers")
    for case in cases([row], "classic")[:2]:
        assert matrix.run(case) == []
    left = matrix.run(cases([row._replace(removal=())], "classic")[0])
    assert len(left) == 1
    assert left[0].startswith("taken back: /m1/containers/matrix was None")


def test_every_key_has_a_row_and_no_other():
    assert {row.key for row in rows.ROWS} == keys()


def test_every_mode_in_which_a_key_counts_has_a_value():
    empty = [row.key for row in rows.ROWS for mode in row.modes if not cases([row], mode)]
    assert empty == []


@pytest.mark.parametrize("mode", rows.BOTH)
def test_settings_refuse_what_they_can_see(mode):
    for case in cases(rows.ROWS, mode):
        _, value = case.edits[0]
        faults, _ = found(case, mode)
        if value.outcome == rows.REFUSED and not value.seen_later:
            assert any(value.words in one for one in faults), (case.id, faults)
        else:
            assert faults == [], case.id


def test_every_example_is_tried_or_the_row_says_why_not():
    examples = leaves(yaml.safe_load(with_examples(EXAMPLE.read_text()))["swarm"])
    tried = {}
    for row in rows.ROWS:
        tried.setdefault(row.key, []).extend(value.value for value in row.values)
    said = {row.key for row in rows.ROWS if row.instead}
    missing = [
        shape(path)
        for path, (value, default) in examples.items()
        if value != default and value not in tried[shape(path)] and shape(path) not in said
    ]
    assert missing == []
