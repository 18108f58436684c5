"""
Keys of daemon.json that would take what an engine holds out of its sight.
"""

import json

import pytest

from _modules import swarm_engine
from swarm_formula.core import errors
from swarm_formula.daemon import holdings
from swarm_formula.daemon.holdings import (
    CONTAINERS,
    IMAGES,
    KEYS,
    RUNNING,
    SWARM,
    VOLUMES,
    Holdings,
)
from tests.unit.dockerd import BASE

# key: what it was and what it becomes; and the same the other way round
CHANGES = {
    "data-root": (None, "/srv/docker"),
    "graph": (None, "/srv/docker"),
    "userns-remap": (None, "default"),
    "storage-driver": ("overlay2", "vfs"),
    "storage-opts": (["zfs.fsname=a"], ["zfs.fsname=b"]),
    "features": ({}, {"containerd-snapshotter": True}),
    "exec-root": (None, "/run/other"),
    "containerd": (None, "/run/other.sock"),
    "containerd-namespace": (None, "other"),
    "containerd-plugin-namespace": (None, "other"),
}


def held(up=True, root="/var/lib/docker", driver="overlay2", snapshotter=False, **kinds):
    names = {
        "containers": CONTAINERS,
        "images": IMAGES,
        "volumes": VOLUMES,
        "swarm": SWARM,
        "running": RUNNING,
    }
    given = {names[key]: frozenset(range(count)) for key, count in kinds.items()}
    return Holdings(up, given, root, driver, snapshotter)


FULL = held(containers=3, images=2, volumes=1, swarm=1, running=2)


def config(key, value):
    return {"live-restore": True, **({} if value is None else {key: value})}


def test_each_key_is_tried():
    assert set(CHANGES) == set(KEYS)


@pytest.mark.parametrize("key", CHANGES)
def test_key_that_hides_is_refused_with_its_path_and_a_cure(key):
    old, new = (config(key, value) for value in CHANGES[key])
    text = holdings.refusal(old, new, FULL)
    assert text.startswith(f"swarm:engine:options:{key}: ")
    assert "apply again" in text or "apply there while" in text


@pytest.mark.parametrize("key", CHANGES)
def test_key_that_hides_is_taken_by_an_empty_engine(key):
    old, new = (config(key, value) for value in CHANGES[key])
    assert holdings.refusal(old, new, held(driver="")) is None
    assert holdings.refusal(old, new, held(up=False, driver="")) is None


@pytest.mark.parametrize("key", set(CHANGES) - {"storage-driver"})
def test_way_back_is_refused_as_well(key):
    new, old = (config(key, value) for value in CHANGES[key])
    there = FULL._replace(root="/srv/docker", snapshotter=key == "features")
    if key == "features":
        new = config(key, {"containerd-snapshotter": False})
    assert holdings.refusal(old, new, there).startswith(f"swarm:engine:options:{key}: ")


@pytest.mark.parametrize(
    ("old", "new", "there"),
    [
        # what the engine does already, by its own word
        ({}, {"data-root": "/srv/docker"}, FULL._replace(root="/srv/docker")),
        ({}, {"data-root": "/var/lib/docker/"}, FULL),
        ({}, {"storage-driver": "overlay2"}, FULL),
        ({"storage-driver": "overlay2"}, {}, FULL),
        ({"userns-remap": "default"}, {"userns-remap": "dockremap"}, FULL),
        ({}, {"features": {"containerd-snapshotter": False}}, FULL),
        ({}, {"features": {"buildkit": True}}, FULL),
        ({}, {"storage-opts": ["overlay2.size=10G"]}, FULL),
        ({}, {"log-driver": "journald"}, FULL),
        # without live-restore they end with the engine
        ({"live-restore": False}, {"exec-root": "/run/other"}, FULL),
        # volumes and the cluster do not depend on the driver
        ({}, {"storage-driver": "vfs"}, held(volumes=1, swarm=1)),
    ],
    ids=str,
)
def test_what_hides_nothing_is_accepted(old, new, there):
    assert holdings.refusal(old, new, there) is None


def test_driver_that_docker_does_not_find_again_is_named_for_good():
    text = holdings.refusal({"storage-driver": "vfs"}, {}, FULL._replace(driver="vfs"))
    assert "storage-driver" in text


def test_containerd_has_the_images_where_it_has_the_snapshots():
    old, new = {}, {"containerd-namespace": "other"}
    there = held(images=2, snapshotter=True)
    assert "2 images" in holdings.refusal(old, new, there)


# ---- the way to move it


@pytest.fixture
def places(tmp_path):
    """Return a folder with what an engine holds, and an empty one."""
    old, new = tmp_path / "old", tmp_path / "new"
    for path in (
        "containers/abc/config.v2.json",
        "image/overlay2/imagedb/content/sha256/def",
        "volumes/data/_data/file",
        "swarm/docker-state.json",
    ):
        (old / path).parent.mkdir(parents=True)
        (old / path).write_text("{}")
    new.mkdir()
    return old, new


def judged(old, new, **more):
    configs = {"data-root": str(old), **more}, {"data-root": str(new), **more}
    there = holdings.on_disk(configs[0])
    return holdings.refusal(*configs, there, lambda place: holdings.missing_in(there, place))


def test_data_that_is_at_its_new_place_is_accepted_while_the_engine_is_stopped(places, tmp_path):
    old, new = places
    text = judged(old, new, **{"exec-root": str(tmp_path / "exec")})
    assert f"{new} lacks containers/abc, image/overlay2" in text
    assert f"cp -a {old}/. {new}/" in text
    for path in list(old.rglob("*")):
        target = new / path.relative_to(old)
        target.mkdir(parents=True, exist_ok=True) if path.is_dir() else target.write_text("{}")
    assert judged(old, new, **{"exec-root": str(tmp_path / "exec")}) is None


def test_containers_that_still_run_keep_the_engine_where_it_is(places, tmp_path):
    old, _ = places
    (tmp_path / "exec/runtime-runc/moby/abc").mkdir(parents=True)
    text = judged(old, old.parent / "copy", **{"exec-root": str(tmp_path / "exec")})
    assert "Containers still run" in text


def test_data_that_was_moved_leaves_nothing_to_lose(places, tmp_path):
    old, new = places
    new.rmdir()
    old.rename(new)
    assert judged(old, new, **{"exec-root": str(tmp_path / "exec")}) is None


def test_names_of_containers_of_a_stopped_engine(tmp_path):
    path = tmp_path / "containers/abc/config.v2.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"Name": "/swarm-agent", "Config": {"Cmd": ["join", "x"]}}))
    (tmp_path / "containers/broken").mkdir()
    (tmp_path / "containers/broken/config.v2.json").write_text("{")
    config = {"data-root": str(tmp_path)}
    assert holdings.container_names(config) == {"swarm-agent": ["join", "x"]}
    assert not holdings.in_cluster(config)


# ---- the module


@pytest.mark.parametrize("test", [False, True], ids=["run", "test"])
def test_used_engine_keeps_its_data_root(converged, pillar, test):
    converged.containers, converged.images = {"web": "sleep"}, 1
    before = converged.on_disk()
    pillar(engine={"options": {"data-root": "/srv/docker"}})
    words = r"nothing was changed in the engine of m1: swarm:engine:options:data-root: 1 con"
    with pytest.raises(errors.SwarmError, match=words):
        swarm_engine.configure(test=test)
    assert converged.on_disk() == before
    assert converged.calls == []


@pytest.mark.usefixtures("converged")
def test_empty_engine_takes_a_data_root_and_keeps_it_once_it_is_used(daemon, pillar):
    pillar(engine={"options": {"data-root": "/srv/docker"}})
    swarm_engine.configure()
    assert daemon.config["data-root"] == "/srv/docker"
    daemon.volumes = ["data"]
    pillar()
    with pytest.raises(errors.SwarmError, match="1 volumes would be out of the engine's"):
        swarm_engine.configure()
    assert daemon.config["data-root"] == "/srv/docker"


def test_clean_leaves_the_key_without_which_an_admins_containers_were_gone(daemon, pillar):
    pillar(engine={"options": {"data-root": "/srv/docker"}})
    swarm_engine.configure()
    swarm_engine.configure_overlay()
    daemon.containers = {"web": "sleep"}
    swarm_engine.clean()
    assert daemon.on_disk() == {"data-root": "/srv/docker"}
    assert swarm_engine.clean() == {}
    daemon.containers = {}
    swarm_engine.clean()
    assert not daemon.on_disk()


def test_image_store_is_changed_by_a_restart(converged, pillar):
    pillar(engine={"options": {"features": {"containerd-snapshotter": True}}})
    changes = swarm_engine.configure()
    assert "restart" in changes
    assert converged.config == {**BASE, **converged.on_disk()}
