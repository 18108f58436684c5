"""
Create and check keys, certificates and CAs, with ``cryptography``, a dependency of Salt.

Pure. Keys and certificates are PEM texts. Swarm 1.2.9 was built with Go 1.7: it supports RSA and
ECDSA, but not Ed25519, and TLS 1.2.
"""

import datetime
import ipaddress
from collections.abc import Iterable
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from swarm_formula.core import errors, pem_text
from swarm_formula.tls.ca_request import CLIENT, SERVER, Grant

EC, RSA = "ec", "rsa"
_RSA_BITS = 3072
# A host whose clock is slow has to accept a certificate that has just been issued.
_SKEW = datetime.timedelta(hours=1)
_USAGES = {
    SERVER: ExtendedKeyUsageOID.SERVER_AUTH,
    CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH,
}


class Authority(NamedTuple):
    """The certificate and the key of a CA."""

    cert: str
    key: str


def now() -> datetime.datetime:
    """Return the current time in UTC."""
    return datetime.datetime.now(datetime.timezone.utc)


def _after(days: float) -> datetime.datetime:
    return now() + datetime.timedelta(days=days)


def new_key(kind: str = EC) -> str:
    """Return a new private key, ``ec`` (P-256) or ``rsa`` (3072 bits)."""
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    if kind == RSA:
        key = rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
    else:
        key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def _key(pem: str, what: str = "the key") -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError) as err:
        raise errors.SwarmError(f"{what} is no private key as PEM: {_words(err)}") from err
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise errors.SwarmError(f"{what} is neither RSA nor ECDSA: Swarm knows no other")
    return key


def _cert(pem: str, what: str = "the certificate") -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError as err:
        raise errors.SwarmError(f"{what} is no certificate as PEM: {_words(err)}") from err


def _words(err: Exception) -> str:
    return str(err).split(". See ", 1)[0] or type(err).__name__


def _pem(cert: x509.Certificate | x509.CertificateSigningRequest) -> str:
    return cert.public_bytes(serialization.Encoding.PEM).decode()


def _title(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def request(key: str, name: str) -> str:
    """Return a certificate signing request; the CA decides what the certificate contains."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(_title(name))
    return _pem(builder.sign(_key(key), hashes.SHA256()))


def _end(cert: x509.Certificate) -> datetime.datetime:
    # The attribute is new in cryptography 42; the older one has no time zone and emits a warning.
    found = getattr(cert, "not_valid_after_utc", None)
    return found or cert.not_valid_after.replace(tzinfo=datetime.timezone.utc)


def _builder(name: x509.Name, issuer: x509.Name, end: datetime.datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() - _SKEW)
        .not_valid_after(end)
    )


def _usage(signs: bool, encrypts: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_encipherment=encrypts,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def new_authority(name: str, days: float, kind: str = EC) -> Authority:
    """Return a new CA that is valid for ``days`` days."""
    pem = new_key(kind)
    key, title = _key(pem), _title(name)
    public = key.public_key()
    builder = _builder(title, title, _after(days)).public_key(public)
    for extension, critical in (
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (_usage(signs=True), True),
        (x509.SubjectKeyIdentifier.from_public_key(public), False),
    ):
        builder = builder.add_extension(extension, critical=critical)
    return Authority(_pem(builder.sign(key, hashes.SHA256())), pem)


def sign(request: str, authority: Authority, grant: Grant, days: float) -> str:
    """
    Return a certificate for the key of a request, with the contents of the grant and nothing else.

    It expires no later than the CA's certificate.
    """
    try:
        asked = x509.load_pem_x509_csr(request.encode())
        genuine = asked.is_signature_valid
    except (ValueError, TypeError, AttributeError, InvalidSignature) as err:
        raise errors.SwarmError(f"this is no request for a certificate: {err}") from err
    if not genuine:
        raise errors.SwarmError("the request for a certificate is not signed by its own key")
    public = asked.public_key()
    if not isinstance(public, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise errors.SwarmError("the key is neither RSA nor ECDSA: Swarm knows no other")
    ca, key = _cert(authority.cert), _key(authority.key)
    end = min(_after(days), _end(ca))
    builder = _builder(_title(grant.name), ca.subject, end).public_key(public)
    usages = [_USAGES[one] for one in grant.usages]
    alternatives = [
        *(x509.DNSName(one) for one in grant.names),
        *(x509.IPAddress(ipaddress.ip_address(one)) for one in grant.addresses),
    ]
    extensions = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage(signs=False, encrypts=isinstance(public, rsa.RSAPublicKey)), True),
        (x509.ExtendedKeyUsage(usages), False),
        (x509.SubjectKeyIdentifier.from_public_key(public), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False),
    ]
    if alternatives:
        extensions.append((x509.SubjectAlternativeName(alternatives), False))
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return _pem(builder.sign(key, hashes.SHA256()))


def check(pem: str, what: str) -> None:
    """Raise an error if a text is not a certificate."""
    _cert(pem, what)


def days_left(pem: str) -> float:
    """Return the days until a certificate expires; negative if it has expired."""
    return (_end(_cert(pem)) - now()).total_seconds() / 86400


def units(pem: str) -> set[str]:
    """Return the organizational units of a certificate's subject."""
    found = _cert(pem).subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    return {one.value for one in found if isinstance(one.value, str)}


def names(pem: str) -> set[str]:
    """Return the host names and addresses for which a certificate is valid."""
    try:
        found = _cert(pem).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    addresses = {str(one) for one in found.get_values_for_type(x509.IPAddress)}
    return addresses | set(found.get_values_for_type(x509.DNSName))


def differs(pem: str, grant: Grant) -> str | None:
    """Return how a certificate differs from its grant, or ``None``."""
    return _other(usages(pem), {*grant.usages}) or other_names(pem, grant)


def other_names(pem: str, grant: Grant) -> str | None:
    """Return which names and addresses a certificate lacks or has beyond its grant, or ``None``."""
    return _other(names(pem), {*grant.names, *grant.addresses})


def _other(have: set[str], due: set[str]) -> str | None:
    if missing := sorted(due - have):
        return f"signed for {', '.join(missing)} as well"
    if surplus := sorted(have - due):
        return f"signed for {', '.join(surplus)} no more"
    return None


def usages(pem: str) -> set[str]:
    """Return the usages that a certificate names; a certificate without any is for all of them."""
    try:
        found = _cert(pem).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return set()
    words = {oid: word for word, oid in _USAGES.items()}
    return {words.get(one, one.dotted_string) for one in found}


def issuer(pem: str, authorities: str) -> str | None:
    """Return the fingerprint of the CA that signed a certificate, ``None`` if none of these did."""
    cert = _cert(pem)
    for one in pem_text.bundle(authorities):
        try:
            cert.verify_directly_issued_by(_cert(one))
        except (ValueError, TypeError, InvalidSignature):
            continue
        return pem_text.fingerprint(one)
    return None


def kind(key: str) -> str:
    """Return whether a key is ``ec`` or ``rsa``."""
    return RSA if isinstance(_key(key), rsa.RSAPrivateKey) else EC


def faults(
    cert: str, key: str, authorities: str, due: Iterable[str], needed: Iterable[str]
) -> list[str]:
    """
    Return why the user's own files are not valid, as texts.

    due
        Names and addresses that the certificate must contain.

    needed
        Usages that it must allow; it may allow more.
    """
    found = []
    first = (pem_text.bundle(cert) or [cert])[0]
    parsed, private = _cert(first), _key(key)
    if parsed.public_key() != private.public_key():
        found.append("the key is not that of the certificate")
    if not pem_text.bundle(authorities):
        found.append("the CA's file holds no certificate as PEM")
    elif len(pem_text.bundle(cert)) == 1 and issuer(first, authorities) is None:
        found.append("none of these CAs has signed the certificate")
    if fault := untimely(first):
        found.append(f"the certificate {fault}")
    if missing := sorted(set(due) - names(first)):
        have = ", ".join(sorted(names(first))) or "nothing"
        found.append(f"the certificate is for {have}, and not for {', '.join(missing)}")
    if (allowed := usages(first)) and (lacking := sorted(set(needed) - allowed)):
        found.append(f"the certificate lacks the usage {', '.join(lacking)}")
    return found


def _begins(cert: x509.Certificate) -> datetime.datetime:
    found = getattr(cert, "not_valid_before_utc", None)
    return found or cert.not_valid_before.replace(tzinfo=datetime.timezone.utc)


def untimely(cert: str) -> str | None:
    """Return why a certificate is not valid by this host's clock, or ``None`` if it is."""
    if (begins := _begins(_cert(cert))) > now():
        return (
            f"is not valid before {begins:%Y-%m-%d %H:%M} UTC, and by the clock of this host it is"
            f" {now():%Y-%m-%d %H:%M}"
        )
    left = days_left(cert)
    return f"has expired {-left:.0f} day(s) ago" if left <= 0 else None
