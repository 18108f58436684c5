"""
The engine's packages with the real dnf and rpm, in a folder of the test.

They are Debian's dnf 4 and packages that the test makes, not a host with Enterprise Linux.
"""

import hashlib
import os
import shutil

import pytest

from _modules import swarm_package, swarm_repository
from swarm_formula.core import errors
from swarm_formula.daemon import dockerd
from swarm_formula.package import copied, dnf_manager, first_start, traces
from tests.unit import apt_root, rpm_root
from tests.unit.pillars import VALID, settings_of

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(os.geteuid() != 0, reason="rpm installs as root only"),
]

CE = {"package": "docker-ce"}
SET = ("docker-ce", "docker-ce-cli", "docker-ce-rootless-extras")


@pytest.fixture(scope="module", autouse=True)
def tools():
    missing = [one for one in rpm_root.TOOLS if not shutil.which(one)]
    assert not missing, f"install the packages dnf, rpm, createrepo-c and gpg: no {missing}"


@pytest.fixture(scope="module")
def signer():
    with apt_root.signing() as signer:
        yield signer


@pytest.fixture(scope="module")
def repositories(tmp_path_factory, signer):
    folder = tmp_path_factory.mktemp("repositories")
    layout = "9/noarch/stable"
    return {
        "el": rpm_root.repository(folder / "el", rpm_root.EL),
        "docker": rpm_root.repository(folder / "docker", rpm_root.DOCKER, signer, layout),
    }


@pytest.fixture
def root(tmp_path, monkeypatch, repositories):
    """Return a host with the distribution's repository; all dnf of this process is its own."""
    root = rpm_root.Root(tmp_path / "root")
    monkeypatch.setenv("PATH", f"{root.bin}:{os.environ['PATH']}")
    monkeypatch.setattr(dnf_manager, "_PLUGIN", root.etc / "dnf/plugins/versionlock.conf")
    monkeypatch.setattr(first_start, "_UNITS", root.path / "run/systemd/system")
    for name in ("_LINKS", "_PROCESSES"):
        monkeypatch.setattr(traces, name, root.path / "kernel")
    root.trust("el", repositories["el"])
    yield root
    root.close()


@pytest.fixture
def docker(root, repositories):
    """Return a host with the repositories of the distribution and Docker."""
    root.trust("docker", repositories["docker"] / "9/noarch/stable")
    return root


@pytest.fixture
def apply(monkeypatch, root):
    """Return a function that installs what a pillar says."""
    served, instead = {}, {}
    grains = {"os": "AlmaLinux", "os_family": "RedHat", "osmajorrelease": 9}

    def apply(function="install", test=False, **engine):
        own = {
            "swarm_settings.get": lambda: settings_of(
                {**VALID, "overlay": False, "engine": engine}
            ),
            "swarm_engine.check": lambda _: None,
            "swarm_repository.apply": swarm_repository.apply,
            "cp.cache_file": lambda source: served.get(source, False),
            "swarm_container.names": lambda **_: [],
            "cmd.run_stdout": lambda *_, **__: "LoadState=loaded",
            "cmd.which": lambda _: None,
            "service.systemctl_reload": lambda: True,
            "config.get": lambda _: f"unix://{root.path}/docker.sock",
            **instead,
        }
        for module in (swarm_package, swarm_repository):
            monkeypatch.setattr(module, "__salt__", own, raising=False)
            monkeypatch.setattr(module, "__opts__", {"id": "m1", "grains": grains}, raising=False)
        monkeypatch.setattr(swarm_repository, "__grains__", grains, raising=False)
        monkeypatch.setattr(swarm_repository, "_ETC", root.etc)
        monkeypatch.setattr(dockerd, "answers", lambda: False)
        module = swarm_repository if function in {"known", "unknown"} else swarm_package
        name = {"known": "apply", "unknown": "remove"}.get(function, function)
        return getattr(module, name)(test=test)

    apply.served, apply.instead = served, instead
    return apply


def promised(apply, root, **engine):
    """Apply, and require that the dry run has said the same and changed nothing."""
    before, locks = root.packages(), root.locks.read_text()
    said = apply(test=True, **engine)
    assert (root.packages(), root.locks.read_text()) == (before, locks)
    done = apply(**engine)
    assert said == done
    now = root.packages()
    for name, change in done.items():
        if name != "hold":
            assert (before.get(name), now.get(name)) == (change["old"], change["new"]), name
    assert apply(**engine) == {}
    return done


def test_bare_host_gets_all_that_the_engine_is_made_of_and_gives_it_back(docker, apply):
    docker.install("iptables-nft-1.8.10")
    before = docker.packages()
    done = promised(apply, docker, **CE)
    assert done["docker-ce"] == {"old": None, "new": "3:29.1.0-1.el9"}
    assert sorted(done) == [
        "containerd.io",
        "docker-buildx-plugin",
        "docker-ce",
        "docker-ce-cli",
        "docker-compose-plugin",
    ]
    assert "container-selinux" in docker.packages()
    apply("remove", **CE)
    assert docker.packages() == before


@pytest.mark.parametrize(
    ("here", "wanted", "hold"),
    [("28.5.2", "3:28.5.1-1.el9", False), ("28.5.1", "29.*", True)],
)
def test_version_moves_the_whole_set(docker, apply, here, wanted, hold):
    docker.install(*(f"{one}-{here}" for one in SET), "containerd.io-1.7.28")
    apply(**CE, version=f"{here}-*", hold=hold)
    done = promised(
        apply, docker, **CE, version=wanted if ":" in wanted else f"{wanted}*", hold=hold
    )
    now = docker.packages()
    (version,) = {now[one].rpartition(":")[2] for one in SET}
    assert version.startswith(wanted.rpartition(":")[2].rstrip("*"))
    # containerd follows only where the engine needs it.
    assert ("containerd.io" in done) == (version == "29.1.0-1.el9")
    assert len(docker.held()) == (4 if hold else 0)
    assert not hold or f"docker-ce-{now['docker-ce']}.*" in docker.held()
    # What an administrator has left out stays out.
    assert "docker-compose-plugin" not in now


def test_member_that_went_its_own_way_comes_back_to_the_version_of_pillar(docker, apply):
    apply(**CE, version="28.5.1-*")
    docker.install("docker-ce-cli-28.5.2")
    assert apply(**CE) == {}, "without a version in the pillar, all stays"
    done = promised(apply, docker, **CE, version="28.5.1-*")
    assert done == {"docker-ce-cli": {"old": "1:28.5.2-1.el9", "new": "1:28.5.1-1.el9"}}


def test_hold_keeps_upgrades_away_and_leaves_the_locks_of_others(docker, apply):
    docker.locks.write_text("iptables-nft-0:1.8.10-1.el9.*\n")
    docker.install("iptables-nft-1.8.10")
    apply(**CE, version="28.5.1-*", hold=True)
    before = docker.packages()
    docker.run("dnf", "upgrade", "--assumeyes")
    assert docker.packages() == before
    assert promised(apply, docker, **CE, hold=False) == {"hold": {"old": True, "new": False}}
    assert docker.locks.read_text() == "iptables-nft-0:1.8.10-1.el9.*\n"
    docker.run("dnf", "upgrade", "--assumeyes")
    assert docker.packages()["docker-ce"] == "3:29.1.0-1.el9"


def test_hold_without_its_plugin_is_refused_before_anything_is_installed(docker, apply):
    (docker.etc / "dnf/plugins/versionlock.conf").write_text("[main]\nenabled = 0\n")
    with pytest.raises(errors.SwarmError, match="dnf install python3-dnf-plugin-versionlock"):
        apply(**CE, hold=True)
    assert docker.packages() == {}


def test_engine_that_would_cost_packages_of_the_host_is_refused(docker, apply):
    """One that it conflicts with, and one that it replaces."""
    docker.install("runc", "other-runtime")
    before = docker.packages()
    words = r"with docker-ce 3:29\.1\.0-1\.el9, dnf would remove other-runtime, runc from this host"
    for test in (True, False):
        with pytest.raises(errors.SwarmError, match=words):
            apply(test=test, **CE)
    assert docker.packages() == before


def test_what_dnf_objects_to_is_told_before_anything_is_installed(docker, apply):
    (docker.etc / "yum.repos.d/el.repo").unlink()
    with pytest.raises(errors.SwarmError, match=r"nothing provides container-selinux"):
        apply(**CE)
    assert docker.packages() == {}


def test_engine_of_debian_is_refused_with_the_name_of_the_right_one(docker, apply):
    with pytest.raises(errors.SwarmError, match="Set swarm:engine:package to docker-ce"):
        apply()
    with pytest.raises(errors.SwarmError, match=r"no repository that dnf has read has version 99"):
        apply(**CE, version="99.*")


# ---- the repository


@pytest.fixture
def wanted(repositories, signer):
    """Return a pillar with the signed repository."""
    repository = {
        "url": f"file:{repositories['docker']}",
        "key": signer.key,
        "fingerprint": signer.fingerprint,
        "architectures": ["noarch"],
    }
    return {**CE, "repository": repository}


def files(root):
    """Return what dnf has been told, ``{path: text}``."""
    return {str(one): one.read_text() for one in root.etc.rglob("*") if one.is_file()}


def with_repository(wanted, **differs):
    return {**wanted, "repository": {**wanted["repository"], **differs}}


def test_bare_host_gets_the_engine_from_a_repository_of_pillar(root, apply, wanted, signer):
    before = files(root)
    assert list(apply("known", test=True, **wanted)) == ["key", "source"]
    said = apply(test=True, **wanted)
    assert said["docker-ce"]["new"] == f"the newest from {wanted['repository']['url']}"
    assert files(root) == before

    assert list(apply("known", **wanted)) == ["key", "source"]
    assert apply("known", **wanted) == {}
    assert promised(apply, root, **wanted)["docker-ce"]["new"] == "3:29.1.0-1.el9"
    # Another package of that repository does not take the place of the distribution's.
    root.install("iptables-nft")
    assert root.packages()["iptables-nft"] == "1.8.10-1.el9"
    assert root.keys() == [signer.fingerprint[-8:].lower()]

    apply("remove", **wanted)
    assert sorted(apply("unknown", **wanted)) == ["key", "source"]
    assert files(root) == before
    assert set(root.packages()) == {"iptables-nft"}
    assert root.keys() == []
    assert apply("unknown", **wanted) == {}


def file_server(folder):
    """Return Salt's functions for the files of a folder."""

    def digest(url):
        text = (folder / url.removeprefix("salt://")).read_bytes()
        return {"hsum": hashlib.sha256(text).hexdigest(), "hash_type": "sha256"}

    def names(prefix):
        every = (str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file())
        return [one for one in every if one.startswith(prefix)]

    return {
        "cp.hash_file": digest,
        "cp.list_master": names,
        "cp.get_file": lambda url, path: shutil.copy(folder / url.removeprefix("salt://"), path),
    }


def test_bare_host_gets_the_engine_from_the_file_server(
    root, apply, wanted, repositories, monkeypatch
):
    mine, before = root.path / "lib/repository", files(root)
    monkeypatch.setattr(copied, "FOLDER", mine)
    shutil.copytree(repositories["docker"], root.path / "served/docker")
    apply.instead.update(file_server(root.path / "served"))
    pillar = with_repository(wanted, url="salt://docker")
    pillar["repository"]["architectures"] = ["noarch"]
    assert sorted(apply("known", test=True, **pillar)) == sorted([str(mine), "key", "source"])
    assert apply(test=True, **pillar)["docker-ce"]["new"] == "the newest from salt://docker"
    assert not mine.exists()
    apply("known", **pillar)
    assert apply("known", **pillar) == {}
    assert promised(apply, root, **pillar)["docker-ce"]["new"] == "3:29.1.0-1.el9"
    apply("remove", **pillar)
    assert str(mine) in apply("unknown", **pillar)
    assert files(root) == before
    assert not mine.exists()


def test_key_that_an_administrator_has_imported_stays(root, apply, wanted, signer, tmp_path):
    (tmp_path / "key").write_text(signer.key)
    root.run("rpm", "--import", tmp_path / "key")
    apply("known", **wanted)
    apply("unknown", **wanted)
    assert root.keys() == [signer.fingerprint[-8:].lower()]


def test_key_with_another_fingerprint_is_refused(root, apply, wanted):
    before = files(root)
    words = f"has the fingerprint {wanted['repository']['fingerprint']}, and pillar expects 060A61"
    with pytest.raises(errors.SwarmError, match=words):
        apply("known", **with_repository(wanted, fingerprint=None))
    assert files(root) == before


@pytest.fixture
def other():
    with apt_root.signing() as signer:
        yield signer


def test_repository_that_somebody_else_has_signed_is_refused(root, apply, wanted, other):
    before = files(root)
    differs = with_repository(wanted, key=other.key, fingerprint=other.fingerprint)
    with pytest.raises(errors.SwarmError, match=r"dnf cannot read the repository .*signed_index"):
        apply("known", **differs)
    assert files(root) == before
    # Without a signature of the index, the packages' own one counts.
    unsigned = with_repository(differs, signed_index=False)
    apply("known", **unsigned)
    with pytest.raises(errors.SwarmError, match=r"dnf install failed: .*GPG check FAILED"):
        apply(**unsigned)
    assert root.packages() == {}


def test_repository_that_dnf_cannot_read_leaves_nothing_behind(root, apply, wanted, tmp_path):
    before = files(root)
    with pytest.raises(errors.SwarmError, match="dnf cannot read the repository"):
        apply("known", **with_repository(wanted, url=f"file:{tmp_path}/nothing"))
    assert files(root) == before


def test_source_of_another_tool_is_refused_or_taken_over(root, apply, wanted):
    url = wanted["repository"]["url"].replace("file:", "file://")
    path = root.etc / "yum.repos.d/docker-ce.repo"
    section = "[{}]\nname=x\nbaseurl={}/$releasever/noarch/{}\nenabled={}\ngpgcheck=0\n"
    path.write_text(section.format("a", url, "stable", 1) + section.format("b", url, "test", 0))
    before = files(root)
    with pytest.raises(errors.SwarmError, match=r"already, .*/docker-ce\.repo: with a second one"):
        apply("known", **wanted)
    over = with_repository(wanted, take_over=True)
    assert apply("known", test=True, **over)[str(path)] == {"old": "in use", "new": "switched off"}
    assert files(root) == before
    apply("known", **over)
    assert apply("known", **over) == {}
    assert set(root.run("dnf", "repolist", "--quiet").split()) & {"a", "swarm-formula-stable"} == {
        "swarm-formula-stable"
    }
    apply("unknown")
    assert files(root) == before
