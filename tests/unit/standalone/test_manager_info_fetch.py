import datetime
import ipaddress
import json
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from swarm_formula.core import errors
from swarm_formula.standalone import manager_info


class Answer(BaseHTTPRequestHandler):
    """Gives what its server holds to every request."""

    def do_GET(self):
        status, body = self.server.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def manager():
    """Run a manager that gives ``manager.answer``; its address is ``manager.endpoint``."""
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        server.endpoint = f"127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_fetch(manager, primary):
    manager.answer = (200, json.dumps(primary).encode())
    assert manager_info.fetch(manager.endpoint).primary == manager.endpoint


def test_fetch_goes_through_no_proxy(manager, primary, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    manager.answer = (200, json.dumps(primary).encode())
    assert manager_info.fetch(manager.endpoint).role == "primary"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((500, b"No elected primary"), "it answers 500"),
        ((200, b"<html>"), "answers no JSON to /info"),
        ((200, b"{}"), "is not a Swarm manager"),
    ],
    ids=str,
)
def test_fetch_says_what_is_wrong_with_an_answer(manager, answer, words):
    manager.answer = answer
    with pytest.raises(errors.ApiError, match=words):
        manager_info.fetch(manager.endpoint)


def test_fetch_from_where_nobody_listens():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        endpoint = f"127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(errors.ApiError, match=f"manager {endpoint}: no connection"):
            manager_info.fetch(endpoint)


def test_fetch_from_who_never_answers():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        endpoint = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(errors.ApiError, match="no answer in time"):
            manager_info.fetch(endpoint, timeout=0.1)


# ---- TLS


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    """Return the paths of a CA, of a certificate for 127.0.0.1 by it, and of both their keys."""
    folder = tmp_path_factory.mktemp("pki")
    authority, ca_key = certificate("a CA")
    leaf, key = certificate("127.0.0.1", authority, ca_key)
    for name, thing in {"ca": authority, "cert": leaf}.items():
        (folder / name).write_bytes(thing.public_bytes(serialization.Encoding.PEM))
    (folder / "key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return {name: str(folder / name) for name in ("ca", "cert", "key")}


def certificate(name, issuer=None, issuer_key=None):
    """Return a new certificate and its key; without an issuer, that of a CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if issuer:
        address = x509.IPAddress(ipaddress.ip_address(name))
        builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    return builder.sign(issuer_key or key, hashes.SHA256()), key


@pytest.fixture
def tls_manager(manager, pki, primary):
    """Have the manager speak TLS, and to clients of the CA only."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=pki["ca"])
    context.load_cert_chain(pki["cert"], pki["key"])
    context.verify_mode = ssl.CERT_REQUIRED
    manager.socket = context.wrap_socket(manager.socket, server_side=True)
    manager.answer = (200, json.dumps(primary).encode())
    return manager


def test_fetch_by_tls(tls_manager, pki):
    assert manager_info.fetch(tls_manager.endpoint, pki).role == "primary"


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_fetch_by_tls_without_a_check_of_the_manager(tls_manager, pki):
    """``tls`` without ``tlsverify`` names no CA."""
    assert manager_info.fetch(tls_manager.endpoint, {**pki, "ca": None}).role == "primary"


def test_manager_of_another_ca_is_refused(tls_manager, pki, tmp_path):
    other, _ = certificate("another CA")
    (tmp_path / "ca").write_bytes(other.public_bytes(serialization.Encoding.PEM))
    with pytest.raises(errors.ApiError, match="TLS fails"):
        manager_info.fetch(tls_manager.endpoint, {**pki, "ca": str(tmp_path / "ca")})


def test_certificate_that_is_not_there_is_told(tls_manager, pki):
    with pytest.raises(errors.ApiError, match=r"/no/such/cert\.pem"):
        manager_info.fetch(tls_manager.endpoint, {**pki, "cert": "/no/such/cert.pem"})
