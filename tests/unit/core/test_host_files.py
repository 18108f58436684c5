import contextlib
import errno
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from swarm_formula.core import errors, host_files


@pytest.fixture
def path(tmp_path):
    """Return a path in a folder that is not there yet."""
    return tmp_path / "etc" / "docker" / "daemon.json"


@pytest.fixture
def old(path):
    """Return the path of a file that is there."""
    host_files.write(path, "old\n")
    return path


@pytest.fixture
def record(tmp_path, monkeypatch):
    """Have the record in a folder of the test."""
    monkeypatch.setattr(host_files, "RECORD", tmp_path / "lib" / "record.json")
    return host_files.RECORD


def test_file_and_its_folders_are_made(path):
    host_files.write(path, "text\n")
    assert path.read_text() == "text\n"
    assert path.stat().st_mode & 0o7777 == 0o644


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o755], ids=oct)
def test_existing_file_keeps_its_mode(old, mode):
    old.chmod(mode)
    host_files.write(old, "new\n", mode=0o644)
    assert old.read_text() == "new\n"
    assert old.stat().st_mode & 0o7777 == mode


def test_existing_file_keeps_its_owner(old, monkeypatch):
    given = []
    monkeypatch.setattr(os, "chown", lambda path, *owner: given.append(owner))
    host_files.write(old, "new\n")
    host_files.write(old.with_name("another"), "new\n")
    host_files.write(old, "secret\n", keep=False)
    assert given == [(old.stat().st_uid, old.stat().st_gid)]


def test_link_stays_and_what_it_leads_to_is_written(old, tmp_path):
    """Some keep /etc under version control in another place."""
    link = tmp_path / "link.json"
    link.symlink_to(old)
    host_files.write(link, "new\n")
    assert link.is_symlink()
    assert old.read_text() == "new\n"
    host_files.write(link, None)
    assert old.exists()
    assert not link.is_symlink()


def test_new_file_gets_the_mode_asked_for_whatever_the_umask(path):
    before = os.umask(0o077)
    try:
        host_files.write(path, "x", mode=0o644)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o7777 == 0o644


def test_text_is_kept_as_it_is(path):
    host_files.write(path, "Grüße └ \n\n")
    assert host_files.read(path) == "Grüße └ \n\n"


def test_nothing_else_is_left_in_the_folder(old):
    host_files.write(old, "new\n")
    assert [one.name for one in old.parent.iterdir()] == ["daemon.json"]


def test_none_removes_the_file_and_may_do_so_twice(old):
    host_files.write(old, None)
    host_files.write(old, None)
    assert host_files.read(old) is None


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_write_that_fails_leaves_the_old_file(old, monkeypatch, step):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(*((os, "fsync") if step == "fsync" else (Path, "replace")), full)
    with pytest.raises(errors.SwarmError, match=r"cannot write .*daemon\.json: .*No space"):
        host_files.write(old, "new\n")
    assert old.read_text() == "old\n"
    assert [one.name for one in old.parent.iterdir()] == ["daemon.json"]


def test_interrupt_leaves_the_old_file(old, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        host_files.write(old, "new\n")
    assert old.read_text() == "old\n"
    assert [one.name for one in old.parent.iterdir()] == ["daemon.json"]


@pytest.fixture
def full_disk(tmp_path):
    """Return a folder on a disk of 64 KiB that holds one small file and is otherwise full."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:  # noqa: S603
        pytest.skip("needs the right to mount a tmpfs")
    try:
        (folder / "daemon.json").write_text("old\n")
        with contextlib.suppress(OSError), (folder / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(b"x" * 4096)
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)  # noqa: S603, S607


def test_full_disk_leaves_the_old_file(full_disk):
    path = full_disk / "daemon.json"
    with pytest.raises(errors.SwarmError, match=r"No space left.*it is as it was"):
        host_files.write(path, "new" * 4096)
    assert path.read_text() == "old\n"
    assert sorted(one.name for one in full_disk.iterdir()) == ["daemon.json", "filler"]


@pytest.mark.parametrize("text", ["new\n", None], ids=["write", "remove"])
def test_folder_in_place_of_a_file_stays(path, text):
    path.mkdir(parents=True)
    with pytest.raises(errors.SwarmError, match="cannot write"):
        host_files.write(path, text)
    assert path.is_dir()
    assert list(path.parent.iterdir()) == [path]


def test_file_in_place_of_a_folder_is_told(tmp_path):
    (tmp_path / "etc").write_text("")
    with pytest.raises(errors.SwarmError, match="cannot write"):
        host_files.write(tmp_path / "etc" / "daemon.json", "x")


def test_reading_what_is_not_there(path):
    assert host_files.read(path) is None
    assert host_files.read_json(path) == {}


@pytest.mark.parametrize(
    ("data", "value"),
    [(b"", {}), (b" \n", {}), (b"{}", {}), (b'{"a": 1}', {"a": 1})],
)
def test_json_object(path, data, value):
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    assert host_files.read_json(path) == value


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (
            b'{"a": 1',
            r"daemon\.json is not JSON: .*line 1 column 8.*; correct the file",
        ),
        (b'{"a": 1,}', r"daemon\.json is not JSON: .*; correct the file"),
        (b"debug = true", r"daemon\.json is not JSON"),
        (b"[]", r"daemon\.json holds no JSON object; correct the file"),
        (b'"x"', r"daemon\.json holds no JSON object"),
        (b"\xff\xfe", r"cannot read .*daemon\.json"),
    ],
)
def test_file_of_an_admin_that_cannot_be_read_is_told(path, data, words):
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    with pytest.raises(errors.SwarmError, match=words):
        host_files.read_json(path)


def test_folder_cannot_be_read(tmp_path):
    with pytest.raises(errors.SwarmError, match="cannot read"):
        host_files.read(tmp_path)


def test_json_is_written_in_the_order_given():
    assert json.loads(host_files.to_json({"b": 1, "a": 2})) == {"b": 1, "a": 2}
    assert host_files.to_json({"b": 1, "a": 2}) == '{\n  "b": 1,\n  "a": 2\n}\n'


def test_record_of_nothing(record):
    assert host_files.record("daemon.json") == {}
    assert not record.exists()


def test_record_keeps_sections_apart(record):
    host_files.note("engine", {"package": "docker.io"})
    host_files.note("daemon.json", {"debug": {"ours": True, "before": None}})
    assert host_files.record("engine") == {"package": "docker.io"}
    assert record.stat().st_mode & 0o777 == 0o600


def test_record_without_content_is_no_file(record):
    host_files.note("engine", {"package": "docker.io"})
    host_files.note("libraries", {"docker": True})
    host_files.note("engine", {})
    assert host_files.record("libraries") == {"docker": True}
    host_files.note("libraries", {})
    assert not record.exists()


def test_record_is_not_written_again_for_the_same(record):
    host_files.note("engine", {"hold": True})
    before = record.stat().st_ino
    host_files.note("engine", {"hold": True})
    assert record.stat().st_ino == before


@pytest.mark.parametrize("content", [None, "x"], ids=["empty", "not empty"])
def test_folder_is_dropped_if_nothing_is_left_in_it(tmp_path, content):
    folder = tmp_path / "docker.service.d"
    host_files.drop_empty(folder)
    folder.mkdir()
    if content:
        (folder / "override.conf").write_text(content)
    host_files.drop_empty(folder)
    assert folder.exists() is bool(content)


LOCK = "swarm-formula-test.lock"


@pytest.fixture
def locks(tmp_path, monkeypatch):
    monkeypatch.setattr(host_files, "_LOCKS", tmp_path)
    return tmp_path


def test_a_lock_cannot_be_opened_by_others(locks):
    (locks / LOCK).touch(mode=0o644)
    with host_files.alone(LOCK):
        assert stat.S_IMODE((locks / LOCK).stat().st_mode) == 0o600


def test_a_lock_is_waited_for_with_a_limit_and_its_holder_is_named(locks):
    hold = "import fcntl, sys, time; fcntl.flock(0, 2); print(flush=True); time.sleep(60)"
    command = [sys.executable, "-c", hold]
    with (
        (locks / LOCK).open("w") as file,
        subprocess.Popen(command, stdin=file, stdout=subprocess.PIPE) as holder,  # noqa: S603
    ):
        holder.stdout.readline()
        with (
            pytest.raises(
                errors.WaitTimeoutError,
                match=rf"^gave up after 0\.2 s: .*process {holder.pid} .*python",
            ),
            host_files.alone(LOCK, limit=0.2),
        ):
            pytest.fail("two processes hold the lock")
        holder.kill()
    with host_files.alone(LOCK, limit=5):
        pass


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_who_may_read_a_file_does_not_depend_on_the_umask(tmp_path, umask):
    """Of a minion that is hardened by UMask=0077, users have to read their certificates."""
    (tmp_path / "kept").mkdir(mode=0o700)
    before = os.umask(umask)
    try:
        host_files.write(tmp_path / "kept/a/b/cert.pem", "text", mode=0o644)
    finally:
        os.umask(before)
    modes = {
        place: (tmp_path / place).stat().st_mode & 0o7777
        for place in ("kept", "kept/a", "kept/a/b", "kept/a/b/cert.pem")
    }
    assert modes == {"kept": 0o700, "kept/a": 0o755, "kept/a/b": 0o755, "kept/a/b/cert.pem": 0o644}
