"""
Options of a service: every spelling, compared with what Docker gives back.
"""

import copy

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from swarm_formula.core import errors
from swarm_formula.service.export import nested
from swarm_formula.spec import (
    option_table,
    service_modes,
    service_options,
    service_shapes,
    service_spec,
)
from tests.unit.spec_api import kept

pytestmark = pytest.mark.once

NAMES = {"secrets": {"password-1": "id-s", "key": "id-k"}, "configs": {"site-1": "id-c"}}
NETWORKS = {"id-backend": "backend", "id-front": "front"}


def stored(body):
    return kept(body, {name: one for one, name in NETWORKS.items()})


def created(options):
    """Return the stored spec of a service that was created with these options."""
    return stored(service_spec.body("web", parsed(options), NAMES))


def parsed(options):
    return service_modes.parsed(options, "service web")


def differing(found, options):
    """Return which options differ from those of a stored spec."""
    return service_spec.diff(service_spec.with_names(found, NETWORKS), parsed(options))


def updated(found, options):
    """Return the stored spec after an update to these options."""
    changes = differing(found, options)
    return stored(service_spec.update(found, parsed(options), changes, NAMES))


def refused(options):
    with pytest.raises(errors.SettingsError) as err:
        parsed(options)
    return str(err.value)


# ---- spellings: pairs of values that mean the same

words = st.text("abcz09._-", min_size=1, max_size=6).filter(lambda one: one.strip("._-"))
plain = words | st.integers(0, 9)


def permuted(lists):
    return lists.flatmap(lambda one: st.tuples(st.just(one), st.permutations(one)))


def same(values):
    return values.map(lambda one: (one, copy.deepcopy(one)))


def several(*pairs):
    return permuted(st.lists(st.sampled_from(pairs), unique_by=str)).map(
        lambda both: ([one for one, _ in both[0]], [other for _, other in both[1]])
    )


mappings = st.dictionaries(words, plain, max_size=4)
durations = st.integers(1, 48 * 3600).flatmap(
    lambda one: st.permutations(
        [f"{one}s", one, one * 10**9, f"{one // 60}m{one % 60}s", f"{one * 1000}ms"]
    ).map(lambda ways: (ways[0], ways[1]))
)
SPELLINGS = {
    service_shapes.TEXT: same(words),
    service_shapes.USER: same(words),
    service_shapes.FLAG: same(st.booleans()),
    service_shapes.COUNT: same(st.integers(0, 1000)),
    service_shapes.RATIO: st.integers(0, 100).map(lambda one: (one / 100, f"{one / 100}")),
    service_shapes.SIZE: st.integers(4, 4096).map(lambda one: (f"{one}M", one << 20)),
    service_shapes.SWAP: st.integers(0, 4096).map(lambda one: (f"{one}M", one << 20))
    | st.just((-1, "-1")),
    service_shapes.PERCENT: same(st.integers(0, 100)),
    service_shapes.CPUS: st.integers(1, 400).map(lambda one: (one / 100, one * 10**7)),
    service_shapes.DURATION: durations,
    service_shapes.WORDS: st.just(("a 'b c'", ["a", "b c"])) | same(st.lists(words)),
    service_shapes.TEXTS: same(st.lists(words)),
    service_shapes.CAPABILITIES: several(
        ("NET_ADMIN", "cap_net_admin"), ("ALL", "all"), ("SYS_TIME",) * 2
    ),
    service_shapes.TABLE: mappings.map(
        lambda one: (one, {key: str(value) for key, value in one.items()})
    ),
    service_shapes.LABELS: mappings.map(lambda one: (one, dict(reversed(one.items())))),
    service_shapes.ENVIRONMENT: mappings.flatmap(
        lambda one: st.permutations([f"{key}={value}" for key, value in one.items()]).map(
            lambda lines: (one, lines)
        )
    ),
    service_shapes.IMAGE: st.sampled_from(
        [
            ("busybox", "busybox:latest"),
            ("docker.io/library/nginx:1", "nginx:1"),
            ("docker.io/library/nginx:1", "nginx:1"),
            ("localhost:5000/a/b", "localhost:5000/a/b:latest"),
            ("a@sha256:" + "0" * 64,) * 2,
        ]
    ),
    service_shapes.OOM_SCORE: same(st.integers(-1000, 1000)),
    service_shapes.ISOLATION: same(st.sampled_from(["default", "process", "hyperv"])),
    service_shapes.CREDENTIALS: same(st.sampled_from(["file://a.json", "registry://a"])),
    service_shapes.GENERIC: st.just(({"gpu": 2, "fpga": 1}, {"fpga": 1, "gpu": 2})),
    service_shapes.SIGNAL: st.sampled_from([("int", "SIGINT"), ("SIGTERM", "term"), ("9", 9)]),
    service_shapes.ULIMITS: st.integers(1, 99).map(
        lambda one: ({"nofile": one, "core": 0}, {"core": "0:0", "nofile": f"{one}:{one}"})
    ),
    service_shapes.MODE: st.just(("replicated", "replicated")),
    service_shapes.NETWORKS: st.sampled_from(
        [
            (["front", "backend"], ["backend", "front"]),
            (["backend"], {"backend": None}),
            ({"backend": {"aliases": ["b", "a"]}}, [{"name": "backend", "aliases": ["a", "b"]}]),
            ({"front": {"driver_opts": {"x": 1}}},) * 2,
        ]
    ),
    service_shapes.PORTS: several(
        ("80", {"target": 80}),
        ("81", "81/tcp"),
        ("8080:80", {"target": 80, "published": "8080", "protocol": "tcp", "mode": "ingress"}),
        ("53:53/udp", {"published": 53, "target": 53, "protocol": "udp"}),
        ({"published": 443, "target": 443, "mode": "host"},) * 2,
    ),
    service_shapes.MOUNTS: several(
        ("data:/data", {"source": "data", "target": "/data/", "type": "volume"}),
        ("/etc/x/:/etc/x:ro", {"source": "/etc/x", "target": "/etc/x", "read_only": True}),
        ("/cache", {"target": "/cache", "no_copy": False}),
        (
            {"type": "tmpfs", "target": "/t", "size": "64m", "mode": "1777"},
            {"type": "tmpfs", "target": "/t", "size": 64 << 20, "mode": "01777"},
        ),
        (
            {"source": "/a", "target": "/a", "propagation": "rslave"},
            {"source": "/a/", "target": "/a", "propagation": "rslave", "type": "bind"},
        ),
        (
            {
                "source": "v",
                "target": "/v",
                "driver": "d",
                "driver_options": {"o": 1},
                "labels": {"l": ""},
            },
        )
        * 2,
        (
            {"source": "s", "target": "/s", "subpath": "..a/b/"},
            {"source": "s", "target": "/s", "subpath": "./..a/b", "type": "volume"},
        ),
        (
            {"source": "/n", "target": "/n", "recursive": "disabled"},
            {"source": "/n", "target": "/n", "recursive": "disabled", "read_only": False},
        ),
        ({"source": "/p", "target": "/p", "recursive": "disabled", "propagation": "rslave"},) * 2,
        ({"source": "/e", "target": "/e", "recursive": "enabled"}, "/e:/e"),
        ({"type": "cluster", "source": "c", "target": "/c"},) * 2,
        ({"type": "cluster", "source": "group:g", "target": "/g", "read_only": True},) * 2,
    ),
    service_shapes.SECRETS: several(
        ("password-1", {"name": "password-1", "target": "password-1", "mode": "0444"}),
        (
            {"name": "key", "target": "tls", "uid": 7, "mode": "400"},
            {"name": "key", "target": "tls", "uid": "7", "gid": 0, "mode": "0400"},
        ),
    ),
    service_shapes.CONFIGS: several(
        ("site-1", {"name": "site-1", "target": "/site-1"}),
        ({"name": "site-1", "target": "/etc/site"},) * 2,
    ),
    service_shapes.CONSTRAINTS: several(
        ("node.role==manager", "node.role == manager"),
        ("node.labels.zone != a b", "node.labels.zone!=a b"),
        ("engine.labels.ssd==true",) * 2,
    ),
    service_shapes.PREFERENCES: st.just(
        (["spread=node.labels.zone"], [{"spread": "node.labels.zone"}])
    ),
    service_shapes.HOSTS: st.just(
        (
            {"db": ["10.0.0.5", "fd00::5"], "a": "10.0.0.6"},
            ["a:10.0.0.6", "db:fd00::5", "db:10.0.0.5"],
        )
    ),
    service_shapes.ADDRESSES: st.just((["10.0.0.2", "fd00::1"], ["10.0.0.2", "fd00:0::1"])),
    service_shapes.PROBE: st.sampled_from([("true", ["CMD-SHELL", "true"]), (["NONE"],) * 2]),
    service_shapes.CONDITION: same(st.sampled_from(["none", "on-failure", "any"])),
    service_shapes.ORDER: same(st.sampled_from(["stop-first", "start-first"])),
    service_shapes.ENDPOINT: same(st.sampled_from(["vip", "dnsrr"])),
    service_shapes.ON_FAILURE: same(st.sampled_from(["pause", "continue", "rollback"])),
    service_shapes.ON_FAILED_ROLLBACK: same(st.sampled_from(["pause", "continue"])),
}
# What a stand-in for a manager counts or waits for stays small.
FEW = {
    "replicas": same(st.integers(0, 4)),
    "completions": same(st.integers(0, 4)),
    "max_concurrent": same(st.integers(1, 4)),
    "update_config.monitor": st.integers(1, 9).map(lambda one: (one, f"{one}s")),
}
COMPARED = {
    name: one
    for name, one in service_options.OPTIONS.items()
    if one.path and one.shape is not option_table.SECTION
}


SECTIONS = {
    name for name, one in service_options.OPTIONS.items() if one.shape is option_table.SECTION
}


MODES = ("replicated", "global", "replicated-job", "global-job")


@st.composite
def twice(draw, need=("image",), mode="replicated"):
    """Draw a service, and the same in other words and another order."""
    names = [name for name in sorted(COMPARED) if service_modes.fits(name, mode)]
    chosen = {*need, *draw(st.lists(st.sampled_from(names), unique=True))}
    ways = {name: FEW.get(name, SPELLINGS[COMPARED[name].shape]) for name in sorted(chosen)}
    pairs = {name: draw(one) for name, one in ways.items()}
    if mode != "replicated":
        pairs["mode"] = (mode, mode)
    order = draw(st.permutations(sorted(pairs)))
    one = nested({name: pair[0] for name, pair in pairs.items()})
    other = nested({name: pairs[name][1] for name in order})
    known, faults = option_table.parse(one, service_options.OPTIONS, "web")
    assert faults == []
    assume(not list(service_modes.conflicts(known, "web")))
    return one, other


services = st.sampled_from(MODES).flatmap(lambda mode: twice(mode=mode))


@given(services)
def test_created_as_wanted_in_whatever_words(pair):
    one, other = pair
    assert parsed(one) == parsed(other) or parsed(one)["image"] != parsed(other)["image"]
    found = created(one)
    assert differing(found, one) == differing(found, other) == {}


@given(services, st.data())
def test_partly_given_options_in_another_order_are_no_update(pair, data):
    one, other = pair
    some = data.draw(st.lists(st.sampled_from(list(other)), unique=True))
    part = {key: other[key] for key in some}
    for key, value in part.items():
        if isinstance(value, dict) and key in SECTIONS:
            inner = data.draw(st.lists(st.sampled_from(list(value)), unique=True))
            part[key] = {name: value[name] for name in inner}
    assert differing(created(one), part) == {}


@given(twice(), twice(need=()))
def test_update_reaches_what_is_wanted_and_leaves_the_rest(before, after):
    old, (new, in_other_words) = created(before[0]), after
    found = updated(old, new)
    assert differing(found, in_other_words) == {}
    named = parsed(new)
    kept = {name: value for name, value in parsed(before[0]).items() if name not in named}
    assert service_spec.diff(service_spec.with_names(found, NETWORKS), kept) == {}


@given(twice())
def test_what_is_taken_away_is_as_it_was_never_there(pair):
    given_, _ = pair
    bare = {"image": given_["image"]}
    nothing = {
        key: None if key not in ("image", "mode", "replicas") else value
        for key, value in given_.items()
    }
    for key in ("labels", "container_labels"):
        if key in given_:
            nothing[key] = dict.fromkeys(given_[key])
    found = updated(created(given_), nothing)
    every = {
        name: option_table.current(service_spec.with_names(created(bare), NETWORKS), one)
        for name, one in COMPARED.items()
        if name not in ("mode", "replicas")
    }
    again = {
        name: option_table.current(service_spec.with_names(found, NETWORKS), COMPARED[name])
        for name in every
    }
    assert again == every


@given(services)
def test_exported_options_are_those_of_the_service(pair):
    """Who takes over a cluster has no change by the first apply, and the same service anew."""
    found = service_spec.with_names(created(pair[0]), NETWORKS)
    exported = nested(service_spec.options_of(found))
    assert differing(created(pair[0]), exported) == {}
    assert differing(created({"image": "a", **exported}), pair[0]) == {}


@given(twice())
def test_canonical_form_is_its_own(pair):
    for name, value in parsed(pair[0]).items():
        option = service_options.OPTIONS[name]
        if option.path and value is not None and not option.by_key:
            assert option.shape.normal(value) == value


@given(st.sampled_from(sorted(COMPARED)), st.data())
def test_every_option_is_compared(name, data):
    """One other value is one difference, by the name of the option."""
    one, _ = data.draw(twice(mode=next(mode for mode in MODES if service_modes.fits(name, mode))))
    value = data.draw(SPELLINGS[COMPARED[name].shape])[0]
    other, found = nested({name: value}), created(one)
    assume(not list(service_modes.conflicts(parsed(other), "web")))
    old = option_table.current(service_spec.with_names(found, NETWORKS), COMPARED[name])
    new = parsed(other)[name]
    if COMPARED[name].by_key:
        old = {key: one for key, one in old.items() if key in new}
    equal = COMPARED[name].shape.equal(old, new)
    assert set(differing(found, other)) == (set() if equal else {name})


# ---- single decisions


def test_partly_given_update_config_is_not_all_at_once():
    """Docker takes a missing parallelism for zero, although one at a time is its default."""
    assert created({"image": "a", "update_config": {"delay": "1s"}})["UpdateConfig"] == {
        "Parallelism": 1,
        "Delay": 10**9,
        "FailureAction": "pause",
        "MaxFailureRatio": 0,
        "Order": "stop-first",
    }
    found = updated(created({"image": "a"}), {"rollback_config": {"order": "start-first"}})
    assert found["RollbackConfig"]["Parallelism"] == 1


def test_digest_that_somebody_else_has_resolved_stays():
    found = created({"image": "nginx:1@sha256:" + "1" * 64})
    assert differing(found, {"image": "nginx:1"}) == {}
    assert set(differing(found, {"image": "nginx:2"})) == {"image"}
    assert set(differing(found, {"image": "nginx:1@sha256:" + "2" * 64})) == {"image"}


def test_whole_section_is_taken_away_without_quoting_it():
    found = created({"image": "a", "healthcheck": {"test": "curl -u me:geheim x", "retries": 2}})
    told = differing(found, {"healthcheck": None})
    assert set(told) == {"healthcheck"}
    assert "geheim" not in str(told)
    assert (
        "Healthcheck" not in updated(found, {"healthcheck": None})["TaskTemplate"]["ContainerSpec"]
    )


def test_labels_are_compared_one_by_one():
    found = created({"image": "a", "labels": {"mine": 1, "gone": 2}})
    found["Labels"]["by"] = "hand"
    told = differing(found, {"labels": {"mine": "1", "gone": None, "never": None}})
    assert told == {"labels": {"old": {"gone": "2"}, "new": {"gone": None}}}
    assert updated(found, {"labels": {"gone": None}})["Labels"] == {"mine": "1", "by": "hand"}


def test_network_that_was_made_anew_is_one_change():
    found = created({"image": "a", "networks": ["backend"]})
    found["TaskTemplate"]["Networks"][0]["Target"] = "id-of-the-old-one"
    assert set(differing(found, {"networks": ["backend"]})) == {"networks"}


def test_what_nobody_knows_differs_and_breaks_nothing():
    found = created({"image": "a", "mounts": ["/x"]})
    found["TaskTemplate"]["ContainerSpec"]["Mounts"] = [{"Type": "npipe", "Target": "x"}]
    assert set(differing(found, {"mounts": ["/x"]})) == {"mounts"}
    assert differing(found, {"image": "a"}) == {}


# What docker 28.2 sends for options of `docker service create`.
SENT = [
    ({"oom_score_adj": -500}, {"OomScoreAdj": -500}),
    ({"isolation": "hyperv"}, {"Isolation": "hyperv"}),
    (
        {"credential_spec": "registry://a"},
        {"Privileges": {"CredentialSpec": {"Config": "", "File": "", "Registry": "a"}}},
    ),
    (
        {"healthcheck": {"test": "true", "start_interval": "2s"}},
        {"Healthcheck": {"Test": ["CMD-SHELL", "true"], "StartInterval": 2 * 10**9}},
    ),
    (
        {"mounts": [{"type": "cluster", "source": "group:g", "target": "/v"}]},
        {"Mounts": [{"Type": "cluster", "Source": "group:g", "Target": "/v"}]},
    ),
    (
        {"mounts": [{"source": "v", "target": "/a", "subpath": "x/y"}]},
        {
            "Mounts": [
                {
                    "Type": "volume",
                    "Source": "v",
                    "Target": "/a",
                    "VolumeOptions": {"Subpath": "x/y", "DriverConfig": {}},
                }
            ]
        },
    ),
    (
        {"mounts": [{"source": "/a", "target": "/a", "recursive": "disabled"}]},
        {
            "Mounts": [
                {
                    "Type": "bind",
                    "Source": "/a",
                    "Target": "/a",
                    "BindOptions": {"NonRecursive": True},
                }
            ]
        },
    ),
]


@pytest.mark.parametrize(("options", "sent"), SENT, ids=lambda one: str(one)[:50])
def test_what_the_command_line_has_set_is_what_pillar_says(options, sent):
    found = created({"image": "a"})
    found["TaskTemplate"]["ContainerSpec"] |= sent
    assert differing(found, options) == {}
    exported = nested(service_spec.options_of(found))
    assert exported.keys() == {"image", "replicas", *options}
    assert differing(created({"image": "a", **options}), exported) == {}


def test_credential_spec_in_a_config_is_not_exported_as_a_file():
    """Docker keeps it among the configs, with no file: the formula has no option for it."""
    found = created({"image": "a", "env": {"A": 1}})
    container = found["TaskTemplate"]["ContainerSpec"]
    container["Configs"] = [{"Runtime": {}, "ConfigID": "id-c", "ConfigName": "site-1"}]
    container["Privileges"] = {"CredentialSpec": {"Config": "id-c", "File": "", "Registry": ""}}
    assert service_spec.options_of(found) == {"image": "a", "replicas": 1, "env": {"A": "1"}}
    assert differing(found, {"env": {"A": "1"}}) == {}


def test_secrets_get_the_version_and_the_id_of_the_cluster():
    wanted = parsed({"image": "a", "secrets": ["password", "key"]})
    wanted = service_spec.versioned(wanted, {"secrets": {"password": "password-1"}, "configs": {}})
    found = service_spec.body("web", wanted, NAMES)["TaskTemplate"]["ContainerSpec"]["Secrets"]
    assert [(one["SecretName"], one["SecretID"], one["File"]["Name"]) for one in found] == [
        ("key", "id-k", "key"),
        ("password-1", "id-s", "password"),
    ]


def test_global_service_has_no_replicas():
    assert created({"image": "a", "mode": "global"})["Mode"] == {"Global": {}}
    assert created({"image": "a"})["Mode"] == {"Replicated": {"Replicas": 1}}


def test_values_that_look_secret_are_hashes_in_changes():
    wanted = parsed({"image": "a", "env": {"TOKEN": "geheim"}, "args": ["--password", "geheim"]})
    told = str(service_spec.shown(service_spec.created(wanted)))
    assert "geheim" not in told
    assert "sha256:" in told


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"imag": "a"}, "service web:imag: found 'an unknown key'; right would be"),
        ({"update_config": {"paralelism": 1}}, "a known one. Did you mean 'parallelism'?"),
        ({"update_config.delay": "1s"}, "a known one. Did you mean 'update_config'?"),
        ({"update_config": 3}, "web:update_config: found 3; right would be a mapping of options"),
        ({"image": None}, "web:image: found None; right would be the name of an image"),
        ({"replicas": None}, "a whole number, at least 0; or no such key"),
        ({"replicas": True}, "a whole number, at least 0"),
        ({"ports": ["127.0.0.1:80:80"]}, "'127.0.0.1:80:80', an address: swarm mode publishes"),
        ({"ports": ["[::1]:80:80"]}, "an address"),
        ({"ports": ["eth0:80:80"]}, "an address"),
        ({"ports": [{"target": 80, "host_ip": "127.0.0.1"}]}, "an address"),
        ({"ports": ["80:80", "80:81"]}, "found port 80 published twice"),
        ({"ports": ["70000:80"]}, "no port from 1 to 65535"),
        ({"ports": [{"published": 80}]}, "without 'target'"),
        ({"ports": [{"target": 80, "modus": "host"}]}, "Did you mean 'mode'?"),
        ({"ports": "80:80"}, "a list such as"),
        ({"ports": [1342]}, "write ports in quotes, for YAML takes 22:22 for 1342"),
        ({"ports": ["80"], "endpoint_mode": "dnsrr"}, "`mode: host` for each port"),
        ({"mode": "globl"}, "found another word. Did you mean 'global'?"),
        ({"mode": "global", "replicas": 2}, "web:replicas: found 2; right would be no such key"),
        ({"mode": "global-job", "completions": 2}, "no such key: a global-job service has none"),
        ({"mode": "replicated", "rerun": 2}, "web:rerun: found '2'; right would be no such key"),
        ({"mode": "global-job", "update_config": {"delay": 1}}, "web:update_config:delay: found"),
        ({"constraints": ["node.rol==manager"]}, "Did you mean 'node.role'?"),
        ({"constraints": ["node.role=manager"]}, "has no == or !="),
        ({"limits": {"memory": "1M"}}, "less than 4m, the least that Docker takes"),
        ({"reservations": {"generic": {"gpu": 0}}}, "kinds to numbers of at least 1"),
        ({"reservations": {"generic": ["gpu"]}}, "a mapping such as {gpu: 2}"),
        ({"memory_swap": -2}, "a size, such as 512m or 1g, or -1"),
        ({"memory_swappiness": 101}, "a whole number from 0 to 100"),
        ({"limits": {"cpus": "many"}}, "a number of CPUs"),
        ({"healthcheck": {"interval": "1x"}}, "a duration, such as 1m30s"),
        ({"healthcheck": {"test": ["curl", "x"]}}, "another first word than NONE, CMD or"),
        ({"mounts": ["data:data"]}, "no absolute path"),
        ({"mounts": ["a:/x", "b:/x"]}, "found /x mounted twice"),
        ({"mounts": [{"type": "tmpfs", "target": "/x", "no_copy": True}]}, "'no_copy' for a"),
        ({"mounts": [{"type": "bind", "source": "x", "target": "/x"}]}, "with the source 'x'"),
        ({"mounts": [{"type": "cluster", "target": "/x"}]}, "of type cluster with the source ''"),
        ({"mounts": [{"type": "cluster", "source": "/x", "target": "/x"}]}, "of type cluster with"),
        ({"mounts": [{"source": "a", "target": "/x", "subpath": "../b"}]}, "no path below the"),
        ({"mounts": [{"source": "a", "target": "/x", "subpath": "/b"}]}, "no path below the"),
        ({"mounts": [{"source": "a", "target": "/x", "subpath": "b/.."}]}, "no path below the"),
        ({"mounts": [{"source": "/a", "target": "/x", "subpath": "b"}]}, "'subpath' for a mount"),
        ({"mounts": [{"source": "/a", "target": "/x", "recursive": "writable"}]}, "do not keep"),
        ({"mounts": [{"source": "/a", "target": "/x", "recursive": "readonly"}]}, "do not keep"),
        ({"mounts": [{"source": "/a", "target": "/x", "recursive": "disable"}]}, "'disabled'?"),
        ({"oom_score_adj": 1001}, "a whole number from -1000 to 1000"),
        ({"oom_score_adj": "5"}, "a whole number from -1000 to 1000"),
        ({"isolation": "hyper-v"}, "found another word. Did you mean 'hyperv'?"),
        ({"credential_spec": "config://a"}, "file://NAME or registry://NAME"),
        ({"env_files": ["web.env"]}, "a list of salt://PATH, sdb://PROFILE/KEY or absolute"),
        ({"env_files": "/etc/web.env"}, "a list of salt://PATH"),
        ({"secrets": [{"name": "a", "mode": 400}]}, "found the mode 400: write it in quotes"),
        ({"secrets": ["a", {"name": "b", "target": "a"}]}, "found the target 'a' twice"),
        ({"env": ["A"]}, "found an item without '='"),
        ({"user": ""}, "null takes a value away"),
        ({"user": 2013}, 'a user in quotes, such as "1000:1000"'),
        ({"dns": ["ns.example.com"]}, "a list of IP addresses"),
        ({"init": "true"}, "true or false, without quotes"),
        ([], "service web: found []; right would be a mapping of options"),
    ],
    ids=str,
)  # fmt: skip
def test_wrong_option_is_refused_by_its_place_with_the_cure(options, text):
    assert text in refused(options)


def test_all_faults_are_told_at_once_and_no_value_that_may_be_secret():
    told = refused({"imag": 1, "replicas": -1, "env": {"A=": "geheim"}, "args": {"x": "geheim"}})
    for place in ("web:imag", "web:replicas", "web:env", "web:args"):
        assert place in told
    assert "geheim" not in told


@pytest.mark.parametrize(
    ("changes", "moves"),
    [
        (["labels", "update_config.delay"], False),
        (["labels", "env"], True),
        (["ports"], True),
        (["replicas"], True),
        (["state", "image"], True),
    ],
    ids=str,
)
def test_which_changes_start_and_stop_tasks(changes, moves):
    assert service_spec.moves_tasks(changes) is moves


def test_monitor_of_a_service_and_dockers_own():
    assert service_spec.monitor(created({"image": "a"})) == 5
    assert (
        service_spec.monitor(created({"image": "a", "update_config": {"monitor": "500ms"}})) == 0.5
    )
