"""
Run the stand-in: ``swarm [OPTIONS] COMMAND [OPTIONS] [DISCOVERY]``.
"""

import os
import signal
import sys
from typing import NoReturn

from . import MARK, VERSION, commands, flags, log


def run(argv: list[str]) -> NoReturn:
    """Run one command and end the process at once: its threads have nothing to tidy up."""
    try:
        code = main(argv)
    except SystemExit as err:
        code = err.code
    sys.stdout.flush()
    os._exit(code)


def main(argv: list[str]) -> int:
    """Run one command and return the exit code."""
    # The first process of a container ignores signals that it has no handler for; the
    # original ends with code 2, without giving up its leadership.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(2))
    try:
        options = flags.parse(flags.GLOBAL, argv)
    except flags.UsageError as err:
        print(f"Incorrect Usage.\n\n{flags.app_help()}")
        log.fatal(err)
    if options.values["version"]:
        print(f"swarm version {VERSION} ({MARK}: a stand-in for tests, not Docker Swarm)")
        return 0
    if options.values["help"] or not options.arguments:
        print(flags.app_help())
        return 0
    _set_logging(options)
    return _command(options)


def _command(main_options: flags.Options) -> int:
    word, *rest = main_options.arguments
    name = flags.command_named(word)
    if name in (None, "help"):
        print(flags.app_help() if name else f"No help topic for '{word}'")
        return 0
    try:
        options = flags.parse(flags.COMMANDS[name][2], rest)
    except flags.UsageError as err:
        print(f"Incorrect Usage.\n\n{flags.command_help(name)}")
        log.fatal(err)
    if options.values["help"]:
        print(flags.command_help(name))
        return 0
    arguments = options.arguments
    url = arguments[0] if len(arguments) == 1 else os.environ.get("SWARM_DISCOVERY", "")
    commands.COMMANDS[name](options, url, main_options)
    return 0


def _set_logging(options: flags.Options) -> None:
    wanted = str(options.values["log-level"])
    debug = options.values["debug"] and "log-level" not in options.given
    try:
        log.set_level("debug" if debug else wanted)
    except ValueError as err:
        log.fatal(err)


if __name__ == "__main__":
    run(sys.argv[1:])
