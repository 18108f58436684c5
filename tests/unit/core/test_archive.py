import gzip
import os
import tarfile

import pytest

from swarm_formula.core import archive as core_archive
from swarm_formula.core import errors
from tests.unit.archives import archive, snapshot

FACTS = {"cluster": "c1", "engine": "26.1.5", "locked": False, "managers": 3}
NOW = 1_700_000_000


@pytest.fixture
def state(tmp_path):
    """Return the folder of a manager's state."""
    state = tmp_path / "docker" / "swarm"
    (state / "raft").mkdir(parents=True)
    (state / "certificates").mkdir()
    (state / "docker-state.json").write_text("{}")
    (state / "raft" / "log").write_bytes(os.urandom(4096))
    (state / "raft").chmod(0o700)
    return state


@pytest.fixture
def backup(tmp_path, state):
    path = tmp_path / "backups" / "b.tar.gz"
    core_archive.pack(state, path, FACTS)
    return path


def test_what_was_packed_comes_back(state, backup):
    assert backup.stat().st_mode & 0o777 == 0o600
    assert core_archive.read(backup) == FACTS
    log = (state / "raft" / "log").read_bytes()
    (state / "raft" / "log").write_text("later")
    kept = core_archive.unpack(backup, state, NOW)
    assert (kept.name, (kept / "raft" / "log").read_text()) == (
        "swarm.before-20231114T221320Z",
        "later",
    )
    assert (state / "raft" / "log").read_bytes() == log
    assert (state / "raft").stat().st_mode & 0o777 == 0o700
    assert sorted(one.name for one in state.parent.iterdir()) == ["swarm", kept.name]


def test_engine_without_a_state_gets_one(tmp_path, backup):
    state = tmp_path / "new" / "swarm"
    state.parent.mkdir()
    assert core_archive.unpack(backup, state, NOW) is None
    assert (state / "raft" / "log").exists()


@pytest.mark.parametrize("at", [10, 0.5, -10])
def test_archive_that_was_cut_off_or_changed_is_told(backup, at):
    data = bytearray(backup.read_bytes())
    where = int(len(data) * at) if isinstance(at, float) else at
    backup.write_bytes(data[:where])
    with pytest.raises(errors.SwarmError, match="no backup"):
        core_archive.read(backup)
    data[where] ^= 0xFF
    backup.write_bytes(data)
    if at != 10:  # there, only the archive's own name is
        with pytest.raises(errors.SwarmError, match="no backup"):
            core_archive.read(backup)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "missing in it"),
        ({"swarm-formula.json": b"{}"}, "docker-state.json"),
        ({"..__etc__passwd": b""}, "does not belong there"),
        (
            {
                "swarm-formula.json": b"[]",
                "swarm__docker-state.json": b"",
                "swarm__raft": b"",
                "swarm__certificates": b"",
            },
            "does not say",
        ),
        (
            {
                "swarm-formula.json": b"\xff",
                "swarm__docker-state.json": b"",
                "swarm__raft": b"",
                "swarm__certificates": b"",
            },
            "is not JSON",
        ),
    ],
    ids=["empty", "facts only", "outside", "no facts", "garbage"],
)
def test_what_is_no_backup_is_refused(tmp_path, files, said):
    with pytest.raises(errors.SwarmError, match=said):
        core_archive.read(archive(tmp_path / "b", **files))


def test_no_file_and_no_archive(tmp_path):
    (tmp_path / "text").write_text("hello")
    for name in ("text", "none"):
        with pytest.raises(errors.SwarmError, match=f"{name} is no backup that can be read"):
            core_archive.read(tmp_path / name)


def test_link_in_an_archive_is_refused(tmp_path):
    with tarfile.open(tmp_path / "b", "w:gz") as written:
        entry = tarfile.TarInfo("swarm/raft")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc"
        written.addfile(entry)
    with pytest.raises(errors.SwarmError, match="swarm/raft does not belong there"):
        core_archive.read(tmp_path / "b")


def _link(entry):
    entry.type, entry.linkname = tarfile.SYMTYPE, "/etc"


def _outside(entry):
    entry.name = "../../evil"


def _large(entry):
    entry.size = 1 << 60


@pytest.mark.parametrize("change", [_link, _outside, _large], ids=lambda one: one.__name__)
def test_archive_that_is_another_one_by_now_is_checked_again(state, backup, change):
    """Who owns the folder that it is in may replace it between the check and the use."""
    core_archive.read(backup)
    before = (state / "raft" / "log").read_bytes()
    with gzip.open(backup, "w") as written:
        entry = tarfile.TarInfo("swarm/raft")
        change(entry)
        written.write(entry.tobuf() + 1024 * b"\0")
    with pytest.raises(errors.SwarmError, match="cannot restore"):
        core_archive.unpack(backup, state, NOW)
    assert (state / "raft" / "log").read_bytes() == before
    assert [one.name for one in state.parent.iterdir()] == ["swarm"]


def test_what_is_unpacked_is_roots_and_has_no_special_mode(state, backup):
    (state / "raft" / "log").chmod(0o6755)
    core_archive.pack(state, backup.with_name("other"), FACTS)
    core_archive.unpack(backup.with_name("other"), state, NOW)
    found = (state / "raft" / "log").stat()
    assert (found.st_mode & 0o7777, found.st_uid) == (0o755, os.getuid())


def test_snapshot_that_fills_the_memory_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(core_archive, "_SNAPSHOT_LIMIT", 100)
    with pytest.raises(errors.SwarmError, match="more than 100 bytes"):
        core_archive.check_snapshot(snapshot(tmp_path), "it")


def test_snapshot_is_checked_by_its_own_sums(tmp_path):
    core_archive.check_snapshot(snapshot(tmp_path), "it")
    with pytest.raises(errors.SwarmError, match=r"damaged: state\.bin"):
        core_archive.check_snapshot(snapshot(tmp_path, state="0" * 64), "it")
    whole = snapshot(tmp_path)
    for data in (b"", b"No cluster leader", whole[:-20], gzip.compress(b"")):
        with pytest.raises(errors.SwarmError, match="it is no snapshot of Consul"):
            core_archive.check_snapshot(data, "it")


def test_archive_is_the_one_that_was_checked_though_its_file_was_replaced(state, backup):
    log = (state / "raft" / "log").read_bytes()
    with core_archive.opened(backup) as file:
        assert core_archive.read(backup, file) == FACTS
        backup.unlink()
        backup.write_bytes(b"another")
        core_archive.unpack(backup, state, NOW, file)
    assert (state / "raft" / "log").read_bytes() == log


def test_archive_that_is_not_there_is_told(tmp_path):
    found = core_archive.opened(tmp_path / "none")
    with pytest.raises(errors.SwarmError, match="is no backup that can be read"):
        found.__enter__()


def test_archive_of_too_many_members_is_refused(backup, state, monkeypatch):
    monkeypatch.setattr(core_archive, "_MEMBERS_LIMIT", 3)
    with pytest.raises(errors.SwarmError, match="more than 3 members"):
        core_archive.read(backup)
    with pytest.raises(errors.SwarmError, match="more than 3 members"):
        core_archive.unpack(backup, state, NOW)
    assert (state / "raft" / "log").exists()
