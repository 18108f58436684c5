"""
What Docker's client knows of registries: logins in ``config.json``, and the CA of each.

Pure, and nothing in it puts a password, or what it is in base64, into a report or an error.
"""

import base64
import binascii
import re
from typing import NamedTuple

import swarm_errors
import swarm_pki

HUB = "docker.io"
# Docker's own name for the Hub in config.json.
_HUB_KEY = "https://index.docker.io/v1/"
_NONE = "no login"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class Outcome(NamedTuple):
    """What comes of it: ``config.json``, the report, and ``{host: user}`` of what is ours."""

    config: dict
    changes: dict
    noted: dict


def key(host: str) -> str:
    """Return under which key ``config.json`` has a registry."""
    return _HUB_KEY if host == HUB else host


def login(user: str, password: str) -> dict:
    """Return the entry of ``config.json`` for a login."""
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def user(entry: object) -> str | None:
    """Return whose login an entry is, ``None`` if it is none."""
    try:
        pair = base64.b64decode(entry["auth"], validate=True).decode()
    except (TypeError, KeyError, ValueError, binascii.Error):
        return None
    name, colon, _ = pair.partition(":")
    return name if colon else None


def refuse_password(password: str, what: str) -> None:
    """Refuse what Docker's client or HTTP would cut off, change or not take."""
    if _CONTROL.search(password):
        raise swarm_errors.SwarmError(
            f"{what} holds more than one line, or a control character: put the password there as"
            " one line, and nothing else"
        )


def _auths(config: dict, path: str) -> dict:
    found = config.get("auths") or {}
    if not isinstance(found, dict):
        raise swarm_errors.SwarmError(
            f"'auths' in {path} is no JSON object; correct it: nothing was touched"
        )
    return found


def _helper(config: dict, host: str) -> str | None:
    """Return the setting by which another program keeps the login to a registry."""
    helpers = config.get("credHelpers")
    if isinstance(helpers, dict) and helpers.get(key(host)):
        return f"credHelpers: {key(host)}"
    return "credsStore" if config.get("credsStore") else None


def refuse_helper(config: dict, host: str, path: str) -> None:
    """Refuse to write a login that Docker would not look at."""
    if setting := _helper(config, host):
        raise swarm_errors.SwarmError(
            f"{path} has '{setting}': Docker asks that program for the login to {host}, and not the"
            f" file. Take it out of {path}, or username and password out of"
            f" swarm:registries:{host} and give the program the login: docker login {host}"
        )


def merge(config: dict, wanted: dict, noted: dict, path: str) -> Outcome:
    """
    Return what becomes of ``config.json``. Everything in it that is not ours stays.

    wanted
        ``{host: (user, password)}``.

    noted
        ``{host: user}`` of the logins that the formula wrote. One that is somebody else's by now
        stays where it is.
    """
    auths, changes, ours = dict(_auths(config, path)), {}, {}
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
        # What an admin has written himself is his, though pillar says the same.
        if old != entry or host in noted:
            ours[host] = name
    rest = {name: value for name, value in config.items() if name != "auths" or auths}
    return Outcome({**rest, **({"auths": auths} if auths else {})}, changes, ours)


def authority(text: str, what: str) -> str:
    """Return the certificates of a text and nothing else of it, such as a key."""
    certs = swarm_pki.bundle(text) or [text]
    for one in certs:
        swarm_pki.check(one, what)
    return swarm_pki.joined(certs)


def fingerprint(text: str | None) -> str | None:
    """Return the SHA-256 of a CA's file, with all its certificates; ``None`` for none."""
    if text is None:
        return None
    try:
        return ", ".join(swarm_pki.fingerprints(text)) or "another file"
    except swarm_errors.SwarmError:
        return "another file"
