"""
Read and replace ``consul.json``, the configuration of Consul on this host.

Until a replacement has proved to work, the previous text is kept beside it; a run that is killed
leaves both files.
"""

import contextlib
import datetime
import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from swarm_formula.consul import agent_api, container_spec, schema
from swarm_formula.core import host_files, pem_text
from swarm_formula.core.settings_types import Settings
from swarm_formula.tls import cert_files, certificate_due, pki
from swarm_formula.tls.cert_files import Files

_RECORD = "consul"
# Keys that Consul uses only to find the other servers when it starts.
_FOR_START = ("bootstrap_expect", "retry_join")
# Keys that must be equal on all servers: they cannot be changed on one server after the other.
_COMMON = ("encrypt", "verify_outgoing", "verify_incoming")
_REPLACED = "-replaced"


def _before() -> Path:
    path = container_spec.consul_file()
    return path.with_name(path.name + _REPLACED)


def _parsed(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except ValueError:
        # The file was edited by hand; it will be replaced.
        return {}
    return schema.read(value) if isinstance(value, dict) else {}


def proven() -> str | None:
    """Return the text that Consul last worked with, ``None`` if there is none."""
    before = host_files.read(_before())
    return before if before is not None else host_files.read(container_spec.consul_file())


def config() -> dict[str, Any]:
    """Return the configuration in ``consul.json``, ``{}`` if there is none."""
    return _parsed(host_files.read(container_spec.consul_file()))


def has_joined() -> bool:
    """Check whether Consul here is a server that joined others and must not bootstrap a cluster."""
    present = _parsed(proven())
    return bool(present.get("server")) and "bootstrap_expect" not in present


def is_server() -> bool:
    """Check whether ``consul.json`` is the configuration of a server."""
    return bool(config().get("server"))


def was_server() -> bool:
    """Check whether Consul on this host was a server when it last worked."""
    return bool(_parsed(proven()).get("server"))


def connect(settings: Settings, token: str | None = None, timeout: float = 5) -> agent_api.Client:
    """Return a client of this host's Consul, with the settings of its file, not of the pillar."""
    present = config()
    files = certificate_due.consul_files(settings, cert_files.NODE.current())
    if not present:
        return agent_api.connect(settings, files, timeout, token)
    ports = present.get("ports", {})
    used = ports.get("https", -1) > 0
    if used and Path(present.get("ca_file", "")).is_file():
        ca, cert, key = (str(present.get(f"{one}_file", "")) for one in ("ca", "cert", "key"))
        files = Files(ca, cert, key, gossip="")
    port = ports["https"] if used else ports.get("http", settings["consul"]["http_port"])
    reached: Settings = {
        **settings,
        "tls": {**settings["tls"], "used": used},
        "consul": {**settings["consul"], "http_port": port},
    }
    return agent_api.connect(reached, files, timeout, token)


def _digest(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _core(config: Mapping[str, Any]) -> str:
    """Return a digest of a configuration without the keys that only find other servers."""
    return _digest({key: one for key, one in config.items() if key not in _FOR_START})


def _read_as(label: str) -> str | None:
    """Return the digest of what the container with this label has read, ``None`` if unknown."""
    noted = host_files.record(_RECORD).get("read", {})
    if label in noted:
        return str(noted[label])
    for text in (proven(), host_files.read(container_spec.consul_file())):
        if text is not None and _digest(text) == label:
            return _core(_parsed(text))
    return None


def runs_with(container: Mapping[str, Any], wanted: str, led: bool, rekeyed: bool = False) -> bool:
    """
    Check whether Consul can go on with the wanted text without a restart.

    container
        The container of Consul, as ``swarm_container.get`` returns it; empty if there is none.

    led
        Whether Consul has a leader. If not, it must also have read how to find the other servers.

    rekeyed
        Whether all running agents have the wanted gossip key already, beside that of the file: as
        long as Consul has a leader, it needs no restart.
    """
    label = container.get("labels", {}).get(container_spec.CONFIG_LABEL)
    if label is None:
        return False
    new, old, key = _parsed(wanted), config(), "encrypt"
    if rekeyed and led and key in new and key in old:
        new[key] = old[key]
    if _read_as(label) != _core(new):
        return False
    return led or _has_read(container["started"], wanted)


def _has_read(started: str, wanted: str) -> bool:
    """Check whether a container was started after this text was written to the file."""
    path = container_spec.consul_file()
    if host_files.read(path) != wanted:
        return False
    # Docker's timestamps have nanoseconds, which Python 3.10 cannot parse.
    when = datetime.datetime.fromisoformat(f"{started[:19]}+00:00").timestamp()
    return when > path.stat().st_mtime


def changes(wanted: str) -> dict[str, Any]:
    """Return the keys in which ``consul.json`` differs; values only of keys without secrets."""
    if host_files.read(container_spec.consul_file()) in (wanted, None):
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
    # Chains are skipped: in a chain, the CA has not signed the first certificate.
    single = [one for one in certs if len(pem_text.bundle(one)) == 1]
    return all(pki.issuer(cert, bundle) for cert in single for bundle in bundles)


def works_with_others(wanted: str) -> bool:
    """
    Check whether a server with the wanted text works with servers that have the present text.

    If not, all servers change at once and not in turns: the first would wait for the others.
    """
    old, new = _parsed(proven()), _parsed(wanted)
    if any(old.get(key) != new.get(key) for key in _COMMON):
        return False
    if old.get("ports", {}).get("serf_lan") != new.get("ports", {}).get("serf_lan"):
        return False
    certs, bundles = (_texts((old, new), key) for key in ("cert_file", "ca_file"))
    return certs is None or bundles is None or _trusted(certs, bundles)


def _texts(configs: Iterable[Mapping[str, Any]], key: str) -> list[str] | None:
    """Return the texts of the files that configurations name, ``None`` if one does not exist."""
    found = [host_files.read(Path(one[key])) for one in configs if key in one]
    texts = [one for one in found if one is not None]
    return texts if len(texts) == len(found) else None


def write(text: str, label: str | None = None) -> None:
    """Write the file for the next start of Consul; ``label`` is the running container's."""
    if label:
        host_files.note(
            _RECORD, {**host_files.record(_RECORD), "read": {label: _core(_parsed(text))}}
        )
    _write(container_spec.consul_file(), text)
    host_files.write(_before(), None)


def _write(path: Path, text: str | None) -> None:
    # The file may hold the gossip encryption key of Consul.
    host_files.write(path, text, mode=0o600, keep=False)


@contextlib.contextmanager
def trial(
    text: str, started: Callable[[], contextlib.AbstractContextManager[None]]
) -> Iterator[None]:
    """
    Write ``text`` to the file for the Consul started within; after an error, restore the old text.

    started
        Returns a context manager that raises an error if Consul does not work with the text.
    """
    path, before = container_spec.consul_file(), proven()
    if before not in (None, text):
        _write(_before(), before)
    if host_files.read(path) != text:
        _write(path, text)
    try:
        with started():
            yield
    except BaseException:
        if before is not None:
            _write(path, before)
            host_files.write(_before(), None)
        raise
    host_files.write(_before(), None)


def joining() -> list[str]:
    """Return the addresses by which Consul on this host finds the servers that it joins."""
    found: list[str] = host_files.record(_RECORD).get("join", [])
    return found


def note_joining(addresses: list[str]) -> None:
    """Save these addresses for the run after a killed one, until this host is a server."""
    noted = {**host_files.record(_RECORD), "join": addresses}
    host_files.note(_RECORD, {key: one for key, one in noted.items() if one})


def set_aside(volume: Path) -> None:
    """Move the Raft data away that is left from an earlier time of this host as a server."""
    old, kept = volume / "raft", volume / "raft-replaced"
    if old.is_dir():
        shutil.rmtree(kept, ignore_errors=True)
        old.rename(kept)


def remove() -> None:
    """Remove the configuration and its section of the record."""
    for path in (container_spec.consul_file(), _before()):
        host_files.write(path, None)
    host_files.note(_RECORD, {})
