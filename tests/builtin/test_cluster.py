"""
Bare hosts become one cluster, and stay it.
"""

from pathlib import Path

import pytest

from swarm_formula.salt import current_pillar
from tests.integration.cluster import changed, failures

MANAGERS = {"m1": "manager", "m2": "manager", "m3": "manager"}
CERTIFICATES = "/var/lib/docker/swarm/certificates"
CFSSL = Path(__file__).with_name("cfssl.sh").read_text()


def test_promise_on_bare_hosts_is_true_and_touches_nothing(bare):
    bare.pillar(nodes={"m*": {"labels": {"zone": "a"}}}, builtin={"cluster": {"max-snapshots": 1}})
    before = {host: bare.files(host) for host in bare.lab.hosts()}
    promised = bare.state(test=True)
    assert failures(promised) == {}
    assert {host: bare.files(host) for host in bare.lab.hosts()} == before
    done = bare.state()
    assert failures(done) == {}
    assert set(changed(done)) <= set(changed(promised))
    for host in bare.lab.hosts():
        assert f"{host}: this node has joined the cluster" in changed(promised)
    assert bare.roles() == MANAGERS
    assert bare.cluster()
    assert bare.apply() == {}
    assert [bare.labels(host) for host in bare.lab.hosts()] == 3 * [{"zone": "a"}]
    bare.pillar(nodes={"m*": {"labels": {"zone": None}}})
    bare.apply()
    bare.pillar()


def test_second_apply_changes_nothing(mode):
    assert mode.apply() == {}
    assert mode.apply(test=True) == {}
    assert mode.lab.salt("*", "swarm_node.joined") == dict.fromkeys(mode.lab.hosts(), True)


@pytest.mark.once
def test_engine_listens_on_no_tcp_port_but_those_of_the_cluster(mode):
    listening = mode.lab.exec("m1", "ss", "-Hltn").stdout
    places = [line.split()[3] for line in listening.splitlines()]
    ports = {one.rpartition(":")[2] for one in places if not one.startswith("127.")}
    assert ports == {"2377", "7946"}


def test_status(mode):
    rows = {row["id"]: row for row in mode.lab.salt_run("swarm.status")}
    assert {row["state"] for row in rows.values()} == {"Ready"}
    assert sorted(row["role"] for row in rows.values()) == ["leader", "manager", "manager"]
    # A member whose pillar is as the master compiles it does not refresh it.
    for host, report in mode.lab.salt("*", "swarm_node.report").items():
        given = mode.lab.salt_run("pillar.show_pillar", host)["swarm"]
        assert report["pillar"] == current_pillar.digest(given)


def test_status_shows_at_once_what_was_edited(mode):
    mode.pillar(nodes={"m*": {"labels": {"zone": "z"}}})
    rows = mode.lab.salt_run("swarm.status")
    assert {row["why"] for row in rows} == {"pillar: zone=z; not applied yet"}
    mode.pillar()


def test_labels_and_availability_follow_pillar_and_nothing_restarts(mode):
    before = {host: mode.dockerd(host) for host in mode.lab.hosts()}
    nodes = {"m*": {"labels": {"zone": "a"}}, "m2": {"labels": {"zone": "b"}}}
    mode.pillar(nodes=nodes, labels={"disk": "ssd"})
    promised = mode.apply(test=True)
    done = mode.apply()
    assert done == promised
    assert mode.labels("m1") == {"zone": "a"}
    assert mode.labels("m2") == {"zone": "b"}
    assert mode.apply() == {}
    # An engine's own are others: about those a host that is broken into can lie.
    assert mode.api("m2", "/info")["Labels"] == ["disk=ssd"]
    mode.pillar(nodes={"m*": {"labels": {"zone": None}}, "m2": {"availability": "drain"}})
    mode.apply()
    assert mode.labels("m1") == {}
    assert mode.by_host()["m2"]["Spec"]["Availability"] == "drain"
    assert {host: mode.dockerd(host) for host in mode.lab.hosts()} == before
    mode.pillar(nodes={"m*": {"availability": "active"}})
    mode.apply()


@pytest.mark.once
def test_settings_of_the_cluster_follow_pillar_in_place(mode):
    wanted = {
        "task-history-limit": 2,
        "dispatcher-heartbeat": "8s",
        "cert-expiry": "720h",
        "snapshot-interval": 5000,
        "labels": {"site": "berlin"},
    }
    mode.pillar(builtin={"cluster": wanted, "address_pools": ["10.30.0.0/16"]})
    returns = mode.state()
    assert failures(returns) == {}
    leader = mode.leader()
    assert set(changed(returns)) == {f"{leader}: cluster is configured"}
    spec = mode.api(leader, "/swarm")["Spec"]
    assert spec["Orchestration"]["TaskHistoryRetentionLimit"] == 2
    assert spec["Dispatcher"]["HeartbeatPeriod"] == 8 * 10**9
    assert spec["CAConfig"]["NodeCertExpiry"] == 720 * 3600 * 10**9
    assert spec["Labels"] == {"site": "berlin"}
    # What only a new cluster could have is told of, not hidden.
    told = [text for one in returns[leader].values() for text in one.get("warnings", [])]
    assert any("swarm:builtin:address_pools" in text for text in told)
    assert mode.apply() == {}


@pytest.mark.once
def test_overlay_network_is_made_once(mode):
    mode.pillar(networks={"backend": {"subnet": "10.20.0.0/24", "attachable": True}})
    done = mode.apply()
    assert list(done) == [f"{mode.leader()}: swarm networks are present"]
    for host in mode.lab.hosts():
        found = mode.api(host, "/networks/backend")
        assert (found["Scope"], found["Attachable"]) == ("swarm", True)
    assert mode.apply() == {}


@pytest.mark.once
def test_what_is_not_for_this_mode_is_refused_before_anything_is_touched(mode):
    before = {host: mode.files(host) for host in mode.lab.hosts()}
    mode.pillar(overlay=True, engine={"options": {"live-restore": True}})
    told = failures(mode.state())
    assert "swarm:overlay: found True" in told["m1: swarm pillar is valid"]
    assert "swarm:engine:options:live-restore" in told["m1: swarm pillar is valid"]
    assert {host: mode.files(host) for host in mode.lab.hosts()} == before


@pytest.mark.long
@pytest.mark.once
def test_own_ca_signs_the_certificates_of_all_nodes(mode):
    """Once it has, other settings still follow pillar, and who joins trusts it."""
    make = (
        "umask 077; mkdir -p /srv/ca; cd /srv/ca; openssl req -x509 -newkey ec -nodes -days 999"
        " -pkeyopt ec_paramgen_curve:prime256v1 -subj '/CN=our own' -keyout key -out cert"
    )
    mode.lab.exec("salt", "sh", "-c", make)
    for name in ("cert", "key"):
        text = mode.lab.exec("salt", "cat", f"/srv/ca/{name}").stdout
        for host in MANAGERS:
            place = f"umask 077; mkdir -p /etc/swarm-ca; cat > /etc/swarm-ca/{name}"
            mode.lab.exec(host, "sh", "-c", place, input=text)
    places = {f"signing_ca_{name}": f"/etc/swarm-ca/{name}" for name in ("cert", "key")}

    mode.pillar(builtin=places)
    promised = changed(mode.state(test=True))
    assert mode.apply() == promised
    assert mode.apply() == {}
    mode.pillar(builtin={**places, "cluster": {"task-history-limit": 3}})
    mode.apply()
    mode.lab.salt("m3", "swarm_builtin.leave")
    mode.apply()
    mode.become(**MANAGERS)
    assert issuers(mode) == {"our own"}
    mode.wait(lambda: mode.apply() == {}, 120)


@pytest.fixture
def cfssl(mode):
    """The real one, on the master's host, with a CA of its own; return its URL and certificate."""
    address = mode.lab.address("salt")
    root = mode.lab.exec("m1", "cat", f"{CERTIFICATES}/swarm-root-ca.crt").stdout
    mode.lab.exec("salt", "sh", "-c", CFSSL, "sh", address, root, timeout=300)
    # It stays there until the lab goes: if a test has failed, the cluster still needs it.
    url = f"https://{address}:8888/api/v1/cfssl/sign"
    return url, mode.lab.exec("salt", "cat", "/srv/outside/cert").stdout


@pytest.mark.once
@pytest.mark.long
def test_external_ca_signs_and_is_left_again(mode, cfssl):
    """Its key is never here. All settings can still be changed, and nodes join."""
    url, cert = cfssl
    for host in MANAGERS:
        place = "umask 077; mkdir -p /etc/swarm-ca; cat > /etc/swarm-ca/outside"
        mode.lab.exec(host, "sh", "-c", place, input=cert)
    known = {"external-ca": [{"url": url, "ca": cert}]}
    outside = {"signing_ca_cert": "/etc/swarm-ca/outside"}

    mode.pillar(builtin={**outside, "cluster": known})
    promised = changed(mode.state(test=True))
    # What m3 was before is down by now, and may go earlier than promised.
    assert set() < set(mode.apply()) <= set(promised)
    assert issuers(mode) == {"outside"}
    assert mode.apply() == {}
    mode.lab.salt("m3", "swarm_builtin.leave")
    mode.pillar(builtin={**outside, "cluster": {**known, "task-history-limit": 4}})
    mode.apply()
    mode.become(**MANAGERS)
    assert issuers(mode) == {"outside"}
    # What m3 was before has no certificate of any other CA, and would hold that up.
    mode.wait(lambda: mode.apply() == {} and len(mode.nodes()) == len(MANAGERS), 120)
    # A new CA of Docker's own is cross-signed by the one before, which is not needed after that.
    # One edit takes both: it goes node by node, and then the CA outside goes.
    mode.pillar(builtin={"cluster": {"external-ca": [], "ca-rotation": 7}})
    mode.apply()
    assert issuers(mode) == {"swarm-ca"}
    mode.wait(lambda: mode.apply() == {}, 120)


def issuers(mode):
    """Return who has signed the certificates of the managers' nodes."""
    # In its own words, each version of OpenSSL writes it in another way.
    command = ["openssl", "x509", "-noout", "-issuer", "-nameopt", "RFC2253"]
    command += ["-in", f"{CERTIFICATES}/swarm-node.crt"]
    said = {mode.lab.exec(host, *command).stdout.strip() for host in MANAGERS}
    return {one.rpartition("CN=")[2] for one in said}
