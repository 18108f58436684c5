"""
Services of classic mode through a manager: what the formula asks of it, and what comes of that.
"""

import pytest

from swarm_formula.classic import kept_options, services
from swarm_formula.core import errors
from swarm_formula.docker import engine_api
from tests.contract.swarm_box import call

# The nodes have no bridge.
SLEEP = {
    "image": "busybox:lab",
    "args": ["sleep", "600"],
    "networks": ["none"],
    "stop_grace_period": "1s",
    "update_config": {"monitor": "1s"},
    "timeout": 20,
}


@pytest.fixture
def swarm(manager):
    """Apply services through the manager, after a dry run whose promise is insisted on."""

    def apply(**wanted):
        known = {name: kept_options.parsed(one, f"service {name}") for name, one in wanted.items()}
        run = services.Run(20)
        with engine_api.connect(f"tcp://{manager.address}", 30) as client:
            promised = services.apply(client, known, run._replace(test=True))
            done = services.apply(client, known, run)
        assert done == promised
        return done

    return apply


def there(manager):
    """Return what is known of each container that exists, by its name."""
    listed = call(manager.port, "GET", "/containers/json?all=1").json()
    names = sorted(one["Names"][0].rpartition("/")[2] for one in listed)
    answers = {name: call(manager.port, "GET", f"/containers/{name}/json") for name in names}
    # A manager that hears of the stop of a container after its removal still lists it for a moment.
    return {name: one.json() for name, one in answers.items() if one.status != 404}


def test_service_is_created_scaled_changed_and_removed(manager, swarm):
    web = {**SLEEP, "replicas": 2}
    assert swarm(web=web)["web"]["state"] == {"old": "absent", "new": "running"}
    assert swarm(web=web) == {}
    found = there(manager)
    assert {one["Node"]["Name"] for one in found.values()} == {"node-a", "node-b"}
    assert swarm(web={**web, "replicas": 4}) == {"web": {"replicas": {"old": 2, "new": 4}}}
    assert list(there(manager)) == ["web.1", "web.2", "web.3", "web.4"]
    assert swarm(web={**web, "replicas": 1}) == {"web": {"replicas": {"old": 4, "new": 1}}}
    (kept,) = there(manager).values()
    assert kept["State"]["StartedAt"] == found["web.1"]["State"]["StartedAt"]
    assert swarm(web={"env": {"A": "b"}, "update_config": {"monitor": "1s"}})["web"].keys() == {
        "env"
    }
    (new,) = there(manager).values()
    assert "A=b" in new["Config"]["Env"]
    assert new["Config"]["Cmd"] == ["sleep", "600"]
    with engine_api.connect(f"tcp://{manager.address}", 30) as client:
        (row,) = services.rows(client)
        assert (row["wanted"], row["running"], row["why not"]) == (1, 1, "")
        assert services.remove_service(client, "web")["state"]["new"] == "absent"
        assert services.remove_service(client, "web") == {}
    assert there(manager) == {}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"image": "busybox:nowhere"}, "busybox"),
        ({"args": ["sh", "-c", "echo broken; exit 3"]}, "exit code 3; its last words: broken"),
        ({"args": ["/no/such/program"]}, "no such file or directory"),
        ({"constraints": ["node.labels.zone==x"]}, "[zone==x]"),
        ({"args": ["sh", "-c", "sleep 0.5; exit 4"]}, "web.1 on node-"),
    ],
    ids=str,
)
def test_change_that_fails_is_an_error_and_the_old_containers_run(manager, swarm, change, why):
    swarm(web={**SLEEP, "replicas": 2})
    before = there(manager)
    with pytest.raises(errors.RolloutError) as error:
        swarm(web={**SLEEP, "replicas": 2, **change})
    assert why in str(error.value)
    assert error.value.changes == {}
    after = there(manager)
    assert {name: one["Id"] for name, one in after.items()} == {
        name: one["Id"] for name, one in before.items()
    }
    assert {one["State"]["Status"] for one in after.values()} == {"running"}
    assert swarm(web={**SLEEP, "replicas": 2}) == {}


def test_every_option_that_classic_mode_takes_is_kept_and_compared_as_no_change(manager, swarm):
    everything = {
        **SLEEP,
        "image": "busybox:lab",
        "resolve": "never",
        "command": ["sh", "-c"],
        "args": ["sleep 600"],
        "env": {"A": 1, "PASSWORD": "geheim"},
        "container_labels": {"c": "d"},
        "mode": "replicated",
        "replicas": 1,
        "mounts": ["/etc:/host:ro", "data:/v", {"type": "tmpfs", "target": "/t", "size": "1m"}],
        "constraints": ["node.labels.zone==a", "node.platform.os==linux"],
        "affinities": ["image==busybox:lab", "swarm-formula.service!=~web"],
        "reschedule": "on-node-failure",
        "limits": {"memory": "64m"},
        "healthcheck": {"test": ["CMD", "true"], "interval": "1s", "retries": 4},
        "restart_policy": {"condition": "on-failure", "max_attempts": 3},
        "user": "0:0",
        "groups": ["0"],
        "workdir": "/home",
        "hostname": "web",
        "stop_signal": "int",
        "dns": ["10.0.0.2"],
        "dns_search": ["example.com"],
        "dns_options": ["ndots:2"],
        "hosts": {"db": "10.0.0.5"},
        "init": False,
        "read_only": True,
        "tty": True,
        "stdin": True,
        "cap_add": ["net_admin"],
        "cap_drop": ["MKNOD"],
        "ulimits": {"nofile": "1024:2048"},
        "oom_score_adj": 100,
        "logging": {"driver": "json-file", "options": {"max-size": "1m"}},
    }
    swarm(web=everything)
    (box,) = there(manager).values()
    assert box["Node"]["Name"] == "node-a"
    assert box["State"]["Health"]["Status"] == "healthy"
    assert "geheim" not in str(box["Config"]["Labels"])
    assert swarm(web=everything) == {}
