"""
A Python with one Salt release and everything the tests and the linters need.

``python3 -m lab.testenv 3006`` makes it, if need be, and prints where it is.
"""

import hashlib
import os
import shutil
import sys
from pathlib import Path

from lab import config, machine, wheels
from lab.config import Settings
from lab.run import LabError, run, say

TOOLS = (
    "pytest>=8,<10",
    "pytest-salt-factories>=1.0.4,<2",
    "hypothesis>=6.100,<7",
    "ruff>=0.12,<0.18",
    "mypy>=2.4,<3",
    "yamllint>=1.35,<2",
    "salt-lint>=0.9.2,<1",
)
CLIENTS = ("docker>=5,<8", "python-consul>=1.1,<2")


def ensure(settings: Settings, salt: str) -> Path:
    """Returns the folder of the environment, which is made when first asked for."""
    if salt not in config.SALT:
        raise LabError(f"Salt {salt}: use one of {', '.join(config.SALT)}")
    release = settings.release(salt)
    # A unit test has the real iptables take steps, in a network namespace of its own.
    machine.install(["iptables"], ["iptables-restore"])
    # Others have the real dnf install packages that they make, in a folder of their own.
    machine.install(
        ["dnf", "dnf-plugins-core", "rpm", "createrepo-c", "gpg"],
        ["dnf", "rpmsign", "createrepo_c", "/etc/dnf/plugins/versionlock.conf"],
    )
    wanted = [config.requirement(release), *CLIENTS, *TOOLS]
    mark = hashlib.sha256("\n".join(wanted).encode()).hexdigest()[:8]
    folder = settings.cache / "testenv" / f"{release}-{mark}"
    if folder.exists():
        return folder
    found = [wheels.salt(settings, release), wheels.clients(settings)]
    say(f"making the environment for tests on Salt {release}")
    try:
        run([wheels.PYTHON, "-m", "venv", folder], timeout=120)
        links = [f"--find-links={one}" for one in found]
        run([folder / "bin/pip", "install", "-q", *links, "setuptools<81", *wanted], timeout=900)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


if __name__ == "__main__":
    try:
        print(ensure(config.settings(os.environ), *sys.argv[1:2]))
    except LabError as error:
        sys.exit(f"testenv: {error}")
