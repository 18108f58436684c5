"""The lab's command line, its settings, and the pillar it starts with."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from lab import api, cli, config, images, pillars, wheels, workloads
from lab.run import LabError, run

IMAGES = {
    "consul": {"image": "consul:1.8.7", "source": "salt://images/consul.tar"},
    "swarm": {"image": "swarm-standin:1.2.9", "source": "salt://images/swarm.tar"},
}


def test_up_has_the_defaults_that_its_help_tells():
    options = cli.parser().parse_args(["up"])
    assert (options.hosts, options.mode, options.salt) == (3, "classic", "3008")
    assert (options.host_suite, options.suite) == ("bookworm", None)
    assert config.ENGINE_SUITES["bookworm"][0] == "bullseye"


def test_release_that_no_host_can_run_is_refused_before_anything_is_made():
    with pytest.raises(LabError, match="--host-suite buster: use one of bookworm"):
        api.Lab(config.settings({})).up(host_suite="buster")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"hosts": 0}, "--hosts 0: a lab has 1 to 9 hosts"),
        ({"hosts": 10}, "--hosts 10"),
        ({"mode": "swarm"}, "--mode swarm: use one of classic, builtin"),
        ({"salt": "3007"}, "--salt 3007: use one of 3008, 3006"),
        ({"suite": "buster"}, "--suite buster: use one of bullseye"),
        ({"host_suite": "bullseye"}, "--host-suite bullseye: use one of bookworm"),
        ({"host_suite": "trixie"}, "a host of trixie cannot run this engine; use trixie or forky"),
        ({"suite": "forky"}, "a host of bookworm cannot run this engine; use bullseye or bookworm"),
    ],
)
def test_an_option_that_no_lab_can_have_is_refused(changed, message):
    good = {"hosts": 3, "mode": "classic", "salt": "3008", "suite": "bullseye"}
    good["host_suite"] = "bookworm"
    with pytest.raises(LabError, match=message):
        api.check_options({**good, **changed})


def test_addresses_are_fixed():
    settings = config.settings({})
    assert settings.address("salt") == "10.77.0.2"
    assert settings.address("m9") == "10.77.0.19"


def test_hosts_with_ipv6_only_have_addresses_that_read_alike():
    settings = config.settings({"SWARM_LAB_SUBNET": "fd00:77::/64"})
    assert settings.ipv6
    assert [settings.address(host) for host in ("salt", "m1", "m9")] == [
        *("fd00:77::2", "fd00:77::11", "fd00:77::19")
    ]


def test_a_second_lab_shares_nothing_but_cache_and_engine():
    first = config.settings({})
    second = config.settings({"SWARM_LAB_NAME": "two", "SWARM_LAB_SUBNET": "10.78.0.0/24"})
    assert second.container("m1") == "two-m1"
    assert second.address("m1") == "10.78.0.11"
    assert first.run != second.run
    assert first.images != second.images
    assert (first.cache, first.engine) == (second.cache, second.engine)


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"SWARM_LAB_SUBNET": "10.77.0.0/16"}, "must be a /24"),
        ({"SWARM_LAB_SUBNET": "10.77.0.1/24"}, "host bits set"),
        ({"SWARM_LAB_NAME": "a-name-that-is-long"}, "1 to 12"),
        ({"SWARM_LAB_CACHE": "here"}, "absolute"),
        ({"SWARM_LAB_PROGRAMS": "here"}, "absolute"),
        ({"SWARM_LAB_PROGRAMS": "/nowhere"}, "no dockerd in it"),
        (
            {"SWARM_LAB_SALT": "3006"},
            "SWARM_LAB_SALT='3006': give one release of Salt 3008 or 3006",
        ),
        ({"SWARM_LAB_SALT": "3007.1"}, "give one release"),
        ({"SWARM_LAB_SALT": "3006.20,<1"}, "give one release"),
    ],
)
def test_a_wrong_setting_is_named(env, message):
    with pytest.raises(LabError, match=message):
        config.settings(env)


def test_programs_of_an_engine_are_those_of_the_folder(tmp_path):
    (tmp_path / "dockerd").touch()
    assert config.settings({"SWARM_LAB_PROGRAMS": str(tmp_path)}).programs == tmp_path
    assert config.settings({}).programs is None


def test_exact_release_of_salt_takes_the_place_of_the_range():
    settings = config.settings({"SWARM_LAB_SALT": "3006.20"})
    assert config.requirement(settings.release("3006")) == "salt==3006.20"
    with pytest.raises(LabError, match="no release of Salt 3008; use --salt 3006, or unset"):
        settings.release("3008")


def test_without_an_exact_release_of_salt_any_of_the_range_will_do():
    settings = config.settings({"SWARM_LAB_SALT": ""})
    assert [config.requirement(settings.release(salt)) for salt in config.SALT] == [
        *config.SALT.values()
    ]


def test_exact_release_of_salt_that_does_not_fit_is_refused_before_anything_is_made(tmp_path):
    env = {"SWARM_LAB_SALT": "3006.20", "SWARM_LAB_CACHE": str(tmp_path / "cache")}
    with pytest.raises(LabError, match="no release of Salt 3008"):
        api.Lab(config.settings(env)).up(salt="3008")
    assert not (tmp_path / "cache").exists()


def test_releases_of_salt_share_no_wheels(tmp_path, monkeypatch):
    """A lab that has run one release does not take its wheels for another, nor those half made."""
    made = set()
    monkeypatch.setattr(wheels, "run", lambda argv, **_more: made.add(str(argv[4])))
    monkeypatch.setattr(wheels, "_pip", lambda _settings: "pip")
    settings = config.settings({"SWARM_LAB_CACHE": str(tmp_path)})
    releases = ("3006", "3006.20", "3006.24", "3008")
    folders = {wheels.salt(settings, one) for one in releases}
    assert len(folders) == len(made) == len(releases)


@pytest.mark.parametrize(
    ("release", "old"),
    [("3006.20", True), ("3006.23", True), ("3006.24", False), ("3006", False), ("3008.0", False)],
)
def test_salt_that_a_newer_setuptools_leaves_without_dependencies_is_built_by_an_older(
    tmp_path, monkeypatch, release, old
):
    """pip takes the wheel that is there in place of the one that it would make itself."""
    built = []

    def run(argv, env=None, **_more):
        given = Path(env["PIP_CONSTRAINT"]).read_text().strip() if env else None
        built.append((str(argv[-1]), given))

    monkeypatch.setattr(wheels, "run", run)
    monkeypatch.setattr(wheels, "_pip", lambda _settings: "pip")
    wheels.salt(config.settings({"SWARM_LAB_CACHE": str(tmp_path)}), release)
    first = [(f"salt=={release}", "setuptools<75")] if old else []
    assert built == [*first, (wheels.BUILDERS[-1], None)]


@pytest.mark.parametrize("name", ["m0", "m10", "salt", "M1", "m1;reboot"])
def test_only_m1_to_m9_are_hosts(name):
    with pytest.raises(LabError, match="no such host"):
        config.number(name)


@pytest.mark.parametrize(("count", "managers"), [(1, 1), (2, 1), (3, 3), (4, 3), (5, 3), (9, 3)])
def test_managers_are_odd_and_at_most_three(count, managers):
    found = pillars.default(config.host_names(count), "classic", "bullseye", IMAGES)
    assert len(found["managers"]) == managers


@pytest.mark.parametrize(
    ("suite", "overlay"), [("bullseye", True), ("bookworm", None), ("trixie", None)]
)
def test_overlay_is_for_the_engine_that_has_it(suite, overlay):
    assert pillars.default(["m1"], "classic", suite, IMAGES).get("overlay") is overlay


def test_overlay_networks_are_not_for_hosts_with_ipv6_only():
    assert "overlay" not in pillars.default(["m1"], "classic", "bullseye", IMAGES, ipv6=True)


def test_builtin_mode_needs_no_images():
    assert pillars.default(["m1"], "builtin", "bookworm", IMAGES) == {
        "mode": "builtin",
        "managers": ["m1"],
        "nodes": {"m*": {}},
    }


def test_a_hosts_own_pillar_is_on_top_of_the_common_one(tmp_path):
    pillars.write(tmp_path, {"overlay": True})
    pillars.write(tmp_path, {"labels": {"zone": "a"}}, "m2")
    assert json.loads((tmp_path / "top.sls").read_text()) == {
        "base": {"*": ["swarm"], "m2": ["host_m2"]}
    }
    pillars.clear(tmp_path, "m2")
    assert json.loads((tmp_path / "top.sls").read_text()) == {"base": {"*": ["swarm"]}}


def _image_tar(path, tags):
    text = json.dumps([{"RepoTags": tags}]).encode()
    with tarfile.open(path, "w") as archive:
        entry = tarfile.TarInfo("manifest.json")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))


def test_the_users_tar_is_found_by_the_name_in_it(tmp_path):
    _image_tar(tmp_path / "a.tar", ["other:1"])
    (tmp_path / "b.tar").write_text("no tar at all")
    _image_tar(tmp_path / "c.tar", None)
    _image_tar(tmp_path / "d.tar", ["x:1", workloads.SWARM])
    assert workloads.find_tar(tmp_path, workloads.SWARM) == tmp_path / "d.tar"
    assert workloads.find_tar(tmp_path, "swarm:2") is None


def test_a_changed_file_changes_the_images_name(tmp_path):
    script = tmp_path / "boot"
    script.write_text("one")
    first = images.fingerprint(tmp_path, "base")
    assert first == images.fingerprint(tmp_path, "base")
    script.chmod(0o755)
    second = images.fingerprint(tmp_path, "base")
    script.write_text("two")
    assert len({first, second, images.fingerprint(tmp_path, "base")}) == 3


def test_a_program_that_hangs_is_stopped():
    with pytest.raises(LabError, match="took longer than 0 s"):
        run(["sleep", "5"], timeout=0.1)


def test_a_program_that_fails_is_quoted():
    with pytest.raises(LabError, match="failed with 3:\n  no luck"):
        run(["sh", "-c", "echo no luck >&2; exit 3"])


def test_a_program_that_is_not_there_is_named():
    with pytest.raises(LabError, match="no-such-program: not found"):
        run(["no-such-program"])
