import contextlib
import io
import os
import shutil
import tarfile
from pathlib import Path

import docker
import pytest
from saltfactories.utils.functional import Loaders

from lab import config, machine
from lab.engine import Engine
from lab.run import LabError
from tests.conftest import REPO_ROOT

PREFIX = "swarm-test-"
IMAGE = f"{PREFIX}busybox:1"
NEWER = f"{PREFIX}busybox:2"


@pytest.fixture(scope="session")
def docker_url():
    """The engine that DOCKER_HOST names, else this machine's, else the lab's own."""
    engine = Engine(config.settings(os.environ))
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(engine.borrowed())
        except LabError as err:
            pytest.skip(f"no Docker engine to test with: {err}")
        yield engine.url


@pytest.fixture(scope="session")
def engine(docker_url):
    """A client of the engine, with the test images in it; what the tests made is removed."""
    client = docker.DockerClient(base_url=docker_url)
    _clean(client)
    for image, said in ((IMAGE, "one"), (NEWER, "two")):
        import_busybox(client, image, said)
    yield client
    _clean(client)
    for image in (IMAGE, NEWER):
        client.images.remove(image, force=True)
    client.close()


@pytest.fixture
def clean(engine):
    """A client of an engine without anything of the tests."""
    _clean(engine)
    yield engine
    _clean(engine)


@pytest.fixture(scope="module")
def state_tree(tmp_path_factory):
    """A directory for the files that a test serves as ``salt://``."""
    return tmp_path_factory.mktemp("state-tree")


@pytest.fixture(scope="module")
def loaders(salt_factories, state_tree, docker_url):
    """Salt's loaders, with this repository as a file root and the tests' engine as its own."""
    minion = salt_factories.salt_minion_daemon(
        "functional",
        overrides={
            "file_client": "local",
            "file_roots": {"base": [str(state_tree), str(REPO_ROOT)]},
            "swarm_docker_url": docker_url,
        },
    )
    return Loaders(minion.config.copy(), loaded_base_name=f"{__name__}.loaded")


@pytest.fixture(autouse=True)
def reset_loaders_state(loaders):
    yield
    loaders.reset_state()


@pytest.fixture
def states(loaders):
    return loaders.states


@pytest.fixture
def modules(loaders):
    return loaders.modules


@pytest.fixture(params=[False, True], ids=["apply", "test"])
def testmode(request):
    """Run a test once for real and once with ``test=True``."""
    return request.param


def import_busybox(client, image, said):
    """Make an image of busybox, with an environment, a label, a command and a volume of its own."""
    machine.install(["busybox-static"], ["busybox"])
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        tar.add(Path(shutil.which("busybox")).resolve(), "bin/busybox")
        for applet in ("sh", "sleep", "echo", "true", "cat", "env"):
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    repository, tag = image.split(":")
    client.api.import_image_from_data(
        file.getvalue(),
        repository=repository,
        tag=tag,
        changes=[
            f"ENV FROM_IMAGE={said}",
            "ENV PATH=/bin",
            "LABEL from=image",
            # PID 1 ignores what it has no handler for: without the trap, each stop takes 10 s.
            'CMD ["sh", "-c", "trap exit TERM; while :; do sleep 1 & wait; done"]',
            "VOLUME /anonymous",
        ],
    )


def _clean(client):
    for container in client.containers.list(all=True, filters={"name": PREFIX}):
        container.remove(v=True, force=True)
    for network in client.networks.list(filters={"name": PREFIX}):
        network.remove()
    for volume in client.volumes.list(filters={"name": PREFIX}):
        volume.remove(force=True)
