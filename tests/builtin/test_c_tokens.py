"""
Where the tokens are, after a whole cluster was made: on the managers, and in the master's mine.
"""

import json
import re

import pytest

# Where the two releases of Salt keep the mine.
MINE = re.compile(r"/var/cache/salt/master/(mine/[^/]+|minions/[^/]+/mine)\.p")
PLACES = {
    "salt": ["/var/cache/salt", "/var/log", "/run/salt", "/etc/salt", "/root"],
    "host": [
        "/var/cache/salt",
        "/var/log",
        "/run/salt",
        "/etc/salt",
        "/root",
        "/var/lib/swarm-formula",
    ],
}


def _found(mode, token):
    """Return ``{host: files}`` that hold a token, wherever Salt keeps things."""
    found = {}
    for host in ("salt", *mode.lab.hosts()):
        places = PLACES["salt" if host == "salt" else "host"]
        command = ["grep", "-rlF", "--", token, *places]
        files = mode.lab.exec(host, *command, check=False).stdout.split()
        journal = mode.lab.exec(host, "journalctl", "--no-pager", "-o", "cat").stdout
        arguments = mode.lab.exec(host, "ps", "-eo", "args").stdout
        files += ["the journal"] * (token in journal) + ["arguments"] * (token in arguments)
        if files:
            found[host] = files
    return found


@pytest.fixture
def tokens(mode):
    return mode.api(mode.leader(), "/swarm")["JoinTokens"]


def _bus(mode, run):
    """Return all that crosses the master's bus while ``run`` runs."""
    pid = "/srv/bus.pid"
    log = "/srv/bus.log"
    watch = f"timeout 120 salt-run state.event pretty=False > {log} 2>&1 & echo $! > {pid}"
    mode.lab.exec("salt", "sh", "-c", watch)
    mode.wait(lambda: mode.lab.exec("salt", "pgrep", "-f", "state.event", check=False).stdout, 30)
    mode.lab.salt("*", "test.ping")
    run()
    mode.lab.salt("*", "test.ping")
    mode.lab.exec("salt", "sh", "-c", f"kill $(cat {pid}); rm -f {pid}", check=False)
    text = mode.lab.exec("salt", "cat", log).stdout
    mode.lab.exec("salt", "rm", "-f", log)
    return text


def test_tokens_rest_nowhere_but_in_the_mine(mode, tokens):
    found = _found(mode, tokens["Worker"])
    assert set(found) == {"salt"}
    assert [file for file in found["salt"] if not MINE.fullmatch(file)] == []
    for file in found["salt"]:
        assert mode.lab.exec("salt", "stat", "-c", "%a", file).stdout.strip() == "600"
    assert _found(mode, tokens["Manager"]) == {}
    assert tokens["Worker"] not in json.dumps(mode.lab.salt("*", "grains.items"))


@pytest.mark.once
def test_tokens_do_not_cross_the_bus_while_a_node_joins(mode, tokens):
    def run():
        mode.lab.salt("m3", "swarm_builtin.leave")
        mode.apply()

    said = _bus(mode, run)
    assert "swarm_builtin.leave" in said
    assert tokens["Worker"] not in said
    assert tokens["Manager"] not in said
    mode.become(m3="manager")


@pytest.mark.once
def test_the_search_finds_what_is_leaked(mode, tokens):
    mode.lab.salt("m1", "test.arg", tokens["Worker"])
    files = _found(mode, tokens["Worker"])["salt"]
    leaked = [file for file in files if not MINE.fullmatch(file)]
    assert any("/jobs/" in file for file in leaked)
    mode.lab.exec("salt", "rm", "-f", *leaked)


@pytest.mark.once
def test_who_asks_for_the_record_gets_no_token(mode, tokens):
    said = mode.lab.salt("m1", "swarm_builtin.record")["m1"]
    assert said["token"].startswith("(")
    assert tokens["Worker"] not in json.dumps(mode.lab.salt("m1", "swarm_builtin.info"))


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
