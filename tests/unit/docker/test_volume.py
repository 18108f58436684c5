"""
Volumes of a host: created once, never changed, on the nodes that pillar names.
"""

import docker
import pytest

from _modules import swarm_volume
from swarm_formula.core import errors
from tests.unit.execution import mocked
from tests.unit.pillars import VALID, resolved, settings_of


class Engine:
    """An engine's volumes."""

    def __init__(self):
        self.volumes, self.written = {}, []

    def inspect_volume(self, name):
        if name not in self.volumes:
            raise docker.errors.NotFound("no such volume")
        return self.volumes[name]

    def create_volume(self, name, driver, driver_opts, labels):
        self.written.append(name)
        # As Docker does: null for what is empty.
        options, labels = driver_opts or None, labels or None
        self.volumes[name] = {
            "Name": name,
            "Driver": driver,
            "Options": options,
            "Labels": labels,
            "Mountpoint": f"/v/{name}/_data",
        }

    def remove_volume(self, name):
        self.written.append(f"-{name}")
        del self.volumes[name]

    def close(self):
        pass


class Connected:
    """A context manager that yields the engine, or raises an error."""

    def __init__(self, engine):
        self.engine = engine

    def __enter__(self):
        if isinstance(self.engine, Exception):
            raise self.engine
        return self.engine

    def __exit__(self, *_):
        pass


@pytest.fixture
def engine(monkeypatch):
    engine = Engine()
    monkeypatch.setattr(swarm_volume, "_client", lambda _: Connected(engine))
    return engine


def pillar(monkeypatch, **volumes):
    salt = mocked(swarm_settings__get=settings_of({**VALID, "volumes": volumes}))
    monkeypatch.setattr(swarm_volume, "__salt__", salt, raising=False)


def test_volumes_of_this_node_are_made_once(engine, monkeypatch):
    pillar(
        monkeypatch,
        all={},
        some={"nodes": ["m?"], "driver": "nfs", "options": {"a": 1}, "labels": {"b": "c"}},
        other={"nodes": ["m2", "web-*"]},
    )
    promised = swarm_volume.apply_all(test=True)
    assert engine.written == []
    assert swarm_volume.apply_all() == promised
    assert promised == {
        "all": {"state": {"old": "absent", "new": "present"}},
        "some": {
            "state": {"old": "absent", "new": "present"},
            "driver": {"old": None, "new": "nfs"},
            "options": {"old": None, "new": {"a": "1"}},
            "labels": {"old": None, "new": {"b": "c"}},
        },
    }
    assert swarm_volume.apply_all() == swarm_volume.apply_all(test=True) == {}
    assert engine.written == ["all", "some"]


@pytest.mark.parametrize("test", [False, True])
def test_other_options_are_refused_before_anything_is_made(engine, monkeypatch, test):
    engine.create_volume("old", "local", {"device": "x"}, {"by": "hand"})
    engine.written.clear()
    pillar(monkeypatch, new={}, old={"options": {"device": "y"}})
    with pytest.raises(errors.SwarmError, match=r"volume old: it has options .*data would be"):
        swarm_volume.apply_all(test)
    assert engine.written == []
    # What is not given is not compared, nor are labels of others.
    pillar(monkeypatch, old={"driver": "local"})
    assert swarm_volume.apply_all(test) == {}
    with pytest.raises(errors.SwarmError, match="labels"):
        swarm_volume.apply("old", {"labels": {"by": "pillar"}}, test)


def test_options_that_look_secret_are_in_no_error_and_no_change(engine, monkeypatch):
    spec = {"options": {"o": "username=me,password=geheim", "password": "geheim"}}
    told = str(swarm_volume.apply("cifs", spec))
    with pytest.raises(errors.SwarmError) as err:
        swarm_volume.apply("cifs", {"options": {"o": "password=geheim2"}})
    assert "geheim" not in told + str(err.value)
    assert "username=me,password=***" in told


def test_bare_host_promises_its_volumes(monkeypatch):
    gone = errors.EngineUnreachableError("no engine")
    monkeypatch.setattr(swarm_volume, "_client", lambda _: Connected(gone))
    new = {"state": {"old": "absent", "new": "present"}}
    assert swarm_volume.apply("data", {}, test=True) == new
    with pytest.raises(errors.EngineUnreachableError):
        swarm_volume.apply("data", {})


def test_remove(engine):
    engine.create_volume("old", "local", {}, {})
    assert swarm_volume.remove("old", test=True) == swarm_volume.remove("old")
    assert swarm_volume.remove("old") == {}


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"drivr": "x"}, "swarm:volumes:data:drivr: found 'an unknown key'"),
        ({"nodes": "m1"}, "swarm:volumes:data:nodes: found 'm1'; right would be a list of minion"),
        ({"nodes": ["a b"]}, "found ['a b']; right would be a list of minion IDs or globs"),
        ({"options": ["a"]}, "right would be a mapping of plain values"),
    ],
)
def test_wrong_volume_is_refused_by_its_place(spec, text):
    _, faults = resolved({**VALID, "volumes": {"data": spec}})
    assert any(text in str(one) for one in faults), faults
    with pytest.raises(errors.SettingsError, match="volume data"):
        swarm_volume.apply("data", spec)
