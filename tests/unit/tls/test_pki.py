import datetime
import ssl
import subprocess
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_formula.core import errors, pem_text
from swarm_formula.tls import pki

# Knows nothing of Salt.
pytestmark = pytest.mark.once

BOTH = (pki.SERVER, pki.CLIENT)
GRANT = pki.Grant("m1", BOTH, ("m1", "localhost"), ("10.77.0.11", "127.0.0.1"))


@pytest.fixture(scope="module", params=[pki.EC, pki.RSA])
def kind(request):
    """Return a kind of key."""
    return request.param


@pytest.fixture(scope="module")
def authority(kind):
    """Return a CA."""
    return pki.new_authority("a swarm", 3650, kind)


@pytest.fixture(scope="module")
def key(kind):
    """Return a node's key."""
    return pki.new_key(kind)


@pytest.fixture(scope="module")
def cert(authority, key):
    """Return its certificate."""
    return pki.sign(pki.request(key, "m1"), authority, GRANT, 90)


def context(folder, side, cert, key, ca):
    """Return one side of a connection in which both show a certificate."""
    for name, text in (("cert", cert), ("key", key), ("ca", ca)):
        (folder / name).write_text(text)
    found = ssl.SSLContext(side)
    found.load_cert_chain(folder / "cert", folder / "key")
    found.load_verify_locations(folder / "ca")
    found.verify_mode = ssl.CERT_REQUIRED
    found.maximum_version = ssl.TLSVersion.TLSv1_2
    return found


def shake_hands(server, client, name):
    """Connect both through memory; raises what either side has against the other."""
    ends = {}
    for who, made, options in (
        ("server", server, {"server_side": True}),
        ("client", client, {"server_hostname": name}),
    ):
        ends[who] = ssl.MemoryBIO(), ssl.MemoryBIO()
        ends[who] += (made.wrap_bio(*ends[who], **options),)
    done = set()
    for _ in range(8):
        for who, other in (("client", "server"), ("server", "client")):
            _, out, link = ends[who]
            if who not in done:
                try:
                    link.do_handshake()
                    done.add(who)
                except ssl.SSLWantReadError:
                    pass
            ends[other][0].write(out.read())
    assert done == {"server", "client"}


def test_node_is_server_and_client_alike_by_tls_1_2(tmp_path, cert, key, authority):
    server = context(tmp_path, ssl.PROTOCOL_TLS_SERVER, cert, key, authority.cert)
    client = context(tmp_path, ssl.PROTOCOL_TLS_CLIENT, cert, key, authority.cert)
    for name in ("10.77.0.11", "m1", "127.0.0.1", "localhost"):
        shake_hands(server, client, name)
    for name in ("10.77.0.12", "m2"):
        with pytest.raises(ssl.SSLCertVerificationError):
            shake_hands(server, client, name)


def test_certificate_of_another_ca_is_no_certificate(tmp_path, cert, key, authority):
    other = pki.new_authority("a swarm", 3650)
    strange = pki.sign(pki.request(key, "m1"), other, GRANT, 90)
    server = context(tmp_path, ssl.PROTOCOL_TLS_SERVER, cert, key, authority.cert)
    client = context(tmp_path, ssl.PROTOCOL_TLS_CLIENT, strange, key, authority.cert)
    with pytest.raises(ssl.SSLError):
        shake_hands(server, client, "m1")


def test_client_is_no_server(tmp_path, cert, key, authority):
    grant = pki.Grant("client of m1", (pki.CLIENT,))
    of_client = pki.sign(pki.request(key, "x"), authority, grant, 90)
    node = context(tmp_path, ssl.PROTOCOL_TLS_SERVER, cert, key, authority.cert)
    client = context(tmp_path, ssl.PROTOCOL_TLS_CLIENT, of_client, key, authority.cert)
    shake_hands(node, client, "m1")
    false_node = context(tmp_path, ssl.PROTOCOL_TLS_SERVER, of_client, key, authority.cert)
    client = context(tmp_path, ssl.PROTOCOL_TLS_CLIENT, cert, key, authority.cert)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(false_node, client, "m1")


def test_node_that_is_no_client(tmp_path, cert, key, authority):
    grant = GRANT._replace(usages=(pki.SERVER,))
    of_node = pki.sign(pki.request(key, "m1"), authority, grant, 90)
    node = context(tmp_path, ssl.PROTOCOL_TLS_SERVER, of_node, key, authority.cert)
    shake_hands(node, context(tmp_path, ssl.PROTOCOL_TLS_CLIENT, cert, key, authority.cert), "m1")
    false_client = context(tmp_path, ssl.PROTOCOL_TLS_CLIENT, of_node, key, authority.cert)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(node, false_client, "m1")


@pytest.mark.parametrize("usages", [(), BOTH[:1], BOTH[1:]], ids=str)
def test_certificate_of_other_usages_is_told_with_them(cert, key, authority, usages):
    grant = GRANT._replace(usages=usages)
    told = pki.differs(cert, grant)
    assert told == f"signed for {', '.join(sorted({*BOTH} - {*usages}))} no more"
    if usages:
        other = pki.sign(pki.request(key, "m1"), authority, grant, 90)
        assert pki.differs(other, grant) is None
        assert pki.differs(other, GRANT).endswith(" as well")


def test_users_certificate_has_to_do_for_what_it_is_needed(key):
    authority = pki.new_authority("a company", 90)
    grant = GRANT._replace(usages=(pki.SERVER,))
    cert = pki.sign(pki.request(key, "m1"), authority, grant, 9)
    given_files = (cert, key, authority.cert, ["10.77.0.11"])
    assert pki.faults(*given_files, [pki.SERVER]) == []
    lacks = ["the certificate lacks the usage clientAuth"]
    assert pki.faults(*given_files, BOTH) == lacks


def test_who_trusts_both_takes_a_certificate_of_either(tmp_path, cert, key, authority):
    new = pki.new_authority("a swarm", 3650)
    renewed = pki.sign(pki.request(key, "m1"), new, GRANT, 90)
    both = pem_text.joined([authority.cert, new.cert])
    client = context(tmp_path, ssl.PROTOCOL_TLS_CLIENT, cert, key, both)
    for one in (cert, renewed):
        shake_hands(context(tmp_path, ssl.PROTOCOL_TLS_SERVER, one, key, both), client, "m1")
    assert pki.issuer(cert, both) == pem_text.fingerprint(authority.cert)
    assert pki.issuer(renewed, both) == pem_text.fingerprint(new.cert)
    assert pki.issuer(renewed, authority.cert) is None
    assert pem_text.fingerprints(both) == [
        pem_text.fingerprint(authority.cert),
        pem_text.fingerprint(new.cert),
    ]


def test_openssl_agrees(tmp_path, cert, authority):
    (tmp_path / "ca").write_text(authority.cert)
    (tmp_path / "cert").write_text(cert)
    for purpose in ("sslserver", "sslclient"):
        words = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", "ca", "cert"]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: S603
        assert done.stdout == "cert: OK\n", done.stderr


def test_what_it_says_is_what_was_granted_and_not_what_was_asked(key, authority):
    request = pki.request(key, "m1, the one and only")
    grant = pki.Grant("m4", BOTH, ("m4",), ("10.77.0.14",))
    cert = pki.sign(request, authority, grant, 9)
    assert pki.names(cert) == {"m4", "10.77.0.14"}
    assert 8.9 < pki.days_left(cert) <= 9


def test_certificate_ends_no_later_than_its_ca(key):
    authority = pki.new_authority("a swarm", 5)
    cert = pki.sign(pki.request(key, "m1"), authority, GRANT, 90)
    assert pki.days_left(cert) == pytest.approx(pki.days_left(authority.cert), abs=0.01)


def test_request_that_its_own_key_has_not_signed(authority):
    good = pki.request(pki.new_key(), "m1")
    lines = good.splitlines()
    lines[-2] = lines[-2][:-8] + ("A" * 4) + lines[-2][-4:]
    with pytest.raises(errors.SwarmError, match="request for a certificate"):
        pki.sign("\n".join(lines), authority, GRANT, 90)


@given(st.text() | st.text().map(lambda text: f"-----BEGIN CERTIFICATE-----\n{text}"))
def test_what_is_no_pem_is_told(text):
    for function in (pem_text.fingerprint, pki.days_left, pki.names, pki.kind):
        with pytest.raises(errors.SwarmError, match="as PEM"):
            function(text)
    with pytest.raises(errors.SwarmError):
        pki.sign(text, pki.Authority("", ""), GRANT, 1)


def test_key_that_swarm_does_not_know():
    done = subprocess.run(
        ["openssl", "genpkey", "-algorithm", "ed25519"],  # noqa: S607
        capture_output=True,
        text=True,
        check=True,
    )
    with pytest.raises(errors.SwarmError, match="neither RSA nor ECDSA"):
        pki.kind(done.stdout)


# ---- files that a user brings


def test_good_files_have_no_fault(cert, key, authority):
    assert pki.faults(cert, key, authority.cert, {"10.77.0.11"}, BOTH) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"key": pki.new_key}, "the key is not that of the certificate"),
        (
            {"due": lambda: ["10.77.0.12"]},
            "is for 10.77.0.11, 127.0.0.1, localhost, m1, and not for 10.77.0.12",
        ),
        ({"ca": lambda: "nothing"}, "the CA's file holds no certificate"),
        (
            {"ca": lambda: pki.new_authority("x", 9).cert},
            "none of these CAs has signed the certificate",
        ),
    ],
    ids=["key", "address", "no CA", "another CA"],
)
def test_bad_files_are_told(cert, key, authority, change, words):
    given_files = {"cert": cert, "key": key, "ca": authority.cert, "due": ["10.77.0.11"]}
    order = ("cert", "key", "ca", "due")
    given_files |= {name: make() for name, make in change.items()}
    (fault,) = pki.faults(*(given_files[one] for one in order), BOTH)
    assert words in fault


def test_client_only_and_expired_is_told(key):
    authority = pki.new_authority("a swarm", 90)
    grant = pki.Grant("x", (pki.CLIENT,), ("x",), ("10.77.0.11",))
    cert = pki.sign(pki.request(key, "x"), authority, grant, -0.02)
    assert pki.faults(cert, key, authority.cert, ["10.77.0.11"], BOTH) == [
        "the certificate has expired 0 day(s) ago",
        "the certificate lacks the usage serverAuth",
    ]


def test_certificate_of_the_future_is_told_with_the_clock(key, authority, monkeypatch):
    now, ahead = pki.now, datetime.timedelta(days=3)
    with monkeypatch.context() as patched:
        patched.setattr(pki, "now", lambda: now() + ahead)
        cert = pki.sign(pki.request(key, "m1"), authority, GRANT, 90)
    (fault,) = pki.faults(cert, key, authority.cert, ["10.77.0.11"], BOTH)
    assert "is not valid before" in fault
    assert "the clock of this host" in fault


def test_two_threads_get_two_serial_numbers(key, authority):
    made = []
    request = pki.request(key, "m1")
    threads = [
        threading.Thread(target=lambda: made.append(pki.sign(request, authority, GRANT, 90)))
        for _ in range(4)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len({pem_text.fingerprint(one) for one in made}) == 4
