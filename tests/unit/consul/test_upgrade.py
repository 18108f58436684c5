"""
Another version of Consul: which one an image has, which ones may follow, and the data before.
"""

import contextlib
import json

import pytest

from _modules import swarm_consul
from swarm_formula.consul import schema, upgrade
from swarm_formula.core import archive, errors, host_files, wait
from swarm_formula.docker import engine_api
from tests.unit.archives import snapshot
from tests.unit.execution import mocked, tried
from tests.unit.pillars import VALID, node, settings_of

CHANGED = {"image": {"old": "consul:1.18.2", "new": "consul:1.20.2"}}
TITLE, VERSION = "org.opencontainers.image.title", "org.opencontainers.image.version"


def image(labels=None, env=None):
    """Return an inspected image; Docker 29 leaves out what is empty."""
    return {"Config": {key: one for key, one in {"Labels": labels, "Env": env}.items() if one}}


@pytest.mark.parametrize(
    ("found", "version"),
    [
        # Docker's official image, HashiCorp's, and one that is built upon it.
        (image(env=["PATH=/bin", "CONSUL_VERSION=1.8.19"]), (1, 8)),
        (image({TITLE: "consul", VERSION: "1.20.2"}, ["PRODUCT_VERSION=1.20.2"]), (1, 20)),
        (image({TITLE: "consul", VERSION: "1.21.4-ent"}), (1, 21)),
        # The labels are those of its base.
        (image({TITLE: "ubuntu", VERSION: "22.04"}, ["PRODUCT_VERSION=22.04"]), ()),
        (image({VERSION: "12.1"}), ()),
        (image(), ()),
        ({}, ()),
    ],
)
def test_version_that_an_image_tells(found, version):
    assert schema.built(found) == version


class Engine:
    """An engine with one image, once it was pulled."""

    def __init__(self, found):
        self.found = found

    def inspect_image(self, _name):
        return self.found


@pytest.fixture
def engine(monkeypatch):
    """Return a function that gives the engine an image, ``None`` for no engine."""

    def give(found):
        @contextlib.contextmanager
        def connect(_salt, what, **_):
            if found is None:
                raise errors.EngineUnreachableError(what)
            yield Engine(found)

        monkeypatch.setattr(engine_api, "connect_local", connect)

    return give


@pytest.mark.parametrize("test", [False, True], ids=["run", "test"])
def test_tag_without_a_version_is_asked_of_the_image(engine, test):
    name = "registry.example.com/consul:prod"
    settings = settings_of({**VALID, "consul": {"image": name}})
    salt = mocked(swarm_image__apply={})
    engine(image({TITLE: "Consul", VERSION: "1.20.2"}))
    assert upgrade.image_version(salt, settings, test) == (1, 20)
    # A dry run pulls nothing.
    assert salt["swarm_image.apply"].called is not test
    if test:
        engine(None)
        assert upgrade.image_version(salt, settings, test) == ()


@pytest.mark.parametrize(
    ("have", "due", "words"),
    [
        ("1.8.7", "1.8.19", None),
        ("1.8.7", "1.10.12", None),
        ("1.8.7", "1.12", "an image of 1.10 first"),
        ("1.10.12", "1.22", "an image of 1.12 first"),
        ("1.20.1", "1.22.0", None),
        ("1.20.1", "2.0", "an image of 1.22 first"),
        ("1.21.7", "2.0.1", None),
        ("1.12.3", "1.11.9", "does not read all .* Put 1.12 back"),
        # What this table does not know yet is the operator's choice.
        ("2.0.1", "3.0", None),
        ("", "1.20", None),
    ],
)
def test_steps_of_an_upgrade(have, due, words):
    found = upgrade.refusal("m1", schema.series(have), schema.series(due))
    if words is None:
        assert found is None
    else:
        with pytest.raises(errors.SwarmError, match=f"{words}.*nothing was touched$"):
            raise errors.SwarmError(found)


@pytest.fixture
def host(monkeypatch, agent, tmp_path):
    """Return a function that makes m1 a server of a version, and a pillar that has an image."""
    monkeypatch.setattr(host_files, "CONFIG", tmp_path / "etc")
    monkeypatch.setattr(host_files, "RECORD", tmp_path / "record.json")
    monkeypatch.setattr(archive, "FOLDER", tmp_path / "backups")
    monkeypatch.setattr(wait, "_FIRST", 0.01)

    def host(have, image, server=True, act=None):
        agent.builds["m1"] = have
        agent.snapshot = snapshot(tmp_path)
        host_files.write(
            tmp_path / "etc/consul.json",
            json.dumps({"server": server, "ports": {"http": agent.port}}),
        )
        consul = {"image": image, "http_port": agent.port}
        settings = settings_of({**VALID, "consul": consul, "timeout": 5}, node("m1"))
        salt = mocked(
            swarm_settings__get=settings,
            swarm_container__apply=tried(CHANGED, act),
            swarm_container__check=None,
            swarm_container__get={"image": f"consul:{have}", "mounts": [], "labels": {}},
            swarm_container__logs="its words",
            swarm_classic__managers={},
        )
        monkeypatch.setattr(swarm_consul, "__salt__", salt, raising=False)
        monkeypatch.setattr(swarm_consul, "__opts__", {"id": "m1"}, raising=False)
        return tmp_path / "backups"

    return host


@pytest.mark.parametrize(
    ("server", "image", "words"),
    [
        (True, "hashicorp/consul:1.20.2", "an image of 1.10 first"),
        (True, "hashicorp/consul:1.10.12", None),
        (True, "hashicorp/consul:1.7.3", "older version"),
        # It has no data of its own.
        (False, "hashicorp/consul:1.20.2", None),
    ],
)
def test_step_that_is_too_far_is_refused_before_anything_is_touched(host, server, image, words):
    host("1.8.7", image, server)
    told = pytest.raises(errors.SwarmError, match=words) if words else contextlib.nullcontext()
    with told:
        swarm_consul.check_fixed()


@pytest.mark.parametrize("image", ["hashicorp/consul:1.20.2", "consul:1.18.2"])
def test_server_saves_the_data_in_its_turn_before_it_gets_another_image(host, agent, image):
    def act():
        assert agent.keys["swarm-formula/turn"][0] == "m1"
        # The old container still ran: it is what answered.
        assert len(list(folder.glob("classic-m1-*-before-upgrade.snap"))) == ("1.20" in image)

    folder = host("1.18.2", image, act=act)
    assert swarm_consul.apply(test=True) == CHANGED
    assert not folder.exists()
    assert swarm_consul.apply() == CHANGED


def test_server_without_a_snapshot_keeps_its_image(host, agent):
    folder = host("1.18.2", "hashicorp/consul:1.20.2", act=pytest.fail)
    agent.snapshot = b"no snapshot"
    with pytest.raises(errors.SwarmError, match="what Consul answers is no snapshot of Consul"):
        swarm_consul.apply()
    assert not list(folder.glob("*"))
