"""What the lab reads about its machine, and the container options that follow from it."""

import pytest

from lab import cgroups, containers, firewall, machine, mounts
from lab.run import LabError

ALL = (1 << len(machine.CAPABILITIES)) - 1


def test_what_the_bounding_set_lacks_is_left_out():
    assert set(machine.CAPABILITIES) - set(machine.capabilities(0x1FFFEFFFFFF)) == {"SYS_RESOURCE"}


def test_what_old_engines_do_not_know_is_left_out():
    assert machine.capabilities(0x1FFFFFFFFFF) == list(machine.CAPABILITIES)


@pytest.mark.parametrize(
    ("bit", "name"), [(0, "CHOWN"), (21, "SYS_ADMIN"), (27, "MKNOD"), (37, "AUDIT_READ")]
)
def test_bits_have_the_kernels_numbers(bit, name):
    assert machine.CAPABILITIES[bit] == name


def test_hosts_that_need_other_control_groups_are_refused(monkeypatch):
    monkeypatch.setattr(machine, "cgroup_version", lambda: 1)
    with pytest.raises(LabError, match="--host-suite forky: its systemd needs control groups"):
        machine.check_for("forky")
    assert machine.check_for("trixie") is None
    monkeypatch.setattr(machine, "cgroup_version", lambda: 2)
    assert machine.check_for("forky") is None


def test_the_bounding_set_is_read(tmp_path):
    status = tmp_path / "status"
    status.write_text("CapEff:\t0\nCapBnd:\t000001fffeffffff\nCapAmb:\t0\n")
    assert machine.bounding_set(status) == 0x1FFFEFFFFFF


def test_the_nearest_mount_tells_the_file_system():
    table = "overlay / overlay rw 0 0\n/dev/a /var ext4 rw 0 0\n/dev/b /var/lib xfs rw 0 0\n"
    assert mounts.filesystem("/var/lib/docker", table) == "xfs"
    assert mounts.filesystem("/var/library", table) == "ext4"
    assert mounts.filesystem("/srv", table) == "overlay"


def test_a_later_mount_hides_an_earlier_one():
    assert mounts.filesystem("/x", "a / rootfs rw 0 0\nb / ext4 rw 0 0\n") == "ext4"


def test_another_distribution_is_refused(tmp_path):
    release = tmp_path / "os-release"
    release.write_text('ID="fedora"\nVERSION_CODENAME=""\n')
    with pytest.raises(LabError, match="runs on Debian, this is fedora"):
        machine.codename(release)


def test_the_code_name_is_read_with_and_without_quotes(tmp_path):
    release = tmp_path / "os-release"
    release.write_text('ID=debian\nVERSION_CODENAME="bookworm"\n')
    assert machine.codename(release) == "bookworm"


def test_a_capability_that_the_machine_lacks_is_not_asked_for():
    options = containers.privileges(0x1FFFEFFFFFF, 2)
    assert "--cap-add=SYS_RESOURCE" not in options
    assert "--cap-add=SYS_ADMIN" in options
    assert "--cgroupns=private" in options


def test_old_control_groups_are_the_machines():
    options = containers.privileges(ALL, 1)
    assert "--cgroupns=host" in options


def test_dockers_chains_are_unhooked_then_emptied_then_deleted():
    rules = """\
-P FORWARD ACCEPT
-N DOCKER
-N DOCKER-USER
-N DOCKER_OUTPUT
-N MINE
-A OUTPUT -j DOCKER_OUTPUT
-A FORWARD -j DOCKER-USER
-A FORWARD -o br0 -j DOCKER
-A FORWARD -j MINE
-A DOCKER-USER -j RETURN
"""
    assert firewall.removals(rules) == [
        ["-D", "FORWARD", "-j", "DOCKER-USER"],
        ["-D", "FORWARD", "-o", "br0", "-j", "DOCKER"],
        ["-F", "DOCKER"],
        ["-F", "DOCKER-USER"],
        ["-X", "DOCKER"],
        ["-X", "DOCKER-USER"],
    ]


def test_groups_are_removed_only_where_no_process_is_left(tmp_path):
    for controller, processes in (("memory", ""), ("pids", "17\n")):
        (tmp_path / controller / "docker/old").mkdir(parents=True)
        if processes:
            (tmp_path / controller / "docker/cgroup.procs").write_text(processes)
    cgroups.clean(tmp_path)
    assert not (tmp_path / "memory/docker").exists()
    assert (tmp_path / "pids/docker/old").exists()
