import pytest
import swarm_values as values

MIB = 1 << 20
GOOD = [
    (values.text, None, ""),
    (values.text, True, "true"),
    (values.text, 5, "5"),
    (values.words, "sh -c 'echo a b'", ["sh", "-c", "echo a b"]),
    (values.words, ["sleep", 1], ["sleep", "1"]),
    (values.words, None, []),
    (values.names, ["CAP_NET_ADMIN", "net_admin", "all"], ["ALL", "NET_ADMIN"]),
    (values.table, {"A": 1, 2: False, "C": None}, {"A": "1", "2": "false", "C": ""}),
    (values.number, "10", 10),
    (values.number, None, 0),
    (values.cpus, "0.5", 0.5),
    (values.cpus, 1e-9, 1e-9),
    (values.size, 67108864, 64 * MIB),
    (values.size, "67108864", 64 * MIB),
    (values.size, "64m", 64 * MIB),
    (values.size, "64MB", 64 * MIB),
    (values.size, "64 MiB", 64 * MIB),
    (values.size, "0.5g", 512 * MIB),
    (values.size, "100b", 100),
    (values.size, None, 0),
    (values.signal, "term", "SIGTERM"),
    (values.signal, "SIGRTMIN+3", "SIGRTMIN+3"),
    (values.signal, 15, "15"),
    (values.signal, None, "SIGTERM"),
    (values.network_mode, "default", "bridge"),
    (values.network_mode, None, "bridge"),
    (values.network_mode, "host", "host"),
    (values.userns_mode, None, ""),
    (values.userns_mode, "host", "host"),
    (values.restart_policy, None, "no"),
    (values.restart_policy, False, "no"),
    (values.restart_policy, "on-failure:0", "on-failure"),
    (values.restart_policy, "on-failure:3", "on-failure:3"),
    (values.restart_policy, "always:0", "always"),
    (values.mounts, ["b:/b", "/a/:/a/:rw", "b:/b"], ["/a:/a", "b:/b"]),
    (values.mounts, ["/a:/a:z,ro"], ["/a:/a:ro,z"]),
    (values.ports, ["80"], [":80/tcp"]),
    (values.ports, [80], [":80/tcp"]),
    (values.ports, ["8080:80/TCP", "53:53/udp"], ["53:53/udp", "8080:80/tcp"]),
    (values.ports, ["0:80"], [":80/tcp"]),
    (values.ports, ["127.0.0.1:8080:80"], ["127.0.0.1:8080:80/tcp"]),
    (values.ports, ["127.0.0.1::80"], ["127.0.0.1::80/tcp"]),
    (values.ports, ["[::1]:8080:80"], ["[::1]:8080:80/tcp"]),
    (values.ulimits, {"nofile": 10, "core": "0:-1"}, {"nofile": "10:10", "core": "0:-1"}),
]
BAD = [
    (values.text, ["a"]),
    (values.words, "no 'end"),
    (values.names, "NET_ADMIN"),
    (values.table, ["A=1"]),
    (values.table, {"A": [1]}),
    (values.number, -1),
    (values.number, True),
    (values.number, "many"),
    (values.cpus, -0.5),
    (values.cpus, "inf"),
    (values.cpus, "nan"),
    (values.size, "64 apples"),
    (values.size, -1),
    (values.userns_mode, "private"),
    (values.userns_mode, ["host"]),
    (values.restart_policy, "sometimes"),
    (values.restart_policy, "always:3"),
    (values.mounts, "/a:/a"),
    (values.mounts, ["/a"]),
    (values.mounts, ["/a:relative"]),
    (values.mounts, [":/a"]),
    (values.ports, "80:80"),
    (values.ports, ["80:70000"]),
    (values.ports, ["http"]),
    (values.ports, ["::1:80:80"]),
    (values.ulimits, {"nofile": "many"}),
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
    assert values.ports(values.published(values.port_bindings(ports))) == sorted(ports)


def test_a_port_that_is_only_exposed_has_no_bindings():
    assert values.published({"80/tcp": None}) == [":80/tcp"]
    assert values.published(None) == []
