"""
Backup and restore: which node may be stopped for one, and when there could be two clusters.
"""

import copy
import threading

import pytest

from _modules import swarm_backup
from swarm_formula.cluster import swarm_api
from swarm_formula.consul import backup, config_file
from swarm_formula.core import addresses, archive, errors
from swarm_formula.daemon import dockerd
from tests.unit.archives import snapshot
from tests.unit.cluster_api import ClusterApi, node
from tests.unit.consul_agent import running
from tests.unit.execution import mocked
from tests.unit.pillars import BUILTIN, VALID, settings_of
from tests.unit.pillars import node as minion


def three(me="m2", **states):
    """Return the API of one of three managers, of which m1 leads."""
    nodes = [
        node(one, "manager", leader=one == "m1", state=states.get(one, "ready"))
        for one in ("m1", "m2", "m3")
    ]
    return ClusterApi(me, nodes)


@pytest.fixture
def host(monkeypatch, on, tmp_path):
    """Return a function that gives the API and what systemd was told, of a host with a raft."""

    def host(api, **pillar):
        api.root = str(tmp_path / "docker")
        for name in ("raft", "certificates"):
            (tmp_path / "docker" / "swarm" / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "docker" / "swarm" / "docker-state.json").write_text("{}")
        on(api.me, api, **pillar)
        told = []
        salt = mocked(
            swarm_settings__get=settings_of({**BUILTIN, **pillar}, minion(api.me)),
            cmd__run=lambda command, **_: told.append(" ".join(command)),
            service__status=False,
            service__restart=lambda name: told.append(f"start {name}"),
            swarm_builtin__apply=lambda: told.append("apply"),
            swarm_builtin__wait_ready=lambda: told.append("ready"),
            swarm_builtin__tell=lambda: told.append("tell"),
        )
        salt["config.get"] = lambda _: None
        monkeypatch.setattr(swarm_backup, "__salt__", salt, raising=False)
        monkeypatch.setattr(archive, "FOLDER", tmp_path / "backups")
        monkeypatch.setattr(dockerd, "answers", lambda: True)
        return told

    return host


STOPPED = [
    "systemctl stop docker.socket",
    "systemctl stop docker.service",
    "systemctl reset-failed docker.service",
    "start docker",
]


def test_manager_that_can_be_spared_is_stopped_and_comes_back(host):
    told = host(three())
    done = swarm_backup.save()
    assert told == [*STOPPED, "apply", "ready"]
    facts = archive.read(done["path"])
    assert {key: facts[key] for key in ("cluster", "engine", "locked", "managers", "minion")} == {
        "cluster": "c1",
        "engine": "26.1.5",
        "locked": False,
        "managers": 3,
        "minion": "m2",
    }


def test_engine_runs_again_when_the_disk_is_full(host, monkeypatch):
    told = host(three())

    def full(*_):
        raise errors.SwarmError("No space left on device")

    monkeypatch.setattr(archive, "pack", full)
    with pytest.raises(errors.SwarmError, match="No space left"):
        swarm_backup.save()
    assert told == STOPPED


@pytest.mark.parametrize(
    ("api", "said"),
    [
        (three(m3="down"), r"would cost the quorum: 2 of 3 managers are needed, .* 1 would be"),
        (ClusterApi("m1", [node("m1", "manager", leader=True)]), "would cost the quorum: 1 of 1"),
        (ClusterApi("m4", [node("m4")]), r"m4 is no manager.*salt-run swarm\.backup chooses one"),
    ],
    ids=["a manager is away", "only manager", "worker"],
)
def test_who_cannot_be_spared_is_not_stopped(host, api, said):
    told = host(api)
    with pytest.raises(errors.SwarmError, match=said):
        swarm_backup.save()
    assert told == []


def test_only_manager_is_backed_up_if_that_is_wanted(host):
    told = host(ClusterApi("m1", [node("m1", "manager", leader=True)]))
    assert swarm_backup.save(force=True)["bytes"] > 0
    assert told[:4] == STOPPED


def test_cluster_that_locks_its_managers_could_not_be_restored(host):
    api = three()
    api.spec["EncryptionConfig"]["AutoLockManagers"] = True
    told = host(api)
    with pytest.raises(errors.SwarmError, match=r"autolock: False, back up, and lock"):
        swarm_backup.save()
    assert told == []


@pytest.mark.parametrize("path", ["relative", None], ids=["relative", "there"])
def test_place_is_a_new_file(host, tmp_path, path):
    host(three())
    (tmp_path / "there").write_text("mine")
    with pytest.raises(errors.SwarmError, match="path: "):
        swarm_backup.save(path or str(tmp_path / "there"))
    assert (tmp_path / "there").read_text() == "mine"


# --- restore


@pytest.fixture
def lost(host, monkeypatch):
    """Return a backup, the API of a new m2 that is in no cluster, and what systemd is told."""
    host(three())
    path = swarm_backup.save()["path"]
    api = ClusterApi("m2", [node("m2", "manager", leader=True)], state="inactive")
    told = host(api)

    def start(*_):
        api.state = "active"

    monkeypatch.setattr(dockerd, "wait", start)
    monkeypatch.setattr(addresses, "is_own", lambda address: address == "10.77.0.12")
    return path, api, told


def test_restore_makes_a_cluster_of_this_manager_alone(lost):
    path, api, told = lost
    promised = swarm_backup.restore(path, test=True)
    assert (told, api.asked) == ([], [])
    done = swarm_backup.restore(path)
    assert promised.items() <= done.items()
    ((call, body),) = api.asked
    assert (call, body["ForceNewCluster"]) == ("/swarm/init", True)
    assert body["AdvertiseAddr"] == "10.77.0.12:2377"
    assert told == [*STOPPED, "apply"]
    assert ".before-" in done["kept"]["new"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"state": "active"}, "m2 is in a cluster that has a leader"),
        ({"engine": "20.10.24"}, r"engine of m2 is 20\.10\.24, and the backup is of 26\.1\.5"),
    ],
    ids=["well", "older engine"],
)
def test_restore_is_refused(lost, change, said):
    path, api, told = lost
    vars(api).update(change)
    with pytest.raises(errors.SwarmError, match=said):
        swarm_backup.restore(path)
    assert (told, api.asked) == ([], [])
    assert swarm_backup.restore(path, force=True, lose_cluster=True)


def test_restore_is_refused_where_nobody_could_join_the_cluster(lost, monkeypatch):
    """No engine changes the address of a manager: the others would look for it there for ever."""
    path, api, told = lost
    monkeypatch.setattr(addresses, "is_own", lambda _: False)
    for test in (True, False):
        with pytest.raises(errors.SwarmError, match=r"at 10\.77\.0\.12, the address of m2"):
            swarm_backup.restore(path, test=test)
    assert (told, api.asked) == ([], [])
    assert swarm_backup.restore(path, force=True)


def test_restore_is_refused_while_another_manager_listens(lost, monkeypatch):
    path, api, told = lost
    monkeypatch.setattr(swarm_api, "listens", lambda *_: ["m3"])
    with pytest.raises(errors.SwarmError, match=r"m3 may be alive.*two of the same"):
        swarm_backup.restore(path)
    assert (told, api.asked) == ([], [])


# --- loss of quorum


def quorum_lost(monkeypatch, api):
    def refuse():
        raise errors.ApiError("The swarm does not have a leader")

    monkeypatch.setattr(api, "nodes", refuse)


def test_last_manager_goes_on_alone_on_purpose(host, monkeypatch):
    api = three()
    told = host(api)
    quorum_lost(monkeypatch, api)
    wanted = {"managers": {"old": 3, "new": 1}}
    assert swarm_backup.force_new_cluster(test=True) == wanted
    assert (told, api.asked) == ([], [])
    assert swarm_backup.force_new_cluster() == wanted
    assert api.asked[0][1]["ForceNewCluster"] is True
    assert told == ["tell"]


def test_cluster_that_is_well_is_not_cut_down(host):
    api = three()
    host(api)
    before = copy.deepcopy(api.known)
    with pytest.raises(errors.SwarmError, match="has a leader"):
        swarm_backup.force_new_cluster()
    assert api.known == before


def test_worker_has_nothing_to_make_a_cluster_of(host):
    host(ClusterApi("m4", [node("m4")]))
    with pytest.raises(errors.SwarmError, match="m4 is no manager"):
        swarm_backup.force_new_cluster(force=True)


# --- classic mode


@pytest.fixture
def store(monkeypatch, tmp_path):
    """Give a Consul agent, and the module on the host of it."""
    settings = settings_of(VALID)
    salt = mocked(swarm_settings__get=settings, swarm_rights__apply={})
    monkeypatch.setattr(swarm_backup, "__salt__", salt, raising=False)
    monkeypatch.setattr(archive, "FOLDER", tmp_path / "backups")
    monkeypatch.setattr(backup, "_ELECTING", 1)
    with running() as agent:
        # Consul still runs as its file says, while pillar has another port and TLS.
        assert (settings["consul"]["http_port"], settings["tls"]["used"]) != (agent.port, False)
        monkeypatch.setattr(
            config_file, "config", lambda: {"ports": {"http": agent.port, "https": -1}}
        )
        yield agent


def test_snapshot_of_consul_and_back(store, tmp_path):
    store.snapshot = snapshot(tmp_path)
    path = swarm_backup.save()["path"]
    kept, store.snapshot = store.snapshot, b""
    assert swarm_backup.restore(path, test=True)
    assert store.snapshot == b""
    store.snapshot = b"of later"
    swarm_backup.restore(path)
    assert store.snapshot == kept


def test_what_a_restore_replaces_can_be_restored(store, tmp_path):
    good = tmp_path / "good.snap"
    good.write_bytes(snapshot(tmp_path))
    store.snapshot = b"networks that are in use"
    told = swarm_backup.restore(str(good))["consul"]["old"]
    (kept,) = (tmp_path / "backups").glob("*-before-restore.snap")
    assert str(kept) in told
    assert kept.read_bytes() == b"networks that are in use"
    assert kept.stat().st_mode & 0o777 == 0o600


def test_swarm_has_its_rights_after_a_restore_of_what_knew_none(store, tmp_path):
    """With ACLs, a snapshot of before them denied the swarm its store until the next apply."""
    good = tmp_path / "good.snap"
    good.write_bytes(snapshot(tmp_path))
    guard = swarm_backup.__salt__["swarm_rights.apply"]
    guard.side_effect = lambda: store.log.append("rights")
    swarm_backup.restore(str(good), test=True)
    guard.assert_not_called()
    swarm_backup.restore(str(good))
    assert store.log == ["GET /v1/snapshot", "PUT /v1/snapshot", "rights"]


def test_half_a_snapshot_is_not_kept(store, tmp_path):
    store.snapshot = snapshot(tmp_path)[:-20]
    with pytest.raises(errors.SwarmError, match="no snapshot of Consul"):
        swarm_backup.save()
    assert not list((tmp_path / "backups").glob("*"))


def test_store_without_a_leader_tells_so(store, tmp_path):
    good = tmp_path / "good.snap"
    good.write_bytes(snapshot(tmp_path))
    store.leader = ""
    for call in (swarm_backup.save, lambda: swarm_backup.restore(str(good))):
        with pytest.raises(errors.StoreError, match="No cluster leader"):
            call()


def test_backup_waits_for_an_election(store, tmp_path):
    store.snapshot, store.leader = snapshot(tmp_path), ""
    elected = threading.Timer(0.3, setattr, (store, "leader", "10.77.0.12:8300"))
    elected.start()
    assert swarm_backup.save()["bytes"] == len(store.snapshot)
    elected.join()


def test_wrong_file_is_not_restored(store, tmp_path):
    bad = tmp_path / "bad"
    for text in ("hello", None):
        if text:
            bad.write_text(text)
        else:
            bad.unlink()
        with pytest.raises(errors.SwarmError, match="bad"):
            swarm_backup.restore(str(bad))
    assert store.log == []
