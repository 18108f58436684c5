"""
Pillars of many minions: the same as one by one, with less work; a child that fails costs nothing.
"""

import importlib.util
import json
import os

import pytest
import salt.cache
import salt.config
import salt.loader.lazy
import salt.runner
import yaml

from swarm_formula.salt import pillars

# What a pillar may depend on: grains, the options with the ID, a module that reads grains.
SLS = """
swarm:
  managers: [m1]
  minion: {{ grains.id }}
  rack: {{ grains.rack }}
  by module: {{ salt["grains.get"]("rack") }}
  by option: {{ opts.minion_id }}
{%- if grains.id in ("m3", "m11") %}
  wrong: {{ salt["no.such"]() }}
{%- endif %}
"""
TOP = {"base": {"*": ["swarm"], "rack:r1": [{"match": "grain"}, "more"]}}
OPTIONS = (
    importlib.util.find_spec("salt.utils.optsdict")
    and importlib.import_module("salt.utils.optsdict").OptsDict
)
MINIONS = [f"m{number}" for number in range(12)]


@pytest.fixture
def opts(tmp_path):
    """Return the options of a master with the grains of these minions."""
    for name in ("pillar", "pki/minions"):
        (tmp_path / name).mkdir(parents=True)
    files = {"top": yaml.safe_dump(TOP), "swarm": SLS, "more": "more: {{ grains.id }}\n"}
    for name, text in files.items():
        (tmp_path / f"pillar/{name}.sls").write_text(text)
    folders = {"root_dir": "", "pki_dir": "pki", "cachedir": "cache", "sock_dir": "sock"}
    config = {key: str(tmp_path / name) for key, name in folders.items()}
    config |= {"pillar_roots": {"base": [str(tmp_path / "pillar")]}, "log_file": "/dev/null"}
    (tmp_path / "master").write_text(json.dumps(config))
    found = salt.config.master_config(str(tmp_path / "master"))
    cache = salt.cache.factory(found)
    for number, name in enumerate(MINIONS):
        grains = {"id": name, "rack": f"r{number % 2}"}
        cache.store("grains", name, grains)
        # Salt 3006 keeps them with the other data of a minion.
        cache.store(f"minions/{name}", "data", {"grains": grains, "pillar": {}})
    return found


@pytest.fixture
def lightened(monkeypatch):
    """Return a function that lightens the loaders of this process until the end of the test."""
    loader = salt.loader.lazy.LazyLoader

    def lightened():
        # A child never takes it back: it ends.
        monkeypatch.setattr(loader, "_refresh_file_mapping", loader._refresh_file_mapping)
        if OPTIONS:
            monkeypatch.setattr(OPTIONS, "__bool__", bool, raising=False)
        pillars._lighten_loaders()

    return lightened


@pytest.fixture
def show(opts):
    return salt.runner.RunnerClient(opts).functions["pillar.show_pillar"]


def test_each_minion_has_the_pillar_that_it_has_alone(show, monkeypatch):
    # Two children, whatever this machine has.
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    before = salt.loader.lazy.LazyLoader._refresh_file_mapping
    alone = {name: show(name) for name in MINIONS}
    found = pillars.compiled(MINIONS, show)
    assert found == alone
    assert list(found) == MINIONS
    assert salt.loader.lazy.LazyLoader._refresh_file_mapping is before, "only children are changed"
    values = {name: one["swarm"] for name, one in found.items() if "swarm" in one}
    assert {name: one["minion"] for name, one in values.items()} == {name: name for name in values}
    assert {name: one["by option"] for name, one in values.items()} == {
        name: name for name in values
    }
    assert {name: one["by module"] for name, one in values.items()} == {
        name: one["rack"] for name, one in values.items()
    }
    assert {name for name, one in found.items() if "_errors" in one} == {"m3", "m11"}
    assert {name for name, one in found.items() if one.get("more")} == set(MINIONS[1::2])


def test_folders_are_listed_once_however_many_minions_there_are(show, monkeypatch, lightened):
    loader, listed = salt.loader.lazy.LazyLoader, []
    lister = loader._refresh_file_mapping
    count = lambda one: listed.append(one.tag) or lister(one)  # noqa: E731
    monkeypatch.setattr(loader, "_refresh_file_mapping", count)
    if OPTIONS:
        monkeypatch.setattr(OPTIONS, "__len__", None)
    lightened()
    show("m0")
    first = len(listed)
    for name in MINIONS:
        show(name)
    assert len(listed) == first > 0


@pytest.mark.skipif(not OPTIONS, reason="Salt 3006 copies its options")
def test_options_are_empty_if_no_layer_has_one(lightened):
    lightened()
    full = OPTIONS.from_dict({"a": 0})
    child, emptied = OPTIONS.from_parent(full), OPTIONS.from_parent(full)
    del emptied["a"]
    found = [bool(one) for one in (full, child, emptied, OPTIONS.from_dict({}))]
    assert found == [True, True, False, False]


def failing(name):
    if name == "m5":
        raise ValueError("an ext_pillar")
    return {"id": name}


def test_error_of_one_minion_is_raised_as_if_it_were_the_only_one():
    with pytest.raises(ValueError, match="an ext_pillar"):
        pillars.compiled(MINIONS, failing)


def test_child_that_dies_or_finds_what_cannot_be_sent_is_made_up_for():
    own = os.getpid()

    def killed(name):
        if os.getpid() != own and name == "m5":
            os._exit(1)
        return {"id": name}

    def unsendable(name):
        return {"id": name, "lambda": lambda: None}

    assert pillars.compiled(MINIONS, killed) == {name: {"id": name} for name in MINIONS}
    assert [one["id"] for one in pillars.compiled(MINIONS, unsendable).values()] == MINIONS


def test_few_minions_and_a_daemonic_process_need_no_child(monkeypatch):
    own = {name: os.getpid() for name in MINIONS}
    few = MINIONS[: pillars._FEW - 1]
    assert pillars.compiled(few, lambda _: os.getpid()) == dict.fromkeys(few, os.getpid())
    assert set(pillars.compiled(MINIONS, lambda _: os.getpid()).values()) != set(own.values())
    monkeypatch.setattr(pillars.multiprocessing.current_process(), "_config", {"daemon": True})
    assert pillars.compiled(MINIONS, lambda _: os.getpid()) == own


def test_release_that_lists_by_another_function_shares_nothing(monkeypatch):
    monkeypatch.delattr(salt.loader.lazy.LazyLoader, "_refresh_file_mapping")
    assert pillars.compiled(MINIONS, str) == {name: name for name in MINIONS}
