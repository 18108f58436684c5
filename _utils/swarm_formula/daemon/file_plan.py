"""
Plan changes to the engine's files, write them, and roll them back if the engine refuses them.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from swarm_formula.core import errors, host_files
from swarm_formula.core.settings_types import Settings
from swarm_formula.daemon import daemon_json, daemon_merge, proxy

DAEMON = Path("/etc/docker/daemon.json")

_RECORD, _PENDING = "daemon.json", "pending"
# The text of an administrator's daemon.json, from before the formula changed it first.
_ORIGINAL, _TEXT = "daemon.json before", "text"
# The mode of daemon.json from before a password came into it.
_OPEN, _MODE = "daemon.json mode", "mode"
_SECRET_MODE = 0o600


class NotWrittenError(errors.SwarmError):
    """A file of the engine cannot be written; it is unchanged."""


class Plan(NamedTuple):
    """The files to write, the changes to report, and the record to save."""

    files: dict[Path, tuple[str | None, str | None]]  # (old text, new text), None for no file
    differs: dict[str, Any]  # the keys of daemon.json that change, {key: {"old": ..., "new": ...}}
    changes: dict[str, Any]  # for the report
    record: dict[str, Any]  # what the formula sets in daemon.json
    replaced: str = ""  # the installed version of the engine, if another one runs
    early: bool = False  # containers may be started beside the restart, after a reload

    @property
    def resets(self) -> dict[str, Any]:
        """Return ``{key: default}`` of removed keys that SIGHUP resets only if set explicitly."""
        return daemon_json.resets(self.differs)

    @property
    def units(self) -> list[Path]:
        """Return the files that systemd has to reload."""
        return [path for path in self.files if path != DAEMON]

    @property
    def restart(self) -> bool:
        """Return whether the change needs a restart of the engine, not only SIGHUP."""
        return bool(self.replaced or self.units) or daemon_json.needs_restart(self.differs)

    @property
    def what(self) -> str:
        """Return what changes, for an error message."""
        start = f"version {self.replaced}" if self.replaced else "a start"
        return ", ".join([*self.differs, *map(str, self.units)]) or start


def before_and_after(plan: Plan) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return daemon.json as it is and as the plan changes it."""
    text = plan.files[DAEMON][1] if DAEMON in plan.files else None
    current = config()
    return current, _values(text) if DAEMON in plan.files else current


def _values(text: str | None) -> dict[str, Any]:
    """Return the values of daemon.json from its text, which may be blank."""
    values: dict[str, Any] = json.loads((text or "").strip() or "{}")
    return values


def _refuse_hosts(config: dict[str, Any]) -> None:
    if "hosts" in config:
        raise errors.SwarmError(
            f"{DAEMON} has 'hosts' of its own, and dockerd takes them from one place only: remove"
            " that key; swarm:engine:listen and swarm:engine:port say where the engine listens"
        )


def config() -> dict[str, Any]:
    """Return daemon.json as it is."""
    return host_files.read_json(DAEMON)


def store() -> str | None:
    """Return the store for overlay networks in daemon.json."""
    return config().get("cluster-store")


def plan(wanted: dict[str, Any], keys: tuple[str, ...] | None = None) -> Plan:
    """
    Return a plan that sets ``wanted`` in daemon.json.

    keys
        As for ``daemon.daemon_json.merge``.
    """
    current = config()
    _refuse_hosts(current)
    new, record = daemon_merge.merge(current, wanted, recorded(), keys)
    differs = daemon_merge.diff(current, new)
    if not differs:
        return Plan({}, {}, {}, record)
    files = {DAEMON: (host_files.read(DAEMON), _text(new))}
    return Plan(files, differs, {"daemon.json": _shown(differs)}, record)


def _shown(differs: dict[str, Any]) -> dict[str, Any]:
    """Return the changes of daemon.json without a proxy's password."""
    return {
        key: proxy.reported(one["old"], one["new"]) if key == proxy.KEY else one
        for key, one in differs.items()
    }


def _original(config: dict[str, Any]) -> str | None:
    """Return the administrator's own text of daemon.json if it has exactly these values."""
    text = host_files.record(_ORIGINAL).get(_TEXT)
    return text if text is not None and _values(text) == config else None


def _text(config: dict[str, Any]) -> str | None:
    """Return the text for daemon.json, ``None`` for no file."""
    original = _original(config)
    if original is not None:
        return original
    return host_files.to_json(config) if config else None


def _note_record(record: dict[str, Any]) -> None:
    """Save what the formula has set in daemon.json; with the first key, save the file's text."""
    before = host_files.read(DAEMON, newline="") if record and not recorded() else None
    if before is not None:
        host_files.note(_ORIGINAL, {_TEXT: before})
    elif not record:
        host_files.note(_ORIGINAL, {})
    host_files.note(_RECORD, record)


def _write(path: Path, text: str | None) -> None:
    """Write a file of the engine; for root only while it has a password."""
    if proxy.secret(text):
        if path == DAEMON and path.exists() and not host_files.record(_OPEN):
            host_files.note(_OPEN, {_MODE: path.stat().st_mode & 0o7777})
        host_files.write(path, text, mode=_SECRET_MODE, keep=False)
        return
    host_files.write(path, text)
    if path == DAEMON and (before := host_files.record(_OPEN)):
        if text is not None:
            path.chmod(before[_MODE])
        host_files.note(_OPEN, {})


def _restore_text() -> None:
    """Give daemon.json the administrator's own text back, if its values are those of before."""
    original = _original(config())
    if original not in {None, host_files.read(DAEMON, newline="")}:
        _write(DAEMON, original)


def with_file(plan: Plan, path: Path, wanted: str | None) -> Plan:
    """Add a whole file to the plan if it differs."""
    old = host_files.read(path)
    if old == wanted:
        return plan
    return plan._replace(
        files={**plan.files, path: (old, wanted)},
        changes={**plan.changes, str(path): proxy.reported(old, wanted)},
    )


def with_files(plan: Plan, files: Mapping[Path, str | None]) -> Plan:
    """Add the whole files to the plan that differ."""
    for path, wanted in files.items():
        plan = with_file(plan, path, wanted)
    return plan


def reported(plan: Plan, what: str, old: object, new: object) -> Plan:
    """Add a change that is not a file to the report."""
    return plan._replace(changes={**plan.changes, what: {"old": old, "new": new}})


def pending() -> dict[str, Any]:
    """Return the changes of a run that was killed before the engine had read them."""
    return host_files.record(_PENDING)


def recorded() -> dict[str, Any]:
    """Return what the formula has set in daemon.json, according to the record."""
    return host_files.record(_RECORD)


def begin(plan: Plan, restart: bool, what: str) -> None:
    """
    Write the files, after recording their old text and that the engine has not read them yet.

    A write error raises ``NotWrittenError``: the engine did not cause it.
    """
    try:
        _begin(plan, restart, what)
    except errors.SwarmError as err:
        raise NotWrittenError(str(err)) from err


def _begin(plan: Plan, restart: bool, what: str) -> None:
    earlier = pending()
    files = {str(path): old for path, (old, _) in plan.files.items()}
    # An interrupted run has written before: a rollback restores the files that it found.
    files |= earlier.get("files", {})
    record = earlier.get("record", recorded())
    host_files.note(_PENDING, {"restart": restart, "what": what, "files": files, "record": record})
    # Explicit defaults are recorded, too: if this run is interrupted, the next removes them.
    said = {} if restart else plan.resets
    passing = {
        key: daemon_merge.passing(key, entry, said[key])
        for key, entry in recorded().items()
        if key in said
    }
    # Keys that are given back stay recorded until `end`: this run may be killed before it writes.
    _note_record({**recorded(), **plan.record, **passing})
    for path, (_, new) in plan.files.items():
        told = path == DAEMON and said
        _write(path, _with(new, said) if told else new)


def _with(text: str | None, keys: dict[str, Any]) -> str:
    return host_files.to_json({**_values(text), **keys})


def undo() -> None:
    """Restore the files as the engine last read them, and the record."""
    noted = pending()
    for name, old in noted.get("files", {}).items():
        # A file that was not written because the disk is full needs no restoring.
        if host_files.read(Path(name)) != old:
            _write(Path(name), old)
    record = noted.get("record", recorded())
    if not record:
        _restore_text()
    _note_record(record)
    host_files.note(_PENDING, {})


def refused(
    settings: Settings, what: str, words: str, back: str, cause: Exception
) -> errors.SwarmError:
    """
    Return the error for a change that was rolled back; write errors do not blame the engine.

    back
        How the rollback has ended.
    """
    minion, options = settings["id"], settings["engine"]["options"]
    words, err = proxy.masked(words), proxy.masked(str(cause))
    if isinstance(cause, NotWrittenError):
        return errors.SwarmError(f"{minion} could not change {what} of its engine; {back}: {err}")
    # In a run that continues a killed one, only the text is known.
    paths = [f"swarm:engine:options:{key}" for key in what.split(", ") if key in options]
    cure = f". Correct {', '.join(paths)}" if paths else ""
    if isinstance(cause, errors.NoContainerError):
        # The engine has taken it; what its journal holds has other causes.
        return errors.SwarmError(
            f"the engine of {minion} does not work with {what}; {back}: {err}{cure}"
        )
    return errors.SwarmError(
        f"the engine of {minion} does not take {what}; {back}. It said: {words} ({err}){cure}"
    )


def end(plan: Plan) -> None:
    """Record that the engine has read the files; remove defaults that were set for one reload."""
    if plan.resets:
        _write(DAEMON, plan.files[DAEMON][1])
    if not plan.record:
        _restore_text()
    _note_record(plan.record)
    host_files.note(_PENDING, {})
