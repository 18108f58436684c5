"""Versions, locks and repository files of dnf, without dnf."""

import itertools
import shutil
import subprocess

import pytest

from _modules import swarm_package, swarm_repository
from swarm_formula.core import errors, platforms
from swarm_formula.package import dnf, dnf_manager, dnf_source, plan, rpm_version, versionlock
from swarm_formula.settings import schema
from tests.unit.pillars import VALID, settings_of

DOCKER = "https://download.docker.com/linux/rhel"
DEFAULTS = {key: field.default for key, field in schema.SCHEMA["engine"]["repository"].items()}
# Each is newer than the one before.
ORDER = [
    "28.5.2~rc.1-1.el9",
    "28.5.2-1.el9",
    "28.5.2-2.el9",
    "28.5.2-10.el9",
    "28.5.2^20260101-1.el9",
    "28.5.2a-1.el9",
    "28.5.2.1-1.el9",
    "28.5.10-1.el9",
    "28.05.11-1.el9",
    "29.0.0-1.el9",
    "1:1.0-1.el9",
    "3:0.9-1.el9",
]


def test_versions_are_in_the_order_of_rpm():
    assert rpm_version.newest_first(sorted(ORDER)) == ORDER[::-1]


@pytest.mark.parametrize("pair", list(itertools.pairwise(ORDER))[:-2])
def test_order_is_that_of_rpm_itself(pair):
    """Without epochs and releases, which rpm's function does not split."""
    if not shutil.which("rpm"):
        pytest.fail("rpm is not here: install the package rpm")
    one, other = (each.partition("-")[0] for each in pair)
    lua = f'%{{lua: print(rpm.vercmp("{one}", "{other}"))}}'
    said = subprocess.run(["rpm", "--eval", lua], check=True, capture_output=True, text=True)  # noqa: S603, S607
    found = rpm_version.newest_first([f"{one}-1", f"{other}-1"])
    assert said.stdout.strip() == ("0" if one == other else "-1")
    assert found[0] == f"{other}-1"


@pytest.mark.parametrize("wanted", ["28.5.*", "3:28.5.2-1.el9", "28.5.2-1.el9", "*.el9"])
def test_version_of_pillar_matches_that_of_rpm(wanted):
    assert plan.accepts(wanted, "3:28.5.2-1.el9")
    assert not plan.accepts(wanted, "3:28.4.0-1.el8")


def test_member_with_another_epoch_has_the_version_of_the_engine():
    versions = ["1:28.5.1-1.el9", "1:28.5.2-1.el9"]
    assert plan.twin("3:28.5.2-1.el9", versions) == "1:28.5.2-1.el9"
    assert plan.twin("3:28.5.3-1.el9", versions) is None


@pytest.mark.parametrize(
    ("line", "name", "covered"),
    [
        ("docker-ce-3:28.5.2-1.el9.*", "docker-ce", True),
        ("docker-ce-3:28.5.2-1.el9", "docker-ce", True),
        ("docker-ce-28.5.2-1.el9.*", "docker-ce", True),
        ("docker-ce-3:28.5.*", "docker-ce", True),
        ("docker-ce-3:28.4.0-1.el9.*", "docker-ce", False),
        ("docker-ce-2:28.5.2-1.el9.*", "docker-ce", False),
        ("docker-ce-*", "docker-ce", True),
        ("docker-ce", "docker-ce", True),
        ("docker-ce-cli-1:28.5.2-1.el9.*", "docker-ce-cli", False),
        ("containerd.io-0:1.7.28-1.el9.*", "containerd.io", False),
    ],
)
def test_lock_of_a_package(line, name, covered):
    assert versionlock.names(f"# Added lock\n{line}\n") == [name]
    assert versionlock.covers(line, "docker-ce", "3:28.5.2-1.el9") is covered
    assert versionlock.without(f"a-1-1\n{line}\nb-1-1\n", name) == "a-1-1\nb-1-1\n"


def test_lock_is_added_and_taken_away_without_a_trace():
    before = "# Added lock on Monday\nruc-4:1.1-1.el9.*\n\n!docker-ce-3:27.0-1.el9.*"
    after = versionlock.locked(before, "containerd.io", "1.7.28-1.el9")
    assert after.splitlines()[-1] == "containerd.io-0:1.7.28-1.el9.*"
    assert versionlock.names(after) == ["ruc", "containerd.io"]
    assert versionlock.without(after, "containerd.io") == f"{before}\n"
    # An exclusion is no lock, and stays.
    assert versionlock.without(before, "docker-ce") == f"{before}\n"


def sections(**repository):
    text = dnf_source.text({**DEFAULTS, "url": DOCKER, **repository}, "9", "/k", ["b", "a"])
    found = {}
    for line in text.splitlines():
        if line.startswith("["):
            section = found.setdefault(line, {})
        elif "=" in line:
            key, _, section[key] = line.partition("=")
    return found


def test_file_of_a_repository():
    assert sections() == {
        "[swarm-formula-stable]": {
            "name": "Docker Engine, stable (swarm-formula)",
            "baseurl": f"{DOCKER}/9/$basearch/stable",
            "enabled": "1",
            "gpgcheck": "1",
            "repo_gpgcheck": "1",
            "gpgkey": "file:///k",
            "includepkgs": "a,b",
        }
    }


def test_file_as_pillar_has_it():
    found = sections(components=["stable", "test"], suite="10", signed_index=False)
    assert found["[swarm-formula-test]"]["baseurl"] == f"{DOCKER}/10/$basearch/test"
    assert found["[swarm-formula-test]"]["repo_gpgcheck"] == "0"
    (path,) = sections(url="file:/srv/rpms", suite="el9/").values()
    assert path["baseurl"] == "file:///srv/rpms/el9/"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"[a]\nbaseurl={DOCKER}/$releasever/$basearch/stable\n", [True]),
        (f"[a]\nbaseurl={DOCKER}-other/9\n", [False]),
        (f"[a]\nenabled = 0\nbaseurl={DOCKER}/9\n", []),
        (f"[a]\nbaseurl=http://a.example\n  {DOCKER}/9\n", [False, True]),
        ("[a]\nmirrorlist=https://a.example/%(list)s\n", []),
        ("no file of dnf\n", []),
    ],
)
def test_source_in_use_is_found(text, found):
    assert dnf_source.of_archive(text, DOCKER) == found


def test_plan_of_dnf_is_read():
    said = subprocess.CompletedProcess(
        [],
        1,
        "---> Package containerd.io.x86_64 1.7.28-1.el9 will be installed\n"
        "---> Package docker-ce.x86_64 3:28.5.1-1.el9 will be upgraded\n"
        "---> Package docker-ce.x86_64 3:28.5.2-1.el9 will be an upgrade\n"
        "---> Package docker-ce-cli.x86_64 1:28.5.2-1.el9 will be a downgrade\n"
        "---> Package runc.x86_64 4:1.1.12-1.el9 will be obsoleted\n"
        "---> Package buildah.x86_64 2:1.33-1.el9 will be erased\n",
        "Operation aborted.",
    )
    here = {"docker-ce": ["3:28.5.1-1.el9"], "docker-ce-cli": ["1:29.0-1.el9"]}
    assert dnf._plan(said, here) == (
        {
            "containerd.io": (None, "1.7.28-1.el9"),
            "docker-ce": ("3:28.5.1-1.el9", "3:28.5.2-1.el9"),
            "docker-ce-cli": ("1:29.0-1.el9", "1:28.5.2-1.el9"),
        },
        {"runc": "4:1.1.12-1.el9", "buildah": "2:1.33-1.el9"},
    )


@pytest.mark.parametrize(
    ("module", "function"), [(swarm_package, "install"), (swarm_repository, "apply")]
)
def test_family_without_a_package_manager_is_refused_before_anything_is_touched(
    monkeypatch, module, function
):
    grains = {"os_family": "Suse", "os": "SLES"}
    repository = {"url": DOCKER, "key": "/k.asc"}
    settings = settings_of({**VALID, "overlay": False, "engine": {"repository": repository}})
    monkeypatch.setattr(module, "__salt__", {"swarm_settings.get": lambda: settings}, raising=False)
    monkeypatch.setattr(module, "__opts__", {"id": "m1", "grains": grains}, raising=False)
    monkeypatch.setattr(module, "__grains__", grains, raising=False)
    with pytest.raises(errors.SwarmError, match="zypper is not supported yet"):
        getattr(module, function)()
    assert module.remove() == {}


@pytest.mark.parametrize("program", [None, "dnf5"])
def test_another_dnf_is_refused(monkeypatch, tmp_path, program):
    if program:
        (tmp_path / program).touch(0o755)
        (tmp_path / "dnf").symlink_to(program)
    monkeypatch.setenv("PATH", str(tmp_path))
    engine = settings_of({**VALID, "overlay": False})["engine"]
    words = f"this host has {'another' if program else 'no'} dnf, and .* dnf 4 only"
    with pytest.raises(errors.SwarmError, match=words):
        dnf_manager.Dnf({}).refuse(engine)


def test_each_supported_family_has_dockers_own_key():
    keys = [one.key for one in platforms.TABLE.values() if not one.lacks]
    assert all(len(key) == 40 for key in keys)
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    ("differs", "found"),
    [
        ({}, ["9/x86_64/stable/repodata/repomd.xml"]),
        (
            {"components": ["stable", "test"], "suite": "9.4", "architectures": ["noarch"]},
            ["9.4/noarch/stable/repodata/repomd.xml", "9.4/noarch/test/repodata/repomd.xml"],
        ),
        ({"suite": "packages/"}, ["packages/repodata/repomd.xml"]),
        ({"suite": "./"}, ["repodata/repomd.xml"]),
    ],
)
def test_index_of_a_repository_of_the_file_server(differs, found):
    repository = {**DEFAULTS, "url": "salt://docker", **differs}
    assert dnf_source.indexes(repository, "9", "x86_64") == found
    assert "baseurl=file:///var/lib/swarm-formula/repository/" in dnf_source.text(
        repository, "9", "/k", ["a"]
    )
