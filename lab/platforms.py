"""
bin/platforms: the formula on each combination of a host's release, an engine, a mode and Salt.

Prints a row of a table for each; docs/platforms.md has the one that was printed last.
"""

import argparse
import contextlib
import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

from lab import config, demo, machine
from lab.api import Lab
from lab.run import LabError

HOSTS = 2
# The packages that an engine is made of, and that are gone with it.
_PACKAGES = ("docker.io", "docker-cli", "containerd", "runc")


class Platform(NamedTuple):
    """One row of the table."""

    host_suite: str
    suite: str
    mode: str
    salt: str


def every() -> Iterator[Platform]:
    """Returns all combinations that a lab can have."""
    for release, mode, salt in itertools.product(config.HOST_SUITES, config.MODES, config.SALT):
        for suite in config.ENGINE_SUITES[release]:
            yield Platform(release, suite, mode, salt)


def _first(lab: Lab, mode: str) -> None:
    demo.pillar(lab, mode, {host: {"zone": zone} for host, zone in demo.zones(lab).items()})
    demo.applied(lab)
    if demo.members(lab) != lab.hosts():
        raise LabError(f"members: {demo.members(lab)}")


def _second(lab: Lab, _mode: str) -> None:
    for host, states in demo.applied(lab).items():
        if changed := [one["__id__"] for one in states if one["changes"]]:
            raise LabError(f"{host} changes {', '.join(changed)}")


def _label(lab: Lab, mode: str) -> None:
    demo.load_workload(lab)
    demo.show_label(lab, mode)


def _join(lab: Lab, _mode: str) -> None:
    demo.show_join(lab)


def _remove(lab: Lab, _mode: str) -> None:
    host = lab.hosts()[-1]
    done = lab.salt_run("swarm.remove", host, timeout=300)
    if done.get("cleaned") is not True:
        raise LabError(str(done))
    if host in (left := demo.members(lab)):
        raise LabError(f"members: {left}")
    lab.remove(host)


def _clean(lab: Lab, mode: str) -> None:
    # Refused while there is a service, whatever it is.
    demo.remove_placed(lab, mode)
    demo.applied(lab, "swarm.clean")
    look = f"dpkg-query -W -f '${{Package}} ${{Status}}\\n' {' '.join(_PACKAGES)} 2>/dev/null"
    for host in lab.hosts():
        text = lab.exec(host, "sh", "-c", look, check=False).stdout
        if left := [line.split()[0] for line in text.splitlines() if line.endswith(" installed")]:
            raise LabError(f"{host} still has {', '.join(left)}")


STEPS: dict[str, Callable[[Lab, str], None]] = {
    "first apply": _first,
    "second apply": _second,
    "label edit": _label,
    "join": _join,
    "remove": _remove,
    "clean": _clean,
}


def engine(lab: Lab) -> str:
    """Returns the version of the engine on the first host."""
    return lab.exec("m1", "docker", "version", "--format", "{{.Server.Version}}").stdout.strip()


def walk(lab: Lab, platform: Platform) -> tuple[str, dict[str, str]]:
    """Goes through the steps; returns the engine's version, and a word for each step."""
    done, version = dict.fromkeys(STEPS, ""), ""
    for name, step in STEPS.items():
        try:
            step(lab, platform.mode)
        except (LabError, subprocess.SubprocessError) as error:
            done[name] = f"failed: {' '.join(str(error).split())[:200]}"
            # What follows would only tell of the same.
            break
        done[name] = "ok"
        version = version or engine(lab)
    return version, done


def tried(lab: Lab, platform: Platform) -> tuple[str, dict[str, str]]:
    """Goes through the steps in a lab of its own; returns the same as ``walk``."""
    # What the steps print is of use only if one fails.
    with contextlib.redirect_stdout(sys.stderr):
        try:
            lab.up(HOSTS, platform.mode, platform.salt, platform.suite, True, platform.host_suite)
            return walk(lab, platform)
        finally:
            lab.down()


def row(platform: Platform, version: str, done: dict[str, str], ipv6: bool) -> str:
    """Returns a row of the table."""
    hosts = f"{platform.host_suite}{', IPv6 only' if ipv6 else ''}"
    where = f"{version} ({platform.suite})" if version else platform.suite
    cells = (hosts, where, platform.mode, platform.salt, *done.values())
    return f"| {' | '.join(one.replace('|', ' ') or '-' for one in cells)} |"


def header() -> str:
    """Returns the head of the table."""
    cells = ("hosts", "engine (from)", "mode", "Salt", *STEPS)
    return f"| {' | '.join(cells)} |\n|{'---|' * len(cells)}"


def main() -> int:
    """Goes through all platforms, or those that the options leave; returns the exit code."""
    parser = argparse.ArgumentParser(prog="bin/platforms", description=__doc__.strip())
    parser.add_argument("--host-suite", choices=config.HOST_SUITES, help="only these hosts")
    parser.add_argument("--suite", choices=config.SUITES, help="only the engine of this suite")
    parser.add_argument("--mode", choices=config.MODES, help="only this mode")
    parser.add_argument("--salt", choices=config.SALT, help="only this release of Salt")
    chosen = {key: one for key, one in vars(parser.parse_args()).items() if one}
    lab, bad = Lab(), 0
    print(header(), flush=True)
    for platform in every():
        if chosen.items() - platform._asdict().items():
            continue
        try:
            machine.check_for(platform.host_suite)
            release = lab.settings.release(platform.salt)
        except LabError as error:
            print(f"not run: {error}", file=sys.stderr)
            continue
        version, done = tried(lab, platform)
        bad += any(one != "ok" for one in done.values())
        print(row(platform._replace(salt=release), version, done, lab.settings.ipv6), flush=True)
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
