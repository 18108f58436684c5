"""
Take apart and join texts with certificates. Pure.

Without ``cryptography``, whose import takes as long as that of a hundred files of this package.
"""

import binascii
import hashlib
import re
import ssl
from collections.abc import Iterable

from swarm_formula.core import errors

_PEM = r"(?s)-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----"


def bundle(text: str) -> list[str]:
    """Return the certificates in a text as a list."""
    return [f"{one}\n" for one in re.findall(_PEM, text)]


def joined(certs: Iterable[str]) -> str:
    """Return certificates as one text, without duplicates."""
    return "".join(dict.fromkeys(f"{one.strip()}\n" for one in certs))


def fingerprint(pem: str, what: str = "the certificate") -> str:
    """Return the SHA-256 fingerprint of a certificate, in hex."""
    try:
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.strip())).hexdigest()
    except (ValueError, binascii.Error) as err:
        raise errors.SwarmError(f"{what} is not one certificate as PEM: {err}") from err


def fingerprints(text: str) -> list[str]:
    """Return the SHA-256 fingerprint of each certificate in a text."""
    return [fingerprint(one) for one in bundle(text)]
