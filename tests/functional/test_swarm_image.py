"""Where images come from, against a real engine."""

import gzip
import hashlib
import http.server
import tarfile
import threading

import pytest

from swarm_formula.core import errors
from tests.functional.conftest import IMAGE, NEWER, PREFIX, import_busybox

# What it is about does not depend on Salt's release.
pytestmark = pytest.mark.once

NAME = f"{PREFIX}loaded:1"


@pytest.fixture(autouse=True)
def unloaded(clean):
    """The image to be loaded is not here."""
    yield
    if clean.images.list(NAME):
        clean.images.remove(NAME, force=True)


@pytest.fixture(scope="module")
def archive(engine, state_tree):
    """An archive that the master serves as ``salt://image.tar``."""
    return _save(engine, IMAGE, state_tree / "image.tar")


def _save(engine, image, path):
    engine.images.get(image).tag(NAME)
    with path.open("wb") as file:
        file.writelines(engine.images.get(NAME).save(named=NAME))
    engine.images.remove(NAME)
    return path


@pytest.fixture
def web(archive):
    """A web server with the archive."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(archive.parent))

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(params=["salt://image.tar", "{folder}/image.tar", "{web}/image.tar", "gz"])
def source(request, archive, web):
    """The archive in all the ways it can be named."""
    if request.param != "gz":
        return request.param.format(folder=archive.parent, web=web)
    path = archive.with_suffix(".tar.gz")
    path.write_bytes(gzip.compress(archive.read_bytes()))
    return f"salt://{path.name}"


def test_a_missing_image_is_loaded(states, engine, source):
    spec = {"image": NAME, "image_source": source, "network_mode": "none"}
    promised = states.swarm_container.running(f"{PREFIX}web", test=True, **spec)
    assert not engine.images.list(NAME)
    ret = states.swarm_container.running(f"{PREFIX}web", **spec)
    assert ret.result is True, ret.comment
    assert ret.changes == promised.changes
    assert states.swarm_container.running(f"{PREFIX}web", **spec).changes == {}


def test_an_archive_with_another_hash_is_not_loaded(states, engine, source, archive):
    spec = {"image": NAME, "image_source": source, "network_mode": "none"}
    ret = states.swarm_container.running(f"{PREFIX}web", **spec, image_hash="0" * 64)
    assert ret.result is False
    assert "(image_hash), and was not loaded" in ret.comment
    assert not engine.images.list(NAME)
    data = archive.read_bytes() if not source.endswith(".gz") else archive.with_suffix(".tar.gz")
    data = data if isinstance(data, bytes) else data.read_bytes()
    right = hashlib.sha256(data).hexdigest()
    assert states.swarm_image.present(NAME, source=source, image_hash=right).result is True
    assert engine.images.list(NAME)


def test_a_local_image_is_kept_until_it_is_loaded_on_purpose(states, modules, engine, state_tree):
    _save(engine, NEWER, state_tree / "newer.tar")
    engine.images.get(IMAGE).tag(NAME)
    spec = {"image": NAME, "image_source": "salt://newer.tar", "network_mode": "none"}
    states.swarm_container.running(f"{PREFIX}web", **spec)
    assert engine.images.get(NAME).id == engine.images.get(IMAGE).id
    modules.swarm_image.load(NAME, "salt://newer.tar")
    ret = states.swarm_container.running(f"{PREFIX}web", **spec)
    assert set(ret.changes) == {"image"}
    assert engine.containers.get(f"{PREFIX}web").image.id == engine.images.get(NEWER).id


def test_present_and_absent(states, engine, archive, testmode):
    def image(state, **kwargs):
        return getattr(states.swarm_image, state)(NAME, test=testmode, **kwargs)

    assert image("absent").changes == {}
    assert image("present", source=str(archive)).changes["state"]["new"] == "present"
    assert bool(engine.images.list(NAME)) is not testmode
    if testmode:
        engine.images.get(IMAGE).tag(NAME)
    assert image("present", source=str(archive)).changes == {}
    assert image("absent").changes["state"]["new"] == "absent"
    assert bool(engine.images.list(NAME)) is testmode


@pytest.mark.parametrize("scheme", ["salt", "path"])
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.write_bytes(b"no tar at all"), "cannot be read as an image archive"),
        (lambda path: tarfile.open(path, "w").close(), "no manifest.json"),
        (lambda path: path.symlink_to("image.tar"), f"does not hold it, but {NAME}"),
        (lambda path: None, "there is no image archive"),
    ],
    ids=["junk", "file-system", "other-name", "missing"],
)
def test_a_wrong_archive_is_refused(states, archive, make, words, scheme):
    path = archive.parent / f"wrong-{scheme}.tar"
    path.unlink(missing_ok=True)
    make(path)
    source = f"salt://{path.name}" if scheme == "salt" else str(path)
    ret = states.swarm_image.present(f"{PREFIX}other:1", source=source)
    assert ret.result is False
    assert words in ret.comment
    assert source in ret.comment


def test_a_failed_download_says_so(states, web):
    ret = states.swarm_image.present(f"{PREFIX}other:1", source=f"{web}/nope.tar")
    assert ret.result is False
    assert f"{web}/nope.tar" in ret.comment
    assert "404" in ret.comment


def test_a_failed_pull_says_what_docker_says(states, modules):
    name = f"127.0.0.1:9/{PREFIX}nope:1"
    ret = states.swarm_container.running(f"{PREFIX}web", image=name)
    assert ret.result is False
    assert "give it an image_source" in ret.comment
    assert "connection refused" in ret.comment
    with pytest.raises(errors.ApiError, match="connection refused"):
        modules.swarm_image.pull(name)


def test_a_used_image_is_not_removed(states, engine):
    import_busybox(engine, NAME, "three")
    states.swarm_container.running(f"{PREFIX}web", image=NAME, network_mode="none")
    ret = states.swarm_image.absent(NAME)
    assert ret.result is False
    assert "container" in ret.comment
    assert engine.images.list(NAME)


def test_get(modules, engine):
    engine.images.get(IMAGE).tag(NAME)
    assert modules.swarm_image.get(NAME)["id"] == engine.images.get(IMAGE).id
    assert modules.swarm_image.get(f"{PREFIX}nope") is None
