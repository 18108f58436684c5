"""
Services of pillar in classic mode: containers through the manager, and what an apply says of them.
"""

import pytest

from tests.integration.cluster import WORKLOAD, changed, failures

pytestmark = [pytest.mark.once, pytest.mark.long]

RUN = "swarm services are deployed"
# There is no registry: images are loaded.
SLEEP = {
    "image": WORKLOAD,
    "args": ["sleep", "3600"],
    "stop_grace_period": "1s",
    "update_config": {"monitor": "2s"},
    "timeout": 30,
}


class Services:
    """Services of pillar, as the host of the primary applies them, and what runs of them."""

    def __init__(self, swarm):
        self.swarm = swarm

    def state(self, services, test=False, **more):
        """Apply services on all hosts; return the state of each host."""
        self.swarm.pillar(services=services, **more)
        returns = self.swarm.state("swarm.services", test=test)
        assert {host for host, one in returns.items() if isinstance(one, dict)} == set(returns)
        return {
            host: next(one for one in states.values() if one["__id__"] == RUN)
            for host, states in returns.items()
        }

    def run(self, services, **more):
        """Apply, after a dry run whose promise is insisted on; return what changed."""
        promised = self.state(services, test=True, **more)
        done = self.state(services, **more)
        primary = self.swarm.primary()
        assert {host for host, one in done.items() if "nothing to do" not in one["comment"]} == {
            primary
        }
        assert all(one["result"] is True for one in done.values()), done
        told = {host: one["changes"] for host, one in done.items() if one["changes"]}
        # The networks of pillar may be made on the way, by whichever host is first.
        assert {host: one["changes"] for host, one in promised.items() if one["changes"]} == told
        return told.get(primary, {})

    def failure(self, services, **more):
        """Apply what has to fail on the host of the primary; return its comment."""
        done = self.state(services, **more)
        (comment,) = [one["comment"] for one in done.values() if one["result"] is False]
        return comment

    def there(self):
        """Return ``{container: (host, ID, status)}`` of the services."""
        form = "{{.Names}} {{.ID}} {{.Status}}"
        mine = ["--filter", "label=swarm-formula.service"]
        shown = self.swarm.swarm("ps", "-a", "--no-trunc", "--format", form, *mine).stdout
        found = {}
        for line in shown.splitlines():
            name, which, status = line.split(" ", 2)
            host, _, container = name.partition("/")
            found[container] = (host, which, status.split(" ")[0])
        return found

    def inspect(self, container, form):
        return self.swarm.swarm("inspect", "-f", form, container).stdout.strip()


@pytest.fixture
def services(swarm):
    yield Services(swarm)
    mine = ["--filter", "label=swarm-formula.service"]
    if names := swarm.swarm("ps", "-aq", *mine).stdout.split():
        swarm.swarm("rm", "-f", "-v", *names)


def test_service_is_created_scaled_changed_one_by_one_and_removed(swarm, services):
    web = {**SLEEP, "replicas": 2}
    assert services.run({"web": web})["web"]["state"] == {"old": "absent", "new": "running"}
    assert services.run({"web": web}) == {}
    first = services.there()
    assert set(first) == {"web.1", "web.2"}
    assert {status for *_, status in first.values()} == {"Up"}

    assert services.run({"web": {**web, "replicas": 4}})["web"] == {
        "replicas": {"old": 2, "new": 4}
    }
    assert {host for host, *_ in services.there().values()} == set(swarm.lab.hosts())
    assert services.run({"web": {**web, "replicas": 1}})["web"] == {
        "replicas": {"old": 4, "new": 1}
    }
    assert services.there()["web.1"][1] == first["web.1"][1], "the one that stays is not touched"

    services.run({"web": {**web, "replicas": 3}})
    before = services.there()
    changes = services.run({"web": {**web, "replicas": 3, "env": {"A": "b"}}})
    assert set(changes["web"]) == {"env"}
    after = services.there()
    assert set(after) == set(before)
    assert not {one[1] for one in after.values()} & {one[1] for one in before.values()}
    assert "A=b" in services.inspect("web.3", "{{.Config.Env}}")

    # All other options stay, for pillar does not name them any more.
    assert services.run({"web": {"env": {"A": "b"}}}) == {}
    minion = swarm.primary()
    rows = swarm.lab.salt(minion, "swarm_service.status")[minion]
    assert [(one["service"], one["wanted"], one["running"]) for one in rows] == [("web", 3, 3)]
    assert swarm.lab.salt(minion, "swarm_service.remove", "web")[minion]["state"] == {
        "old": "present",
        "new": "absent",
    }
    assert services.there() == {}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"image": "busybox:nowhere"}, "image busybox:nowhere"),
        ({"args": ["sh", "-c", "echo broken; exit 3"]}, "its last words: broken"),
        ({"constraints": ["node.labels.zone==nowhere"]}, "[zone==nowhere]"),
        ({"limits": {"memory": "4096g"}}, "4194304 MiB of memory: "),
    ],
    ids=["image", "exit", "place", "memory"],
)
def test_change_that_fails_is_told_and_the_old_containers_run_on(swarm, services, change, why):
    web = {**SLEEP, "replicas": 2}
    services.run({"web": web})
    before = services.there()
    comment = services.failure({"web": {**web, **change}})
    assert why in comment
    assert "Its containers are as they were" in comment
    assert {name: one[1:] for name, one in services.there().items()} == {
        name: one[1:] for name, one in before.items()
    }
    assert services.run({"web": web}) == {}


def test_ports_and_labels_place_containers_and_a_full_swarm_is_updated(swarm, services):
    """With a container on each host, the port of the old one is in the way of the new one."""
    hosts = swarm.lab.hosts()
    port = [{"published": 8088, "target": 80, "mode": "host"}]
    serve = {**SLEEP, "args": ["httpd", "-f", "-p", "80"], "ports": port}
    services.run({"web": {**serve, "replicas": len(hosts)}})
    assert sorted(host for host, *_ in services.there().values()) == sorted(hosts)
    services.run({"web": {**serve, "replicas": len(hosts), "env": {"A": "b"}}})
    assert sorted(host for host, *_ in services.there().values()) == sorted(hosts)
    assert set(services.there()) == {f"web.{n + 1}" for n in range(len(hosts))}
    assert "[port 8088 (Bridge mode)]" in services.failure(
        {"web": {**serve, "replicas": len(hosts) + 1, "timeout": 5}}
    )


def test_memory_of_the_old_container_is_free_for_the_new_one_but_no_more(swarm, services):
    """With a container on each host that has more than half of its memory."""
    hosts = swarm.lab.hosts()
    total = int(swarm.lab.exec(hosts[0], "docker", "info", "-f", "{{.MemTotal}}").stdout)

    def web(percent):
        memory = total * percent // 100
        return {"web": {**SLEEP, "replicas": len(hosts), "limits": {"memory": memory}}}

    for percent in (60, 61, 90):
        services.run(web(percent))
        assert sorted(host for host, *_ in services.there().values()) == sorted(hosts)
    before = services.there()
    assert "nor without the old container on" in services.failure(web(120))
    assert {name: one[1] for name, one in services.there().items()} == {
        name: one[1] for name, one in before.items()
    }


def test_containers_are_reached_by_the_name_of_their_service_and_by_aliases(swarm, services):
    networks = {"backend": {"driver": "overlay", "subnet": "10.20.0.0/24"}}
    first, *_, last = swarm.lab.hosts()
    db = {
        **SLEEP,
        "networks": {"backend": {"aliases": ["store"]}},
        "constraints": [f"node.hostname=={first}"],
    }
    swarm.pillar(services={}, networks=networks)
    assert failures(swarm.state()) == {}
    services.run({"db": db}, networks=networks)
    ask = "for i in 1 2 3 4 5 6 7 8 9; do ping -c 1 -W 2 {} && exit; sleep 1; done"
    there = ["--net", "backend", "-e", f"constraint:node=={last}"]
    for name in ("db", "store"):
        said = swarm.swarm("run", "--rm", *there, WORKLOAD, "sh", "-c", ask.format(name))
        assert "1 packets received" in said.stdout
    assert services.run({"db": db}, networks=networks) == {}


def test_whole_apply_runs_services_and_a_second_one_changes_nothing(swarm, services):
    swarm.pillar(services={"web": {**SLEEP, "replicas": 2}})
    returns = swarm.state()
    assert failures(returns) == {}
    assert {key for key in changed(returns) if key.endswith(RUN)} == {f"{swarm.primary()}: {RUN}"}
    assert swarm.apply() == {}


def test_host_that_leaves_has_no_container_of_a_service_and_the_others_take_over(swarm, services):
    web = {**SLEEP, "args": ["sh", "-c", "echo hello; exec sleep 3600"], "replicas": 6}
    services.run({"web": web})
    swarm.lab.salt_run("saltutil.sync_all")
    rows = swarm.lab.salt_run("swarm.ps", "web")
    assert [row["task"].partition(" ")[0] for row in rows] == [f"web.{n}" for n in range(1, 7)]
    assert {row["state"] for row in rows} == {"running"}
    assert [one["log"] for one in swarm.lab.salt_run("swarm.logs", "web")] == [["hello"]] * 6
    for old, new in ((6, 4), (4, 6)):
        done = swarm.lab.salt_run("swarm.scale", f"web={new}")
        assert done == {"web": {"replicas": {"old": old, "new": new}}}
        assert set(services.there()) == {f"web.{n + 1}" for n in range(new)}
    (row,) = swarm.lab.salt_run("swarm.services")
    assert (row["service"], row["wanted"], row["running"]) == ("web", 6, 6)
    refusal = swarm.lab.salt_run("swarm.rollback", "web")
    assert "there is no rollback with mode: classic" in refusal
    host = next(one for one in swarm.lab.hosts() if one != swarm.primary())
    here = {name for name, (where, *_) in services.there().items() if where == host}
    assert here
    promised = swarm.lab.salt(host, "swarm_service.remove_local", "test=True")[host]
    assert set(promised) == here <= set(services.there())
    assert swarm.lab.salt(host, "swarm_service.remove_local")[host] == promised
    assert not here & set(services.there())
    # Its engine is there still: the next apply fills it again.
    services.state({"web": web})
    assert here <= set(services.there())
