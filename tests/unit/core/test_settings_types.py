"""
The types of the pillar and of the settings say what is there: every key, and values of its type.
"""

import re
import types
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

import pytest
import yaml

from lab import pillars as lab_pillars
from swarm_formula.core import settings_types
from swarm_formula.settings import parse, schema
from tests.unit.pillars import BUILTIN, HOSTS, M1, VALID, resolved, settings_of
from tests.unit.test_pillar_example import EXAMPLE, with_examples

IMAGES = {one: {"image": f"{one}:1", "source": f"salt://{one}.tar"} for one in ("consul", "swarm")}


def problems(value, kind, path="swarm"):
    """Return where a value is not of a type, as ``path: what``."""
    origin, inner = get_origin(kind), get_args(kind)
    if is_typeddict(kind):
        return of_typed_dict(value, kind, path)
    if origin in (Union, types.UnionType):
        fits = any(problems(value, one, path) == [] for one in inner)
    elif origin is Literal:
        fits = value in inner
    else:
        fits = kind is Any or type(value) is (origin or kind)
    if not fits:
        return [f"{path}: {value!r} is no {kind}"]
    return of_items(value, inner, path) if origin in (list, dict) else []


def of_items(value, kinds, path):
    if isinstance(value, list):
        return [text for one in value for text in problems(one, *kinds, path)]
    name, thing = kinds
    return [
        text
        for key, one in value.items()
        for text in (*problems(key, name, path), *problems(one, thing, f"{path}:{key}"))
    ]


def of_typed_dict(value, kind, path):
    if type(value) is not dict:
        return [f"{path}: {value!r} is no {kind}"]
    hints = get_type_hints(kind)
    missing = [f"{path}:{key}: is missing" for key in sorted(kind.__required_keys__ - value.keys())]
    more = [f"{path}:{key}: is in no type" for key in sorted(value.keys() - hints.keys())]
    return [
        *missing,
        *more,
        *(
            text
            for key in value.keys() & hints.keys()
            for text in problems(value[key], hints[key], f"{path}:{key}")
        ),
    ]


def keys(kind, path="swarm"):
    """Return every path that a type has, as the schema has them."""
    found = set()
    for key, one in get_type_hints(kind).items():
        below = f"{path}:{key}"
        (value,) = get_args(one)[1:] if get_origin(one) is dict else (one,)
        found |= keys(value, below) if is_typeddict(value) else {below}
    return found


def keys_of_schema(fields, path="swarm"):
    found = set()
    for key, entry in fields.items():
        below = f"{path}:{key}"
        fields_below = entry.fields if isinstance(entry, schema.Each) else entry
        found |= keys_of_schema(fields_below, below) if isinstance(fields_below, dict) else {below}
    return found


def test_types_of_the_pillar_have_the_keys_of_the_schema():
    assert keys(settings_types.Pillar) == keys_of_schema(schema.SCHEMA)


def test_settings_have_the_keys_of_the_pillar_and_the_derived_ones():
    more = keys(settings_types.Settings) - keys(settings_types.Pillar)
    derived = "id is_manager is_server is_ca managed_store discovery data_path servers tls:used"
    assert more == {f"swarm:{key}" for key in derived.split()}
    assert keys(settings_types.Pillar) <= keys(settings_types.Settings)


# Every option of a service or a container is in a table of its own.
WORKLOADS = {
    "containers": {"exporter": {"image": "exporter:1", "nodes": ["m4"]}},
    "files": {"/etc/web.conf": {"source": "salt://web.conf"}},
    "volumes": {"data": {"labels": {"owner": "web"}}},
    "services": {"web": {"image": "nginx:1.27", "replicas": 2}},
}
PILLARS = {
    "classic": {"managers": ["m1"]},
    "builtin": {"mode": "builtin", "managers": ["m1"]},
    "addresses": {**VALID, "managers": HOSTS, "address": {"interface": "eth0"}},
    "workloads": {**VALID, **WORKLOADS},
    "secrets": {
        **BUILTIN,
        **WORKLOADS,
        "secrets": {"password": {"source": "sdb://vault/password"}},
        "configs": {"page": {"content": "text"}},
        "stacks": {"shop": {"content": {"services": {"web": {"image": "nginx"}}}}},
        "builtin": {"cluster": {"external-ca": [{"url": "https://ca.example.com"}]}},
    },
    **{
        f"lab of {mode}, {suite}": lab_pillars.default(["m1", "m2", "m3"], mode, suite, IMAGES)
        for mode in ("classic", "builtin")
        for suite in ("bullseye", "bookworm")
    },
    "example": yaml.safe_load(EXAMPLE.read_text())["swarm"],
    "examples": yaml.safe_load(with_examples(EXAMPLE.read_text()))["swarm"],
}


@pytest.mark.parametrize("name", PILLARS)
def test_values_are_of_their_types(name):
    pillar, faults = parse.read(PILLARS[name])
    assert faults == []
    assert problems(pillar, settings_types.Pillar) == []
    assert problems(settings_of(PILLARS[name]), settings_types.Settings) == []


def test_masterless_minion_without_a_pillar_has_them_too():
    settings = settings_of(None, M1._replace(local=True))
    assert problems(settings, settings_types.Settings) == []


def test_settings_with_faults_are_a_draft():
    settings, faults = resolved({"managers": ["m1", "nowhere"], "address": "192.0.2.9"})
    assert len(parse.texts(faults)) == 2
    assert problems(settings, settings_types.Draft) == []
    assert problems(settings, settings_types.Settings) != []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"timeout": "180"}, "swarm:timeout: '180' is no <class 'int'>"),
        ({"overlay": 1}, "swarm:overlay: 1 is no <class 'bool'>"),
        ({"timeout": True}, "swarm:timeout: True is no <class 'int'>"),
        ({"mode": "swarm"}, "swarm:mode: 'swarm' is no"),
        ({"data_path": 1}, "swarm:data_path: 1 is no"),
        ({"more": 1}, "swarm:more: is in no type"),
        ({"agent": {"container": "a"}}, "swarm:agent:options: is missing"),
        ({"agent": None}, "swarm:agent: None is no"),
        ({"client": {"nodes": [1], "users": []}}, "swarm:client:nodes: 1 is no <class 'str'>"),
        ({"labels": {"zone": None}}, "swarm:labels:zone: None is no"),
        ({"servers": {1: "a"}}, "swarm:servers: 1 is no <class 'str'>"),
    ],
)
def test_what_is_of_another_type_is_told(change, problem):
    (found,) = problems({**settings_of({"managers": ["m1"]}), **change}, settings_types.Settings)
    assert re.match(re.escape(problem), found)
