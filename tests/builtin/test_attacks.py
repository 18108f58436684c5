"""
A worker that is broken into: what its root says, with its minion's key, moves no other machine.
"""

import json
import time

import pytest

from lab.run import LabError
from tests.integration.cluster import changed, failures

ATTACKER, VICTIM = "m3", "m2"
MODULE = "/var/cache/salt/minion/extmods/modules/swarm_node.py"
SETTLED = {"m1": "manager", "m2": "manager", "m3": "worker"}
# Salt puts `pretag` before the tag after it has looked which tags a minion may use.
FORGE = """
import json, sys
import salt.channel.client, salt.config, salt.crypt
opts = salt.config.minion_config("/etc/salt/minion")
opts["master_uri"] = "tcp://{}:4506".format(opts["master"])
auth = salt.crypt.SAuth(opts)
auth.authenticate()
with salt.channel.client.ReqChannel.factory(opts) as channel:
    for load in json.loads(sys.argv[1]):
        known = {"id": opts["id"], "cmd": "_minion_event", "tok": auth.gen_token(b"salt")}
        channel.send({**known, **load})
"""

PORT = 2376
# What a version before clients had a CA of their own has signed for each node: server and client.
OLD = """
import sys
sys.path.insert(0, "/var/cache/salt/minion/extmods/utils")
from swarm_formula.tls import ca_state
from swarm_formula.tls import pki
key, both = pki.new_key(), (pki.SERVER, pki.CLIENT)
authority = pki.Authority(**ca_state.load()["ca"])
grant = pki.Grant(sys.argv[1], both, (sys.argv[1],), ("127.0.0.1",))
print(key + pki.sign(pki.request(key, "x"), authority, grant, 9))
"""
OPEN = {
    "managers": ["m1", "m2"],
    "nodes": {"m*": {}},
    "engine": {"port": PORT},
    "client": {"nodes": [VICTIM], "users": ["root", "nobody"]},
}
LOOT = "/root/loot.pem"
REQUEST = (
    "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=m1"
    " -addext extendedKeyUsage=clientAuth -keyout /root/loot.key"
)


@pytest.fixture(scope="module")
def broken_into(bare, master):
    """A cluster with one worker, which the tests have in their hand."""
    bare.heal()
    # Other tests may have drained a node.
    bare.pillar(managers=["m1", "m2"], nodes={"m*": {"availability": "active"}})
    bare.apply()
    bare.become(**SETTLED)
    assert bare.apply() == {}
    yield bare
    bare.lab.salt(ATTACKER, "saltutil.sync_modules")
    bare.restore()
    bare.apply()


@pytest.fixture
def says(broken_into):
    """Return a function that has the minion answer what it likes."""
    lab = broken_into.lab

    def says(**functions):
        lab.salt(ATTACKER, "saltutil.sync_modules")
        lies = "".join(
            f"\n\ndef {name}():\n    return {one!r}\n" for name, one in functions.items()
        )
        lab.exec(ATTACKER, "tee", "-a", MODULE, input=lies)

    yield says
    lab.salt(ATTACKER, "saltutil.sync_modules")


def _nodes(mode):
    """Return what can be done to nodes: ``{host: (role, availability, labels)}``."""
    return {
        host: (one["Spec"]["Role"], one["Spec"]["Availability"], one["Spec"].get("Labels"))
        for host, one in mode.by_host().items()
    }


def _report(mode, host):
    return mode.lab.salt(host, "swarm_node.report")[host]


@pytest.mark.once
def test_report_with_another_members_node_removes_nobody(broken_into, says):
    mode, before = broken_into, _nodes(broken_into)
    stolen = _report(mode, VICTIM)["endpoint"]
    says(report={**_report(mode, ATTACKER), "endpoint": stolen})
    done = mode.lab.exec("salt", "salt-run", "swarm.remove", ATTACKER, check=False, timeout=300)
    assert f"its node {stolen} is also that of {VICTIM}" in done.stdout + done.stderr
    assert _nodes(mode) == before
    assert mode.lab.salt(VICTIM, "test.ping") == {VICTIM: True}


@pytest.mark.once
@pytest.mark.parametrize(
    "nonsense",
    [
        pytest.param([], marks=pytest.mark.long),
        pytest.param(7, marks=pytest.mark.long),
        "x\nm1 | Ready",
        pytest.param({"mode": ["builtin"]}, marks=pytest.mark.long),
        {"endpoint": {}, "labels": "a\x1b[2Jb"},
    ],
    ids=str,
)
def test_nonsense_for_a_report_is_shown_and_stops_nothing(broken_into, says, nonsense):
    mode, before = broken_into, _nodes(broken_into)
    says(report=nonsense)
    rows = {row["id"]: row for row in mode.lab.salt_run("swarm.status")}
    assert rows.keys() == set(mode.lab.hosts())
    assert {rows[host]["state"] for host in ("m1", "m2")} == {"Ready"}
    table = mode.lab.exec("salt", "salt-run", "swarm.status").stdout
    assert "\x1b[2J" not in table
    assert [line.split()[0] for line in table.splitlines() if line.strip()].count("m1") == 1
    assert mode.lab.salt_run("swarm.reconcile", "test=True")
    assert _nodes(mode) == before


@pytest.mark.once
def test_lies_in_the_mine_change_no_other_node(broken_into, says):
    mode, before = broken_into, _nodes(broken_into)
    stolen = _report(mode, VICTIM)["endpoint"]
    record = {
        "cluster": "evil",
        "node": stolen,
        "address": f"{mode.lab.address(ATTACKER)}:2377",
        "token": "SWMTKN-1-evil",
    }
    says(claim=stolen, record=record)
    for name, function in (("swarm_node", "claim"), ("swarm_cluster", "record")):
        mode.lab.salt(ATTACKER, "mine.send", name, f"mine_function=swarm_node.{function}")
    mode.pillar(
        managers=["m1", "m2"],
        nodes={ATTACKER: {"labels": {"evil": "yes"}, "availability": "drain"}},
    )
    try:
        mode.state(target="m1,m2")
        assert {host: _nodes(mode)[host] for host in ("m1", "m2")} == {
            host: before[host] for host in ("m1", "m2")
        }
        assert mode.roles() == SETTLED
    finally:
        mode.pillar(managers=["m1", "m2"])
        mode.lab.salt(ATTACKER, "saltutil.sync_modules")
        mode.lab.salt(ATTACKER, "mine.delete", "swarm_cluster")
        mode.apply()
    mode.wait(lambda: mode.apply() == {}, 60)


@pytest.mark.once
def test_forged_events_about_keys_remove_nobody(broken_into):
    mode, before = broken_into, _nodes(broken_into)
    removals = _removals(mode)
    mode.install_autojoin(remove_after=2)
    ghosts = [VICTIM, f"{VICTIM}.x", *(f"ghost{number}" for number in range(25))]
    deleted = [{"act": "delete", "id": one, "result": True} for one in ghosts]
    loads = [{"tag": "key", "pretag": "salt", "data": one} for one in deleted]
    loads += [{"tag": "salt/key", "data": one} for one in deleted[:2]]
    try:
        command = ["/opt/salt/bin/python3", "-c", FORGE, json.dumps(loads)]
        mode.lab.exec(ATTACKER, *command, timeout=120)
        # Longer than a deleted key would have to be gone.
        time.sleep(15)
        assert _nodes(mode) == before
        assert _removals(mode) == removals
    finally:
        mode.install_autojoin()


def _removals(mode):
    """Return the jobs that have taken a node out of the cluster."""
    jobs = mode.lab.salt_run("jobs.list_jobs", "search_function=swarm_leader.*")
    return {jid for jid, one in jobs.items() if "expel" in str(one) or "drop" in str(one)}


@pytest.mark.once
@pytest.mark.parametrize("function", ["test.ping", "swarm_leader.expel", "swarm_builtin.leave"])
def test_worker_may_have_others_do_nothing_but_what_it_needs(broken_into, function):
    command = ["salt-call", "--out=json", "publish.publish", "m1", function, "m2"]
    try:
        said = json.loads(broken_into.lab.exec(ATTACKER, *command, check=False).stdout)["local"]
    except (LabError, ValueError, KeyError):
        said = {}
    assert not said
    assert broken_into.roles() == SETTLED


# ---- engines with a port


@pytest.fixture(scope="module")
def open_engines(broken_into):
    """All engines have a port, and the users of a manager are clients."""
    mode = broken_into
    mode.pillar(**OPEN)
    mode.apply()
    mode.become(**SETTLED)
    assert mode.apply() == {}
    yield mode
    # By itself: the end of the module makes the attacker a manager.
    mode.pillar(managers=["m1", "m2"])
    mode.apply()


def _engines(mode, host, cert, key):
    """Ask all engines from a host with a certificate: ``{engine: its node ID or TLS's words}``."""
    found = {}
    for engine in mode.lab.hosts():
        url = f"https://{mode.lab.address(engine)}:{PORT}/info"
        files = ["--cacert", "/etc/swarm-formula/tls/current/ca.pem", "--cert", cert, "--key", key]
        done = mode.lab.exec(host, "curl", "-sS", "--max-time", "20", *files, url, check=False)
        said = json.loads(done.stdout)["Swarm"]["NodeID"] if done.stdout else done.stderr
        found[engine] = said
    return found


def _sees_refusals(found):
    return all("alert" in said for said in found.values())


@pytest.mark.once
def test_users_of_clients_are_let_in_by_all_engines(open_engines):
    mode = open_engines
    for user in ("root", "nobody"):
        folder = f"/etc/swarm-formula/users/{user}"
        found = _engines(mode, VICTIM, f"{folder}/cert.pem", f"{folder}/key.pem")
        assert found == {host: mode.swarm(host)["NodeID"] for host in mode.lab.hosts()}
    login = [". /etc/profile.d/swarm.sh; docker node ls --format '{{.Hostname}}'"]
    for start in (["bash", "-lc"], ["runuser", "-u", "nobody", "--", "sh", "-c"]):
        assert set(mode.lab.exec(VICTIM, *start, *login).stdout.split()) == set(mode.lab.hosts())


@pytest.mark.once
@pytest.mark.parametrize("host", [ATTACKER, VICTIM])
def test_certificate_of_a_node_is_taken_by_no_engine(open_engines, host):
    """Nor its own: root of a worker, or of a manager, has the socket there, and nothing more."""
    folder = "/etc/swarm-formula/tls/current"
    found = _engines(open_engines, host, f"{folder}/cert.pem", f"{folder}/key.pem")
    assert _sees_refusals(found), found


@pytest.mark.once
def test_certificate_of_the_version_before_is_taken_by_no_engine(open_engines):
    mode = open_engines
    loot = mode.lab.exec("m1", "/opt/salt/bin/python3", "-c", OLD, ATTACKER).stdout
    mode.lab.exec(ATTACKER, "tee", LOOT, input=loot)
    found = _engines(mode, ATTACKER, LOOT, LOOT)
    assert _sees_refusals(found), found


def _csr(mode):
    return mode.lab.exec(ATTACKER, "sh", "-c", REQUEST).stdout


def _asked_to_sign(mode, csr, kind, address):
    """Return what the CA answers a request of the attacker."""
    request = {"csr": csr, "kind": kind, "address": address}
    arguments = ("m1", "swarm_ca.sign", f"arg=[{json.dumps(request)}]", "timeout=20")
    return mode.lab.call(ATTACKER, "publish.publish", *arguments, timeout=90)["m1"]


@pytest.mark.once
def test_worker_asks_the_ca_in_vain_for_what_lets_it_in(open_engines):
    mode = open_engines
    csr, own = _csr(mode), mode.lab.address(ATTACKER)
    told = {kind: _asked_to_sign(mode, csr, kind, own) for kind in ("node", "client", "server")}
    assert "swarm:client:nodes in the pillar of m1 does not" in told["client"]["refused"]
    assert "there is no kind 'server'" in told["server"]["refused"]
    mode.lab.exec(ATTACKER, "tee", LOOT, input=told["node"]["cert"])
    found = _engines(mode, ATTACKER, LOOT, "/root/loot.key")
    assert _sees_refusals(found), found


@pytest.mark.once
@pytest.mark.long
@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("::ffff:{m1}", "which is that of m1"),
        ("0:0:0:0:0:ffff:{m1}", "which is that of m1"),
        ("fd00::11%x", "is no address that other hosts reach"),
        ("::ffff:127.0.0.1", "is no address that other hosts reach"),
    ],
)
def test_address_of_another_host_is_certified_in_no_form(open_engines, address, words):
    mode = open_engines
    before = mode.lab.salt("m1", "swarm_ca.issued")
    asked = address.format(m1=mode.lab.address("m1"))
    told = _asked_to_sign(mode, _csr(mode), "node", asked)
    assert "cert" not in told
    assert words in told["refused"]
    assert mode.lab.salt("m1", "swarm_ca.issued") == before


def _minions(mode, host):
    """Return how many processes the minion of a host has."""
    return int(mode.lab.exec(host, "pgrep", "-fc", "salt-minion", check=False).stdout)


@pytest.mark.once
@pytest.mark.long
def test_sixty_requests_of_a_minion_that_is_no_member_hold_up_nobody(open_engines):
    mode = open_engines
    request = {"csr": _csr(mode), "kind": "node", "address": mode.lab.address(ATTACKER)}
    ask = {"cmd": "minion_pub", "fun": "swarm_ca.sign", "arg": [request], "ret": "", "tmo": 5}
    loads = [{**ask, "tgt": "m1", "tgt_type": "list", "form": "clean"}] * 60
    mode.pillar(**{**OPEN, "nodes": {"none": {}}})
    try:
        mode.lab.salt("m1", "saltutil.refresh_pillar", "wait=True")
        before, idle = mode.lab.salt("m1", "swarm_ca.issued"), _minions(mode, "m1")
        command = ["/opt/salt/bin/python3", "-c", FORGE, json.dumps(loads)]
        mode.lab.exec(ATTACKER, *command, timeout=180)
        since = time.monotonic()
        # What a member asks meanwhile is answered, and the CA's minion has other work done.
        arguments = ("m1", "swarm_leader.list_nodes", "tgt_type=list", "timeout=30")
        assert mode.lab.call(VICTIM, "publish.publish", *arguments, timeout=90)["m1"]
        assert mode.lab.salt("m1", "test.ping") == {"m1": True}
        assert time.monotonic() - since < 60
        mode.wait(lambda: _minions(mode, "m1") <= idle + 1, 120)
        assert mode.lab.salt("m1", "swarm_ca.issued") == before
        told = _asked_to_sign(mode, request["csr"], "node", request["address"])
        assert "does not name it as a node" in told["refused"]
    finally:
        mode.pillar(**OPEN)
        mode.lab.salt("m1", "saltutil.refresh_pillar", "wait=True")


@pytest.mark.once
def test_local_user_holds_no_lock_of_the_formula(broken_into):
    for host in ("m1", "m2"):
        find = "ls /run/swarm-formula-*.lock"
        locks = broken_into.lab.exec(host, "sh", "-c", find).stdout.split()
        assert locks
        modes = broken_into.lab.exec(host, "stat", "-c", "%a %U", *locks).stdout.splitlines()
        assert set(modes) == {"600 root"}
        for lock in locks:
            command = ["runuser", "-u", "nobody", "--", "sh", "-c", f": < {lock}"]
            assert "Permission denied" in broken_into.lab.exec(host, *command, check=False).stderr


@pytest.mark.once
def test_all_is_well_after_it(broken_into):
    returns = broken_into.state()
    assert (failures(returns), changed(returns)) == ({}, {})
