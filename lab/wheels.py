"""Salt and the formula's client libraries as wheels, made on the machine for the hosts' Python."""

import hashlib
import shutil
import tempfile
from pathlib import Path

from lab import machine
from lab.config import Settings, requirement
from lab.run import LabError, run, say

# Debian 12's; the hosts run the same. A wheel made by another version would not load there.
PYTHON = "/usr/bin/python3.11"
BUILDERS = ("setuptools<81", "wheel")
CLIENTS = ("docker", "python-consul", "py-consul")
# Up to here, a wheel of Salt has no dependencies in it if a newer setuptools makes it.
_LAST_OLD, _OLD_BUILDER = (3006, 23), "setuptools<75"


def salt(settings: Settings, release: str) -> Path:
    """Returns the folder with the wheels of a Salt release."""
    exact = (3006, 0) <= tuple(map(int, release.split("."))) <= _LAST_OLD
    builder = _OLD_BUILDER if exact else None
    return _ensure(settings, f"salt-{release}", [requirement(release), *BUILDERS], builder)


def clients(settings: Settings) -> Path:
    """Returns the folder with the wheels of the client libraries that the formula installs."""
    return _ensure(settings, "clients", [*CLIENTS])


def _ensure(settings: Settings, name: str, wanted: list[str], builder: str | None = None) -> Path:
    # Other wishes are other wheels: what they were is part of the name.
    mark = hashlib.sha256("\n".join([*wanted, *filter(None, [builder])]).encode()).hexdigest()[:8]
    folder = settings.cache / "wheels" / f"{name}-{mark}"
    if folder.exists():
        return folder
    say(f"fetching wheels: {' '.join(wanted)}")
    # Not `with_suffix`: a release has a dot in it.
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    # The machine's pip settings (index, proxy, certificate) apply: it is the machine's pip.
    wheel = [_pip(settings), "wheel", "--quiet", "--wheel-dir", partial]
    if builder:
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as only:
            print(builder, file=only, flush=True)
            env = {"PIP_CONSTRAINT": only.name}
            # Not pip's cache: it may have the wheel that another setuptools has made.
            run([*wheel, "--no-deps", "--no-cache-dir", wanted[0]], timeout=900, env=env)
        wheel += ["--find-links", partial]
    run([*wheel, *wanted], timeout=900)
    partial.rename(folder)
    return folder


def _pip(settings: Settings) -> Path:
    """Returns a pip of the right Python, from an environment kept in the cache."""
    venv = settings.cache / "venv"
    if not (venv / "bin/wheel").exists():
        if machine.codename() != "bookworm" and not Path(PYTHON).exists():
            raise LabError(f"{PYTHON} is missing; the lab makes its wheels on Debian 12 (bookworm)")
        # One of Salt's dependencies, timelib, is compiled here.
        machine.install(
            ["python3-venv", "python3-dev", "gcc", "libc6-dev"],
            [PYTHON, "gcc", "/usr/include/python3.11/Python.h"],
        )
        shutil.rmtree(venv, ignore_errors=True)
        run([PYTHON, "-m", "venv", venv], timeout=120)
        # Without `wheel`, pip makes no wheel of a source without pyproject.toml; of these, 3006
        # needs one.
        run([venv / "bin/pip", "install", "--quiet", *BUILDERS], timeout=300)
    return venv / "bin/pip"
