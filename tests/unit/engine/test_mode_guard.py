"""
A swarm of one mode does not become one of the other by an apply.
"""

import re

import pytest

from _modules import swarm_engine
from swarm_formula.core import errors
from swarm_formula.engine import mode_guard
from swarm_formula.standalone import container_names
from tests.unit import dockerd
from tests.unit.pillars import BUILTIN, VALID, settings_of

CLASSIC = {"swarm-agent": ["join", "consul://"], "swarm-consul": ["agent"], "web": []}


@pytest.mark.parametrize("state", ["active", "locked", "pending", "error", "stopped"])
@pytest.mark.parametrize("test", [False, True], ids=["run", "test"])
def test_cluster_of_swarm_mode_outlives_a_lost_line(daemon, pillar, state, test):
    daemon.state = state
    words = rf"m1 is in a cluster of swarm mode \({state}\), and swarm:mode .* classic or missing"
    with pytest.raises(errors.SwarmError, match=words) as failure:
        swarm_engine.configure(test=test)
    assert "put 'mode: builtin' back" in str(failure.value)
    assert "swarm.clean" in str(failure.value)
    assert daemon.on_disk() is None
    assert daemon.calls == []


def test_classic_swarm_outlives_another_mode(daemon, pillar):
    daemon.containers = {name: " ".join(words) for name, words in CLASSIC.items()}
    pillar(mode="builtin", overlay=False)
    words = r"m1 is a node of a classic swarm \(container swarm-consul, swarm-agent\)"
    with pytest.raises(errors.SwarmError, match=words) as failure:
        swarm_engine.check_mode()
    assert "put 'mode: classic' back" in str(failure.value)


@pytest.mark.parametrize(
    ("given", "state", "commands"),
    [
        (VALID, "", CLASSIC),
        (VALID, "inactive", CLASSIC),
        (BUILTIN, "inactive", {"web": ["join"]}),
        (BUILTIN, "active", {}),
        # a node of the cluster, and what somebody else called so
        (BUILTIN, "active", CLASSIC),
        (BUILTIN, "inactive", {"swarm-agent": ["/portainer"]}),
        (BUILTIN, "inactive", {"swarm-manager": []}),
    ],
    ids=str,
)
def test_node_of_its_mode_is_let_go_on(given, state, commands):
    settings = settings_of(given)
    parts = list(container_names.ours(settings, commands).values())
    assert mode_guard.refusal(settings, state, parts) is None


def test_engine_that_is_stopped_is_judged_by_its_disk(daemon, pillar, tmp_path):
    root = tmp_path / "data"
    (root / "swarm").mkdir(parents=True)
    (root / "swarm/docker-state.json").write_text("{}")
    daemon.write({"data-root": str(root)})
    daemon.up = False
    with pytest.raises(errors.SwarmError, match=r"cluster of swarm mode \(stopped\)"):
        swarm_engine.check_mode()
    (root / "swarm/docker-state.json").unlink()
    swarm_engine.check_mode()


@pytest.mark.parametrize(
    ("given", "commands", "words"),
    [
        (VALID, {"swarm-agent": ["/portainer"]}, r"container swarm-agent .* is not the formula's"),
        (VALID, {"swarm-consul": []}, r"swarm:consul:container"),
        (VALID, {"swarm-manager": ["join", "x"]}, r"swarm:manager:container"),
        ({**VALID, "agent": {"container": "mine"}}, {"mine": ["sh"]}, "container mine"),
        ({**VALID, "agent": {"container": "mine"}}, {"swarm-agent": ["sh"]}, None),
        ({**VALID, "store": "etcd://e:2379"}, {"swarm-consul": ["sh"]}, None),
        ({**VALID, "managers": {"m2": "10.77.0.12"}}, {"swarm-manager": ["sh"]}, None),
        (VALID, CLASSIC, None),
        (BUILTIN, {"swarm-agent": ["/portainer"]}, None),
    ],
    ids=str,
)
def test_name_that_somebody_else_has_is_not_taken(given, commands, words):
    refused = container_names.taken(settings_of(given), commands)
    assert re.search(words, refused) if words else refused is None


def test_volume_with_something_else_in_it_is_not_taken(tmp_path):
    settings = settings_of(VALID)
    assert container_names.taken(settings, {}, str(tmp_path)) is None
    (tmp_path / "dump.sql").write_text("")
    refused = container_names.taken(settings, {}, str(tmp_path))
    assert "volume swarm-consul (swarm:consul:volume)" in refused
    (tmp_path / "node-id").write_text("")
    assert container_names.taken(settings, {}, str(tmp_path)) is None


def test_names_of_others_are_refused_by_an_apply_and_left_by_a_clean(daemon, pillar):
    daemon.containers = {"swarm-agent": "/portainer"}
    with pytest.raises(errors.SwarmError, match=r"container swarm-agent \(swarm:agent"):
        swarm_engine.check_mode()
    swarm_engine.check_mode(leaving=True)


BY_HAND = {
    "dreamy_borg": "manage -H :4000 --replication --advertise 10.77.0.11:4000 consul://c:8500",
    "sad_perlman": "join --advertise=10.77.0.11:2375 consul://c:8500",
}
NAMED = {"manager": {"container": "dreamy_borg"}, "agent": {"container": "sad_perlman"}}
# The set-up by hand, and what comes of it: words of the refusal, those that are not in it.
ADOPTIONS = {
    "nothing of it is in pillar": ({}, BY_HAND, ["dreamy_borg (swarm manage)", "sad_perl"], []),
    "a worker": ({}, {"a": "join x"}, ["container a (swarm join)", "swarm:agent:cont"], ["manage"]),
    "half of it": ({"agent": NAMED["agent"]}, BY_HAND, ["dreamy_borg"], ["sad_perlman"]),
    "all of it": (NAMED, BY_HAND, [], []),
    "another role": (
        {"manager": {"container": "sad_perlman"}},
        {"sad_perlman": "join x"},
        ["sad_perlman"],
        [],
    ),
    "the formula's own names": ({}, {"swarm-agent": "join x", "swarm-manager": "manage x"}, [], []),
    "Swarm for another purpose": ({}, {"token": "create", "nodes": "list x", "help": ""}, [], []),
    "store of one's own": (
        {**NAMED, "store": "consul://10.77.0.11:8500", "overlay": False}, BY_HAND, [], []),
}  # fmt: skip


@pytest.mark.parametrize("case", ADOPTIONS)
@pytest.mark.parametrize("test", [False, True], ids=["run", "test"])
def test_classic_swarm_by_hand_is_refused_by_name_or_taken_over(daemon, pillar, case, test):
    given, commands, words, others = ADOPTIONS[case]
    pillar(**given)
    daemon.entry, daemon.containers = "/swarm", dict(commands)
    if not words:
        swarm_engine.check_mode()
        return
    with pytest.raises(errors.SettingsError) as failure:
        swarm_engine.configure(test=test)
    text = str(failure.value)
    assert "Nothing was changed" in text
    assert [one for one in words if one not in text] == []
    assert [one for one in others if one in text] == []
    assert daemon.calls == []
    assert daemon.on_disk() is None
    swarm_engine.check_mode(leaving=True)


def test_second_swarm_of_somebody_is_left_beside_ours(daemon, pillar):
    """Where the formula is at work, what came later is nobody's harm."""
    swarm_engine.configure()
    daemon.entry, daemon.containers = "/swarm", BY_HAND
    swarm_engine.check_mode()


def test_programs_of_that_name_in_builtin_mode_are_no_matter(daemon, pillar):
    pillar(mode="builtin", overlay=False)
    daemon.entry, daemon.containers = "/swarm", BY_HAND
    swarm_engine.check_mode()


def test_clean_is_refused_in_the_other_mode(daemon, pillar):
    daemon.state = "active"
    with pytest.raises(errors.SwarmError, match="cluster of swarm mode"):
        swarm_engine.check_mode(leaving=True)


@pytest.mark.parametrize("given", [VALID, BUILTIN], ids=["classic", "builtin"])
def test_volumes_of_an_engine_in_swarm_mode_are_not_asked_for(daemon, pillar, monkeypatch, given):
    """A manager without a leader answers that with an error; seen on one that was cut off."""
    daemon.state = "active"
    if given is BUILTIN:
        pillar(mode="builtin", overlay=False)

    def inspect_volume(_self, _name):
        raise AssertionError

    monkeypatch.setattr(dockerd.Client, "inspect_volume", inspect_volume)
    if given is BUILTIN:
        swarm_engine.check_mode()
    else:
        with pytest.raises(errors.SwarmError, match="cluster of swarm mode"):
            swarm_engine.check_mode()
