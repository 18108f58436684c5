"""Starts programs with a time limit, and tells the user what goes on."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_STARTED = time.monotonic()
_children: set[subprocess.Popen] = set()
# Reentrant: the handler of a signal may interrupt the thread that holds it.
_children_lock = threading.RLock()
_stopping = threading.Event()


class LabError(Exception):
    """Something the lab cannot get past; the text says what is wrong, where, and what to do."""


def say(text: str) -> None:
    """Prints a progress line with the seconds since the start."""
    print(f"lab {time.monotonic() - _STARTED:6.1f}s  {text}", file=sys.stderr, flush=True)


def run(
    argv: Sequence[str | Path],
    *,
    timeout: float = 60,
    check: bool = True,
    input: str | None = None,  # noqa: A002
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end and returns its output as text; fails with its last words."""
    if _stopping.is_set():
        raise LabError("interrupted")
    command = [str(word) for word in argv]
    try:
        process = subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=None if env is None else {**os.environ, **env},
        )
    except FileNotFoundError as error:
        raise LabError(f"{command[0]}: not found on this machine; install it") from error
    out, err = _finish(process, command, timeout, input)
    done = subprocess.CompletedProcess(command, process.returncode, out, err)
    if check and done.returncode:
        raise LabError(f"{_short(command)} failed with {done.returncode}:\n{last_words(done)}")
    return done


def _finish(
    process: subprocess.Popen, command: Sequence[str], timeout: float, text: str | None
) -> tuple[str, str]:
    """Waits for a program; it does not outlive its time limit or an interrupt."""
    with _children_lock:
        _children.add(process)
    try:
        return process.communicate(text, timeout=timeout)
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{_short(command)} took longer than {timeout:.0f} s; stopped it") from error
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        with _children_lock:
            _children.discard(process)


def stop_children() -> None:
    """Ends every running program and starts no more, so that an interrupt comes through."""
    _stopping.set()
    with _children_lock:
        for process in _children:
            process.terminate()


def last_words(done: subprocess.CompletedProcess[str], lines: int = 15) -> str:
    """Returns the end of what a program printed, errors first."""
    text = done.stderr.strip() or done.stdout.strip()
    return "\n".join("  " + line for line in text.splitlines()[-lines:]) or "  (it said nothing)"


def _short(command: Sequence[str], limit: int = 160) -> str:
    text = " ".join(command)
    return text if len(text) <= limit else text[: limit - 3] + "..."
