"""
How the formula's modules come to a minion, and what a master gets, as Salt renders it.
"""

import json
import os
import re
import subprocess

import pytest
import salt.config
import salt.loader
import yaml
from salt.exceptions import SaltRenderError

from swarm_formula.core import host_files, member_rules
from swarm_formula.fleet import members as fleet_members
from tests.conftest import REPO_ROOT

MODULES = json.loads((REPO_ROOT / "swarm/modules.json").read_text())


@pytest.fixture
def minion(tmp_path):
    """Return a function that renders the SLS on a minion of which Salt's options differ."""

    def render(sls="modules", **differs):
        opts = salt.config.minion_config(None).copy() | {
            "id": "m1",
            "cachedir": str(tmp_path),
            "extension_modules": str(tmp_path / "extmods"),
            "file_client": "local",
            "file_roots": {"base": [str(REPO_ROOT)]},
            "grains": {},
            "renderer": "jinja|yaml",
            "renderer_blacklist": [],
            "renderer_whitelist": [],
            **differs,
        }
        jinja = salt.loader.render(opts, salt.loader.minion_mods(opts))["jinja"]
        done = jinja(str(REPO_ROOT / f"swarm/{sls}.sls"), saltenv="base", sls=f"swarm.{sls}")
        return yaml.safe_load(done.read())

    return render


def brought(tmp_path):
    extmods = tmp_path / "extmods"
    return {f"_{path.relative_to(extmods)}": path.read_bytes() for path in extmods.rglob("*.py")}


SOURCES = {name: (REPO_ROOT / name).read_bytes() for name in MODULES}


def test_salt_ssh_is_refused_in_one_sentence(minion):
    with pytest.raises(SaltRenderError, match="needs a salt-minion on each host"):
        minion(_ssh_version="9.2")  # as salt-ssh sets it where it renders


def test_a_bare_minion_gets_all_modules_once(minion, tmp_path):
    (state,) = minion().values()
    assert {"force_reload_modules": True} in state["test.nop"]
    assert brought(tmp_path) == SOURCES
    assert minion() == {}


def test_a_minion_that_lists_its_state_modules_needs_no_other(minion, tmp_path):
    assert minion(whitelist_state_modules=["swarm_settings"]) == {}
    assert brought(tmp_path) == SOURCES


@pytest.mark.parametrize("name", ["_utils/swarm_formula/core/wait.py", "_modules/swarm_modules.py"])
def test_a_module_that_is_missing_or_of_another_release_is_replaced(minion, tmp_path, name):
    minion()
    place = tmp_path / "extmods" / name[1:]
    place.unlink()
    assert minion() != {}
    place.write_text("# of an older release\n\n\ndef stale(_):\n    return ['it']\n")
    assert minion() != {}
    assert brought(tmp_path) == SOURCES
    assert minion() == {}


@pytest.fixture
def former(tmp_path):
    """Return a folder with modules: ``{its path: whether the release that is served has it}``."""
    names = ["_utils/swarm_gone.py", "_utils/swarm_gone/room/leaf.py", "_states/swarm_gone.py"]
    manifest = json.loads((REPO_ROOT / "swarm/manifest.json").read_text())
    served = tmp_path / "served/swarm/manifest.json"
    served.parent.mkdir(parents=True)
    served.write_text(json.dumps({**manifest, **dict.fromkeys(names)}))
    found = {tmp_path / "extmods" / name[1:]: False for name in names}
    others = ["mine.py", "swarm_theirs.py", "mine/leaf.py", "swarm_gone/mine.py"]
    found |= {tmp_path / "extmods/utils" / name: True for name in others}
    for path in found:
        cache = path.parent / "__pycache__"
        cache.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        (cache / f"{path.stem}.cpython-311.pyc").write_text("")
    return found


@pytest.mark.parametrize("known", [False, True], ids=["first apply", "after saltutil.sync_all"])
def test_a_module_that_went_with_a_release_goes_and_those_of_others_stay(
    minion, tmp_path, former, known
):
    served = {"base": [str(tmp_path / "served"), str(REPO_ROOT)]}
    if known:
        for name, source in SOURCES.items():
            path = tmp_path / "extmods" / name[1:]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(source)
    assert minion(file_roots=served) != {}
    assert {path: path.exists() for path in former} == former
    left = {path.name.split(".")[0] for path in tmp_path.rglob("*.pyc")}
    assert not left & {"swarm_gone"}
    assert minion(file_roots=served) == {}


def test_a_module_that_went_with_a_release_goes_from_the_master(minion, tmp_path, former):
    opts = {
        "file_roots": {"base": [str(tmp_path / "served"), str(REPO_ROOT)]},
        "pillar": {"swarm_master": {"extension_modules": str(tmp_path / "extmods")}},
    }
    state = minion("master", **opts)["old library files are removed"]
    given = {key: value for one in state["cmd.run"] for key, value in one.items()}
    subprocess.run(given["name"], shell=True, input=given["stdin"], text=True, check=True)  # noqa: S602
    assert {path: path.exists() for path in former} == former
    assert "old library files are removed" not in minion("master", **opts)


def test_services_that_are_applied_alone_wait_for_the_volumes_of_the_node(minion):
    """Docker would create a volume that a task needs, without the options of the pillar."""
    states = {}
    for volumes in ({}, {"data": {"driver": "local"}}):
        pillar = {"swarm": {"services": {"web": {}}, "volumes": volumes}}
        states[bool(volumes)] = minion("services", pillar=pillar)
    needed = {"swarm_volume": "swarm volumes are present"}
    for key, found in states.items():
        (about,) = found["swarm services are deployed"]["swarm_service.managed"]
        assert (needed in about["require"]) is key
        assert ("swarm.volumes" in found["include"]) is key


@pytest.mark.parametrize("text", [None, "", "# empty\n", "peer: {}\nengines: []\n"])
def test_masters_configuration_of_the_formula_is_written(minion, tmp_path, text):
    config = tmp_path / "swarm.conf"
    if text is not None:
        config.write_text(text)
    states = minion("master", pillar={"swarm_master": {"config": str(config)}})
    (state,) = [
        one for name, one in states.items() if name == "swarm_autojoin engine is configured"
    ]
    assert {"name": str(config)} in state["file.serialize"]


def peers(states):
    """Return the expression of the minions that may ask, and those of the functions."""
    given = states["swarm_autojoin engine is configured"]["file.serialize"]
    (dataset,) = (one["dataset"] for one in given if "dataset" in one)
    (found,) = dataset["peer"].items()
    return found


IDS = ["m1", "web-1", "web-1.example.com", "xweb-1", "web+1", "db", "m1x"]


@pytest.mark.parametrize(
    ("members", "allowed"),
    [
        # Members that an upgrade of the master does not know of must go on being served.
        (None, IDS),
        ("m1|web-.*", ["m1", "web-1", "web-1.example.com"]),
        (["m1", "web-*"], ["m1", "web-1", "web-1.example.com"]),
        (["web-?", "d?", "web+1"], ["web-1", "web+1", "db"]),
    ],
    ids=str,
)
def test_members_may_ask_the_ca_and_no_other_minion_may(minion, tmp_path, members, allowed):
    given = {"config": str(tmp_path / "swarm.conf"), **({"members": members} if members else {})}
    expression, functions = peers(minion("master", pillar={"swarm_master": given}))
    # As Salt does.
    assert [one for one in IDS if re.match(expression, one)] == allowed
    assert all(one.startswith("^swarm_") and one.endswith("$") for one in functions)


def test_glob_that_is_no_plain_one_is_refused_for_members(minion, tmp_path):
    given = {"config": str(tmp_path / "swarm.conf"), "members": ["m[12]"]}
    with pytest.raises(SaltRenderError, match=r"members: m\[12\]: a glob may have"):
        minion("master", pillar={"swarm_master": given})


def test_settings_of_an_admin_in_that_file_are_not_replaced(minion, tmp_path):
    """As the roots of the formula itself: without them, the master would lose it."""
    config = tmp_path / "swarm.conf"
    config.write_text("file_roots: {base: [/srv/formulas/swarm-formula]}\npeer: {}\n")
    with pytest.raises(
        SaltRenderError, match=r"swarm\.conf has settings .* remove them: file_roots"
    ):
        minion("master", pillar={"swarm_master": {"config": str(config)}})


# ---- who is a member

NAMED = {"managers": ["m2", "m3"], "nodes": {"web-*": {}, "m[14]": {}}}
# Of a real host: while a test runs, it is elsewhere.
RECORD = str(host_files.RECORD)
UNNAMED = {"managers": ["m2", "m3"], "nodes": {"web-*": {}}}
# The pillar of m1: what makes it a member, and what does not.
PILLARS = [
    (NAMED, True),
    (UNNAMED, False),
    ({"managers": {"m1": "10.0.0.11"}}, True),
    ({"managers": ["m2"]}, False),
    ({"managers": ["m2"], "nodes": {"*": {}}}, True),
    ({"managers": ["m2"], "nodes": None, "consul": None, "tls": None}, False),
    ({"managers": ["m2"], "consul": {"servers": ["m1"]}}, True),
    ({"managers": ["m2"], "consul": {"servers": {"m1": None}}, "store": "etcd://a:1"}, False),
    ({"managers": ["m2"], "consul": {"servers": ["m1"]}, "mode": "builtin"}, False),
    ({"managers": ["m2"], "tls": {"ca": "m1"}}, False),
    # Classic mode without the formula's CA: nobody is asked, so the pillar itself makes a member.
    ({"managers": ["m2"], "tls": {"enabled": False}}, True),
    ({"managers": ["m2"], "tls": {"cert": "/etc/ssl/a.pem"}}, True),
    ({"managers": ["m2"], "tls": {"enabled": False}, "mode": "builtin"}, False),
    ({"managers": ["m2"], "tls": {"enabled": "no"}}, False),
    # Malformed: an apply tells of it.
    ({"managers": "m2"}, True),
    ({"managers": ["m2"], "nodes": "web"}, True),
    ({"managers": ["m2"], "nodes": {7: {}}, "tls": [], "consul": "x"}, False),
]


@pytest.mark.parametrize(("swarm", "named"), PILLARS, ids=str)
def test_one_rule_for_the_master_and_for_what_a_bare_minion_renders(minion, swarm, named):
    assert member_rules.is_member("m1", swarm) is named
    assert fleet_members.joins("m1", {"swarm": swarm}) is named
    states = minion("join", pillar={"swarm": swarm})
    assert states.get("include") == (["swarm"] if named else None)


def test_node_that_its_own_pillar_does_not_name_goes_on(minion, monkeypatch):
    """An apply warns, and renews its certificate."""
    isfile = os.path.isfile
    monkeypatch.setattr(os.path, "isfile", lambda path: str(path) == RECORD or isfile(path))
    assert minion("join", pillar={"swarm": UNNAMED})["include"] == ["swarm"]


def test_minion_that_pillar_does_not_name_is_told_and_left_as_it_is(minion):
    (name,) = minion("join", pillar={"swarm": UNNAMED})
    assert name == "this minion is not a member because its pillar does not list it (swarm:nodes)"


@pytest.mark.parametrize("swarm", [None, {}, [], "x"], ids=str)
def test_pillar_without_a_swarm_applies_all_or_joins_nothing(minion, swarm):
    """By hand, on one machine without a master; and with a malformed pillar, which is told."""
    assert "swarm.settings" in minion(sls="init", pillar={"swarm": swarm})["include"]


@pytest.mark.parametrize(
    ("more", "includes"),
    [({}, ["swarm.ca"]), ({"nodes": {"m1": {}}}, None), ({"tls": {"ca": "m2"}}, None)],
    ids=["no node", "a node", "another is it"],
)
def test_ca_that_is_no_node_becomes_the_ca_and_nothing_more(minion, more, includes):
    swarm = {"managers": ["m2"], "tls": {"ca": "m1"}, **more}
    found = minion(sls="init", pillar={"swarm": swarm})["include"]
    assert found == includes or (includes is None and "swarm.engine" in found)


CLASSIC, BUILTIN = {"managers": ["m1"]}, {"mode": "builtin", "managers": ["m1"]}
SOME = {"services": {"web": {"image": "a"}}}


@pytest.mark.parametrize(
    ("swarm", "has"),
    [
        (CLASSIC, False),
        ({**CLASSIC, **SOME}, True),
        ({**CLASSIC, "secrets": {"key": {}}}, False),
        ({**CLASSIC, "stacks": {"shop": {}}}, True),
        ({**BUILTIN, **SOME}, True),
        ({**BUILTIN, "secrets": {"key": {}}}, True),
    ],
)
def test_services_are_part_of_an_apply_if_pillar_has_any(minion, swarm, has):
    assert ("swarm.services" in minion("init", pillar={"swarm": swarm})["include"]) is has


def test_states_of_services_are_those_that_the_mode_has(minion):
    classic = minion("services", pillar={"swarm": {**CLASSIC, **SOME}})
    assert set(classic) == {"include", "swarm services are deployed"}
    (service,) = classic["swarm services are deployed"]["swarm_service.managed"]
    assert service == {"require": [{"swarm_network": "swarm networks are present"}]}
    builtin = minion("services", pillar={"swarm": {**BUILTIN, **SOME}})
    assert set(builtin) > {"swarm secrets are present", "swarm configs are present"}


@pytest.mark.parametrize("swarm", [CLASSIC, BUILTIN], ids=["classic", "builtin"])
def test_stacks_run_after_services_in_both_modes(minion, swarm):
    found = minion("services", pillar={"swarm": {**swarm, "stacks": {"shop": {}}}})
    (stack,) = found["swarm stacks are deployed"]["swarm_stack.managed"]
    assert stack == {"require": [{"swarm_service": "swarm services are deployed"}]}
    assert "swarm stacks are deployed" not in minion(
        "services", pillar={"swarm": {**swarm, **SOME}}
    )
