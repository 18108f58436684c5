import copy
import datetime
import ipaddress
import json
import re
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import swarm_errors
import swarm_info
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

DATA = Path(__file__).parent / "data"
M1 = "10.77.0.11:2275"


@pytest.fixture
def info():
    """Return a function that gives ``/info`` of a real swarm 1.2.9, or of an engine."""
    return lambda name: copy.deepcopy(json.loads((DATA / f"info_{name}.json").read_text()))


@pytest.fixture
def primary(info):
    """Return ``/info`` of a real primary."""
    return info("primary")


def node_lines(**details):
    """Return the lines of one node, as 1.2.9 writes them."""
    return [[" m4", "10.77.0.14:2275"], *([f"  └ {key}", one] for key, one in details.items())]


def with_status(info, old, new):
    """Return ``info`` with one line replaced by others."""
    status = [one for pair in info["SystemStatus"] for one in (new if pair == old else [pair])]
    return {**info, "SystemStatus": status}


def test_primary(primary):
    manager = swarm_info.parse(primary, "10.77.0.12:3375")
    assert manager.role == "primary"
    assert manager.primary == "10.77.0.12:3375"
    assert manager.version == "swarm/1.2.9"
    assert sorted(manager.nodes) == [f"10.77.0.1{n}:2275" for n in (1, 2, 3)]


def test_replica_names_the_primary_and_lists_nodes_too(info):
    manager = swarm_info.parse(info("replica"), "10.77.0.11:3375")
    assert (manager.role, manager.primary) == ("replica", "10.77.0.12:3375")
    assert len(manager.nodes) == 3


def test_replica_without_leader(info):
    replica = with_status(info("replica"), ["Primary", "10.77.0.12:3375"], [["Primary", ""]])
    assert swarm_info.parse(replica, "10.77.0.11:3375").primary == ""


def test_node_details(primary):
    assert swarm_info.parse(primary).nodes[M1] == swarm_info.Node(
        name="m1",
        address=M1,
        id="WMPO:ARZ7:3SBM:FKMK:B5OH:ISYA:2KE3:EW23:J37W:HD3N:WBBE:OXNL|10.77.0.11:2275",
        status="Healthy",
        labels="kernelversion=5.10.0-28-amd64,"
        " operatingsystem=Debian GNU/Linux 12 (bookworm) (containerized), ostype=linux,"
        " storagedriver=overlay2, zone=a",
        version="20.10.5+dfsg1",
    )


def test_labels_of_a_node(primary):
    node = swarm_info.parse(primary).nodes[M1]
    assert swarm_info.label_pairs(node) == {
        "kernelversion=5.10.0-28-amd64",
        "operatingsystem=Debian GNU/Linux 12 (bookworm) (containerized)",
        "ostype=linux",
        "storagedriver=overlay2",
        "zone=a",
    }


def test_comma_in_an_admins_label_hides_none_of_ours():
    node = swarm_info.Node("m1", M1, labels="owner=a, b and c=d, zone=a")
    assert "zone=a" in swarm_info.label_pairs(node)


def test_pending_node_has_an_address_and_no_name(primary):
    primary["SystemStatus"] += [
        [" (unknown)", "10.77.0.14:2275"],
        ["  └ ID", ""],
        ["  └ Status", "Pending"],
        ["  └ Containers", "0"],
        ["  └ Labels", ""],
        ["  └ Error", "Cannot connect to the Docker daemon at tcp://10.77.0.14:2275."],
        ["  └ UpdatedAt", "2026-11-23T09:09:30Z"],
        ["  └ ServerVersion", ""],
    ]
    node = swarm_info.parse(primary).nodes["10.77.0.14:2275"]
    assert (node.name, node.status, node.id) == ("(unknown)", "Pending", "")
    assert node.error.startswith("Cannot connect to the Docker daemon")


def test_several_pending_nodes_are_told_apart(primary):
    for address in ("10.77.0.14:2275", "10.77.0.15:2275"):
        primary["SystemStatus"] += [[" (unknown)", address], ["  └ Status", "Pending"]]
    assert len(swarm_info.parse(primary).nodes) == 5


def test_node_that_is_called_like_a_key(primary):
    """A host may well be called ``Role``: what counts is the leading space."""
    primary["SystemStatus"] += [[" Role", "10.77.0.14:2275"], ["  └ Status", "Healthy"]]
    manager = swarm_info.parse(primary, "10.77.0.12:3375")
    assert manager.role == "primary"
    assert manager.nodes["10.77.0.14:2275"].name == "Role"


def test_swarm_without_nodes(primary):
    head = [pair for pair in primary["SystemStatus"] if not pair[0].startswith(" ")]
    assert swarm_info.parse({**primary, "SystemStatus": head}).nodes == {}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "is not a Swarm manager"),
        ([], "is not a Swarm manager"),
        ({}, "is not a Swarm manager"),
        ({"ServerVersion": "swarm/1.2.9", "SystemStatus": None}, "is not a Swarm manager"),
        ({"ServerVersion": "20.10.5", "SystemStatus": []}, "is not a Swarm manager"),
        ({"ServerVersion": "swarm/1.2.9", "SystemStatus": ["Role"]}, "broken SystemStatus: 'Role'"),
        ({"ServerVersion": "swarm/1.2.9", "SystemStatus": [["Role"]]}, "broken SystemStatus"),
        ({"ServerVersion": "swarm/1.2.9", "SystemStatus": [[" m1", []]]}, "broken SystemStatus"),
    ],
    ids=str,
)
def test_what_is_no_manager_is_refused(answer, words):
    with pytest.raises(swarm_errors.ApiError, match=words):
        swarm_info.parse(answer, "10.77.0.11:3375")


def test_engine_is_no_manager(info):
    """Whoever gives the manager the engine's port gets the engine's own ``/info``."""
    with pytest.raises(swarm_errors.ApiError, match=f"{M1} is not a Swarm manager"):
        swarm_info.parse(info("engine"), M1)


# ---- what follows from it


@pytest.fixture
def said(info):
    """Return what three managers say, one of which is off."""
    return {
        "m1": swarm_info.parse(info("replica"), "10.77.0.11:3375"),
        "m2": swarm_info.parse(info("primary"), "10.77.0.12:3375"),
        "m3": "manager 10.77.0.13:3375: no connection",
    }


def test_primary_of_several(said):
    assert swarm_info.primary(said) == "10.77.0.12:3375"


def test_a_replicas_word_makes_no_primary(said):
    """A replica goes on naming a primary that is off."""
    del said["m2"]
    assert swarm_info.primary(said) is None


def test_no_primary_is_explained(said):
    del said["m2"]
    assert swarm_info.no_primary(said) == (
        "no manager is primary; replicas that wait for the lock: m1;"
        " manager 10.77.0.13:3375: no connection"
    )


def test_healthy_node(said):
    assert swarm_info.unhealthy(said, M1) is None


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (set(), None),
        ({"zone=a"}, None),
        ({"zone=b"}, "the primary 10.77.0.12:3375 does not know zone=b of 10.77.0.11:2275 yet"),
        (
            {"zone=a", "ssd=true", "rack=7"},
            "the primary 10.77.0.12:3375 does not know rack=7, ssd=true of 10.77.0.11:2275 yet",
        ),
    ],
    ids=str,
)
def test_labels_that_the_scheduler_does_not_know_yet(said, labels, words):
    assert swarm_info.unknown_labels(said, M1, labels) == words


def test_labels_that_only_a_replica_does_not_know_are_no_matter(said, info):
    replica = json.loads(json.dumps(info("replica")).replace("zone=a", "zone=old"))
    said["m1"] = swarm_info.parse(replica, "10.77.0.11:3375")
    assert swarm_info.unknown_labels(said, M1, {"zone=a"}) is None


def test_node_that_has_not_registered(said):
    text = swarm_info.unhealthy(said, "10.77.0.14:2275")
    assert text == "10.77.0.14:2275 is not in the list of the primary, 10.77.0.12:3375"


@pytest.mark.parametrize(
    ("details", "words"),
    [
        (
            {"Status": "Unhealthy", "Error": "EOF"},
            "is Unhealthy to the primary 10.77.0.12:3375: EOF",
        ),
        (
            {"Status": "Pending"},
            "is Pending to the primary .*: the manager has not reached its eng",
        ),
        ({}, "is unknown to the primary"),
    ],
    ids=str,
)
def test_unhealthy_node_is_explained(said, primary, details, words):
    primary["SystemStatus"] += node_lines(**details)
    said["m2"] = swarm_info.parse(primary, "10.77.0.12:3375")
    text = swarm_info.unhealthy(said, "10.77.0.14:2275")
    assert re.search(words, text)


def test_without_primary_nobody_judges(said):
    del said["m2"]
    assert swarm_info.unhealthy(said, M1) == swarm_info.no_primary(said)


# ---- asking


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
    assert swarm_info.fetch(manager.endpoint).primary == manager.endpoint


def test_fetch_goes_through_no_proxy(manager, primary, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    manager.answer = (200, json.dumps(primary).encode())
    assert swarm_info.fetch(manager.endpoint).role == "primary"


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
    with pytest.raises(swarm_errors.ApiError, match=words):
        swarm_info.fetch(manager.endpoint)


def test_fetch_from_where_nobody_listens():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        endpoint = f"127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(swarm_errors.ApiError, match=f"manager {endpoint}: no connection"):
            swarm_info.fetch(endpoint)


def test_fetch_from_who_never_answers():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        endpoint = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(swarm_errors.ApiError, match="no answer in time"):
            swarm_info.fetch(endpoint, timeout=0.1)


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
    assert swarm_info.fetch(tls_manager.endpoint, pki).role == "primary"


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_fetch_by_tls_without_a_check_of_the_manager(tls_manager, pki):
    """``tls`` without ``tlsverify`` names no CA."""
    assert swarm_info.fetch(tls_manager.endpoint, {**pki, "ca": None}).role == "primary"


def test_manager_of_another_ca_is_refused(tls_manager, pki, tmp_path):
    other, _ = certificate("another CA")
    (tmp_path / "ca").write_bytes(other.public_bytes(serialization.Encoding.PEM))
    with pytest.raises(swarm_errors.ApiError, match="TLS fails"):
        swarm_info.fetch(tls_manager.endpoint, {**pki, "ca": str(tmp_path / "ca")})


def test_certificate_that_is_not_there_is_told(tls_manager, pki):
    with pytest.raises(swarm_errors.ApiError, match=r"/no/such/cert\.pem"):
        swarm_info.fetch(tls_manager.endpoint, {**pki, "cert": "/no/such/cert.pem"})
