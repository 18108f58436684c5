"""The command line: bin/lab."""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from lab import config
from lab.api import Lab
from lab.config import MASTER
from lab.run import LabError, stop_children

PASSED_ON = ("salt", "salt-run", "salt-key", "exec")


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    top = argparse.ArgumentParser(
        prog="bin/lab", description="Real hosts on one machine: a Salt master and minions m1 to m9."
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="bring the lab up (first time: some minutes)")
    add_options(up)
    up.add_argument(
        "--no-autojoin",
        dest="autojoin",
        action="store_false",
        help="a master without the formula's engine and runner",
    )
    for name in ("salt", "salt-run", "salt-key"):
        one = commands.add_parser(name, help=f"run {name} on the master", add_help=False)
        one.add_argument("argv", nargs=argparse.REMAINDER)
    execute = commands.add_parser("exec", help="run a command on a host")
    execute.add_argument("host")
    execute.add_argument("argv", nargs=argparse.REMAINDER)
    add = commands.add_parser("add", help="add a new machine that registers")
    add.add_argument("host")
    add.add_argument("--no-accept", action="store_true", help="leave its key waiting")
    for name, text in (
        ("remove", "take a host away for good"),
        ("stop", "cut a host's power"),
        ("start", "switch it on again"),
        ("cut", "unplug a host from the network"),
        ("heal", "plug it in again"),
        ("reset", "replace a host by a fresh one"),
    ):
        commands.add_parser(name, help=text).add_argument("host")
    commands.add_parser("status", help="show hosts, addresses, images")
    commands.add_parser("down", help="remove everything but the cache")
    return top


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that tell what kind of lab comes up; `bin/demo` has them as well."""
    parser.add_argument("--hosts", type=int, default=3, help="how many, 1 to 9 (3)")
    parser.add_argument(
        "--mode", choices=config.MODES, default="classic", help="swarm mode (classic)"
    )
    parser.add_argument("--salt", choices=config.SALT, default="3008", help="Salt release (3008)")
    parser.add_argument(
        "--suite",
        choices=config.SUITES,
        help="Debian suite that docker.io comes from (bullseye, or that of --host-suite)",
    )
    parser.add_argument(
        "--host-suite",
        choices=config.HOST_SUITES,
        default=config.RELEASE,
        help="Debian suite of the hosts (bookworm)",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupted)
    try:
        # argparse would take options like -L for its own.
        if words and words[0] in PASSED_ON and words[1:2] not in (["-h"], ["--help"]):
            return _pass_on(Lab(), words[0], words[1:])
        return _run(Lab(), parser().parse_args(words))
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted; `bin/lab down` cleans up", file=sys.stderr)
        return 130


def _interrupted(*_: object) -> None:
    stop_children()
    raise KeyboardInterrupt


def _run(lab: Lab, options: argparse.Namespace) -> int:
    match options.command:
        case "up":
            lab.up(
                options.hosts,
                options.mode,
                options.salt,
                options.suite,
                options.autojoin,
                options.host_suite,
            )
        case "add":
            lab.add(options.host, accept=not options.no_accept)
        case "status":
            return _status(lab)
        case "down":
            lab.down()
        case name:
            getattr(lab, name)(options.host)
    return 0


def _pass_on(lab: Lab, command: str, argv: Sequence[str]) -> int:
    """Runs a command in a host with this terminal, so that it behaves as if run there."""
    host, words = (MASTER, [command, *argv])
    if command == "exec":
        if len(argv) < 2:  # noqa: PLR2004
            raise LabError("use: bin/lab exec HOST COMMAND...")
        host, words = argv[0], list(argv[1:])
    lab.hosts()
    terminal = ["-t"] if sys.stdin.isatty() and sys.stdout.isatty() else []
    return subprocess.run(  # noqa: S603
        ["docker", "exec", "-i", *terminal, lab.settings.container(host), *words],  # noqa: S607
        env={**os.environ, **lab.engine.env},
        check=False,
    ).returncode


def _status(lab: Lab) -> int:
    found = lab.status()
    if not found["up"] and "hosts" not in found:
        print("down")
        return 3
    options = " ".join(
        f"{key}={found[key]}" for key in ("mode", "salt", "suite", "host_suite") if key in found
    )
    print(f"{'up' if found['up'] else 'half up'}: {options}")
    print(f"engine: DOCKER_HOST={found['engine']}")
    for name, host in found["hosts"].items():
        print(f"{name:6} {host['address']:15} {host['state']}")
    for name, image in found["images"].items():
        note = " (a stand-in for tests, NOT swarm)" if image.get("standin") else ""
        print(f"{name:8} {image['image']}{note}")
    return 0
