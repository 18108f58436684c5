import pytest

from swarm_formula.daemon import systemd_unit

DEBIAN = r"""# /lib/systemd/system/docker.service
[Unit]
Description=Docker Application Container Engine
Requires=docker.socket

[Service]
Type=notify
# the default is not to use systemd for cgroups because the delegate issues still
# exists and systemd currently does not support the cgroup feature set required
EnvironmentFile=-/etc/default/docker
ExecStart=/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock $DOCKER_OPTS
ExecReload=/bin/kill -s HUP $MAINPID
Restart=on-failure

[Install]
WantedBy=multi-user.target
"""
DEBIAN_COMMAND = (
    "/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock $DOCKER_OPTS"
)
DOCKER_CE = """# /usr/lib/systemd/system/docker.service
[Service]
Type=notify
ExecStart=/usr/bin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock
ExecStartPost=/bin/true
ExecReload=/bin/kill -s HUP $MAINPID
"""
DOCKER_CE_COMMAND = "/usr/bin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock"


def cat(unit, **dropins):
    """Return what ``systemctl cat`` shows of a unit with drop-ins."""
    folder = "/etc/systemd/system/docker.service.d"
    shown = [f"# {folder}/{name.replace('_', '-')}.conf\n{text}" for name, text in dropins.items()]
    return "\n".join([unit, *shown])


def ours(command):
    return systemd_unit.dropin(command, "10.77.0.11:2275")


@pytest.mark.parametrize(
    ("units", "command"),
    [
        (DEBIAN, DEBIAN_COMMAND),
        (DOCKER_CE, DOCKER_CE_COMMAND),
        (cat(DEBIAN, zz_swarm=ours(DEBIAN_COMMAND)), DEBIAN_COMMAND),
        # ours is of an earlier release of the package
        (cat(DEBIAN, zz_swarm=ours("/usr/bin/dockerd --old")), DEBIAN_COMMAND),
        (
            cat(DOCKER_CE, override="[Service]\nExecStart=\nExecStart=/usr/bin/dockerd --debug\n"),
            "/usr/bin/dockerd --debug",
        ),
        (
            cat(
                DOCKER_CE,
                override="[Service]\nExecStart=\nExecStart=/usr/bin/dockerd --debug\n",
                zz_swarm=ours(DOCKER_CE_COMMAND),
            ),
            "/usr/bin/dockerd --debug",
        ),
        # an admin's drop-in about something else
        (cat(DEBIAN, proxy="[Service]\nEnvironment=HTTP_PROXY=http://p:3128\n"), DEBIAN_COMMAND),
        (
            "# /etc/systemd/system/docker.service\n[Service]\n"
            "ExecStart=/usr/bin/dockerd \\\n    -H fd:// \\\n\t--debug\nRestart=always\n",
            "/usr/bin/dockerd  -H fd://  --debug",
        ),
        (
            "# /etc/systemd/system/docker.service\n[Service]\n"
            "ExecStart=/usr/bin/dockerd \\\n# an explanation\n  --debug\n",
            "/usr/bin/dockerd  --debug",
        ),
        ("# /x\n[Service]\nExecStart = /usr/bin/dockerd\n", "/usr/bin/dockerd"),
        (cat(DEBIAN, override="[Service]\nExecStart=\n"), None),
        ("", None),
        ("No files found for docker.service.\n", None),
        ("# /x\n[Service]\n#ExecStart=/usr/bin/dockerd\n", None),
    ],
    ids=[
        "debian",
        "docker-ce",
        "ours is left out",
        "ours of an earlier release is left out",
        "an admin's own command",
        "an admin's own command and ours",
        "an admin's drop-in without command",
        "continued lines",
        "comment in continued lines",
        "blanks around the sign",
        "cleared",
        "nothing",
        "no such unit",
        "commented out",
    ],
)
def test_command_of_the_unit(units, command):
    assert systemd_unit.exec_start(units) == command


def test_dropin_keeps_the_units_command_and_adds_a_socket():
    assert ours(DEBIAN_COMMAND).splitlines()[1:] == [
        "[Service]",
        "ExecStart=",
        f"ExecStart={DEBIAN_COMMAND} -H tcp://10.77.0.11:2275",
    ]


@pytest.mark.parametrize("unit", [DEBIAN, DOCKER_CE], ids=["debian", "docker-ce"])
def test_dropin_is_the_same_when_it_is_already_there(unit):
    first = ours(systemd_unit.exec_start(unit))
    again = ours(systemd_unit.exec_start(cat(unit, zz_swarm=first)))
    assert again == first


@pytest.mark.parametrize("verify", [False, True])
def test_dropin_moves_to_the_command_of_another_package(verify):
    before = systemd_unit.dropin(DEBIAN_COMMAND, "10.77.0.11:2376", verify)
    after = systemd_unit.dropin(DOCKER_CE_COMMAND, "10.77.0.11:2376", verify)
    assert systemd_unit.moved(before, DOCKER_CE_COMMAND) == after
    assert systemd_unit.moved(after, DOCKER_CE_COMMAND) == after


@pytest.mark.parametrize("admins", ["override.conf", "10-proxy.conf", "swarm.conf", "local.conf"])
def test_dropin_counts_last(admins):
    """``systemctl edit`` makes an ``override.conf``: systemd takes the files in this order."""
    assert sorted([systemd_unit.DROPIN, admins])[-1] == systemd_unit.DROPIN


JOURNAL = r"""
time="2026-11-23T08:40:01Z" level=info msg="Starting up"
time="2026-11-23T08:40:02Z" level=warning msg="Your kernel does not support swap limit"
failed to start daemon: error initializing "graphdriver": no libkv: Consul not supported
"""


@pytest.mark.parametrize(
    ("journal", "said"),
    [
        ('level=panic msg="bad subnet"', "bad subnet"),
        (
            "panic: runtime error: invalid memory address\n\ngoroutine 1 [running]:",
            "panic: runtime",
        ),
        ('time="x" level=error msg="no store"', "no store"),
        (r'level=fatal msg="bad \"mtu\" here" n=1', 'bad "mtu" here'),
        (
            "unable to configure the Docker daemon with file /etc/docker/daemon.json: unknown key",
            "unable to configure the Docker daemon with file /etc/docker/daemon.json: unknown key",
        ),
        (JOURNAL, 'failed to start daemon: error initializing "graphdriver": no libkv: Consul not'),
        ('level=error msg="same"\n' * 3, "same"),
        ("\n".join(f'level=error msg="{n}"' for n in range(9)), "5 | 6 | 7 | 8"),
    ],
    ids=["panic", "of Go", "error", "quotes", "no level", "a start", "repeated", "many"],
)
def test_daemons_own_words(journal, said):
    assert systemd_unit.words(journal).startswith(said)


@pytest.mark.parametrize("journal", ["", 'time="x" level=info msg="Starting up"'])
def test_daemon_that_has_no_words(journal):
    assert systemd_unit.words(journal) == ""


def test_words_of_systemd_on_a_daemon_that_it_could_not_start():
    journal = """
docker.service: Failed at step EXEC spawning /usr/sbin/dockerd: No such file or directory
docker.service: Main process exited, code=exited, status=203/EXEC
docker.service: Scheduled restart job, restart counter is at 1.
"""
    said = systemd_unit.systemd_words(journal).split(" | ")
    assert said == [line for line in journal.splitlines() if "ed at step" in line or "203" in line]
