import contextlib
import functools
import subprocess
import sys

import pytest

from _modules import swarm_package
from swarm_formula.core import errors, host_files, wait
from swarm_formula.daemon import dockerd, file_plan, holdings
from swarm_formula.engine import node_drain, restart_turn
from swarm_formula.package import change, first_start, plan, traces
from swarm_formula.package import dpkg as package_dpkg
from tests.unit.execution import mocked, own_time
from tests.unit.pillars import VALID, settings_of

# The packages of an installation; iptables is there already.
BROUGHT = ("containerd", "docker.io", "iptables", "runc")
LOCKS = {"_LOCKS": ("lock-frontend", "lock"), "_DOWNLOADS": ("lists", "archives")}


def simulated(host, args, removes=()):
    """Return what apt-get says of an installation: it changes what it is asked to, no more."""
    lines = [f"Remv {one} [1]" for one in removes]
    for word in args[args.index("install") + 1 :]:
        name, _, version = word.partition("=")
        old = host.get("have" if name == "docker.io" else name)
        if name.endswith("-"):
            lines.append(f"Remv {name[:-1]} [{host.get(name[:-1]) or host['have']}]")
        elif old != version:
            lines.append(f"Inst {name}{f' [{old}]' if old else ''} ({version or '1'} Debian:12)")
    return subprocess.CompletedProcess(args, 0, "\n".join(lines), "")


@pytest.fixture
def engine(monkeypatch, tmp_path):
    """Return a function that sets up a host: its packages, its repositories, its pillar."""
    monkeypatch.setattr(host_files, "RECORD", tmp_path / "record.json")
    for name, files in LOCKS.items():
        monkeypatch.setattr(package_dpkg, name, [tmp_path / one for one in files])
    monkeypatch.setattr(package_dpkg, "_JOURNAL", tmp_path / "updates")
    monkeypatch.setattr(first_start, "_UNITS", tmp_path / "run")
    monkeypatch.setattr(file_plan, "DAEMON", tmp_path / "daemon.json")
    monkeypatch.setattr(holdings, "ROOT", str(tmp_path / "data"))
    for name in ("_LINKS", "_PROCESSES"):
        monkeypatch.setattr(traces, name, tmp_path / "kernel")

    def engine(  # noqa: PLR0913
        have="",
        repositories=(),
        *,
        refreshed=(),
        held=(),
        names=(),
        orphans=(),
        others=None,
        came=(),
        masked=False,
        ran=True,
        **wanted,
    ):
        if ran:
            (tmp_path / "data/containers").mkdir(parents=True, exist_ok=True)
        host = {"have": have, "repositories": list(repositories), "held": list(held), "came": came}
        others = others or {}
        host.update(
            {name: versions[0] for name, versions in others.items() if name != "docker-cli"}
        )

        packages = {"bash", "iptables"}

        def install(pkgs, **_):
            host["have"] = pkgs[0][next(iter(pkgs[0]))]
            packages.update(BROUGHT, *(one for one in pkgs if isinstance(one, dict)))

        def version(*names):
            return host["have"] if names == ("docker.io",) else host.get(names[0], "")

        salt = mocked(
            "pkg.remove",
            "service.systemctl_reload",
            config__get=f"unix://{tmp_path}/docker.sock",
            cmd__which=None,
            swarm_settings__get=settings_of({**VALID, "engine": wanted}),
            swarm_engine__check=None,
            swarm_engine__refit=None,
            swarm_container__names=list(names),
            swarm_container__get=lambda name: {"command": [dict(names)[name]]},
            cmd__run_stdout=lambda *_, **__: f"LoadState={'masked' if masked else 'loaded'}",
            pkg__version=version,
            pkg__autoremove=list(orphans),
            pkg__install=install,
            pkg__list_pkgs=lambda: dict.fromkeys({*packages, *host["came"]}, "1"),
            pkg__list_repo_pkgs=lambda name, **_: {
                one: versions
                for one, versions in {**others, "docker.io": host["repositories"]}.items()
                if one == name and versions
            },
            pkg__latest_version=lambda *_, **__: host["repositories"][0],
            pkg__refresh_db=lambda *_, **__: host["repositories"].extend(refreshed),
            pkg__get_selections=lambda **_: {"hold": host["held"]},
            pkg__hold=lambda name, **_: host["held"].append(name),
            pkg__unhold=lambda name, **_: host["held"].remove(name),
        )
        simulation = functools.partial(simulated, host)
        if isinstance(getattr(package_dpkg.run, "__self__", None), Dpkg):
            package_dpkg.run.__self__.simulation = simulation
        else:
            monkeypatch.setattr(package_dpkg, "run", lambda *args: simulation(args))
        monkeypatch.setattr(swarm_package, "__salt__", salt, raising=False)
        monkeypatch.setattr(swarm_package, "__opts__", {"id": "m1"}, raising=False)
        return salt

    return engine


REPOSITORIES = ["20.10.24+dfsg1-1", "20.10.5+dfsg1-1"]


def test_bare_host_gets_the_newest(engine):
    salt = engine(repositories=REPOSITORIES)
    assert swarm_package.install() == {"docker.io": {"old": None, "new": REPOSITORIES[0]}}
    assert salt["pkg.install"].call_args.kwargs["pkgs"][0] == {"docker.io": REPOSITORIES[0]}
    assert salt["pkg.install"].call_args.kwargs["install_recommends"] is False
    assert swarm_package.install() == {}


def test_lists_are_not_refreshed_without_need(engine):
    salt = engine(repositories=REPOSITORIES)
    swarm_package.install()
    salt["pkg.refresh_db"].assert_not_called()


def test_lists_are_refreshed_once_when_they_lack_the_package(engine):
    salt = engine(refreshed=REPOSITORIES)
    swarm_package.install()
    salt["pkg.refresh_db"].assert_called_once_with()


def test_what_is_there_stays_whatever_repositories_have(engine):
    salt = engine(have="19.03.8", repositories=REPOSITORIES)
    assert swarm_package.install() == {}
    salt["pkg.install"].assert_not_called()


@pytest.mark.parametrize("version", ["20.10.5*", "20.10.5+dfsg1-1"])
def test_version_of_pillar(engine, version):
    engine(repositories=REPOSITORIES, version=version)
    assert swarm_package.install()["docker.io"]["new"] == "20.10.5+dfsg1-1"


def test_other_version_is_installed_over(engine):
    engine(have="20.10.5+dfsg1-1", repositories=REPOSITORIES, version="20.10.24*")
    assert swarm_package.install() == {
        "docker.io": {"old": "20.10.5+dfsg1-1", "new": "20.10.24+dfsg1-1"}
    }


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (
            {"version": "28.*"},
            r"no repository that apt has read has version 28\.\* of docker\.io \(swarm:engine:pac",
        ),
        (
            {"package": "docker-ce"},
            r"no repository that apt has read has docker-ce \(swarm:engine:package",
        ),
    ],
    ids=str,
)
def test_what_no_repository_has_is_told(engine, wanted, words):
    salt = engine(repositories=REPOSITORIES, **wanted)
    with pytest.raises(errors.SwarmError, match=words):
        swarm_package.install()
    salt["pkg.install"].assert_not_called()


def test_version_that_cannot_take_the_pillar_is_refused_before_it_is_installed(engine):
    salt = engine(repositories=["28.5.2"])
    salt["swarm_engine.check"].side_effect = errors.SwarmError("cluster-store is gone")
    with pytest.raises(errors.SwarmError, match="cluster-store is gone"):
        swarm_package.install()
    salt["swarm_engine.check"].assert_called_once_with("28.5.2")
    salt["pkg.install"].assert_not_called()
    assert not host_files.RECORD.exists()


def test_install_that_leaves_nothing_is_told(engine):
    salt = engine(repositories=REPOSITORIES)
    salt["pkg.install"].side_effect = None
    with pytest.raises(errors.SwarmError, match="could not be installed"):
        swarm_package.install()
    assert not host_files.RECORD.exists()


def test_test_mode_promises_the_version_and_installs_nothing(engine):
    salt = engine(repositories=REPOSITORIES)
    promised = swarm_package.install(test=True)
    salt["pkg.install"].assert_not_called()
    assert not host_files.RECORD.exists()
    assert promised == swarm_package.install()


# Debian's engine of trixie: the command line is a package of its own, apparmor is there already.
TRIXIE = {"repositories": ["26.1.5"], "others": {"docker-cli": ["26.1.5"], "apparmor": ["4.1"]}}


def test_command_line_that_the_package_only_recommends_comes_with_it(engine):
    salt = engine(**TRIXIE)
    swarm_package.install()
    both = [{"docker.io": "26.1.5"}, {"docker-cli": "26.1.5"}]
    assert salt["pkg.install"].call_args.kwargs["pkgs"] == both


def test_only_companions_that_came_with_the_package_go_with_it(engine):
    salt = engine(**TRIXIE)
    swarm_package.install()
    swarm_package.remove()
    assert salt["pkg.remove"].call_args.kwargs["pkgs"] == ["docker.io", "docker-cli"]


def test_hold(engine):
    salt = engine(have="20.10.5", hold=True)
    assert swarm_package.install(test=True) == {"hold": {"old": False, "new": True}}
    salt["pkg.hold"].assert_not_called()
    assert swarm_package.install() == {"hold": {"old": False, "new": True}}
    assert swarm_package.install() == {}
    salt["pkg.hold"].assert_called_once_with(name="docker.io")


def test_hold_of_ours_is_let_go(engine):
    engine(have="20.10.5", hold=True)
    swarm_package.install()
    engine(have="20.10.5", held=["docker.io"], hold=False)
    assert swarm_package.install() == {"hold": {"old": True, "new": False}}
    assert swarm_package.install() == {}


def test_hold_of_an_admin_stays(engine):
    salt = engine(have="20.10.5", held=["docker.io"])
    assert swarm_package.install() == {}
    salt["pkg.unhold"].assert_not_called()


# ---- remove


def test_package_of_ours_is_removed(engine):
    salt = engine(repositories=REPOSITORIES)
    swarm_package.install()
    assert swarm_package.remove(test=True) == {"docker.io": {"old": REPOSITORIES[0], "new": None}}
    salt["pkg.remove"].assert_not_called()
    swarm_package.remove()
    assert salt["pkg.remove"].call_args.kwargs["pkgs"][0] == "docker.io"
    assert not host_files.RECORD.exists()


def test_hold_of_ours_is_let_go_before_the_package_is_removed(engine):
    """apt removes no package that is held."""
    salt = engine(repositories=REPOSITORIES, hold=True)
    swarm_package.install()
    order = []
    salt["pkg.unhold"].side_effect = lambda **_: order.append("unhold")
    salt["pkg.remove"].side_effect = lambda **_: order.append("remove")
    assert swarm_package.remove() == {
        "hold": {"old": True, "new": False},
        "docker.io": {"old": REPOSITORIES[0], "new": None},
    }
    assert order == ["unhold", "remove"]


def test_hold_of_ours_is_let_go_where_the_package_stays(engine):
    salt = engine(have="20.10.5", hold=True)
    swarm_package.install()
    assert swarm_package.remove() == {"hold": {"old": True, "new": False}}
    salt["pkg.remove"].assert_not_called()
    assert swarm_package.remove() == {}


def test_package_that_was_there_before_stays(engine):
    salt = engine(have="20.10.5")
    swarm_package.install()
    assert swarm_package.remove() == {}
    salt["pkg.remove"].assert_not_called()


def test_what_came_with_the_package_and_nothing_needs_goes_as_well(engine):
    salt = engine(repositories=REPOSITORIES, orphans=["containerd", "iptables", "of-an-admin"])
    swarm_package.install()
    swarm_package.remove()
    removed = [call.kwargs["pkgs"] for call in salt["pkg.remove"].call_args_list]
    assert removed == [["docker.io"], ["containerd"]]


@pytest.mark.parametrize("name", ["database", "swarm-agent"])
def test_package_with_containers_of_others_stays(engine, name):
    salt = engine(repositories=REPOSITORIES, names={name: "/portainer", "swarm-manager": "manage"})
    swarm_package.install()
    assert swarm_package.remove() == {}
    salt["pkg.remove"].assert_not_called()


def test_package_of_an_engine_that_never_ran_is_removed(engine):
    salt = engine(repositories=REPOSITORIES, ran=False)
    salt["swarm_container.names"].side_effect = errors.EngineUnreachableError("no socket")
    swarm_package.install()
    assert swarm_package.remove() == {"docker.io": {"old": REPOSITORIES[0], "new": None}}


@pytest.mark.parametrize("ran", [True, False], ids=["ran", "configured"])
def test_package_of_an_engine_that_is_stopped_stays(engine, ran):
    """It may have containers; and what the formula wrote for its first start would be left."""
    salt = engine(repositories=REPOSITORIES, ran=ran)
    salt["swarm_container.names"].side_effect = errors.EngineUnreachableError("no socket")
    swarm_package.install()
    host_files.note("daemon.json", {} if ran else {"debug": True})
    with pytest.raises(errors.EngineUnreachableError):
        swarm_package.remove()
    salt["pkg.remove"].assert_not_called()


# ---- another apt


HOLD = """
import fcntl, sys
with open(sys.argv[1], "w") as lock:
    fcntl.lockf(lock, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("test", [False, True], ids=["run", "test"])
@pytest.mark.parametrize("other", ["docker-ce", "podman-docker", "the snap docker"])
def test_engine_of_somebody_else_is_not_replaced(engine, monkeypatch, tmp_path, other, test):
    salt = engine(repositories=REPOSITORIES, others={other: ["1"]})
    if "snap" in other:
        (tmp_path / "docker").write_text("")
        monkeypatch.setattr(plan, "_SNAP", tmp_path / "docker")
    with pytest.raises(errors.SwarmError, match=f"this host has {other} already"):
        swarm_package.install(test=test)
    salt["pkg.install"].assert_not_called()


@pytest.mark.parametrize("ours", [False, True])
def test_engine_is_replaced_by_another_only_if_pillar_says_so(engine, ours):
    if ours:
        host_files.note("engine", {"package": "docker-ce"})
    engine(repositories=REPOSITORIES, others={"docker-ce": ["1"]})
    with pytest.raises(errors.SwarmError, match="swarm:engine:replace to true"):
        swarm_package.install()
    salt = engine(repositories=REPOSITORIES, others={"docker-ce": ["1"]}, replace=True)
    assert swarm_package.install() == {
        "docker-ce": {"old": "1", "new": None},
        "docker.io": {"old": None, "new": REPOSITORIES[0]},
    }
    pkgs = [{"docker.io": REPOSITORIES[0]}, "docker-ce-"]
    assert salt["pkg.install"].call_args.kwargs["pkgs"] == pkgs
    salt["swarm_engine.refit"].assert_called_once_with()


@pytest.mark.parametrize("other", ["moby-engine", "podman-docker", "the snap docker"])
def test_what_the_formula_does_not_know_is_replaced_by_hand_only(
    engine, monkeypatch, tmp_path, other
):
    (tmp_path / "docker").write_text("")
    monkeypatch.setattr(plan, "_SNAP", tmp_path / ("docker" if "snap" in other else "no"))
    salt = engine(repositories=REPOSITORIES, others={other: ["1"]}, replace=True)
    with pytest.raises(errors.SwarmError, match="or remove it by hand first"):
        swarm_package.install()
    salt["pkg.install"].assert_not_called()


def test_engine_is_replaced_in_its_turn_and_started_with_its_own_unit(engine, monkeypatch):
    salt = engine(repositories=REPOSITORIES, others={"docker-ce": ["1"]}, replace=True)
    order = []
    install = salt["pkg.install"].side_effect

    def installing(pkgs, downloadonly=False, **_):
        order.append("download" if downloadonly else "install")
        if not downloadonly:
            install(pkgs)

    @contextlib.contextmanager
    def turn(*_):
        order.append("turn")
        yield restart_turn.Held(lambda: None, node_drain.report("drained"))
        order.append("end")

    salt["pkg.install"].side_effect = installing
    salt["swarm_engine.refit"].side_effect = lambda: order.append("refit")
    monkeypatch.setattr(restart_turn, "held", turn)
    monkeypatch.setattr(dockerd, "answers", lambda: True)
    assert swarm_package.install()["drain"]["new"] == "drained"
    assert order == ["download", "turn", "install", "refit", "end"]


@pytest.mark.parametrize(
    ("up", "drain", "told"), [(True, True, True), (False, True, False), (True, False, False)]
)
def test_test_mode_tells_of_a_drain_before_a_replacement(engine, monkeypatch, up, drain, told):
    engine(repositories=REPOSITORIES, others={"docker-ce": ["1"]}, replace=True, drain=drain)
    monkeypatch.setattr(restart_turn, "foreseen", lambda *_: node_drain.WOULD)
    monkeypatch.setattr(dockerd, "answers", lambda: up)
    found = swarm_package.install(test=True).get("drain")
    assert found == ({"old": None, "new": "would be drained first"} if told else None)


@contextlib.contextmanager
def held(path):
    """Have another process hold a lock; give a function that ends it."""
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:  # noqa: S603
        assert other.stdout.readline() == b"held\n"
        yield other.communicate


@pytest.fixture
def waited(monkeypatch):
    """Return a function that calls one while a lock is held, and returns what it waited for."""

    def waited(path, function):
        with held(path) as end:
            sleeps = []

            def sleep(_):
                sleeps.append("waited")
                end()

            monkeypatch.setattr(wait, "time", own_time(sleep=sleep))
            assert function(test=True) is not None
            assert sleeps == [], "a dry run waits for nobody"
            function()
            return bool(sleeps)

    return waited


@pytest.mark.parametrize("number", range(2))
def test_apt_of_a_run_that_was_killed_is_waited_for(engine, waited, number):
    """It goes on, and until its end the engine is there by half."""
    engine(have="20.10.5")
    assert waited(package_dpkg._LOCKS[number], swarm_package.install)


@pytest.mark.parametrize(("have", "waits"), [("", True), ("20.10.5", False)])
@pytest.mark.parametrize("number", range(2))
def test_downloads_of_apt_are_waited_for_by_who_installs(engine, waited, number, have, waits):
    engine(have=have, repositories=REPOSITORIES)
    assert waited(package_dpkg._DOWNLOADS[number], swarm_package.install) is waits


@pytest.mark.parametrize("name", LOCKS)
def test_clean_waits_for_apt_before_it_removes(engine, waited, name):
    engine(repositories=REPOSITORIES)
    swarm_package.install()
    assert waited(getattr(package_dpkg, name)[0], swarm_package.remove)


def test_clean_that_has_nothing_to_remove_waits_for_nobody(engine, waited):
    engine(have="20.10.5")
    assert not waited(package_dpkg._LOCKS[0], swarm_package.remove)


def test_wait_for_apt_obeys_the_timeout_and_names_the_lock(engine):
    salt = engine(repositories=REPOSITORIES)
    swarm_package.install()
    salt["swarm_settings.get"].return_value["timeout"] = 0.2
    path = package_dpkg._LOCKS[0]
    words = rf"gave up after 0\.2 s \(swarm:timeout\): .* at work on m1: it has {path}"
    with held(path), pytest.raises(errors.WaitTimeoutError, match=words):
        swarm_package.remove()
    salt["pkg.remove"].assert_not_called()
    assert host_files.record("engine")["package"] == "docker.io", "the next run goes on"


@pytest.mark.parametrize("test", [False, True], ids=["run", "test"])
@pytest.mark.parametrize("have", ["", "20.10.5"])
def test_unit_that_is_masked_is_told_before_anything_is_installed(engine, have, test):
    salt = engine(have=have, repositories=REPOSITORIES, masked=True, version="20.10.24*")
    with pytest.raises(errors.SwarmError, match=r"docker\.service is masked on m1"):
        swarm_package.install(test=test)
    salt["pkg.install"].assert_not_called()
    salt["pkg.refresh_db"].assert_not_called()
    assert not host_files.RECORD.exists()


# ---- an installation that was killed


class Dpkg:
    """The host's dpkg: how it stands after a kill, and what is asked of it since."""

    def __init__(self, journal):
        self.journal = journal
        self.left = []  # names of packages
        self.asked = []
        self.apt_works = True

    def interrupt(self, *left):
        self.journal.mkdir(exist_ok=True)
        (self.journal / "0001").write_text("")
        self.left = list(left)

    def run(self, *args):
        if "--simulate" in args:
            return self.simulation(args)
        listed = "installed bash\n" + "".join(f"half-installed {one}\n" for one in self.left)
        if args[0] != "dpkg-query":
            self.asked.append(args[0])
        if args[0] == "dpkg":
            for one in self.journal.iterdir():
                one.unlink()
            self.left = [one for one in self.left if one == "containerd"]
        if args[0] == "apt-get" and self.apt_works:
            self.left = []
        return subprocess.CompletedProcess(args, 0, listed, "no archive")


@pytest.fixture
def dpkg(monkeypatch, tmp_path):
    dpkg = Dpkg(tmp_path / "updates")
    monkeypatch.setattr(package_dpkg, "run", dpkg.run)
    return dpkg


def killed(salt, dpkg, *left):
    """Do a first run that is killed while dpkg works."""

    def kill(**_):
        dpkg.interrupt(*left)
        raise KeyboardInterrupt

    install = salt["pkg.install"].side_effect
    salt["pkg.install"].side_effect = kill
    with pytest.raises(KeyboardInterrupt):
        swarm_package.install()
    salt["pkg.install"].side_effect = install


@pytest.mark.parametrize(
    ("left", "asked"),
    [
        ((), ["dpkg"]),
        (("runc",), ["dpkg"]),
        # dpkg configures no package that it has unpacked by half.
        (("containerd", "runc"), ["dpkg", "apt-get"]),
    ],
)
def test_killed_installation_is_finished_by_the_next_run(engine, dpkg, left, asked):
    salt = engine(repositories=REPOSITORIES)
    killed(salt, dpkg, *left)
    assert swarm_package.install() == {"docker.io": {"old": None, "new": REPOSITORIES[0]}}
    assert dpkg.asked == asked
    assert host_files.record("engine") == {
        "package": "docker.io",
        "companions": [],
        "brought": ["containerd", "docker.io", "runc"],
    }
    assert swarm_package.install() == {}
    assert dpkg.asked == asked


def test_what_came_before_the_kill_is_noted_as_well(engine, dpkg):
    came = []
    salt = engine(repositories=REPOSITORIES, came=came)
    killed(salt, dpkg, "containerd")
    came.append("containerd")
    swarm_package.install()
    assert host_files.record("engine")["brought"] == ["containerd", "docker.io", "runc"]


def test_killed_installation_is_promised_by_a_dry_run_that_runs_nothing(engine, dpkg):
    salt = engine(repositories=REPOSITORIES)
    killed(salt, dpkg, "runc")
    assert "docker.io" in swarm_package.install(test=True)
    assert dpkg.asked == []


def test_killed_installation_that_apt_ended_is_ours(engine, dpkg):
    """The apt of a killed run goes on: the next run finds nothing to install."""
    salt = engine(repositories=REPOSITORIES)
    killed(salt, dpkg)
    salt["pkg.install"](pkgs=[{"docker.io": REPOSITORIES[0]}])
    promised = swarm_package.install(test=True)
    assert promised == {"docker.io": {"old": None, "new": REPOSITORIES[0]}}
    assert swarm_package.install() == promised
    assert swarm_package.install() == {}
    assert "containerd" in host_files.record("engine")["brought"]
    assert swarm_package.remove()["docker.io"]["new"] is None


def test_clean_removes_what_a_killed_installation_left(engine, dpkg):
    salt = engine(repositories=REPOSITORIES, orphans=["containerd"])
    killed(salt, dpkg, "containerd")
    salt["pkg.list_pkgs"].side_effect = lambda: dict.fromkeys(("bash", "containerd"), "1")
    assert swarm_package.remove() == {"docker.io": {"old": None, "new": None}}
    assert dpkg.asked == ["dpkg", "apt-get"]
    assert salt["pkg.remove"].call_args.kwargs["pkgs"] == ["containerd"]
    assert not host_files.RECORD.exists()


@pytest.mark.parametrize("function", [swarm_package.install, swarm_package.remove])
def test_what_apt_cannot_finish_is_told(engine, dpkg, function):
    salt = engine(repositories=REPOSITORIES)
    killed(salt, dpkg, "containerd")
    dpkg.apt_works = False
    salt["pkg.install"].reset_mock()
    with pytest.raises(errors.SwarmError, match="cannot finish it: containerd: no archive"):
        function()
    salt["pkg.install"].assert_not_called()
    salt["pkg.remove"].assert_not_called()
    assert host_files.record("engine")["before"], "the next run goes on"


@pytest.mark.parametrize("test", [False, True], ids=["run", "test"])
def test_interrupted_work_of_somebody_else_is_left_and_told(engine, dpkg, test):
    salt = engine(repositories=REPOSITORIES)
    dpkg.interrupt("containerd", "docker.io")
    with pytest.raises(errors.SwarmError, match=r"Unfinished: containerd, docker\.io\."):
        swarm_package.install(test=test)
    salt["pkg.install"].assert_not_called()
    assert dpkg.asked == []


def test_interrupted_work_of_somebody_else_is_nothing_to_an_engine_that_is_there(engine, dpkg):
    engine(have="20.10.5")
    dpkg.interrupt()
    assert swarm_package.install() == {}


def test_installation_that_fails_by_half_is_noted(engine, dpkg):
    salt = engine(repositories=REPOSITORIES)

    def fail(**_):
        dpkg.interrupt()
        raise errors.SwarmError("postinst")

    salt["pkg.install"].side_effect = fail
    with pytest.raises(errors.SwarmError, match="postinst"):
        swarm_package.install()
    assert host_files.record("engine")["before"] == ["bash", "iptables"]


# ---- turns


@pytest.mark.parametrize(
    ("have", "wanted", "up", "turns"),
    [
        # Debian's package leaves the engine alone
        ("20.10.5", {"version": "20.10.24*"}, True, 0),
        # Ubuntu's restarts it if that was once answered so
        ("20.10.5", {"version": "20.10.24*", "asks": True}, True, 1),
        # others restart it
        ("", {"package": "docker-ce"}, True, 1),
        ("", {"package": "docker-ce"}, False, 0),
        ("", {}, True, 1),
    ],
)
def test_package_that_restarts_the_engine_takes_its_turn(  # noqa: PLR0913, PLR0917
    engine, monkeypatch, have, wanted, up, turns
):
    wanted = dict(wanted)
    asks = wanted.pop("asks", False)
    monkeypatch.setattr(package_dpkg, "restarts", lambda package: asks)
    salt = engine(have=have, repositories=REPOSITORIES, others={"docker-ce": ["28.5.2"]}, **wanted)
    salt["pkg.version"].side_effect = None
    salt["pkg.version"].return_value = have
    installs = []

    def install(pkgs, downloadonly=False, **_):
        installs.append((downloadonly, bool(held)))
        salt["pkg.version"].return_value = "1"
        return {}

    salt["pkg.install"].side_effect = install
    held = []

    @contextlib.contextmanager
    def turn(*_):
        held.append(1)
        yield restart_turn.Held(lambda: None, {})
        held.append(2)

    monkeypatch.setattr(restart_turn, "held", turn)
    monkeypatch.setattr(dockerd, "answers", lambda: up)
    swarm_package.install()
    assert held == [1, 2] * turns
    # What takes longest is done before.
    assert installs == [(True, False)] * turns + [(False, bool(turns))]


@pytest.mark.parametrize(
    ("have", "version", "planned"),
    [
        ("20.10.5+dfsg1-1", None, ""),
        ("20.10.5+dfsg1-1", "20.10.5*", ""),
        ("20.10.5+dfsg1-1", "20.10.24*", "20.10.24+dfsg1-1"),
    ],
)
def test_version_that_a_run_would_install(engine, have, version, planned):
    salt = engine(have=have, repositories=REPOSITORIES, version=version)
    assert swarm_package.planned() == planned
    salt["pkg.install"].assert_not_called()


@pytest.mark.parametrize("kind", ["service", "socket"])
def test_unit_that_debian_masked_with_its_package_is_no_obstacle(
    engine, monkeypatch, tmp_path, kind
):
    """As after a clean: the next installation unmasks it."""
    monkeypatch.setattr(change, "_MASKED", tmp_path)
    (tmp_path / f"docker.{kind}").touch()
    engine(repositories=REPOSITORIES, masked=True, version="20.10.24*")
    assert list(swarm_package.install(test=True)) == ["docker.io"]


def watch_units(salt, tmp_path):
    """Return what is in the folder of systemd's units while packages are installed, when called."""
    seen, install = [], salt["pkg.install"].side_effect

    def units():
        return {str(one.relative_to(tmp_path)): one.read_text() for one in tmp_path.glob("run/*/*")}

    def installing(*args, **kwargs):
        seen.append(units())
        return install(*args, **kwargs)

    salt["pkg.install"].side_effect = installing
    return lambda: (seen, units())


def test_package_does_not_start_an_engine_that_is_not_configured(engine, tmp_path):
    salt = engine(repositories=REPOSITORIES)
    units = watch_units(salt, tmp_path)
    swarm_package.install()
    (meanwhile,), afterwards = units()
    assert set(meanwhile) == {
        f"run/docker.{kind}.d/swarm-formula-installs.conf" for kind in ("service", "socket")
    }
    for name, text in meanwhile.items():
        # Once the file is gone, the unit starts, even if systemd still has the condition.
        assert text == f"[Unit]\nConditionPathExists=!{tmp_path / name}\n"
    assert afterwards == {}
    assert salt["service.systemctl_reload"].call_count == 2


def test_dry_run_puts_no_start_off(engine, tmp_path):
    salt = engine(repositories=REPOSITORIES)
    swarm_package.install(test=True)
    assert not (tmp_path / "run").exists()
    salt["service.systemctl_reload"].assert_not_called()


@pytest.mark.parametrize(
    ("host", "runs"),
    [
        ({"have": REPOSITORIES[1], "version": "20.10.24*"}, True),
        ({"have": REPOSITORIES[1], "version": "20.10.24*"}, False),
        ({"others": {"docker-ce": ["1"]}, "replace": True}, False),
        # An engine from elsewhere, of which no package is known.
        ({}, True),
    ],
    ids=["upgrade", "upgrade of one that is stopped", "in the place of another", "no package"],
)
def test_package_starts_an_engine_that_was_there(engine, monkeypatch, tmp_path, host, runs):
    monkeypatch.setattr(dockerd, "answers", lambda: runs)
    turn = contextlib.nullcontext(restart_turn.Held(lambda: None, {}))
    monkeypatch.setattr(restart_turn, "held", lambda *_: turn)
    salt = engine(repositories=REPOSITORIES, **host)
    units = watch_units(salt, tmp_path)
    swarm_package.install()
    seen, _ = units()
    assert seen
    assert not any(seen)


def test_engine_starts_again_after_an_installation_that_failed(engine, tmp_path):
    salt = engine(repositories=REPOSITORIES)
    salt["pkg.install"].side_effect = errors.SwarmError("no archive")
    with pytest.raises(errors.SwarmError, match="no archive"):
        swarm_package.install()
    assert list(tmp_path.glob("run/*")) == []


@pytest.mark.parametrize("function", [swarm_package.install, swarm_package.remove])
def test_engine_starts_again_after_a_run_that_was_killed(
    engine, dpkg, monkeypatch, tmp_path, function
):
    salt = engine(repositories=REPOSITORIES)
    with monkeypatch.context() as kill:
        kill.setattr(first_start, "allow", lambda *_: None)
        killed(salt, dpkg, "docker.io")
    assert len(list(tmp_path.glob("run/*/*"))) == 2
    function()
    assert list(tmp_path.glob("run/*")) == []
