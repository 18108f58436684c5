"""
Encrypt a text for the holder of one key, with ``cryptography``, a dependency of Salt.

Pure except for random values. X25519 with a new key for each text, HKDF and AES-GCM: only the
recipient can read the text, and a changed text is refused. The sender is not authenticated.
"""

import base64

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from swarm_formula.core import errors

# The key of each text is new and used once, so that one nonce is enough.
_NONCE = bytes(12)
_SIZE = 32
_RAW = (serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def new_key() -> str:
    """Return a new private key for ``opened``."""
    try:
        key = X25519PrivateKey.generate()
    except UnsupportedAlgorithm as err:
        # Such as in FIPS mode, where everything else of the formula works.
        raise errors.SwarmError(f"this host cannot encrypt a copy of the CA: {err}") from err
    return _text(
        key.private_bytes(
            serialization.Encoding.Raw,
            serialization.PrivateFormat.Raw,
            serialization.NoEncryption(),
        )
    )


def public(key: str) -> str:
    """Return the public half of a key, for ``sealed``."""
    return _text(_private(key).public_key().public_bytes(*_RAW))


def sealed(text: str, recipient: str, purpose: str) -> dict[str, str]:
    """
    Return a text encrypted for the holder of the public key ``recipient``.

    purpose
        What the text is and for whom; ``opened`` has to name the same.
    """
    key = X25519PrivateKey.generate()
    own = key.public_key().public_bytes(*_RAW)
    try:
        other = X25519PublicKey.from_public_bytes(_bytes(recipient))
        shared = key.exchange(other)
    except ValueError as err:
        raise errors.SwarmError("this is no public key to encrypt for") from err
    cipher = _cipher(shared, own, other.public_bytes(*_RAW), purpose)
    return {"key": _text(own), "text": _text(cipher.encrypt(_NONCE, text.encode(), None))}


def opened(box: object, key: str, purpose: str) -> str:
    """Return the text that was encrypted for this private key and purpose."""
    private = _private(key)
    parts = box if isinstance(box, dict) else {}
    try:
        own = _bytes(parts["key"])
        shared = private.exchange(X25519PublicKey.from_public_bytes(own))
        cipher = _cipher(shared, own, private.public_key().public_bytes(*_RAW), purpose)
        return cipher.decrypt(_NONCE, _bytes(parts["text"]), None).decode()
    except (InvalidTag, KeyError, ValueError) as err:
        raise errors.SwarmError("it is damaged, or was encrypted for another key") from err


def _cipher(shared: bytes, sender: bytes, recipient: bytes, purpose: str) -> AESGCM:
    info = b"|".join((b"swarm-formula", sender, recipient, purpose.encode()))
    return AESGCM(HKDF(hashes.SHA256(), _SIZE, salt=None, info=info).derive(shared))


def _private(key: str) -> X25519PrivateKey:
    try:
        return X25519PrivateKey.from_private_bytes(_bytes(key))
    except ValueError as err:
        raise errors.SwarmError("this is no private key to decrypt with") from err


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _bytes(text: object) -> bytes:
    if not isinstance(text, str):
        raise ValueError("not base64")
    return base64.b64decode(text, validate=True)
