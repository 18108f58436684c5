"""
Read which public key a file has, without gpg: Debian 13 has none. Pure functions.

https://www.rfc-editor.org/rfc/rfc4880: armor in 6.2, packets in 4.2, fingerprints in 12.2.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator

_BLOCK = (
    r"(?m)-----BEGIN PGP PUBLIC KEY BLOCK-----\r?\n(?:\S+: .*\r?\n)*[ \t]*\r?\n"
    r"([A-Za-z0-9+/=\s]+?)(?:^=[A-Za-z0-9+/]{4}\s+)?-----END PGP PUBLIC KEY BLOCK-----"
)
_PUBLIC_KEY, _VERSION = 6, 4
# The kinds of lengths of packets.
_ONE_OCTET, _TWO_OCTETS, _FIVE_OCTETS = 192, 224, 255


def block(text: str) -> str:
    """Return the armored public key in a text; raise ``ValueError`` if there is not just one."""
    found = [match[0] for match in re.finditer(_BLOCK, text)]
    if len(found) != 1:
        raise ValueError(f"{len(found) or 'no'} blocks PGP PUBLIC KEY BLOCK in place of one")
    return found[0].replace("\r", "") + "\n"


def fingerprints(text: str) -> list[str]:
    """
    Return the fingerprints of the primary keys in an armored block, in hex.

    Subkeys are bound to them by signatures, which apt checks.
    """
    match = re.search(_BLOCK, text)
    try:
        data = base64.b64decode("".join(match[1].split()), validate=True) if match else b""
        keys = [body for tag, body in _packets(data) if tag == _PUBLIC_KEY]
    except (binascii.Error, IndexError) as err:
        raise ValueError(f"a damaged key: {err}") from err
    if any(body[:1] != bytes([_VERSION]) for body in keys):
        raise ValueError("a key of another version of OpenPGP than 4")
    return [_fingerprint(body) for body in keys]


def _fingerprint(body: bytes) -> str:
    start = b"\x99" + len(body).to_bytes(2, "big")
    return hashlib.sha1(start + body, usedforsecurity=False).hexdigest().upper()


def _packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the tag and the body of each packet."""
    at = 0
    while at < len(data):
        first = data[at]
        if not first & 0x80:
            raise IndexError("no packet where one should begin")
        new = bool(first & 0x40)
        tag = first & 0x3F if new else first >> 2 & 0x0F
        size, length = _new_length(data, at + 1) if new else _old_length(data, at + 1, first & 3)
        at += 1 + size
        if at + length > len(data):
            raise IndexError("its end is missing")
        yield tag, data[at : at + length]
        at += length


def _old_length(data: bytes, at: int, kind: int) -> tuple[int, int]:
    """Return how many octets the length has, and the length."""
    size = (1, 2, 4, 0)[kind]
    return (size, int.from_bytes(data[at : at + size], "big")) if size else (0, len(data) - at)


def _new_length(data: bytes, at: int) -> tuple[int, int]:
    first = data[at]
    if first < _ONE_OCTET:
        return 1, first
    if first < _TWO_OCTETS:
        return 2, (first - 192 << 8) + data[at + 1] + 192
    if first == _FIVE_OCTETS:
        return 5, int.from_bytes(data[at + 1 : at + 5], "big")
    raise IndexError("a packet in parts")
