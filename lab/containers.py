"""The hosts: containers that boot systemd."""

import subprocess

from lab import machine
from lab.config import MASTER, REPO, Settings, every_name
from lab.engine import LABEL, Engine
from lab.run import LabError


def create(engine: Engine, host: str, image: str) -> None:
    """Makes a host and switches it on."""
    mounts = _master_mounts(engine.settings) if host == MASTER else []
    if host != MASTER:
        # overlay2 cannot stand on overlay2: the host's own engine needs a volume.
        volume = engine.settings.volume(host)
        engine.docker("volume", "create", f"--label={LABEL}={engine.settings.name}", volume)
        mounts.append(f"--volume={volume}:/var/lib/docker")
        # Nor can the image store of containerd, which engines use from 29 on.
        mounts.append("--volume=/var/lib/containerd")
    engine.docker(
        *("run", "--detach", f"--name={engine.settings.container(host)}", f"--hostname={host}"),
        *(f"--label={LABEL}={engine.settings.name}", f"--label={LABEL}.host={host}"),
        *(f"--network={engine.settings.name}", *_address(engine.settings, host)),
        *(f"--add-host={name}:{engine.settings.address(name)}" for name in every_name()),
        *privileges(machine.bounding_set(), machine.cgroup_version()),
        *("--tmpfs=/run:exec", "--tmpfs=/run/lock", "--tmpfs=/tmp:exec", *mounts, image),
    )


def _address(settings: Settings, host: str) -> list[str]:
    address = settings.address(host)
    if settings.ipv6:
        return [f"--ip6={address}", "--env=LAB_IPV6_ONLY=1"]
    return [f"--ip={address}"]


def privileges(bounding_set: int, cgroup: int) -> list[str]:
    """Returns the options that let systemd and an engine run in a container."""
    # Not --privileged, not ALL: they ask for every capability, and fail where the machine itself
    # lacks one. The newest three are left out, old engines do not know them.
    return [
        *(f"--cap-add={name}" for name in machine.capabilities(bounding_set)),
        "--security-opt=seccomp=unconfined",
        "--security-opt=apparmor=unconfined",
        "--security-opt=systempaths=unconfined",
        "--device-cgroup-rule=a *:* rwm",
        *(
            ["--cgroupns=private"]
            if cgroup == 2  # noqa: PLR2004
            else ["--cgroupns=host", "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw"]
        ),
    ]


def _master_mounts(settings: Settings) -> list[str]:
    return [
        f"--volume={REPO}:/srv/formula:ro",
        f"--volume={settings.states}:/srv/lab/states",
        f"--volume={settings.images}:/srv/lab/states/images:ro",
        f"--volume={settings.pillar}:/srv/lab/pillar",
        f"--volume={settings.run / 'autosign'}:/srv/lab/autosign",
    ]


def remove(engine: Engine, host: str) -> None:
    """Removes a host with all its data."""
    engine.docker("rm", "--force", "--volumes", engine.settings.container(host), check=False)
    engine.docker("volume", "rm", "--force", engine.settings.volume(host), check=False)


def remove_volumes(engine: Engine) -> None:
    """Removes what hosts have left that are gone already, as after a `down` that was killed."""
    mine = f"--filter=label={LABEL}={engine.settings.name}"
    names = engine.docker("volume", "ls", "--quiet", mine).stdout.split()
    if names:
        engine.docker("volume", "rm", "--force", *names, check=False)


def states(engine: Engine) -> dict[str, str]:
    """Returns the lab's hosts with Docker's word for their state: running, exited, ..."""
    done = engine.docker(
        *("ps", "--all", f"--filter=label={LABEL}={engine.settings.name}"),
        *("--format", '{{.Label "' + LABEL + '.host"}} {{.State}}'),
    )
    return dict(sorted(line.split() for line in done.stdout.splitlines()))


def execute(
    engine: Engine,
    host: str,
    *argv: str,
    timeout: float = 120,
    check: bool = True,
    input: str | None = None,  # noqa: A002
) -> subprocess.CompletedProcess[str]:
    """Runs a command on a host."""
    stdin = [] if input is None else ["--interactive"]
    name = engine.settings.container(host)
    try:
        return engine.docker("exec", *stdin, name, *argv, timeout=timeout, check=check, input=input)
    except LabError as error:
        raise LabError(f"{host}: {error}") from error
