"""The network of a lab, beside those of other labs on the same engine."""

import subprocess
import types
from ipaddress import ip_network

import pytest

from lab import network

ID = "c2ee3e90bf9f"


class Engine:
    """An engine with the network of one lab."""

    def __init__(self, mine):
        self.settings = types.SimpleNamespace(
            name=mine, subnet=ip_network("10.77.0.0/24"), ipv6=False
        )
        self.networks, self.calls = {ID: "swarm-lab"}, []

    def docker(self, *words, check=True):
        self.calls.append(words[1])
        name = words[-1]
        found = [one for one in self.networks.values() if one == name]
        found += [one for key, one in self.networks.items() if key.startswith(name)]
        assert found or not check or words[1] == "create"
        return subprocess.CompletedProcess(
            words, 0 if found else 1, "\n".join(found[:1]) + "\n", ""
        )


@pytest.mark.parametrize("name", ["c", "c2", ID, "other"])
def test_network_of_another_lab_is_never_taken_for_its_own(name):
    engine = Engine(name)
    network.remove(engine)
    assert "rm" not in engine.calls
    network.ensure(engine)
    assert "create" in engine.calls


def test_network_that_is_there_is_removed_and_not_made_again():
    engine = Engine("swarm-lab")
    network.ensure(engine)
    assert "create" not in engine.calls
    network.remove(engine)
    assert "rm" in engine.calls
