import pytest

from swarm_formula.package import apt_source
from swarm_formula.settings import schema

DOCKER = "https://download.docker.com/linux/debian"
HOST = apt_source.Host("bookworm", "amd64", "/etc/apt/keyrings/swarm-formula.asc", DOCKER)
DEFAULTS = {key: field.default for key, field in schema.SCHEMA["engine"]["repository"].items()}


def stanza(host=HOST, **repository):
    lines = apt_source.stanza({**DEFAULTS, "url": DOCKER, **repository}, host).splitlines()
    return dict(line.split(": ") for line in lines[1:])


def test_source_of_a_repository():
    assert stanza() == {
        "Types": "deb",
        "URIs": DOCKER,
        "Suites": "bookworm",
        "Components": "stable",
        "Architectures": "amd64",
        "Signed-By": HOST.key,
    }


def test_source_as_pillar_has_it():
    found = stanza(components=["stable", "test"], architectures=["arm64", "armhf"])
    assert (found["Components"], found["Architectures"]) == ("stable test", "arm64 armhf")


def test_suite_that_is_a_path_has_no_components():
    assert "Components" not in stanza(HOST._replace(suite="./"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.list", f"deb {DOCKER} bookworm stable\n"),
        ("a.list", f"# a comment\n\n deb [arch=amd64 signed-by=/k.asc]  {DOCKER}\tbookworm stable"),
        ("a.list", f"deb-src {DOCKER} bookworm stable"),
        ("a.sources", f"Types: deb\nURIs: {DOCKER}\nSuites: bookworm\n"),
        ("a.sources", f"#URIs: http://a\nTypes: deb\nuris:\n {DOCKER}\nSuites: bookworm\n"),
        ("a.sources", f"Types: deb\nEnabled: yes\nURIs: {DOCKER}\n"),
        ("a.sources", f"Enabled: no\nURIs: http://a\n\n\nTypes: deb\nURIs: {DOCKER}\n"),
    ],
)
def test_source_in_use_is_found(name, text):
    assert apt_source.uris(name, text) == [DOCKER]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.list", f"# deb {DOCKER} bookworm stable\n"),
        ("a.list", ""),
        ("a.sources", f"Types: deb\nEnabled: no\nURIs: {DOCKER}\n"),
        ("a.sources", f"# URIs: {DOCKER}\n"),
    ],
)
def test_source_that_is_switched_off_does_not_count(name, text):
    assert apt_source.uris(name, text) == []


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (f"{DOCKER}/", True),
        ("http://download.docker.com/linux/debian", True),
        ("https://Download.Docker.com/linux/debian", True),
        ("https://user@download.docker.com/linux/debian", True),
        ("https://download.docker.com/linux/ubuntu", False),
        ("https://mirror.example.com/linux/debian", False),
        ("file:/srv/docker", False),
    ],
)
def test_two_uris_of_one_archive(other, same):
    assert apt_source.same(DOCKER, other) is same
