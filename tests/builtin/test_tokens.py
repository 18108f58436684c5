"""
Where the tokens are, after a whole cluster was made: on the managers, and in the master's mine.
"""

import json

import pytest

from tests import hunt


@pytest.fixture
def tokens(mode):
    return mode.api(mode.leader(), "/swarm")["JoinTokens"]


def test_tokens_rest_nowhere_but_in_the_mine(mode, tokens):
    found = hunt.found(mode.lab, tokens["Worker"])
    assert set(found) == {"salt"}
    assert [file for file in found["salt"] if not hunt.MINE.fullmatch(file)] == []
    for file in found["salt"]:
        assert mode.lab.exec("salt", "stat", "-c", "%a", file).stdout.strip() == "600"
    assert hunt.found(mode.lab, tokens["Manager"]) == {}
    assert tokens["Worker"] not in json.dumps(mode.lab.salt("*", "grains.items"))


@pytest.mark.once
def test_tokens_do_not_cross_the_bus_while_a_node_joins(mode, tokens):
    with hunt.bus(mode.lab) as bus:
        mode.lab.salt("m3", "swarm_builtin.leave")
        mode.apply()
    (said,) = bus
    assert "swarm_builtin.leave" in said
    assert tokens["Worker"] not in said
    assert tokens["Manager"] not in said
    mode.become(m3="manager")


@pytest.mark.once
def test_the_search_finds_what_is_leaked(mode, tokens):
    mode.lab.salt("m1", "test.arg", tokens["Worker"])
    files = hunt.found(mode.lab, tokens["Worker"])["salt"]
    leaked = [file for file in files if not hunt.MINE.fullmatch(file)]
    assert any("/jobs/" in file for file in leaked)
    mode.lab.exec("salt", "rm", "-f", *leaked)


@pytest.mark.once
def test_who_asks_a_manager_gets_no_token(mode, tokens):
    assert tokens["Worker"] not in json.dumps(mode.lab.salt("m1", "swarm_builtin.info"))


@pytest.mark.once
def test_who_is_no_member_gets_nothing_from_the_mine(mode):
    """And who becomes one, does, with the next apply of the managers."""

    def gets(host):
        return bool(mode.lab.call(host, "mine.get", "m1", "swarm_cluster", timeout=60))

    assert gets("m3")
    # Refreshed on m1 only, and applied nowhere: nobody's role is to change.
    mode.pillar(managers=["m1", "m2"], nodes={"none": {}})
    mode.lab.salt("m1", "saltutil.refresh_pillar", "wait=True")
    mode.lab.salt("m1", "swarm_builtin.tell")
    assert [gets("m2"), gets("m3")] == [True, False]
    mode.pillar()
    mode.lab.salt("m1", "saltutil.refresh_pillar", "wait=True")
    mode.lab.salt("m1", "swarm_builtin.tell")
    assert gets("m3")


@pytest.mark.once
def test_a_join_is_followed_by_a_new_token_if_pillar_says_so(mode, tokens):
    mode.pillar(builtin={"rotate_after_join": True})
    mode.lab.salt("m3", "swarm_builtin.leave")
    mode.apply()
    mode.become(m3="manager")
    assert mode.api(mode.leader(), "/swarm")["JoinTokens"]["Worker"] != tokens["Worker"]
    # What m3 was before leaves the list as soon as the managers miss it.
    mode.wait(lambda: mode.apply() == {}, 120)


@pytest.mark.once
def test_rotation_gives_a_new_token_and_nobody_leaves(mode, tokens):
    mode.lab.salt("m1", "swarm_leader.rotate")
    now = mode.api(mode.leader(), "/swarm")["JoinTokens"]
    assert now["Worker"] != tokens["Worker"]
    assert now["Manager"] == tokens["Manager"]
    assert set(mode.roles().values()) == {"manager"}
    # And the next one comes in by it.
    mode.lab.salt("m3", "swarm_builtin.leave")
    mode.apply()
    mode.become(m3="manager")
