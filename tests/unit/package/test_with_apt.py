"""
The engine's packages with the real apt, dpkg and Salt's own functions, in a folder of the test.
"""

import os
import shutil

import pytest
import salt.config
import salt.loader

from _modules import swarm_package, swarm_repository
from swarm_formula.core import errors, host_files
from swarm_formula.daemon import dockerd, package_set
from swarm_formula.package import apt, copied, dpkg, first_start, traces
from tests.unit import apt_root
from tests.unit.pillars import VALID, settings_of

PKG = (
    "autoremove",
    "get_selections",
    "hold",
    "install",
    "latest_version",
    "list_pkgs",
    "list_repo_pkgs",
    "refresh_db",
    "remove",
    "unhold",
    "version",
)

pytestmark = [
    pytest.mark.skipif(
        not all(map(shutil.which, apt_root.TOOLS)), reason="apt and dpkg are not here"
    ),
    pytest.mark.skipif(os.geteuid() != 0, reason="dpkg unpacks as root only"),
]


@pytest.fixture(scope="module")
def repositories(tmp_path_factory):
    folder = tmp_path_factory.mktemp("repositories")
    return {
        "debian": apt_root.repository(folder / "debian", apt_root.DEBIAN),
        "docker": apt_root.repository(folder / "docker", apt_root.DOCKER),
    }


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Return a host without packages; all of this process's apt and dpkg are its own."""
    root = apt_root.Root(tmp_path / "root")
    for name, value in root.environment.items():
        monkeypatch.setenv(name, value)
    assert root.run("apt-config", "shell", "status", "Dir::State::status/f").count(str(tmp_path))
    below = root.path / "var"
    locks = [below / "lib/dpkg/lock-frontend", below / "lib/dpkg/lock"]
    monkeypatch.setattr(dpkg, "_LOCKS", locks)
    monkeypatch.setattr(dpkg, "_DOWNLOADS", ())
    monkeypatch.setattr(dpkg, "_JOURNAL", below / "lib/dpkg/updates")
    monkeypatch.setattr(first_start, "_UNITS", root.path / "run/systemd/system")
    for name in ("_LINKS", "_PROCESSES"):
        monkeypatch.setattr(traces, name, root.path / "kernel")
    return root


@pytest.fixture(scope="module")
def file_root(tmp_path_factory):
    """Return the folder that Salt's file server serves."""
    return tmp_path_factory.mktemp("file_root")


@pytest.fixture(scope="module")
def functions(file_root, tmp_path_factory):
    """Return Salt's own execution functions, loaded once: that takes long."""
    opts = salt.config.minion_config(None)
    opts.update({"file_roots": {"base": [str(file_root)]}, "fileserver_list_cache_time": 0})
    opts["cachedir"] = str(tmp_path_factory.mktemp("cache"))
    grains = {"os": "Debian", "os_family": "Debian", "osarch": apt_root.architecture()}
    opts.update({"file_client": "local", "grains": grains, "systemd.scope": False})
    context = {}
    return salt.loader.minion_mods(opts, context=context), context


@pytest.fixture
def apply(monkeypatch, functions, root):
    """Return a function that installs what a pillar says; it has the files of the master."""
    served, instead = {}, {}

    loaded, context = functions

    def apply(function="install", test=False, **engine):
        # Salt keeps the list of packages in there, for a run.
        context.clear()
        settings = settings_of({**VALID, "overlay": False, "engine": engine})
        own = {
            "swarm_settings.get": lambda: settings,
            "swarm_engine.check": lambda _: None,
            "swarm_engine.refit": lambda: None,
            "cp.cache_file": lambda source: served.get(source, False),
            "swarm_container.names": lambda **_: [],
            "cmd.run_stdout": lambda *_, **__: "LoadState=loaded",
            "cmd.which": lambda _: None,
            "service.systemctl_reload": lambda: True,
            "config.get": lambda _: f"unix://{root.path}/docker.sock",
        }
        own |= {f"pkg.{one}": loaded[f"pkg.{one}"] for one in PKG}
        own |= {
            f"cp.{one}": loaded[f"cp.{one}"] for one in ("get_file", "hash_file", "list_master")
        }
        own["swarm_repository.apply"] = swarm_repository.apply
        own |= instead
        for module in (swarm_package, swarm_repository):
            monkeypatch.setattr(module, "__salt__", own, raising=False)
            monkeypatch.setattr(module, "__opts__", {"id": "m1"}, raising=False)
        grains = {"oscodename": "bookworm", "osarch": apt_root.architecture()}
        monkeypatch.setattr(swarm_repository, "__grains__", grains, raising=False)
        monkeypatch.setattr(swarm_repository, "_APT", root.path / "etc/apt")
        monkeypatch.setattr(dockerd, "answers", lambda: False)
        module = swarm_repository if function in {"known", "unknown"} else swarm_package
        name = {"known": "apply", "unknown": "remove"}.get(function, function)
        return getattr(module, name)(test=test)

    apply.served, apply.instead = served, instead
    return apply


@pytest.fixture
def debian(root, repositories):
    """Return a host with Debian's repository."""
    root.trust("debian", repositories["debian"])
    return root


@pytest.fixture
def docker(debian, repositories):
    """Return a host with the repositories of Debian and Docker."""
    debian.trust("docker", repositories["docker"])
    return debian


def versions(root, *names):
    return [root.packages().get(name) for name in names]


def promised(apply, root, **engine):
    """Apply, and require that the dry run has said the same and changed nothing."""
    before = root.packages()
    said = apply(test=True, **engine)
    assert root.packages() == before
    done = apply(**engine)
    assert said == done
    # The report is true: what it names has these versions now.
    now = root.packages()
    for name, change in done.items():
        if name != "hold":
            assert (before.get(name), now.get(name)) == (change["old"], change["new"]), name
    assert apply(**engine) == {}
    return done


CE = {"package": "docker-ce"}
SET = ("docker-ce", "docker-ce-cli", "docker-ce-rootless-extras")
_NEEDS = "containerd (>= 1.4), runc (>= 1.0.0), iptables"
# Debian's packages, with an engine of its next release, which needs a package instead of another.
NEWER = {
    **{key: one for key, one in apt_root.DEBIAN.items() if key[0] != "docker.io"},
    ("docker.io", "26.1.5"): {"Depends": f"{_NEEDS}, tini", "Recommends": "docker-cli"},
    ("docker.io", "28.5.2"): {"Depends": f"{_NEEDS}, tini-static"},
    ("docker-cli", "28.5.2"): {},
    ("tini", "0.19.0-3"): {},
    ("tini-static", "0.19.0-6"): {
        "Breaks": "tini (<< 0.19.0-5)",
        "Replaces": "tini (<< 0.19.0-5)",
    },
}


def test_bare_host_gets_all_that_debians_engine_is_made_of(debian, apply):
    done = promised(apply, debian)
    assert sorted(done) == ["apparmor", "containerd", "docker-cli", "docker.io", "runc"]
    assert versions(debian, "docker.io", "docker-cli") == ["26.1.5", "26.1.5"]


def test_clean_takes_all_of_it_away(debian, apply):
    debian.install("iptables")
    apply(hold=True)
    apply("remove")
    assert debian.packages() == {"iptables": "1.8.9"}


# In the order in which apt unpacks them.
ORDER = ("apparmor", "runc", "containerd", "docker-cli", "iptables", "docker.io")
DEPENDENCIES = {"runc", "containerd", "iptables"}
SAMPLE = {"containerd", "docker.io"}


@pytest.mark.parametrize("function", ["install", "remove"])
@pytest.mark.parametrize(
    "halved",
    [one if one in SAMPLE else pytest.param(one, marks=pytest.mark.long) for one in ORDER],
)
def test_installation_that_was_cut_in_any_package_is_finished_or_cleaned(
    debian, apply, repositories, halved, function
):
    def cut(**_):
        """Unpack as far as that, leave the last by half, and end as one who is killed."""
        whole = ORDER[: ORDER.index(halved) + 1]
        files = [str(next(repositories["debian"].glob(f"{one}_*.deb"))) for one in whole]
        if "docker.io" in whole:
            files = [one.replace("20.10.24", "26.1.5") for one in files]
        debian.run("dpkg", f"--root={debian.path}", "--force-unsafe-io", "--unpack", *files)
        if automatic := DEPENDENCIES.intersection(whole):
            debian.run("apt-mark", "auto", *automatic)
        status = debian.path / "var/lib/dpkg/status"
        words = f"Package: {halved}\nStatus: install "
        text = status.read_text()
        assert f"{words}ok unpacked" in text
        status.write_text(text.replace(f"{words}ok unpacked", f"{words}reinstreq half-installed"))
        raise SystemExit

    debian.install("dbus-user-session")
    apply.instead["pkg.install"] = cut
    with pytest.raises(SystemExit):
        apply()
    apply.instead.clear()
    apply(function)
    assert dpkg.unfinished() == []
    came = {*ORDER} if function == "install" else set()
    assert set(debian.packages()) == {"dbus-user-session", *came}
    assert set(debian.run("apt-mark", "showauto").split()) >= came & DEPENDENCIES


def test_engine_without_a_command_line_of_its_own_gets_it_with_the_upgrade(debian, apply):
    debian.install("docker.io=20.10.24")
    assert promised(apply, debian) == {}, "without a version in the pillar, all stays"
    done = promised(apply, debian, version="26.*")
    assert done["docker.io"] == {"old": "20.10.24", "new": "26.1.5"}
    assert done["docker-cli"] == {"old": None, "new": "26.1.5"}
    assert "containerd" not in done


def test_bare_host_gets_all_that_dockers_engine_is_made_of(docker, apply):
    done = promised(apply, docker, **CE)
    assert done["docker-ce"] == {"old": None, "new": "5:29.1.0"}
    assert sorted(done) == [
        "apparmor",
        "containerd.io",
        "docker-buildx-plugin",
        "docker-ce",
        "docker-ce-cli",
        "docker-compose-plugin",
    ]


@pytest.mark.parametrize(
    ("here", "wanted", "hold"),
    [
        ("5:28.5.1", "5:28.5.2", False),
        ("5:28.5.2", "5:28.5.1", True),
        # Without its epoch.
        ("5:28.5.1", "29*", True),
    ],
)
def test_version_moves_the_whole_set(docker, apply, here, wanted, hold):
    docker.install(*(f"{one}={here}" for one in SET), "containerd.io=1.7.28")
    apply(**CE, version=here, hold=hold)
    done = promised(apply, docker, **CE, version=wanted, hold=hold)
    (version,) = set(versions(docker, *SET))
    assert version.removeprefix("5:").startswith(wanted.removeprefix("5:").rstrip("*"))
    # containerd follows only where the engine needs it.
    needs = version == "5:29.1.0"
    assert ("containerd.io" in done) == needs
    assert docker.held() == ({*SET, "containerd.io"} if hold else set())
    # What an administrator has left out stays out.
    assert "docker-compose-plugin" not in docker.packages()


def test_member_that_went_its_own_way_comes_back_to_the_version_of_pillar(docker, apply):
    apply(**CE, version="5:28.5.1")
    docker.install("docker-ce-cli=5:28.5.2")
    assert apply(**CE) == {}, "without a version in the pillar, all stays"
    done = promised(apply, docker, **CE, version="5:28.5.1")
    assert done == {"docker-ce-cli": {"old": "5:28.5.2", "new": "5:28.5.1"}}


def test_hold_holds_the_set_against_an_upgrade_and_ends_as_one(docker, apply):
    apply(**CE, version="5:28.5.1")
    apply(**CE, hold=True)
    before = docker.packages()
    docker.run("apt-get", "--assume-yes", "upgrade")
    assert {**docker.packages(), "iptables": ""} == {**before, "iptables": ""}
    # An administrator's hold is not the formula's.
    docker.run("apt-mark", "hold", "iptables")
    assert promised(apply, docker, **CE, hold=False) == {"hold": {"old": True, "new": False}}
    assert docker.held() == {"iptables"}


def test_plugin_that_would_cost_a_package_of_the_host_is_left_out(docker, apply):
    docker.install("docker-compose")
    done = promised(apply, docker, **CE)
    assert "docker-compose-plugin" not in done
    assert "docker-compose" in docker.packages()


def test_engine_that_would_cost_a_package_of_the_host_is_refused(docker, apply):
    docker.install("containerd")
    before = docker.packages()
    words = r"with docker-ce 5:29\.1\.0, apt would remove containerd, runc from this host"
    for test in (True, False):
        with pytest.raises(errors.SwarmError, match=words):
            apply(test=test, **CE)
    assert docker.packages() == before


def test_dependency_that_only_the_former_engine_had_goes_with_its_upgrade(root, tmp_path, apply):
    root.trust("debian", apt_root.repository(tmp_path / "newer", NEWER))
    promised(apply, root, version="26.1.*")
    done = promised(apply, root, version="28.5.*")
    assert done["tini"] == {"old": "0.19.0-3", "new": None}
    assert done["docker-cli"]["new"] == "28.5.2"
    assert "tini-static" in root.packages()
    apply("remove")
    assert root.packages() == {}


def test_package_that_somebody_has_asked_for_stays_although_the_engine_needs_it(
    root, tmp_path, apply
):
    root.trust("debian", apt_root.repository(tmp_path / "newer", NEWER))
    root.install("tini")
    apply(version="26.1.*")
    before = root.packages()
    for test in (True, False):
        with pytest.raises(errors.SwarmError, match="apt would remove tini from this host"):
            apply(test=test, version="28.5.*")
    assert root.packages() == before


def test_what_apt_objects_to_is_told_before_anything_is_installed(root, tmp_path, apply):
    alone = {key: fields for key, fields in apt_root.DEBIAN.items() if key[0] == "docker.io"}
    root.trust("debian", apt_root.repository(tmp_path / "alone", alone))
    words = r"Depends: containerd .* not installable"
    for test in (True, False):
        with pytest.raises(errors.SwarmError, match=words):
            apply(test=test)
    assert root.packages() == {}


# ---- one engine in place of another


def test_engine_of_an_administrator_is_replaced_on_purpose_and_back(docker, apply):
    docker.install("docker.io", "docker-cli")
    before = docker.packages()
    apply(hold=True)
    with pytest.raises(errors.SwarmError, match=r"this host has docker\.io already"):
        apply(**CE)
    assert docker.packages() == before
    done = promised(apply, docker, **CE, hold=True, replace=True)
    assert {name for name, one in done.items() if name != "hold" and one["new"] is None} == {
        "docker.io",
        "docker-cli",
        "containerd",
        "runc",
    }
    assert docker.held() == set(package_set.held("docker-ce")) - {SET[2]}
    # Not by accident: as where the pillar loses its engine.
    with pytest.raises(errors.SwarmError, match="this host has docker-ce already"):
        apply(hold=True)
    promised(apply, docker, hold=True, replace=True)
    assert not set(package_set.own("docker-ce")) & set(docker.packages())
    assert docker.held() == {"docker.io", "docker-cli", "containerd", "runc"}


@pytest.mark.parametrize("script", ["preinst", "postinst"])
@pytest.mark.parametrize("name", ["docker-ce", "docker-ce-cli", "containerd.io"])
def test_engine_that_cannot_take_the_place_of_another_gives_it_back(
    debian, apply, tmp_path, name, script
):
    broken = {
        key: {**fields, script: "exit 1"} if key[0] == name else fields
        for key, fields in apt_root.DOCKER.items()
    }
    debian.trust("docker", apt_root.repository(tmp_path / "broken", broken))
    debian.install("docker.io", "docker-cli")
    apply(hold=True)
    before = debian.packages()
    with pytest.raises(
        errors.SwarmError, match=r"place of docker\.io .*dpkg.*The former .* are back"
    ):
        apply(**CE, hold=True, replace=True)
    assert debian.packages() == before
    assert debian.held() == {"docker.io", "docker-cli", "containerd", "runc"}
    assert apply(hold=True) == {}


def test_engine_that_took_the_place_of_another_is_the_formulas_own(docker, apply):
    docker.install("docker.io", "docker-cli")
    apply(**CE, replace=True)
    apply("remove", **CE)
    assert set(docker.packages()) == {"iptables"}


# ---- the repository


@pytest.fixture(scope="module")
def signer(tmp_path_factory):
    if not shutil.which("gpg"):
        pytest.skip("gpg is not here, which signs the repository")
    with apt_root.signing() as signer:
        yield signer


@pytest.fixture(scope="module")
def archive(signer, tmp_path_factory):
    return signer.archive(tmp_path_factory.mktemp("archive") / "docker", apt_root.DOCKER)


@pytest.fixture
def wanted(debian, archive, signer):
    """Return a pillar with the signed repository, for a host that has Debian's only."""
    url, fingerprint = f"file:{archive}", signer.fingerprint
    return {**CE, "repository": {"url": url, "key": signer.key, "fingerprint": fingerprint}}


def files(root):
    """Return what apt has been told, ``{path: text}``."""
    etc = root.path / "etc/apt"
    return {str(one.relative_to(etc)): one.read_text() for one in etc.rglob("*") if one.is_file()}


def candidate(root, name):
    shown = root.run("apt-cache", "policy", name)
    return shown.partition("Candidate: ")[2].partition("\n")[0]


def with_repository(wanted, **differs):
    return {**wanted, "repository": {**wanted["repository"], **differs}}


def test_bare_host_gets_dockers_engine_from_a_repository_of_pillar(debian, apply, wanted):
    before = files(debian)
    assert list(apply("known", test=True, **wanted)) == ["key", "pin", "source"]
    said = apply(test=True, **wanted)
    assert said["docker-ce"]["new"] == f"the newest from {wanted['repository']['url']}"
    assert files(debian) == before

    assert list(apply("known", **wanted)) == ["key", "pin", "source"]
    assert apply("known", **wanted) == {}
    assert apply("known", test=True, **wanted) == {}
    assert promised(apply, debian, **wanted)["docker-ce"]["new"] == "5:29.1.0"
    # Another package of that repository does not take the place of Debian's.
    assert candidate(debian, "iptables") == "1.8.9"

    apply("remove", **wanted)
    assert sorted(apply("unknown", **wanted)) == ["key", "pin", "source"]
    assert files(debian) == before
    assert candidate(debian, "docker-ce") in {"", "(none)"}
    assert apply("unknown", **wanted) == {}


@pytest.fixture
def served(file_root, archive, tmp_path, wanted, monkeypatch):
    """Return a pillar with a repository of the file server, and the folder of that."""
    folder, mine = file_root / "docker", tmp_path / "lib/repository"
    shutil.copytree(archive, folder)
    monkeypatch.setattr(copied, "FOLDER", mine)
    yield with_repository(wanted, url="salt://docker"), folder, mine
    shutil.rmtree(folder, ignore_errors=True)


def tree(folder):
    """Return what is in a folder, ``{path: content}``."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_bare_host_gets_dockers_engine_from_the_file_server(debian, apply, served):
    pillar, folder, mine = served
    before = files(debian)
    new = {"old": None, "new": "salt://docker/"}
    said = apply("known", test=True, **pillar)
    assert said.pop(str(mine)) == new
    assert [*said] == ["key", "pin", "source"]
    assert apply(test=True, **pillar)["docker-ce"]["new"] == "the newest from salt://docker"
    assert files(debian) == before
    assert not mine.exists()

    assert apply("known", **pillar)[str(mine)] == new
    assert tree(mine) == tree(folder)
    assert apply("known", **pillar) == apply("known", test=True, **pillar) == {}
    assert promised(apply, debian, **pillar)["docker-ce"]["new"] == "5:29.1.0"

    apply("remove", **pillar)
    assert str(mine) in apply("unknown", test=True, **pillar)
    assert sorted(apply("unknown", **pillar)) == sorted([str(mine), "key", "pin", "source"])
    assert files(debian) == before
    assert not [*mine.parent.glob("repository*")]


@pytest.fixture
def newer(archive, signer, tmp_path):
    """Return a repository with another version of the engine."""
    found = {**apt_root.DOCKER, **apt_root._ce("5:29.2.0", "1.7.27")}
    return signer.archive(tmp_path / "another", found)


def exchange(folder, newer):
    shutil.rmtree(folder)
    shutil.copytree(newer, folder)


def spoil(folder):
    """Change what is signed."""
    (index,) = folder.rglob("InRelease")
    index.write_text(index.read_text().replace("Origin", "Origami"))


def test_another_repository_of_the_file_server_takes_the_place(debian, apply, served, newer):
    pillar, folder, mine = served
    apply("known", **pillar)
    exchange(folder, newer)
    said = {str(mine): {"old": "another", "new": "salt://docker/"}}
    assert apply("known", test=True, **pillar) == apply("known", **pillar) == said
    assert tree(mine) == tree(newer)
    assert apply("known", **pillar) == {}
    assert apply(**pillar)["docker-ce"]["new"] == "5:29.2.0"


def test_package_that_comes_later_is_copied(debian, apply, served):
    pillar, folder, mine = served
    package = next(path for path in folder.rglob("docker-ce_*.deb"))
    text = package.read_bytes()
    package.unlink()
    apply("known", **pillar)
    assert apply("known", **pillar) == {}
    package.write_bytes(text)
    assert [*apply("known", **pillar)] == [str(mine)]
    assert tree(mine) == tree(folder)


def test_repository_that_apt_cannot_read_leaves_the_copy_of_before(debian, apply, served, newer):
    pillar, folder, mine = served
    apply("known", **pillar)
    before = files(debian), tree(mine)
    exchange(folder, newer)
    spoil(folder)
    with pytest.raises(errors.SwarmError, match="apt cannot read the repository"):
        apply("known", **pillar)
    assert (files(debian), tree(mine)) == before
    exchange(folder, newer)
    assert [*apply("known", **pillar)] == [str(mine)]


def test_first_copy_that_apt_cannot_read_leaves_nothing(debian, apply, served):
    pillar, folder, mine = served
    before = files(debian)
    spoil(folder)
    with pytest.raises(errors.SwarmError, match="apt cannot read the repository"):
        apply("known", **pillar)
    assert files(debian) == before
    assert not [*mine.parent.glob("repository*")]


class Killed(BaseException):
    """The end of a process."""


def killed(*_):
    raise Killed


@pytest.mark.parametrize("when", ["while it copies", "before apt reads it"])
def test_run_that_was_killed_is_finished_by_the_next(apply, served, newer, when, monkeypatch):
    pillar, folder, mine = served
    apply("known", **pillar)
    exchange(folder, newer)
    with monkeypatch.context() as patch:
        if when == "while it copies":
            apply.instead["cp.get_file"] = killed
        else:
            # Nothing is put back.
            patch.setattr(copied, "_recover", lambda _: None)
            patch.setattr(apt, "update", killed)
        with pytest.raises(Killed):
            apply("known", **pillar)
        apply.instead.clear()
    assert [*apply("known", test=True, **pillar)] == [str(mine)]
    assert [*apply("known", **pillar)] == [str(mine)]
    assert tree(mine) == tree(newer)
    assert apply(**pillar)["docker-ce"]["new"] == "5:29.2.0"


def test_folder_without_an_index_is_told(debian, apply, served):
    pillar, folder, mine = served
    before = files(debian)
    for path in folder.rglob("*Release"):
        path.unlink()
    with pytest.raises(errors.SwarmError, match=r"salt://docker/ .* has no dists/bookworm/InRel"):
        apply("known", **pillar)
    assert files(debian) == before
    assert not mine.exists()


def test_file_that_does_not_arrive_changes_nothing(debian, apply, served, newer):
    pillar, folder, mine = served
    apply("known", **pillar)
    before = tree(mine)
    exchange(folder, newer)
    apply.instead["cp.get_file"] = lambda *_: ""
    with pytest.raises(errors.SwarmError, match=r"did not arrive on m1"):
        apply("known", **pillar)
    assert tree(mine) == before
    apply.instead.clear()
    assert [*apply("known", **pillar)] == [str(mine)]


def test_copy_goes_when_pillar_has_another_url(debian, apply, served, wanted):
    pillar, _, mine = served
    apply("known", **pillar)
    assert apply("known", **wanted)[str(mine)] == {"old": "present", "new": None}
    assert not [*mine.parent.glob("repository*")]


def test_repository_that_pillar_has_no_more_is_removed(debian, apply, wanted):
    before = files(debian)
    apply("known", **wanted)
    assert sorted(apply("known", **CE)) == ["key", "pin", "source"]
    assert files(debian) == before


@pytest.mark.parametrize("test", [True, False])
def test_key_with_another_fingerprint_is_refused(debian, apply, wanted, test):
    before = files(debian)
    other = with_repository(wanted, fingerprint="9DC858229FC7DD38854AE2D88D81803C0EBFCD88")
    words = f"has the fingerprint {wanted['repository']['fingerprint']}, and pillar expects 9DC85"
    with pytest.raises(errors.SwarmError, match=words):
        apply("known", test=test, **other)
    assert files(debian) == before


def test_repository_that_apt_cannot_read_leaves_nothing_behind(debian, apply, wanted, tmp_path):
    before = files(debian)
    with pytest.raises(errors.SwarmError, match="apt cannot read the repository"):
        apply("known", **with_repository(wanted, url=f"file:{tmp_path}/nothing"))
    assert files(debian) == before


def test_repository_that_somebody_else_has_signed_is_refused(
    debian, apply, wanted, archive, tmp_path
):
    forged = shutil.copytree(archive, tmp_path / "forged")
    signed = forged / "dists/bookworm/InRelease"
    signed.write_text(signed.read_text().replace("Docker CE", "Docker EE"))
    before = files(debian)
    with pytest.raises(errors.SwarmError, match="apt cannot read the repository"):
        apply("known", **with_repository(wanted, url=f"file:{forged}"))
    assert files(debian) == before


@pytest.mark.parametrize("name", ["docker.list", "docker.sources"])
def test_source_of_another_tool_is_refused_or_taken_over(debian, apply, wanted, name):
    url = wanted["repository"]["url"]
    path = debian.path / "etc/apt/sources.list.d" / name
    lines = {
        "docker.list": f"deb [trusted=yes] {url} bookworm stable\n",
        "docker.sources": (
            f"Types: deb\nURIs: {url}/\nSuites: bookworm\nComponents: stable\nTrusted: yes\n"
        ),
    }
    path.write_text(lines[name])
    before = files(debian)
    for test in (True, False):
        with pytest.raises(errors.SwarmError, match=f"already, .*/{name}: with a second one"):
            apply("known", test=test, **wanted)
    assert files(debian) == before
    over = with_repository(wanted, take_over=True)
    said = apply("known", test=True, **over)
    assert said[str(path)] == {"old": "in use", "new": "switched off"}
    assert files(debian) == before
    assert apply("known", **over) == said
    assert apply("known", **over) == {}
    # Apt has no word against it.
    assert debian.run("apt-get", "update")
    apply("unknown")
    assert files(debian) == before


def test_file_with_other_sources_as_well_is_left_to_its_owner(debian, apply, wanted):
    path = debian.path / "etc/apt/sources.list"
    url = wanted["repository"]["url"]
    path.write_text(f"deb [trusted=yes] {url} bookworm stable\ndeb http://example.com sid main\n")
    with pytest.raises(errors.SwarmError, match="Take that source out of the file by hand"):
        apply("known", **with_repository(wanted, take_over=True))


def test_taken_over_source_is_in_use_again_if_apt_cannot_read_the_new_one(
    debian, apply, wanted, archive
):
    url = wanted["repository"]["url"]
    path = debian.path / "etc/apt/sources.list.d/docker.list"
    path.write_text(f"deb [trusted=yes] {url} bookworm stable\n")
    before = files(debian)
    with pytest.raises(errors.SwarmError, match="apt cannot read the repository"):
        apply("known", **with_repository(wanted, take_over=True, suite="trixie"))
    assert files(debian) == before
    assert host_files.record("repository") == {}


def test_key_is_a_file_of_the_master_and_its_change_is_followed(debian, apply, wanted, tmp_path):
    path = tmp_path / "docker.asc"
    source = with_repository(wanted, key="salt://keys/docker.asc")
    with pytest.raises(errors.SwarmError, match=r"no file salt://keys/docker\.asc"):
        apply("known", **source)
    apply.served["salt://keys/docker.asc"] = str(path)
    path.write_text("<html>404</html>")
    with pytest.raises(errors.SwarmError, match="is no public key on m1: found no blocks"):
        apply("known", **source)
    path.write_text(f"A comment.\n{wanted['repository']['key']}")
    apply("known", **source)
    assert apply("known", **with_repository(wanted, key=str(path))) == {}
    changes = apply("known", **with_repository(wanted, origin="Mirror"))
    assert list(changes) == ["pin"]
