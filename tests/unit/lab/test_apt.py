"""How the lab derives its hosts' package sources from those of the machine."""

import pytest

from lab import apt
from lab.apt import Source
from lab.run import LabError

DEB822 = """\
# a comment
Types: deb deb-src
# between
URIs: http://archive.example.com/debian/
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://archive.example.com/security
Suites: bookworm-security
Components: main

Types: deb
URIs: http://other.example/apt
Suites: bookworm
Components: tools
"""

ONE_LINE = """\
# deb http://commented.example.com/debian bookworm main
deb [arch=amd64 signed-by=/k.gpg] http://archive.example.com/debian bookworm main contrib # note
deb-src http://archive.example.com/debian bookworm main
deb http://vendor.example/apt bookworm stable
"""

MACHINE = [
    Source("http://archive.example.com/debian", "bookworm"),
    Source("http://archive.example.com/debian", "bookworm-updates"),
    Source("http://archive.example.com/security", "bookworm-security"),
]


def test_deb822_stanzas_are_read_and_sources_without_main_are_left_out():
    assert apt.parse_deb822(DEB822) == MACHINE


def test_a_disabled_stanza_is_left_out():
    text = "Types: deb\nURIs: http://x.example\nSuites: bookworm\nComponents: main\nEnabled: no\n"
    assert apt.parse_deb822(text) == []


def test_fields_may_go_on_in_the_next_line():
    text = "Types: deb\nURIs:\n http://x.example\nSuites: bookworm\n other\nComponents: main\n"
    assert [one.suite for one in apt.parse_deb822(text)] == ["bookworm", "other"]


def test_one_line_style_is_read():
    assert apt.parse_one_line(ONE_LINE) == MACHINE[:1]


def test_every_file_that_apt_reads_is_read(tmp_path):
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(ONE_LINE)
    (tmp_path / "sources.list.d/debian.sources").write_text(DEB822)
    (tmp_path / "sources.list.d/old.list.disabled").write_text("deb http://no.example x main")
    assert apt.machine_sources(tmp_path) == [MACHINE[0], *MACHINE]


@pytest.mark.parametrize("suite", ["bullseye", "bookworm", "trixie"])
def test_another_suite_is_the_same_mirror_with_another_name(suite):
    assert apt.derive(MACHINE, "bookworm", suite) == [
        Source("http://archive.example.com/debian", suite),
        Source("http://archive.example.com/debian", f"{suite}-updates"),
        Source("http://archive.example.com/security", f"{suite}-security"),
    ]


def test_an_old_suite_is_taken_without_updates_and_security():
    derived = apt.derive(MACHINE, "bookworm", "bullseye")
    assert apt.base_only(derived, "bullseye") == [Source(MACHINE[0].uri, "bullseye")]


def test_foreign_suites_are_not_renamed():
    nodes = Source("http://node.example", "nodistro")
    assert nodes not in apt.derive([*MACHINE, nodes], "bookworm", "trixie")


def test_a_machine_without_the_entry_is_told_what_to_add():
    with pytest.raises(LabError, match=r"no entry for Debian 'bookworm' main.*add `deb URI"):
        apt.derive(MACHINE[1:], "bookworm", "bullseye")


def test_only_how_to_fetch_is_carried_over():
    dump = (
        'Acquire::http::Proxy "http://proxy.example:3128";\n'
        'Acquire::Check-Valid-Until "false";\n'
        'Acquire::IndexTargets::deb::DEP-11 "";\n'
        'Acquire::https "";\n'
        'APT::Install-Recommends "1";\n'
        'DPkg::Post-Invoke:: "rm -rf /";\n'
    )
    assert apt.carried_over(dump) == (
        'Acquire::http::Proxy "http://proxy.example:3128";\nAcquire::Check-Valid-Until "false";\n'
    )


def test_pins_prefer_the_suite_for_the_engine_alone():
    engine, rest = apt.pins("bullseye").split("\n\n")
    assert "docker.io" in engine
    assert "Pin-Priority: 990" in engine
    assert rest.startswith("Package: *\n")
    assert "Pin-Priority: 100" in rest
