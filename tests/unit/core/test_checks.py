import pytest

from swarm_formula.core import checks


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("60s", 60),
        ("1m30s", 90),
        ("1h", 3600),
        ("1.5h", 5400),
        ("250ms", 0.25),
        ("10us", 1e-5),
        ("10µs", 1e-5),
        ("1h1m1s1ms", 3661.001),
        (90, 90),
        (0.5, 0.5),
    ],
    ids=str,
)
def test_seconds(value, seconds):
    assert checks.seconds(value) == pytest.approx(seconds)


DURATION = checks.duration(20)
PORTS = checks.integer(1, 65535)

# What is wrong is in the table of wrong pillars; here is what only one check is about.
GOOD = [
    (DURATION, ["20s", "1m", 20, 20.5, "48h", 172800]),
    (PORTS, [1, 65535]),
    (checks.number(0), [0, 0.5, 7]),
    (checks.host, ["m1", "web-1.example.com", "web_1", "example.com."]),
    (checks.ip, ["10.0.0.1", "fd00::1", "203.0.113.9"]),
    (checks.network, ["10.0.0.0/8", "fd00::/64", "10.0.0.1/32", "0.0.0.0/0"]),
    (checks.address, ["10.0.0.1", {"interface": "eth0.5"}, {"cidr": "10.0.0.0/8"}]),
    (checks.label_key, ["zone", "com.example.zone", "a/b"]),
    (checks.label_value, ["a", "", 0, False, 1.5, "with blank", "a=b"]),
    (checks.image, ["swarm", "swarm:1.2.9", "reg.example.com:5000/a/b@sha256:00ff"]),
    (checks.image_source, ["salt://a.tar", "https://x/a.tar", "/srv/a.tar"]),
    (checks.sha256, ["0" * 64, "ABCDEFabcdef0123" * 4]),
    (checks.name, ["a", "A1_.-"]),
    (checks.store, ["consul://h:1", "etcd://a:1,b:2/x", "zk://[fd00::1]:2181/x/y"]),
    (checks.hosts, [[], ["m1"], {}, {"m1": None, "m2": "10.0.0.1"}]),
    (checks.list_of(checks.text), [[], ["a", "b"]]),
    (checks.options, [{}, {"a": {"b": [1, None]}}]),
    (checks.optional(checks.port), [None, 1]),
    (checks.either(checks.port, checks.text), [1, "a"]),
]
BAD = [
    (DURATION, ["19s", "", "s", "20", "20 s", "-20s", "1d", 19.9, True, None, "49h", 10**400]),
    (DURATION, [float("nan"), float("inf"), "\u0666\u0660s", "1e3s", [], {}]),
    (PORTS, [0, 65536, "80", 80.0, True, None]),
    (checks.number(0), [-1, "0", True, None, float("nan")]),
    (checks.host, ["", "a b", "-a", "a..b", "a/b", "x" * 254, 1, None, "m1\n"]),
    (checks.ip, ["", "10.0.0", "10.0.0.256", "0.0.0.0", "224.0.0.1", "::", 167772161, None]),
    (checks.network, ["10.0.0.0", "10.0.0.1/8", "10.0.0.0/255.0.0.0", "10.0.0.0/33", 10, None, []]),
    (checks.address, [{}, {"interface": "a/b"}, {"interface": 0}, {"cidr": 1}, {"if": "eth0"}]),
    (checks.label_key, ["", "node", "a b", "a=b", "a,b", "a\tb", 1, None]),
    (checks.label_value, [None, [], {}, "a,b", "a\nb", "a\rb"]),
    (checks.image, ["", "-a", "Upper", "a b", None, 1]),
    (checks.image_source, ["a.tar", "ftp://x/a", "", None]),
    (checks.sha256, ["", "0" * 63, "0" * 65, "g" * 64, "0" * 64 + "\n", 10**63, None]),
    (checks.name, ["", "-a", "a b", "a/b", 1, None, "a\n"]),
    (
        checks.store,
        ["", "consul://", "etcd://a", "etcd://a:0", "etcd://a:b", "etcd://a:1,", 1, None],
    ),
    (checks.hosts, ["m1", None, [None], ["m1", "m1"], {"m1": "m2"}, {1: None}]),
    (checks.list_of(checks.text), ["a", {"a": 1}, [""], ["a", "a"], None]),
    (checks.options, [[], {1: 2}, {"": 1}, None]),
    (checks.optional(checks.port), [0, "1"]),
    (checks.either(checks.port, checks.text), [0, "", None]),
]


def cases(table):
    return [pytest.param(check, one, id=f"{n}-{one!r:.40}") for n, (check, values) in
            enumerate(table) for one in values]  # fmt: skip


@pytest.mark.parametrize(("check", "value"), cases(GOOD))
def test_right_value(check, value):
    assert check(value) is None


@pytest.mark.parametrize(("check", "value"), cases(BAD))
def test_wrong_value_is_told_what_would_be_right(check, value):
    assert isinstance(check(value), str)


def test_reason_of_a_limit_is_told():
    assert checks.duration(20, "because")("1s") == (
        "a duration such as 60s, from 20s to 48h (because)"
    )
