"""
Conditions of a new machine, each of which the formula meets or refuses with its cure.

One table for both modes: each with a first apply, a second, and a clean.
"""

from typing import NamedTuple

from tests.integration.cluster import changed, failures

DAEMON = "/etc/docker/daemon.json"
_KEYS = "/etc/salt/pki/master/minions"


class Condition(NamedTuple):
    """Something that a host has before the formula comes."""

    spoil: str  # shell
    refused: str = ""  # words of the first apply's error; it changes nothing then
    cure: str = ""  # shell; what the error tells to do


_LOCKED = (
    'import fcntl, time; lock = open("/var/lib/dpkg/lock-frontend", "r+");'
    " fcntl.lockf(lock, fcntl.LOCK_EX); time.sleep(30)"
)
_MINION = "/etc/systemd/system/salt-minion.service.d"
CONDITIONS = {
    "umask 077": Condition(
        f"mkdir -p {_MINION}; printf '[Service]\\nUMask=0077\\n' >{_MINION}/umask.conf;"
        " systemctl daemon-reload; systemctl restart salt-minion"
    ),
    "locale": Condition(
        f"mkdir -p {_MINION}; printf '[Service]\\nEnvironment=LC_ALL=de_DE.UTF-8 LANGUAGE=de\\n'"
        f" >{_MINION}/locale.conf; systemctl daemon-reload; systemctl restart salt-minion"
    ),
    "name": Condition("hostname Web-5.Example.COM; hostname >/etc/hostname"),
    "second address": Condition("ip address add 192.0.2.5/24 dev eth0"),
    "user namespaces": Condition(
        f'mkdir -p /etc/docker; echo \'{{"userns-remap": "default"}}\' >{DAEMON}'
    ),
    "empty daemon.json": Condition(f"mkdir -p /etc/docker; : >{DAEMON}"),
    "broken daemon.json": Condition(
        f"mkdir -p /etc/docker; echo '{{\"debug\": true,}}' >{DAEMON}",
        "is not JSON",
        f"echo '{{\"debug\": true}}' >{DAEMON}",
    ),
    "masked unit": Condition(
        "systemctl mask docker.service", "is masked", "systemctl unmask docker.service"
    ),
    "interrupted dpkg": Condition(
        "sed -n '/^Package: bash$/,/^$/p' /var/lib/dpkg/status"
        " | sed 's/^Status: .*/Status: install ok half-configured/' >/var/lib/dpkg/updates/0000",
        "Unfinished: bash",
        "dpkg --configure -a",
    ),
    "dpkg at work": Condition(
        f"setsid python3 -c '{_LOCKED}' >/dev/null 2>&1 </dev/null & sleep 1"
    ),
}


def picture(swarm, host):
    """Return what a clean has to give back: packages, file of the admin, bridges and rules."""
    config = swarm.lab.exec(
        host, "sh", "-c", f"stat -c '%a %U %G' {DAEMON} && cat {DAEMON}", check=False
    )
    packages = swarm.lab.salt(host, "pkg.list_pkgs")[host]
    return packages, config.stdout, swarm.traces(host)


def make_ready(swarm, host, spoil="true"):
    """Accept a new machine that has something, and wait until its minion answers."""
    exec_ = swarm.lab.exec
    booted = ("systemctl", "is-active", "dbus")
    swarm.wait(lambda: exec_(host, *booted, check=False).returncode == 0, 60)
    exec_(host, "sh", "-c", spoil)
    swarm.wait(lambda: exec_("salt", "ls", f"{_KEYS}_pre/{host}", check=False).returncode == 0, 60)
    exec_("salt", "salt-key", "--yes", f"--accept={host}")
    swarm.await_minion(host)
    swarm.wait(lambda: swarm.lab.salt(host, "test.ping") == {host: True}, 120)


def try_condition(swarm, host, name, is_node, **clean):
    """Have a new machine that has something become a node, and be as before after a clean."""
    spoil, refused, cure = CONDITIONS[name]
    make_ready(swarm, host, spoil)
    before = picture(swarm, host)
    if refused:
        for kwargs in ({"test": True}, {}):
            told = failures(swarm.state(target=host, **kwargs))
            assert any(refused in text for text in told.values()), told
            assert picture(swarm, host) == before
        swarm.lab.exec(host, "sh", "-c", cure)
        # A package that was half configured is listed by now.
        before = picture(swarm, host)
    swarm.apply(host)
    assert is_node()
    assert swarm.apply(host) == {}
    assert failures(swarm.state("swarm.clean", target=host, **clean)) == {}
    assert picture(swarm, host) == before


def _starts(swarm, host):
    """Return how often an engine was started since the machine was booted."""
    journal = ("journalctl", "--quiet", "--output=cat", "--identifier=dockerd", "--boot")
    return swarm.lab.exec(host, *journal).stdout.count('msg="Starting up"')


# The master would have it join at its start, beside the test.
_ALONE = {"autojoin": {"enabled": False}}


def _bare(swarm, host):
    """Accept a new machine that does not join by itself; return its picture."""
    swarm.pillar(host, **_ALONE)
    make_ready(swarm, host)
    return picture(swarm, host)


def try_bare(swarm, host, is_node):
    """Have a bare machine become a node; its engine is started once, and has all its settings."""
    before = _bare(swarm, host)
    promised = changed(swarm.state(target=host, test=True))
    assert picture(swarm, host) == before
    assert swarm.apply(host).keys() == promised.keys()
    assert is_node()
    assert _starts(swarm, host) == 1
    assert swarm.lab.exec(host, "find", "/run/systemd/system", "-name", "*swarm*").stdout == ""
    assert swarm.apply(host) == {}


def try_refused(swarm, host, is_node):
    """Have the engine of a bare machine refuse an option, which is corrected then."""
    before = _bare(swarm, host)
    swarm.pillar(host, engine={"options": {"no-such-key-at-all": 1}}, **_ALONE)
    text = failures(swarm.state(target=host))[f"{host}: engine is configured"]
    assert "no-such-key-at-all" in text
    assert "put back" in text
    assert picture(swarm, host)[1] == before[1]
    swarm.pillar(host, engine={"options": {"debug": True}}, **_ALONE)
    swarm.apply(host)
    assert is_node()
    assert swarm.apply(host) == {}


def try_unstarted(swarm, host, _is_node):
    """Have a run end before the first start of the engine, and a clean take all of it away."""
    before = _bare(swarm, host)
    assert failures(swarm.state("swarm.libraries", target=host)) == {}
    swarm.lab.salt(host, "state.sls_id", "engine is installed", "swarm.engine", timeout=300)
    assert "docker.io" in swarm.lab.salt(host, "pkg.list_pkgs")[host]
    assert _starts(swarm, host) == 0
    assert failures(swarm.state("swarm.clean", target=host)) == {}
    assert picture(swarm, host) == before


def try_installed(swarm, host, is_node):
    """Have a machine with an engine that nobody has configured become a node."""
    _bare(swarm, host)
    install = "DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends docker.io"
    swarm.lab.exec(host, "sh", "-c", f"{install} >/dev/null", timeout=300)
    promised = changed(swarm.state(target=host, test=True))
    assert swarm.apply(host).keys() == promised.keys()
    assert is_node()
    assert swarm.apply(host) == {}
