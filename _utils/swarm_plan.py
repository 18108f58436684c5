"""
A change of the engine's files: worked out, written, and put back if the engine does not take it.
"""

import json
from pathlib import Path
from typing import NamedTuple

import swarm_daemon
import swarm_errors
import swarm_files

DAEMON = Path("/etc/docker/daemon.json")

_RECORD, _PENDING = "daemon.json", "pending"


class NotWrittenError(swarm_errors.SwarmError):
    """A file of the engine cannot be written; it is as it was."""


class Plan(NamedTuple):
    """What to write, what to report, and what to note of it."""

    files: dict  # {path: (old text, new text)}, None for no file
    differs: dict  # the keys of daemon.json that change, {key: {"old": ..., "new": ...}}
    changes: dict  # for the report
    record: dict  # what in daemon.json is ours
    replaced: str = ""  # the version of the engine's program, if another one runs

    @property
    def resets(self) -> dict:
        """``{key: default}`` of keys that go, and that an engine forgets by SIGHUP only if told."""
        return swarm_daemon.resets(self.differs)

    @property
    def units(self) -> list[Path]:
        """The files that systemd has to read again."""
        return [path for path in self.files if path != DAEMON]

    @property
    def restart(self) -> bool:
        """Whether the engine cannot take it by SIGHUP."""
        return bool(self.replaced or self.units) or swarm_daemon.needs_restart(self.differs)

    @property
    def what(self) -> str:
        """What is changed, for an error."""
        start = f"version {self.replaced}" if self.replaced else "a start"
        return ", ".join([*self.differs, *map(str, self.units)]) or start


def before_and_after(plan: Plan) -> tuple[dict, dict]:
    """Return daemon.json as it is and as the plan wants it."""
    text = plan.files[DAEMON][1] if DAEMON in plan.files else None
    current = config()
    return current, json.loads(text or "{}") if DAEMON in plan.files else current


def _refuse_hosts(config: dict) -> None:
    if "hosts" in config:
        raise swarm_errors.SwarmError(
            f"{DAEMON} has 'hosts' of its own, and dockerd takes them from one place only: remove"
            " that key; swarm:engine:listen and swarm:engine:port say where the engine listens"
        )


def config() -> dict:
    """Return daemon.json as it is."""
    return swarm_files.read_json(DAEMON)


def store() -> str | None:
    """Return the store for overlay networks that daemon.json has."""
    return config().get("cluster-store")


def plan(wanted: dict, keys: tuple | None = None) -> Plan:
    """Return what brings ``wanted`` into daemon.json; ``keys`` as in ``swarm_daemon.merge``."""
    current = config()
    _refuse_hosts(current)
    new, record = swarm_daemon.merge(current, wanted, recorded(), keys)
    differs = swarm_daemon.diff(current, new)
    if not differs:
        return Plan({}, {}, {}, record)
    text = swarm_files.to_json(new) if new else None
    files = {DAEMON: (swarm_files.read(DAEMON), text)}
    return Plan(files, differs, {"daemon.json": differs}, record)


def with_file(plan: Plan, path: Path, wanted: str | None) -> Plan:
    """Add a whole file to the plan, if it differs."""
    old = swarm_files.read(path)
    if old == wanted:
        return plan
    return plan._replace(
        files={**plan.files, path: (old, wanted)},
        changes={**plan.changes, str(path): {"old": old, "new": wanted}},
    )


def reported(plan: Plan, what: str, old: object, new: object) -> Plan:
    """Add something to the report that is no file."""
    return plan._replace(changes={**plan.changes, what: {"old": old, "new": new}})


def pending() -> dict:
    """Return what an earlier run wrote and was killed before the engine had read it."""
    return swarm_files.record(_PENDING)


def recorded() -> dict:
    """Return what in daemon.json is noted as ours."""
    return swarm_files.record(_RECORD)


def begin(plan: Plan, restart: bool, what: str) -> None:
    """
    Write the files, after a note of what they were and that the engine has not read them yet.

    What the disk refuses is a ``NotWrittenError``: the engine has nothing to do with it.
    """
    try:
        _begin(plan, restart, what)
    except swarm_errors.SwarmError as err:
        raise NotWrittenError(str(err)) from err


def _begin(plan: Plan, restart: bool, what: str) -> None:
    earlier = pending()
    files = {str(path): old for path, (old, _) in plan.files.items()}
    # A run that was cut off wrote before us: what it found is what there is to go back to.
    files |= earlier.get("files", {})
    record = earlier.get("record", recorded())
    swarm_files.note(_PENDING, {"restart": restart, "what": what, "files": files, "record": record})
    # A default that has to be said is ours, too: if this run is cut off, the next takes it away.
    said = {} if restart else plan.resets
    passing = {key: {"ours": default, "before": None} for key, default in said.items()}
    swarm_files.note(_RECORD, {**plan.record, **passing})
    for path, (_, new) in plan.files.items():
        told = path == DAEMON and said
        swarm_files.write(path, _with(new, said) if told else new)


def _with(text: str | None, keys: dict) -> str:
    return swarm_files.to_json({**json.loads(text or "{}"), **keys})


def undo() -> None:
    """Put the files back as they were when the engine had last read them, and the record."""
    noted = pending()
    for name, old in noted.get("files", {}).items():
        # What a full disk kept from being written needs no writing back.
        if swarm_files.read(Path(name)) != old:
            swarm_files.write(Path(name), old)
    swarm_files.note(_RECORD, noted.get("record", recorded()))
    swarm_files.note(_PENDING, {})


def refused(
    minion: str, what: str, words: str, was_up: bool, err: Exception
) -> swarm_errors.SwarmError:
    """Return the error for a change that was put back. A file not written is no engine's fault."""
    back = f"everything was put back as it was{', and it runs again' if was_up else ''}"
    if isinstance(err, NotWrittenError):
        return swarm_errors.SwarmError(
            f"{minion} could not change {what} of its engine; {back}: {err}"
        )
    return swarm_errors.SwarmError(
        f"the engine of {minion} does not take {what}; {back}. It said: {words} ({err})"
    )


def end(plan: Plan) -> None:
    """Note that the engine has read the files; what it had to be told only once is taken out."""
    if plan.resets:
        swarm_files.write(DAEMON, plan.files[DAEMON][1])
    swarm_files.note(_RECORD, plan.record)
    swarm_files.note(_PENDING, {})
