"""
Consul's servers are other ones, and a change that does not work is undone.
"""

import json

import pytest

from tests.integration.cluster import changed, failures

pytestmark = pytest.mark.once

KEY = "docker/swarm-formula-test"


def _consul(swarm, *words, host="m1"):
    """Run Consul's own command on a host."""
    file = swarm.lab.exec(host, "cat", "/etc/swarm-formula/consul.json").stdout
    config = json.loads(file)
    environment = {
        "HTTP_ADDR": f"https://127.0.0.1:{config['ports']['https']}",
        "CACERT": config["ca_file"],
        "CLIENT_CERT": config["cert_file"],
        "CLIENT_KEY": config["key_file"],
    }
    options = [one for key, to in environment.items() for one in ("-e", f"CONSUL_{key}={to}")]
    return swarm.docker(host, "exec", *options, "swarm-consul", "consul", *words)


def _servers(swarm, *servers):
    """Have pillar name these servers."""
    swarm.pillar(consul={**swarm.lab.default_pillar()["consul"], "servers": list(servers)})


def _voters(swarm):
    """Return what each host says of Raft's list."""
    return swarm.lab.salt("*", "swarm_consul.peers")


@pytest.mark.long
def test_servers_come_and_go_and_the_data_stays(swarm):
    """On 390db08, each of these is a dead-lock for good, and so is the way back."""
    _consul(swarm, "kv", "put", KEY, "kept")
    try:
        for servers in (["m1"], ["m2", "m3"], ["m1", "m2", "m3"]):
            _servers(swarm, *servers)
            foretold = swarm.state(test=True)
            assert failures(foretold) == {}
            done = swarm.apply()
            consul = {key for key in done if key.endswith("Consul is running")}
            assert consul == {key for key in changed(foretold) if "Consul is running" in key}
            peers = dict.fromkeys(servers, "voter")
            assert _voters(swarm) == dict.fromkeys(swarm.lab.hosts(), peers)
            assert _consul(swarm, "kv", "get", KEY) == "kept"
            assert swarm.all_healthy()
            assert swarm.apply() == {}
    finally:
        _consul(swarm, "kv", "delete", KEY)


@pytest.mark.parametrize(
    ("section", "wrong", "words"),
    [
        ("consul", {"options": {"log_levl": "WARN"}}, "log_levl"),
        pytest.param(
            *("manager", {"image": "busybox:lab"}, "swarm-manager"), marks=pytest.mark.long
        ),
        ("manager", {"options": {"host": ["tcp://198.51.100.7:1"]}}, "assign requested address"),
    ],
    ids=["option of Consul", "image of Swarm", "flag of the manager"],
)
def test_what_does_not_work_is_undone(swarm, section, wrong, words):
    """On 390db08, file and container of before are gone, and the new one ends again and again."""
    host, state = "m3", {"consul": "Consul is running", "manager": "manager is running"}[section]
    files, before = swarm.files(host), swarm.pids(host)
    names = set(swarm.docker(host, "ps", "-a", "--format", "{{.Names}}").split())
    swarm.pillar(host, **{section: {**swarm.lab.default_pillar()[section], **wrong}})
    told = failures(swarm.state(target=host))[f"{host}: {state}"]
    assert words in told
    assert swarm.files(host) == files
    assert set(swarm.docker(host, "ps", "-a", "--format", "{{.Names}}").split()) == names
    assert swarm.pids(host).keys() == before.keys()
    swarm.lab.pillar({}, host)
    assert set(swarm.apply(target=host)) <= {f"{host}: agent is running"}
    assert swarm.apply(target=host) == {}
    swarm.wait(swarm.all_healthy, 60)
