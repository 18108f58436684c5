"""
Stacks of pillar in classic mode: what an apply makes of a compose file, docker-compose finds.
"""

import copy
import json

import pytest

from tests.integration.cluster import CERTIFICATES, MANAGER, WORKLOAD, failures

pytestmark = [pytest.mark.once, pytest.mark.long]

RUN = "swarm stacks are deployed"
PATH = "/root/stack.yml"
# There is no registry: images are loaded.
SLEEP = {
    "image": WORKLOAD,
    "command": ["sleep", "3600"],
    "stop_grace_period": "1s",
    "deploy": {"update_config": {"monitor": "2s"}},
}
OVERLAY = {"driver": "overlay"}
FILE = {
    "version": "2",
    "services": {
        "web": {
            **SLEEP,
            "environment": {"LEVEL": "info"},
            "networks": ["front", "default"],
            "deploy": {**SLEEP["deploy"], "replicas": 2},
        },
        "db": {**SLEEP, "volumes": ["data:/data"], "depends_on": ["web"]},
    },
    "networks": {"front": {}},
    "volumes": {"data": {}},
}


class Stacks:
    """Stacks of pillar, as the host of the primary applies them, and docker-compose beside it."""

    def __init__(self, swarm):
        self.swarm = swarm

    def state(self, file, test=False, name="shop"):
        """Apply a stack on all hosts; return the state of the host of the primary."""
        stack = {"content": file, "prune": True, "timeout": 60}
        self.swarm.pillar(stacks={name: stack})
        returns = self.swarm.state("swarm.services", test=test)
        found = {
            host: next(one for one in states.values() if one["__id__"] == RUN)
            for host, states in returns.items()
        }
        acted = {host for host, one in found.items() if "nothing to do" not in one["comment"]}
        assert acted == {self.swarm.primary()}, found
        return found[self.swarm.primary()]

    def run(self, file):
        """Apply, after a dry run whose promise is insisted on, and once more: nothing to do."""
        promised, done = self.state(file, test=True), self.state(file)
        assert done["result"] is True, done
        assert promised["changes"] == done["changes"]
        again = self.state(file)
        assert (again["result"], again["changes"]) == (True, {})
        return done["changes"].get("shop", {})

    def compose(self, project, file, *words, **more):
        """Run docker-compose against the manager on the host of the primary; return its output."""
        host = self.swarm.primary()
        install = "command -v docker-compose || apt-get install -y -qq docker-compose"
        self.swarm.lab.exec(host, "sh", "-c", install, timeout=300)
        self.swarm.lab.exec(host, "tee", PATH, input=json.dumps(file))
        to = [f"DOCKER_HOST=tcp://{self.swarm.lab.address(host)}:{MANAGER}", "DOCKER_TLS_VERIFY=1"]
        command = ["env", *to, f"DOCKER_CERT_PATH={CERTIFICATES}", "docker-compose", "-p", project]
        return self.swarm.lab.exec(host, *command, "-f", PATH, *words, timeout=180, **more).stdout

    def there(self):
        """Return ``{container: ID}`` of what the formula has created."""
        mine = ["--filter", "label=swarm-formula.service", "--format", "{{.Names}} {{.ID}}"]
        lines = self.swarm.swarm("ps", "-a", "--no-trunc", *mine).stdout.splitlines()
        return {name.partition("/")[2]: one for name, one in (line.split() for line in lines)}

    def found(self, file=FILE):
        """Return the containers that docker-compose finds, each with its state."""
        lines = self.compose("shop", file, "ps").splitlines()
        return {words[0]: "Up" in words for words in map(str.split, lines) if "shop_" in words[0]}

    def networks(self):
        """Return the networks of stacks, as an engine has them: managers hear late of changes."""
        host = self.swarm.primary()
        names = self.swarm.docker(host, "network", "ls", "--format", "{{.Name}}").split()
        return {name for name in names if name.startswith(("shop_", "other_"))}


@pytest.fixture
def stacks(swarm):
    yield Stacks(swarm)
    mine = ["--filter", "label=com.docker.compose.project"]
    if names := swarm.swarm("ps", "-aq", *mine).stdout.split():
        swarm.swarm("rm", "-f", "-v", *names)
    for name in Stacks(swarm).networks():
        swarm.docker(swarm.primary(), "network", "rm", name)


def test_stack_is_deployed_changed_pruned_and_removed_and_docker_compose_finds_it(swarm, stacks):
    file = copy.deepcopy(FILE)
    changes = stacks.run(file)
    assert {kind: set(one) for kind, one in changes.items()} == {
        "services": {"shop_web", "shop_db"},
        "networks": {"shop_front", "shop_default"},
    }
    assert stacks.found() == dict.fromkeys(("shop_web.1", "shop_web.2", "shop_db.1"), True)
    ask = "for i in 1 2 3 4 5 6 7 8 9; do ping -c 1 -W 2 db && exit; sleep 1; done"
    said = stacks.compose("shop", file, "exec", "-T", "--index=2", "web", "sh", "-c", ask)
    assert "1 packets received" in said

    file["services"]["web"]["deploy"]["replicas"] = 3
    first = stacks.there()
    assert stacks.run(file) == {"services": {"shop_web": {"replicas": {"old": 2, "new": 3}}}}
    assert first.items() <= stacks.there().items(), "those that stay are not touched"
    assert set(stacks.found()) == {"shop_web.1", "shop_web.2", "shop_web.3", "shop_db.1"}

    file["services"]["web"]["environment"] = {"LEVEL": "debug"}
    before = stacks.there()
    assert set(stacks.run(file)["services"]["shop_web"]) == {"env"}
    after = stacks.there()
    assert {name for name in after if after[name] == before[name]} == {"shop_db.1"}
    assert len(stacks.found()) == len(after)

    del file["services"]["web"], file["services"]["db"]["depends_on"], file["networks"]["front"]
    changes = stacks.run(file)
    assert {kind: set(one) for kind, one in changes.items()} == {
        "services": {"shop_web"},
        "networks": {"shop_front"},
    }
    assert set(stacks.found(file)) == set(stacks.there()) == {"shop_db.1"}
    assert stacks.networks() == {"shop_default"}

    minion = swarm.primary()
    promised = swarm.lab.salt(minion, "swarm_stack.remove", "shop", "test=True")[minion]
    assert swarm.lab.salt(minion, "swarm_stack.remove", "shop")[minion] == promised
    assert stacks.there() == {}
    assert stacks.networks() == set()


def test_project_of_docker_compose_itself_is_refused_and_stays(swarm, stacks):
    file = {"version": "2", "services": {"db": SLEEP}, "networks": {"default": OVERLAY}}
    stacks.compose("other", file, "up", "-d")
    done = stacks.state(file, name="other")
    assert done["result"] is False
    assert "which docker-compose has created" in done["comment"]
    assert "docker-compose -p other down" in done["comment"]
    assert stacks.there() == {}
    assert stacks.networks() == {"other_default"}
    stacks.compose("other", file, "down", "-t", "1")
    assert stacks.state(file, name="other")["result"] is True
    assert set(stacks.there()) == {"other_db.1"}


def test_whole_apply_runs_stacks_and_a_second_one_changes_nothing(swarm, stacks):
    swarm.pillar(stacks={"shop": {"content": FILE, "timeout": 60}})
    assert failures(swarm.state()) == {}
    assert set(stacks.there()) == {"shop_web.1", "shop_web.2", "shop_db.1"}
    assert swarm.apply() == {}
