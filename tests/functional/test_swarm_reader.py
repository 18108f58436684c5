"""What is read without the SDK is what the SDK reads, of a real engine."""

import docker
import pytest

from swarm_formula.docker import reader
from tests.functional.conftest import IMAGE, PREFIX

NAME = f"{PREFIX}read"
NAMES = {"inspect_image": IMAGE}
LISTS = {"containers", "networks", "volumes"}
# What differs from one moment to the next.
FLEETING = {"SystemTime", "Status", "NGoroutines", "NFd", "NEventsListener", "State"}


@pytest.fixture
def things(clean):
    """One thing of each kind, of one name."""
    clean.networks.create(NAME)
    clean.volumes.create(NAME)
    clean.containers.create(IMAGE, name=NAME, labels={"a": "b"})
    yield
    for kind in ("containers", "networks", "volumes"):
        getattr(clean, kind).get(NAME).remove()


def outcome(client, method, *args, **kwargs):
    try:
        found = getattr(client, method)(*args, **kwargs)
    except (reader.NotFound, docker.errors.NotFound) as err:
        return "not found", err.explanation
    except (reader.APIError, docker.errors.APIError) as err:
        return "error", err.explanation
    return steady(found)


def steady(value):
    if isinstance(value, dict):
        return {key: steady(one) for key, one in value.items() if key not in FLEETING}
    return [steady(one) for one in value] if isinstance(value, list) else value


@pytest.mark.once
@pytest.mark.parametrize("method", reader.READS)
def test_both_read_the_same(things, docker_url, method):
    ours = reader.Reader(docker_url, 30)
    theirs = docker.APIClient(docker_url, version=ours.version()["ApiVersion"])
    if "{}" in reader.READS[method]:
        for given in (NAMES.get(method, NAME), "nope"):
            assert outcome(ours, method, given) == outcome(theirs, method, given)
        return
    # Others may be at work on that engine.
    more = {"filters": {"name": NAME}} if method in LISTS else {}
    more |= {"all": True} if method == "containers" else {}
    assert outcome(ours, method, **more) == outcome(theirs, method, **more)
