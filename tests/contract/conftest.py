"""
The image under test comes twice: the stand-in always, the real one when a folder has it.
"""

import contextlib
import os
import shutil
import uuid
from pathlib import Path

import pytest

from lab import config, machine, workloads
from lab.engine import Engine
from lab.run import LabError
from lab.standin import build
from tests.contract.node import Node
from tests.contract.swarm_box import HOST, PREFIX, Consul, Swarm, call, free_port, wait

REAL = "swarm:1.2.9"


@pytest.fixture(scope="session")
def settings():
    return config.settings(os.environ)


@pytest.fixture(scope="session")
def engine(settings):
    """The engine that carries everything; started, and then stopped, when there is none."""
    if os.geteuid() != 0:
        pytest.skip("the contract tests start Docker Engines: run them as root")
    engine = Engine(settings)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(engine.borrowed())
        except LabError as err:
            pytest.skip(f"no Docker engine to test with: {err}")
        yield engine


@pytest.fixture(scope="session")
def consul(settings, engine):
    """A Consul agent in a container."""
    image, tar = workloads.built(settings, engine, "consul", workloads.CONSUL)
    engine.docker("load", "-q", "-i", tar)
    ports = {name: free_port() for name in ("http-port", "server-port", "serf-lan-port")}
    off = ("dns-port", "grpc-port", "serf-wan-port")
    words = [f"-{name}={port}" for name, port in (ports | dict.fromkeys(off, -1)).items()]
    name = f"{PREFIX}-consul-{os.getpid()}"
    agent = ["agent", "-dev", "-client", HOST, "-bind", HOST, *words]
    engine.docker("run", "-d", "--name", name, "--network=host", image, *agent)
    found = Consul(ports["http-port"])
    try:
        wait("Consul has a leader", lambda: _leader(found))
        yield found
    finally:
        engine.docker("rm", "-f", "-v", name)


def _leader(consul):
    try:
        return call(consul.port, "GET", "/v1/status/leader").json()
    except OSError:
        return None


@pytest.fixture(scope="session")
def nodes(settings, engine, tmp_path_factory):
    """Two Docker Engines of our own, ``node-a`` and ``node-b``, in zones ``a`` and ``b``."""
    if not shutil.which("dockerd"):
        machine.install(["docker.io"], ["dockerd"])
    _, tar = workloads.built(settings, engine, "busybox", workloads.BUSYBOX)
    started = {}
    try:
        for letter in "ab":
            folder = tmp_path_factory.mktemp(f"node-{letter}")
            node = Node(f"node-{letter}", folder, free_port(), [f"zone={letter}"])
            started[letter] = node
            node.start()
            call(node.port, "POST", "/images/load", Path(tar).read_bytes(), timeout=60)
        yield started
    finally:
        for node in started.values():
            node.clear()


@pytest.fixture(scope="session", params=["stand-in", "real"])
def image(request, engine, tmp_path_factory):
    """The image under test, in the engine as long as it is tested."""
    if request.param == "real":
        folder = os.environ.get("SWARM_LAB_IMAGES")
        if not folder:
            pytest.skip(f"SWARM_LAB_IMAGES names no folder with an image tar of {REAL}")
        name, tar = REAL, workloads.find_tar(Path(folder), REAL)
        assert tar, f"SWARM_LAB_IMAGES={folder}: no *.tar in it holds an image {REAL}"
    else:
        tar = tmp_path_factory.mktemp("image") / "swarm.tar"
        name = build.build(tar)
    engine.docker("load", "-q", "-i", tar)
    yield name
    engine.docker("rmi", name, check=False)


@pytest.fixture
def swarm(engine, image, consul):
    """Processes of the image under test, for one test."""
    swarm = Swarm(engine, image, consul)
    yield swarm
    swarm.clear()


@pytest.fixture(scope="module")
def shared(engine, image, consul, nodes):
    """A manager that has both nodes; tests leave no container behind."""
    swarm = Swarm(engine, image, consul)
    prefix = f"shared-{image.partition(':')[0]}"
    for node in nodes.values():
        swarm.agent(prefix, node.address)
    manager = swarm.manager(prefix)
    try:
        addresses = [node.address for node in nodes.values()]
        wait("both nodes are healthy", lambda: manager.healthy(*addresses))
        wait("the manager is primary", lambda: manager.role() == "primary")
        yield manager
    finally:
        swarm.clear()


@pytest.fixture
def manager(shared):
    """The shared manager, without containers."""
    yield shared
    for item in call(shared.port, "GET", "/containers/json?all=1").json():
        call(shared.port, "DELETE", f"/containers/{item['Id']}?force=1")


@pytest.fixture
def prefix():
    """A prefix in the store that no other test uses."""
    return f"contract-{uuid.uuid4().hex[:8]}"
