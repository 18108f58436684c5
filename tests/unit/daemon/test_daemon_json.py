import pytest

from swarm_formula.core import errors
from swarm_formula.daemon import daemon_json, daemon_merge
from tests.unit.pillars import BUILTIN, FILES, VALID, settings_of


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("20.10.5", (20, 10, 5)),
        ("20.10.24+dfsg1", (20, 10, 24)),
        ("20.10.5+dfsg1-1+deb11u3", (20, 10, 5)),
        ("5:28.5.2-1~debian.12~bookworm", (28, 5, 2)),
        ("v29.0.0-rc.1", (29, 0, 0)),
        ("23.0", (23, 0)),
        ("26.1.5+dfsg1-9+b4", (26, 1, 5)),
        ("dev", ()),
        ("", ()),
    ],
)
def test_version(text, numbers):
    assert daemon_json.version(text) == numbers


@pytest.mark.parametrize(
    ("pillar", "accepted"),
    [
        ({}, FILES.clients),
        ({"mode": "classic", "nodes": {}}, FILES.ca),
        ({"tls": {"ca_cert": "/ca", "cert": "/cert", "key": "/key"}}, FILES.ca),
    ],
    ids=["builtin", "classic", "own files"],
)
def test_whose_clients_an_engine_accepts(pillar, accepted):
    settings = settings_of({**BUILTIN, "engine": {"port": 2376}, **pillar})
    found = daemon_json.options(settings, "26.1.5", FILES)
    assert found["tlscacert"] == accepted
    assert (found["tlscert"], found["tlskey"]) == (FILES.cert, FILES.key)


@pytest.mark.parametrize(
    ("pillar", "version", "options"),
    [
        ({}, "20.10.5", {"live-restore": True, "tls": False}),
        ({}, "", {"live-restore": True, "tls": False}),
        ({}, "28.5.2", {"live-restore": True, "tls": False}),
        ({}, "29.1.0", {"live-restore": True, "tls": False, "min-api-version": "1.24"}),
        (
            {"engine": {"options": {"min-api-version": "1.30"}}},
            "29.1.0",
            {"live-restore": True, "tls": False, "min-api-version": "1.30"},
        ),
        (
            {"engine": {"options": {"live-restore": False, "debug": True}}},
            "20.10.5",
            {"live-restore": False, "tls": False, "debug": True},
        ),
        (
            {"engine": {"options": {"tlsverify": True}}},
            "20.10.5",
            {"live-restore": True, "tlsverify": True},
        ),
        (
            {"labels": {"zone": "a", "ssd": True}},
            "20.10.5",
            {"live-restore": True, "tls": False, "labels": ["ssd=true", "zone=a"]},
        ),
    ],
    ids=str,
)
def test_options_of_an_engine(pillar, version, options):
    assert daemon_json.options(settings_of({**VALID, **pillar}), version, FILES) == options


@pytest.mark.parametrize(
    ("pillar", "options"),
    [
        ({"overlay": False}, {}),
        (
            {"overlay": True},
            {"cluster-store": "consul://127.0.0.1:8500", "cluster-advertise": "10.77.0.11:2275"},
        ),
        (
            {"overlay": True, "consul": {"http_port": 8600}, "store": "etcd://e:2379"},
            {"cluster-store": "etcd://e:2379", "cluster-advertise": "10.77.0.11:2275"},
        ),
    ],
    ids=str,
)
def test_options_of_overlay_networks(pillar, options):
    settings = settings_of({**VALID, **pillar})
    assert daemon_json.overlay_options(settings, "10.77.0.11:2275", FILES) == options


@pytest.mark.parametrize(
    ("labels", "listed"),
    [
        ({}, []),
        ({"zone": "a"}, ["zone=a"]),
        ({"z": 1, "a": True, "b": False, "c": 1.5}, ["a=true", "b=false", "c=1.5", "z=1"]),
    ],
    ids=str,
)
def test_label_list(labels, listed):
    assert daemon_json.label_list(labels) == listed


@pytest.mark.parametrize(
    ("wanted", "version", "words"),
    [
        ({}, "20.10.5", None),
        ({"cluster-store": "x"}, "20.10.5", None),
        ({"cluster-store": "x"}, "22.06.0", None),
        ({"cluster-store": "x"}, "", None),
        ({"cluster-store": "x"}, "23.0.0", "cluster-store is gone since Docker 23.0, and 23.0.0"),
        (
            {"cluster-store-opts": {}},
            "5:28.5.2-1~debian.12",
            "leave it out, or use an engine below",
        ),
        ({"cluster-store": "x"}, "26.1.5+dfsg1", "set swarm:overlay to false"),
        ({"min-api-version": "1.24"}, "29.0.0", None),
        ({"min-api-version": "1.24"}, "28.5.2", "leave out swarm:engine:options:min-api-version"),
        ({"proxies": {}}, "20.10.24", "proxies is new in Docker 23.0, and 20.10.24 is here"),
        ({"unheard-of": 1}, "20.10.24", None),
    ],
    ids=str,
)
def test_what_a_version_cannot_take_is_refused_with_its_cure(wanted, version, words):
    found = daemon_json.refusals(wanted, version)
    assert len(found) == (1 if words else 0)
    assert not words or words in found[0]


def test_every_refusal_is_told():
    wanted = {"cluster-store": "x", "cluster-advertise": "y", "firewall-backend": "nftables"}
    assert len(daemon_json.refusals(wanted, "28.0.0")) == 3


OURS = {"labels": {"ours": ["zone=a"], "before": ["rack=1"]}}


@pytest.mark.parametrize(
    ("current", "wanted", "record", "result"),
    [
        ({}, {"debug": True}, {}, {"debug": True}),
        ({"mtu": 1400}, {"debug": True}, {}, {"mtu": 1400, "debug": True}),
        # an admin's value, ours, and back again
        ({"debug": False}, {"debug": True}, {}, {"debug": True}),
        ({"debug": True}, {}, {"debug": {"ours": True, "before": False}}, {"debug": False}),
        ({"debug": True}, {}, {"debug": {"ours": True, "before": None}}, {}),
        # an admin changed it meanwhile: it is theirs
        ({"mtu": 9000}, {}, {"mtu": {"ours": 1400, "before": None}}, {"mtu": 9000}),
        ({}, {}, {"mtu": {"ours": 1400, "before": None}}, {}),
        # labels are merged one by one
        ({"labels": ["rack=1"]}, {"labels": ["zone=a"]}, {}, {"labels": ["rack=1", "zone=a"]}),
        ({"labels": ["zone=b"]}, {"labels": ["zone=a"]}, {}, {"labels": ["zone=a"]}),
        (
            {"labels": ["rack=1", "zone=a"]},
            {"labels": ["z=1"]},
            OURS,
            {"labels": ["rack=1", "z=1"]},
        ),
        ({"labels": ["rack=1", "zone=a"]}, {}, OURS, {"labels": ["rack=1"]}),
        # an admin added one, and removed another
        ({"labels": ["zone=a", "new=1"]}, {}, OURS, {"labels": ["new=1"]}),
        ({"labels": ["zone=a"]}, {}, {"labels": {"ours": ["zone=a"], "before": None}}, {}),
        ({"labels": []}, {}, {}, {"labels": []}),
        ({"labels": None}, {"labels": ["zone=a"]}, {}, {"labels": ["zone=a"]}),
        # nothing to do leaves even the order alone
        (
            {"labels": ["zone=a", "rack=1"]},
            {"labels": ["zone=a"]},
            OURS,
            {"labels": ["zone=a", "rack=1"]},
        ),
        # the overlay's keys have their own step
        (
            {"cluster-store": "x", "debug": True},
            {"debug": True},
            {"cluster-store": {"ours": "x", "before": None}},
            {"cluster-store": "x", "debug": True},
        ),
    ],
    ids=str,
)
def test_merge(current, wanted, record, result):
    assert daemon_merge.merge(current, wanted, record)[0] == result


def test_merge_leaves_its_arguments_alone():
    current, wanted, record = {"labels": ["a=1"]}, {"labels": ["b=2"], "debug": True}, {}
    daemon_merge.merge(current, wanted, record)
    assert (current, record) == ({"labels": ["a=1"]}, {})
    assert wanted == {"labels": ["b=2"], "debug": True}


def test_record_keeps_the_first_value_of_an_admin():
    _, record = daemon_merge.merge({"mtu": 1500}, {"mtu": 1400}, {})
    _, record = daemon_merge.merge({"mtu": 1400}, {"mtu": 1300}, record)
    assert record == {"mtu": {"ours": 1300, "before": 1500}}


def test_labels_that_are_no_list_are_refused():
    with pytest.raises(errors.SwarmError, match=r"labels in daemon.json are no list, but 'x'"):
        daemon_merge.merge({"labels": "x"}, {"labels": ["a=1"]}, {})


@pytest.mark.parametrize(
    ("old", "new", "restart"),
    [
        ({}, {"labels": ["zone=a"]}, False),
        ({"labels": ["zone=a"]}, {}, False),
        ({}, {"debug": True, "live-restore": True, "insecure-registries": []}, False),
        ({}, {"cluster-store": "x", "cluster-advertise": "y"}, False),
        # it says that it has the new store, and goes on to keep its networks in the old one
        ({"cluster-store": "x"}, {"cluster-store": "z"}, True),
        # an engine keeps the store it has if the key is only taken away
        ({"cluster-store": "x", "cluster-advertise": "y"}, {}, True),
        ({}, {"tls": False}, True),
        ({}, {"mtu": 1400}, True),
        ({}, {"labels": ["zone=a"], "log-driver": "journald"}, True),
        ({"mtu": 1400}, {}, True),
        ({}, {}, False),
    ],
    ids=str,
)
def test_restart_only_where_a_reload_is_not_enough(old, new, restart):
    assert daemon_json.needs_restart(daemon_merge.diff(old, new)) is restart


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ({"labels": ["zone=a"], "mtu": 1400}, {}, {"labels": []}),
        ({"debug": True}, {}, {"debug": False}),
        ({"debug": True}, {"debug": False}, {}),
        # an empty list would take Docker's own entries away, since 29.10
        (
            {"insecure-registries": ["r.example.com:5000"]},
            {},
            {"insecure-registries": ["127.0.0.0/8", "::1/128"]},
        ),
        ({"labels": ["zone=a"]}, {"labels": ["zone=b"]}, {}),
        ({}, {"labels": ["zone=a"]}, {}),
        # these an engine forgets by itself
        ({"max-concurrent-downloads": 5, "features": {"buildkit": True}}, {}, {}),
    ],
    ids=str,
)
def test_key_that_goes_is_told_as_its_default_where_an_engine_would_keep_it(old, new, told):
    assert daemon_json.resets(daemon_merge.diff(old, new)) == told


def test_diff_shows_both_sides():
    assert daemon_merge.diff({"a": 1, "b": 2, "c": 3}, {"b": 2, "c": 4, "d": 5}) == {
        "a": {"old": 1, "new": None},
        "c": {"old": 3, "new": 4},
        "d": {"old": None, "new": 5},
    }


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({"docker.io": {"old": "26.1.5", "new": "20.10.24+dfsg1"}}, 1),
        ({"docker.io": {"old": "20.10.24", "new": "26.1.5"}}, 0),
        ({"docker.io": {"old": None, "new": "26.1.5"}}, 0),
        ({"docker.io": {"old": "26.1.5", "new": None}}, 0),
        ({"hold": {"old": True, "new": False}}, 0),
        # The engine speaks for its packages.
        (
            {
                "docker-ce": {"old": "5:28.5.2-1~debian.12", "new": "5:28.5.1-1~debian.12"},
                "docker-ce-cli": {"old": "5:28.5.2-1~debian.12", "new": "5:28.5.1-1~debian.12"},
            },
            1,
        ),
        # One engine has taken the place of another.
        (
            {
                "docker-ce": {"old": "5:28.5.2-1~debian.12", "new": None},
                "docker.io": {"old": None, "new": "26.1.5"},
            },
            1,
        ),
        (
            {
                "docker.io": {"old": "26.1.5", "new": None},
                "docker-ce": {"old": None, "new": "5:28.5.2-1~debian.12"},
            },
            0,
        ),
    ],
    ids=str,
)
def test_older_version_is_warned_of(changes, count):
    assert len(daemon_json.downgrades(changes)) == count
