import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_formula.core import errors
from swarm_formula.spec import container_options

pytestmark = pytest.mark.once

SPEC = {
    "image": "swarm:1.2.9",
    "command": ["manage", "consul://m1:8500"],
    "entrypoint": ["/swarm"],
    "environment": {"A": "1"},
    "labels": {"tier": "web"},
    "hostname": "web",
    "user": "1:1",
    "stop_signal": "SIGINT",
    "stop_timeout": 5,
    "ports": ["127.0.0.1:8080:80/tcp", "53:53/udp"],
    "mounts": ["/etc:/etc:ro", "data:/data"],
    "network_mode": "host",
    "userns_mode": "host",
    "restart_policy": "on-failure:3",
    "cap_add": ["NET_ADMIN"],
    "cap_drop": ["ALL"],
    "privileged": True,
    "devices": ["/dev/a:/dev/b:r"],
    "memory": 1 << 26,
    "cpus": 0.25,
    "log_driver": "json-file",
    "log_options": {"max-size": "1m"},
    "ulimits": {"nofile": "1:2"},
}
# What Docker tells about a container that was created without any settings.
BARE = {
    "Image": "sha256:1",
    "Config": {"Cmd": None, "Env": None, "Labels": None, "Entrypoint": None, "Hostname": "c0ffee"},
    "HostConfig": {
        "Binds": None,
        "PortBindings": None,
        "NetworkMode": "default",
        "RestartPolicy": {"Name": "", "MaximumRetryCount": 0},
        "LogConfig": {"Type": "json-file", "Config": {"max-file": "3"}},
    },
}
DEFAULTS = {
    "command": [],
    "environment": {},
    "labels": {},
    "stop_signal": "SIGTERM",
    "stop_timeout": 10,
    "ports": [],
    "mounts": [],
    "network_mode": "bridge",
    "userns_mode": "",
    "restart_policy": "no",
    "privileged": False,
    "devices": [],
    "memory": 0,
    "cpus": 0,
    "log_options": {},
}


def inspected(body):
    """Return what Docker tells about a container that was created by ``body``."""
    return {"Image": "sha256:1", "Config": body, "HostConfig": body["HostConfig"]}


def wanted(**settings):
    return container_options.wanted("web", {"image": "x", **settings})


def diff(container, **settings):
    settings = {key: value for key, value in wanted(**settings).items() if key != "image"}
    return container_options.diff(container_options.current(container), settings)


def test_what_is_created_is_what_is_wanted():
    container = inspected(container_options.body(container_options.wanted("web", SPEC)))
    assert container_options.current(container) == {**SPEC, "image": "sha256:1"}


def test_every_setting_is_in_the_table_of_cases():
    assert set(SPEC) == {"image", *container_options.FIELDS}


@pytest.mark.parametrize("key", DEFAULTS)
def test_the_defaults_of_docker_are_no_difference(key):
    assert diff(BARE, **{key: DEFAULTS[key]}) == {}


@pytest.mark.parametrize("key", [key for key in SPEC if key not in {"image", "log_driver"}])
def test_every_setting_is_compared(key):
    assert set(diff(BARE, **{key: SPEC[key]})) == {key}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/dev/a", "/dev/a:/dev/a:rwm"),
        ("/dev/a:mr", "/dev/a:/dev/a:rm"),
        ("/dev/a:/b", "/dev/a:/b:rwm"),
    ],
)
def test_devices_are_the_same_in_other_words(one, other):
    assert wanted(devices=[one]) == wanted(devices=[other])
    with pytest.raises(errors.SettingsError, match="found '/dev/a:x'"):
        wanted(devices=["/dev/a:x"])


def test_what_is_not_given_is_not_compared():
    assert diff(inspected(container_options.body(container_options.wanted("web", SPEC)))) == {}


def test_of_a_dictionary_only_the_entries_that_differ_are_shown():
    container = inspected(container_options.body(wanted(environment={"A": 1, "B": 2, "C": 3})))
    assert diff(container, environment={"A": 1, "B": 3, "D": 4}) == {
        "environment": {"old": {"B": "2", "C": "3"}, "new": {"B": "3", "D": "4"}}
    }


def test_log_options_of_the_daemon_are_not_compared():
    assert diff(BARE, log_options={"max-file": 3}) == {}
    assert set(diff(BARE, log_options={"max-file": 4})) == {"log_options"}


def test_mounts_in_the_long_form():
    mounts = [
        {"Type": "bind", "Source": "/etc", "Target": "/etc", "ReadOnly": True},
        {"Type": "volume", "Source": "data", "Target": "/data"},
        {"Type": "tmpfs", "Target": "/tmp"},  # noqa: S108
    ]
    container = {**BARE, "HostConfig": {**BARE["HostConfig"], "Mounts": mounts}}
    assert diff(container, mounts=["data:/data", "/etc:/etc:ro"]) == {}


IMAGE = {
    "Config": {"Env": ["PATH=/bin", "MODE=a"], "Labels": {"from": "image"}, "Cmd": ["httpd"]},
}


@pytest.mark.parametrize(
    ("settings", "beyond"),
    [
        ({"environment": {"PATH": "/bin", "X": "1"}}, {"environment": {"X": "1"}}),
        ({"environment": {"PATH": "/sbin"}}, {"environment": {"PATH": "/sbin"}}),
        ({"labels": {"from": "image"}}, {"labels": {}}),
        ({"labels": {"from": "me"}}, {"labels": {"from": "me"}}),
        ({"command": []}, {"command": ["httpd"]}),
        ({"command": [], "entrypoint": ["sh"]}, {"command": [], "entrypoint": ["sh"]}),
        ({"command": ["ls"]}, {"command": ["ls"]}),
        ({}, {}),
    ],
)
def test_what_the_image_brings_is_not_compared(settings, beyond):
    assert container_options.beyond_image(settings, IMAGE) == beyond


def test_an_image_that_is_gone_brings_nothing():
    assert container_options.beyond_image({"environment": {"A": "1"}}, None) == {
        "environment": {"A": "1"}
    }


@pytest.mark.parametrize(
    ("settings", "in_place"),
    [
        ({"memory": "128m"}, True),
        ({"memory": "128m", "cpus": 1, "restart_policy": "always"}, True),
        ({"memory": "128m", "hostname": "x"}, False),
        ({"memory": 0}, False),
        ({"cpus": 0}, False),
        ({}, False),
    ],
)
def test_in_place(settings, in_place):
    container = inspected(container_options.body(wanted(memory="64m", cpus=0.5)))
    assert container_options.in_place(diff(container, **settings)) is in_place


def test_update_body():
    settings = wanted(memory="64m", cpus=0.5, restart_policy="on-failure:2")
    del settings["image"]
    assert container_options.update_body(settings) == {
        "Memory": 64 << 20,
        "MemorySwap": 128 << 20,
        "NanoCpus": 500_000_000,
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2},
    }


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({}, "needs an 'image'"),
        ({"image": ["a"]}, "needs an 'image'"),
        ({"image": "x", "comand": ["a"]}, "comand.*Did you mean 'command'"),
        ({"image": "x", "qqq": 1}, "qqq.* a known one: cap_add, "),
        ({"image": "x", "ports": ["http"]}, "'ports' must be a list such as .*, found 'http'"),
        ({"image": "x", "mounts": ["/a"]}, "'mounts' must be a list such as .*, found '/a'"),
        ({"image": "x", "memory": "much"}, "'memory' must be a size"),
        ({"image": "x", "labels": ["a"]}, "'labels' must be a dictionary .*, found a list"),
    ],
)
def test_wrong_settings(spec, words):
    with pytest.raises(errors.SettingsError, match=f"^container web:.*{words}"):
        container_options.wanted("web", spec)


def test_a_wrong_environment_is_not_quoted():
    with pytest.raises(errors.SettingsError) as error:
        wanted(environment=["TOKEN=hush"])
    assert "hush" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "hidden"),
    [
        ({"environment": {"old": {"API_TOKEN": "hush"}, "new": None}}, True),
        ({"environment": {"old": None, "new": {"db_password": "hush"}}}, True),
        ({"environment": {"old": None, "new": {"GOSSIP_KEY": "hush"}}}, True),
        ({"environment": {"old": None, "new": {"PLAIN": "hush"}}}, False),
        ({"command": {"old": None, "new": ["-encrypt=hush"]}}, True),
        ({"command": {"old": None, "new": ["--token", "hush"]}}, True),
        ({"command": {"old": None, "new": ["--tlskey", "hush"]}}, False),
        ({"log_options": {"old": None, "new": {"splunk-token": "hush"}}}, True),
    ],
)
def test_secrets_are_shown_as_a_hash(changes, hidden):
    shown = json.dumps(container_options.shown(changes))
    assert ("hush" not in shown) is hidden
    assert ("sha256:" in shown) is hidden


def test_two_secrets_are_shown_as_two_hashes():
    shown = container_options.shown({"environment": {"old": {"KEY": "a"}, "new": {"KEY": "b"}}})
    assert shown["environment"]["old"] != shown["environment"]["new"]


# What comes close to being right finds more than what is far from it.
NEAR = [
    -1,
    10**400,
    1e400,
    float("nan"),
    "9" * 400 + "m",
    "1m",
    "80:80",
    "a:/a",
    "a=1",
    "1:2",
    "no",
]
ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(NEAR),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)


@pytest.mark.parametrize(
    "settings",
    [
        # Docker splits at the first =, and would show another name than was asked for.
        {"environment": {"=": ""}},
        {"environment": {"A=B": "c"}},
        {"environment": {"": "c"}},
        # No float of this size comes back from billionths as it was.
        {"cpus": 2.035745599258851e20},
        {"cpus": 1_000_001},
    ],
    ids=str,
)
def test_found_by_search_what_docker_would_never_show_as_it_was_wanted(settings):
    with pytest.raises(errors.SettingsError):
        wanted(**settings)


@pytest.mark.parametrize("key", container_options.FIELDS)
@given(value=ODD)
def test_odd_values_are_refused_or_survive_the_way_through_docker(key, value):
    try:
        settings = wanted(**{key: value})
    except errors.SettingsError:
        return
    body = json.loads(json.dumps(container_options.body(settings)))
    assert diff(inspected(body), **settings) == {}
