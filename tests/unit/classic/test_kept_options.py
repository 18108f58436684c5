"""
Options of a service in classic mode: each is refused by its name, or kept in the container.
"""

import copy

import pytest

from swarm_formula.classic import kept_options, service_containers
from swarm_formula.core import errors
from swarm_formula.spec import option_table, service_options

# A value of each option that containers have.
KEPT = {
    "image": "b",
    "command": ["sh", "-c"],
    "args": "sleep 9",
    "env": {"A": 1},
    "container_labels": {"c": "d"},
    "networks": {"backend": {"aliases": ["x"]}, "front": None},
    "ports": [{"published": 80, "target": 80, "mode": "host"}, {"target": 81, "mode": "host"}],
    "mounts": ["/etc:/host:ro", {"type": "tmpfs", "target": "/t", "size": "1m"}],
    "constraints": ["node.labels.zone==a", "node.hostname!=m*"],
    "affinities": ["container!=~db"],
    "reschedule": "on-node-failure",
    "limits": {"cpus": 0.5, "memory": "64m", "pids": 50},
    "healthcheck": {
        "test": "true",
        "interval": "9s",
        "timeout": 5,
        "start_period": "1s",
        "retries": 4,
    },
    "restart_policy": {"condition": "on-failure", "max_attempts": 3},
    "user": "1000:1000",
    "groups": ["audio"],
    "workdir": "/srv",
    "hostname": "web",
    "stop_signal": "int",
    "stop_grace_period": "1s",
    "dns": ["10.0.0.2"],
    "dns_search": ["example.com"],
    "dns_options": ["ndots:2"],
    "hosts": {"db": "10.0.0.5", "six": "fd00::5"},
    "init": True,
    "read_only": True,
    "tty": True,
    "stdin": True,
    "cap_add": ["net_admin"],
    "cap_drop": ["ALL"],
    "sysctls": {"net.core.somaxconn": 1024},
    "ulimits": {"nofile": "1024:2048"},
    "oom_score_adj": -500,
    "logging": {"driver": "json-file", "options": {"max-size": "1m"}},
}
# Options of the rollout, which no container has.
OF_AN_APPLY = {
    "timeout",
    "mode",
    "replicas",
    "env_files",
    "update_config.delay",
    "update_config.monitor",
}


def inspected(body):
    """Return a container as Docker shows it, with what it takes from its image."""
    config = copy.deepcopy(body.create)
    host = config.pop("HostConfig")
    config["Env"] = [*config.get("Env", []), "PATH=/bin"]
    config.setdefault("Cmd", ["the-image's"])
    more = [one["Target"] for one in body.more]
    networks = dict.fromkeys([host.get("NetworkMode", "bridge"), *more])
    return {"Config": config, "HostConfig": host, "NetworkSettings": {"Networks": networks}}


def test_every_option_is_refused_or_kept():
    kept = {
        f"{key}.{one}" if option_table.SECTION is service_options.OPTIONS[key].shape else key
        for key, value in KEPT.items()
        for one in (value if option_table.SECTION is service_options.OPTIONS[key].shape else [key])
    }
    refused = {
        name
        for name in service_options.OPTIONS
        if name in kept_options.REFUSED or name.partition(".")[0] in kept_options.REFUSED
    }
    sections = {
        n for n, one in service_options.OPTIONS.items() if one.shape is option_table.SECTION
    }
    assert kept & refused == set()
    assert kept | refused | OF_AN_APPLY | sections == set(service_options.OPTIONS)


@pytest.mark.parametrize("name", KEPT)
def test_option_reaches_the_container_and_is_compared_with_it(name):
    bare = service_containers.merged({}, kept_options.parsed({"image": "a"}, "web"))
    wanted = kept_options.parsed({name: KEPT[name]}, "web")
    full = service_containers.merged(bare, wanted)
    assert service_containers.body("web", full) != service_containers.body("web", bare)
    container = inspected(service_containers.body("web", full))
    assert service_containers.diff(service_containers.spec_of(container), wanted) == {}
    changed = service_containers.diff(
        service_containers.spec_of(inspected(service_containers.body("web", bare))), wanted
    )
    assert {one.partition(".")[0] for one in changed} == {name}


def test_all_options_together_are_as_they_were_created():
    wanted = kept_options.parsed({"image": "a", **KEPT}, "web")
    found = service_containers.spec_of(
        inspected(service_containers.body("web", service_containers.merged({}, wanted)))
    )
    assert service_containers.diff(found, wanted) == {}
    assert service_containers.body("web", found) == service_containers.body(
        "web", service_containers.merged({}, wanted)
    )


def test_container_without_a_spec_that_can_be_read_differs_in_all():
    wanted = kept_options.parsed({"image": "a", "user": "b"}, "web")
    for labels in (
        None,
        {},
        {service_containers.SPEC: "{"},
        {service_containers.SPEC: "[]"},
        {service_containers.SPEC: "{}"},
    ):
        found = service_containers.spec_of(
            {"Config": {"Image": "a", "Labels": labels}, "HostConfig": {}}
        )
        assert set(service_containers.diff(found, wanted)) == {"image", "user"}


REFUSED = [
    ({"resolve": "always"}, "web:resolve: found 'always'; right would be never"),
    ({"labels": {"a": "b"}}, "web:labels: found 'what is not shown'; right would be container_l"),
    ({"mode": "global"}, "web:mode: found 'global'; right would be replicated, the only one"),
    ({"mode": "replicated-job", "completions": 2}, "web:completions: found 2; right would be a"),
    ({"endpoint_mode": "vip"}, "web:endpoint_mode: found 'vip'; right would be dnsrr"),
    ({"preferences": ["spread=node.labels.zone"]}, "web:preferences: "),
    ({"max_replicas_per_node": 1}, "[swarm-formula.service!=NAME]"),
    ({"update_config": {"parallelism": 2}}, "web:update_config:parallelism: found 2; right would"),
    ({"update_config": {"order": "start-first"}}, "stop-first: containers are replaced one by one"),
    ({"rollback_config": {"monitor": 9}}, "web:rollback_config:monitor: "),
    ({"restart_policy": {"delay": 9}}, "web:restart_policy:delay: "),
    ({"restart_policy": {"max_attempts": 2}}, "web:restart_policy:max_attempts: "),
    ({"healthcheck": {"start_interval": "1s"}}, "web:healthcheck:start_interval: found '1s'"),
    ({"memory_swap": -1}, "web:memory_swap: found -1; right would be no such key"),
    ({"memory_swappiness": 0}, "web:memory_swappiness: found 0; right would be no such key"),
    ({"isolation": "process"}, "web:isolation: found 'process'; right would be no such key"),
    ({"credential_spec": "file://a"}, "web:credential_spec: found 'file://a'; right would be no"),
    ({"mounts": [{"type": "cluster", "source": "v", "target": "/v"}]}, "has cluster volumes, or"),
    ({"mounts": [{"source": "v", "target": "/v", "subpath": "a"}]}, "a mount without subpath"),
    ({"mounts": [{"source": "/v", "target": "/v", "recursive": "disabled"}]}, "out recursive"),
    ({"ports": ["80:80"]}, "'published': 80, 'mode': 'host'}: classic mode has no routing mesh"),
    ({"constraints": ["node.role==manager"]}, "classic mode has no node.role"),
    ({"constraints": ["node.labels.zone==a,b"]}, "has a character that the managers do not take"),
    ({"networks": {"host": {}, "front": {}}}, "host alone and without aliases"),
    ({"networks": {"front": {"driver_opts": {"a": "b"}}}}, "without driver_opts"),
    ({"hostname": "{{.Node.Hostname}}"}, "a value without a template"),
    ({"env": {"A": "{{ .Task.Slot }}"}}, "web:env: found 'what is not shown'; right would be a"),
    ({"affinities": ["zone"]}, "which has no == or !="),
    ({"reschedule": False}, "'off' in quotes, or on-node-failure"),
]


@pytest.mark.parametrize(("given", "why"), REFUSED, ids=lambda one: str(one)[:40])
def test_what_classic_mode_cannot_keep_is_refused_with_its_place_and_the_cure(given, why):
    with pytest.raises(errors.SettingsError) as error:
        kept_options.parsed({"image": "a", **given}, "web")
    assert why in str(error.value).replace("'target': 80, ", "")


def test_values_that_say_what_classic_mode_does_are_accepted():
    given = {
        "resolve": "never",
        "mode": "replicated",
        "endpoint_mode": "dnsrr",
        "max_replicas_per_node": 0,
        "labels": {},
        "secrets": None,
        "rollback_config": None,
        "update_config": {"parallelism": 1, "order": "stop-first", "failure_action": "pause"},
        "env": {"FORMAT": "{{.Names}}"},
        "networks": ["host"],
    }
    known = kept_options.parsed({"image": "a", **given}, "web")
    assert list(kept_options.faults(known, "web")) == []
