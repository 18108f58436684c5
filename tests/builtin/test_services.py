"""
Services, secrets and configs from pillar: what an apply says of them is what runs.
"""

import json
import os
import re

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from swarm_formula.spec.option_table import SECTION
from swarm_formula.spec.service_modes import fits
from swarm_formula.spec.service_options import OPTIONS
from swarm_formula.tls import pki
from tests.integration import private_registry
from tests.integration.cluster import WORKLOAD, changed, failures
from tests.unit.spec.test_service_spec import twice

SECTIONS = {name for name, one in OPTIONS.items() if one.shape is SECTION}
RUN = "swarm services are deployed"
VOLUMES = "swarm volumes are present"
# There is no registry: images are loaded.
SLEEP = {
    "image": WORKLOAD,
    "resolve": "never",
    "args": ["sleep", "3600"],
    "stop_grace_period": "1s",
    "timeout": 40,
}
# Tasks count as good soon, for the sake of the tests.
QUICK = {"monitor": "2s", "failure_action": "pause"}
ONCE_A_SECOND = {"delay": "1s"}


# Every option once. No task of it: not every host and kernel can run that.
EVERYTHING = {
    "timeout": 20,
    "image": WORKLOAD,
    "resolve": "never",
    # The hosts have the image: nothing is pulled, and there need be no archive.
    "prepull": True,
    "image_source": "/root/no-such.tar",
    "command": ["sh", "-c"],
    "args": "sleep 3600",
    "env": {"A": 1},
    "env_files": ["/etc/os-release"],
    "labels": {"a": "b"},
    "container_labels": {"c": "d"},
    "mode": "replicated",
    "replicas": 0,
    "networks": {"backend": {"aliases": ["b", "a"]}},
    "ports": ["81", {"published": 8082, "target": 80, "mode": "host"}, "8053:53/udp"],
    "endpoint_mode": "vip",
    "mounts": [
        "/etc:/host:ro",
        {"source": "v", "target": "/v", "no_copy": True, "labels": {"l": 1}, "driver": "local"},
        {"type": "tmpfs", "target": "/t", "size": "1m", "mode": "1777"},
        {"type": "bind", "source": "/srv", "target": "/srv", "propagation": "rslave"},
    ],
    "secrets": [{"name": "password", "target": "p", "uid": 7, "gid": 8, "mode": "0400"}],
    "configs": ["site"],
    "constraints": ["node.role == manager", "engine.labels.ssd!=true"],
    "preferences": ["spread=node.labels.zone", {"spread": "node.labels.rack"}],
    "max_replicas_per_node": 3,
    "limits": {"cpus": 1.5, "memory": "64m", "pids": 50},
    "reservations": {"cpus": 0.01, "memory": "8m", "generic": {"gpu": 2}},
    "healthcheck": {
        "test": ["CMD", "true"],
        "interval": "1m30s",
        "timeout": 5,
        "start_period": "500ms",
        "retries": 4,
    },
    "update_config": {
        "parallelism": 0,
        "delay": "1s",
        "failure_action": "continue",
        "monitor": "1.5s",
        "max_failure_ratio": 0.1,
        "order": "start-first",
    },
    "rollback_config": {
        "parallelism": 2,
        "delay": 1,
        "failure_action": "continue",
        "monitor": "2s",
        "max_failure_ratio": 0.25,
        "order": "start-first",
    },
    "restart_policy": {"condition": "on-failure", "delay": 0, "max_attempts": 3, "window": "1m"},
    "user": "1000:1000",
    "groups": ["audio"],
    "workdir": "/srv",
    # A template of Docker's: not one of Salt's, which renders the pillar.
    "hostname": "{% raw %}{{.Node.Hostname}}-{{.Task.Slot}}{% endraw %}",
    "stop_signal": "int",
    "stop_grace_period": 0,
    "dns": ["10.0.0.2"],
    "dns_search": ["example.com"],
    "dns_options": ["ndots:2"],
    "hosts": {"db": "10.0.0.5", "six": ["fd00::5", "10.0.0.6"]},
    "init": False,
    "read_only": True,
    "tty": True,
    "stdin": True,
    "cap_add": ["net_admin"],
    "cap_drop": ["ALL"],
    "sysctls": {"net.core.somaxconn": 1024},
    "ulimits": {"nofile": "1024:2048", "core": 0},
    "isolation": "process",
    "credential_spec": "file://account.json",
    "logging": {"driver": "json-file", "options": {"max-size": "1m", "max-file": 2}},
}


# Options that not all engines of the tests have, a value of each, and the first version with it.
NEWER = {
    "healthcheck.start_interval": ({"healthcheck": {"test": "true", "start_interval": "2s"}}, 25),
    "oom_score_adj": ({"oom_score_adj": -5}, 27),
    "memory_swap": ({"limits": {"memory": "64m"}, "memory_swap": "32m"}, 29),
    "memory_swappiness": ({"limits": {"memory": "64m"}, "memory_swappiness": 10}, 29),
}
NEWER_MOUNTS = {
    "cluster": ({"type": "cluster", "source": "group:g", "target": "/c", "read_only": True}, 23),
    "disabled": ({"source": "/srv", "target": "/n", "recursive": "disabled"}, 20),
    "subpath": ({"source": "v", "target": "/s", "subpath": "a"}, 26),
}
SINCE = {
    **NEWER,
    **{f"mounts-{name}": ({"mounts": [one]}, since) for name, (one, since) in NEWER_MOUNTS.items()},
}


class Services:
    """Services of pillar, as the leader applies them, and what runs of them."""

    def __init__(self, mode):
        self.mode, self.leader = mode, mode.leader()

    def apply(self, services, test=False, **more):
        """Apply a pillar's services; return the leader's states by their IDs."""
        self.mode.pillar(services=services, **more)
        target = self.leader
        (states,) = self.mode.state("swarm.services", target, test=test).values()
        assert isinstance(states, dict), states
        return {one["__id__"]: one for one in states.values()}

    def run(self, services, **more):
        """Apply, after a dry run whose promise is insisted on; return what changed of services."""
        promised = self.apply(services, test=True, **more)
        done = self.apply(services, **more)
        assert failures({"": done}) == {}
        told = {key: one["changes"] for key, one in done.items() if one["changes"]}
        assert {key: one["changes"] for key, one in promised.items() if one["changes"]} == told
        assert all(promised[key]["result"] is None for key in told)
        return told.get(RUN, {})

    def unchanged(self, services, **more):
        """Insist that a dry run finds nothing to change."""
        found = self.apply(services, test=True, **more)
        assert {one["result"] for one in found.values()} == {True}, found

    def spec(self, name):
        return self.mode.api(self.leader, f"/services/{name}")["Spec"]

    def index(self, name):
        """Return the version of a service, which any write makes another."""
        return self.mode.api(self.leader, f"/services/{name}")["Version"]["Index"]

    def update(self, name, change):
        """Update a service by hand."""
        now = self.mode.api(self.leader, f"/services/{name}")
        change(now["Spec"])
        path = f"/services/{name}/update?version={now['Version']['Index']}"
        assert self.mode.post(self.leader, path, now["Spec"]) is not None

    def tasks(self, name):
        """Return the tasks of a service that run."""
        filters = json.dumps({"service": [name], "desired-state": ["running"]})
        command = ["-G", "--data-urlencode", f"filters={filters}"]
        found = self.mode.api(self.leader, "/tasks", *command) or []
        return [one for one in found if one["Status"]["State"] == "running"]

    def clear(self):
        """Leave no service, secret or config, whatever a test that failed has left."""
        for kind in ("services", "secrets", "configs"):
            found = self.mode.api(self.leader, f"/{kind}") or []
            for one in found:
                self.mode.api(self.leader, f"/{kind}/{one['ID']}", "-X", "DELETE")


@pytest.fixture
def services(cluster):
    found = Services(cluster)
    found.clear()
    yield found
    found.clear()


def test_service_is_created_changed_and_removed_and_what_others_set_stays(services):
    web = {
        **SLEEP,
        "replicas": 2,
        "env": {"B": 2, "A": "1"},
        "labels": {"owner": "web-team"},
        "networks": ["backend"],
        "ports": ["8081:80"],
        "endpoint_mode": "vip",
        "mounts": ["web-data:/data", {"type": "tmpfs", "target": "/cache", "size": "8m"}],
        "constraints": ["node.role==manager", "node.platform.os == linux"],
        "limits": {"cpus": 0.5, "memory": "64M"},
        "healthcheck": {"test": "true", "interval": "1s", "retries": 3},
        "update_config": QUICK,
        "ulimits": {"nofile": 512},
        "cap_drop": ["CAP_NET_RAW"],
        "hosts": {"db.example.com": "10.0.0.5"},
        "logging": {"driver": "json-file", "options": {"max-size": "1m"}},
    }
    # Without IPVS in the kernel, a virtual address gets no traffic: none is needed here.
    networks = {"backend": {"driver": "overlay"}}
    told = services.run({"web": web}, networks=networks)
    assert told["web"]["state"] == {"old": "absent", "new": "running"}
    assert len(services.tasks("web")) == 2

    # Other spellings, another order: the same service. So it is after what was done by hand: a
    # label, and a scale that pillar leaves open.
    same = {
        **{key: one for key, one in web.items() if key != "replicas"},
        "env": ["A=1", "B=2"],
        "limits": {"cpus": 500_000_000, "memory": 64 << 20},
        "constraints": ["node.platform.os==linux", "node.role == manager"],
        "healthcheck": {"test": ["CMD-SHELL", "true"], "interval": 1_000_000_000, "retries": 3},
        "stop_grace_period": 1,
        "cap_drop": ["net_raw"],
    }

    def by_hand(spec):
        spec["Labels"]["by"] = "hand"
        spec["Mode"]["Replicated"]["Replicas"] = 3

    services.update("web", by_hand)
    index = services.index("web")
    assert services.run({"web": same}, networks=networks) == {}
    assert services.index("web") == index
    assert services.spec("web")["Labels"] == {"by": "hand", "owner": "web-team"}
    assert services.spec("web")["Mode"]["Replicated"]["Replicas"] == 3

    # A change by key; null takes away.
    edited = {
        **same,
        "env": {"A": "1", "B": "3"},
        "limits": {"memory": None},
        "labels": {"owner": None},
    }
    promised = services.apply({"web": edited}, test=True, networks=networks)[RUN]["changes"]
    assert promised["web"] == {
        "env": {"old": {"B": "2"}, "new": {"B": "3"}},
        "limits.memory": {"old": 64 << 20, "new": 0},
        "labels": {"old": {"owner": "web-team"}, "new": {"owner": None}},
    }
    # The whole SLS does it, for the pillar has services; of all nodes, only the leader.
    everybody = services.mode.state()
    assert failures(everybody) == {}
    assert changed(everybody) == {f"{services.leader}: {RUN}": promised}
    for host in services.mode.lab.hosts():
        assert RUN in {one["__id__"] for one in everybody[host].values()}
    assert services.spec("web")["TaskTemplate"]["Resources"]["Limits"]["NanoCPUs"] == 500_000_000
    assert services.spec("web")["Labels"] == {"by": "hand"}

    for test in (True, False):
        (states,) = services.mode.lab.salt(
            services.leader, "state.single", "swarm_service.absent", "web", f"test={test}"
        ).values()
        (ret,) = states.values()
        assert ret["result"] is (None if test else True), ret
        assert ret["changes"] == {"state": {"old": "present", "new": "absent"}}
    assert services.mode.api(services.leader, "/services") == []


@pytest.mark.once
def test_every_option_is_what_docker_has_afterwards(services):
    """One that an engine drops or changes would be a change in every run."""
    given = {
        f"{key}.{one}" if key in SECTIONS else key
        for key, value in EVERYTHING.items()
        for one in (value if key in SECTIONS else [key])
    }
    of_jobs = {name for name in OPTIONS if not fits(name, "replicated")}
    assert given == set(OPTIONS) - SECTIONS - of_jobs - NEWER.keys()
    more = {
        "networks": {"backend": {"driver": "overlay"}},
        "secrets": {"password": {"content": "x"}},
        "configs": {"site": {"content": "y"}},
    }
    told = services.run({"all": EVERYTHING}, **more)["all"]
    of_formula = {name for name in given if not OPTIONS[name].path}
    assert set(told) == given - of_formula | {"state"}
    services.unchanged({"all": EVERYTHING}, **more)
    # Without any of it, it is as if it had never been there.
    kept = ("image", "resolve", "mode", "replicas", "timeout", "labels", "container_labels")
    nothing = {key: value if key in kept else None for key, value in EVERYTHING.items()}
    nothing |= {"labels": {"a": None}, "container_labels": {"c": None}}
    assert services.apply({"all": nothing})[RUN]["result"] is True
    services.unchanged({"all": nothing})


@pytest.mark.long
@pytest.mark.parametrize("name", SINCE)
def test_option_of_newer_engines_is_kept_or_told(services, name):
    options, since = SINCE[name]
    version = services.mode.api(services.leader, "/version")["Version"]
    # No task of it: its volumes are not there.
    web = {**SLEEP, "replicas": 0, "timeout": 10, **options}
    if int(version.partition(".")[0]) >= since:
        assert set(services.run({"web": web})) == {"web"}
        services.unchanged({"web": web})
    else:
        ret = services.apply({"web": web})[RUN]
        assert ret["result"] is False
        # An unknown type of a mount is refused by the engine itself.
        told = f"Docker has other values for {name.partition('-')[0]}", "invalid MountType"
        assert any(one in ret["comment"] for one in told), ret


@pytest.mark.once
def test_rollout_that_fails_is_a_failure_with_its_reason_and_a_good_one_goes_on(services):
    base = {**SLEEP, "timeout": 25, "update_config": QUICK, "restart_policy": ONCE_A_SECOND}
    good, port = {**base, "replicas": 2}, {"published": 8099, "target": 80, "mode": "host"}
    back = {**good, "update_config": {**QUICK, "failure_action": "rollback"}}
    # An option that pillar does not name any more would stay: the constraint has to be changed.
    place = {**good, "constraints": ["node.role==manager"], "timeout": 12}
    sick = {**good, "healthcheck": {"test": "true", "interval": "1s", "retries": 1}}
    # Watched for longer than its tasks run.
    crash = {**good, "update_config": {**QUICK, "monitor": "4s"}}
    # Old tasks go only when new ones run.
    memory = {**good, "reservations": {"memory": "8m"}, "timeout": 12}
    memory["update_config"] = {**QUICK, "order": "start-first"}
    # On each host, with its port.
    still = {**base, "mode": "global", "ports": [port]}
    fine = {"image": good, "crash": crash, "back": back, "place": place, "still": still}
    fine |= {"sick": sick, "memory": memory}
    services.run(fine)
    kept = {one["ID"] for one in services.tasks("memory")}
    index = services.index("still")
    bad = {
        **fine,
        "image": {**good, "image": "no-such-image:1"},
        "crash": {**crash, "args": ["sh", "-c", "sleep 3; exit 1"]},
        "back": {**back, "args": ["sh", "-c", "exit 3"]},
        "place": {**place, "constraints": ["node.role==manager", "node.labels.zone==nowhere"]},
        "new": {**good, "args": ["sh", "-c", "exit 5"], "timeout": 8},
        "sick": {**sick, "healthcheck": {**sick["healthcheck"], "test": "false"}},
        "memory": {**memory, "reservations": {"memory": "4096g"}},
        "port": {**good, "ports": [port], "timeout": 8},
    }
    promised = services.apply(bad, test=True)[RUN]
    done = services.apply(bad)[RUN]
    assert done["result"] is False
    # What was changed is told all the same, and was promised.
    assert done["changes"] == promised["changes"]
    assert set(done["changes"]) == set(bad) - {"still"}
    told = done["comment"].removeprefix("service ").split("; service ")
    why = {
        name: next(one for one in told if one.startswith(f"{name}: ")) for name in done["changes"]
    }
    assert "No such image: no-such-image:1" in why["image"]
    assert "Docker has paused the update" in why["crash"]
    assert "task: non-zero exit (1)" in why["crash"]
    assert "Docker has rolled the service back to its previous spec" in why["back"]
    assert "task: non-zero exit (3)" in why["back"]
    assert any(f"back.{slot} on m" in why["back"] for slot in (1, 2))
    assert "no node that is ready and active satisfies node.labels.zone==nowhere" in why["place"]
    assert "unhealthy container" in why["sick"]
    assert "no node has 4096 GiB of memory left for a reservation: m" in why["memory"]
    assert "a task already has one of its ports 8099/tcp" in why["port"]
    # A task that exits at once runs for a moment, again and again.
    assert re.search(r"gave up after 8 s \(timeout\): [01] of 2 task\(s\) run", why["new"])
    assert "task: non-zero exit (5)" in why["new"]
    # The old tasks of a service that was rolled back run, and the service that is as wanted too.
    assert len(services.tasks("back")) == 2
    assert {one["ID"] for one in services.tasks("memory")} == kept
    assert services.index("still") == index
    # The runner tells it to whoever comes later.
    rows = services.mode.lab.salt_run("swarm.services")
    row = next(one for one in rows if one["service"] == "image")
    assert (row["wanted"], row["running"], row["update"]) == (2, 0, "paused")
    assert "No such image: no-such-image:1" in row["why not"]
    # And from there it goes on.
    fine |= {"new": good, "port": {**good, "ports": [{**port, "published": 8100}]}}
    done = services.apply(fine)[RUN]
    assert done["result"] is True, done["comment"]
    assert set(done["changes"]) == set(bad) - {"still", "back"}
    count = {name: len(services.tasks(name)) for name in fine}
    assert count == {**dict.fromkeys(fine, 2), "still": len(services.mode.lab.hosts())}
    services.unchanged(fine)


def read(services):
    """Return what the one task of the service ``web`` has in its secret and its config."""
    (task,) = services.tasks("web")
    hosts = {services.mode.swarm(host)["NodeID"]: host for host in services.mode.lab.hosts()}
    container = task["Status"]["ContainerStatus"]["ContainerID"]
    command = ["exec", container, "cat", "/run/secrets/password", "/site"]
    return services.mode.docker(hosts[task["NodeID"]], *command)


@pytest.mark.once
def test_service_follows_a_secret_and_old_versions_go(services):
    web = {**SLEEP, "secrets": ["password"], "configs": [{"name": "site", "target": "/site"}]}
    web["update_config"] = {**QUICK, "order": "start-first"}
    texts = [f"secret-content-{number}" for number in range(3)]
    for number, text in enumerate(texts):
        more = {
            "secrets": {"password": {"content": text}},
            "configs": {"site": {"content": f"site-{text}"}},
        }
        if number < 2:
            told = services.run({"web": web}, **more)
        else:
            told = services.apply({"web": web}, **more)[RUN]["changes"]
        assert set(told["web"]) >= {"secrets", "configs"}
        assert read(services) == f"{text}site-{text}"
        for kind in ("secrets", "configs"):
            found = services.mode.api(services.leader, f"/{kind}")
            assert len(found) == min(number + 1, 2), found
    # The content of before again: its version is there, and is the latest.
    more["secrets"]["password"]["content"] = texts[1]
    told = services.run({"web": web}, **more)
    assert set(told["web"]) == {"secrets"}
    services.unchanged({"web": web}, **more)
    said = services.mode.lab.salt(services.leader, "swarm_settings.get")
    assert not any(text in json.dumps(said) for text in texts)
    refused = services.mode.lab.salt(services.leader, "swarm_secret.remove", "password")
    assert "services use password-" in refused[services.leader]
    for function in ("swarm_service.remove web", "swarm_secret.remove password",
                     "swarm_config.remove site"):  # fmt: skip
        told = services.mode.lab.salt(services.leader, *function.split())
        assert told[services.leader] == {"state": {"old": "present", "new": "absent"}}
    for kind in ("secrets", "configs"):
        assert services.mode.api(services.leader, f"/{kind}") == []


@pytest.fixture
def registry(services):
    """A registry on the leader's host, which alone can reach it: that needs no TLS."""
    lab, host = services.mode.lab, services.leader
    lab.exec(host, "apt-get", "install", "-y", "-qq", "docker-registry", timeout=300)
    lab.exec(host, "systemctl", "disable", "--now", "docker-registry", check=False)
    config = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": "/srv/test-registry"}},
        "http": {"addr": "127.0.0.1:5000"},
    }
    lab.exec(host, "tee", "/srv/test-registry.yml", input=json.dumps(config))
    command = ["docker-registry", "serve", "/srv/test-registry.yml"]
    lab.exec(host, "systemd-run", "--collect", "--unit=test-registry", *command)
    yield "127.0.0.1:5000"
    lab.exec(host, "systemctl", "stop", "test-registry", check=False)


@pytest.mark.long
def test_image_has_its_digest_by_the_registry(services, registry):
    """As by `docker service create`; and a registry that is away changes nothing."""
    lab, host = services.mode.lab, services.leader
    image = f"{registry}/app:1"

    def push(source):
        services.mode.docker(host, "tag", source, image)
        services.mode.docker(host, "push", image)

    def image_of():
        return services.spec("web")["TaskTemplate"]["ContainerSpec"]["Image"]

    push(WORKLOAD)
    web = {**SLEEP, "image": image, "constraints": [f"node.hostname=={host}"]}
    del web["resolve"]
    assert services.run({"web": web})["web"]["image"]["new"] == image_of()
    assert re.fullmatch(rf"{image}@sha256:[0-9a-f]{{64}}", first := image_of())
    # Another content under the same tag: an update only if pillar asks for it.
    container = services.mode.docker(host, "create", "--label", "a=b", WORKLOAD).strip()
    services.mode.docker(host, "commit", "-m", "another", container, "another:1")
    services.mode.docker(host, "rm", container)
    push("another:1")
    services.unchanged({"web": web})
    always = {**web, "resolve": "always"}
    assert set(services.run({"web": always})["web"]) == {"image"}
    assert image_of() != first
    services.unchanged({"web": always})
    # And without a registry: one warning.
    index = services.index("web")
    lab.exec(host, "systemctl", "stop", "test-registry")
    done = services.apply({"web": always})[RUN]
    assert (done["result"], done["changes"], len(done["warnings"])) == (True, {}, 1)
    assert f"registry {registry}: no digest of {image}. " in done["warnings"][0]
    assert services.index("web") == index
    services.mode.docker(host, "rmi", "-f", "another:1")


@pytest.fixture
def private(services):
    """A registry with a login, on the master's host; the image is nowhere else."""
    mode = services.mode
    with private_registry.served(mode.lab, pki.new_authority("the registry's CA", 1)) as registry:
        yield f"{registry}/app:1"
        for host in mode.lab.hosts():
            mode.docker(host, "rmi", "-f", f"{registry}/app:1", check=False)


@pytest.mark.long
def test_node_pulls_by_the_login_of_the_cluster_and_by_a_renewed_one(services, private):
    """Workers have logged in nowhere: managers pass the login on. No task starts again by that."""
    mode, new = services.mode, f"another {private_registry.TOKEN}"
    lab, others = mode.lab, [host for host in mode.lab.hosts() if host != services.leader]
    known = {"ca_cert": private_registry.CA_FILE}
    registries = {private_registry.REGISTRY: {**known, **private_registry.LOGIN}}
    more = {"registries": registries}
    mode.pillar(**more)
    assert failures(mode.state("swarm.registries")) == {}
    mode.docker(services.leader, "tag", WORKLOAD, private)
    mode.docker(services.leader, "push", private)
    mode.docker(services.leader, "rmi", private)
    for host in others:
        lab.exec(host, "rm", "/root/.docker/config.json")
    web = {**SLEEP, "image": private, "constraints": [f"node.hostname=={others[0]}"]}
    services.run({"web": web}, **more)
    (task,) = services.tasks("web")
    private_registry.admit(lab, new)
    for host in lab.hosts():
        private_registry.keep(lab, host, new)
    index = services.index("web")
    assert lab.salt_run("swarm.rotate", "registry") == {"registry": True}
    assert services.index("web") > index
    assert services.tasks("web") == [task]
    services.unchanged({"web": web}, **more)
    # A node without the image, and without a login of its own.
    for host in others:
        lab.exec(host, "rm", "/root/.docker/config.json")
    mode.docker(others[0], "rmi", "-f", private)
    web["constraints"] = [f"node.hostname=={others[1]}"]
    services.apply({"web": web}, **more)
    (moved,) = services.tasks("web")
    assert moved["NodeID"] != task["NodeID"]
    assert private_registry.TOKEN not in json.dumps(services.spec("web"))


@pytest.mark.long
def test_job_runs_once_and_again_on_demand(services):
    lab = services.mode.lab
    base = {"image": WORKLOAD, "resolve": "never", "restart_policy": {"condition": "none"}}
    job = {**base, "mode": "replicated-job", "args": ["sh", "-c", "echo one; echo two"]}
    wanted = {
        "job": {**job, "completions": 2, "max_concurrent": 2},
        "everywhere": {**base, "mode": "global-job", "args": ["true"], "timeout": 30},
    }

    def runs(name):
        found = services.mode.api(services.leader, f"/services/{name}")
        return found["JobStatus"]["JobIteration"].get("Index", 0)

    assert set(services.run(wanted)) == set(wanted)
    services.unchanged(wanted)
    assert services.run(wanted) == {}
    assert {runs(name) for name in wanted} == {0}
    # On demand: the same definition, and what it has said.
    done = lab.salt(services.leader, "swarm_job.run", "job", "lines=1")[services.leader]
    assert (done["completed"], runs("job")) == (True, 1), done
    assert [(one["exit code"], one["log"]) for one in done["tasks"]] == [(0, ["two"])] * 2
    services.unchanged(wanted)
    wanted["job"]["rerun"] = "2"
    assert set(services.run(wanted)["job"]) == {"rerun"}
    assert runs("job") == 2
    # One that fails is a failure with its exit code, and is not run again by an apply.
    wanted["job"]["args"] = ["sh", "-c", "echo bad; exit 4"]
    for _ in range(2):
        done = services.apply(wanted)[RUN]
        assert done["result"] is False
        assert "task: non-zero exit (4)" in done["comment"]
    assert runs("job") == 3
    done = lab.salt(services.leader, "swarm_job.run", "job")[services.leader]
    assert done["completed"] is False
    ended = [one for one in done["tasks"] if one["state"] == "failed"]
    assert {(one["exit code"], *one["log"]) for one in ended} == {(4, "bad")}


@pytest.mark.long
def test_schedule_of_the_minions_runs_a_job_and_the_master_has_its_return(services):
    lab = services.mode.lab
    job = {"image": WORKLOAD, "resolve": "never", "mode": "replicated-job", "timeout": 60}
    job |= {"args": ["sh", "-c", "echo one; echo two"], "restart_policy": {"condition": "none"}}
    services.run({"nightly": job})
    known = set(lab.salt_run("jobs.list_jobs", "search_function=swarm_job.run"))
    words = ["function=swarm_job.run", "job_args=[nightly]", "job_kwargs={timeout: 60, lines: 1}"]
    words += ["seconds=5", "maxrunning=1", "persist=False"]

    def returned():
        """Return what the runs of the schedule have returned; that of other nodes is `None`."""
        jobs = set(lab.salt_run("jobs.list_jobs", "search_function=swarm_job.run")) - known
        found = [lab.salt_run("jobs.lookup_jid", jid) for jid in jobs]
        return [(host, one) for each in found for host, one in each.items() if one]

    lab.salt("*", "schedule.add", "nightly", *words)
    try:
        services.mode.wait(lambda: len(returned()) > 1, 120)
    finally:
        lab.salt("*", "schedule.delete", "nightly", "persist=False")
    runs = returned()
    assert {host for host, _ in runs} == {services.leader}
    for _, done in runs:
        assert done["completed"] is True
        assert [(one["exit code"], one["log"]) for one in done["tasks"]] == [(0, ["two"])]
    found = services.mode.api(services.leader, "/services/nightly")
    assert found["JobStatus"]["JobIteration"]["Index"] >= len(runs)


@pytest.mark.long
def test_volumes_are_made_on_their_nodes_and_never_changed(services):
    lab, nodes = services.mode.lab, sorted(services.mode.lab.hosts())
    volumes = {
        "everywhere": {"labels": {"owner": "web"}},
        "one": {"nodes": [nodes[0]], "options": {"type": "tmpfs", "device": "tmpfs"}},
    }

    def state(test=False, **edited):
        services.mode.pillar(volumes={**volumes, **edited})
        return services.mode.state("swarm.volumes", test=test)

    told = changed(state(test=True))
    done = state()
    assert failures(done) == {}
    assert changed(done) == told
    assert {key.partition(":")[0]: set(one) for key, one in told.items()} == {
        node: {"everywhere", "one"} if node == nodes[0] else {"everywhere"} for node in nodes
    }
    assert changed(state()) == changed(state(test=True)) == {}
    failed = failures(state(everywhere={"driver": "other"}))
    assert all("Docker cannot change a volume" in str(one) for one in failed.values()), failed
    assert len(failed) == len(nodes)
    for name in volumes:
        lab.salt("*", "state.single", "swarm_volume.absent", name)
        assert set(lab.salt("*", "swarm_volume.path", name).values()) == {None}
    # Docker would create the volume of the service without its label.
    mount = {"type": "volume", "source": "everywhere", "target": "/data"}
    services.run({"web": {**SLEEP, "mounts": [mount]}}, volumes=volumes)
    assert f"{services.leader}: {VOLUMES}" not in changed(state())
    services.clear()
    services.mode.wait(lambda: not services.mode.api(services.leader, "/tasks"), 60)
    for name in volumes:
        lab.salt("*", "state.single", "swarm_volume.absent", name)


@pytest.mark.long
def test_runner_shows_tasks_and_logs_scales_rolls_back_and_exports(services):
    lab = services.mode.lab
    talk = {**SLEEP, "args": ["sh", "-c", "echo hello; sleep 3600"], "update_config": QUICK}
    networks = {"backend": {"driver": "overlay", "labels": {"a": "b"}}}
    web = {**talk, "networks": ["backend"], "env": {"A": "1"}}
    services.run({"web": web}, networks=networks)
    (row,) = lab.salt_run("swarm.ps", "web")
    assert (row["state"], row["image"], row["exit code"]) == ("running", WORKLOAD, "0")
    (told,) = lab.salt_run("swarm.logs", "web")
    assert told["log"] == ["hello"]
    assert lab.salt_run("swarm.scale", "web=3") == {"web": {"replicas": {"old": 1, "new": 3}}}
    assert len(services.tasks("web")) == 3
    # Pillar leaves the scale open.
    services.unchanged({"web": web}, networks=networks)
    services.run({"web": {**web, "env": {"A": "2"}}}, networks=networks)
    done = lab.salt_run("swarm.rollback", "web")
    assert done == {"env": {"old": {"A": "2"}, "new": {"A": "1"}}}
    services.unchanged({"web": web}, networks=networks)
    exported = lab.salt_run("swarm.export")["swarm"]
    assert exported["services"]["web"]["env"] == {"A": "1"}
    assert exported["networks"]["backend"]["labels"] == {"a": "b"}
    assert set(exported["managers"]) <= set(lab.hosts())
    assert set(exported["managers"]) | set(exported["nodes"]) == set(lab.hosts())
    services.unchanged(exported["services"], networks=exported["networks"])


@pytest.mark.long
def test_two_services_follow_a_config_and_each_is_updated_once(services):
    pair = {name: {**SLEEP, "configs": [{"name": "site", "target": "/site"}],
                   "update_config": QUICK} for name in ("one", "two")}  # fmt: skip
    others = {f"other{number}": {**SLEEP, "replicas": 0} for number in range(5)}
    services.run({**pair, **others}, configs={"site": {"content": "old"}})
    before = {name: services.index(name) for name in others}
    told = services.run({**pair, **others}, configs={"site": {"content": "new"}})
    assert {name: set(one) for name, one in told.items()} == {key: {"configs"} for key in pair}
    names = {services.spec(name)["TaskTemplate"]["ContainerSpec"]["Configs"][0]["ConfigName"]
             for name in pair}  # fmt: skip
    assert len(names) == 1
    assert {name: services.index(name) for name in others} == before


@pytest.mark.long
def test_port_that_the_engine_has_chosen_stays_and_limits_hold_in_the_task(services):
    web = {**SLEEP, "ports": ["80"], "ulimits": {"nofile": 512}, "update_config": QUICK}
    web["args"] = ["sh", "-c", "ulimit -n; sleep 3600"]

    def port():
        found = services.mode.api(services.leader, "/services/web")
        (one,) = found["Endpoint"]["Ports"]
        return one["PublishedPort"]

    services.run({"web": web})
    chosen = port()
    services.unchanged({"web": web})
    services.run({"web": {**web, "env": {"A": "1"}}})
    assert port() == chosen
    (told,) = services.mode.lab.salt(services.leader, "swarm_service.logs", "web").values()
    assert told[0]["log"] == ["512"]


@pytest.mark.long
def test_restart_and_an_apply_need_no_command_line_of_docker(services):
    lab, host = services.mode.lab, services.leader
    web = {**SLEEP, "update_config": QUICK}
    lab.exec(host, "mv", "/usr/bin/docker", "/usr/bin/docker.away")
    try:
        services.run({"web": web})
        before = services.spec("web")
        lab.salt(host, "swarm_service.restart", "web")
    finally:
        lab.exec(host, "mv", "/usr/bin/docker.away", "/usr/bin/docker")
    after = services.spec("web")
    assert after["TaskTemplate"].pop("ForceUpdate") == 1
    before["TaskTemplate"].pop("ForceUpdate", None)
    assert after == before
    services.unchanged({"web": web})


ROUNDS = 20 if os.environ.get("SWARM_TEST_LONG") else 3


@pytest.mark.long
def test_service_and_its_network_are_removed_and_made_anew_at_once(services):
    """Networks of services that were removed just now are still in use for a moment."""
    networks = {"again": {"driver": "overlay"}}
    web = {**SLEEP, "networks": ["again"], "update_config": QUICK}
    lab, host = services.mode.lab, services.leader
    for _ in range(ROUNDS):
        services.run({"web": web}, networks=networks)
        for function in ("swarm_service.absent web", "swarm_network.absent again"):
            (states,) = lab.salt(host, "state.single", *function.split()).values()
            (ret,) = states.values()
            assert ret["result"] is True, ret


@pytest.mark.long
def test_processors_and_a_port_of_the_cluster_that_are_not_free_are_named(services):
    """The managers only count the nodes; of a port of another service, Docker makes no service."""
    base = {**SLEEP, "timeout": 8, "update_config": QUICK}
    port = ["8099:80"]
    hosts = len(services.mode.lab.hosts())
    services.run({"taken": {**base, "ports": port}})
    bad = {
        "cpus": {**base, "reservations": {"cpus": 4000}},
        "port": {**base, "ports": port},
        "down": {**base, "replicas": 3 * hosts},
    }
    told = services.apply(bad)[RUN]
    assert told["result"] is False
    assert "no node has 4000 CPUs left for a reservation: m" in told["comment"]
    assert re.search(r"service port: .*8099.*already in use by service.*taken", told["comment"])
    assert set(told["changes"]) == {"cpus", "down"}
    assert services.run({"down": {**base, "replicas": 1}})["down"] == {
        "replicas": {"old": 3 * hosts, "new": 1}
    }
    assert len(services.tasks("down")) == 1


@pytest.mark.long
def test_networks_are_compared_by_name_and_a_port_of_one_address_is_refused(services):
    """Docker knows networks by their IDs: the one of the hosts is in no list of the cluster."""
    networks = {one: {"driver": "overlay"} for one in ("backend", "other")}
    base = {**SLEEP, "update_config": QUICK}
    wanted = {"web": {**base, "networks": ["host"]}, "app": {**base, "networks": ["backend"]}}
    services.run(wanted, networks=networks)
    assert services.run(wanted, networks=networks) == {}
    before = services.tasks("web")
    other = services.mode.api(services.leader, "/networks/other")["Id"]

    def move(spec):
        spec["TaskTemplate"]["Networks"] = [{"Target": other}]

    services.update("app", move)
    assert set(services.run(wanted, networks=networks)["app"]) == {"networks"}
    services.unchanged(wanted, networks=networks)
    assert services.tasks("web") == before
    index = services.index("app")
    wanted["app"]["ports"] = ["127.0.0.1:80:80"]
    services.mode.pillar(services=wanted, networks=networks)
    told = failures(services.mode.state("swarm.services", services.leader))
    assert "swarm:services:app:ports" in str(told)
    assert "127.0.0.1" in str(told)
    assert services.index("app") == index


OWN_STATES = """
net:
  swarm_network.present: [{driver: overlay}]
key:
  swarm_secret.present: [{content: x}]
page:
  swarm_config.present: [{content: x}]
app:
  swarm_service.present:
    - image: IMAGE
    - resolve: never
    - args: [sleep, "3600"]
    - stop_grace_period: 1s
    - networks: [net]
    - secrets: [key]
    - configs: [page]
    - require: [{swarm_secret: key}, {swarm_config: page}, {swarm_network: net}]
"""
NO_STATES = """
app:
  swarm_service.absent: []
net:
  swarm_network.absent: [{require: [{swarm_service: app}]}]
key:
  swarm_secret.absent: [{require: [{swarm_service: app}]}]
page:
  swarm_config.absent: [{require: [{swarm_service: app}]}]
"""


@pytest.mark.long
def test_dry_run_of_states_of_ones_own_promises_what_the_run_does(services):
    """The service needs what the states before it create, and gives free what later ones remove."""

    mode, folder = services.mode, services.mode.lab.settings.states
    files = {"own_states": OWN_STATES, "no_states": NO_STATES}

    def states(name, **test):
        (found,) = mode.state(name, services.leader, **test).values()
        assert isinstance(found, dict), found
        return [(one["__id__"], one["result"], one["changes"]) for one in found.values()]

    try:
        for name, text in files.items():
            (folder / f"{name}.sls").write_text(text.replace("IMAGE", WORKLOAD))
        known = ("cp.get_file_str", "salt://no_states.sls")
        # The master lists its files again after 20 s.
        mode.wait(lambda: mode.lab.salt(services.leader, *known)[services.leader], 60)
        for name in files:
            promised = states(name, test=True)
            assert {result for _, result, _ in promised} == {None}, promised
            done = states(name)
            assert {result for _, result, _ in done} == {True}, done
            assert [(one, changes) for one, _, changes in done] == [
                (one, changes) for one, _, changes in promised
            ]
            assert {result for _, result, _ in states(name, test=True)} == {True}
    finally:
        for name in files:
            (folder / f"{name}.sls").unlink(missing_ok=True)


@pytest.mark.long
def test_nodes_have_the_image_of_a_service_before_its_tasks_start(services):
    """From an archive, on the nodes that may run it."""
    lab, name = services.mode.lab, "swarm_image.get"
    source = {"image_source": "salt://images/busybox.tar"}
    web = {**SLEEP, **source, "constraints": ["node.role==manager"]}
    services.mode.pillar(services={"web": web})
    try:
        for host in lab.hosts():
            services.mode.docker(host, "rmi", "-f", WORKLOAD)
        lab.salt("*", "saltutil.refresh_pillar", "wait=True")
        promised = lab.salt("*", "swarm_image.prepull", "test=True")
        assert not any(lab.salt("*", name, WORKLOAD).values())
        assert lab.salt("*", "swarm_image.prepull") == promised
        managers = {host for host in lab.hosts() if services.mode.swarm(host)["ControlAvailable"]}
        assert {host for host, one in promised.items() if one} == managers
        assert {host for host, one in lab.salt("*", name, WORKLOAD).items() if one} == managers
        services.run({"web": web})
        services.unchanged({"web": web})
    finally:
        lab.salt("*", "swarm_image.load", WORKLOAD, "salt://images/busybox.tar")


# ---- generated services: the unit tests have the same, many more, before a stand-in for a manager

NO_TASKS = {"image": SLEEP["image"], "resolve": "never", "replicas": 0, "timeout": 20}
GENERATED = int(os.environ.get("SWARM_TEST_GENERATED", "50"))
REFERRED = {
    "networks": {name: {"driver": "overlay"} for name in ("backend", "front")},
    "secrets": {name: {"content": name} for name in ("password-1", "key")},
    "configs": {"site-1": {"content": "site"}},
}


def drawn(count):
    """Return services, each in two spellings."""
    found = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(twice())
    def draw(pair):
        found.append(pair)

    draw()
    return found


def runnable(options):
    """Return the options without tasks, and without those that not every engine has."""
    kept = {key: one for key, one in options.items() if key not in NEWER}
    return {**kept, **NO_TASKS}


def spelled(pairs, which):
    """Return the services in one of their spellings."""
    found = {f"s{number}": runnable(pair[which]) for number, pair in enumerate(pairs)}
    # A port of the cluster can be published once.
    for one in [one for one in found.values() if one.get("ports")][1:]:
        del one["ports"]
    return found


@pytest.mark.long
@pytest.mark.once
def test_services_that_an_engine_has_kept_are_no_update(services):
    pairs = drawn(GENERATED)
    wanted, again = spelled(pairs, 0), spelled(pairs, 1)
    assert set(services.run(wanted, **REFERRED)) == set(wanted)
    index = {name: services.index(name) for name in wanted}
    for spelling in (wanted, again):
        services.unchanged(spelling, **REFERRED)
        assert services.run(spelling, **REFERRED) == {}
    assert {name: services.index(name) for name in wanted} == index
