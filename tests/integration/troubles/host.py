"""
Pillar, packages, the engine and the disk of one host.
"""

import json
import shlex

from tests.integration.cluster import failures
from tests.integration.troubles.table import (
    HOST,
    occupied,
    pillar,
    refused,
    row,
    shell,
    spoiled,
)

DAEMON = "/etc/docker/daemon.json"


@row("N fault(s) in the pillar of m1, nothing was touched", cheap=True)
def key_that_does_not_exist(swarm):
    with pillar(swarm, HOST, engine={"prot": 2376}):
        yield refused(swarm)
    swarm.lab.salt(HOST, "saltutil.refresh_pillar", "wait=True")


@row("a minion whose name m1 can resolve, or {m4: its address}", cheap=True)
def name_that_does_not_resolve(swarm):
    with pillar(swarm, HOST, consul={"servers": [*swarm.lab.hosts(), "m44"]}):
        yield refused(swarm)


@row("State 'swarm_settings.valid' was not found in SLS")
def modules_that_the_minion_does_not_allow(swarm):
    """On a machine without any of the formula's modules: the master's own, masterless."""
    config = "/etc/salt/minion.d/narrow.conf"
    narrow = f"mkdir -p /etc/salt/minion.d; echo 'whitelist_state_modules: [test]' > {config}"
    with spoiled(swarm, "salt", narrow, f"rm -f {config}"):
        yield json.dumps(_masterless(swarm, "/srv/formula"))
    assert failures(_masterless(swarm, "/srv/formula")) == {}
    shell(swarm, "salt", "rm -rf /var/cache/salt/minion/extmods")


def _masterless(swarm, root, sls="swarm.settings"):
    options = f"--local --file-root={root} --out=json --log-level=quiet"
    command = f"salt-call {options} state.apply {sls}"
    return json.loads(swarm.lab.exec("salt", *command.split(), check=False).stdout)


@row("No matching sls found for 'swarm' in env 'base'")
def repository_that_the_master_does_not_serve(swarm):
    empty = "rm -rf /srv/half; mkdir /srv/half"
    with spoiled(swarm, "salt", empty, "rm -rf /srv/half"):
        yield json.dumps(_masterless(swarm, "/srv/half", "swarm"))


@row("pip could not install ... into Salt's Python", cheap=True)
def index_that_pip_does_not_reach(swarm):
    spoil = (
        "cp /etc/pip.conf /root; sed -i s,/opt/wheels,/opt/nothing, /etc/pip.conf;"
        " /opt/salt/bin/pip uninstall -qy python-consul"
    )
    with spoiled(swarm, HOST, spoil, "mv /root/pip.conf /etc"):
        yield refused(swarm)


@row("no repository that apt has read has ...")
def version_that_no_repository_has(swarm):
    with pillar(swarm, HOST, engine={"version": "99.*"}):
        yield refused(swarm)


@row("the engine of m1 does not take ...; everything was put back as it was", cheap=True)
def option_that_the_engine_does_not_know(swarm):
    with pillar(swarm, HOST, engine={"options": {"no-such-key-at-all": 1}}):
        yield refused(swarm)


@row("/etc/docker/daemon.json has 'hosts' of its own", cheap=True)
def hosts_in_daemon_json(swarm):
    edit = (
        f"import json; d = json.load(open('{DAEMON}'));"
        f"d['hosts'] = ['fd://']; json.dump(d, open('{DAEMON}', 'w'))"
    )
    with spoiled(
        swarm,
        HOST,
        f"cp {DAEMON} /root; python3 -c {shlex.quote(edit)}",
        f"cat /root/daemon.json > {DAEMON}; rm /root/daemon.json",
    ):
        yield refused(swarm)


@row("/etc/docker/daemon.json is not JSON", cheap=True)
def daemon_json_that_is_none(swarm):
    with spoiled(
        swarm,
        HOST,
        f"cp {DAEMON} /root; echo '{{broken' > {DAEMON}",
        f"cat /root/daemon.json > {DAEMON}; rm /root/daemon.json",
    ):
        yield refused(swarm)


@row("docker.service is masked on m1", cheap=True)
def unit_that_is_masked(swarm):
    unmask = "systemctl unmask docker.service docker.socket"
    with spoiled(swarm, HOST, "systemctl mask docker.service", unmask):
        yield refused(swarm)


@row("Cause: somebody has masked that unit")
def socket_that_is_masked(swarm):
    """The engine runs on; but it cannot start any more, and a change may need that."""
    unmask = "systemctl unmask docker.service docker.socket"
    with (
        spoiled(swarm, HOST, "systemctl mask docker.socket", unmask),
        pillar(swarm, HOST, engine={"options": {"log-opts": {"max-size": "11m"}}}),
    ):
        yield refused(swarm)


FULL = "Cause: a file system is full, or has no inode left"


def _full(swarm, folder, files, host=HOST):
    """Lay a small file system over a folder: as many pages as files, or as many inodes."""
    limit = f"size=$(({files} * 4))k" if isinstance(files, str) else f"nr_inodes={files}"
    spoil = (
        f"mkdir -p {folder}; rm -rf /root/copy; cp -a {folder} /root/copy;"
        f" mount -t tmpfs -o {limit} full {folder}; cp -a /root/copy/. {folder}"
    )
    return spoiled(swarm, host, spoil, f"umount {folder}; rm -rf /root/copy")


def _new_option(swarm):
    options = {"log-opts": {"max-size": "10m" + " " * 4000}}
    return pillar(swarm, HOST, engine={"options": options})


@row(FULL, cheap=True)
def disk_that_is_full_where_daemon_json_is(swarm):
    files = "$(find /etc/docker -type f | wc -l)"
    with _full(swarm, "/etc/docker", files), _new_option(swarm):
        said = refused(swarm)
        assert "does not take" not in said, "the engine has nothing to do with it"
        yield said


@row(FULL)
def file_system_without_an_inode_where_daemon_json_is(swarm):
    used = len(shell(swarm, HOST, "find /etc/docker").split())
    with _full(swarm, "/etc/docker", used), _new_option(swarm):
        yield refused(swarm)


@row(FULL)
def disk_that_is_full_where_images_are(swarm):
    with _full(swarm, "/var/lib/docker/tmp", "16"):
        shell(swarm, HOST, "docker rmi -f busybox:lab busybox:full 2>&1 || true")
        source = "salt://images/swarm.tar"
        names = swarm.lab.status()["images"]
        loaded = swarm.lab.salt(HOST, "swarm_image.load", names["swarm"]["image"], source)
        yield str(loaded[HOST])
    swarm.lab.salt(HOST, "swarm_image.load", "busybox:lab", "salt://images/busybox.tar")


@row(FULL)
def disk_that_is_full_where_apt_keeps_packages(swarm):
    """On a host that has no engine yet."""
    with swarm.visitor() as new:
        shell(swarm, new, "apt-get clean")
        with _full(swarm, "/var/cache/apt", "64", new):
            yield refused(swarm, new)
        assert failures(swarm.state(target=new)) == {}


@row("Cause: a file system is mounted read-only", cheap=True)
def etc_that_is_read_only(swarm):
    spoil = "mount --rbind /etc /etc; mount -o remount,bind,ro /etc"
    with spoiled(swarm, HOST, spoil, "umount --lazy /etc"), _new_option(swarm):
        yield refused(swarm)


@row("Cause: another program has that port", cheap=True)
def port_of_the_engine_that_another_program_has(swarm):
    with (
        occupied(swarm, HOST, 2399),
        pillar(swarm, HOST, engine={"port": 2399}),
    ):
        yield refused(swarm)
