"""
Where containers go, and how clients see and reach them, by both images.
"""

import json
import os
import shutil
import subprocess
import threading
import time

import pytest

from tests.contract.swarm_box import call, wait

ANYWHERE = {"node-a", "node-b"}
PLACES = [
    (["constraint:zone==a"], {"node-a"}),
    (["constraint:zone!=a"], {"node-b"}),
    (["constraint:node==node-b"], {"node-b"}),
    (["constraint:node==*-a"], {"node-a"}),
    (["constraint:zone==/[bc]/"], {"node-b"}),
    (["constraint:zone==~c"], ANYWHERE),
    (["constraint:zone==~b"], {"node-b"}),
    (["constraint:storagedriver==*", "constraint:ostype==linux"], ANYWHERE),
    (["affinity:image==busybox", "constraint:zone==b"], {"node-b"}),
    (["whitelist:node==node-a|node-x"], {"node-a"}),
]
REFUSED = [
    (["constraint:zone==c"], "\n[available container slots]\n[zone==c]\n"),
    (
        ["constraint:zone==a", "affinity:container!=x", "constraint:rack==1"],
        "\n[available container slots]\n[container!=x (soft=false)]\n[zone==a rack==1]\n",
    ),
    (["affinity:container==x"], "\n[available container slots]\n[container==x (soft=false)]\n"),
    (
        ["constraint:zone"],
        "\n[available container slots]\nerror from constraint filter: "
        "One of operator ==, != is expected\n",
    ),
]
CONDITIONS = "Unable to find a node that satisfies the following conditions "


def place(manager, name):
    return call(manager.port, "GET", f"/containers/{name}/json").json()["Node"]["Name"]


@pytest.mark.parametrize(("env", "expected"), PLACES, ids=lambda value: str(value)[:40])
def test_expressions_choose_the_node(manager, env, expected):
    assert manager.create("placed", *env).status == 201
    assert place(manager, "placed") in expected


@pytest.mark.parametrize(("env", "conditions"), REFUSED, ids=lambda value: str(value)[:40])
def test_nowhere_to_go_is_an_error_that_lists_the_conditions(manager, env, conditions):
    answer = manager.create("nowhere", *env)
    assert (answer.status, answer.text) == (500, CONDITIONS + conditions)


def test_expressions_leave_the_environment_for_labels(manager):
    manager.create("moved", "A=b:c", "constraint:zone==a", "reschedule:on-node-failure")
    config = call(manager.port, "GET", "/containers/moved/json").json()["Config"]
    assert "A=b:c" in config["Env"]
    assert not [item for item in config["Env"] if item.startswith(("constraint", "reschedule"))]
    assert json.loads(config["Labels"]["com.docker.swarm.constraints"]) == ["zone==a"]
    assert json.loads(config["Labels"]["com.docker.swarm.reschedule-policies"]) == [
        "on-node-failure"
    ]
    assert len(config["Labels"]["com.docker.swarm.id"]) == 64
    assert manager.create("wrong", "reschedule:always").text == (
        "invalid reschedule policy: always\n"
    )


def test_a_label_asks_like_the_environment(manager):
    labels = {"com.docker.swarm.constraints": '["zone==b"]'}
    manager.create("labelled", Labels=labels)
    assert place(manager, "labelled") == "node-b"


def test_spread_takes_the_emptier_node(manager):
    for number in range(4):
        manager.create(f"spread-{number}")
    placed = sorted(place(manager, f"spread-{number}") for number in range(4))
    assert placed == ["node-a", "node-a", "node-b", "node-b"]


def test_memory_is_reserved_and_counts(manager, nodes):
    half = {"NetworkMode": "none", "Memory": 64 * 2**20}
    manager.create("reserved", "constraint:zone==a", HostConfig=half)
    details = manager.nodes()[nodes["a"].address]
    assert details["Reserved Memory"].startswith("64 MiB / ")
    everything = {"NetworkMode": "none", "Memory": 2**50}
    answer = manager.create("huge", HostConfig=everything)
    assert answer.text == "no resources available to schedule container\n"


def test_a_port_is_free_on_the_other_node(manager):
    bound = {
        "NetworkMode": "none",
        "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8088"}]},
    }
    for number in range(2):
        assert manager.create(f"port-{number}", HostConfig=bound).status == 201
    assert {place(manager, f"port-{number}") for number in range(2)} == ANYWHERE
    answer = manager.create("port-2", HostConfig=bound)
    assert "[port 8088 (Bridge mode)]" in answer.text


def test_affinity_follows_a_container(manager):
    manager.create("leader", "constraint:zone==b")
    for number in range(2):
        manager.create(f"follower-{number}", "affinity:container==leader")
        assert place(manager, f"follower-{number}") == "node-b"


def test_a_name_is_taken_in_the_whole_swarm(manager):
    manager.create("only", "constraint:zone==a")
    answer = manager.create("only", "constraint:zone==b")
    assert answer.status == 409
    assert answer.text.startswith("Conflict: The name only is already assigned.")


def test_an_image_that_nobody_has(manager):
    answer = manager.create("ghost", Image="ghost:1")
    assert answer.status == 500


def test_ps_names_the_node_and_hides_swarm_itself(manager, nodes):
    manager.create("seen", "constraint:zone==a")
    call(manager.port, "POST", "/containers/seen/start")
    call(nodes["b"].port, "POST", "/images/busybox:lab/tag?repo=swarm&tag=own")
    manager.create("hidden", "constraint:zone==b", Image="swarm:own")
    call(manager.port, "POST", "/containers/hidden/start")
    shown = ("ps", "--format={{.Names}}")
    assert manager.docker(*shown).stdout == "node-a/seen\n"
    assert manager.docker(*shown, "-a").stdout == "node-b/hidden\nnode-a/seen\n"
    assert manager.docker(*shown, "-a", "--filter=node=node-b").stdout == "node-b/hidden\n"
    every = call(manager.port, "GET", "/containers/json?all=1&limit=-1").json()
    assert len(every) == 2, "docker-compose asks with limit=-1"
    running = call(manager.port, "GET", "/info").json()
    assert (running["Containers"], running["ContainersRunning"]) == (2, 2)


def test_a_container_is_found_by_every_name(manager):
    created = manager.create("many-names", "constraint:zone==a").json()["Id"]
    for name in ("many-names", "node-a/many-names", created, created[:12], created[:6]):
        assert call(manager.port, "GET", f"/containers/{name}/json").json()["Id"] == created


def test_the_docker_command_works_through_the_manager(manager):
    run = ("run", "-i", "--rm", "--network=none", "busybox:lab")
    assert manager.docker(*run, "cat", input="to and fro").stdout == "to and fro"
    assert manager.docker(*run, "sh", "-c", "exit 3", check=False).returncode == 3
    sleeper = ("run", "-d", "--network=none", "--name=worker", "-e", "constraint:zone==b")
    manager.docker(*sleeper, "busybox:lab", "sh", "-c", "echo started; sleep 600")
    wait("it printed", lambda: manager.docker("logs", "worker").stdout == "started\n")
    assert manager.docker("exec", "worker", "echo", "inside").stdout == "inside\n"
    assert manager.docker("exec", "-i", "worker", "cat", input="in").stdout == "in"
    assert "sleep 600" in manager.docker("top", "worker").stdout
    assert manager.docker("exec", "worker", "false", check=False).returncode == 1
    manager.docker("rename", "worker", "renamed")
    manager.docker("stop", "-t", "0", "renamed")
    status = manager.docker("ps", "-a", "--format={{.Names}} {{.Status}}").stdout
    assert status.startswith("node-b/renamed Exited (137)")
    manager.docker("rm", "renamed")
    assert manager.docker("ps", "-aq").stdout == ""


COMPOSE = """
version: "2"
services:
  web:
    image: busybox:lab
    command: sleep 600
    network_mode: none
"""


@pytest.mark.skipif(
    not shutil.which("docker-compose"), reason="docker-compose 1.x is not installed"
)
def test_docker_compose_works_through_the_manager(manager, tmp_path):
    (tmp_path / "docker-compose.yml").write_text(COMPOSE)

    def compose(*words):
        command = ["docker-compose", "-p", "tried", *words]
        env = os.environ | {"DOCKER_HOST": f"tcp://{manager.address}"}
        subprocess.run(command, cwd=tmp_path, env=env, check=True, timeout=60)  # noqa: S603
        return sorted(manager.docker("ps", "--format={{.Names}}").stdout.split())

    assert [name.partition("/")[2] for name in compose("up", "-d")] == ["tried_web_1"]
    scaled = compose("up", "-d", "--scale", "web=4")
    assert {name.partition("/")[0] for name in scaled} == ANYWHERE
    assert len(scaled) == 4
    assert len(compose("up", "-d", "-t0", "--scale", "web=1")) == 1
    assert compose("down", "-t0") == []


def test_images_networks_and_volumes_are_those_of_all_nodes(manager):
    tags = manager.docker("images", "--format={{.Repository}}:{{.Tag}}").stdout.split()
    assert tags.count("busybox:lab") == 1
    networks = manager.docker("network", "ls", "--format={{.Name}}").stdout.split()
    assert {"node-a/host", "node-b/host", "node-a/none", "node-b/none"} <= set(networks)
    manager.docker("volume", "create", "everywhere")
    volumes = manager.docker("volume", "ls", "-q").stdout.split()
    assert {"node-a/everywhere", "node-b/everywhere"} <= set(volumes)
    manager.docker("volume", "rm", "everywhere")
    assert "everywhere" not in manager.docker("volume", "ls", "-q").stdout


def test_a_network_is_an_overlay_unless_said_otherwise(manager):
    """These engines have no store for overlays, and so refuse with words about swarm mode."""
    answer = call(manager.port, "POST", "/networks/create", {"Name": "over"})
    assert answer.status == 500
    assert "swarm manager" in answer.text


def test_events_carry_their_node(manager):
    found = []

    def read():
        answer = call(manager.port, "GET", f"/events?until={int(time.time()) + 4}")
        decoder, text = json.JSONDecoder(), answer.text.strip()
        while text:
            event, end = decoder.raw_decode(text)
            found.append(event)
            text = text[end:].strip()

    reader = threading.Thread(target=read)
    reader.start()
    wait("somebody listens", lambda: call(manager.port, "GET", "/info").json()["NEventsListener"])
    manager.create("eventful", "constraint:zone==a")
    reader.join()
    created = next(item for item in found if item["Action"] == "create")
    assert created["Actor"]["Attributes"]["node.name"] == "node-a"
    assert created["Actor"]["Attributes"]["name"] == "eventful"
    assert created["from"] == "busybox:lab node:node-a"
