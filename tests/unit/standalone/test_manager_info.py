import json
import re

import pytest

from swarm_formula.core import errors
from swarm_formula.standalone import manager_info

M1 = "10.77.0.11:2275"


def node_lines(**details):
    """Return the lines of one node, as 1.2.9 writes them."""
    return [[" m4", "10.77.0.14:2275"], *([f"  └ {key}", one] for key, one in details.items())]


def with_status(info, old, new):
    """Return ``info`` with one line replaced by others."""
    status = [one for pair in info["SystemStatus"] for one in (new if pair == old else [pair])]
    return {**info, "SystemStatus": status}


def test_primary(primary):
    manager = manager_info.parse(primary, "10.77.0.12:3375")
    assert manager.role == "primary"
    assert manager.primary == "10.77.0.12:3375"
    assert manager.version == "swarm/1.2.9"
    assert sorted(manager.nodes) == [f"10.77.0.1{n}:2275" for n in (1, 2, 3)]


def test_replica_names_the_primary_and_lists_nodes_too(info):
    manager = manager_info.parse(info("replica"), "10.77.0.11:3375")
    assert (manager.role, manager.primary) == ("replica", "10.77.0.12:3375")
    assert len(manager.nodes) == 3


def test_replica_without_leader(info):
    replica = with_status(info("replica"), ["Primary", "10.77.0.12:3375"], [["Primary", ""]])
    assert manager_info.parse(replica, "10.77.0.11:3375").primary == ""


def test_node_details(primary):
    assert manager_info.parse(primary).nodes[M1] == manager_info.Node(
        name="m1",
        address=M1,
        id="WMPO:ARZ7:3SBM:FKMK:B5OH:ISYA:2KE3:EW23:J37W:HD3N:WBBE:OXNL|10.77.0.11:2275",
        status="Healthy",
        labels="kernelversion=5.10.0-28-amd64,"
        " operatingsystem=Debian GNU/Linux 12 (bookworm) (containerized), ostype=linux,"
        " storagedriver=overlay2, zone=a",
        version="20.10.5+dfsg1",
        updated="2026-11-23T09:09:35Z",
    )


def test_labels_of_a_node(primary):
    node = manager_info.parse(primary).nodes[M1]
    assert manager_info.label_pairs(node) == {
        "kernelversion=5.10.0-28-amd64",
        "operatingsystem=Debian GNU/Linux 12 (bookworm) (containerized)",
        "ostype=linux",
        "storagedriver=overlay2",
        "zone=a",
    }


def test_comma_in_an_admins_label_hides_none_of_ours():
    node = manager_info.Node("m1", M1, labels="owner=a, b and c=d, zone=a")
    assert "zone=a" in manager_info.label_pairs(node)


def test_pending_node_has_an_address_and_no_name(primary):
    primary["SystemStatus"] += [
        [" (unknown)", "10.77.0.14:2275"],
        ["  └ ID", ""],
        ["  └ Status", "Pending"],
        ["  └ Containers", "0"],
        ["  └ Labels", ""],
        ["  └ Error", "Cannot connect to the Docker daemon at tcp://10.77.0.14:2275."],
        ["  └ UpdatedAt", "2026-11-23T09:09:30Z"],
        ["  └ ServerVersion", ""],
    ]
    node = manager_info.parse(primary).nodes["10.77.0.14:2275"]
    assert (node.name, node.status, node.id) == ("(unknown)", "Pending", "")
    assert node.error.startswith("Cannot connect to the Docker daemon")


def test_several_pending_nodes_are_told_apart(primary):
    for address in ("10.77.0.14:2275", "10.77.0.15:2275"):
        primary["SystemStatus"] += [[" (unknown)", address], ["  └ Status", "Pending"]]
    assert len(manager_info.parse(primary).nodes) == 5


def test_node_that_is_called_like_a_key(primary):
    """A host may well be called ``Role``: what counts is the leading space."""
    primary["SystemStatus"] += [[" Role", "10.77.0.14:2275"], ["  └ Status", "Healthy"]]
    manager = manager_info.parse(primary, "10.77.0.12:3375")
    assert manager.role == "primary"
    assert manager.nodes["10.77.0.14:2275"].name == "Role"


def test_swarm_without_nodes(primary):
    head = [pair for pair in primary["SystemStatus"] if not pair[0].startswith(" ")]
    assert manager_info.parse({**primary, "SystemStatus": head}).nodes == {}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "is not a Swarm manager"),
        ([], "is not a Swarm manager"),
        ({}, "is not a Swarm manager"),
        ({"ServerVersion": "swarm/1.2.9", "SystemStatus": None}, "is not a Swarm manager"),
        ({"ServerVersion": "20.10.5", "SystemStatus": []}, "is not a Swarm manager"),
        ({"ServerVersion": "swarm/1.2.9", "SystemStatus": ["Role"]}, "broken SystemStatus: 'Role'"),
        ({"ServerVersion": "swarm/1.2.9", "SystemStatus": [["Role"]]}, "broken SystemStatus"),
        ({"ServerVersion": "swarm/1.2.9", "SystemStatus": [[" m1", []]]}, "broken SystemStatus"),
    ],
    ids=str,
)
def test_what_is_no_manager_is_refused(answer, words):
    with pytest.raises(errors.ApiError, match=words):
        manager_info.parse(answer, "10.77.0.11:3375")


def test_engine_is_no_manager(info):
    """Whoever gives the manager the engine's port gets the engine's own ``/info``."""
    with pytest.raises(errors.ApiError, match=f"{M1} is not a Swarm manager"):
        manager_info.parse(info("engine"), M1)


# ---- what follows from it


@pytest.fixture
def said(info):
    """Return what three managers say, one of which is off."""
    answers = {
        "m1": manager_info.parse(info("replica"), "10.77.0.11:3375"),
        "m2": manager_info.parse(info("primary"), "10.77.0.12:3375"),
    }
    return manager_info.Answers(answers, {"m3": "manager 10.77.0.13:3375: no connection"})


def test_primary_of_several(said):
    assert manager_info.primary(said) == "10.77.0.12:3375"


def test_a_replicas_word_makes_no_primary(said):
    """A replica goes on naming a primary that is off."""
    del said.managers["m2"]
    assert manager_info.primary(said) is None


def test_no_primary_is_explained(said):
    del said.managers["m2"]
    assert manager_info.no_primary(said) == (
        "no manager is primary; replicas that wait for the lock: m1;"
        " manager 10.77.0.13:3375: no connection"
    )


def test_healthy_node(said):
    assert manager_info.unhealthy(said, M1) is None


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (set(), None),
        ({"zone=a"}, None),
        ({"zone=b"}, "the primary 10.77.0.12:3375 does not know zone=b of 10.77.0.11:2275 yet"),
        (
            {"zone=a", "ssd=true", "rack=7"},
            "the primary 10.77.0.12:3375 does not know rack=7, ssd=true of 10.77.0.11:2275 yet",
        ),
    ],
    ids=str,
)
def test_labels_that_the_scheduler_does_not_know_yet(said, labels, words):
    assert manager_info.unknown_labels(said, M1, labels) == words


def test_labels_that_only_a_replica_does_not_know_are_no_matter(said, info):
    replica = json.loads(json.dumps(info("replica")).replace("zone=a", "zone=old"))
    said.managers["m1"] = manager_info.parse(replica, "10.77.0.11:3375")
    assert manager_info.unknown_labels(said, M1, {"zone=a"}) is None


def test_node_that_has_not_registered(said):
    text = manager_info.unhealthy(said, "10.77.0.14:2275")
    assert text == "10.77.0.14:2275 is not in the list of the primary, 10.77.0.12:3375"


@pytest.mark.parametrize(
    ("details", "words"),
    [
        (
            {"Status": "Unhealthy", "Error": "EOF"},
            "is Unhealthy to the primary 10.77.0.12:3375: EOF",
        ),
        (
            {"Status": "Pending"},
            "is Pending to the primary .*: the manager has not reached its eng",
        ),
        ({}, "is unknown to the primary"),
    ],
    ids=str,
)
def test_unhealthy_node_is_explained(said, primary, details, words):
    primary["SystemStatus"] += node_lines(**details)
    said.managers["m2"] = manager_info.parse(primary, "10.77.0.12:3375")
    text = manager_info.unhealthy(said, "10.77.0.14:2275")
    assert re.search(words, text)


def test_without_primary_nobody_judges(said):
    del said.managers["m2"]
    assert manager_info.unhealthy(said, M1) == manager_info.no_primary(said)
