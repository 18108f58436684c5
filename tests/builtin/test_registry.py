"""
The swarm's own registry: pushed to by one node, pulled from by all, with the swarm's certificates.
"""

import re

import pytest

from tests.integration import own_registry
from tests.integration.cluster import WORKLOAD, failures
from tests.integration.own_registry import APP, CA, DATA, HOST, NAME, OTHER, REGISTRY, RUNS, WITH

WEB = {"image": APP, "mode": "global", "args": ["sleep", "3600"], "stop_grace_period": "1s"}


@pytest.fixture
def prepared(mode):
    """Hosts with what the registry and its users need, which is gone afterwards."""
    with own_registry.prepared(mode):
        yield mode
        mode.docker(mode.leader(), "service", "rm", "web", check=False)


def _container(mode):
    """Return the ID of the registry's container."""
    return mode.docker(HOST, "inspect", "-f", "{{.Id}}", NAME)


@pytest.mark.long
def test_image_that_a_manager_pushes_runs_on_all_nodes_by_its_digest(prepared):
    mode, lab = prepared, prepared.lab
    hosts = lab.hosts()
    engines = {host: mode.dockerd(host) for host in hosts}
    mode.pillar(**WITH)
    planned = mode.state(test=True)
    assert failures(planned) == {}
    assert not any(own_registry.has(mode, host, CA) for host in hosts)
    mode.apply()
    assert mode.apply() == {}
    assert [host for host in hosts if mode.docker(host, "ps", "-q", "-f", f"name={NAME}")] == [HOST]

    # Its node stays as long as pillar names it.
    told = lab.salt_run("swarm.remove", HOST)["refused"]
    assert f"{HOST} was not removed: it runs the swarm's registry" in told
    (row,) = (one for one in lab.salt_run("swarm.status") if one["id"] == HOST)
    assert (row["role"].split(", ")[1:], row["state"]) == (["registry"], "Ready")

    # Nobody without the login, and no engine has been restarted.
    asked = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", CA]
    url = f"https://{REGISTRY}/v2/"
    assert lab.exec(OTHER, *asked, url).stdout == "401"
    mode.docker(HOST, "tag", WORKLOAD, APP)
    pushed = mode.docker(HOST, "push", APP)
    digest = re.search(r"sha256:[0-9a-f]{64}", pushed)[0]
    assert own_registry.pull(mode, OTHER, f"{REGISTRY}/app@{digest}").startswith("sha256:")
    assert {host: mode.dockerd(host) for host in hosts} == engines

    # By the name alone, a service gets the digest, and each node pulls that.
    mode.pillar(**WITH, services={"web": WEB})
    mode.apply()
    image = "{{.Spec.TaskTemplate.ContainerSpec.Image}}"
    assert mode.docker(mode.leader(), "service", "inspect", "-f", image, "web") == f"{APP}@{digest}"
    assert all(mode.docker(host, "ps", "-q", "-f", "name=^web") for host in hosts)
    assert mode.apply() == {}

    # Another certificate is another container, with the same images.
    before = _container(mode)
    rsa = {**lab.default_pillar().get("tls", {}), "key_type": "rsa"}
    mode.pillar(**WITH, services={"web": WEB}, tls=rsa)
    changes = mode.apply()
    assert set(changes[f"{HOST}: {RUNS}"][NAME]) == {"command", "mounts"}
    assert not any(RUNS in key for key in changes if not key.startswith(f"{HOST}:"))
    assert _container(mode) != before
    assert mode.apply() == {}
    assert own_registry.pull(mode, OTHER, f"{REGISTRY}/app@{digest}").startswith("sha256:")
    shown = lab.salt(HOST, "swarm_tls.status")[HOST]
    folder = shown["folder"].rpartition("/")[2]
    kept = lab.exec(HOST, "ls", "/etc/swarm-formula/tls").stdout.split()
    assert sorted(kept) == sorted([folder, "current"])

    # Out of the pillar: gone on all nodes, and the images stay.
    mode.docker(mode.leader(), "service", "rm", "web")
    mode.pillar()
    gone = mode.apply()[f"{HOST}: {RUNS}"]
    assert gone["registry"]["new"] == f"removed; its images stay in {DATA}"
    assert mode.docker(HOST, "ps", "-aq", "-f", f"name={NAME}") == ""
    assert not any(own_registry.has(mode, host, CA) for host in hosts)
    assert own_registry.has(mode, HOST, f"{DATA}/docker/registry/v2/repositories/app")
    assert mode.apply() == {}
    assert {host: mode.dockerd(host) for host in hosts} == engines
