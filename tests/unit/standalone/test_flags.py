import pytest

from swarm_formula.standalone import flags


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({}, []),
        ({"replication": True}, ["--replication"]),
        ({"replication": False}, []),
        ({"replication": None}, []),
        ({"strategy": "binpack"}, ["--strategy=binpack"]),
        ({"filter": ["health", "port"]}, ["--filter=health", "--filter=port"]),
        ({"filter": []}, []),
        ({"host": "tcp://:3375"}, ["--host=tcp://:3375"]),
        ({"host": ["tcp://:3375", "tcp://:3376"]}, ["--host=tcp://:3375", "--host=tcp://:3376"]),
        (
            {"cluster-opt": {"swarm.overcommit": 0.1, "swarm.createretry": 3}},
            ["--cluster-opt=swarm.createretry=3", "--cluster-opt=swarm.overcommit=0.1"],
        ),
        ({"cluster-opt": ["swarm.createretry=3"]}, ["--cluster-opt=swarm.createretry=3"]),
        ({"discovery-opt": {"kv.path": "x"}}, ["--discovery-opt=kv.path=x"]),
        ({"engine-failure-retry": 5}, ["--engine-failure-retry=5"]),
        ({"engine-refresh-retry": 3}, ["--engine-refresh-retry=3"]),
    ],
    ids=str,
)
def test_form_of_each_kind(options, line):
    assert flags.argv(options, flags.MANAGE) == line


@pytest.mark.parametrize(
    ("given", "go"),
    [
        ("1m30s", "1m30s"),
        (60, "60s"),
        (0, "0s"),
        (90.0, "90s"),
        (1.5, "1.5s"),
        (0.00001, "0.00001s"),
        (172800, "172800s"),
        (1234567, "1234567s"),
    ],
)
def test_number_gets_the_unit_that_go_asks_for(given, go):
    """Go's parser takes no exponent, and takes no number without unit."""
    assert flags.argv({"heartbeat": given}, flags.JOIN) == [f"--heartbeat={go}"]


def test_order_is_that_of_the_table():
    options = {"replication": True, "strategy": "spread", "host": "tcp://:3375"}
    for table in (options, dict(reversed(options.items()))):
        assert flags.argv(table, flags.MANAGE) == [
            "--strategy=spread",
            "--host=tcp://:3375",
            "--replication",
        ]


def test_what_the_command_has_not_is_left_out():
    assert flags.argv({"strategy": "spread", "ttl": "60s"}, flags.JOIN) == ["--ttl=60s"]


def test_flags_are_those_of_swarm_1_2_9():
    """As in its ``cli/commands.go``."""
    assert list(flags.JOIN) == ["advertise", "heartbeat", "ttl", "delay", "discovery-opt"]
    assert sorted(flags.MANAGE) == [
        "advertise",
        "api-enable-cors",
        "cluster-driver",
        "cluster-opt",
        "container-name-refresh-filter",
        "discovery-opt",
        "engine-failure-retry",
        "engine-refresh-max-interval",
        "engine-refresh-min-interval",
        "engine-refresh-retry",
        "filter",
        "heartbeat",
        "host",
        "refresh-on-node-filter",
        "replication",
        "replication-ttl",
        "strategy",
        "tls",
        "tlscacert",
        "tlscert",
        "tlskey",
        "tlsverify",
    ]
