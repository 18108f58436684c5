import copy
import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from _modules import (
    swarm_backup,
    swarm_builtin,
    swarm_ca,
    swarm_consul,
    swarm_engine,
    swarm_leader,
    swarm_network,
    swarm_package,
    swarm_service,
    swarm_turn,
)
from swarm_formula.builtin import joining
from swarm_formula.cluster import swarm_api
from swarm_formula.core import host_files, wait
from swarm_formula.daemon import dockerd, drop_in, file_plan
from swarm_formula.docker import engine_api
from tests.unit import consul_agent
from tests.unit.cluster_api import Mine
from tests.unit.dockerd import Dockerd
from tests.unit.execution import CLOCKS, mocked, own_time
from tests.unit.pillars import BUILTIN, VALID, settings_of
from tests.unit.pillars import node as minion

# The modules that pass something on within a minion's process, or hand all dunders to a library.
_WITH_CONTEXT = (
    swarm_backup,
    swarm_builtin,
    swarm_ca,
    swarm_consul,
    swarm_engine,
    swarm_leader,
    swarm_network,
    swarm_package,
    swarm_service,
    swarm_turn,
)
DATA = Path(__file__).parent / "data"

# How fast a machine is must never decide, nor must chance: the same examples in every run.
# HYPOTHESIS_PROFILE=large takes ten times as many, HYPOTHESIS_PROFILE=search looks for new ones.
calm = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
settings.register_profile("unit", max_examples=100, derandomize=True, **calm)
settings.register_profile("large", max_examples=1000, derandomize=True, **calm)
settings.register_profile("search", max_examples=10000, **calm)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "unit"))


@pytest.fixture(autouse=True)
def no_rest(monkeypatch):
    """Wait for no engine to try again by itself."""
    monkeypatch.setattr(joining, "_STEADY", 0)


@pytest.fixture(autouse=True)
def context_of_a_process(monkeypatch):
    """Give the modules that pass something on within a minion's process a place for it."""
    context = {}
    for module in _WITH_CONTEXT:
        monkeypatch.setattr(module, "__context__", context, raising=False)


@pytest.fixture(autouse=True)
def record_of_this_machine(monkeypatch, tmp_path):
    """Keep what the formula notes of a host out of this machine's own files."""
    monkeypatch.setattr(host_files, "RECORD", tmp_path / "record.json")


@pytest.fixture
def agent():
    """Run an agent of Consul that knows three servers."""
    with consul_agent.running() as agent:
        agent.serve("m1", "m2", "m3")
        yield agent


@pytest.fixture
def info():
    """Return a function that gives ``/info`` of a real swarm 1.2.9, or of an engine."""
    return lambda name: copy.deepcopy(json.loads((DATA / f"info_{name}.json").read_text()))


@pytest.fixture
def primary(info):
    """Return ``/info`` of a real primary."""
    return info("primary")


@pytest.fixture
def daemon(monkeypatch, tmp_path):
    """Run an engine with a package's own unit, whose files are all in a folder of the test."""
    daemon = Dockerd(tmp_path)
    monkeypatch.setattr(file_plan, "DAEMON", daemon.json)
    monkeypatch.setattr(drop_in, "_UNITS", daemon.units)
    monkeypatch.setattr(host_files, "_LOCKS", tmp_path)
    monkeypatch.setattr(host_files, "CONFIG", tmp_path / "formula")
    monkeypatch.setattr(dockerd, "replaced", lambda _: daemon.replaced)
    monkeypatch.setattr(engine_api, "connect", daemon.connect)
    monkeypatch.setattr(wait, "_FIRST", 0.001)
    return daemon


@pytest.fixture
def pillar(monkeypatch, daemon):
    """Return a function that sets the pillar of this host."""

    def pillar(**given):
        salt = mocked(
            "cmd.run",
            swarm_settings__get=settings_of({**VALID, "timeout": 5, **given}),
            swarm_libraries__missing=[],
            swarm_overlay__complaints=[],
            swarm_overlay__heal=[],
            pkg__version=lambda *_, **__: daemon.package if daemon.installed else "",
            swarm_package__planned=lambda: daemon.planned,
            swarm_container__get={"status": "running"},
            swarm_image__get=None,
            cmd__run_all=lambda *_, **__: {"stdout": daemon.cat(), "retcode": 0},
            cmd__run_stdout=daemon.stdout,
            service__start=daemon.start,
            service__restart=daemon.restart,
            service__reload=daemon.reload,
            service__enable=daemon.enable,
            service__status=lambda *_, **__: daemon.up,
            service__enabled=lambda *_, **__: daemon.enabled,
            service__systemctl_reload=daemon.daemon_reload,
        )
        monkeypatch.setattr(swarm_engine, "__salt__", salt, raising=False)
        monkeypatch.setattr(swarm_engine, "__opts__", {"id": "m1"}, raising=False)
        monkeypatch.setattr(swarm_engine, "__grains__", {"os_family": "Debian"}, raising=False)
        return salt

    pillar()
    return pillar


@pytest.fixture
def converged(daemon, pillar):
    """Have the engine configured, and forget how that came about."""
    swarm_engine.configure()
    swarm_engine.configure_overlay()
    daemon.calls.clear()
    return daemon


@pytest.fixture
def hurry(monkeypatch):
    """Have every look at the clock of a wait cost a second, and every pause none."""
    ticks = iter(range(1000))
    for module in CLOCKS:
        clock = own_time(sleep=lambda _: None, monotonic=lambda: next(ticks))
        monkeypatch.setattr(module, "time", clock)


@pytest.fixture
def on(monkeypatch, tmp_path):
    """Return a function that has the modules run on a host; gives the API and the mine."""

    def on(host, api, mine=None, **pillar):
        mine = Mine({} if mine is None else mine)
        settings = settings_of({**BUILTIN, **pillar}, minion(host))
        context = {}

        def send(name, data, **_):
            mine[host, name] = data

        salt = mocked(
            "publish.publish",
            "test.outputter",
            swarm_settings__get=settings,
            swarm_engine__exists=True,
            swarm_builtin__tell=swarm_builtin.tell,
            swarm_builtin__claims=swarm_builtin.claims,
            swarm_leader__settle=swarm_leader.settle,
        )
        salt |= {
            "config.get": lambda _: None,
            "mine.get": mine.get_from,
            "mine.send": send,
            "mine.delete": lambda name: mine.pop((host, name), None),
        }
        for module in (swarm_backup, swarm_builtin, swarm_leader):
            monkeypatch.setattr(module, "__salt__", salt, raising=False)
            monkeypatch.setattr(module, "__context__", context, raising=False)
            monkeypatch.setattr(module, "__opts__", {"id": host}, raising=False)
        monkeypatch.setattr(engine_api, "connect", api.connect)
        monkeypatch.setattr(engine_api, "post", api.post)
        monkeypatch.setattr(swarm_api, "listens", lambda *_: [])
        monkeypatch.setattr(host_files, "_LOCKS", tmp_path)
        monkeypatch.setattr(wait, "_FIRST", 0.001)
        return mine

    return on
