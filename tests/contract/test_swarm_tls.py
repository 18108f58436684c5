"""
A swarm in which managers, engines and clients prove who they are, with both images.
"""

import http.client
import os
import shutil
import ssl
import subprocess

import pytest

from lab import workloads
from swarm_formula.docker import engine_api
from tests.contract.node import Node
from tests.contract.swarm_box import HOST, free_port, wait

FLAGS = (
    "--tlsverify",
    "--tlscacert=/tls/ca.pem",
    "--tlscert=/tls/cert.pem",
    "--tlskey=/tls/key.pem",
)


def openssl(folder, *words):
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)  # noqa: S603, S607


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A CA and one key pair that is server and client alike."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    (folder / "ext").write_text(
        f"subjectAltName=IP:{HOST}\nextendedKeyUsage=serverAuth,clientAuth\n"
    )
    new = ("-newkey", "rsa:2048", "-nodes")
    openssl(folder, "req", "-x509", *new, "-keyout=ca.key", "-out=ca.pem", "-subj=/CN=ca")
    openssl(folder, "req", *new, "-keyout=key.pem", "-out=request", "-subj=/CN=node")
    signed = ("-CA=ca.pem", "-CAkey=ca.key", "-CAcreateserial", "-extfile=ext", "-out=cert.pem")
    openssl(folder, "x509", "-req", "-in=request", *signed)
    return folder


@pytest.fixture(scope="module")
def node(settings, engine, certificates, tmp_path_factory):
    """An engine that asks for a certificate."""
    node = Node("node-t", tmp_path_factory.mktemp("node-t"), free_port(), [], certificates)
    node.start()
    _, tar = workloads.built(settings, engine, "busybox", workloads.BUSYBOX)
    client(node.address, certificates, "load", "-q", "-i", tar)
    yield node
    node.clear()


def client(address, certificates, *words, **more):
    """Run the docker command with the certificate and return what it prints."""
    env = os.environ | {
        "DOCKER_HOST": f"tcp://{address}",
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_CERT_PATH": str(certificates),
    }
    done = subprocess.run(  # noqa: S603
        ["docker", *words],  # noqa: S607
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **more,
    )
    return done.stdout if done.returncode == 0 else done.stderr


def test_everything_goes_through_a_replica_with_tls(swarm, prefix, node, certificates):
    swarm.mounts = [f"{certificates}:/tls:ro"]
    swarm.agent(prefix, node.address)
    addresses = []
    for _ in range(2):
        address = f"{HOST}:{free_port()}"
        words = ("-H", address, "--replication", "--advertise", address, *FLAGS)
        swarm.start("manage", *words, swarm.url(prefix))
        addresses.append(address)
        wait("it has the node", lambda at=address: "Healthy" in client(at, certificates, "info"))
    assert f"Primary: {addresses[0]}" in client(addresses[1], certificates, "info")
    files = {key: str(certificates / f"{key}.pem") for key in ("ca", "cert", "key")}
    with engine_api.connect(f"tcp://{addresses[1]}", 30, "the manager", files) as api:
        assert api.info()["ServerVersion"] == "swarm/1.2.9"
        assert api.containers(all=True) == []
    run = ("run", "-i", "--rm", "--network=none", "busybox:lab", "cat")
    assert client(addresses[1], certificates, *run, input="to and fro") == "to and fro"


def test_without_a_certificate_there_is_no_answer(swarm, prefix, certificates):
    swarm.mounts = [f"{certificates}:/tls:ro"]
    port = free_port()
    swarm.start("manage", "-H", f"{HOST}:{port}", *FLAGS, swarm.url(prefix))
    wait("it answers", lambda: "Role: primary" in client(f"{HOST}:{port}", certificates, "info"))
    assert https(port, certificates, known=True) == 200
    with pytest.raises(OSError):  # noqa: PT011
        https(port, certificates, known=False)


def https(port, certificates, known):
    """Ask for ``/info`` with or without a certificate and return the status."""
    context = ssl.create_default_context(cafile=certificates / "ca.pem")
    if known:
        context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    connection = http.client.HTTPSConnection(HOST, port, timeout=10, context=context)
    try:
        connection.request("GET", "/info")
        return connection.getresponse().status
    finally:
        connection.close()
