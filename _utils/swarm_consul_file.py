"""
``consul.json``: what Consul of this host runs with, and its replacement until that has settled.

Between the two, the text of before is kept beside it; a run that is killed leaves both.
"""

import contextlib
import datetime
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import swarm_certs
import swarm_files
import swarm_kv
import swarm_pki
import swarm_roles
from swarm_certs import Files

_RECORD = "consul"
# What Consul reads of its file only to find the others when it starts.
_FOR_START = ("bootstrap_expect", "retry_join")
# All servers have to have the same of it: they cannot change it one after the other.
_COMMON = ("encrypt", "verify_outgoing", "verify_incoming")
_REPLACED = "-replaced"


def _before() -> Path:
    path = swarm_roles.consul_file()
    return path.with_name(path.name + _REPLACED)


def _parsed(text: str | None) -> dict:
    try:
        value = json.loads(text or "{}")
    except ValueError:
        # Somebody has edited it; it is written anew.
        return {}
    return value if isinstance(value, dict) else {}


def proven() -> str | None:
    """Return the text that Consul last worked with, ``None`` if there is none."""
    before = swarm_files.read(_before())
    return before if before is not None else swarm_files.read(swarm_roles.consul_file())


def config() -> dict:
    """Return the configuration in ``consul.json``, ``{}`` for none."""
    return _parsed(swarm_files.read(swarm_roles.consul_file()))


def has_joined() -> bool:
    """Return whether Consul here is a server that joined others, and may begin nothing itself."""
    present = _parsed(proven())
    return bool(present.get("server")) and "bootstrap_expect" not in present


def is_server() -> bool:
    """Return whether ``consul.json`` is that of a server."""
    return bool(config().get("server"))


def was_server() -> bool:
    """Return whether Consul of this host was a server when it last worked."""
    return bool(_parsed(proven()).get("server"))


def connect(settings: Mapping, token: str | None = None, timeout: float = 5) -> object:
    """Return a client of this host's Consul, reached as its file says rather than pillar."""
    present = config()
    files = swarm_certs.NODE.current()
    if not present:
        return swarm_kv.connect(settings, files, timeout, token)
    ports = present.get("ports", {})
    used = ports.get("https", -1) > 0
    if used and Path(present.get("ca_file", "")).is_file():
        files = Files(*(present.get(f"{one}_file", "") for one in ("ca", "cert", "key")), gossip="")
    port = ports["https"] if used else ports.get("http", settings["consul"]["http_port"])
    reached = {
        **settings,
        "tls": {**settings["tls"], "used": used},
        "consul": {**settings["consul"], "http_port": port},
    }
    return swarm_kv.connect(reached, files, timeout, token)


def _digest(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _core(text: str) -> str:
    """Return a digest of what a running Consul has read, but for how it finds the others."""
    return _digest({key: one for key, one in _parsed(text).items() if key not in _FOR_START})


def _read_as(label: str) -> str | None:
    """Return the digest of what the container with this label has read, ``None``: unknown."""
    noted = swarm_files.record(_RECORD).get("read", {})
    if label in noted:
        return noted[label]
    for text in (proven(), swarm_files.read(swarm_roles.consul_file())):
        if text is not None and _digest(text) == label:
            return _core(text)
    return None


def runs_with(container: Mapping, wanted: str, led: bool) -> bool:
    """
    Say whether Consul needs no restart for the wanted text.

    container
        What ``swarm_container.get`` says of Consul's; empty for none.

    led
        Whether it has found the others. If not, it has to have read how to find them.
    """
    label = container.get("labels", {}).get(swarm_roles.CONFIG_LABEL)
    if label is None or _read_as(label) != _core(wanted):
        return False
    return led or _has_read(container["started"], wanted)


def _has_read(started: str, wanted: str) -> bool:
    """Say whether a container was started since the file holds this text."""
    path = swarm_roles.consul_file()
    if swarm_files.read(path) != wanted:
        return False
    # Docker's time has nanoseconds, which Python 3.10 does not read.
    when = datetime.datetime.fromisoformat(f"{started[:19]}+00:00").timestamp()
    return when > path.stat().st_mtime


def changes(wanted: str) -> dict:
    """Return in which keys ``consul.json`` differs; values only of those that are no secrets."""
    if swarm_files.read(swarm_roles.consul_file()) in (wanted, None):
        return {}
    old, new = config(), _parsed(wanted)
    keys = sorted(key for key in {**old, **new} if old.get(key) != new.get(key))
    return {
        "consul.json": {
            key: (
                {"old": old.get(key), "new": new.get(key)}
                if key in _FOR_START
                else {"old": "another value" if key in old else None, "new": "that of pillar"}
            )
            for key in keys
        }
        or {"old": "edited", "new": "as pillar has it"}
    }


def _trusted(certs: list[str], bundles: list[str]) -> bool:
    # Of a chain, the CA has signed another certificate than the first.
    single = [one for one in certs if len(swarm_pki.bundle(one)) == 1]
    return all(swarm_pki.issuer(cert, bundle) for cert in single for bundle in bundles)


def works_with_others(wanted: str) -> bool:
    """
    Say whether a server with the wanted text works with servers that have the present one.

    If not, they change all at once and not in turns: the first would wait for the others.
    """
    old, new = _parsed(proven()), _parsed(wanted)
    if any(old.get(key) != new.get(key) for key in _COMMON):
        return False
    if old.get("ports", {}).get("serf_lan") != new.get("ports", {}).get("serf_lan"):
        return False
    certs, bundles = (
        [swarm_files.read(Path(one[key])) for one in (old, new) if key in one]
        for key in ("cert_file", "ca_file")
    )
    if None in certs or None in bundles:
        return True
    return _trusted(certs, bundles)


def write(text: str, label: str | None = None) -> None:
    """Write the file for the next start of Consul; ``label`` is that of the one that runs."""
    if label:
        swarm_files.note(_RECORD, {**swarm_files.record(_RECORD), "read": {label: _core(text)}})
    _write(swarm_roles.consul_file(), text)
    swarm_files.write(_before(), None)


def _write(path: Path, text: str | None) -> None:
    # It may hold the key of Consul's gossip.
    swarm_files.write(path, text, mode=0o600, keep=False)


@contextlib.contextmanager
def trial(text: str, started: Callable[[], contextlib.AbstractContextManager]) -> Iterator[None]:
    """
    Have the file hold ``text`` for what is started within; after an error, what it held before.

    started
        Gives a context manager, which raises an error if Consul does not work with that.
    """
    path, before = swarm_roles.consul_file(), proven()
    if before not in (None, text):
        _write(_before(), before)
    if swarm_files.read(path) != text:
        _write(path, text)
    try:
        with started():
            yield
    except BaseException:
        if before is not None:
            _write(path, before)
            swarm_files.write(_before(), None)
        raise
    swarm_files.write(_before(), None)


def joining() -> list[str]:
    """Return by which addresses Consul of this host is to find the servers that it joins."""
    return swarm_files.record(_RECORD).get("join", [])


def note_joining(addresses: list[str]) -> None:
    """Note them until this host is one of the servers, for the run after one that was killed."""
    noted = {**swarm_files.record(_RECORD), "join": addresses}
    swarm_files.note(_RECORD, {key: one for key, one in noted.items() if one})


def set_aside(volume: Path) -> None:
    """Keep what Raft knew on this host when it was a server before out of the Raft of now."""
    old, kept = volume / "raft", volume / "raft-replaced"
    if old.is_dir():
        shutil.rmtree(kept, ignore_errors=True)
        old.rename(kept)


def remove() -> None:
    """Remove the configuration and what is noted of it."""
    for path in (swarm_roles.consul_file(), _before()):
        swarm_files.write(path, None)
    swarm_files.note(_RECORD, {})
