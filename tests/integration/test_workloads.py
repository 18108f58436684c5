"""
What users do with the swarm: overlay networks, docker-compose, logins that talk to the swarm.
"""

import pytest

pytestmark = [pytest.mark.once, pytest.mark.long]

COMPOSE = """
version: '2'
services:
  web:
    image: busybox:lab
    command: sleep 3600
    networks: [front]
networks:
  front:
    driver: overlay
"""


def _login(swarm, host, command, **kwargs):
    """Run a command as a user does who has logged in."""
    return swarm.lab.exec(host, "sh", "-lc", command, timeout=180, **kwargs).stdout


def test_overlay_network_of_pillar_carries_traffic_between_hosts(swarm):
    first, *_, last = swarm.lab.hosts()
    swarm.pillar(networks={"backend": {"driver": "overlay", "subnet": "10.20.0.0/24"}})
    for host in swarm.lab.hosts():
        swarm.pillar(host, labels={"name": host})
    swarm.apply()
    for host in swarm.lab.hosts():
        ids = swarm.docker(host, "network", "ls", "-q", "--no-trunc", "--filter", "name=backend")
        assert len(ids.split()) == 1
    web = ["--net", "backend", "--ip", "10.20.0.100", "-e", f"constraint:name=={first}"]
    swarm.swarm("run", "-d", "--name", "web", *web, "busybox:lab", "sleep", "600")
    try:
        # The engines tell each other where a container is within some seconds.
        ask = "for i in 1 2 3 4 5 6 7 8 9; do ping -c 1 -W 2 10.20.0.100 && exit; sleep 1; done"
        there = ["--net", "backend", "-e", f"constraint:name=={last}"]
        said = swarm.swarm("run", "--rm", *there, "busybox:lab", "sh", "-c", ask)
        assert "1 packets received" in said.stdout
        swarm.heal_engines()
        assert swarm.apply() == {}
    finally:
        swarm.swarm("rm", "-f", "web")


def test_thread_that_an_overlay_network_took_along_is_told_and_healed(swarm):
    """Docker's fault (moby/libnetwork#1838): a network seems missing to the engine, at times."""
    host = swarm.lab.hosts()[-1]
    swarm.pillar(networks={"backend": {"driver": "overlay", "subnet": "10.20.0.0/24"}})
    swarm.apply()

    def complaints():
        swarm.docker(host, "run", "--rm", "--net", "backend", "busybox:lab", "true", check=False)
        return swarm.lab.salt(host, "swarm_engine.complaints")[host]

    swarm.wait(complaints, 120)
    before = swarm.pids(host)
    returns = swarm.lab.salt(host, "swarm_engine.heal")
    assert "libnetwork#1838" in returns[host][0]
    after = swarm.pids(host)
    assert after.pop("dockerd") != before.pop("dockerd")
    assert after == before
    assert swarm.lab.salt(host, "swarm_engine.complaints") == {host: []}
    assert swarm.apply() == {}


@pytest.fixture
def client(swarm):
    """A host whose users' Docker clients talk to the swarm, with docker-compose."""
    host = swarm.lab.hosts()[0]
    swarm.pillar(client={"nodes": [host]})
    swarm.apply()
    install = "command -v docker-compose || apt-get install -y -qq docker-compose"
    swarm.lab.exec(host, "sh", "-c", install, timeout=300)
    return host


def test_docker_and_compose_of_a_user_go_to_the_swarm(swarm, client):
    assert f"Nodes: {len(swarm.lab.hosts())}" in _login(swarm, client, "docker info")
    folder = "/root/project"
    swarm.lab.exec(client, "mkdir", "-p", folder)
    swarm.lab.exec(client, "tee", f"{folder}/docker-compose.yml", input=COMPOSE)
    try:
        _login(swarm, client, f"cd {folder} && docker-compose up -d && docker-compose scale web=3")
        names = _login(swarm, client, "docker ps --format '{{.Names}}'").split()
        placed = {name.split("/")[0] for name in names if "web" in name}
        assert placed == set(swarm.lab.hosts()), "spread over all hosts"
    finally:
        _login(swarm, client, f"cd {folder} && docker-compose down", check=False)


def test_login_is_the_engines_own_again_without_the_pillar(swarm, client):
    swarm.pillar()
    assert set(swarm.apply()) == {f"{client}: Docker clients use the swarm"}
    assert _login(swarm, client, "echo $DOCKER_HOST").strip() == ""
