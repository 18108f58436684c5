"""
Consul, managers, agents, and what they run.
"""

from tests.integration.cluster import ENGINE, MANAGER, failures
from tests.integration.troubles.table import (
    CA,
    HOST,
    consul,
    lock,
    occupied,
    pillar,
    refused,
    row,
    spoiled,
    stop,
)


def _await_servers(swarm, *hosts):
    """Wait until Consul of the CA's host calls just these servers alive."""
    asked = "swarm_consul.status"
    swarm.wait(lambda: swarm.lab.salt(CA, asked)[CA]["servers"] == list(hosts), 90)


@row(
    "Consul has no leader: 1 of 3 servers answers; m2, m3 missing",
    "gave up after 180 s (swarm:timeout): ...",
    cheap=True,
)
def servers_that_are_not_there(swarm):
    stop(swarm, "swarm-consul", "m2", "m3")
    with pillar(swarm, timeout=10):
        yield refused(swarm, "m1")
    swarm.state(target="m2,m3")


@row("swarm:consul:datacenter is berlin, and Consul of m1 runs in dc1", cheap=True)
def name_that_cannot_change_while_consul_runs(swarm):
    consul = {**swarm.lab.default_pillar()["consul"], "datacenter": "berlin"}
    with pillar(swarm, consul=consul):
        yield refused(swarm, "m1")


@row("restarting Consul on m1 would cost the quorum")
def server_that_quorum_needs(swarm):
    stop(swarm, "swarm-consul", "m3")
    _await_servers(swarm, "m1", "m2")
    with pillar(swarm, "m1", consul={"options": {"log_level": "WARN"}}):
        yield refused(swarm, "m1")
        assert failures(swarm.state(target="m3")) == {}
        assert failures(swarm.state(target="m1")) == {}


@row("m1 waits for its turn to restart Consul or a manager: m2 has it")
def turn_of_a_host_that_does_not_come_back(swarm):
    lock(swarm, "swarm-formula/turn", "m2")
    with pillar(swarm, timeout=20, consul=_with_options(swarm, log_level="WARN")):
        yield refused(swarm, "m1")
        assert failures(swarm.state(target="m2")) == {}


def _with_options(swarm, **options):
    return {**swarm.lab.default_pillar()["consul"], "options": options}


@row("image ... could not be pulled", cheap=True)
def registry_that_is_not_there(swarm):
    image = {"image": "127.0.0.1:5999/swarm:1.2.9", "image_source": None}
    with pillar(swarm, HOST, manager=image):
        yield refused(swarm)


@row("there is no image archive salt://...", cheap=True)
def archive_that_is_not_there(swarm):
    image = {"image": "swarm:none", "image_source": "salt://images/none.tar"}
    with pillar(swarm, HOST, manager=image):
        yield refused(swarm)


@row("does not hold it, but ...", cheap=True)
def archive_of_another_image(swarm):
    with pillar(swarm, HOST, manager={"image": "swarm:none"}):
        yield refused(swarm)


@row("container swarm-manager does not stay up: exit code 1; its last words: ...")
def port_of_the_manager_that_another_program_has(swarm):
    """As with a flag that it does not take: it ends at once, with words of its own."""
    stop(swarm, "swarm-manager", HOST)
    with occupied(swarm, HOST, MANAGER):
        yield refused(swarm)


@row("no manager is primary; replicas that wait for the lock: ...")
def lock_that_has_to_run_out(swarm):
    stop(swarm, "swarm-manager", *swarm.lab.hosts())
    session = lock(swarm, "docker/swarm/leader", "somebody")
    for host in swarm.lab.hosts():
        swarm.docker(host, "start", "swarm-manager")
    with pillar(swarm, timeout=10):
        yield refused(swarm)
    consul(swarm, "m2", f"session/destroy/{session}", "")
    swarm.wait(lambda: swarm.primary() is not None, 120)


def _closed(swarm, host, *source):
    """Have a host let nobody, or not this one, reach its engine."""
    rule = " ".join(["INPUT", *source, "-p tcp --dport", str(ENGINE), "-j DROP"])
    return spoiled(swarm, host, f"iptables -I {rule}", f"iptables -D {rule}")


@row("10.0.0.12:2376 is Pending to the primary ...")
def port_that_another_firewall_closes(swarm):
    with pillar(swarm, timeout=10), _closed(swarm, HOST):
        for host in swarm.lab.hosts():
            swarm.docker(host, "restart", "swarm-manager")
        swarm.wait(lambda: swarm.statuses().get(HOST) == "Pending", 120)
        yield refused(swarm)
    swarm.wait(swarm.all_healthy, 180)


@row("10.0.0.12:2376 is not in the list of the primary")
def agent_that_has_not_registered(swarm):
    swarm.lab.salt(HOST, "swarm_consul.deregister")
    with pillar(swarm, HOST, timeout=10, agent={"options": {"delay": "300s"}}):
        yield refused(swarm)


@row("the primary 10.0.0.11:3376 does not know zone=a of 10.0.0.12:2376 yet")
def event_that_the_primary_missed(swarm):
    primary = swarm.primary()
    others = [host for host in swarm.lab.hosts() if host != primary]
    host = others[0]
    source = f"-s {swarm.lab.address(primary)}"
    with pillar(swarm, host, timeout=10, labels={"zone": "a"}):
        with _closed(swarm, host, source):
            yield refused(swarm, host)
        swarm.lab.exec(host, "systemctl", "reload", "docker")
        assert failures(swarm.state(target=host)) == {}


@row("network backend cannot be changed ... while containers use it", cheap=True)
def network_that_a_container_uses(swarm):
    networks = {"backend": {"driver": "bridge", "subnet": "10.20.0.0/24"}}
    with pillar(swarm, HOST, networks=networks):
        assert failures(swarm.state("swarm.networks", target=HOST)) == {}
        user = ["run", "-d", "--name", "user", "--net", "backend", "busybox:lab", "sleep", "900"]
        swarm.docker(HOST, *user)
        swarm.pillar(HOST, networks={"backend": {**networks["backend"], "subnet": "10.21.0.0/24"}})
        yield refused(swarm)
        swarm.docker(HOST, "rm", "-f", "user")
        assert failures(swarm.state(target=HOST)) == {}
    swarm.docker(HOST, "network", "rm", "backend")
