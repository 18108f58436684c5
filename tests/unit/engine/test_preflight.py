"""
What a host lacks is told before anything is changed, and what nobody can know is not.
"""

import platform
import types

import pytest

from _modules import swarm_engine
from swarm_formula.core import errors
from swarm_formula.engine import preflight
from tests.unit.pillars import BUILTIN, VALID, settings_of

ALL = set(preflight.MODULES)
MTU = "com.docker.network.driver.mtu"
ROUTE = (
    "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n"
    "eth1\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\n"
    "eth0\t00004D0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\n"
)


@pytest.fixture
def host(monkeypatch, tmp_path):
    """Be a machine with everything; return a function that writes one of its files."""
    free = types.SimpleNamespace(f_bavail=1 << 20, f_frsize=4096)
    monkeypatch.setattr(preflight, "_ROOT", tmp_path)
    monkeypatch.setattr(preflight.os, "statvfs", lambda _: free)
    monkeypatch.setattr(preflight, "_unsynchronized", lambda: False)

    def write(path, text=""):
        path = tmp_path / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    write.free = free
    modules(write, ALL)
    write("proc/net/fib_trie", "|-- 10.77.0.11\n")
    write("proc/net/route", ROUTE)
    write("sys/class/net/eth0/mtu", "1500\n")
    return write


def modules(write, names):
    folder = f"lib/modules/{platform.release()}"
    built_in, *loadable = sorted(names) or ["x"]
    write(f"{folder}/modules.builtin", f"kernel/net/{built_in.replace('_', '-')}.ko\n")
    lines = [f"kernel/net/{name}.ko.zst: kernel/net/other.ko\n" for name in loadable]
    write(f"{folder}/modules.dep", "".join(lines))


def texts(pillar):
    return [(one.text, one.fatal) for one in preflight.findings(settings_of(pillar))]


ENCRYPTED = {"networks": {"a": {"driver": "overlay", "options": {"encrypted": ""}}}}
NO_IPTABLES = {"engine": {"options": {"iptables": False}}}


@pytest.mark.parametrize("pillar", [VALID, {**BUILTIN, **ENCRYPTED}])
@pytest.mark.usefixtures("host")
def test_host_that_has_everything(pillar):
    assert texts(pillar) == []


@pytest.mark.parametrize(
    ("pillar", "name", "fatal"),
    [
        (VALID, "overlay", False),
        (VALID, "br_netfilter", False),
        (VALID, "xt_addrtype", True),
        ({**VALID, **NO_IPTABLES}, "xt_addrtype", None),
        (VALID, "vxlan", False),
        ({**VALID, "overlay": False}, "vxlan", None),
        (BUILTIN, "ip_vs", False),
        (VALID, "ip_vs", None),
        ({**BUILTIN, **ENCRYPTED}, "xt_bpf", False),
        (BUILTIN, "xt_bpf", None),
    ],
)
def test_module_that_the_kernel_lacks(host, pillar, name, fatal):
    modules(host, ALL - {name})
    found = texts(pillar)
    assert [one for _, one in found] == ([] if fatal is None else [fatal])
    assert all(f"has no module {name}:" in text for text, _ in found)
    host(f"sys/module/{name}/x")
    assert texts(pillar) == []


def test_container_and_unknown_kernel_refuse_nothing(host, tmp_path):
    modules(host, ())
    assert texts(VALID)
    host("run/systemd/container", "docker")
    assert texts(VALID) == []
    (tmp_path / "run/systemd/container").unlink()
    (tmp_path / "lib/modules" / platform.release() / "modules.dep").unlink()
    assert texts(VALID) == []


def test_two_back_ends_of_iptables(host, tmp_path):
    host("proc/net/ip_tables_names", "nat\nfilter\n")
    assert texts(VALID) == []
    link = tmp_path / "etc/alternatives/iptables"
    link.parent.mkdir(parents=True)
    link.symlink_to("/usr/sbin/iptables-nft")
    ((text, fatal),) = texts(VALID)
    assert "iptables-legacy as well (filter, nat)" in text
    assert not fatal
    host("proc/net/ip_tables_names")
    assert texts(VALID) == []


def test_disk_that_is_full(host):
    host.free.f_bavail = 1000
    ((text, fatal),) = texts(VALID)
    assert "has 3 MiB left for /var/lib/docker" in text
    assert not fatal


def test_clock_that_nobody_sets(host, monkeypatch):
    monkeypatch.setattr(preflight, "_unsynchronized", lambda: True)
    assert "clock is not synchronized" in texts(VALID)[0][0]
    host(".dockerenv")
    assert texts(VALID) == []


@pytest.mark.parametrize(
    ("mtu", "options", "told"),
    [(1500, {}, False), (1450, {}, True), (1450, {MTU: "1450"}, False), (9000, {}, False)],
)
def test_mtu_of_the_interface(host, mtu, options, told):
    host("sys/class/net/eth0/mtu", f"{mtu}\n")
    found = texts({**BUILTIN, "networks": {"a": {"driver": "overlay", "options": options}}})
    assert [f"and eth0 has {mtu}" in text for text, _ in found] == [True] * told


def test_engine_is_refused_only_what_surely_cannot_work(host, pillar, daemon):
    modules(host, ALL - {"vxlan"})
    pillar()
    assert "no module vxlan" in swarm_engine.preflight()[0]
    modules(host, ALL - {"xt_addrtype"})
    assert "no module xt_addrtype" in swarm_engine.preflight()[0]
    daemon.up = False
    with pytest.raises(errors.SwarmError, match=r"m1: nothing was changed.* xt_addrtype"):
        swarm_engine.preflight()


@pytest.mark.parametrize(
    ("family", "cure"),
    [("Debian", "linux-modules-extra"), ("RedHat", "'dnf install kernel-modules-extra'")],
)
@pytest.mark.usefixtures("daemon")
def test_missing_module_comes_with_the_cure_of_the_family(monkeypatch, host, pillar, family, cure):
    modules(host, ALL - {"xt_addrtype"})
    pillar()
    monkeypatch.setattr(swarm_engine, "__grains__", {"os_family": family})
    (found,) = swarm_engine.preflight()
    assert cure in found


@pytest.mark.parametrize(
    ("zones", "told"),
    [
        ({}, True),
        ({"public.xml": '<zone>\n  <service name="ssh"/>\n</zone>'}, True),
        ({"public.xml": '<zone>\n  <service name="docker-swarm"/>\n</zone>'}, False),
        ({"public.xml": '<zone>\n  <port port="2377" protocol="tcp"/>\n</zone>'}, False),
        ({"trusted.xml": '<zone>\n  <source address="10.77.0.0/24"/>\n</zone>'}, False),
    ],
)
def test_firewalld_that_lets_no_member_in_is_told(host, zones, told):
    assert texts(VALID) == []
    host("sys/fs/cgroup/system.slice/firewalld.service/cgroup.procs")
    for name, text in zones.items():
        host(f"etc/firewalld/zones/{name}", text)
    assert ["firewalld is active" in text for text, _ in texts(VALID)] == [True] * told


@pytest.mark.parametrize(
    ("grains", "words"),
    [
        ({"os_family": "Debian", "os": "Ubuntu", "osrelease": "24.04"}, None),
        ({"os_family": "RedHat", "os": "AlmaLinux", "osrelease": "9.4"}, None),
        ({"os_family": "Suse", "os": "SLES"}, "SLES .os_family Suse.: zypper is not supported yet"),
        ({"os_family": "Arch", "os": "Arch"}, "Arch .os_family Arch"),
        # Salt could not find it out.
        ({}, None),
    ],
)
@pytest.mark.usefixtures("host", "daemon")
def test_operating_system_that_has_no_row_is_refused_in_one_sentence(
    monkeypatch, pillar, grains, words
):
    """Even if an engine runs: the formula could neither pin nor remove its packages."""
    pillar()
    monkeypatch.setattr(swarm_engine, "__grains__", grains)
    if words is None:
        assert swarm_engine.preflight() == []
        return
    with pytest.raises(
        errors.SwarmError, match=rf"^m1 runs {words}.* nothing was changed; take m1"
    ):
        swarm_engine.preflight()
    # The CA alone needs no engine.
    pillar(managers=["m2"], nodes={}, consul={"servers": ["m2"]}, tls={"ca": "m1"}, overlay=False)
    assert swarm_engine.preflight() == []
