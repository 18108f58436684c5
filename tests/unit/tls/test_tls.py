"""
Hosts that share a mine, a CA on the first of them, and what goes between them by the master.
"""

import datetime
import json
import os
import random
from pathlib import Path

import pytest

from _modules import swarm_ca, swarm_client, swarm_tls
from swarm_formula.consul import container_spec
from swarm_formula.core import errors, host_files, pem_text, wait
from swarm_formula.daemon import daemon_json
from swarm_formula.salt import mine as salt_mine
from swarm_formula.tls import ca_removal, ca_state, cert_files, certificate_due, pki, signing
from tests.unit.execution import own_time
from tests.unit.pillars import node, settings_of
from tests.unit.tls_hosts import BOTH, MODULES, PILLAR, Hosts, version_before


@pytest.fixture
def hosts(monkeypatch, tmp_path):
    """Return the hosts; nothing is on them."""
    monkeypatch.setattr(host_files, "_LOCKS", tmp_path)
    monkeypatch.setattr(wait, "_FIRST", 0.001)
    monkeypatch.setattr(ca_removal, "_TOGETHER", 0)
    return Hosts(monkeypatch, tmp_path)


def test_servers_and_managers_and_nobody_else_are_told_consuls_management_token(hosts):
    consul = {"consul": {"acl": True}}
    assert hosts.apply("m1", **consul)["m1"] == {
        "CA": {"old": None, "new": "made"},
        "Consul's management token": {"old": None, "new": "made"},
        **MADE,
    }
    told = hosts.mine["m1", "swarm_acl"]
    assert told == {"servers": "(?:m1|m2|m3)$", "token": ca_state.load()["acl"]}
    assert hosts.apply("m1", **consul) == {"m1": {}}
    assert hosts.mine["m1", "swarm_acl"] == told
    for _ in "off", "still off":
        assert hosts.apply("m1") == {"m1": {}}
        assert ("m1", "swarm_acl") not in hosts.mine
    assert hosts.apply("m1", **consul) == {"m1": {}}
    assert hosts.mine["m1", "swarm_acl"] == told, "the one that Consul knows"
    other = {"consul": {"acl": True, "servers": {"m1": "10.77.0.11", "m9": "10.77.0.19"}}}
    hosts.apply("m1", **other)
    assert hosts.mine["m1", "swarm_acl"]["servers"] == "(?:m1|m9|m2|m3)$"
    hosts.mine.clear()
    hosts.on("m1", **consul)
    swarm_ca.remove()
    assert dict(hosts.mine) == {}


MADE = {"certificate": {"old": None, "new": "made and signed"}}


def test_every_member_gets_a_certificate_for_its_address_and_then_nothing_changes(hosts):
    changes = hosts.apply("m1", "m2", "m4")
    assert changes == {
        "m1": {"CA": {"old": None, "new": "made"}, **MADE},
        "m2": MADE,
        "m4": MADE,
    }
    assert hosts.asked == [(one, "m1", "swarm_ca.sign") for one in ("m2", "m4")]
    assert hosts.apply("m1", "m2", "m4") == {"m1": {}, "m2": {}, "m4": {}}
    assert len(hosts.asked) == 2, "who has a certificate asks nobody"
    hosts.on("m4")
    status = swarm_tls.status()
    assert status["names"] == ["10.77.0.14", "127.0.0.1", "localhost", "m4"]
    assert status["trusts"] == [status["issuer"], status["consul_issuer"]]
    assert status["usages"] == ["serverAuth"]
    assert status["consul"]["names"] == status["names"]
    assert status["consul"]["usages"] == ["clientAuth", "serverAuth"]


def test_dry_run_promises_the_same_and_does_nothing(hosts, tmp_path):
    hosts.on("m1")
    assert {**swarm_ca.apply(test=True), **swarm_tls.apply(test=True)} == {
        "CA": {"old": None, "new": "made"},
        **MADE,
    }
    hosts.on("m4")
    assert swarm_tls.apply(test=True) == MADE
    assert (hosts.asked, dict(hosts.mine)) == ([], {})
    assert not [path for path in tmp_path.rglob("*") if path.suffix != ".lock"]


def test_without_tls_there_is_nothing_to_do(hosts):
    hosts.pillar = {**PILLAR, "tls": {"enabled": False}}
    assert hosts.apply("m1", "m4") == {"m1": {}, "m4": {}}


def test_nobody_needs_certificates_in_builtin_mode_without_a_socket(hosts):
    hosts.pillar = {**PILLAR, "mode": "builtin"}
    assert hosts.apply("m1", "m4") == {"m1": {}, "m4": {}}
    hosts.pillar = {**PILLAR, "mode": "builtin", "engine": {"port": 2376}}
    assert hosts.apply("m1", "m4")["m4"] == MADE


def test_masterless_host_is_its_own_ca(hosts, monkeypatch):
    hosts.on("m1", managers=["m1"])
    for module in MODULES:
        monkeypatch.setattr(module, "__opts__", {"id": "m1", "file_client": "local"})
    assert {**swarm_ca.apply(), **swarm_tls.apply()} == {"CA": {"old": None, "new": "made"}, **MADE}
    assert {**swarm_ca.apply(), **swarm_tls.apply()} == {}
    assert (hosts.asked, dict(hosts.mine)) == ([], {})


# ---- what keeps a node from a certificate


def test_ca_that_has_not_told_yet_is_waited_for(hosts):
    hosts.on("m4", timeout=5)
    hosts.on("m4").update(timeout=0)
    with pytest.raises(errors.WaitTimeoutError, match=r"m1, the CA .* has not told m4 whom"):
        swarm_tls.apply()


def test_ca_that_does_not_answer_is_told_with_what_to_look_at(hosts):
    hosts.apply("m1")
    hosts.reachable = False
    hosts.on("m4").update(timeout=0)
    with pytest.raises(errors.WaitTimeoutError, match="the master does not let minions ask it"):
        swarm_tls.apply()
    hosts.reachable = True
    assert hosts.apply("m4") == {"m4": MADE}


def test_who_is_refused_is_told_at_once(hosts, monkeypatch):
    hosts.apply("m1", "m2")
    monkeypatch.setitem(hosts.mine, ("m1", "swarm_ca"), hosts.mine["m1", "swarm_ca"])
    hosts.pillar = {**PILLAR, "nodes": {}}
    hosts.on("m4")
    with pytest.raises(errors.SwarmError, match="no certificate for m4: the pillar of m1"):
        swarm_tls.apply()
    assert cert_files.NODE.read() is None


def test_address_of_another_is_not_certified(hosts):
    hosts.apply("m1", "m4")
    hosts.pillar = {**PILLAR, "nodes": {"m4": {}, "m3": {}}, "managers": ["m1", "m2"]}
    settings = hosts.on("m3")
    settings["address"] = "10.77.0.14"
    with pytest.raises(errors.SwarmError, match=r"which is that of m4; if m4 is gone: salt m"):
        swarm_tls.apply()
    hosts.on("m1")
    assert swarm_ca.forget("m4") == {"m4": {"old": "10.77.0.14", "new": None}}
    hosts.on("m3")["address"] = "10.77.0.14"
    assert swarm_tls.apply() == MADE


def test_second_ca_is_not_made_where_the_first_is_trusted(hosts):
    """The first manager of pillar is another one now; nobody said what becomes of the CA."""
    hosts.apply("m1", "m2", "m4")
    hosts.pillar = {**PILLAR, "managers": ["m2", "m3"]}
    hosts.on("m2")
    with pytest.raises(errors.SwarmError, match=r"m2 is to be the CA .* of another one"):
        swarm_ca.apply()
    # Nor is it waited for, on the others or on the CA itself.
    for host in ("m1", "m4"):
        hosts.on(host)
        for test in (True, False):
            with pytest.raises(errors.SwarmError, match=r"Name m1 in swarm:tls:ca"):
                swarm_tls.apply(test=test)
    hosts.pillar = {**hosts.pillar, "nodes": {"m4": {}, "m1": {}}, "tls": {"ca": "m1"}}
    done = {"m1": NO_CLIENT, "m2": {}, "m4": {}}
    assert hosts.apply("m1", "m2", "m4") == done


def test_test_mode_tells_that_another_minion_is_no_ca_yet(hosts):
    hosts.apply("m1", "m2", "m4")
    hosts.on("m4", tls={"ca": "m2"})
    with pytest.raises(errors.SwarmError, match=r"m1 is the CA that m4 trusts"):
        swarm_tls.apply(test=True)
    # As after an upgrade from a release that noted nothing.
    host_files.note("tls", {})
    with pytest.raises(errors.WaitTimeoutError, match=r"m2, the CA .* has not told m4"):
        swarm_tls.apply(test=True)
    hosts.on("m3", tls={"ca": "m2"})
    assert swarm_tls.apply(test=True) == MADE, "on a bare host, the CA may be bare as well"


def test_ca_that_was_lost_is_not_replaced_behind_the_nodes_backs(hosts):
    hosts.apply("m1", "m4")
    hosts.on("m1")
    ca_state.FILE.unlink()
    swarm_tls.distrust()
    hosts.apply("m1")
    hosts.on("m4")
    with pytest.raises(errors.SwarmError, match="is another one than m4 trusts"):
        swarm_tls.apply()
    swarm_tls.distrust()
    assert hosts.apply("m4") == {"m4": MADE}


def test_new_hosts_wait_for_a_new_ca_although_the_mine_has_the_record_of_a_lost_one(hosts):
    """All hosts of a swarm are installed anew, and applied at once: the master keeps the mine."""
    hosts.apply("m1", "m4")
    for host in ("m1", "m4"):
        hosts.on(host)
        swarm_tls.distrust()
    hosts.on("m1")
    ca_state.FILE.unlink()
    hosts.on("m4").update(timeout=0)
    with pytest.raises(errors.WaitTimeoutError, match=r"does not sign for m4: m1 is no CA"):
        swarm_tls.apply()
    publish = hosts._publish

    def made_meanwhile(*arguments, **more):
        hosts._publish = publish
        hosts.apply("m1")
        hosts.on("m4")
        return publish(*arguments, **more)

    hosts._publish = made_meanwhile
    hosts.on("m4")
    assert swarm_tls.apply() == MADE
    have = cert_files.NODE.read()
    assert pki.issuer(have.cert, have.ca)
    assert hosts.apply("m1", "m4") == {"m1": {}, "m4": {}}


@pytest.mark.parametrize("test", [False, True], ids=["run", "test"])
def test_master_that_keeps_nothing_of_what_minions_tell_is_named(hosts, monkeypatch, test):
    monkeypatch.setattr(salt_mine, "_PATIENCE", 0.01)
    hosts.forgetful = True
    hosts.apply("m1")
    hosts.on("m4")
    with pytest.raises(errors.SwarmError) as error:
        swarm_tls.apply(test=test)
    assert "does not keep what m4 tells" in str(error.value)
    assert "minion_data_cache" in str(error.value)
    assert "apply swarm there" not in str(error.value)


def test_what_was_told_to_see_whether_the_master_keeps_it_is_taken_back(hosts):
    hosts.on("m4")
    assert swarm_tls.apply(test=True) == MADE
    assert hosts.mine == {}


@pytest.mark.parametrize(
    ("answer", "words", "wrong"),
    [
        ({}, "salt m1 test.ping", "answers"),
        ({"m1": "Minion in blackout mode."}, "answers Minion in blackout mode", "test.ping"),
    ],
    ids=["none", "blackout"],
)
def test_ca_that_does_not_sign_is_told_with_its_own_words(hosts, answer, words, wrong):
    hosts.apply("m1")
    hosts.pillar = {**PILLAR, "timeout": 5}
    hosts.on("m4")
    salt = {**swarm_tls.__salt__, "publish.publish": lambda *_, **__: answer}
    hosts._monkeypatch.setattr(swarm_tls, "__salt__", salt)
    hosts._monkeypatch.setattr(wait, "time", own_time(monotonic=iter(range(0, 9000, 3)).__next__))
    with pytest.raises(errors.SwarmError) as error:
        swarm_tls.apply()
    assert "m1, the CA (swarm:tls:ca), does not sign for m4: " in str(error.value)
    assert words in str(error.value)
    assert wrong not in str(error.value)


def test_certificate_by_a_ca_whose_clock_is_ahead_is_not_taken(hosts, monkeypatch):
    """Nobody would accept it, and an engine would be restarted for it."""
    hosts.apply("m1")
    hosts.on("m4")
    sign, now = pki.sign, pki.now

    def ahead(*arguments):
        with monkeypatch.context() as patched:
            patched.setattr(pki, "now", lambda: now() + datetime.timedelta(days=2))
            return sign(*arguments)

    monkeypatch.setattr(pki, "sign", ahead)
    with pytest.raises(errors.SwarmError, match="The clock of m1 or m4 is wrong"):
        swarm_tls.apply()
    assert cert_files.NODE.read() is None


# ---- renewal


@pytest.mark.parametrize(
    ("pillar", "why"),
    [
        ({"tls": {"renew_days": 89, "days": 91}}, None),
        ({"tls": {"renew_days": 90, "days": 91}}, "renewed, for it was valid for 90 more day(s)"),
        ({"tls": {"key_type": "rsa"}}, "with a key of the type rsa"),
        ({"tls": {"names": ["swarm.example.com"]}}, "signed for swarm.example.com as well"),
    ],
    ids=["not yet", "due", "kind of key", "name"],
)
def test_certificate_is_renewed_when_it_has_to_be(hosts, pillar, why):
    hosts.apply("m1", "m2")
    key = cert_files.NODE.read().key
    hosts.pillar = {**PILLAR, **pillar}
    expected = {"certificate": {"old": "present", "new": why}} if why else {}
    hosts.on("m2")
    assert swarm_tls.apply(test=True) == expected
    hosts.apply("m1")
    assert hosts.apply("m2") == {"m2": expected}
    assert (cert_files.NODE.read().key != key) is bool(why)
    assert hosts.apply("m1", "m2") == {"m1": {}, "m2": {}}


def test_what_a_run_replaces_and_then_takes_away_is_foretold(hosts):
    hosts.apply("m1", "m4")
    hosts.on("m4", tls={"key_type": "rsa"})
    promised = swarm_tls.tidy(test=True)
    assert len(promised) == 1
    assert swarm_tls.apply()
    assert swarm_tls.tidy() == promised
    assert swarm_tls.tidy(test=True) == swarm_tls.tidy() == {}


def test_ca_is_changed_in_three_steps_and_everybody_is_trusted_all_the_time(hosts):
    everybody = ("m1", "m2", "m4")
    hosts.apply(*everybody)
    hosts.pillar = {**PILLAR, "tls": {"ca_rotation": 1}}
    old = cert_files.NODE.read().ca
    for _ in range(3):
        # By day and night, and one after the other: at each moment all trust each other.
        for host in everybody:
            hosts.apply(host)
            sets = []
            for one in everybody:
                hosts.on(one)
                sets.append(cert_files.NODE.read())
            assert all(pki.issuer(one.cert, other.ca) for one in sets for other in sets)
    assert hosts.apply(*everybody) == {"m1": {}, "m2": {}, "m4": {}}
    assert old not in cert_files.NODE.read().ca


@pytest.mark.parametrize("seed", range(5))
def test_ca_waits_until_services_use_what_has_changed(hosts, seed):
    """Applies of all hosts at the same time, in any order: at each moment all trust each other."""
    chance = random.Random(seed)  # noqa: S311  not for secrets
    everybody, running = ("m1", "m2", "m4"), set()
    hosts.apply(*everybody)
    old = cert_files.NODE.read().ca
    hosts.pillar = {**PILLAR, "tls": {"ca_rotation": 1}}
    for _ in range(60):
        host = chance.choice(everybody)
        (hosts.end if host in running else hosts.begin)(host)
        running ^= {host}
        sets = hosts.in_use(*everybody)
        assert all(pki.issuer(one.cert, other.ca) for one in sets for other in sets)
    assert old not in {one.ca for one in hosts.in_use(*everybody)}, "nobody waits for ever"


def test_member_that_is_away_keeps_the_old_ca_alive(hosts):
    hosts.apply("m1", "m2", "m4")
    hosts.pillar = {**PILLAR, "tls": {"ca_rotation": 1}}
    for _ in range(4):
        hosts.apply("m1", "m2")
    hosts.on("m2")
    assert len(pem_text.bundle(cert_files.NODE.read().ca)) == 2
    del hosts.mine["m4", "swarm_tls"]  # its key was deleted
    for _ in range(4):
        hosts.apply("m1", "m2")
    hosts.on("m2")
    assert len(pem_text.bundle(cert_files.NODE.read().ca)) == 1


# ---- secrets


def test_keys_are_nowhere_but_on_their_hosts(hosts, tmp_path):
    hosts.apply("m1", "m2", "m4")
    hosts.on("m1")
    gossip = ca_state.load()["gossip"]
    told = json.dumps([swarm_ca.certificate(), swarm_ca.issued()])
    assert gossip not in told
    assert hosts.mine["m1", "swarm_ca"]["gossip"] == gossip, "for the members, in the mine"
    for text in (told, json.dumps([*hosts.mine.values()])):
        assert "PRIVATE KEY" not in text
    for path in tmp_path.rglob("*"):
        if path.is_file() and ("PRIVATE" in path.read_text() or gossip in path.read_text()):
            assert path.stat().st_mode & 0o077 == 0, path


def test_who_may_hear_it_is_told_anew_when_pillar_lets_others_in(hosts):
    hosts.apply("m1")
    assert hosts.mine["m1", "swarm_ca"]["members"] == "(?:m1|m2|m3|m4)$"
    hosts.pillar = {**PILLAR, "nodes": {"m*": {}}}
    hosts.apply("m1")
    assert hosts.mine["m1", "swarm_ca"]["members"] == "(?:m1|m2|m3|m.*)$"


# ---- files of the user's own


@pytest.fixture
def brought(tmp_path):
    """Return the pillar's section with files of a company's CA for 10.77.0.14."""
    authority = pki.new_authority("a company", 90)
    key = pki.new_key()
    grant = pki.Grant("m4", BOTH, ("m4",), ("10.77.0.14", "127.0.0.1"))
    texts = {
        "ca_cert": authority.cert,
        "cert": pki.sign(pki.request(key, "m4"), authority, grant, 9),
        "key": key,
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return {name: str(tmp_path / name) for name in texts}


def test_own_files_are_taken_over_and_renewed_as_they_change(hosts, brought):
    hosts.pillar = {**PILLAR, "tls": brought}
    took = {"certificate": {"old": None, "new": f"from {brought['cert']}"}}
    assert hosts.apply("m4") == {"m4": took}
    assert hosts.apply("m4") == {"m4": {}}
    before = cert_files.NODE.current()
    authority = Path(brought["ca_cert"])
    authority.write_text(authority.read_text() + pki.new_authority("next", 9).cert)
    assert hosts.apply("m4") == {"m4": {"certificate": {**took["certificate"], "old": "present"}}}
    assert cert_files.NODE.current() != before
    assert hosts.asked == []


def test_own_files_that_will_not_do_change_nothing(hosts, brought):
    hosts.pillar = {**PILLAR, "tls": brought}
    hosts.apply("m4")
    before = cert_files.NODE.read()
    Path(brought["key"]).write_text(pki.new_key())
    with pytest.raises(errors.SwarmError, match="the key is not that of the certificate"):
        hosts.apply("m4")
    Path(brought["key"]).unlink()
    with pytest.raises(errors.SwarmError, match=r"no file .* on m4 \(swarm:tls:key\)"):
        hosts.apply("m4")
    assert cert_files.NODE.read() == before


# ---- leaving


def test_remove(hosts):
    hosts.apply("m1", "m4")
    hosts.on("m1")
    with pytest.raises(errors.SwarmError, match="the CA of m1 stays, for m4 has cert"):
        swarm_ca.remove()
    hosts.on("m4")
    gone = {"certificates": {"old": "present", "new": None}}
    assert swarm_tls.remove(test=True) == swarm_tls.remove() == gone
    assert swarm_tls.remove() == {}
    hosts.on("m1")
    assert swarm_tls.remove() == gone
    assert swarm_ca.remove() == {"CA": {"old": "present", "new": None}}
    assert swarm_ca.remove() == {}
    assert dict(hosts.mine) == {}


def test_members_of_another_swarm_hold_up_no_change_and_no_end_of_a_ca(hosts):
    """The globs of both swarms match the hosts of both."""
    first, second = ({"managers": [one], "nodes": {"m*": {}}, "timeout": 5} for one in ("m1", "m3"))
    hosts.pillar = second
    hosts.apply("m3", "m4")
    hosts.pillar = first
    hosts.apply("m1", "m2")
    hosts.pillar = {**first, "tls": {"ca_rotation": 1}}
    steps = [hosts.apply("m1", "m2")["m1"].get("CA", {}).get("new") for _ in range(4)]
    assert steps[:3] == [
        "a new CA is trusted beside the old",
        "the new CA signs",
        "the old CA is trusted no more",
    ]
    hosts.on("m1")
    assert swarm_ca.complaints() == []
    with pytest.raises(errors.SwarmError, match="for m2 has certificates of it"):
        swarm_ca.remove()
    hosts.on("m2")
    swarm_tls.remove()
    hosts.on("m1")
    swarm_tls.remove()
    assert swarm_ca.remove() == {"CA": {"old": "present", "new": None}}


def test_host_that_pillar_moves_to_another_swarm_is_told_how(hosts):
    first, second = ({"managers": [one], "nodes": {"m*": {}}, "timeout": 5} for one in ("m1", "m3"))
    hosts.pillar = first
    hosts.apply("m1", "m2")
    hosts.pillar = second
    hosts.on("m2")
    words = r"If m2 is to move to another swarm, that of m3: .* salt m2 swarm_tls\.distrust,"
    with pytest.raises(errors.SwarmError, match=words):
        swarm_tls.apply()
    hosts.apply("m3")
    for test in (True, False):
        hosts.on("m2")
        with pytest.raises(errors.SwarmError) as told:
            swarm_tls.apply(test=test)
        # No other host is to do anything: both swarms go on.
        assert "If m2 is to move to the swarm of m3: salt m2 swarm_tls.distrust," in str(told.value)
        assert "'*'" not in str(told.value)
    swarm_tls.distrust()
    assert hosts.apply("m2") == {"m2": MADE}
    assert hosts.apply("m2", "m3") == {"m2": {}, "m3": {}}


def test_switching_tls_off_takes_the_certificates_away_at_the_end(hosts):
    hosts.apply("m1", "m4")
    hosts.pillar = {**PILLAR, "tls": {"enabled": False}}
    hosts.on("m4")
    assert swarm_tls.apply() == {}
    assert cert_files.NODE.read(), "until all is well they are what there is to go back to"
    swarm_tls.tidy()
    assert cert_files.NODE.read() is None


# ---- classic mode: only managers are clients of engines and managers


def test_worker_has_nothing_that_an_engine_or_a_manager_takes(hosts):
    """Nor its own engine; a Consul server that is no manager is a worker as well."""
    hosts.pillar = {**PILLAR, "managers": ["m1", "m2"], "nodes": {"m*": {}}}
    hosts.pillar["consul"] = {"servers": ["m1", "m2", "m3"]}
    everybody = ("m1", "m2", "m3", "m4")
    hosts.apply(*everybody)
    for host in everybody:
        (have,) = certificates(hosts, host)
        consul = have.for_consul()
        for other in everybody:
            assert engine_takes(hosts, other, have) is (host in {"m1", "m2"})
            assert not engine_takes(hosts, other, consul)
            assert consul_takes(hosts, other, consul)


def consul_takes(hosts, host, certificate):
    """Return whether Consul of a host lets somebody in with this certificate."""
    settings = hosts.on(host)
    config = container_spec.consul_config(
        settings, cert_files.NODE.read(), cert_files.NODE.current()
    )
    accepted = Path(config["ca_file"]).read_text()
    for_clients = pki.usages(certificate.cert) >= {pki.CLIENT}
    return for_clients and pki.issuer(certificate.cert, accepted) is not None


def test_manager_that_becomes_a_worker_gets_another_certificate(hosts):
    hosts.apply("m1", "m3")
    hosts.pillar = {**PILLAR, "managers": ["m1", "m2"], "nodes": {"m3": {}}}
    hosts.pillar["consul"] = {"servers": ["m1", "m2", "m3"]}
    assert hosts.apply("m1", "m3") == {"m1": {}, "m3": NO_CLIENT}


def test_store_of_the_users_own_ends_the_certificate_for_consul(hosts):
    hosts.apply("m1", "m4")
    hosts.pillar = {**PILLAR, "store": "etcd://etcd.example.com:2379"}
    gone = {"certificate": {"old": "present", "new": "without one for Consul"}}
    assert hosts.apply("m1", "m4") == {"m1": gone, "m4": gone}
    hosts.pillar = {**hosts.pillar, "tls": {"ca_rotation": 1}}
    for _ in range(4):
        changes = hosts.apply("m1", "m4")
    assert changes == {"m1": {}, "m4": {}}, "a change of the CA waits for no such certificate"
    hosts.pillar = PILLAR
    made = {"certificate": {"old": "present", "new": "for Consul: made and signed"}}
    assert hosts.apply("m1", "m4") == {"m1": made, "m4": made}


def talk(one, other):
    """Return whether Consul accepts each other's certificates, with the sets that hosts use."""
    first, second = (each.for_consul() or each for each in (one, other))
    return pki.issuer(first.cert, second.ca) and pki.issuer(second.cert, first.ca)


def trust_each_other(one, other):
    return pki.issuer(one.cert, other.ca) and pki.issuer(other.cert, one.ca)


def all_work_together(hosts, everybody):
    """Check that all that may be in use on all hosts fits together."""
    sets = hosts.in_use(*everybody)
    return all(talk(one, two) and trust_each_other(one, two) for one in sets for two in sets)


def test_upgrade_takes_the_old_certificates_away_without_an_outage(hosts):
    everybody = ("m1", "m2", "m4")
    with version_before(hosts.patch):
        hosts.apply(*everybody)
    old = certificates(hosts, *everybody)
    assert all(engine_takes(hosts, "m1", one) for one in old), "workers are clients"
    hosts.on("m1")
    promised = {**swarm_ca.apply(test=True), **swarm_tls.apply(test=True)}
    made = {"old": None, "new": "made"}
    begun = {"old": "in its change", "new": "a new CA is trusted beside the old"}
    for_consul = {"certificate": {"old": "present", "new": "signed for server.dc1.consul no more"}}
    assert promised == {"CA for Consul": made, "CA": begun, **for_consul}
    hosts.on("m4")
    assert swarm_tls.apply(test=True) == NO_CLIENT
    assert hosts.apply("m1") == {"m1": promised}
    assert all_work_together(hosts, everybody)
    assert hosts.apply("m4") == {"m4": NO_CLIENT}
    for _ in range(3):
        for host in everybody:
            hosts.apply(host)
            assert all_work_together(hosts, everybody)
    assert hosts.apply(*everybody) == {host: {} for host in everybody}
    for one in old:
        assert not any([engine_takes(hosts, host, one) for host in everybody])
    for host in ("m1", "m2"):
        (have,) = certificates(hosts, host)
        assert all([engine_takes(hosts, other, have) for other in everybody])
    (have,) = certificates(hosts, "m4")
    assert not any([engine_takes(hosts, other, have) for other in everybody])
    assert pem_text.fingerprints(have.consul_ca) == [pki.issuer(old[0].cert, old[0].ca)]


@pytest.mark.parametrize("seed", range(3))
def test_upgrade_in_any_order_ends_with_all_old_certificates_refused(hosts, seed):
    chance = random.Random(seed)  # noqa: S311  not for secrets
    everybody, running = ("m1", "m2", "m4"), set()
    with version_before(hosts.patch):
        hosts.apply(*everybody)
    old = certificates(hosts, *everybody)
    hosts.begin("m1")
    running.add("m1")
    for _ in range(60):
        host = chance.choice(everybody)
        (hosts.end if host in running else hosts.begin)(host)
        running ^= {host}
        assert all_work_together(hosts, everybody)
    for one in old:
        assert not any([engine_takes(hosts, host, one) for host in everybody])


def test_node_waits_for_a_ca_of_the_version_before(hosts):
    with version_before(hosts.patch):
        hosts.apply("m1", "m4")
    before = cert_files.NODE.read()
    hosts.on("m4").update(timeout=0)
    with pytest.raises(errors.WaitTimeoutError, match=r"m1, the CA .* no CA for Consul yet"):
        swarm_tls.apply()
    assert cert_files.NODE.read() == before


def test_both_certificates_of_a_node_are_renewed_together(hosts):
    """A new set restarts what reads it."""
    hosts.apply("m1", "m4")
    before = cert_files.NODE.read()
    hosts.asked.clear()
    hosts.pillar = {**PILLAR, "consul": {"servers": ["m1", "m2", "m4"]}}
    hosts.apply("m4")
    after = cert_files.NODE.read()
    assert hosts.asked == [("m4", "m1", "swarm_ca.sign")]
    assert {before.key, before.consul_key}.isdisjoint({after.key, after.consul_key})


def test_own_files_are_the_same_for_consul(hosts, brought):
    hosts.pillar = {**PILLAR, "tls": brought}
    hosts.apply("m4")
    settings, files = hosts.on("m4"), cert_files.NODE.current()
    config = container_spec.consul_config(settings, cert_files.NODE.read(), files)
    assert (config["ca_file"], config["cert_file"]) == (files.ca, files.cert)
    assert not Path(files.consul_cert).exists()


# ---- builtin mode: nodes are no clients


OPEN = {**PILLAR, "mode": "builtin", "engine": {"port": 2376}, "nodes": {"m*": {}}}
NO_CLIENT = {"certificate": {"old": "present", "new": "signed for clientAuth no more"}}
EVERYBODY = ("m1", "m2", "m4")


def certificates(hosts, *names):
    """Return the certificates of these hosts and their users."""
    found = []
    for host in names:
        hosts.on(host)
        found += [one for store in certificate_due.STORES.values() for one in store.kept()]
    return found


def engine_takes(hosts, host, certificate):
    """Return whether an engine lets somebody in with this certificate."""
    settings = hosts.on(host)
    options = daemon_json.options(settings, "26.1.5", cert_files.NODE.current())
    accepted = Path(options["tlscacert"]).read_text()
    for_clients = pki.usages(certificate.cert) >= {pki.CLIENT}
    return for_clients and pki.issuer(certificate.cert, accepted) is not None


def test_old_certificates_open_no_engine_once_all_are_renewed(hosts):
    """The ones from before stay valid for months; no change of the CA is needed to shut them."""
    hosts.pillar = {**OPEN, "mode": "classic"}
    with version_before(hosts.patch):
        hosts.apply(*EVERYBODY)
    old = certificates(hosts, *EVERYBODY)
    hosts.pillar = OPEN
    made = {"CA for clients": {"old": None, "new": "made"}}
    for test in (True, False):
        hosts.on("m1")
        assert {**swarm_ca.apply(test=test), **swarm_tls.apply(test=test)} == {**made, **NO_CLIENT}
    hosts.end("m1")
    for host in ("m2", "m4"):
        hosts.on(host)
        assert swarm_tls.apply(test=True) == NO_CLIENT
    assert hosts.apply("m2", "m4") == {"m2": NO_CLIENT, "m4": NO_CLIENT}
    assert hosts.apply(*EVERYBODY) == {host: {} for host in EVERYBODY}
    for certificate in (*old, *certificates(hosts, *EVERYBODY)):
        assert not any([engine_takes(hosts, host, certificate) for host in EVERYBODY])
    hosts.on("m4")
    assert swarm_tls.status()["usages"] == ["serverAuth"]


def test_mode_that_changes_renews(hosts):
    new = {"m1": "signed for clientAuth as well", "m4": "for Consul: made and signed"}
    old = {"m1": "signed for clientAuth no more", "m4": "without one for Consul"}
    for mode, why in (("builtin", None), ("classic", new), ("builtin", old)):
        hosts.pillar = {**OPEN, "mode": mode, "consul": {"servers": ["m1"]}}
        changes = hosts.apply("m1", "m4")
        for host in why or ():
            assert changes[host]["certificate"] == {"old": "present", "new": why[host]}
        # A CA that existed before has to be separated from that of Consul.
        for _ in range(4):
            changes = hosts.apply("m1", "m4")
        assert changes == {"m1": {}, "m4": {}}


def test_ca_that_has_none_for_clients_yet_is_waited_for(hosts):
    """It runs the version before, or classic mode: what it signs would be renewed at each apply."""
    hosts.pillar = {**OPEN, "mode": "classic"}
    with version_before(hosts.patch):
        hosts.apply("m1", "m4")
    before = cert_files.NODE.read()
    hosts.on("m4", mode="builtin").update(timeout=0)
    assert swarm_tls.apply(test=True) == NO_CLIENT
    with pytest.raises(errors.WaitTimeoutError, match=r"m1, the CA .* no CA for clients yet"):
        swarm_tls.apply()
    assert cert_files.NODE.read() == before


@pytest.mark.parametrize(
    ("mine", "cas", "words"),
    [
        ("builtin", "classic", "with the usages clientAuth, serverAuth, and serverAuth is due: "),
        ("classic", "builtin", "no certificate for m2: m1, the CA, has no Consul by its pillar: "),
    ],
)
def test_ca_of_another_mode_is_told(hosts, mine, cas, words):
    """Else m2 would have a new certificate and a restart at each apply."""
    for mode in ("builtin", mine):
        hosts.pillar = {**OPEN, "mode": mode}
        hosts.apply("m1", "m2")
    before = cert_files.NODE.read()
    hosts.pillar = {**hosts.pillar, "mode": cas}
    hosts.apply("m1")
    hosts.on("m2", mode=mine, tls={"key_type": "rsa"})
    with pytest.raises(errors.SwarmError, match=f"{words}give m1 the same swarm:mode"):
        swarm_tls.apply()
    assert cert_files.NODE.read() == before


def test_worker_whose_own_pillar_has_no_port_has_no_certificate_and_holds_nothing_up(hosts):
    hosts.pillar = {**OPEN, "client": {"nodes": ["m1"]}}
    without = {"engine": {"port": None}}
    hosts.apply("m1")
    assert hosts.apply("m4", **without) == {"m4": {}}
    hosts.pillar = {**hosts.pillar, "tls": {"ca_rotation": 1}}
    for _ in range(4):
        hosts.apply("m1")
        hosts.apply("m4", **without)
    assert hosts.apply("m1") == {"m1": {}}
    assert len(pem_text.bundle(cert_files.NODE.read().clients)) == 1


@pytest.fixture
def users(hosts, monkeypatch, tmp_path):
    """Have m4's users be clients in builtin mode."""
    hosts.pillar = {**OPEN, "client": {"nodes": ["m4"], "users": ["root"]}}
    monkeypatch.setattr(swarm_client, "_PROFILE", tmp_path / "swarm.sh")
    monkeypatch.setattr(swarm_client.shutil, "chown", lambda *_: None)
    hosts.apply(*EVERYBODY)
    hosts.on("m4")
    return tmp_path


def test_users_of_builtin_mode_are_let_in_by_every_engine(hosts, users):
    swarm_client.apply()
    assert swarm_client.apply() == {}
    profile = (users / "swarm.sh").read_text()
    assert "export DOCKER_HOST=tcp://10.77.0.11:2376\n" in profile
    assert "DOCKER_API_VERSION" not in profile, "that is of Swarm 1.2.9"
    given = (users / "m4/users/root/cert.pem").read_text()
    (certificate,) = cert_files.CLIENT.kept()
    assert certificate.cert == given
    assert all([engine_takes(hosts, host, certificate) for host in EVERYBODY])
    hosts.on("m2")
    with pytest.raises(errors.SwarmError, match="swarm:client:nodes in the pillar of m1"):
        signing.request(swarm_tls.__salt__, hosts.on("m2"), {"client": pki.new_key()})


def test_users_are_let_in_all_the_time_while_the_cas_change(hosts, users):
    swarm_client.apply()
    old = certificates(hosts, *EVERYBODY)
    hosts.pillar = {**hosts.pillar, "tls": {"ca_rotation": 1}}
    for _ in range(4):
        for host in EVERYBODY:
            hosts.begin(host)
            swarm_client.apply()
            hosts.end(host)
            hosts.on("m4")
            certificate = cert_files.CLIENT.read()
            for engine in EVERYBODY:
                assert engine_takes(hosts, engine, certificate)
                trusted = pki.issuer(cert_files.NODE.read().cert, certificate.ca)
                assert trusted is not None
    for host in EVERYBODY:
        assert not any([engine_takes(hosts, host, one) for one in old])


@pytest.mark.parametrize("seed", range(3))
def test_cas_change_only_when_engines_and_users_have_what_they_need(hosts, users, seed):
    """Applies in any order: each engine that may run lets the users in, and they trust it."""
    chance = random.Random(seed)  # noqa: S311  not for secrets
    swarm_client.apply()
    running, old = set(), cert_files.CLIENT.read()
    hosts.pillar = {**hosts.pillar, "tls": {"ca_rotation": 1}}
    for _ in range(60):
        host = chance.choice(EVERYBODY)
        if host in running:
            hosts.end(host)
        else:
            hosts.begin(host)
            swarm_client.apply()
        running ^= {host}
        engines = hosts.in_use(*EVERYBODY)
        hosts.on("m4")
        user = cert_files.CLIENT.read()
        assert all(pki.issuer(user.cert, engine.clients) for engine in engines)
        assert all(pki.issuer(engine.cert, user.ca) for engine in engines)
    accepted = {engine.clients for engine in hosts.in_use(*EVERYBODY)}
    assert not any(pki.issuer(old.cert, one) for one in accepted), "nobody waits for ever"


def test_own_files_of_builtin_mode_are_for_a_server(hosts, brought):
    """And who the company's CA has signed as a client is let in: there is no other CA."""
    grant = pki.Grant("m4", BOTH[:1], ("m4",), ("10.77.0.14", "127.0.0.1"))
    authority = pki.new_authority("a company", 90)
    key = pki.new_key()
    Path(brought["ca_cert"]).write_text(authority.cert)
    Path(brought["key"]).write_text(key)
    cert = pki.sign(pki.request(key, "m4"), authority, grant, 9)
    Path(brought["cert"]).write_text(cert)
    hosts.pillar = {**OPEN, "tls": brought}
    hosts.apply("m4")
    options = daemon_json.options(hosts.on("m4"), "26.1.5", cert_files.NODE.current())
    assert Path(options["tlscacert"]).read_text() == authority.cert
    hosts.pillar = {**PILLAR, "tls": brought}
    with pytest.raises(errors.SwarmError, match="lacks the usage clientAuth"):
        hosts.apply("m4")


# ---- clients


@pytest.fixture
def client(hosts, monkeypatch, tmp_path):
    """Have m4's users be clients."""
    hosts.pillar = {**PILLAR, "client": {"nodes": ["m4"], "users": ["root"]}}
    monkeypatch.setattr(swarm_client, "_PROFILE", tmp_path / "swarm.sh")
    monkeypatch.setattr(swarm_client.shutil, "chown", lambda *_: None)
    hosts.apply("m1", "m4")
    return tmp_path


def test_users_get_a_clients_certificate_once(hosts, client):
    assert set(swarm_client.apply()) == {
        "client's certificate",
        "certificate of root",
        str(client / "swarm.sh"),
    }
    assert swarm_client.apply() == {}
    folder = client / "m4/users/root"
    assert sorted(one.name for one in folder.iterdir()) == ["ca.pem", "cert.pem", "key.pem"]
    assert folder.stat().st_mode & 0o777 == 0o750
    assert (folder / "key.pem").stat().st_mode & 0o777 == 0o400
    assert pki.names((folder / "cert.pem").read_text()) == set()
    profile = (client / "swarm.sh").read_text()
    assert "export DOCKER_HOST=tcp://10.77.0.11:3376\n" in profile
    assert "export DOCKER_TLS_VERIFY=1\n" in profile
    assert f'export DOCKER_CERT_PATH="{client}/m4/users/$(id -un)"' in profile


def test_user_that_is_none_is_told(hosts, client):
    hosts.on("m4", client={"nodes": ["m4"], "users": ["nobody-there"]})
    with pytest.raises(errors.SwarmError, match=r"no user nobody-there on m4 \(swarm:client"):
        swarm_client.apply()


def test_who_is_no_user_of_it_any_more_has_no_certificate(hosts, client):
    swarm_client.apply()
    hosts.on("m4", client={"nodes": ["m4"], "users": []})
    assert swarm_client.apply() == {"certificate of root": {"old": "present", "new": None}}
    hosts.on("m4", client={"nodes": []})
    assert set(swarm_client.apply()) == {"client's certificate", str(client / "swarm.sh")}
    assert not (client / "m4/users").exists()
    assert not (client / "m4/client").exists()


# ---- what a certificate says


EDITS = (
    {"managers": ["m1"]},
    {"managers": ["m1", "m2", "m3"]},
    {"consul": {"servers": ["m1", "m2", "m3"]}},
    {"consul": {"servers": ["m1", "m2", "m4"]}},
    {"consul": {"servers": None}},
    {"consul": {"datacenter": "berlin"}},
    {"store": "etcd://e:2379"},
    {"store": None},
    {"tls": {"names": ["swarm.example.com", "10.0.0.100"]}},
    {"tls": {}},
)
SEED = int(os.environ.get("SWARM_TEST_SEED", "0"))


def due(host, pillar):
    """Return the names and addresses that a host's certificate is to have, by the docs."""
    settings = settings_of(pillar, node(host))
    found = {host, "localhost", "127.0.0.1", settings["address"]}
    if settings["is_manager"]:
        found |= set(settings["tls"]["names"])
    return found


def due_for_consul(host, pillar):
    """Return the names and addresses for Consul, ``None`` with a store of the user's own."""
    settings = settings_of(pillar, node(host))
    if not settings["managed_store"]:
        return None
    server = (
        {f"server.{settings['consul']['datacenter']}.consul"} if settings["is_server"] else set()
    )
    return {host, "localhost", "127.0.0.1", settings["address"]} | server


def test_certificates_follow_pillar_both_ways(hosts):
    """A client that becomes a server was refused by Consul's leader for ever."""
    members = ("m1", "m3", "m4")
    for edit in random.Random(SEED).sample(EDITS, 6):  # noqa: S311  not for secrets
        hosts.pillar = {"tls": {"ca": "m1"}, **hosts.pillar, "nodes": {"m*": {}}, **edit}
        if "tls" in edit:
            hosts.pillar["tls"] = {**edit["tls"], "ca": "m1"}
        hosts.apply(*members)
        for host in members:
            hosts.on(host)
            status = swarm_tls.status()
            assert set(status["names"]) == due(host, hosts.pillar), edit
            consul = status["consul"]["names"] if "consul" in status else None
            wanted = due_for_consul(host, hosts.pillar)
            assert (set(consul) if consul else None) == wanted, edit
        assert hosts.apply(*members) == {host: {} for host in members}


def test_client_that_becomes_a_server_of_consul(hosts):
    hosts.apply("m1", "m4")
    hosts.pillar = {**PILLAR, "consul": {"servers": ["m1", "m2", "m4"]}}
    why = "for Consul: signed for server.dc1.consul as well"
    done = {"certificate": {"old": "present", "new": why}}
    assert hosts.apply("m4") == {"m4": done}
    hosts.pillar = PILLAR
    done = {"certificate": {"old": "present", "new": why.replace("as well", "no more")}}
    assert hosts.apply("m4") == {"m4": done}
    assert hosts.apply("m4") == {"m4": {}}


def test_ca_whose_pillar_gives_less_is_told(hosts):
    """It would sign at every apply, and never what is due."""
    hosts.apply("m1", "m4")
    hosts.on("m4", consul={"servers": ["m1", "m2", "m4"]})
    with pytest.raises(errors.SwarmError, match=r"m1, the CA .* without server\.dc1\.consul"):
        swarm_tls.apply()


def test_ca_whose_pillar_gives_more_is_taken_as_it_is(hosts):
    hosts.pillar = {**PILLAR, "tls": {"names": ["swarm.example.com"]}}
    hosts.apply("m1", "m2")
    hosts.on("m2", tls={"names": []})
    before = swarm_tls.status()
    assert swarm_tls.apply() == {}
    assert swarm_tls.status() == before


@pytest.mark.parametrize(
    ("own", "why"),
    [
        ({"renew_days": 90, "days": 91}, "renewed, for it was valid for"),
        ({"key_type": "rsa"}, "with a key of the type rsa"),
    ],
    ids=["due", "kind of key"],
)
def test_certificate_to_which_the_ca_gives_more_is_renewed_all_the_same(hosts, own, why):
    """It was not: the new one had the same names as the old one, and was thrown away for that."""
    hosts.pillar = {**PILLAR, "tls": {"names": ["swarm.example.com"]}}
    hosts.apply("m1", "m2")
    hosts.on("m2", tls={"names": [], **own})
    key = cert_files.NODE.read().key
    assert swarm_tls.apply()["certificate"]["new"].startswith(why)
    assert cert_files.NODE.read().key != key


def test_gossip_key_is_renewed_without_another_path_for_what_reads_certificates(hosts):
    hosts.apply("m1", "m4")
    hosts.on("m4")
    before, files = cert_files.NODE.read(), cert_files.NODE.current()
    hosts.on("m1")
    assert swarm_ca.renewable() == ["gossip"]
    assert swarm_ca.renew("gossip") == "made"
    assert hosts.apply("m4") == {"m4": {}}, "Consul has to accept it first"
    hosts.on("m1")
    assert swarm_ca.renew("gossip", step="follow") == "used"
    hosts.on("m4")
    assert swarm_tls.tidy(test=True) == {}, "the set in use stays"
    hosts.on("m1")
    told = hosts.mine["m1", "swarm_ca"]
    assert told["gossip_old"] == before.gossip != told["gossip"]
    changes = {"certificate": {"old": "present", "new": "with another gossip key of Consul"}}
    assert hosts.apply("m4") == {"m4": changes}
    assert hosts.apply("m4") == {"m4": {}}
    hosts.on("m4")
    assert cert_files.NODE.current() == files
    assert cert_files.NODE.read() == before._replace(gossip=told["gossip"])
    hosts.on("m1")
    assert swarm_ca.renew("gossip", step="end") == "done"
    assert "gossip_old" not in hosts.mine["m1", "swarm_ca"]


def test_management_token_is_renewed_in_the_mine_of_the_servers(hosts):
    consul = {"consul": {"acl": True}}
    hosts.apply("m1", **consul)
    hosts.on("m1", **consul)
    first = ca_state.load()["acl"]
    assert swarm_ca.renew("acl") == "made"
    assert swarm_ca.renew("acl", step="follow") == "used"
    told = hosts.mine["m1", "swarm_acl"]
    assert (told["acl_old"], told["servers"]) == (first, "(?:m1|m2|m3)$")
    assert swarm_ca.renew("acl", step="end") == "done"
    assert first not in json.dumps(hosts.mine["m1", "swarm_acl"])
