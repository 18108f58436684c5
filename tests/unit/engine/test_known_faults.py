"""
Versions of the engine with known faults: warned of where they matter, and the worst not installed.
"""

import re

import pytest

from _modules import swarm_engine
from swarm_formula.core import errors
from swarm_formula.engine import known_faults
from tests.conftest import REPO_ROOT
from tests.unit.pillars import BUILTIN, VALID, minion_at, settings_of

CLASSIC = {**VALID, "overlay": False}
ENCRYPTED = {"backend": {"driver": "overlay", "options": {"encrypted": ""}}}


def issues(settings, version):
    """Return the issues that the warnings about a version name."""
    found = known_faults.warnings(settings, version)
    assert all(f"Docker {version} on m1: " in one and "Cure: " in one for one in found)
    return [re.search(r"\((.*?)\)", one)[1] for one in found]


@pytest.mark.parametrize(
    ("version", "builtin", "classic"),
    [
        ("20.10.24+dfsg1", [], []),
        ("26.1.5+dfsg1", [], []),
        ("28.0.0", ["moby#49538"], []),
        ("28.0.1", [], []),
        ("28.1.1", [], []),
        ("28.2.2", ["moby#50129"], []),
        ("5:28.2.2-1~debian.12~bookworm", ["moby#50129"], []),
        ("28.3.0", [], []),
        ("28.5.2+dfsg1", [], []),
        ("29.0.4", ["moby#51491", "moby#53141"], []),
        ("29.1.0", ["moby#51491", "moby#53141", "moby#51614"], ["moby#51614"]),
        ("29.1.1", ["moby#51491", "moby#53141"], []),
        ("29.1.3", ["moby#53141"], []),
        ("29.6.2", ["moby#53141"], []),
        ("29.10.0", [], []),
        ("", [], []),
    ],
)
def test_versions_in_both_modes(version, builtin, classic):
    assert issues(settings_of(BUILTIN), version) == builtin
    assert issues(settings_of(CLASSIC), version) == classic


@pytest.mark.parametrize(
    ("version", "package", "told"),
    [
        ("20.10.23", "docker-ce", True),
        ("20.10.24", "docker-ce", False),
        ("23.0.2", "docker-ce", True),
        ("23.0.3", "docker-ce", False),
        # Its distributor has mended it without another version.
        ("20.10.5+dfsg1", "docker.io", False),
    ],
)
def test_networks_that_are_encrypted_in_name_only(version, package, told):
    pillar = {**BUILTIN, "engine": {"package": package}}
    assert issues(settings_of({**pillar, "networks": ENCRYPTED}), version) == (
        ["CVE-2023-28840"] if told else []
    )
    assert issues(settings_of(pillar), version) == []


@pytest.mark.parametrize(
    ("version", "more", "told"),
    [
        ("20.10.24", {}, True),
        ("25.0.0", {}, False),
        ("20.10.24", {"builtin": {"data_path_address": {"interface": "eth1"}}}, False),
    ],
)
def test_overlay_networks_by_ipv6_lead_nowhere_before_25(version, more, told):
    """The cluster is healthy, and no service reaches another host."""
    host = minion_at("m1", "fd00::11", eth1=["10.9.0.4"])
    assert issues(settings_of({**BUILTIN, **more}, host), version) == ["moby#41691"] * told


@pytest.mark.parametrize("row", known_faults.TABLE, ids=lambda row: f"{row.first}-{row.fixed}")
def test_each_row_is_in_the_documentation(row):
    text = (REPO_ROOT / "docs/platforms.md").read_text()
    place = text.partition("## Engine versions with known faults")[2].partition("\n## ")[0]
    assert f"[{re.search(r'[(](.*?)[)]', row.text)[1]}](" in place
    assert ("refused" if row.refused else "warning") in place


@pytest.mark.usefixtures("daemon")
def test_worst_is_not_installed_and_the_cure_is_named(pillar):
    pillar(overlay=False)
    words = r"m1: nothing was installed: .*moby#51614.* set swarm:engine:version to a newer one$"
    with pytest.raises(errors.SwarmError, match=words):
        swarm_engine.check("5:29.1.0-1~debian.12~bookworm")
    swarm_engine.check("5:29.1.1-1~debian.12~bookworm")


def test_worst_that_runs_already_is_configured_and_told(daemon, pillar):
    """An apply has to be able to go on to the version that mends it."""
    pillar(overlay=False)
    daemon.version = "29.1.0"
    swarm_engine.configure()
    (text,) = swarm_engine.known_faults()
    assert "Docker 29.1.0 on m1: containers in networks of their own" in text
    daemon.up = daemon.installed = False
    assert swarm_engine.known_faults() == []
