"""
Consul's ACLs: who has a certificate may do what the swarm needs, and nothing else.
"""

import json

import pytest

from tests import hunt
from tests.integration.cluster import CONSUL, changed, failures

pytestmark = [pytest.mark.once, pytest.mark.long]

FILE = "/etc/swarm-formula/consul.json"
# What Consul on this host answers to who has its certificate: {"METHOD path": status}.
ASK = """
import http.client, json, ssl, sys
context = ssl.create_default_context(cafile=f"{sys.argv[1]}/ca.pem")
context.load_cert_chain(f"{sys.argv[1]}/cert.pem", f"{sys.argv[1]}/key.pem")
found = {}
for one in sys.argv[3:]:
    method, path, *body = one.split(maxsplit=2)
    link = http.client.HTTPSConnection("localhost", 8501, context=context)
    head = {"X-Consul-Token": sys.argv[2]} if sys.argv[2] else {}
    body = (body or ["x"])[0] if method == "PUT" else None
    link.request(method, f"/v1/{path}", body=body, headers=head)
    answer = link.getresponse()
    # Some denials come as an error of the server's.
    found[one] = "denied" if b"Permission denied" in answer.read() else answer.status
print(json.dumps(found))
"""
# What the swarm does, and what it never does.
NEEDED = {
    "GET kv/docker/swarm/leader": 200,
    "PUT kv/docker/swarm/test": 200,
    "DELETE kv/docker/swarm/test": 200,
    "PUT session/create": 400,  # let in, and its body is none
    "GET catalog/nodes": 200,
}
FOREIGN = dict.fromkeys(
    [
        "GET kv/somebody/else",
        "PUT kv/somebody/else",
        "GET acl/tokens",
        "GET acl/policies",
        "GET agent/self",
        "PUT agent/leave",
        "GET operator/raft/configuration",
        "PUT event/fire/x",
        "PUT agent/force-leave/m3",
    ],
    "denied",
)

# With which one takes the lock of the primary manager, or takes it away from the primary.
LOCK = [
    "PUT kv/docker/swarm/leader?acquire={session}",
    "PUT kv/docker/swarm/leader",
    "DELETE kv/docker/swarm/leader",
    "PUT session/destroy/{held}",
    'PUT session/create {{"Node": "{primary}"}}',
    'PUT catalog/deregister {{"Node": "{primary}"}}',
    'PUT catalog/register {{"Node": "{primary}", "Address": "10.99.0.1"}}',
    "PUT kv/swarm-formula/acl",
]
# Prints the ID of the managers' policy.
POLICY = """
import json, ssl, sys, urllib.request
context = ssl.create_default_context(cafile=f"{sys.argv[1]}/ca.pem")
context.load_cert_chain(f"{sys.argv[1]}/cert.pem", f"{sys.argv[1]}/key.pem")
request = urllib.request.Request("https://localhost:8501/v1/acl/policies")
request.add_header("X-Consul-Token", sys.argv[2])
found = json.loads(urllib.request.urlopen(request, context=context).read())
print(next(one["ID"] for one in found if one["Name"] == "swarm-formula-managers"))
"""
# Prints a session of this host, and that which holds the lock of the primary.
SESSIONS = """
import json, ssl, sys, urllib.request
context = ssl.create_default_context(cafile=f"{sys.argv[1]}/ca.pem")
context.load_cert_chain(f"{sys.argv[1]}/cert.pem", f"{sys.argv[1]}/key.pem")
def ask(path, method="GET"):
    request = urllib.request.Request(f"https://localhost:8501/v1/{path}", method=method)
    return json.loads(urllib.request.urlopen(request, context=context).read())
print(ask("session/create", "PUT")["ID"], ask("kv/docker/swarm/leader")[0]["Session"])
"""


def _ask(swarm, host, requests, token=""):
    command = ["python3", "-c", ASK, CONSUL, token, *requests]
    return json.loads(swarm.lab.exec(host, *command).stdout)


def _pillar(swarm, acl):
    swarm.pillar(consul={**swarm.lab.default_pillar()["consul"], "acl": acl})


def _token(swarm):
    return json.loads(swarm.lab.exec("m1", "cat", FILE).stdout)["acl"]["tokens"]["master"]


def _switched_while_it_is_used(swarm):
    """Apply twice while a client calls the swarm; return what changed in the first."""
    engines = {host: swarm.pids(host)["dockerd"] for host in swarm.lab.hosts()}
    with swarm.calls() as calls:
        done = swarm.apply()
        assert swarm.apply() == {}
    assert calls["failed"] == 0, json.dumps(calls)
    assert calls["calls"] > 50
    swarm.wait(swarm.all_healthy, 120)
    assert {host: swarm.pids(host)["dockerd"] for host in swarm.lab.hosts()} == engines
    return done


@pytest.fixture(scope="module")
def guarded(cluster):
    """The swarm, with ACLs that were switched on in it while it was used; then off again."""
    cluster.heal()
    _pillar(cluster, True)
    promised = cluster.state(test=True)
    done = _switched_while_it_is_used(cluster)
    assert set(done) <= set(changed(promised))
    yield cluster
    cluster.restore()
    _switched_while_it_is_used(cluster)
    assert _ask(cluster, "m1", ["GET agent/self"]) == {"GET agent/self": 200}
    assert "acl" not in json.loads(cluster.lab.exec("m1", "cat", FILE).stdout)
    assert cluster.lab.call("m2", "mine.get", "m1", "swarm_acl", timeout=60) == {}


def test_who_has_a_certificate_may_do_what_the_swarm_needs_and_nothing_else(guarded):
    for host in guarded.lab.hosts():
        assert _ask(guarded, host, NEEDED) == NEEDED
        assert _ask(guarded, host, FOREIGN) == FOREIGN
    may = _ask(guarded, "m2", ["GET kv/somebody/else", "GET acl/tokens"], _token(guarded))
    assert may == {"GET kv/somebody/else": 404, "GET acl/tokens": 200}


def test_swarm_works_on(guarded):
    guarded.pillar(
        consul={**guarded.lab.default_pillar()["consul"], "acl": True},
        networks={"guarded": {"driver": "overlay", "subnet": "10.21.0.0/24"}},
    )
    guarded.apply()
    guarded.swarm("run", "-d", "--name", "in-it", "--net", "guarded", "busybox:lab", "sleep", "60")
    guarded.swarm("rm", "-f", "in-it")
    guarded.lab.stop(guarded.primary())
    guarded.wait(lambda: guarded.primary() is not None, 90)
    guarded.heal()
    saved = guarded.lab.salt("m2", "swarm_backup.save")["m2"]
    assert isinstance(saved, dict), saved
    assert saved["bytes"] > 0


def test_new_host_comes_in(guarded):
    with guarded.visitor("m4"):
        promised = guarded.state(target="m4", test=True)
        assert failures(promised) == {}
        assert set(guarded.apply("m4")) <= set(changed(promised))
        assert guarded.apply("m4") == {}
        guarded.wait(lambda: guarded.statuses().get("m4") == "Healthy", 60)
        assert _ask(guarded, "m4", NEEDED) == NEEDED
        assert _ask(guarded, "m4", FOREIGN) == FOREIGN
        _attack_the_lock(guarded, "m4")
        assert "tokens" not in json.loads(guarded.lab.exec("m4", "cat", FILE).stdout)["acl"]


def _attack_the_lock(swarm, worker):
    """Root of a worker tries all that takes the lock from the primary, in vain."""
    primary = swarm.primary()
    command = ["python3", "-c", SESSIONS, CONSUL]
    session, held = swarm.lab.exec(worker, *command).stdout.split()
    tried = [one.format(session=session, held=held, primary=primary) for one in LOCK]
    assert _ask(swarm, worker, tried) == dict.fromkeys(tried, "denied")
    assert swarm.primary() == primary
    # The same requests are let in where they do no harm: what is denied above is not for all.
    own = f'PUT catalog/register {{"Node": "{worker}x", "Address": "10.99.0.1"}}'
    gone = f'PUT catalog/deregister {{"Node": "{worker}x"}}'
    allowed = [f"PUT session/destroy/{session}", own, gone]
    assert _ask(swarm, worker, allowed) == dict.fromkeys(allowed, 200)


def test_servers_come_and_go(guarded):
    consul = {**guarded.lab.default_pillar()["consul"], "acl": True}
    for servers in (["m2"], ["m1", "m2", "m3"]):
        guarded.pillar(consul={**consul, "servers": servers})
        guarded.apply()
        peers = dict.fromkeys(servers, "voter")
        assert guarded.lab.salt("m2", "swarm_consul.peers") == {"m2": peers}
        assert guarded.apply() == {}
        assert _ask(guarded, "m1", NEEDED) == NEEDED


def test_rights_that_somebody_took_away_come_back(guarded):
    """By an operator with the management token, or an old snapshot."""
    token = _token(guarded)
    found = guarded.lab.exec("m1", "python3", "-c", POLICY, CONSUL, token).stdout.strip()
    rules = {"ID": found, "Name": "swarm-formula-managers", "Rules": ""}
    anonymous = "00000000-0000-0000-0000-000000000002"
    taken = [
        f'PUT acl/token/{anonymous} {{"Policies": []}}',
        f"PUT acl/policy/{found} {json.dumps(rules)}",
    ]
    assert _ask(guarded, "m1", taken, token) == dict.fromkeys(taken, 200)
    guarded.wait(lambda: "denied" in _ask(guarded, "m2", NEEDED).values(), 60)
    assert guarded.apply() != {}
    assert _ask(guarded, "m2", NEEDED) == NEEDED
    guarded.wait(guarded.all_healthy, 120)


def test_management_token_is_rotated_while_the_swarm_is_used(guarded):
    first = _token(guarded)
    with hunt.bus(guarded.lab) as bus, guarded.calls() as calls:
        assert guarded.rotate("acl") == {"acl": True}
    second = _token(guarded)
    assert second != first
    assert not any(one in bus[0] for one in (first, second))
    tokens = ["GET acl/tokens"]
    assert _ask(guarded, "m2", tokens, second) == {"GET acl/tokens": 200}
    assert _ask(guarded, "m2", tokens, first) != {"GET acl/tokens": 200}
    assert calls["failed"] == 0, json.dumps(calls)
    assert guarded.apply() == {}


def test_token_is_nowhere_but_with_servers_and_the_mine(guarded):
    token = _token(guarded)
    with hunt.bus(guarded.lab) as bus:
        guarded.apply()
    assert token not in bus[0]
    found = hunt.found(guarded.lab, token)
    files = found.pop("salt")
    assert [file for file in files if not hunt.MINE.fullmatch(file)] == []
    assert found == {}
    for host in guarded.lab.hosts():
        assert guarded.lab.exec(host, "stat", "-c", "%a", FILE).stdout.strip() == "600"
    guarded.docker("m3", "run", "-d", "--name", "leak", "-e", f"X={token}", "busybox:lab", "true")
    try:
        assert hunt.found(guarded.lab, token)["m3"] == ["containers"], "a leak is found"
    finally:
        guarded.docker("m3", "rm", "-f", "leak")
