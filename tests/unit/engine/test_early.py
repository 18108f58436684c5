"""
Consul that is started while the engine restarts, on a host that has an engine and no Consul.
"""

import pytest

from _modules import swarm_consul, swarm_engine
from swarm_formula.consul import apply as consul_apply
from swarm_formula.consul import container_spec, early, upgrade
from swarm_formula.core import errors, host_files

CREATED = {"state": {"old": "absent", "new": "running"}}


@pytest.fixture
def host(daemon, pillar, monkeypatch):
    """Return a function that sets up a host with an engine, which nobody has configured."""

    def host(image=None, container=None, **given):
        salt = pillar(**given)
        there = [container]

        def apply(_name, _spec, test=False, **_):
            if not test:
                daemon.calls.append("Consul")
                there[0] = {"status": "running"}
            return {} if there[0] else CREATED

        own = {
            "swarm_image.get": lambda _: image,
            "swarm_container.get": lambda _: there[0],
            "swarm_container.apply": apply,
            "swarm_container.check": lambda _: None,
            "swarm_container.logs": lambda _: "its words",
            "swarm_classic.managers": dict,
        }
        salt.update(own)
        for module in (swarm_engine, swarm_consul):
            monkeypatch.setattr(module, "__salt__", salt, raising=False)
            monkeypatch.setattr(module, "__opts__", {"id": "m1"}, raising=False)
        return daemon

    monkeypatch.setattr(upgrade, "image_version", lambda *_: ())
    return host


def test_consul_is_started_after_the_reload_and_before_the_restart(host):
    daemon = host()
    swarm_engine.configure()
    assert daemon.calls.index("reload") < daemon.calls.index("Consul")
    assert daemon.calls.index("Consul") < daemon.calls.index("restart")
    assert daemon.calls.count("Consul") == 1


def test_state_of_consul_reports_it_and_waits_for_it(host, agent):
    daemon = host()
    promised = swarm_consul.apply(test=True)
    swarm_engine.configure()
    swarm_engine.__salt__["swarm_settings.get"].return_value["consul"]["http_port"] = agent.port
    assert swarm_consul.apply() == promised == CREATED
    assert swarm_consul.apply() == {}
    assert daemon.calls.count("Consul") == 1


def test_engine_that_does_not_start_tells_that_consul_stays(host):
    """Other servers may count it already."""
    daemon = host()
    daemon.never_starts_with = {"max-concurrent-uploads"}
    host(engine={"options": {"max-concurrent-uploads": 3}})
    with pytest.raises(errors.SwarmError) as failure:
        swarm_engine.configure()
    assert "and it runs again; Consul, which was started meanwhile, stays. It said" in str(
        failure.value
    )
    assert daemon.up
    assert daemon.calls.count("Consul") == 1


def test_consul_that_does_not_answer_is_told_with_its_words(host, hurry):
    host()
    swarm_engine.configure()
    with pytest.raises(errors.WaitTimeoutError, match=r"its words \(see swarm:consul:options"):
        swarm_consul.apply()


@pytest.mark.parametrize(
    "given",
    [
        {"container": {"status": "exited"}},
        {"consul": {"image": "consul:1.8.7"}},
        {"store": "etcd://10.0.0.1:2379", "consul": {}},
        # A container would have been created with what was before.
        {"engine": {"options": {"log-driver": "journald"}}},
        {"engine": {"options": {"data-root": "/srv/docker"}}},
        {"engine": {"options": {"userns-remap": "default"}}},
        # It would end with the engine.
        {"engine": {"options": {"live-restore": False}}},
    ],
    ids=lambda one: " ".join(map(str, one.values())),
)
def test_consul_waits_for_the_engine(host, given):
    daemon = host(**given)
    swarm_engine.configure()
    assert "restart" in daemon.calls
    assert "Consul" not in daemon.calls


def test_consul_with_acls_waits_for_the_engine(host):
    """The CA may have to tell the token first."""
    daemon = host()
    swarm_engine.__salt__["swarm_settings.get"].return_value["consul"]["acl"] = True
    swarm_engine.configure()
    assert "restart" in daemon.calls
    assert "Consul" not in daemon.calls


def test_image_that_is_here_is_enough(host):
    daemon = host(image={"id": "1"}, consul={"image": "consul:1.8.7"})
    swarm_engine.configure()
    assert "Consul" in daemon.calls


def test_host_that_had_a_consul_waits_for_the_engine(host):
    daemon = host()
    host_files.write(container_spec.consul_file(), "{}")
    swarm_engine.configure()
    assert "Consul" not in daemon.calls


def test_new_server_of_a_cluster_that_is_there_waits_for_the_engine(host):
    """It has to prove that it has joined."""
    daemon = host()
    swarm_engine.__salt__["swarm_classic.managers"] = lambda: {"m2": {"role": "primary"}}
    swarm_engine.configure()
    assert "Consul" not in daemon.calls


def test_engine_that_is_only_reloaded_starts_nothing(host, converged, pillar):
    host()
    swarm_engine.configure()
    converged.calls.clear()
    host(labels={"zone": "a"})
    swarm_engine.configure()
    assert "reload" in converged.calls
    assert "Consul" not in converged.calls


def test_dry_run_and_clean_start_nothing(host):
    daemon = host()
    swarm_engine.configure(test=True)
    swarm_engine.clean()
    assert "Consul" not in daemon.calls


def test_consul_that_cannot_be_started_is_left_to_its_state(host, monkeypatch):
    daemon = host()

    def fail(*_, **__):
        raise errors.ApiError("no image")

    monkeypatch.setattr(early, "_begun", fail)
    assert "restart" in swarm_engine.configure()
    assert daemon.up
    assert early.taken(swarm_engine._minion()) == {}
    assert consul_apply.early is early
