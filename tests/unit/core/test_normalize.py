import pytest

from swarm_formula.core import normalize

MIB = 1 << 20
GOOD = [
    (normalize.text, None, ""),
    (normalize.text, True, "true"),
    (normalize.text, 5, "5"),
    (normalize.words, "sh -c 'echo a b'", ["sh", "-c", "echo a b"]),
    (normalize.words, ["sleep", 1], ["sleep", "1"]),
    (normalize.words, None, []),
    (normalize.names, ["CAP_NET_ADMIN", "net_admin", "all"], ["ALL", "NET_ADMIN"]),
    (normalize.table, {"A": 1, 2: False, "C": None}, {"A": "1", "2": "false", "C": ""}),
    (normalize.number, "10", 10),
    (normalize.number, None, 0),
    (normalize.cpus, "0.5", 0.5),
    (normalize.cpus, 1e-9, 1e-9),
    (normalize.size, 67108864, 64 * MIB),
    (normalize.size, "67108864", 64 * MIB),
    (normalize.size, "64m", 64 * MIB),
    (normalize.size, "64MB", 64 * MIB),
    (normalize.size, "64 MiB", 64 * MIB),
    (normalize.size, "0.5g", 512 * MIB),
    (normalize.size, "100b", 100),
    (normalize.size, None, 0),
    (normalize.signal, "term", "SIGTERM"),
    (normalize.signal, "SIGRTMIN+3", "SIGRTMIN+3"),
    (normalize.signal, 15, "15"),
    (normalize.signal, None, "SIGTERM"),
    (normalize.network_mode, "default", "bridge"),
    (normalize.network_mode, None, "bridge"),
    (normalize.network_mode, "host", "host"),
    (normalize.userns_mode, None, ""),
    (normalize.userns_mode, "host", "host"),
    (normalize.restart_policy, None, "no"),
    (normalize.restart_policy, False, "no"),
    (normalize.restart_policy, "on-failure:0", "on-failure"),
    (normalize.restart_policy, "on-failure:3", "on-failure:3"),
    (normalize.restart_policy, "always:0", "always"),
    (normalize.mounts, ["b:/b", "/a/:/a/:rw", "b:/b"], ["/a:/a", "b:/b"]),
    (normalize.mounts, ["/a:/a:z,ro"], ["/a:/a:ro,z"]),
    (normalize.ports, ["80"], [":80/tcp"]),
    (normalize.ports, [80], [":80/tcp"]),
    (normalize.ports, ["8080:80/TCP", "53:53/udp"], ["53:53/udp", "8080:80/tcp"]),
    (normalize.ports, ["0:80"], [":80/tcp"]),
    (normalize.ports, ["127.0.0.1:8080:80"], ["127.0.0.1:8080:80/tcp"]),
    (normalize.ports, ["127.0.0.1::80"], ["127.0.0.1::80/tcp"]),
    (normalize.ports, ["[::1]:8080:80"], ["[::1]:8080:80/tcp"]),
    (normalize.ulimits, {"nofile": 10, "core": "0:-1"}, {"nofile": "10:10", "core": "0:-1"}),
]
BAD = [
    (normalize.text, ["a"]),
    (normalize.words, "no 'end"),
    (normalize.names, "NET_ADMIN"),
    (normalize.table, ["A=1"]),
    (normalize.table, {"A": [1]}),
    (normalize.number, -1),
    (normalize.number, True),
    (normalize.number, "many"),
    (normalize.cpus, -0.5),
    (normalize.cpus, "inf"),
    (normalize.cpus, "nan"),
    (normalize.size, "64 apples"),
    (normalize.size, -1),
    (normalize.userns_mode, "private"),
    (normalize.userns_mode, ["host"]),
    (normalize.restart_policy, "sometimes"),
    (normalize.restart_policy, "always:3"),
    (normalize.mounts, "/a:/a"),
    (normalize.mounts, ["/a"]),
    (normalize.mounts, ["/a:relative"]),
    (normalize.mounts, [":/a"]),
    (normalize.ports, "80:80"),
    (normalize.ports, ["80:70000"]),
    (normalize.ports, ["http"]),
    (normalize.ports, ["::1:80:80"]),
    (normalize.ulimits, {"nofile": "many"}),
]


@pytest.mark.parametrize(("normal", "value", "expected"), GOOD)
def test_one_form(normal, value, expected):
    assert normal(value) == expected
    assert normal(normal(value)) == expected


@pytest.mark.parametrize(("normal", "value"), BAD)
def test_what_cannot_be_right_is_refused(normal, value):
    with pytest.raises((ValueError, TypeError, AttributeError)):
        normal(value)


@pytest.mark.parametrize(
    "ports",
    [
        ["8080:80/tcp", "8081:80/tcp", "53:53/udp"],
        [":80/tcp"],
        ["127.0.0.1:1:2/tcp", "[::1]:1:2/tcp", "[::1]::3/tcp"],
    ],
)
def test_ports_survive_the_way_through_docker(ports):
    assert normalize.ports(normalize.published(normalize.port_bindings(ports))) == sorted(ports)


def test_a_port_that_is_only_exposed_has_no_bindings():
    assert normalize.published({"80/tcp": None}) == [":80/tcp"]
    assert normalize.published(None) == []
