"""
Registry settings of the Docker client: logins in ``config.json``, and the CA of each registry.

Pure. Reports and errors never contain a password, either in plain text or in base64.
"""

import base64
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from swarm_formula.core import errors, pem_text

HUB = "docker.io"
# Docker's key for Docker Hub in config.json.
_HUB_KEY = "https://index.docker.io/v1/"
_NONE = "no login"
_CONTROL = r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]"


class Outcome(NamedTuple):
    """The new ``config.json``, the report, and ``{host: user}`` of the formula's logins."""

    config: dict[str, Any]
    changes: dict[str, Any]
    noted: dict[str, str]


def key(host: str) -> str:
    """Return the key of a registry in ``config.json``."""
    return _HUB_KEY if host == HUB else host


def login(user: str, password: str) -> dict[str, str]:
    """Return the entry in ``config.json`` for a login."""
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def user(entry: object) -> str | None:
    """Return the user name of an entry, ``None`` if it is not a login."""
    text = entry.get("auth") if isinstance(entry, dict) else None
    if not isinstance(text, str):
        return None
    try:
        pair = base64.b64decode(text, validate=True).decode()
    except ValueError:
        return None
    name, colon, _ = pair.partition(":")
    return name if colon else None


def refuse_password(password: str, what: str) -> None:
    """Raise an error if Docker's client or HTTP would truncate, alter or reject the password."""
    if re.search(_CONTROL, password):
        raise errors.SwarmError(
            f"{what} holds more than one line, or a control character: put the password there as"
            " one line, and nothing else"
        )


def _auths(config: dict[str, Any], path: str) -> dict[str, Any]:
    found = config.get("auths") or {}
    if not isinstance(found, dict):
        raise errors.SwarmError(
            f"'auths' in {path} is no JSON object; correct it: nothing was touched"
        )
    return found


def _helper(config: dict[str, Any], host: str) -> str | None:
    """Return the setting that delegates the login to a credential helper."""
    helpers = config.get("credHelpers")
    if isinstance(helpers, dict) and helpers.get(key(host)):
        return f"credHelpers: {key(host)}"
    return "credsStore" if config.get("credsStore") else None


def refuse_helper(config: dict[str, Any], host: str, path: str) -> None:
    """Raise an error if Docker would ignore the login because of a credential helper."""
    if setting := _helper(config, host):
        raise errors.SwarmError(
            f"{path} has '{setting}': Docker asks that program for the login to {host}, and not the"
            f" file. Take it out of {path}, or username and password out of"
            f" swarm:registries:{host} and give the program the login: docker login {host}"
        )


def merge(
    config: dict[str, Any],
    wanted: Mapping[str, tuple[str, str]],
    noted: Mapping[str, str],
    path: str,
) -> Outcome:
    """
    Return the new ``config.json``. Entries that are not the formula's stay.

    wanted
        ``{host: (user, password)}``.

    noted
        ``{host: user}`` of the logins that the formula wrote. A login that now has another user is
        not removed.
    """
    auths, ours = dict(_auths(config, path)), {}
    changes: dict[str, Any] = {}
    for host in [one for one in noted if one not in wanted]:
        if user(auths.get(key(host))) == noted[host]:
            del auths[key(host)]
            changes[f"registry {host}"] = {"old": f"login of {noted[host]}", "new": _NONE}
    for host, (name, password) in wanted.items():
        refuse_helper(config, host, path)
        entry, old = login(name, password), auths.get(key(host))
        if old != entry:
            auths[key(host)] = entry
            before = "another login" if old else _NONE
            changes[f"registry {host}"] = {"old": before, "new": f"login of {name}"}
        # A login that the administrator wrote stays theirs, even if the pillar has the same login.
        if old != entry or host in noted:
            ours[host] = name
    rest = {name: value for name, value in config.items() if name != "auths" or auths}
    return Outcome({**rest, **({"auths": auths} if auths else {})}, changes, ours)


def authority(text: str, what: str) -> str:
    """Return only the certificates in a text, without other content such as a key."""
    from swarm_formula.tls import pki

    certs = pem_text.bundle(text) or [text]
    for one in certs:
        pki.check(one, what)
    return pem_text.joined(certs)


def refuse_foreign(
    path: Path, current: str | None, wanted: str, ours: str | None, cas: str
) -> None:
    """
    Raise an error if the file for the CA of the swarm's own registry is somebody else's.

    ours
        Fingerprints of the CA that the formula has recorded for this registry.

    cas
        Certificates of the CAs that the swarm has and had: a run that was killed may have recorded
        one, and left the other in the file.
    """
    if current in (None, wanted) or fingerprint(current) == ours:
        return
    certs = set(pem_text.bundle(current or ""))
    if certs and certs <= set(pem_text.bundle(cas)):
        return
    raise errors.SwarmError(
        f"{path} is not the formula's, and holds {fingerprint(current)}: the swarm's CA, for the"
        f" registry of swarm:registry, has its place there. Rename it, e.g. to own.crt, which"
        " Docker trusts as well, and apply again; nothing was changed"
    )


def fingerprint(text: str | None) -> str | None:
    """Return the SHA-256 of all certificates in a CA file; ``None`` without a file."""
    if text is None:
        return None
    try:
        return ", ".join(pem_text.fingerprints(text)) or "another file"
    except errors.SwarmError:
        return "another file"
