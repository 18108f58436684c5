"""
Images of services are on the nodes that may run them before their tasks start.
"""

import contextlib
from types import SimpleNamespace

import docker
import pytest

from _modules import swarm_image
from swarm_formula.core import errors
from swarm_formula.docker import engine_api
from swarm_formula.service import prepull
from tests.unit.execution import mocked
from tests.unit.pillars import BUILTIN, VALID, node, resolved, settings_of

INFO = {"Name": "m4", "OSType": "linux", "Labels": ["ssd=true"], "Swarm": {"NodeID": "id-m4"}}
SERVICES = {
    "web": {"image": "web:1", "prepull": True, "constraints": ["node.labels.zone==a"]},
    "api": {"image": "api:1", "prepull": True, "constraints": ["node.role==manager"]},
    "disk": {"image": "disk:1", "prepull": True, "constraints": ["engine.labels.ssd==true"]},
    "tar": {"image": "tar:1", "image_source": "salt://tar.tar"},
    "late": {"image": "late:1"},
    "scaled": {"prepull": True, "replicas": 2},
}
PILLAR = {**BUILTIN, "nodes": {"m4": {"labels": {"zone": "a"}}}, "services": SERVICES}


class Engine:
    """An engine, and the registry that it pulls from."""

    def __init__(self, *present, missing=()):
        self.images, self.missing, self.pulled = set(present), missing, []

    def info(self):
        return INFO

    def inspect_image(self, name):
        if name not in self.images:
            raise docker.errors.NotFound("no such image")
        return {"Id": name, "RepoTags": [name], "Size": 1}

    def post(self, _client, path, params=None, **_):
        name = f"{params['fromImage']}:{params['tag']}"
        self.pulled.append(name)
        lines = [b'{"error": "pull access denied"}'] if name in self.missing else []
        self.images |= set() if lines else {name}
        return SimpleNamespace(iter_lines=lambda: lines, close=lambda: None)


@pytest.fixture
def on(monkeypatch):
    def on(engine, minion="m4", pillar=PILLAR):
        monkeypatch.setattr(engine_api, "post", engine.post)
        monkeypatch.setattr(engine_api, "registry_login", lambda *_: {})
        salt = mocked("cp.cache_file", swarm_settings__get=settings_of(pillar, node(minion)))
        monkeypatch.setattr(swarm_image, "__salt__", salt, raising=False)
        client = contextlib.nullcontext(engine)
        monkeypatch.setattr(swarm_image, "_client", lambda *_: client)

    return on


def test_node_gets_the_images_of_the_services_that_it_may_run():
    found = prepull.wanted(settings_of(PILLAR, node("m4")), INFO)
    assert set(found) == {"web:1", "disk:1", "tar:1"}
    assert found["tar:1"].source == "salt://tar.tar"
    assert found["web:1"] is None
    manager = {**INFO, "Name": "m1", "Labels": []}
    assert set(prepull.wanted(settings_of(PILLAR), manager)) == {"api:1", "tar:1"}


def test_images_are_pulled_once_as_promised(on):
    services = {name: SERVICES[name] for name in ("web", "disk")}
    engine = Engine("disk:1")
    on(engine, pillar={**PILLAR, "services": services})
    promised = swarm_image.prepull(test=True)
    assert engine.pulled == []
    assert swarm_image.prepull() == promised == {"web:1": {"old": "absent", "new": "present"}}
    assert engine.pulled == ["web:1"]
    assert swarm_image.prepull() == swarm_image.prepull(test=True) == {}


def test_image_that_is_not_to_be_had_stops_no_other(on):
    services = {name: SERVICES[name] for name in ("web", "disk")}
    engine = Engine(missing={"disk:1"})
    on(engine, pillar={**PILLAR, "services": services})
    with pytest.raises(errors.RolloutError, match=r"disk:1 .*pull access denied") as err:
        swarm_image.prepull()
    assert set(err.value.changes) == {"web:1"}


def test_bare_host_promises_its_images(on, monkeypatch):
    on(Engine())

    def absent(*_):
        raise errors.EngineUnreachableError("no engine")

    monkeypatch.setattr(swarm_image, "_client", absent)
    assert set(swarm_image.prepull(test=True)) == {"web:1", "tar:1"}


def test_classic_mode_pulls_nothing_ahead_and_says_so(on):
    on(Engine(), "m1", VALID)
    assert swarm_image.prepull() == {}
    _, faults = resolved({**VALID, "services": {"web": {"image": "a", "prepull": True}}})
    assert "the old container runs on while the new image is pulled" in str(faults[0])
