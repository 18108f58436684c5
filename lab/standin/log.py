"""
Write log lines to standard output in the format of the original (logrus, no terminal).
"""

import json
import re
import sys
import time
from typing import NoReturn

LEVELS = {"panic": 0, "fatal": 1, "error": 2, "warning": 3, "warn": 3, "info": 4, "debug": 5}
PLAIN = re.compile(r"[A-Za-z0-9.\-]+")

_level = LEVELS["info"]


def set_level(name: str) -> None:
    """Show lines of level ``name`` and worse; raises ``ValueError`` for an unknown one."""
    global _level  # noqa: PLW0603
    if name.lower() not in LEVELS:
        raise ValueError(f'not a valid logrus Level: "{name}"')
    _level = LEVELS[name.lower()]


def line(level: str, message: str, **fields: object) -> None:
    """Write one line of ``level`` with its ``fields`` in alphabetical order."""
    if LEVELS[level] > _level:
        return
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    tail = "".join(f"{key}={_quote(str(fields[key]))} " for key in sorted(fields))
    sys.stdout.write(f'time="{stamp}" level={level} msg={_quote(message)} {tail}\n')
    sys.stdout.flush()


def _quote(text: str) -> str:
    return text if PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def debug(message: str, **fields: object) -> None:
    """Write a line that only ``--debug`` shows."""
    line("debug", message, **fields)


def info(message: str, **fields: object) -> None:
    """Write an informative line."""
    line("info", message, **fields)


def warning(message: str, **fields: object) -> None:
    """Write a warning."""
    line("warning", message, **fields)


def error(message: str, **fields: object) -> None:
    """Write an error; the program goes on."""
    line("error", message, **fields)


def fatal(message: object) -> NoReturn:
    """Write the error that ends the program, and end it with exit code 1."""
    line("fatal", str(message))
    sys.exit(1)
