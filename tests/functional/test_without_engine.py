"""What the states do on a machine whose engine is not there, or not there yet."""

import pytest

CASES = {
    "container": ("swarm_container", "running", {"image": "swarm:1.2.9"}),
    "network": ("swarm_network", "present", {"driver": "overlay"}),
    "no-container": ("swarm_container", "absent", {}),
    "no-network": ("swarm_network", "absent", {}),
    "no-image": ("swarm_image", "absent", {}),
}


@pytest.fixture(scope="module")
def docker_url(tmp_path_factory):
    return f"unix://{tmp_path_factory.mktemp('nothing')}/docker.sock"


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_without_an_engine(states, testmode, case):
    """In test mode it is no failure: an earlier state of the same run would start the engine."""
    module, function, spec = case
    ret = getattr(getattr(states, module), function)("thing", test=testmode, **spec)
    if not testmode:
        assert ret.result is False
        assert "No such file or directory" in ret.comment
        assert ret.changes == {}
    elif spec:
        assert ret.result is None
        assert ret.changes["state"]["old"] == "absent"
    else:
        assert ret.result is True
        assert ret.changes == {}
