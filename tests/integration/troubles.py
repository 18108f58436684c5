"""
What goes wrong in classic mode, by the README's table: how it is provoked, and the cure it names.
"""

import contextlib
import json
import shlex

from tests.integration.cluster import CERTIFICATES, ENGINE, MANAGER, failures
from tests.troubles import Table

CA, HOST = "m1", "m3"
DAEMON = "/etc/docker/daemon.json"
JOIN = "tests/integration/test_i_join.py"
TROUBLES = Table(
    {
        "cluster-store is gone since Docker 23.0, and ... is here": (
            "tests/integration/test_y_suites.py::"
            "test_overlay_is_refused_or_rolled_back_and_nobody_notices"
        ),
        "the engine of m1 has 2 thread(s) in network namespaces that are gone": (
            "tests/integration/test_g_workloads.py::"
            "test_thread_that_an_overlay_network_took_along_is_told_and_healed"
        ),
        # The lab's hosts have the machine's clock, kernel and memory, and its DNS.
        **dict.fromkeys(
            (
                "Cause: the clock of one of the two hosts is wrong",
                "Cause: no apply has renewed the certificate in time",
                "Cause: AppArmor is on in the kernel, and its tools are not installed",
                "Cause: that host cannot resolve a name",
                "Cause: that host has no memory left",
            ),
            "tests/unit/test_swarm_cause.py::test_cause_is_named_and_the_words_stay",
        ),
        "m2 was not removed: ...": f"{JOIN}::test_primary_manager_is_removed",
        "removing Consul on m2 would cost the quorum": (
            f"{JOIN}::test_server_that_quorum_needs_is_not_removed"
        ),
    }
)
row = TROUBLES.row


def refused(swarm, host=HOST, sls="swarm"):
    """Apply on one host; return what fails, without what only follows from it."""
    told = failures(swarm.state(sls, target=host))
    return "\n".join(text for text in told.values() if "requisite" not in text)


def shell(swarm, host, command, **more):
    """Have a shell of a host do something."""
    return swarm.lab.exec(host, "sh", "-ec", command, **more).stdout


@contextlib.contextmanager
def pillar(swarm, host=None, **keys):
    """Give a pillar for a while."""
    try:
        swarm.pillar(host, **keys)
        yield
    finally:
        swarm.restore()


@contextlib.contextmanager
def spoiled(swarm, host, spoil, mend):
    """Have something wrong on a host for a while."""
    try:
        shell(swarm, host, spoil)
        yield
    finally:
        shell(swarm, host, mend)


# --- pillar


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
def root_of_the_repository_that_is_none_of_salts(swarm):
    """On a machine without any of the formula's modules: the master's own, masterless."""
    half = "rm -rf /srv/half; mkdir /srv/half; cp -r /srv/formula/swarm /srv/half"
    with spoiled(swarm, "salt", half, "rm -rf /srv/half"):
        yield json.dumps(_masterless(swarm, "/srv/half"))
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


# --- libraries, package


@row("pip could not install ... into Salt's Python", cheap=True)
def index_that_pip_does_not_reach(swarm):
    spoil = (
        "cp /etc/pip.conf /root; sed -i s,/opt/wheels,/opt/nothing, /etc/pip.conf;"
        " /opt/salt/bin/pip uninstall -qy python-consul"
    )
    with spoiled(swarm, HOST, spoil, "mv /root/pip.conf /etc"):
        yield refused(swarm)


@row("no repository that apt has read has docker-ce")
def package_that_no_repository_has(swarm):
    with pillar(swarm, HOST, engine={"package": "docker-ce"}):
        yield refused(swarm)


# --- the engine


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


def _full(swarm, folder, files):
    """Lay a small file system over a folder: as many pages as files, or as many inodes."""
    limit = f"size=$(({files} * 4))k" if isinstance(files, str) else f"nr_inodes={files}"
    spoil = (
        f"mkdir -p {folder}; rm -rf /root/copy; cp -a {folder} /root/copy;"
        f" mount -t tmpfs -o {limit} full {folder}; cp -a /root/copy/. {folder}"
    )
    return spoiled(swarm, HOST, spoil, f"umount {folder}; rm -rf /root/copy")


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
    assert failures(swarm.state("swarm.clean", target=HOST)) == {}
    shell(swarm, HOST, "apt-get clean")
    with _full(swarm, "/var/cache/apt", "64"):
        yield refused(swarm)


@row("Cause: a file system is mounted read-only", cheap=True)
def etc_that_is_read_only(swarm):
    spoil = "mount --rbind /etc /etc; mount -o remount,bind,ro /etc"
    with spoiled(swarm, HOST, spoil, "umount --lazy /etc"), _new_option(swarm):
        yield refused(swarm)


@row("Cause: another program has that port", cheap=True)
def port_of_the_engine_that_another_program_has(swarm):
    listen = f"python3 -m http.server --bind {swarm.lab.address(HOST)} 2399"
    spoil = f"systemd-run --quiet --collect --unit=occupant {listen}; sleep 1"
    with (
        spoiled(swarm, HOST, spoil, "systemctl stop occupant"),
        pillar(swarm, HOST, engine={"port": 2399}),
    ):
        yield refused(swarm)


# --- Consul


def _stop(swarm, container, *hosts):
    for host in hosts:
        swarm.docker(host, "stop", container)


def _await_servers(swarm, *hosts):
    """Wait until Consul of the CA's host calls just these servers alive."""
    asked = "swarm_consul.status"
    swarm.wait(lambda: swarm.lab.salt(CA, asked)[CA]["servers"] == list(hosts), 90)


@row(
    "Consul has no leader: 1 of 3 servers answers; m2, m3 missing",
    "gave up after 180 s (swarm:timeout): ...",
    cheap=True,
)
def servers_that_are_not_there(swarm):
    _stop(swarm, "swarm-consul", "m2", "m3")
    with pillar(swarm, timeout=10):
        yield refused(swarm, "m1")
    swarm.state(target="m2,m3")


@row("restarting Consul on m1 would cost the quorum")
def server_that_quorum_needs(swarm):
    _stop(swarm, "swarm-consul", "m3")
    _await_servers(swarm, "m1", "m2")
    with pillar(swarm, "m1", consul={"options": {"log_level": "WARN"}}):
        yield refused(swarm, "m1")
        assert failures(swarm.state(target="m3")) == {}
        assert failures(swarm.state(target="m1")) == {}


def _consul(swarm, host, path, body=None):
    """Ask a host's Consul, as root does; with a body, write."""
    files = {"--cacert": "ca", "--cert": "cert", "--key": "key"}
    secure = [word for flag, one in files.items() for word in (flag, f"{CERTIFICATES}/{one}.pem")]
    write = [] if body is None else ["-X", "PUT", "-d", body]
    url = f"https://127.0.0.1:8501/v1/{path}"
    return json.loads(swarm.lab.exec(host, "curl", "-sSf", *secure, *write, url).stdout)


def _lock(swarm, key, value):
    """Have a key of Consul's locked by nobody else; return the session."""
    options = {"Name": "test", "TTL": "600s", "LockDelay": "0s", "Behavior": "delete"}
    session = _consul(swarm, "m2", "session/create", json.dumps(options))["ID"]
    swarm.wait(lambda: _consul(swarm, "m2", f"kv/{key}?acquire={session}", value) is True, 60)
    return session


@row("m1 waits for its turn to restart Consul or a manager: m2 has it")
def turn_of_a_host_that_does_not_come_back(swarm):
    _lock(swarm, "swarm-formula/turn", "m2")
    with pillar(swarm, timeout=5, consul=_with_options(swarm, log_level="WARN")):
        yield refused(swarm, "m1")
        assert failures(swarm.state(target="m2")) == {}


def _with_options(swarm, **options):
    return {**swarm.lab.default_pillar()["consul"], "options": options}


# --- images and containers


@row("image ... could not be pulled", cheap=True)
def registry_that_is_not_there(swarm):
    image = {"image": "127.0.0.1:5999/swarm:1.2.9", "image_source": None}
    with pillar(swarm, HOST, manager=image):
        yield refused(swarm)


@row("there is no image archive salt://...", cheap=True)
def archive_that_is_not_there(swarm):
    image = {"image": "swarm:none", "image_source": "salt://images/none.tar"}
    with pillar(swarm, HOST, manager=image):
        yield refused(swarm)


@row("does not hold it, but ...", cheap=True)
def archive_of_another_image(swarm):
    with pillar(swarm, HOST, manager={"image": "swarm:none"}):
        yield refused(swarm)


@row("container swarm-manager does not stay up: exit code 1; its last words: ...")
def port_of_the_manager_that_another_program_has(swarm):
    """As with a flag that it does not take: it ends at once, with words of its own."""
    _stop(swarm, "swarm-manager", HOST)
    listen = f"python3 -m http.server --bind {swarm.lab.address(HOST)} {MANAGER}"
    spoil = f"systemd-run --quiet --collect --unit=occupant {listen}; sleep 1"
    with spoiled(swarm, HOST, spoil, "systemctl stop occupant"):
        yield refused(swarm)


@row("no manager is primary; replicas that wait for the lock: ...")
def lock_that_has_to_run_out(swarm):
    _stop(swarm, "swarm-manager", *swarm.lab.hosts())
    session = _lock(swarm, "docker/swarm/leader", "somebody")
    for host in swarm.lab.hosts():
        swarm.docker(host, "start", "swarm-manager")
    with pillar(swarm, timeout=10):
        yield refused(swarm)
    _consul(swarm, "m2", f"session/destroy/{session}", "")
    swarm.wait(lambda: swarm.primary() is not None, 120)


# --- certificates


def _begin_anew(swarm, host):
    """Take a host's certificate away, as a host that is new has none."""
    swarm.lab.salt(host, "swarm_tls.distrust")


def _without_others(swarm):
    """Return the pillar of a swarm of the CA's host alone."""
    consul = {**swarm.lab.default_pillar()["consul"], "servers": [CA]}
    return {"managers": [CA], "nodes": {}, "consul": consul}


@row("m1, the CA (swarm:tls:ca), has not told m4 whom to trust")
def ca_that_was_not_applied_with_the_new_node(swarm):
    with pillar(swarm, **_without_others(swarm)):
        assert failures(swarm.state("swarm.ca", target=CA)) == {}
    _begin_anew(swarm, HOST)
    with pillar(swarm, timeout=10):
        yield refused(swarm, sls="swarm.tls")
    assert failures(swarm.state("swarm.ca", target=CA)) == {}


@row("m1, the CA (swarm:tls:ca), does not sign for m4")
def ca_whose_minion_is_down(swarm):
    _begin_anew(swarm, HOST)
    with (
        pillar(swarm, timeout=10),
        spoiled(swarm, CA, "systemctl stop salt-minion", "systemctl start salt-minion"),
    ):
        yield refused(swarm, sls="swarm.tls")
    swarm.await_minions()


@row("m1, the CA (swarm:tls:ca), does not sign for m4")
def master_without_peer(swarm):
    _begin_anew(swarm, HOST)
    with pillar(swarm, timeout=10), master(swarm, "peer: {}"):
        yield refused(swarm, sls="swarm.tls")


@contextlib.contextmanager
def master(swarm, line):
    """Have the master configured otherwise for a while."""
    key = line.partition(":")[0]
    spoil = f"cp /etc/salt/master /root/master; sed -i '/^{key}:/d' /etc/salt/master"
    if key == "peer":
        spoil += r"; sed -i '/^  \.\*:/d' /etc/salt/master"
    restart = "systemctl restart salt-master"
    spoil += f"; echo {shlex.quote(line)} >> /etc/salt/master; {restart}"
    with spoiled(swarm, "salt", spoil, f"mv /root/master /etc/salt/master; {restart}"):
        swarm.await_minions()
        yield
    swarm.await_minions()


@row("the master does not keep what m4 tells the others", cheap=True)
def master_that_keeps_no_mine(swarm):
    mines = "rm -f /var/cache/salt/master/minions/*/mine.p /var/cache/salt/master/mine/*"
    _begin_anew(swarm, HOST)
    with master(swarm, "minion_data_cache: False"):
        shell(swarm, "salt", mines)
        yield refused(swarm, sls="swarm.tls")


@row("no certificate for m4: the pillar of m1, the CA, does not name it as a node", cheap=True)
def node_that_pillar_does_not_name(swarm):
    _begin_anew(swarm, HOST)
    with pillar(swarm, **_without_others(swarm)):
        yield refused(swarm, sls="swarm.tls")


@row("no certificate for m4: it asks for 10.0.0.14, which is that of m9")
def host_that_was_another_minion(swarm):
    edit = (
        "import json, pathlib; p = pathlib.Path('/etc/swarm-formula/ca.json');"
        f"d = json.loads(p.read_text()); d['issued']['m9'] = '{swarm.lab.address(HOST)}';"
        "p.write_text(json.dumps(d))"
    )
    swarm.lab.exec(CA, "python3", "-c", edit)
    _begin_anew(swarm, HOST)
    said = refused(swarm, sls="swarm.tls")
    yield said
    swarm.lab.salt(CA, "swarm_ca.forget", "m9")


@row("the CA of m1 is another one than m4 trusts")
def ca_that_was_lost(swarm):
    """And found again: that is the cure which costs nothing."""
    file = "/etc/swarm-formula/ca.json"
    shell(swarm, CA, f"mv {file} /root/ca.json")
    _begin_anew(swarm, CA)
    assert failures(swarm.state("swarm.ca", target=CA)) == {}
    yield refused(swarm, sls="swarm.tls")
    shell(swarm, CA, f"mv /root/ca.json {file}")
    assert failures(swarm.state("swarm.ca", target=CA)) == {}


# --- the swarm


def _closed(swarm, host, *source):
    """Have a host let nobody, or not this one, reach its engine."""
    rule = " ".join(["INPUT", *source, "-p tcp --dport", str(ENGINE), "-j DROP"])
    return spoiled(swarm, host, f"iptables -I {rule}", f"iptables -D {rule}")


@row("10.0.0.12:2376 is Pending to the primary ...")
def port_that_another_firewall_closes(swarm):
    with pillar(swarm, timeout=10), _closed(swarm, HOST):
        for host in swarm.lab.hosts():
            swarm.docker(host, "restart", "swarm-manager")
        swarm.wait(lambda: swarm.statuses().get(HOST) == "Pending", 120)
        yield refused(swarm)
    swarm.wait(swarm.all_healthy, 180)


@row("10.0.0.12:2376 is not in the list of the primary")
def agent_that_has_not_registered(swarm):
    swarm.lab.salt(HOST, "swarm_consul.deregister")
    with pillar(swarm, HOST, timeout=10, agent={"options": {"delay": "300s"}}):
        yield refused(swarm)


@row("the primary 10.0.0.11:3376 does not know zone=a of 10.0.0.12:2376 yet")
def event_that_the_primary_missed(swarm):
    primary = swarm.primary()
    others = [host for host in swarm.lab.hosts() if host != primary]
    host = others[0]
    source = f"-s {swarm.lab.address(primary)}"
    with pillar(swarm, host, timeout=10, labels={"zone": "a"}):
        with _closed(swarm, host, source):
            yield refused(swarm, host)
        swarm.lab.exec(host, "systemctl", "reload", "docker")
        assert failures(swarm.state(target=host)) == {}


@row("network backend cannot be changed ... while containers use it", cheap=True)
def network_that_a_container_uses(swarm):
    networks = {"backend": {"driver": "bridge", "subnet": "10.20.0.0/24"}}
    with pillar(swarm, HOST, networks=networks):
        assert failures(swarm.state("swarm.networks", target=HOST)) == {}
        user = ["run", "-d", "--name", "user", "--net", "backend", "busybox:lab", "sleep", "900"]
        swarm.docker(HOST, *user)
        swarm.pillar(HOST, networks={"backend": {**networks["backend"], "subnet": "10.21.0.0/24"}})
        yield refused(swarm)
        swarm.docker(HOST, "rm", "-f", "user")
        assert failures(swarm.state(target=HOST)) == {}
    swarm.docker(HOST, "network", "rm", "backend")
