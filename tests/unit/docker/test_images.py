import io
import json
import tarfile

import pytest
from salt.exceptions import MinionError

from swarm_formula.core import errors
from swarm_formula.docker import images


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("swarm", "swarm:latest"),
        ("swarm:1.2.9", "swarm:1.2.9"),
        ("docker.io/library/swarm:1.2.9", "swarm:1.2.9"),
        ("library/swarm:1.2.9", "swarm:1.2.9"),
        ("docker.io/me/swarm", "me/swarm:latest"),
        ("registry:5000/swarm", "registry:5000/swarm:latest"),
        ("registry:5000/library/swarm:1", "registry:5000/library/swarm:1"),
        ("swarm@sha256:abc", "swarm@sha256:abc"),
    ],
)
def test_plain_name(name, plain):
    assert images.plain(name) == plain


def archive(path, files, mode="w", folders=()):
    with tarfile.open(path, mode) as tar:
        for name in folders:
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE
            tar.addfile(info)
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return str(path)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_names_in_an_archive(tmp_path, mode):
    manifest = [{"RepoTags": ["a:1", "b:2"]}, {"RepoTags": None}, {"RepoTags": ["c:3"]}]
    files = {"manifest.json": json.dumps(manifest).encode()}
    path = archive(tmp_path / "image.tar", files, mode)
    assert images.tags_in(path, "salt://image.tar") == ["a:1", "b:2", "c:3"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: archive(path, {"bin/sh": b""}), "docker export"),
        (lambda path: archive(path, {"manifest.json": b"{no"}), "cannot be read"),
        # The manifest of something else, such as a web application.
        (lambda path: archive(path, {"manifest.json": b'{"name": "app"}'}), "cannot be read"),
        (lambda path: archive(path, {"manifest.json": b"1"}), "cannot be read"),
        (lambda path: archive(path, {}, folders=["manifest.json"]), "is no image archive"),
        (lambda path: path.write_bytes(b"junk"), "cannot be read"),
        (lambda path: path.write_bytes(b""), "cannot be read"),
    ],
)
def test_no_archive_of_images(tmp_path, make, words):
    path = tmp_path / "image.tar"
    make(path)
    with pytest.raises(errors.SettingsError, match=f"salt://image.tar .*{words}"):
        images.tags_in(str(path), "salt://image.tar")


def test_a_path_is_not_fetched(tmp_path):
    path = archive(tmp_path / "image.tar", {})
    assert images.source_file(path, fetch=None) == path


@pytest.mark.parametrize("nothing", ["", False, "/nowhere/image.tar"])
def test_a_source_that_is_not_there(nothing):
    with pytest.raises(errors.SettingsError, match=r"no image archive salt://image\.tar"):
        images.source_file("salt://image.tar", lambda source: nothing)


def test_a_download_that_fails():
    def fetch(_source):
        raise MinionError("404")

    with pytest.raises(errors.SwarmError, match=r"https://x/image\.tar cannot be had: 404"):
        images.source_file("https://x/image.tar", fetch)
