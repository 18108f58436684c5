"""
What the formula relies on in the image ``swarm`` 1.2.9, asserted of it and of the stand-in.
"""

import time

import pytest

from swarm_formula.standalone import manager_info
from tests.contract.swarm_box import call, wait

MANAGE, JOIN = ("manage",), ("join", "--addr", "10.0.0.1:2375")
NODES = "nodes://10.0.0.1:2375"
FATAL = [
    (MANAGE, "discovery required to manage a cluster. See 'swarm manage --help'."),
    (("join",), "discovery required to join a cluster. See 'swarm join --help'."),
    (("list",), "discovery required to list a cluster. See 'swarm list --help'."),
    ((*MANAGE, "a", "b"), "discovery required to manage a cluster"),
    ((*MANAGE, "foo://x"), "discovery service not supported"),
    ((*MANAGE, "consul://a,b"), "consul does not support multiple endpoints"),
    ((*MANAGE, "nodes://10.0.0.1"), "missing port in address"),
    ((*MANAGE, "--strategy=fair", NODES), "strategy not supported"),
    ((*MANAGE, "--filter=moon", NODES), "filter not supported"),
    ((*MANAGE, "--cluster-driver=mesos", NODES), "unsupported cluster"),
    ((*MANAGE, "--cluster-opt=swarm.overcommit=-1", NODES), "should be larger than -1"),
    ((*MANAGE, "--cluster-opt=swarm.createretry=-1", NODES), "can not be negative"),
    ((*MANAGE, "--discovery-opt=path", NODES), "--discovery-opt must contain key=value strings"),
    ((*MANAGE, "--heartbeat=0.5s", NODES), "--heartbeat should be at least one second"),
    ((*MANAGE, "--heartbeat=5", NODES), "invalid --heartbeat: time: missing unit in duration"),
    ((*MANAGE, "--engine-refresh-min-interval=0s", NODES), "min refresh interval should be a"),
    ((*MANAGE, "--engine-refresh-max-interval=20s", NODES), "cannot be less than min refresh"),
    ((*MANAGE, "--engine-refresh-retry=4", NODES), "--engine-refresh-retry is deprecated"),
    ((*MANAGE, "--engine-failure-retry=0", NODES), "invalid failure retry count"),
    ((*MANAGE, "--tls", NODES), "--tlscert and --tlskey must be provided when using --tls"),
    ((*MANAGE, "--tlscert=x", NODES), "require the use of either --tls or --tlsverify"),
    (
        (*MANAGE, "--tlsverify", "--tlscert=x", "--tlskey=y", NODES),
        "--tlscacert must be provided when using --tlsverify",
    ),
    ((*MANAGE, "--replication", NODES), "--advertise address must be provided"),
    ((*MANAGE, "--replication", "--addr=m1", NODES), "of the form ip:port or hostname:port"),
    (
        (*MANAGE, "--replication", "--addr=m1:1", "--replication-ttl=0s", NODES),
        "--replication-ttl should be a positive number",
    ),
    ((*MANAGE, "--replication", "--addr=m1:1", NODES), "Leader election is only supported with"),
    ((*MANAGE, "-H", "fd://x", NODES), "unsupported protocol"),
    (("join", NODES), "missing mandatory --advertise flag"),
    (("join", "--addr=eth0:2375:1", NODES), "of the form ip:port or hostname:port"),
    (("join", "--addr=m1:0", NODES), "of the form ip:port or hostname:port"),
    ((*JOIN, "--ttl=60s", NODES), "--ttl must be strictly superior to the heartbeat value"),
    ((*JOIN, "--delay=-1s", NODES), "--delay should not be a negative number"),
    (("--log-level=loud", *MANAGE, NODES), "not a valid logrus Level"),
    (("--flag", *MANAGE), "flag provided but not defined: -flag"),
]


@pytest.mark.parametrize(("words", "said"), FATAL, ids=lambda value: str(value)[:40])
def test_wrong_flags_end_it_with_code_1_and_a_fatal_line(swarm, words, said):
    done = swarm.once(*words)
    assert done.returncode == 1, done.stdout + done.stderr
    assert said in done.stdout + done.stderr


@pytest.mark.parametrize("words", [("manage", "--flag"), ("join", "--ttl"), ("manage", "-f")])
def test_an_unknown_or_unfinished_flag_of_a_command_is_refused(swarm, words):
    done = swarm.once(*words)
    assert done.returncode != 0
    assert "Incorrect Usage." in done.stdout


def test_version_and_help(swarm):
    assert swarm.once("--version").stdout.startswith("swarm version 1.2.9 (")
    helped = swarm.once("--help")
    assert helped.returncode == 0
    assert "manage, m\tManage a docker cluster" in helped.stdout


def test_list_prints_the_addresses(swarm, prefix):
    assert (
        swarm.once("list", "nodes://10.0.0.[1:2]:2375").stdout == "10.0.0.1:2375\n10.0.0.2:2375\n"
    )


def test_an_agent_keeps_a_key_that_dies_with_it(swarm, consul, prefix):
    """Half the TTL for the session: Consul lets a session live up to twice as long."""
    key = f"{prefix}/docker/swarm/nodes/10.0.0.1:2375"
    agent = swarm.agent(prefix, "10.0.0.1:2375", "--ttl=20s", "--heartbeat=5s")
    pair = wait(
        "the key has its value", lambda: (consul.key(key) or {}).get("Value") and consul.key(key)
    )
    assert pair["Value"] == "10.0.0.1:2375"
    session = consul.session(pair["Session"])
    assert (session["Behavior"], session["TTL"]) == ("delete", "10s")
    assert "Registering on the discovery service every 5s..." in swarm.logs(agent)
    time.sleep(22)
    assert consul.key(key), "the agent did not renew its session"
    swarm.kill(agent)
    wait("the key is gone", lambda: not consul.key(key), 30)


def test_kv_path_moves_the_nodes_only(swarm, consul, prefix):
    option = "--discovery-opt=kv.path=elsewhere"
    swarm.agent(prefix, "10.0.0.1:2375", option)
    manager = swarm.manager(prefix, option)
    wait("the key is there", lambda: consul.key(f"{prefix}/elsewhere/10.0.0.1:2375"))
    wait("the manager sees it", lambda: manager.nodes().get("10.0.0.1:2375"))
    assert consul.key(f"{prefix}/docker/swarm/leader")["Value"] == manager.address


def test_a_ttl_that_consul_refuses_is_only_logged(swarm, prefix):
    agent = swarm.agent(prefix, "10.0.0.1:2375", "--ttl=10s", "--heartbeat=5s")
    wait("the agent complains", lambda: "cannot set or renew session for ttl" in swarm.logs(agent))


def test_one_primary_and_another_when_it_dies(swarm, consul, prefix):
    first = swarm.manager(prefix)
    wait("it is primary", lambda: first.role() == "primary")
    pair = consul.key(f"{prefix}/docker/swarm/leader")
    session = consul.session(pair["Session"])
    assert pair["Value"] == first.address
    assert (session["Behavior"], session["TTL"]) == ("release", "10s")
    second = swarm.manager(prefix)
    wait("it knows the primary", lambda: dict(second.status()).get("Primary") == first.address)
    assert second.role() == "replica"
    swarm.kill(first.name)
    wait("the other took over", lambda: second.role() == "primary", 60)
    assert consul.key(f"{prefix}/docker/swarm/leader")["Value"] == second.address
    swarm.engine.docker("start", first.name)
    wait("it is back", first.answers)
    wait("it follows", lambda: dict(first.status()).get("Primary") == second.address)


def test_a_stopped_primary_does_not_resign(swarm, consul, prefix):
    manager = swarm.manager(prefix)
    wait("it is primary", lambda: manager.role() == "primary")
    started = time.monotonic()
    swarm.engine.docker("stop", "-t", "10", manager.name)
    assert time.monotonic() - started < 5
    code = swarm.engine.docker("inspect", "-f", "{{.State.ExitCode}}", manager.name).stdout.strip()
    assert code == "2"
    assert consul.key(f"{prefix}/docker/swarm/leader").get("Session")


def test_without_a_leader_only_ping_and_info_answer(swarm, consul, prefix):
    consul.lock(f"{prefix}/docker/swarm/leader", "")
    manager = swarm.manager(prefix)
    assert manager.status()[:2] == [["Role", "replica"], ["Primary", ""]]
    with pytest.raises(TimeoutError):
        call(manager.port, "GET", "/version", timeout=2)
    assert manager.answers()


def test_a_manager_alone_is_primary_at_once(swarm, prefix):
    manager = swarm.manager(prefix, "--strategy=binpacking", "-f", "health", replication=False)
    assert manager.status() == [
        ["Role", "primary"],
        ["Strategy", "binpack"],
        ["Filters", "health"],
        ["Nodes", "0"],
    ]
    assert manager.create("none").text == "No healthy node available in the cluster\n"


def test_a_replica_passes_everything_to_the_primary(swarm, nodes, prefix):
    swarm.agent(prefix, nodes["a"].address)
    first = swarm.manager(prefix)
    wait("it is primary", lambda: first.role() == "primary")
    second = swarm.manager(prefix)
    wait("it follows", lambda: dict(second.status()).get("Primary") == first.address)
    wait("the primary has the node", lambda: first.healthy(nodes["a"].address))
    wait("the replica has it too", lambda: second.healthy(nodes["a"].address))
    args = ("run", "--rm", "-i", "--network=none", "busybox:lab", "cat")
    assert second.docker(*args, input="through two hands").stdout == "through two hands"
    swarm.kill(first.name)
    wait(
        "the way is blocked",
        lambda: "Unable to reach primary" in call(second.port, "GET", "/version").text,
        5,
    )


def test_info_names_every_node_and_its_labels(manager, nodes):
    answer = call(manager.port, "GET", "/v1.30/info")
    assert answer.headers["api-version"] == "1.30"
    info = answer.json()
    assert info["ServerVersion"] == "swarm/1.2.9"
    assert (info["ID"], info["Driver"], info["Swarm"]["LocalNodeState"]) == ("", "", "")
    assert [key for key, _ in info["SystemStatus"]][:14] == [
        *("Role", "Strategy", "Filters", "Nodes", " node-a", "  └ ID", "  └ Status"),
        *("  └ Containers", "  └ Reserved CPUs", "  └ Reserved Memory", "  └ Labels"),
        *("  └ UpdatedAt", "  └ ServerVersion", " node-b"),
    ]
    assert dict(info["SystemStatus"])["Filters"] == (
        "health, port, containerslots, dependency, affinity, constraint, whitelist"
    )


def test_the_formula_reads_what_info_says_of_a_node(manager, nodes):
    parsed = manager_info.parse(call(manager.port, "GET", "/info").json())
    assert (parsed.role, parsed.version) == ("primary", "swarm/1.2.9")
    node = parsed.nodes[nodes["a"].address]
    assert (node.name, node.status, node.error) == ("node-a", "Healthy", "")
    assert node.id.endswith(f"|{nodes['a'].address}")
    assert "zone=a" in node.labels.split(", ")
    assert [label.partition("=")[0] for label in node.labels.split(", ")] == [
        *("kernelversion", "operatingsystem", "ostype", "storagedriver", "zone"),
    ]
    details = manager.nodes()[nodes["a"].address]
    assert details["Containers"] == "0 (0 Running, 0 Paused, 0 Stopped)"
    assert details["Reserved CPUs"].startswith("0 / ")
    assert details["Reserved Memory"].startswith("0 B / ")


def test_version_ping_and_what_does_not_exist(manager):
    version = call(manager.port, "GET", "/version")
    assert version.json()["Version"] == "swarm/1.2.9"
    assert version.json()["ApiVersion"] == version.headers["api-version"] == "1.30"
    assert "MinAPIVersion" not in version.json()
    assert call(manager.port, "GET", "/v1.41/_ping").text == "OK"
    assert call(manager.port, "HEAD", "/_ping").status == 404
    assert call(manager.port, "GET", "/swarm").status == 404
    missing = call(manager.port, "GET", "/containers/nobody/json")
    assert (missing.status, missing.text) == (404, "No such container nobody\n")
    assert missing.headers["content-type"] == "text/plain; charset=utf-8"
