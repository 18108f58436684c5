"""
Ubuntu, by its grains, its versions and its package of the engine.
"""

import pytest

from _modules import swarm_repository
from swarm_formula.daemon import daemon_json
from swarm_formula.package import dpkg, plan
from tests.unit.pillars import VALID, settings_of

UBUNTU = "https://download.docker.com/linux/ubuntu"
ANSWER = "Name: docker.io/restart\nTemplate: docker.io/restart\nValue: {}\nOwners: docker.io\n"
OTHER = "Name: cups/restart\nTemplate: cups/restart\nValue: true\nOwners: cups\n\n"
QUESTION = "Template: docker.io/restart\nType: boolean\nDefault: {}\nDescription: Restart?\n"


@pytest.mark.parametrize(
    ("release", "codename", "osarch"),
    [("22.04", "jammy", "amd64"), ("24.04", "noble", "arm64")],
)
def test_repository_is_that_of_the_hosts_release(monkeypatch, release, codename, osarch):
    grains = {
        "os": "Ubuntu",
        "os_family": "Debian",
        "osrelease": release,
        "oscodename": codename,
        "osfinger": f"Ubuntu-{release}",
        "lsb_distrib_codename": codename,
        "cpuarch": {"amd64": "x86_64", "arm64": "aarch64"}[osarch],
        "osarch": osarch,
    }
    monkeypatch.setattr(swarm_repository, "__grains__", grains, raising=False)
    monkeypatch.setattr(swarm_repository, "_key", lambda *_: "KEY")
    engine = {"package": "docker-ce", "repository": {"url": UBUNTU, "key": "salt://k.asc"}}
    files = swarm_repository._wanted(settings_of({**VALID, "overlay": False, "engine": engine}))
    source = next(text for path, text in files.items() if path.suffix == ".sources")
    assert source.splitlines()[1:] == [
        "Types: deb",
        f"URIs: {UBUNTU}",
        f"Suites: {codename}",
        "Components: stable",
        f"Architectures: {osarch}",
        "Signed-By: /etc/apt/keyrings/swarm-formula.asc",
    ]


@pytest.mark.parametrize(
    ("found", "numbers", "matches", "differs"),
    [
        ("5:28.5.2-1~ubuntu.24.04~noble", (28, 5, 2), "28.5.*", "28.4.*"),
        ("5:28.5.2-1~ubuntu.24.04~noble", (28, 5, 2), "5:28.5.2-1~ubuntu.24.04~noble", "28.5.2"),
        ("5:29.0.0-1~ubuntu.22.04~jammy", (29, 0, 0), "*~jammy", "*~noble"),
        ("27.5.1-0ubuntu3~24.04.2", (27, 5, 1), "27.*", "28.*"),
        ("24.0.7-0ubuntu2~22.04.1", (24, 0, 7), "24.0.7-*", "24.0.7"),
    ],
)
def test_versions(found, numbers, matches, differs):
    assert daemon_json.version(found) == numbers
    assert plan.accepts(matches, found)
    assert not plan.accepts(differs, found)


@pytest.mark.parametrize(
    ("answers", "questions", "restarts"),
    [
        (None, None, False),
        (OTHER, "", False),
        (OTHER + ANSWER.format("true"), QUESTION.format("false"), True),
        (OTHER + ANSWER.format("false"), QUESTION.format("true"), False),
        (OTHER, QUESTION.format("true"), True),
        (OTHER, QUESTION.format("false"), False),
    ],
    ids=["debian", "others ask", "yes", "no", "not asked yet, yes", "not asked yet, no"],
)
def test_answer_decides_whether_the_package_restarts_the_engine(
    monkeypatch, tmp_path, answers, questions, restarts
):
    monkeypatch.setattr(dpkg, "_ANSWERS", tmp_path / "config.dat")
    monkeypatch.setattr(dpkg, "_QUESTIONS", tmp_path)
    for name, text in (("config.dat", answers), ("docker.io.templates", questions)):
        if text is not None:
            (tmp_path / name).write_text(text)
    assert dpkg.restarts("docker.io") is restarts
