"""
The CA's host is lost, and comes back from the copies of the managers; who gets none, and why.
"""

import json
import re
import shutil
from unittest.mock import create_autospec

import pytest
from cryptography.exceptions import UnsupportedAlgorithm

from _modules import swarm_ca, swarm_ca_copy, swarm_tls
from swarm_formula.core import errors, host_files, wait
from swarm_formula.tls import (
    ca_copy_exchange,
    ca_copy_store,
    ca_publication,
    ca_record,
    ca_removal,
    ca_state,
    pki,
    seal,
)
from tests.unit.tls_hosts import PILLAR, Hosts, version_before

ALL = ("m1", "m2", "m3", "m4")


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    """Do not wait long for a CA that is busy."""
    monkeypatch.setattr(ca_copy_exchange, "_BUSY", 0.05)


@pytest.fixture
def hosts(monkeypatch, tmp_path):
    """Return four hosts, three of them managers, after two applies."""
    monkeypatch.setattr(host_files, "_LOCKS", tmp_path)
    monkeypatch.setattr(wait, "_FIRST", 0.001)
    found = Hosts(monkeypatch, tmp_path)
    found.apply(*ALL)
    keep(found)
    # The CA publishes what it has signed since.
    found.apply("m1")
    keep(found)
    return found


def keep(hosts, *names):
    changes = {}
    for host in names or ALL:
        hosts.on(host)
        changes[host] = swarm_ca_copy.apply()
    return changes


def state(hosts, host="m1"):
    hosts.on(host)
    return ca_state.load()


def lose(hosts, host="m1"):
    """Return the CA's state, and give its host a fresh disk."""
    before = state(hosts, host)
    shutil.rmtree(hosts.on(host) and host_files.CONFIG)
    host_files.write(host_files.RECORD, None)
    return before


def edit(hosts, host, change):
    """Replace the copy of a host by another one, sealed as the CA's is."""
    hosts.on(host)
    found = ca_copy_store.held()
    changed = change(ca_copy_store.own(host).state)
    key = seal.public(host_files.read(host_files.CONFIG / "sealing.key").strip())
    found["box"] = seal.sealed(json.dumps(changed), key, f"CA for {host}")
    host_files.write(host_files.CONFIG / "ca.sealed", json.dumps(found))


def ask(hosts, giver, caller, key=None):
    hosts.on(giver)
    key = key or seal.new_key()
    return swarm_ca_copy.give({"key": seal.public(key)}, __pub_id=caller)


# ---- copies are kept


def test_each_manager_and_nobody_else_keeps_a_copy(hosts):
    for host, kept in (("m1", False), ("m2", True), ("m3", True), ("m4", False)):
        hosts.on(host)
        assert ca_copy_store.is_kept() is kept
    hosts.on("m2")
    assert ca_copy_store.own("m2").state == state(hosts)
    hosts.on("m2")
    for name in ("ca.sealed", "sealing.key"):
        assert (host_files.CONFIG / name).stat().st_mode & 0o777 == 0o600


def test_current_copy_is_not_asked_for_again(hosts):
    hosts.asked.clear()
    assert keep(hosts) == {host: {} for host in ALL}
    assert hosts.asked == []
    host_files.write(hosts.on("m2") and host_files.CONFIG / "ca.sealed", "junk")
    assert keep(hosts, "m2")["m2"] == {"copy of the CA": {"old": None, "new": "of m1"}}


def test_first_copy_is_promised_and_not_made_by_a_dry_run(hosts):
    hosts.on("m2")
    ca_copy_store.drop()
    assert swarm_ca_copy.apply(test=True) == {"copy of the CA": {"old": None, "new": "of m1"}}
    assert not ca_copy_store.is_kept()


def test_first_copy_is_promised_before_there_is_a_ca(monkeypatch, tmp_path):
    """Found by the lab's dry run on bare hosts."""
    monkeypatch.setattr(host_files, "_LOCKS", tmp_path)
    monkeypatch.setattr(wait, "_FIRST", 0.001)
    hosts, promised = Hosts(monkeypatch, tmp_path), {}
    for host in ALL:
        hosts.on(host)
        promised[host] = swarm_ca_copy.apply(test=True)
        assert swarm_ca_copy.apply() == {}
    hosts.apply(*ALL)
    assert keep(hosts) == promised
    assert {host for host, one in promised.items() if one} == {"m2", "m3"}


def test_host_that_is_no_manager_any_more_drops_its_copy(hosts):
    hosts.on("m3", managers=["m1", "m2"], nodes={"m3": {}, "m4": {}})
    gone = {"copy of the CA": {"old": "present", "new": None}}
    assert swarm_ca_copy.apply(test=True) == gone
    assert ca_copy_store.is_kept()
    assert swarm_ca_copy.apply() == gone
    assert swarm_ca_copy.apply() == {}


def test_ca_that_gives_no_copy_leaves_the_old_one(hosts):
    hosts.apply("m4", tls={"key_type": "rsa"})
    hosts.apply("m1")
    hosts.silent = {"m1"}
    hosts.on("m2")
    before = ca_copy_store.held()
    with pytest.raises(errors.SwarmError, match=r"no current copy .*peer: swarm_ca_copy"):
        swarm_ca_copy.apply()
    assert ca_copy_store.held() == before


@pytest.mark.parametrize(
    "first", [None, {"busy": "others ask"}, {"none": "m1 is no CA (yet)"}], ids=str
)
def test_ca_that_is_busy_is_asked_again_in_the_same_apply(hosts, monkeypatch, first):
    """Found by the lab: the copy of a swarm made anew came one apply late."""
    hosts.on("m2")
    ca_copy_store.drop()
    real, answers = ca_copy_exchange.ask, [{"m1": first} if first else {}]

    def ask(*arguments):
        return answers.pop() if answers else real(*arguments)

    monkeypatch.setattr(ca_copy_exchange, "ask", ask)
    assert swarm_ca_copy.apply() == {"copy of the CA": {"old": None, "new": "of m1"}}
    assert swarm_ca_copy.apply() == {}


def test_refusal_of_the_ca_is_final(hosts, monkeypatch):
    hosts.on("m2")
    ca_copy_store.drop()
    asked = []

    def ask(*_):
        asked.append("m1")
        return {"m1": {"refused": "its pillar names no m2"}}

    monkeypatch.setattr(ca_copy_exchange, "ask", ask)
    with pytest.raises(errors.SwarmError, match=r"no current copy .*: its pillar names no m2"):
        swarm_ca_copy.apply()
    assert asked == ["m1"]


def test_copies_and_the_way_to_them_show_no_key(hosts):
    lost = lose(hosts)
    hosts.apply(*ALL)
    keep(hosts)
    hosts.on("m2")
    told = "".join([*hosts.bus, json.dumps(list(hosts.mine.values()))])
    told += (host_files.CONFIG / "ca.sealed").read_text()
    assert "box" in told
    for line in lost["ca"]["key"].splitlines()[1:-1]:
        assert line not in told


# ---- the CA is lost


@pytest.mark.parametrize("silent", [set(), {"m2"}, {"m3"}])
def test_lost_ca_comes_back_from_a_manager_in_one_apply(hosts, silent):
    before = lose(hosts)
    hosts.silent = silent
    holder = "m3" if "m2" in silent else "m2"
    hosts.on("m1")
    told = swarm_ca.apply(test=True)
    assert ca_state.load() == {}
    changes = hosts.apply(*ALL)
    assert told["CA"] == changes["m1"]["CA"]
    if silent:
        assert told["CA"] == {"old": None, "new": f"restored from {holder}"}
    assert [changes[host] for host in ALL[1:]] == [{}] * 3, "same CA: nothing changes there"
    after = state(hosts)
    for key in ("ca", "old", "next", "gossip", "rotation", "consul"):
        assert after[key] == before[key]
    assert set(after["issued"]) == set(ALL)


def test_copy_of_the_version_before_gets_a_ca_for_consul_when_it_is_restored(monkeypatch, tmp_path):
    """That of the nodes, as in an upgrade: Consul runs with its certificates."""
    monkeypatch.setattr(host_files, "_LOCKS", tmp_path)
    monkeypatch.setattr(wait, "_FIRST", 0.001)
    hosts = Hosts(monkeypatch, tmp_path)
    with version_before(monkeypatch):
        for _ in range(2):
            hosts.apply(*ALL)
            keep(hosts)
    before = lose(hosts)
    changes = hosts.apply("m1")["m1"]
    assert changes["CA"]["new"] == "restored from m2"
    after = state(hosts)
    assert (after["ca"], after["consul"]["ca"]) == (before["ca"], before["ca"])
    assert hosts.apply("m1")["m1"]["CA"]["new"] == "a new CA is trusted beside the old"


def test_ca_moves_to_a_manager_that_pillar_names(hosts):
    before = lose(hosts)
    hosts.pillar = {**PILLAR, "tls": {"ca": "m2"}}
    hosts.silent = {"m1", "m3"}
    hosts.on("m2")
    assert swarm_ca.apply(test=True) == {"CA": {"old": None, "new": "restored from m2"}}
    assert swarm_tls.apply(test=True) == {}
    changes = hosts.apply("m2")
    assert changes["m2"] == {"CA": {"old": None, "new": "restored from m2"}}
    assert state(hosts, "m2")["ca"] == before["ca"]
    hosts.silent = {"m1"}
    assert hosts.apply("m3", "m4") == {"m3": {}, "m4": {}}
    assert keep(hosts, "m2", "m3")["m2"] == {"copy of the CA": {"old": "present", "new": None}}
    hosts.on("m3")
    assert ca_copy_store.own("m3").ca == "m2"


def test_new_swarm_asks_nobody_for_a_copy(monkeypatch, tmp_path):
    monkeypatch.setattr(host_files, "_LOCKS", tmp_path)
    new = Hosts(monkeypatch, tmp_path)
    assert new.apply("m1")["m1"]["CA"]["new"] == "made"
    assert new.asked == []


def test_host_that_cannot_encrypt_has_a_ca_and_no_copy(monkeypatch, tmp_path):
    """In FIPS mode, there is no X25519."""
    monkeypatch.setattr(host_files, "_LOCKS", tmp_path)
    unable = create_autospec(seal.X25519PrivateKey)
    unable.generate.side_effect = UnsupportedAlgorithm("not supported by this OpenSSL")
    monkeypatch.setattr(seal, "X25519PrivateKey", unable)
    new = Hosts(monkeypatch, tmp_path)
    assert new.apply("m1")["m1"]["CA"]["new"] == "made"
    new.apply("m2")
    with pytest.raises(errors.SwarmError, match="cannot encrypt a copy"):
        keep(new, "m2")


def test_backup_that_is_put_back_counts_more_than_the_copies(hosts):
    old = state(hosts)
    hosts.apply("m4", tls={"key_type": "rsa"})
    hosts.apply("m1")
    keep(hosts)
    lose(hosts)
    hosts.on("m1")
    host_files.write(ca_state.FILE, json.dumps(old), mode=0o600)
    assert "CA" not in hosts.apply("m1")["m1"]
    keep(hosts)
    assert ca_copy_store.own(hosts.on("m2")["id"]).state == state(hosts)


def test_no_second_ca_while_who_has_a_copy_is_silent(hosts):
    lose(hosts)
    hosts.silent = {"m2", "m3"}
    hosts.on("m1")["timeout"] = 0
    for test in (True, False):
        with pytest.raises(errors.WaitTimeoutError, match=r"A copy is on m2, m3.*No second"):
            swarm_ca.apply(test=test)
    assert ca_state.load() == {}


def test_distrust_everywhere_gives_a_new_ca_as_ever(hosts):
    before = lose(hosts)
    for host in ALL:
        hosts.on(host)
        swarm_tls.distrust()
    assert hosts.apply("m1")["m1"]["CA"]["new"] == "made"
    assert state(hosts)["ca"] != before["ca"]


def test_ca_that_moves_back_does_not_go_on_with_its_old_state(hosts):
    """A file from before the move has the secrets that have been replaced since."""
    old = state(hosts)
    hosts.pillar = {**PILLAR, "tls": {"ca": "m2"}}
    hosts.apply("m2")
    for step in ("begin", "follow", "end"):
        hosts.on("m2")
        swarm_ca.renew("gossip", step)
    hosts.apply("m1", "m3", "m4")
    keep(hosts)
    assert ("m1", "swarm_ca") not in hosts.mine, "members would read it as soon as it is the CA"
    hosts.pillar = PILLAR
    hosts.on("m1")
    for function in (lambda: swarm_ca.apply(test=True), swarm_ca.apply, swarm_ca.certificate):
        with pytest.raises(errors.SwarmError, match=r"older than its copy .*m2 meanwhile"):
            function()
    assert ("m1", "swarm_ca") not in hosts.mine
    assert "older than its copy" in ask(hosts, "m1", "m2")["refused"]
    assert state(hosts) == old
    ca_state.FILE.unlink()
    assert hosts.apply("m1")["m1"]["CA"]["new"] == "restored from m1"
    assert state(hosts)["gossip"] == hosts.mine["m2", "swarm_ca"]["gossip"] != old["gossip"]
    # It was the operator's choice: the copy goes, and the file counts.
    assert keep(hosts, "m1")["m1"]
    host_files.write(ca_state.FILE, json.dumps(old), mode=0o600)
    hosts.apply("m1")
    assert state(hosts)["gossip"] == old["gossip"]


def test_former_ca_can_be_removed_once_another_host_has_it(hosts, monkeypatch):
    monkeypatch.setattr(ca_removal, "_TOGETHER", 0)
    hosts.pillar = {**PILLAR, "tls": {"ca": "m2"}}
    hosts.on("m1")
    with pytest.raises(errors.SwarmError, match="the CA of m1 stays"):
        swarm_ca.remove()
    hosts.apply("m2")
    hosts.on("m1")
    assert swarm_ca.remove() == {"CA": {"old": "present", "new": None}}
    hosts.on("m2")
    with pytest.raises(errors.SwarmError, match="the CA of m2 stays"):
        swarm_ca.remove()


def test_published_record_stays_until_the_new_ca_has_one(hosts):
    """The new CA has to know which copy is the last."""
    hosts.pillar = {**PILLAR, "tls": {"ca": "m2"}}
    keep(hosts)
    assert ("m1", "swarm_ca") in hosts.mine
    hosts.apply("m2")
    hosts.on("m1")
    swarm_ca_copy.apply(test=True)
    assert ("m1", "swarm_ca") in hosts.mine
    keep(hosts)
    assert ("m1", "swarm_ca") not in hosts.mine


@pytest.mark.parametrize(
    ("kind", "copied", "last"),
    [
        ("gossip", "follow", "end"),
        ("gossip", "begin", "follow"),
        ("acl", "begin", "end"),
        ("acl", "follow", "end"),
    ],
)
def test_secrets_are_those_that_the_lost_ca_has_published_last(hosts, kind, copied, last):
    """Not an older management token, and no renewal that has ended since."""
    hosts.pillar = {**PILLAR, "consul": {"acl": True}}
    hosts.apply(*ALL)
    for step in ("begin", "follow", "end"):
        hosts.on("m1")
        swarm_ca.renew(kind, step)
        if step == copied:
            keep(hosts)
        if step == last:
            break
    before, published = lose(hosts), hosts.mine["m1", "swarm_ca"]["serial"]
    hosts.on("m2")
    copy = secrets(ca_copy_store.own("m2").state)
    hosts.on("m1")
    swarm_ca.apply()
    assert secrets(state(hosts)) == secrets(before) != copy
    assert state(hosts)["serial"] > published


def test_secrets_of_a_copy_count_more_than_an_older_record(hosts):
    """Of a CA that was lost long ago, and has the CA again after another host was lost."""
    hosts.pillar = {**PILLAR, "consul": {"acl": True}}
    hosts.apply(*ALL)
    keep(hosts)
    long_ago = {key: hosts.mine["m1", key] for key in ("swarm_ca", "swarm_acl")}
    hosts.pillar = {**hosts.pillar, "tls": {"ca": "m2"}}
    hosts.apply("m2")
    for step in ("begin", "follow", "end"):
        hosts.on("m2")
        swarm_ca.renew("acl", step)
    keep(hosts, "m3")
    before = lose(hosts, "m2")
    lose(hosts)
    hosts.pillar = {**hosts.pillar, "tls": {"ca": "m1"}}
    hosts.mine.pop(("m2", "swarm_ca"))
    hosts.mine |= {("m1", key): one for key, one in long_ago.items()}
    assert hosts.apply("m1")["m1"]["CA"]["new"] == "restored from m3"
    assert secrets(state(hosts)) == secrets(before)


def secrets(of):
    return {key: one for key, one in of.items() if key.startswith(("acl", "gossip"))}


def test_ca_that_is_no_member_knows_what_it_has_published(hosts):
    """Without its own record, it could not tell the last copy from an older one."""
    known = state(hosts)
    hosts.pillar = {**PILLAR, "nodes": {}, "tls": {"ca": "m4"}, "consul": {"acl": True}}
    hosts.on("m4")
    ca_state.save(known)
    minion = swarm_ca._minion()
    for readers in (
        ca_publication.record(minion)["members"],
        ca_publication.management(minion)["servers"],
    ):
        who = [one for one in (*ALL, "m5", "m44") if re.match(readers, one)]
        assert who == ["m1", "m2", "m3", "m4"]


# ---- copies that are none, or not the right one


def test_copy_of_the_former_ca_is_not_current(hosts):
    """The new CA counts from the beginning, and reaches the number of that copy."""
    for host in ALL:
        hosts.on(host)
        swarm_tls.distrust()
    lose(hosts)
    hosts.mine.pop(("m1", "swarm_ca"))
    for host in ("m2", "m3"):
        hosts.mine.pop((host, "swarm_tls"))
    hosts.apply(*ALL)
    hosts.on("m2")
    told = hosts.mine["m1", "swarm_ca"]
    before = ca_copy_store.held()
    host_files.write(
        host_files.CONFIG / "ca.sealed", json.dumps({**before, "published": told["serial"]})
    )
    keep(hosts, "m2")
    hosts.on("m2")
    assert ca_copy_store.own("m2").issuer == told["issuer"] != before["issuer"]


def test_newest_copy_counts(hosts):
    hosts.silent = {"m3"}
    hosts.apply("m4", tls={"key_type": "rsa"})
    hosts.apply("m1")
    keep(hosts, "m2")
    before = lose(hosts)
    hosts.silent = set()
    assert hosts.apply("m1")["m1"]["CA"]["new"] == "restored from m2"
    assert state(hosts)["serial"] > before["serial"]


def test_copy_from_after_the_last_publication_counts_more(hosts):
    """The CA publishes only at its next apply what it has signed since."""
    hosts.apply("m4", tls={"key_type": "rsa"})
    hosts.on("m3")
    ca_copy_store.drop()
    keep(hosts, "m3")
    before = lose(hosts)
    hosts.pillar = {**PILLAR, "tls": {"ca": "m3"}}
    assert hosts.apply("m3")["m3"]["CA"]["new"] == "restored from m3"
    assert state(hosts, "m3")["grants"]["m4"] == before["grants"]["m4"]


def test_restored_state_counts_from_above_all_copies(hosts):
    """Even from above one that was refused: the host's own would count more than the file."""
    lose(hosts)
    edit(hosts, "m2", lambda state: {**state, "gossip": "old", "serial": 500})
    hosts.pillar = {**PILLAR, "tls": {"ca": "m2"}}
    assert hosts.apply("m2")["m2"]["CA"]["new"] == "restored from m3"
    assert state(hosts, "m2")["serial"] > 500


@pytest.mark.parametrize("copied", [True, False], ids=["copied since", "not copied since"])
def test_ca_that_is_lost_in_its_rotation_comes_back_where_it_was(hosts, copied):
    hosts.on("m1")
    swarm_ca.rotate()
    hosts.apply(*ALL)
    keep(hosts)
    assert hosts.apply("m1")["m1"]["CA"]["new"] == "the new CA signs"
    if copied:
        keep(hosts)
    before = lose(hosts)
    assert hosts.apply("m1")["m1"]["CA"]["new"] == "restored from m2"
    after = state(hosts)
    for key in ("ca", "next", "old", "rotation", "consul"):
        assert after[key] == before[key]
    hosts.apply(*ALL, "m1")
    assert state(hosts)["old"] == []


def other(**differs):
    """Return a function that makes another CA of a state, with a higher serial."""
    made = pki.new_authority("swarm-formula m1", 100)._asdict()
    return lambda state: {**state, "ca": made, "serial": 999, **differs}


def test_copy_of_another_ca_is_refused_though_it_is_newer(hosts):
    """Of a manager that was off during a rotation, or that has made it up."""
    before = lose(hosts)
    edit(hosts, "m2", other())
    answer = ask(hosts, "m2", "m1")
    assert "does not trust" in answer["none"]
    assert hosts.apply("m1")["m1"]["CA"]["new"] == "restored from m3"
    assert state(hosts)["ca"] == before["ca"]


def test_lying_manager_brings_no_other_ca(hosts, monkeypatch):
    lose(hosts)
    for host in ("m2", "m3"):
        edit(hosts, host, other())
    monkeypatch.setattr(ca_copy_store, "trusted", Everything)
    hosts.on("m1")
    with pytest.raises(errors.SwarmError, match=r"m2: its copy is of another CA.*No second"):
        swarm_ca.apply()
    # Without what the CA has published, nobody says which one is right.
    edit(hosts, "m3", other())
    hosts.mine.pop(("m1", "swarm_ca"))
    hosts.on("m1")
    with pytest.raises(errors.SwarmError, match=r"m2: its copy is of .*m3: its copy is of"):
        swarm_ca.apply()
    assert ca_state.load() == {}


def test_lying_manager_does_not_vouch_for_its_own_ca(hosts, monkeypatch):
    """It says that it was the CA, and publishes a record of its own."""
    before = lose(hosts)
    edit(hosts, "m2", other())
    hosts.on("m2")
    evil = ca_copy_store.own("m2").state
    host_files.write(
        host_files.CONFIG / "ca.sealed", json.dumps({**ca_copy_store.held(), "ca": "m2"})
    )
    hosts.mine["m2", "swarm_ca"] = ca_record.record(evil)
    monkeypatch.setattr(ca_copy_store, "trusted", Everything)
    hosts.silent = {"m3"}
    hosts.on("m1")
    with pytest.raises(errors.WaitTimeoutError, match="A copy is on m3"):
        swarm_ca.apply(test=True)
    hosts.silent = set()
    assert hosts.apply("m1")["m1"]["CA"]["new"] == "restored from m3"
    assert state(hosts)["ca"] == before["ca"]


def with_consul(state, **differs):
    return {**state, "consul": {**state["consul"], **differs}}


class Everything:
    def __contains__(self, _):
        return True


@pytest.mark.parametrize(
    "change",
    [
        lambda _: {},
        lambda state: {**state, "ca": {**state["ca"], "key": pki.new_key()}},
        lambda state: with_consul(state, ca={**state["consul"]["ca"], "key": pki.new_key()}),
        lambda state: with_consul(state, next={**state["ca"], "key": pki.new_key()}),
        lambda state: {**state, "consul": {"ca": state["ca"]}},
        lambda state: {**state, "consul": "junk"},
        lambda state: {**state, "issued": "junk"},
        lambda state: {**state, "ca": "junk"},
        lambda _: [],
        lambda state: {key: one for key, one in state.items() if key != "rotation"},
    ],
)
def test_junk_is_no_copy(hosts, change):
    edit(hosts, "m2", change)
    hosts.on("m2")
    with pytest.raises(errors.SwarmError, match=r"ca\.sealed of m2 is no copy of the CA"):
        ca_copy_store.own("m2")
    lose(hosts)
    assert hosts.apply("m1")["m1"]["CA"]["new"] == "restored from m3"


def test_junk_alone_makes_no_second_ca(hosts):
    lose(hosts)
    for host in ("m2", "m3"):
        edit(hosts, host, lambda _: {})
    hosts.on("m1")
    with pytest.raises(errors.SwarmError, match=r"no copy can be used: m2: .*No second CA"):
        swarm_ca.apply()
    assert ca_state.load() == {}


# ---- who asks


@pytest.mark.parametrize("caller", ["m4", "m9"])
def test_ca_gives_no_copy_to_who_is_no_manager(hosts, caller):
    answer = ask(hosts, "m1", caller)
    assert "does not name it as a manager" in answer["refused"]


@pytest.mark.parametrize("caller", ["m3", "m4", "m9"])
def test_manager_gives_its_copy_to_the_ca_alone(hosts, caller):
    assert "is not the CA (swarm:tls:ca) in the pillar of m2" in ask(hosts, "m2", caller)["refused"]


def test_host_without_tls_gives_no_copy(hosts):
    hosts.pillar = {**PILLAR, "tls": {"enabled": False}}
    assert set(ask(hosts, "m2", "m9")) == set(ask(hosts, "m1", "m2")) == {"refused"}


def test_node_gives_no_copy(hosts):
    assert "refused" in ask(hosts, "m4", "m1")


def test_who_is_not_named_by_the_master_gets_no_copy(hosts):
    hosts.on("m1")
    answer = swarm_ca_copy.give({"key": seal.public(seal.new_key())})
    assert "does not say which minion asks" in answer["refused"]


@pytest.mark.parametrize(
    "request_", [None, {}, {"key": 1}, {"key": "junk"}, "junk", {"key": "AA=="}]
)
def test_junk_gets_no_copy(hosts, request_):
    hosts.on("m1")
    assert set(swarm_ca_copy.give(request_, __pub_id="m2")) == {"refused"}


def test_another_key_or_purpose_opens_nothing():
    key = seal.new_key()
    box = seal.sealed("secret", seal.public(key), "CA for m2")
    assert seal.opened(box, key, "CA for m2") == "secret"
    for wrong in (
        (box, seal.new_key(), "CA for m2"),
        (box, key, "CA for m3"),
        ({**box, "text": box["text"][:-8] + "AAAAAAA="}, key, "CA for m2"),
        ({**box, "key": seal.public(key)}, key, "CA for m2"),
        (None, key, "CA for m2"),
    ):
        with pytest.raises(errors.SwarmError, match="damaged"):
            seal.opened(*wrong)
