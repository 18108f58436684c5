"""Talks to the Salt master of the lab."""

import contextlib
import json
import time
from collections.abc import Callable, Iterable

from lab import containers
from lab.config import MASTER, Settings
from lab.engine import Engine
from lab.run import LabError, last_words

# What `salt` prints for a minion that has not answered, in place of its answer.
_SILENT = "Minion did not return"


def execute(engine: Engine, program: str, *argv: str, timeout: float = 300):
    """Runs a Salt command on the master and returns what it printed as JSON."""
    return _read(engine, [program, *argv], json.loads, timeout)


def _read(
    engine: Engine,
    words: list[str],
    read: Callable[[str], object],
    timeout: float,
    host: str = MASTER,
):
    program, *argv = words
    command = [program, "--out=json", "--no-color", "--log-level=error", *argv]
    done = containers.execute(engine, host, *command, timeout=timeout, check=False)
    try:
        return read(done.stdout)
    except ValueError as error:
        raise LabError(f"{' '.join(command)}: no JSON came back:\n{last_words(done)}") from error


def salt(
    engine: Engine, target: str, fun: str, *args: str, timeout: float = 300, host: str = MASTER
) -> dict[str, object]:
    """
    Runs a function on minions; returns by minion id, without those that did not answer.

    A comma-separated target is a list. Another master than the lab's is a `host` that runs one.
    """
    # Not `--static`: that is a batch, which pings first, and with 3008 gives up a job at work
    # after `timeout` and `gather_job_timeout` and prints `{}` for it.
    limits = ["--out-indent=-1", f"--timeout={min(int(timeout), 30)}"]
    matcher = ["--list"] if "," in target else []
    return _read(engine, ["salt", *limits, *matcher, target, fun, *args], _answers, timeout, host)


def _answers(printed: str) -> dict[str, object]:
    """Returns what minions answered; each has a line, and remarks may stand between them."""
    lines = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    if not lines:
        raise ValueError("no JSON came back")
    answers = {host: answer for line in lines for host, answer in line.items()}
    return {host: answer for host, answer in answers.items() if not _silent(answer)}


def _silent(answer: object) -> bool:
    return isinstance(answer, str) and answer.startswith(_SILENT)


def autojoin(engine: Engine, hosts: Iterable[str]) -> None:
    """
    Gives the master the formula's engine and runner, as a user would; the master restarts.

    The engine has these hosts join, once they are there.
    """
    containers.execute(
        engine, MASTER, "systemctl", "is-system-running", "--wait", check=False, timeout=180
    )
    given = {"swarm_master": {"autojoin": {"targets": list(hosts)}}}
    apply = ["--local", "--file-root=/srv/formula", "state.apply", "swarm.master"]
    states = call(engine, MASTER, *apply, f"pillar={json.dumps(given)}", timeout=180)
    bad = states
    if isinstance(states, dict):
        bad = [one["comment"] for one in states.values() if not one["result"]]
    if bad:
        raise LabError(f"swarm.master failed on the master: {bad}")


def accept(settings: Settings, *ids: str) -> None:
    """Lets the master accept the keys of these ids by itself, besides those it does already."""
    _autosign(settings, lambda known: known | set(ids))


def _autosign(settings: Settings, change: Callable[[set[str]], set[str]]) -> None:
    path = settings.run / "autosign" / "ids"
    path.parent.mkdir(parents=True, exist_ok=True)
    known = set(path.read_text().split()) if path.exists() else set()
    path.write_text("".join(f"{one}\n" for one in sorted(change(known))))
    # The master ignores a file that others can write.
    path.chmod(0o644)


def forget(engine: Engine, host: str) -> None:
    """Deletes a minion's key on the master, and accepts no other of that name by itself."""
    _autosign(engine.settings, lambda known: known - {host})
    containers.execute(
        engine, MASTER, "salt-key", "--yes", f"--delete={host}", check=False, timeout=60
    )


def await_minions(engine: Engine, ids: Iterable[str], limit: float) -> None:
    """Waits until every minion answers a ping; says which ones do not."""
    end = time.monotonic() + limit
    missing = sorted(ids)
    keys = [f"/etc/salt/pki/master/minions/{one}" for one in missing]
    while time.monotonic() < end:
        # A look at the accepted keys costs nothing, the salt command a second.
        if containers.execute(engine, MASTER, "ls", *keys, check=False).returncode == 0:
            # On a machine that is busy, the command itself may take that long: it is tried again.
            with contextlib.suppress(LabError):
                answers = salt(engine, ",".join([*missing, "-"]), "test.ping", timeout=60)
                missing = [one for one in missing if answers.get(one) is not True]
            if not missing:
                return
        time.sleep(0.3)
    raise LabError(
        f"no answer from {', '.join(missing)} within {limit:.0f} s;"
        f" look with: bin/lab exec {missing[0]} journalctl -u salt-minion"
    )


def call(engine: Engine, host: str, fun: str, *args: str, timeout: float):
    """Runs a function on a host by salt-call; returns its result."""
    command = ["salt-call", "--out=json", "--log-level=error", fun, *args]
    done = containers.execute(engine, host, *command, timeout=timeout, check=False)
    try:
        return json.loads(done.stdout)["local"]
    except (ValueError, KeyError) as error:
        raise LabError(
            f"{host}: {' '.join(command)}: no JSON came back:\n{last_words(done)}"
        ) from error
