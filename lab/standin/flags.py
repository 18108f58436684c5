"""
Define the commands and flags of the original and parse them by the rules of Go's flags.
"""

import os
from dataclasses import dataclass, field

from . import VERSION

STRATEGIES = ("spread", "binpack", "random")
FILTERS = (
    "health",
    "port",
    "containerslots",
    "dependency",
    "affinity",
    "constraint",
    "whitelist",
)
TRUE, FALSE = ("1", "t", "T", "TRUE", "true", "True"), ("0", "f", "F", "FALSE", "false", "False")


@dataclass(frozen=True)
class Flag:
    """A flag: all its names, kind (``str``, ``bool``, ``int``, ``list``), default, meaning."""

    names: tuple[str, ...]
    kind: str
    default: object
    usage: str
    env: str = ""


@dataclass
class Options:
    """What was given: values by the flag's first name, names set by hand, arguments."""

    values: dict[str, object]
    given: set[str] = field(default_factory=set)
    arguments: list[str] = field(default_factory=list)


class UsageError(Exception):
    """The command line cannot be parsed."""


GLOBAL = (
    Flag(("debug",), "bool", False, "debug mode", "DEBUG"),
    Flag(
        ("log-level", "l"),
        "str",
        "info",
        "Log level (options: debug, info, warn, error, fatal, panic)",
    ),
    Flag(("experimental",), "bool", False, "enable experimental features"),
    Flag(("help", "h"), "bool", False, "show help"),
    Flag(("version", "v"), "bool", False, "print the version"),
)
ADVERTISE = "Address of the {0} joining the cluster. Swarm manager(s) MUST be able to reach it."
DISCOVERY_OPT = Flag(("discovery-opt",), "list", (), "discovery options")
HEARTBEAT = Flag(("heartbeat",), "str", "60s", "period between each heartbeat")
HELP = Flag(("help", "h"), "bool", False, "show help")
MANAGE = (
    Flag(("strategy",), "str", "spread", f"placement strategy to use [{', '.join(STRATEGIES)}]"),
    Flag(("filter", "f"), "list", FILTERS, f"filter to use [{', '.join(FILTERS)}]"),
    Flag(("host", "H"), "list", ("tcp://127.0.0.1:2375",), "ip/socket to listen on", "SWARM_HOST"),
    Flag(("replication",), "bool", False, "Enable Swarm manager replication"),
    Flag(("replication-ttl",), "str", "20s", "Leader lock release time on failure"),
    Flag(("advertise", "addr"), "str", "", ADVERTISE.format("swarm manager"), "SWARM_ADVERTISE"),
    Flag(("tls",), "bool", False, "use TLS; implied by --tlsverify=true"),
    Flag(("tlscacert",), "str", "", "trust only remotes with a certificate signed by this CA"),
    Flag(("tlscert",), "str", "", "path to TLS certificate file"),
    Flag(("tlskey",), "str", "", "path to TLS key file"),
    Flag(("tlsverify",), "bool", False, "use TLS and verify the remote"),
    Flag(("engine-refresh-min-interval",), "str", "30s", "set engine refresh minimum interval"),
    Flag(("engine-refresh-max-interval",), "str", "60s", "set engine refresh maximum interval"),
    Flag(("engine-failure-retry",), "int", 3, "set engine failure retry count"),
    Flag(("engine-refresh-retry",), "int", 3, "deprecated; replaced by --engine-failure-retry"),
    HEARTBEAT,
    Flag(("api-enable-cors", "cors"), "bool", False, "enable CORS headers in the remote API"),
    Flag(("cluster-driver", "c"), "str", "swarm", "cluster driver to use [swarm]"),
    DISCOVERY_OPT,
    Flag(
        ("cluster-opt",),
        "list",
        (),
        "cluster driver options: swarm.overcommit=0.05, swarm.createretry=0",
    ),
    Flag(("refresh-on-node-filter",), "bool", False, "refresh the cache for a node filter"),
    Flag(("container-name-refresh-filter",), "str", "", "refresh the cache for this name filter"),
    HELP,
)
JOIN = (
    Flag(("advertise", "addr"), "str", "", ADVERTISE.format("Docker Engine"), "SWARM_ADVERTISE"),
    HEARTBEAT,
    Flag(("ttl",), "str", "180s", "set the expiration of an ephemeral node"),
    Flag(("delay",), "str", "0s", "random delay in [0s,delay] to avoid synchronized registration"),
    DISCOVERY_OPT,
    HELP,
)
LIST = (Flag(("timeout",), "str", "10s", "timeout period"), DISCOVERY_OPT, HELP)
COMMANDS = {
    "create": ("c", "Create a cluster", (HELP,)),
    "list": ("l", "List nodes in a cluster", LIST),
    "manage": ("m", "Manage a docker cluster", MANAGE),
    "join": ("j", "Join a docker cluster", JOIN),
    "help": ("h", "Shows a list of commands or help for one command", (HELP,)),
}


def parse(table: tuple[Flag, ...], argv: list[str], env: dict[str, str] | None = None) -> Options:
    """Parse ``argv`` up to the first argument that is no flag; the environment comes second."""
    known = {name: flag for flag in table for name in flag.names}
    options = Options({flag.names[0]: _start(flag, env or os.environ) for flag in table})
    rest = list(argv)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        name, equals, value = word.removeprefix("-").removeprefix("-").partition("=")
        if name not in known:
            raise UsageError(f"flag provided but not defined: -{name}")
        flag = known[name]
        if not equals and flag.kind != "bool":
            if not rest:
                raise UsageError(f"flag needs an argument: -{name}")
            value = rest.pop(0)
        _store(options, flag, name, value if equals or flag.kind != "bool" else "true")
    options.arguments = rest
    return options


def _start(flag: Flag, env: dict[str, str]) -> object:
    value = env.get(flag.env, "") if flag.env else ""
    if flag.kind == "list":
        return [part.strip() for part in value.split(",")] if value else list(flag.default)
    if flag.kind == "bool" and value:
        return value in TRUE
    return value or flag.default


def _store(options: Options, flag: Flag, name: str, value: str) -> None:
    first = flag.names[0]
    if flag.kind == "list":
        # The first value given replaces the default, further ones add to it.
        kept = options.values[first] if first in options.given else []
        options.values[first] = [*kept, value]
    elif flag.kind == "bool":
        if value not in TRUE + FALSE:
            raise UsageError(f'invalid boolean value "{value}" for -{name}: parse error')
        options.values[first] = value in TRUE
    elif flag.kind == "int":
        options.values[first] = _integer(name, value)
    else:
        options.values[first] = value
    options.given.add(first)


def _integer(name: str, value: str) -> int:
    try:
        return int(value, 0)
    except ValueError:
        raise UsageError(f'invalid value "{value}" for flag -{name}: parse error') from None


def command_named(word: str) -> str | None:
    """Return the full name of a command given by name or by its short name."""
    return next((name for name, about in COMMANDS.items() if word in (name, about[0])), None)


def app_help() -> str:
    """Return what ``swarm --help`` prints."""
    commands = "".join(
        f"  {name}, {short}\t{usage}\n" for name, (short, usage, _) in COMMANDS.items()
    )
    return (
        "Usage: swarm [OPTIONS] COMMAND [arg...]\n\n"
        "A Docker-native clustering system (a stand-in made for tests)\n\n"
        f"Version: {VERSION} (stand-in)\n\nOptions:\n{_flag_lines(GLOBAL)}\n"
        f"Commands:\n{commands}\n"
        "Run 'swarm COMMAND --help' for more information on a command.\n"
    )


def command_help(name: str) -> str:
    """Return what ``swarm COMMAND --help`` prints."""
    _, usage, table = COMMANDS[name]
    argument = " <discovery>" if name in ("manage", "join", "list") else ""
    return f"Usage: swarm {name} [OPTIONS]{argument}\n\n{usage}\n\nOptions:\n{_flag_lines(table)}"


def _flag_lines(table: tuple[Flag, ...]) -> str:
    lines = []
    for flag in table:
        names = ", ".join(f"--{name}" if len(name) > 1 else f"-{name}" for name in flag.names)
        value = f' "{flag.default}"' if flag.kind in ("str", "int") else ""
        env = f" [${flag.env}]" if flag.env else ""
        lines.append(f"  {names}{value}\t{flag.usage}{env}\n")
    return "".join(lines)
