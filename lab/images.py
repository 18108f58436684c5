"""Builds the image that the hosts run, by Docker, from local parts only."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab import apt, config, machine, rootfs, wheels
from lab.config import Settings
from lab.engine import Engine
from lab.run import run, say

HERE = Path(__file__).resolve().parent


# What a host of another release gets for Salt: the Python for which its wheels are made.
_PYTHON = f"{wheels.PYTHON} /usr/lib/{Path(wheels.PYTHON).name}"


def host(settings: Settings, engine: Engine, options: Mapping[str, str]) -> str:
    """
    Makes the hosts' image; returns its name.

    options
        ``salt`` (its release), ``suite`` (the engine's) and ``host_suite`` of ``Lab.up``.
    """
    salt, suite, release = options["salt"], options["suite"], options["host_suite"]
    with ThreadPoolExecutor() as pool:
        base = pool.submit(rootfs.ensure, settings, engine)
        # One after the other: both use the same pip, and two cores are soon full.
        made = pool.submit(lambda: (wheels.salt(settings, salt), wheels.clients(settings)))
        of_salt, of_clients = made.result()
        base_image = base.result()
    host_image = rootfs.ensure(settings, engine, release)
    with tempfile.TemporaryDirectory(dir=settings.cache) as folder:
        context = Path(folder)
        shutil.copytree(HERE / "host", context, dirs_exist_ok=True)
        shutil.copytree(of_salt, context / "wheels/salt")
        shutil.copytree(of_clients, context / "wheels/sdk")
        (context / "engine").mkdir()
        if settings.programs:
            shutil.copytree(settings.programs, context / "engine", dirs_exist_ok=True)
        write_apt(context / "suite/etc/apt", (suite,), release, pinned=suite)
        arguments = {"BASE": base_image, "HOST": host_image, "SUITE": suite}
        if release != config.RELEASE:
            arguments["PYTHON"] = _PYTHON
        name = f"swarm-lab/host-{salt}-{suite}-{release}"
        return build(
            engine, context, name, arguments, f"host image, Salt {salt}, {suite} on {release}"
        )


def write_apt(
    folder: Path,
    suites: Iterable[str],
    release: str = config.RELEASE,
    pinned: str | None = None,
) -> None:
    """Writes apt's sources and settings for a host of a release, with packages of other suites."""
    sources, codename = apt.machine_sources(), machine.codename()
    lines = [one.line() for one in apt.derive(sources, codename, release)]
    for suite in suites:
        if suite != release:
            derived = apt.derive(sources, codename, suite)
            lines += [one.line() for one in apt.base_only(derived, suite)]
    for name in ("sources.list.d", "apt.conf.d", "preferences.d"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "sources.list.d/lab.list").write_text("\n".join(lines) + "\n")
    fetching = apt.carried_over(run(["apt-config", "dump"]).stdout)
    (folder / "apt.conf.d/70machine").write_text(fetching)
    if pinned and pinned != release:
        (folder / "preferences.d/engine").write_text(apt.pins(pinned))


def build(engine: Engine, context: Path, name: str, arguments: dict[str, str], what: str) -> str:
    """Builds an image unless one of exactly these parts is there; returns name and tag."""
    base = engine.docker("image", "inspect", "-f", "{{.Id}}", arguments["BASE"]).stdout.strip()
    image = f"{name}:{fingerprint(context, base, *arguments.values())}"
    if engine.docker("image", "inspect", image, check=False).returncode == 0:
        return image
    say(f"building the {what}")
    words = [f"--build-arg={key}={value}" for key, value in arguments.items()]
    # The machine's network: a proxy on its loopback answers; and the lab's engine has no bridge.
    engine.docker("build", "--network=host", *words, "-t", image, context, timeout=900)
    _forget_others(engine, name, image)
    return image


def _forget_others(engine: Engine, name: str, image: str) -> None:
    """Removes what an image replaces; Docker keeps what a running lab still uses."""
    tags = engine.docker("image", "ls", "--format={{.Repository}}:{{.Tag}}", name).stdout.split()
    for old in set(tags) - {image}:
        engine.docker("image", "rm", old, check=False)


def fingerprint(context: Path, *more: str) -> str:
    """Returns a short hash over the names, modes and contents of a folder's files."""
    digest = hashlib.sha256("\0".join(more).encode())
    for path in sorted(context.rglob("*")):
        if path.is_file():
            digest.update(f"\0{path.relative_to(context)}\0{path.stat().st_mode}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]
