"""
Compose files become what ``docker stack deploy`` makes of them.
"""

import contextlib
import copy
import json
from pathlib import Path

import pytest
from hypothesis import given as for_any
from hypothesis import strategies as st

from swarm_formula.classic import service_containers
from swarm_formula.compose import file, target
from swarm_formula.compose import keys as compose_keys
from swarm_formula.compose.keys import NAMESPACE
from swarm_formula.core import errors
from swarm_formula.spec import service_options, service_spec
from tests.unit.stacks.record import ENVIRONMENT

pytestmark = pytest.mark.once

FOLDER = Path(__file__).parents[1] / "stacks"
FILES = sorted(path.stem for path in FOLDER.glob("*.yml"))
RECORDED = sorted(path.stem for path in FOLDER.glob("*.json"))
WHERE = "stack st"
SPECIAL = """environment env_file networks ports volumes tmpfs secrets configs restart scale
    healthcheck.disable credential_spec deploy.mode deploy.replicas profiles
    deploy.resources.reservations.generic_resources""".split()
COMPOSE = {*compose_keys.OPTIONS, *compose_keys.IGNORED, *compose_keys.REFUSED, *SPECIAL}
WORDS = [
    *sorted({word for key in COMPOSE for word in key.split(".")} | set("abx")),
    *("services", "name", "external", "file", "source", "target", "type", "published", "ipam"),
    *("config", "subnet", "driver", "driver_opts", "internal", "aliases", "path", "x-a"),
]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-5, 70000)
    | st.floats()
    | st.sampled_from(["", "a", "a:b", "80:80", "1m", "$A", "${B:-c}", "x=y", "/a:/b", "true", ":"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5)
    ),
    max_leaves=15,
)


def read(content, variables=(), files=None, target=target.BUILTIN):
    """Return the stack of a file, and its faults."""
    load = (lambda path: files[path]) if files is not None else lambda path: path.encode()
    return file.read("st", file.Source(content, dict(variables), load, WHERE, target))


def of_file(name):
    """Return the stack of one of the files that people write."""
    source = (FOLDER / f"{name}.yml").read_text()
    load = lambda path: (FOLDER / path).read_bytes() if path[0] != "/" else b"x"  # noqa: E731
    stack, faults = file.read("st", file.Source(source, ENVIRONMENT, load, WHERE))
    assert [str(one) for one in faults] == []
    return stack


def service(**keys):
    """Return the options of a service with these keys, and what is ignored; none is a fault."""
    stack, faults = read({"services": {"a": {"image": "i", **keys}}}, {"V": "v"})
    assert [str(one) for one in faults] == []
    return stack.services["st_a"], stack.ignored


def faults_of(content, variables=()):
    """Return the faults of a file as texts."""
    return [str(one) for one in read(content, variables)[1]]


# ---- the same as `docker stack deploy`


# Lists whose order means something.
ORDERED = {"Args", "Command", "Test", "Preferences", "Search", "Nameservers"}


def plain(value, key=""):
    """Return a part of a spec without what says nothing, lists in one order."""
    if isinstance(value, dict):
        found = {key: plain(one, key) for key, one in sorted(value.items())}
        return {key: one for key, one in found.items() if one not in (None, {}, [], "", 0)}
    if isinstance(value, list):
        found = [plain(one) for one in value]
        return found if key in ORDERED else sorted(found, key=json.dumps)
    return value


def respell(mounts, ports):
    """Take the last slash off folders, and fill in what Docker makes of a port."""
    for mount in mounts:
        if mount["Type"] == "bind" and mount["Source"] != "/":
            mount["Source"] = mount["Source"].rstrip("/")
    for port in ports:
        for key, default in (("Protocol", "tcp"), ("PublishMode", "ingress")):
            port.setdefault(key, default)


def comparable(body):
    """Return the spec of a service with one spelling of what has several."""
    body = copy.deepcopy(body)
    task, mode = body["TaskTemplate"], body["Mode"]
    container = task["ContainerSpec"]
    container["Image"] = container["Image"].removesuffix(":latest")
    for kind in ("Secret", "Config"):
        for one in container.get(f"{kind}s") or []:
            one.pop(f"{kind}ID", None)
    if placement := task.get("Placement"):
        found = placement.get("Constraints") or []
        placement["Constraints"] = [one.replace(" ", "") for one in found]
    respell(container.get("Mounts") or [], body.get("EndpointSpec", {}).get("Ports") or [])
    if "Replicated" in mode:
        # What Docker makes of none.
        mode["Replicated"].setdefault("Replicas", 1)
    return {**plain(body), "Mode": mode}


@pytest.mark.parametrize("name", RECORDED)
def test_services_are_those_of_docker_stack_deploy(name):
    stack = of_file(name)
    ours = {
        key: comparable(service_spec.body(key, options, {"secrets": {}, "configs": {}}))
        for key, options in stack.services.items()
    }
    theirs = json.loads((FOLDER / f"{name}.json").read_text())
    assert ours == {key: comparable(one) for key, one in theirs.items()}


@pytest.mark.parametrize("name", RECORDED)
def test_stack_of_docker_stack_deploy_is_continued_without_a_change(name):
    theirs = json.loads((FOLDER / f"{name}.json").read_text())
    for key, options in of_file(name).services.items():
        there = theirs[key]
        if "Replicated" in there["Mode"]:
            there["Mode"]["Replicated"].setdefault("Replicas", 1)
        assert service_spec.diff(there, service_spec.whole(there, options)) == {}


def test_file_that_docker_compose_has_normalized_keeps_its_names():
    stack = of_file("normalized")
    assert set(stack.networks) == {"shop_default"}
    assert [one.name for one in stack.files] == ["shop_token"]
    api = stack.services["st_api"]
    assert api["ports"] == [{"published": 8000, "target": 8000}]
    assert api["env"] == {"PRICE": "5$", "TOKEN_FILE": "/run/secrets/token"}
    assert api["secrets"] == [{"name": "shop_token", "target": "/run/secrets/token"}]
    assert [one["source"] for one in api["mounts"]] == ["shop_data", "/srv/api"]
    assert {key.partition(".")[0] for key in api} == {
        *("image", "ports", "env", "secrets", "mounts", "healthcheck", "limits", "networks"),
        *("labels", "container_labels"),
    }
    assert (api["limits.cpus"], api["limits.memory"]) == (0.5, 256 << 20)


def test_file_of_version_2_keeps_its_limits_and_tells_the_rest():
    stack = of_file("two")
    app, db = stack.services["st_app"], stack.services["st_db"]
    limits = {key: one for key, one in app.items() if key.startswith(("limits", "reserv"))}
    assert limits == {
        "limits.cpus": 0.5,
        "limits.memory": 256 << 20,
        "limits.pids": 50,
        "reservations.memory": 64 << 20,
    }
    assert (app["replicas"], app["restart_policy.condition"]) == (2, "any")
    assert app["mounts"] == [
        {"mode": "1777", "size": 64 << 20, "target": "/tmp", "type": "tmpfs"},  # noqa: S108
        {"target": "/run", "type": "tmpfs"},
    ]
    assert db["mounts"][0]["source"] == "st_data"
    assert keys(stack.ignored) == {
        *("services.app.links", "services.app.shm_size", "services.app.depends_on"),
        "services.db.volumes./data:z",
    }


def keys(ignored):
    """Return the keys that are ignored, without the reasons, of which each has one."""
    assert all(one.endswith(")") and len(one.partition(" (")[2]) > 5 for one in ignored)
    return {one.partition(" (")[0] for one in ignored}


def test_file_of_a_developer_is_deployed_without_what_is_for_the_developer():
    stack = of_file("dev")
    assert set(stack.services) == {"st_api", "st_db"}
    assert stack.services["st_api"]["ports"] == [{"target": 8000}]
    assert "env" not in stack.services["st_api"]
    (settings,) = stack.files
    assert (settings.name, settings.content) == ("st_settings", b"level = info\n")
    assert settings.labels == {NAMESPACE: "st"}
    assert keys(stack.ignored) == {
        *(f"services.api.{one}" for one in ("build", "pull_policy", "develop", "depends_on")),
        *("services.api.environment.FROM_PILLAR", "services.api.environment.NOWHERE"),
        *("services.db.container_name", "services.db.platform", "services.adminer"),
    }


@pytest.mark.parametrize("name", FILES)
def test_same_file_gives_the_same_stack_and_options_in_canonical_form(name):
    stack = of_file(name)
    assert of_file(name) == stack
    for options in stack.services.values():
        for key, one in options.items():
            assert service_options.OPTIONS[key].shape.normal(one) == one


# ---- keys of a service, one by one


@pytest.mark.parametrize(
    ("given", "option", "value"),
    [
        ({"command": "a 'b c'"}, "args", ["a", "b c"]),
        ({"entrypoint": ["a", 1]}, "command", ["a", "1"]),
        ({"environment": {"A": None, "V": None, "B": True, "C": 1.5}}, "env", None),
        ({"environment": ["V", "B=x=y", "C="]}, "env", {"V": "v", "B": "x=y", "C": ""}),
        ({"environment": {"x-y": "1"}}, "env", {"x-y": "1"}),
        ({"env_file": "A=1"}, "env", {"A": "1"}),
        ({"env_file": [{"path": "A=1", "required": True}, "A=2"]}, "env", {"A": "2"}),
        ({"env_file": "A=1\nV\n", "environment": ["A=3"]}, "env", {"A": "3", "V": "v"}),
        ({"labels": ["a=b", "c"]}, "container_labels", {"a": "b", "c": "", NAMESPACE: "st"}),
        ({"stop_grace_period": "90s"}, "stop_grace_period", "1m30s"),
        ({"stop_grace_period": "1.5s"}, "stop_grace_period", "1s500ms"),
        ({"dns": "10.0.0.2"}, "dns", ["10.0.0.2"]),
        ({"dns_opt": "ndots:2"}, "dns_options", ["ndots:2"]),
        ({"extra_hosts": {"a": "10.0.0.1"}}, "hosts", ["a:10.0.0.1"]),
        ({"extra_hosts": ["a=fd00::1", "b:[fd00::2]"]}, "hosts", ["a:fd00::1", "b:fd00::2"]),
        ({"sysctls": ["a.b=1"]}, "sysctls", {"a.b": "1"}),
        ({"ulimits": {"nofile": {"soft": 1, "hard": 2}}}, "ulimits", {"nofile": "1:2"}),
        ({"init": "${X:-true}"}, "init", True),
        ({"logging": {"options": {"max-file": 2}}}, "logging.options", {"max-file": "2"}),
        ({"healthcheck": {"retries": "3"}}, "healthcheck.retries", 3),
        ({"healthcheck": {"start_interval": "2s"}}, "healthcheck.start_interval", "2s"),
        ({"oom_score_adj": "${X:--500}"}, "oom_score_adj", -500),
        ({"isolation": "process"}, "isolation", "process"),
        ({"credential_spec": {"file": "a.json"}}, "credential_spec", "file://a.json"),
        ({"credential_spec": {"registry": "a", "file": None}}, "credential_spec", "registry://a"),
        (
            {"volumes": [{"type": "cluster", "source": "group:g", "target": "/a"}]},
            "mounts",
            [{"type": "cluster", "source": "group:g", "target": "/a"}],
        ),
        (
            {
                "volumes": [
                    {
                        "type": "bind",
                        "source": "/a",
                        "target": "/a",
                        "bind": {"recursive": "disabled"},
                    }
                ]
            },
            "mounts",
            [{"type": "bind", "source": "/a", "target": "/a", "recursive": "disabled"}],
        ),
        ({"healthcheck": {"disable": True}}, "healthcheck.test", ["NONE"]),
        ({"deploy": {"replicas": "${N:-4}"}}, "replicas", 4),
        ({"deploy": {"resources": {"limits": {"memory": "1gb"}}}}, "limits.memory", 1 << 30),
        (
            {"cpus": 2, "deploy": {"resources": {"limits": {"cpus": "0.5"}}}},
            "limits.cpus",
            0.5,
        ),
        (
            {"deploy": {"update_config": {"max_failure_ratio": "0.5"}}},
            "update_config.max_failure_ratio",
            0.5,
        ),
        ({"restart": "on-failure:4"}, "restart_policy.max_attempts", 4),
        (
            {"restart": "always", "deploy": {"restart_policy": {"condition": "none"}}},
            "restart_policy.condition",
            "none",
        ),
        ({"ports": ["80"]}, "ports", [{"target": 80}]),
        ({"ports": ["1000-1001"]}, "ports", [{"target": 1000}, {"target": 1001}]),
        (
            {"ports": ["8000-8001:80/udp"]},
            "ports",
            [{"published": one, "target": 80, "protocol": "udp"} for one in (8000, 8001)],
        ),
        (
            {"ports": [{"target": 80, "published": "81", "name": "web", "app_protocol": "http"}]},
            "ports",
            [{"published": 81, "target": 80}],
        ),
        ({"volumes": ["/data"]}, "mounts", [{"type": "volume", "target": "/data"}]),
        (
            {
                "deploy": {
                    "resources": {
                        "reservations": {
                            "generic_resources": [
                                {"discrete_resource_spec": {"kind": "gpu", "value": "2"}}
                            ]
                        }
                    }
                }
            },
            "reservations.generic",
            {"gpu": 2},
        ),
        (
            {"volumes": ["/a:/b:ro,rslave"]},
            "mounts",
            [
                {
                    "type": "bind",
                    "source": "/a",
                    "target": "/b",
                    "read_only": True,
                    "propagation": "rslave",
                }
            ],
        ),
        ({"networks": None}, "networks", {"st_default": {"aliases": ["a"]}}),
        ({"networks": []}, "networks", {"st_default": {"aliases": ["a"]}}),
        (
            {"networks": {"default": {"aliases": ["z"], "driver_opts": {"a": 1}}}},
            "networks",
            {"st_default": {"aliases": ["a", "z"], "driver_opts": {"a": "1"}}},
        ),
    ],
    ids=str,
)
def test_key_is_the_option(given, option, value):
    found = service(**given)[0][option]
    expected = {"V": "v", "B": "true", "C": "1.5"} if value is None else value
    assert found == expected


def test_numbers_in_a_text_are_what_they_look_like():
    stack, faults = read("services: {a: {image: i, ports: [80, 22:22], user: 1000}}")
    assert faults == []
    assert stack.services["st_a"]["user"] == "1000"
    assert stack.services["st_a"]["ports"] == [{"published": 22, "target": 22}, {"target": 80}]


def test_file_of_variables_that_is_not_required_may_be_absent():
    def missing(path):
        raise errors.SwarmError(path)

    for required in (False, True):
        files = [{"path": "a", "required": required}]
        content = {"services": {"a": {"image": "i", "env_file": files}}}
        source = file.Source(content, {}, missing, WHERE)
        with pytest.raises(errors.SwarmError) if required else contextlib.nullcontext():
            assert file.read("st", source)[1] == []


@pytest.mark.parametrize(
    "given",
    [
        {"restart": "no"},
        {"network_mode": "host"},
        {"networks": {"default": {"ipv4_address": "10.0.0.5"}}},
        {"environment": ["NOWHERE"]},
        {"volumes": [{"type": "bind", "source": "/a", "target": "/b", "bind": {"selinux": "z"}}]},
        {"x-own": {"a": 1}, "privileged": True},
    ],
    ids=str,
)
def test_what_is_ignored_is_told_with_its_reason(given):
    _, ignored = service(**given)
    (key,) = keys(ignored)
    assert key.startswith("services.a.")


# ---- faults


@pytest.mark.parametrize(
    ("given", "place", "words"),
    [
        ({"imgae": "x"}, "imgae", "Did you mean 'image'?"),
        ({"deploy": {"replcas": 2}}, "deploy:replcas", "Did you mean 'replicas'?"),
        ({"deploy.replicas": 2}, "deploy.replicas", "a known one"),
        ({"deploy": {"a.b": 2}}, "deploy:a.b", "a known one"),
        ({"deploy": []}, "deploy", "a mapping of labels"),
        ({"deploy": {"replicas": -1}}, "deploy:replicas", "at least 0"),
        ({"deploy": {"mode": "single"}}, "deploy:mode", "global-job"),
        ({"deploy": {"mode": "global", "replicas": 2}}, "replicas", "a global service has none"),
        (
            {"deploy": {"resources": {"limits": {"memory": "lots"}}}},
            "deploy:resources:limits:memory",
            "such as 512m",
        ),
        ({"image": None}, "image", "the name of an image"),
        ({"ports": ["127.0.0.1:80:80"]}, "ports", "on all addresses of a node"),
        ({"ports": [1342]}, "ports", "takes 22:22 for 1342"),
        ({"user": 2013}, "user", "a text in quotes"),
        ({"ports": ["80-81:90-93"]}, "ports", "ranges of one length"),
        ({"ports": ["90-80:90-80"]}, "ports", "the lower one first"),
        ({"ports": [{"target": 1, "published": "1-2"}]}, "ports", "does not choose"),
        ({"ports": 80}, "ports", "the compose specification"),
        ({"volumes": ["./data:/data"]}, "volumes", "an absolute path that each node has"),
        ({"volumes": ["~/data:/data"]}, "volumes", "an absolute path that each node has"),
        ({"volumes": ["dta:/data"]}, "volumes", "one that `volumes` of the file has"),
        ({"volumes": ["/a:/b:rx"]}, "volumes", "one of ro, rw"),
        (
            {"volumes": [{"type": "volume", "target": "/a", "volume": {"subpaht": "b"}}]},
            "volumes",
            "a known one",
        ),
        ({"volumes": [{"target": "/a"}]}, "volumes", "bind, volume, tmpfs or cluster"),
        (
            {"volumes": [{"type": "cluster", "source": "v", "target": "/a"}]},
            "volumes",
            "one that `volumes` of the file has",
        ),
        ({"credential_spec": {"config": "a"}}, "credential_spec", "either file or registry"),
        ({"credential_spec": {"file": "a", "registry": "b"}}, "credential_spec", "either file or"),
        ({"credential_spec": {"fiel": "a"}}, "credential_spec", "Did you mean 'file'?"),
        ({"oom_score_adj": 2000}, "oom_score_adj", "a whole number from -1000 to 1000"),
        ({"isolation": "hyper"}, "isolation", "default, process or hyperv"),
        ({"networks": ["defalt"]}, "networks", "Did you mean 'default'?"),
        ({"secrets": ["no"]}, "secrets", "one that `secrets` of the file has"),
        ({"secrets": [{"src": "no"}]}, "secrets", "one that `secrets` of the file has"),
        ({"extends": {"service": "b"}}, "extends", "docker compose config"),
        ({"volumes_from": ["b"]}, "volumes_from", "that both services name"),
        ({"cpu_shares": 5}, "cpu_shares", "deploy.resources"),
        ({"env_file": "A B=1"}, "env_file", "NAME=value"),
        ({"command": "${TAG}"}, "command", "a default: ${TAG:-}"),
        ({"labels": {"a": "${TAG:?say it}"}}, "labels:a", "`environment` of the stack"),
        (
            {"deploy": {"endpoint_mode": "dnsrr"}, "ports": ["80:80"]},
            "ports",
            "`mode: host` for each port",
        ),
    ],
    ids=str,
)
def test_fault_names_stack_service_key_and_cure(given, place, words):
    (text,) = faults_of({"services": {"a": {"image": "i", **given}}})
    assert text.startswith(f"stack st:services:a:{place}: found ")
    assert words in text


# Keys that take a list, not a text; of the others, a text is one word of the list, or several.
LISTS = """ports volumes secrets configs networks networks.default.aliases group_add cap_add
    cap_drop profiles deploy.placement.constraints deploy.placement.preferences environment labels
    extra_hosts deploy.resources.reservations.generic_resources""".split()


@pytest.mark.parametrize("value", ["abc", "default", "/a", 3])
@pytest.mark.parametrize("key", LISTS)
def test_text_is_no_list_of_its_letters(key, value):
    *above, last = key.split(".")
    given: dict = {last: value}
    for one in reversed(above):
        given = {one: given}
    (text,) = faults_of({"services": {"a": {"image": "i", **given}}})
    assert text.startswith(f"stack st:services:a:{key.replace('.', ':')}: found ")


@pytest.mark.parametrize("reverse", [False, True])
def test_check_that_is_disabled_has_no_test_in_any_order_of_the_keys(reverse):
    keys = [("disable", True), ("test", "true"), ("interval", "5s")]
    check = dict(reversed(keys) if reverse else keys)
    (text,) = faults_of({"services": {"a": {"image": "i", "healthcheck": check}}})
    assert text.startswith("stack st:services:a:healthcheck:disable: found True")
    options, _ = service(healthcheck={**check, "test": None})
    assert options["healthcheck.test"] == ["NONE"]
    options, _ = service(healthcheck={**check, "disable": False})
    assert options["healthcheck.test"] != ["NONE"]


def test_service_without_profiles_may_say_so():
    assert service(profiles=[]) == service()


@pytest.mark.parametrize("required", ["false", "true", 1, []])
def test_whether_a_file_of_variables_is_required_is_no_text(required):
    given = {"env_file": [{"path": "A=1", "required": required}]}
    (text,) = faults_of({"services": {"a": {"image": "i", **given}}})
    assert text.startswith("stack st:services:a:env_file:required: found ")


@pytest.mark.parametrize(
    ("ipam", "place"),
    [
        ({"config": {"subnet": "10.0.0.0/24"}}, "ipam:config"),
        ({"config": "10.0.0.0/24"}, "ipam:config"),
        ({"config": ["x"]}, "ipam:config"),
        ({"config": [["x"]]}, "ipam:config"),
        ({"config": [None]}, "ipam:config"),
        (["x"], "ipam"),
        ("x", "ipam"),
    ],
)
def test_pool_of_another_shape_is_refused_where_it_is(ipam, place):
    (text,) = faults_of({**WEB, "networks": {"default": {"ipam": ipam}}})
    assert text.startswith(f"stack st:networks:default:{place}: found 'something else'")


WEB = {"services": {"a": {"image": "i"}}}


def test_merge_keys_are_no_keys_that_are_there_twice():
    """Also where the anchor stands deeper than its use, and merges itself."""
    text = """
x-c: &c {tier: any, team: a}
services:
  web: {image: i, deploy: {labels: &l {<<: *c, tier: web}}}
  db: {image: i, labels: {<<: *l}}
"""
    stack, faults = file.read("st", file.Source(text, {}, lambda _: b"", "s"))
    assert faults == []
    assert (
        stack.services["st_db"]["container_labels"].items() >= {"tier": "web", "team": "a"}.items()
    )


@pytest.mark.parametrize(
    ("content", "place", "words"),
    [
        (
            {**WEB, "secrets": {one: {"file": f"/{one}", "name": "n"} for one in ("a", "b")}},
            ":secrets:b:name",
            "another name: a has it as well",
        ),
        (
            {**WEB, "networks": {one: {"name": "n"} for one in ("a", "b")}},
            ":networks:b:name",
            "another name: a has it as well",
        ),
        ("a: [", "", "a compose file in YAML"),
        ("services: {a: {image: i}}\nservices: {}", "", "is there twice"),
        ("&a [*a]", "", "an alias of itself"),
        ("- a", "", "a mapping with `services`"),
        ({}, ":services", "at least one service"),
        ({"web": {"image": "i"}}, ":web", "a known one"),
        ({**WEB, "version": "1"}, ":version", "2, 3, or no such key"),
        ({**WEB, "include": ["b.yml"]}, ":include", "docker compose config"),
        ({**WEB, "netwroks": {}}, ":netwroks", "Did you mean 'networks'?"),
        ({**WEB, "volumes": ["a"]}, ":volumes", "a mapping of names"),
        ({**WEB, "volumes": {"a": {"drivr": "x"}}}, ":volumes:a:drivr", "Did you mean 'driver'?"),
        ({"services": {"a b": {"image": "i"}}}, ":services:a b", "letters and digits"),
        ({"services": {"a": "i"}}, ":services:a", "a mapping of options"),
        ({**WEB, "secrets": {"s": {}}}, ":secrets:s", "or external: true"),
        ({**WEB, "secrets": {"s": {"content": "x"}}}, ":secrets:s:content", "a known one"),
        ({**WEB, "configs": {"c": {"file": "a", "content": "b"}}}, ":configs:c", "one of "),
        ({**WEB, "configs": {"c": {"environment": "NO"}}}, ":configs:c:environment", "a variable"),
        (
            {**WEB, "configs": {"c": {"file": "a", "template_driver": "golang"}}},
            ":configs:c:template_driver",
            "no such key",
        ),
        ({**WEB, "secrets": {"s" * 60: {"file": "a"}}}, f":secrets:{'s' * 60}", "no longer than"),
        (
            {**WEB, "networks": {"default": {"ipam": {"config": [{}, {}]}}}},
            ":networks:default:ipam",
            "one subnet",
        ),
        (
            {**WEB, "networks": {"default": {"internal": "maybe"}}},
            ":networks:default:internal",
            "true or false",
        ),
        ({**WEB, "networks": {"default": {"labels": 1}}}, ":networks:default:labels", "a mapping"),
    ],
    ids=str,
)
def test_fault_of_the_file_names_its_place_and_a_cure(content, place, words):
    texts = faults_of(content)
    assert any(text.startswith(f"stack st{place}: found ") and words in text for text in texts)


def test_keys_that_are_no_texts_are_taken_as_texts():
    stack, faults = read({"services": {1: {"image": "i", "environment": {2: 3}}}})
    assert faults == []
    assert stack.services["st_1"]["env"] == {"2": "3"}


def test_all_faults_are_told_at_once_and_no_value_that_may_be_a_secret():
    secret = "geheim"  # noqa: S105
    content = {
        "services": {
            "a": {"image": "i", "environment": secret, "replicas": 2},
            "b": {"image": "i", "command": {"x": secret}},
        }
    }
    texts = faults_of(content)
    assert len(texts) == 3
    assert secret not in "".join(texts)


# ---- what services name


def test_networks_have_the_names_labels_and_settings_of_the_file_and_only_those_in_use():
    content = {
        "services": {"a": {"image": "i", "networks": ["x", "y", "z"]}},
        "networks": {
            "x": {"attachable": True, "labels": ["a=b"], "driver_opts": {"encrypted": ""}},
            "y": {"name": "why", "ipam": {"config": [{"subnet": "10.9.0.0/24"}]}},
            "z": {"external": True},
            "unused": None,
        },
    }
    stack, faults = read(content)
    assert faults == []
    own = {NAMESPACE: "st"}
    basic = {"driver": "overlay", "internal": False, "attachable": False, "labels": own}
    assert stack.networks == {
        "st_x": {
            **basic,
            "attachable": True,
            "labels": {**own, "a": "b"},
            "options": {"encrypted": ""},
        },
        "why": {**basic, "subnet": "10.9.0.0/24"},
    }
    assert set(stack.services["st_a"]["networks"]) == {"st_x", "why", "z"}
    assert stack.kept["networks"] == {"st_x", "why", "z", "st_unused", "st_default"}


def test_secrets_and_configs_have_their_contents_and_external_ones_none():
    content = {
        "services": {"a": {"image": "i", "secrets": ["one", "two"], "configs": ["three"]}},
        "secrets": {
            "one": {"file": "path", "name": "one-${V}"},
            "two": {"external": True, "name": "elsewhere"},
        },
        "configs": {"three": {"environment": "V", "labels": {"a": 1}}},
    }
    stack, faults = read(content, {"V": "v"})
    assert faults == []
    assert [(one.kind, one.name, one.content, one.labels) for one in stack.files] == [
        ("secrets", "one-v", b"path", {NAMESPACE: "st"}),
        ("configs", "st_three", b"v", {NAMESPACE: "st", "a": "1"}),
    ]
    assert stack.services["st_a"]["secrets"] == [
        {"name": "elsewhere", "target": "two"},
        {"name": "one-v", "target": "one"},
    ]


def in_classic(name, options):
    """Return what creates a container of a service."""
    return service_containers.body(name, service_containers.merged({}, options))


def in_builtin(name, options):
    """Return what creates a service."""
    return service_spec.body(name, options, {"secrets": {}, "configs": {}})


MODES = [(target.BUILTIN, in_builtin), (target.CLASSIC, in_classic)]


@pytest.mark.parametrize(("mode", "made"), MODES, ids=["builtin", "classic"])
@for_any(value=VALUES)
def test_any_content_is_a_stack_or_has_faults_with_their_place(mode, made, value):
    """No other error, whatever stands where."""
    for content in (value, {"services": {"a": value, "b": {"image": "i", "deploy": value}}}):
        stack, faults = read(content, {"A": "a"}, target=mode)
        assert all(str(one).startswith(WHERE) for one in faults)
        if not faults:
            for name, options in stack.services.items():
                made(name, options)


@pytest.mark.parametrize(("mode", "made"), MODES, ids=["builtin", "classic"])
@for_any(key=st.sampled_from(sorted(COMPOSE)), value=VALUES)
def test_any_value_of_a_key_is_an_option_or_a_fault(mode, made, key, value):
    content: dict = {"image": "i"}
    *above, last = key.split(".")
    place = content
    for one in above:
        place = place.setdefault(one, {})
    place[last] = value
    stack, faults = read({"services": {"a": content}}, target=mode)
    if not faults:
        # A service with a profile is left out.
        for options in stack.services.values():
            made("st_a", options)
