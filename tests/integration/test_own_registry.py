"""
The swarm's own registry in classic mode: pushed to by one node, pulled from by all.
"""

import pytest

from tests.integration import own_registry
from tests.integration.cluster import WORKLOAD, failures
from tests.integration.own_registry import APP, CA, DATA, HOST, NAME, OTHER, REGISTRY, RUNS, WITH

pytestmark = [pytest.mark.once, pytest.mark.long]

WEB = {
    **{"image": APP, "args": ["sleep", "3600"], "stop_grace_period": "1s", "timeout": 60},
    "constraints": [f"node.hostname=={OTHER}"],
}


def test_image_that_a_node_pushes_is_pulled_by_the_engine_that_runs_the_service(swarm):
    lab, hosts = swarm.lab, swarm.lab.hosts()
    with own_registry.prepared(swarm):
        engines = {host: swarm.pids(host)["dockerd"] for host in hosts}
        swarm.pillar(**WITH)
        assert failures(swarm.state(test=True)) == {}
        assert not any(own_registry.has(swarm, host, CA) for host in hosts)
        swarm.apply()
        assert swarm.apply() == {}
        running = [host for host in hosts if swarm.docker(host, "ps", "-q", "-f", f"name={NAME}")]
        assert running == [HOST]

        # Nobody without the login.
        asked = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", CA]
        assert lab.exec(OTHER, *asked, f"https://{REGISTRY}/v2/").stdout == "401"
        swarm.docker(HOST, "tag", WORKLOAD, APP)
        swarm.docker(HOST, "push", APP)
        assert own_registry.pull(swarm, OTHER, APP).startswith("sha256:")

        # The managers have the engine pull it, with the node's login.
        swarm.docker(OTHER, "rmi", "-f", APP)
        swarm.pillar(**WITH, services={"web": WEB})
        swarm.apply()
        assert swarm.docker(OTHER, "ps", "-q", "-f", "name=^/?web.1$")
        assert swarm.apply() == {}

        # Out of the pillar: gone on all nodes, and the images stay.
        swarm.swarm("rm", "-f", "web.1")
        swarm.pillar()
        gone = swarm.apply()[f"{HOST}: {RUNS}"]
        assert gone["registry"]["new"] == f"removed; its images stay in {DATA}"
        assert swarm.docker(HOST, "ps", "-aq", "-f", f"name={NAME}") == ""
        assert not any(own_registry.has(swarm, host, CA) for host in hosts)
        assert swarm.apply() == {}
        assert {host: swarm.pids(host)["dockerd"] for host in hosts} == engines
