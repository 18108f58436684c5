"""The packages of an engine that another one should have replaced."""

import pytest

from swarm_formula.core import errors
from swarm_formula.package import put_back


class Apt:
    """Packages of a host, and a ``pkg.install`` that does nothing or fails."""

    def __init__(self, here, fault=None):
        self.here, self.fault, self.asked = here, fault, []

    def __getitem__(self, name):
        return {"pkg.version": lambda one: self.here.get(one, ""), "pkg.install": self._install}[
            name
        ]

    def _install(self, pkgs, **_):
        self.asked.append(pkgs)
        if self.fault:
            raise self.fault
        self.here |= {name: one[name] for one in pkgs if isinstance(one, dict) for name in one}


def fail(salt, others):
    """Have an installation fail that has removed Debian's engine."""
    with put_back.unless_installed(salt, "docker-ce", others):
        salt.here.pop("docker.io", None)
        raise ValueError("disk full")


def test_former_packages_are_installed_in_their_versions_and_the_new_ones_go():
    salt = Apt({"docker.io": "26.1.5", "containerd": "1.7"})
    words = r"^docker-ce cannot take the place of docker.io on this host: disk full\. The former"
    with pytest.raises(errors.SwarmError, match=words):
        fail(salt, ["docker.io"])
    assert salt.here == {"docker.io": "26.1.5", "containerd": "1.7"}
    (asked,) = salt.asked
    assert {"docker.io": "26.1.5"} in asked
    gone = {one for one in asked if isinstance(one, str)}
    assert {"docker-ce-", "docker-ce-cli-", "containerd.io-"} <= gone


def test_packages_that_do_not_come_back_are_named():
    salt = Apt({"docker.io": "26.1.5", "containerd": "1.7"}, fault=ValueError("still full"))
    with pytest.raises(errors.SwarmError, match=r"could not be put back: docker\.io\."):
        fail(salt, ["docker.io"])


def test_errors_of_apt_are_told_without_what_stands_around_them():
    fault = ValueError("Problem encountered installing package(s)")
    fault.info = {"changes": {}, "errors": ["Running as unit: run-1.scope\nE: dpkg failed (1)"]}
    assert put_back._reason(fault) == "E: dpkg failed (1)"
    fault.info["errors"] = []
    assert put_back._reason(fault) == "Problem encountered installing package(s)"


def test_error_of_an_installation_that_replaces_nothing_is_its_own():
    salt = Apt({})
    with pytest.raises(ValueError, match=r"^disk full$"):
        fail(salt, [])
    assert salt.asked == []
