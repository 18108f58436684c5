"""
The pillar that people copy: complete, valid, and true about the defaults.
"""

import re
from pathlib import Path

import yaml

from swarm_formula.settings import parse, schema, topology
from tests.unit.pillars import resolved

EXAMPLE = Path(__file__).parents[2] / "pillar.example"
HOSTS = {"m1": "10.0.0.11", "m2": "10.0.0.12", "m3": "10.0.0.13"}
# The host that all papers speak of.
M1 = topology.Minion(
    id="m1",
    local=False,
    interfaces={"eth0": [HOSTS["m1"]]},
    resolve=HOSTS.get,
    towards=lambda _: HOSTS["m1"],
)

# Values that are an example, not the default.
EXAMPLES = {
    "swarm:managers": ["m1", "m2", "m3"],
    "swarm:networks:backend:driver": "bridge",
    "swarm:registries:registry.example.com:5000:ca_cert": "/etc/ssl/registry-ca.pem",
}
# They cannot be used yet, and the file says so in place of an example.
WITHOUT_EXAMPLE = {
    f"swarm:manager:options:{flag}"
    for flag in ("tls", "tlsverify", "tlscacert", "tlscert", "tlskey")
}


def faults(pillar):
    """Return what the checker finds on m1, and the resolved settings."""
    settings, found = resolved(pillar, M1)
    return parse.texts(found), settings


def leaves(value, fields=schema.SCHEMA, path="swarm"):
    """Return ``{path: (value, default)}`` of all that the schema and the value have."""
    found = {}
    for key in {*fields, *value}:
        below, entry = f"{path}:{key}", fields.get(key)
        one = value.get(key, "missing")
        if isinstance(entry, dict):
            found |= leaves(one if isinstance(one, dict) else {}, entry, below)
        elif isinstance(entry, schema.Each):
            # An empty mapping would let a key of the schema go untold.
            for name, thing in (one or {"missing": {}}).items():
                found |= leaves(thing, entry.fields, f"{below}:{name}")
        else:
            found[below] = (one, entry.default if entry else "not in the schema")
    return found


def test_it_is_valid():
    found, _ = faults(yaml.safe_load(EXAMPLE.read_text())["swarm"])
    assert found == []


def test_it_holds_every_key_with_its_default_and_no_other():
    written = leaves(yaml.safe_load(EXAMPLE.read_text())["swarm"])
    differing = {path: value for path, (value, default) in written.items() if value != default}
    assert differing == EXAMPLES


def with_examples(text):
    """Return the file with every ``e.g.`` in its key's place, and the keys that have one."""
    pattern = re.compile(r"^( *[\w-]+:) .*?# e\.g\. ([^;\n]+).*$", flags=re.MULTILINE)
    return pattern.sub(r"\1 \2", text)


def test_everything_that_is_unset_has_an_example():
    before = leaves(yaml.safe_load(EXAMPLE.read_text())["swarm"])
    after = leaves(yaml.safe_load(with_examples(EXAMPLE.read_text()))["swarm"])
    unset = {path for path, (value, _) in before.items() if value is None}
    assert {path for path in unset if after[path][0] is None} == WITHOUT_EXAMPLE


def test_the_examples_are_valid_all_at_once():
    found, settings = faults(yaml.safe_load(with_examples(EXAMPLE.read_text()))["swarm"])
    assert found == []
    assert settings["networks"]["backend"]["driver"] == "overlay"
