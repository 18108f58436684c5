"""The stand-in's command line: Go's rules for flags, and the original's for their values."""

import pytest

from lab.standin import __main__ as program
from lab.standin import flags
from lab.standin.golang import format_duration, is_host_port, parse_duration

pytestmark = pytest.mark.once


def parse(*argv, table=flags.MANAGE, env=None):
    return flags.parse(table, list(argv), env or {"NONE": ""})


@pytest.mark.parametrize(
    ("argv", "name", "value"),
    [
        ((), "host", ["tcp://127.0.0.1:2375"]),
        (("-H", ":1", "--host=:2"), "host", [":1", ":2"]),
        ((), "filter", list(flags.FILTERS)),
        (("-f", "health", "-f=port"), "filter", ["health", "port"]),
        (("--addr", "m1:1"), "advertise", "m1:1"),
        (("-addr=m1:1",), "advertise", "m1:1"),
        (("--replication",), "replication", True),
        (("--replication=false",), "replication", False),
        (("--engine-failure-retry", "5"), "engine-failure-retry", 5),
        (("--", "--replication"), "replication", False),
        (("consul://x", "--replication"), "replication", False),
    ],
)
def test_values(argv, name, value):
    assert parse(*argv).values[name] == value


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("--nope",), "flag provided but not defined: -nope"),
        (("--strategy",), "flag needs an argument: -strategy"),
        (("--replication=maybe",), "invalid boolean value"),
        (("--engine-failure-retry=x",), "invalid value"),
    ],
)
def test_what_cannot_be_parsed(argv, said):
    with pytest.raises(flags.UsageError, match=said):
        parse(*argv)


def test_the_environment_comes_before_the_default_and_after_the_flag():
    env = {"SWARM_HOST": ":2375", "SWARM_ADVERTISE": "m1:1"}
    assert parse(env=env).values["host"] == [":2375"]
    assert parse("-H", ":3375", env=env).values["host"] == [":3375"]
    assert parse(env=env).values["advertise"] == "m1:1"
    assert parse("--advertise=m2:2", env=env).values["advertise"] == "m2:2"


def test_arguments_end_the_flags():
    options = parse("--strategy=random", "consul://x", "more")
    assert options.arguments == ["consul://x", "more"]
    assert options.given == {"strategy"}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("20s", 20), ("1m30s", 90), ("1.5h", 5400), ("250ms", 0.25), ("0", 0), ("-1s", -1)],
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(("text", "said"), [("20", "missing unit"), ("", "invalid"), ("x", "inv")])
def test_no_durations(text, said):
    with pytest.raises(ValueError, match=said):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(10, "10s"), (90, "1m30s"), (60, "1m0s"), (3600, "1h0m0s"), (2.5, "2.5s"), (0.5, "500ms")],
)
def test_durations_as_go_prints_them(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("address", "good"),
    [
        *(("10.0.0.1:2375", True), ("m1:1", True), ("[::1]:2375", True), (":2375", True)),
        *(("m1", False), ("m1:0", False), ("m1:65536", False), ("::1:2375", False)),
        *(("m1:http", False), ("", False), ("[::1]", False)),
    ],
)
def test_addresses(address, good):
    assert is_host_port(address) is good


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["join", "--addr=m1:1", "nodes://m1:1", "--ttl"], "discovery required to join"),
        (["m", "--strategy=x", "nodes://m1:1"], "strategy not supported"),
        (["--log-level=x", "manage", "x"], "not a valid logrus Level"),
        (["manage", "zk://m1:1"], "does not speak ZooKeeper"),
        (["create"], "token service"),
    ],
)
def test_a_fatal_error_is_a_log_line_and_code_1(argv, said, capsys, monkeypatch):
    monkeypatch.setattr(program.signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        program.main(argv)
    assert ended.value.code == 1
    printed = capsys.readouterr().out
    assert " level=fatal msg=" in printed
    assert said in printed


def test_the_version_says_what_it_is(capsys, monkeypatch):
    monkeypatch.setattr(program.signal, "signal", lambda *_: None)
    assert program.main(["--version"]) == 0
    assert "stand-in" in capsys.readouterr().out
