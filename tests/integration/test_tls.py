"""
Nobody gets in without a certificate, nothing leaks, and certificates change in a swarm at work.
"""

import json

import pytest

from tests import hunt
from tests.integration.cluster import CERTIFICATES, CONSUL, ENGINE, MANAGER, failures
from tests.integration.troubles.table import consul

CA = "m1"
# Asks every port by HTTP and HTTPS, without a certificate; prints what answers.
KNOCK = """
import http.client, json, ssl, sys
found = {}
for port in map(int, sys.argv[2:]):
    anyone = ssl._create_unverified_context()
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    for kind, make in kinds.items():
        more = {"context": anyone} if kind == "https" else {}
        for path in ("/info", "/v1/status/leader"):
            link = make(sys.argv[1], port, timeout=2, **more)
            try:
                link.request("GET", path)
                answer = link.getresponse()
                if answer.status != 400:  # an engine's word to who does not speak TLS
                    found[f"{kind} {port} {path}"] = answer.status
            except (OSError, http.client.HTTPException):
                pass
            finally:
                link.close()
print(json.dumps(found))
"""


def _ports(swarm, host):
    """Return all TCP ports of a host that others can reach."""
    lines = swarm.lab.exec(host, "ss", "-Htln").stdout.splitlines()
    places = [line.split()[3].rpartition(":") for line in lines]
    return sorted({int(port) for address, _, port in places if not address.startswith("127.")})


def _knock(swarm, host, source="salt"):
    address, ports = swarm.lab.address(host), map(str, _ports(swarm, host))
    command = ["python3", "-c", KNOCK, address, *ports]
    return json.loads(swarm.lab.exec(source, *command, timeout=120).stdout)


@pytest.mark.once
def test_nothing_answers_without_a_certificate(swarm):
    for host in swarm.lab.hosts():
        assert {ENGINE, MANAGER, 8300, 8301} <= set(_ports(swarm, host))
        assert _knock(swarm, host) == {}
    # With one, it does: a replica and the primary have been asked by it.
    assert len(swarm.managers()) == len(swarm.lab.hosts())
    for host in swarm.lab.hosts():
        address = f"tcp://{swarm.lab.address(host)}:{ENGINE}"
        secure = ["env", "DOCKER_TLS_VERIFY=1", f"DOCKER_CERT_PATH={CERTIFICATES}"]
        assert swarm.lab.exec(CA, *secure, "docker", "-H", address, "version").returncode == 0


@pytest.mark.once
def test_engine_that_loses_its_file_does_not_answer_in_clear(swarm):
    """Whatever takes the keys out of daemon.json: without its certificates it does not start."""
    empty = "echo '{}' > /etc/docker/daemon.json && systemctl restart docker"
    assert swarm.lab.exec("m2", "sh", "-c", empty, check=False).returncode != 0
    assert _knock(swarm, "m2") == {}
    assert ENGINE not in _ports(swarm, "m2")
    swarm.apply("m2")
    assert ENGINE in _ports(swarm, "m2")
    assert _knock(swarm, "m2") == {}


# ---- secrets. First: a later test asks the mine by hand, and what it says is then in the job cache


def _secrets(swarm):
    """Return every secret of the swarm's, ``{what: a part of it that nothing else has}``."""
    state = json.loads(swarm.lab.exec(CA, "cat", "/etc/swarm-formula/ca.json").stdout)
    keys = {"the CA's key": state["ca"]["key"], "Consul's CA's key": state["consul"]["ca"]["key"]}
    for host in swarm.lab.hosts():
        keys[f"{host}'s key"] = swarm.lab.exec(host, "cat", f"{CERTIFICATES}/key.pem").stdout
        keys[f"{host}'s key for Consul"] = swarm.lab.exec(host, "cat", f"{CONSUL}/key.pem").stdout
    lines = {what: key.splitlines()[1] for what, key in keys.items()}
    seal = swarm.lab.exec("m2", "cat", "/etc/swarm-formula/sealing.key").stdout.strip()
    return {**lines, "m2's key for its copy of the CA": seal, "the gossip's key": state["gossip"]}


@pytest.mark.once
def test_secrets_are_nowhere_but_where_they_have_to_be(swarm):
    with hunt.bus(swarm.lab) as bus:
        swarm.lab.salt("m2", "swarm_tls.distrust")
        swarm.apply()
    (said,) = bus
    assert "swarm_ca.sign" in said
    told = json.dumps(
        [
            swarm.lab.salt("*", function)
            for function in ("grains.items", "swarm_tls.status", "swarm_tls.report", "config.items")
        ]
        + [swarm.lab.salt(CA, f"swarm_ca.{one}") for one in ("record", "issued", "certificate")]
    )
    for what, secret in _secrets(swarm).items():
        assert secret not in said, what
        assert secret not in told, what
        found = hunt.found(swarm.lab, secret)
        if what == "the gossip's key":
            files = found.pop("salt")
            assert [file for file in files if not hunt.MINE.fullmatch(file)] == []
            for file in files:
                assert swarm.lab.exec("salt", "stat", "-c", "%a", file).stdout.strip() == "600"
        assert found == {}, what


@pytest.mark.once
def test_the_search_finds_what_is_leaked(swarm):
    secret = _secrets(swarm)["m2's key"]
    swarm.lab.salt("m2", "test.arg", secret)
    leaked = hunt.found(swarm.lab, secret)["salt"]
    assert any("/jobs/" in file for file in leaked)
    swarm.lab.exec("salt", "rm", "-f", *leaked)
    swarm.docker("m3", "run", "-d", "--name", "leak", "-e", f"KEY={secret}", "busybox:lab", "true")
    try:
        assert hunt.found(swarm.lab, secret) == {"m3": ["containers"]}
    finally:
        swarm.docker("m3", "rm", "-f", "leak")


# ---- who gets in


@pytest.mark.once
def test_who_is_on_the_host_and_not_root_does_not_get_at_consul(swarm):
    ask = "import http.client, ssl; c = http.client.HTTPSConnection('127.0.0.1', 8501, context="
    ask += "ssl._create_unverified_context()); c.request('GET', '/v1/kv/?keys'); c.getresponse()"
    done = swarm.lab.exec(CA, "setpriv", "--reuid=65534", "--clear-groups", "python3", "-c", ask,
                          check=False)  # fmt: skip
    assert "CERTIFICATE_REQUIRED" in done.stderr.upper() or "BAD_CERTIFICATE" in done.stderr.upper()
    secret = ["(", "-name", "key.pem", "-o", "-name", "gossip", "-o", "-name", "*.json", ")"]
    files = swarm.lab.exec(CA, "find", "/etc/swarm-formula", *secret, "-perm", "/077").stdout
    assert files == "", "others can read them"


@pytest.mark.once
def test_minion_that_is_no_member_gets_neither_certificate_nor_key(swarm):
    """Of the same master, accepted, with the formula's modules on it; and it lies about itself."""
    host = swarm.lab.hosts()[-1]
    told = swarm.lab.call(host, "mine.get", CA, "swarm_ca", timeout=60)
    of_cas = {"trust", "issuer", "consul", "consul_issuer"}
    assert set(told[CA]) == {*of_cas, "gossip", "members", "serial"}
    swarm.pillar(managers=[CA], nodes={"m2": {}}, consul={
        **swarm.lab.default_pillar()["consul"], "servers": [CA, "m2"]})  # fmt: skip
    swarm.lab.salt(CA, "saltutil.refresh_pillar", "wait=True")
    assert failures(swarm.state(target=CA, sls="swarm.ca")) == {}
    assert swarm.lab.call(host, "mine.get", CA, "swarm_ca", timeout=60) == {}
    csr = "cat /root/csr.pem"
    make = "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=m1"
    swarm.lab.exec(host, "sh", "-c", f"{make} -keyout /dev/null -out /root/csr.pem", check=False)
    text = swarm.lab.exec(host, "sh", "-c", csr).stdout
    for kind in ("node", "client", "consul"):
        request = json.dumps({"csr": text, "kind": kind, "address": swarm.lab.address(CA)})
        answer = swarm.lab.call(host, "publish.publish", CA, "swarm_ca.sign", f"arg=[{request}]",
                                "timeout=20", timeout=90)  # fmt: skip
        assert f"no certificate for {host}: the pillar of {CA}" in answer[CA]["refused"]
    answer = swarm.lab.call(host, "publish.publish", CA, "swarm_ca.certificate", timeout=60)
    assert not answer, "nothing else may be asked"


def _asked_for(swarm, host, folder):
    """Ask all engines and managers from a host with a certificate: ``{port of host: answer}``."""
    found = {}
    trusted = ["--cacert", f"{CERTIFICATES}/ca.pem"]
    own = ["--cert", f"{folder}/cert.pem", "--key", f"{folder}/key.pem"]
    for other in swarm.lab.hosts():
        for port in (ENGINE, MANAGER):
            if port not in _ports(swarm, other):
                continue
            url = f"https://{swarm.lab.address(other)}:{port}/info"
            command = ["curl", "-sS", "--max-time", "20", *trusted, *own, url]
            done = swarm.lab.exec(host, *command, check=False)
            found[f"{port} of {other}"] = done.stdout or done.stderr
    return found


@pytest.mark.long
@pytest.mark.once
def test_root_of_a_worker_opens_no_engine_and_no_manager(swarm):
    """With each certificate that it has; nor its own engine, whose socket it has anyway."""
    *managers, worker = swarm.lab.hosts()
    servers = {**swarm.lab.default_pillar()["consul"], "servers": swarm.lab.hosts()}
    swarm.pillar(managers=managers, nodes={worker: {}}, consul=servers)
    swarm.apply()
    assert swarm.apply() == {}
    swarm.wait(swarm.all_healthy, 60)
    status = swarm.lab.salt("*", "swarm_tls.status")
    assert {host: one["usages"] for host, one in status.items()} == {
        **{host: ["clientAuth", "serverAuth"] for host in managers},
        worker: ["serverAuth"],
    }
    doors = {f"{ENGINE} of {host}" for host in swarm.lab.hosts()}
    doors |= {f"{MANAGER} of {host}" for host in managers}
    for folder in (CERTIFICATES, CONSUL):
        found = _asked_for(swarm, worker, folder)
        assert found.keys() == doors
        # An engine answers with an alert; a manager, of an older Go, ends the connection.
        assert all(said.startswith("curl: (") for said in found.values()), found
    for host in managers:
        found = _asked_for(swarm, host, CERTIFICATES)
        assert found.keys() == doors
        assert all('"ServerVersion"' in said for said in found.values()), found
        found = _asked_for(swarm, host, CONSUL)
        assert all(said.startswith("curl: (") for said in found.values()), found
    # What it needs, it has: its Consul, and by way of the master its own health.
    swarm.lab.salt("*", "saltutil.refresh_pillar", "wait=True")
    assert consul(swarm, worker, "status/leader")
    assert swarm.lab.salt(worker, "swarm_node.joined") == {worker: True}
    seen = swarm.lab.salt(worker, "swarm_classic.managers")[worker]
    nodes = {address for one in seen.values() for address in one["nodes"]}
    assert nodes == {f"{swarm.lab.address(worker)}:{ENGINE}"}
    swarm.pillar()
    swarm.apply()
    assert swarm.apply() == {}


@pytest.mark.long
@pytest.mark.once
def test_certificates_are_renewed_while_the_swarm_is_used(swarm):
    before = swarm.lab.salt("*", "swarm_tls.status")
    swarm.pillar(tls={"key_type": "rsa"})
    with swarm.calls() as calls:
        changed = swarm.apply()
        assert swarm.apply() == {}
    after = swarm.lab.salt("*", "swarm_tls.status")
    for host in swarm.lab.hosts():
        assert f"{host}: node certificate is present" in changed
        assert before[host]["folder"] != after[host]["folder"]
        assert before[host]["issuer"] == after[host]["issuer"]
    assert calls["failed"] == 0, json.dumps(calls)
    assert calls["calls"] > 50


@pytest.mark.long
@pytest.mark.once
def test_ca_is_followed_by_another_while_the_swarm_is_used(swarm):
    first = swarm.lab.salt(CA, "swarm_tls.status")[CA]["trusts"]
    swarm.pillar(tls={"ca_rotation": 1})
    with swarm.calls() as calls:
        for _ in range(8):
            if swarm.apply() == {}:
                break
        else:
            pytest.fail("it goes on and on")
    for status in swarm.lab.salt("*", "swarm_tls.status").values():
        assert status["trusts"] == [status["issuer"], status["consul_issuer"]]
        assert set(status["trusts"]).isdisjoint(first)
    assert calls["failed"] == 0, json.dumps(calls)


@pytest.mark.long
@pytest.mark.once
def test_ca_of_a_lost_host_comes_back_from_the_managers(swarm):
    """Its disk is empty; the others neither notice nor restart anything."""
    swarm.apply()  # the managers fetch what the CA has published last
    others = [host for host in swarm.lab.hosts() if host != CA]
    before, started = _trusts(swarm), {host: swarm.pids(host) for host in others}
    swarm.lab.stop(CA)
    # Its manager may have been the primary: that is Swarm's own failover.
    swarm.wait(lambda: swarm.primary() in others, 120)
    with swarm.calls("m2") as calls:
        swarm.lab.reset(CA)
        told = swarm.state("swarm.ca", target=CA, test=True)[CA]
        (promised,) = [one["changes"] for one in told.values() if one["changes"]]
        assert promised["CA"]["new"] in {f"restored from {host}" for host in others}
        assert swarm.lab.exec(
            CA, "test", "-e", "/etc/swarm-formula/ca.json", check=False
        ).returncode
        changed = swarm.apply()
    assert "restored from" in changed[f"{CA}: CA is present"]["CA"]["new"]
    assert [one for one in changed if not one.startswith(f"{CA}:")] == []
    assert _trusts(swarm) == before
    assert {host: swarm.pids(host) for host in others} == started
    assert calls["failed"] == 0, json.dumps(calls)
    swarm.wait(swarm.all_healthy, 120)
    assert swarm.apply() == {}


def _trusts(swarm):
    """Return ``{host: (CAs that it trusts, CA of its certificate)}``."""
    said = swarm.lab.salt("*", "swarm_tls.status")
    return {host: (one["trusts"], one["issuer"]) for host, one in said.items()}


def _gossip_keys(swarm, host):
    """Return the gossip keys that Consul accepts, of all of its pools."""
    return {key for pool in consul(swarm, host, "operator/keyring") for key in pool["Keys"]}


@pytest.mark.long
@pytest.mark.once
def test_gossip_key_is_rotated_and_nothing_restarts(swarm):
    file = "/etc/swarm-formula/consul.json"
    hosts = swarm.lab.hosts()
    ask = ["inspect", "-f", "{{.State.StartedAt}}", "swarm-consul"]
    started = {host: (swarm.docker(host, *ask), swarm.pids(host)["dockerd"]) for host in hosts}
    first = _gossip_keys(swarm, CA)
    with hunt.bus(swarm.lab) as bus, swarm.calls() as calls:
        assert swarm.rotate("gossip") == {"gossip": True}
    (second,) = _gossip_keys(swarm, CA)
    assert first.isdisjoint({second})
    assert second not in bus[0]
    for host in hosts:
        assert json.loads(swarm.lab.exec(host, "cat", file).stdout)["encrypt"] == second
    now = {host: (swarm.docker(host, *ask), swarm.pids(host)["dockerd"]) for host in hosts}
    assert now == started
    assert calls["failed"] == 0, json.dumps(calls)
    # A restart reads the new one, and comes back.
    swarm.docker("m2", "restart", "swarm-consul")
    swarm.wait(swarm.all_healthy, 120)
    assert swarm.apply() == {}


@pytest.mark.once
@pytest.mark.long
def test_tls_is_switched_off_and_on_in_a_running_swarm(swarm):
    pids = swarm.pids("m2")
    swarm.swarm(
        "run", "-d", "--name", "bystander", "--restart=always", "busybox:lab", "sleep", "900"
    )
    swarm.pillar(tls={"enabled": False})
    returns = swarm.state()
    assert failures(returns) == {}
    for states in returns.values():
        warned = [text for one in states.values() for text in one.get("warnings", ())]
        assert any("is root there, without a password" in text for text in warned)
    assert swarm.apply() == {}
    swarm.wait(swarm.all_healthy, 60)
    answers = _knock(swarm, "m1")
    assert {"http 2275 /info", "http 3375 /info"} <= set(answers)
    assert not {ENGINE, MANAGER} & set(_ports(swarm, "m1"))
    assert swarm.lab.exec("m2", "ls", "/etc/swarm-formula").stdout.split() == ["consul.json"]

    swarm.pillar()
    swarm.apply()
    assert swarm.apply() == {}
    swarm.wait(swarm.all_healthy, 60)
    assert _knock(swarm, "m1") == {}
    assert not {2275, 3375} & set(_ports(swarm, "m1"))
    assert pids["dockerd"] != swarm.pids("m2")["dockerd"]
    assert "Up" in swarm.swarm("ps", "-a", "--filter", "name=bystander").stdout
    swarm.swarm("rm", "-f", "bystander")


@pytest.mark.long
@pytest.mark.once
def test_files_of_the_users_own_take_the_place_of_the_ca(swarm):
    folder = "/root/pki"
    swarm.lab.exec("salt", "sh", "-c", OPENSSL, timeout=60)
    for host in swarm.lab.hosts():
        swarm.lab.exec(host, "mkdir", "-p", folder)
        address = swarm.lab.address(host)
        make = f"cd /root/pki && ADDRESS={address} sh -ec '{SIGN}' && cat ca.pem"
        ca = swarm.lab.exec("salt", "sh", "-c", make).stdout
        for name, text in (
            ("ca.pem", ca),
            ("cert.pem", swarm.lab.exec("salt", "cat", "/root/pki/cert.pem").stdout),
            ("key.pem", swarm.lab.exec("salt", "cat", "/root/pki/key.pem").stdout),
        ):
            swarm.lab.exec(host, "tee", f"{folder}/{name}", input=text)
    files = {"ca_cert": "ca.pem", "cert": "cert.pem", "key": "key.pem"}
    swarm.pillar(tls={key: f"{folder}/{name}" for key, name in files.items()})
    # Nobody trusts the company's CA before all do: once more for who came too early.
    swarm.state()
    swarm.apply()
    assert swarm.apply() == {}
    swarm.wait(swarm.all_healthy, 60)
    status = swarm.lab.salt("m2", "swarm_tls.status")["m2"]
    assert status["names"] == [swarm.lab.address("m2"), "127.0.0.1"]
    swarm.lab.exec("m2", "sh", "-c", f"cp {folder}/ca.pem {folder}/key.pem")
    wrong = failures(swarm.state(target="m2"))
    assert any("no private key as PEM" in text for text in wrong.values())
    assert swarm.all_healthy()
    swarm.lab.exec("salt", "rm", "-rf", "/root/pki")

    swarm.pillar()
    stranger = failures(swarm.state(target="m2"))
    assert any("swarm_tls.distrust, and apply again" in text for text in stranger.values())
    assert swarm.all_healthy()
    swarm.lab.salt("*", "swarm_tls.distrust")
    swarm.state()
    swarm.apply()
    swarm.wait(swarm.all_healthy, 60)


OPENSSL = """
mkdir -p /root/pki && cd /root/pki
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=company -days 9
"""
SIGN = """
openssl req -newkey rsa:2048 -nodes -keyout key.pem -out request -subj /CN=node
printf "subjectAltName=IP:$ADDRESS,IP:127.0.0.1\\nextendedKeyUsage=serverAuth,clientAuth\\n" > ext
signed="-CA ca.pem -CAkey ca.key -CAcreateserial -extfile ext -days 9"
openssl x509 -req -in request $signed -out cert.pem
"""
