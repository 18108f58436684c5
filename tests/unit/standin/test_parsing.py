"""What the stand-in reads and writes: URLs, names, container configuration, its image."""

import json
import tarfile

import pytest

from lab.standin import build, config, discovery, golang, log, names
from lab.standin.containers import state_line
from lab.standin.discovery import DiscoveryError, KeyValue
from lab.standin.engine import spec_labels
from lab.standin.store import StoreError
from lab.standin.wire import EngineError

pytestmark = pytest.mark.once


def backend(url, *options):
    return discovery.create(url, 60, discovery.parse_options(list(options)))


@pytest.mark.parametrize(
    ("url", "options", "prefix", "path"),
    [
        ("consul://h:8500", (), "", "docker/swarm/nodes"),
        ("consul://h:8500/a/b/", (), "a/b", "a/b/docker/swarm/nodes"),
        ("etcd://h:1,i:2/a", ("kv.path=x/y",), "a", "a/x/y"),
    ],
)
def test_keys_of_a_store(url, options, prefix, path):
    found = backend(url, *options)
    assert isinstance(found, KeyValue)
    assert (found.prefix, found.path) == (prefix, path)


def test_fixed_lists(tmp_path):
    nodes = tmp_path / "nodes"
    nodes.write_text("m1:1  # first\n\n#m2:1\n10.0.0.[1:2]:1\n")
    assert next(backend("m1:1,m[2:3]:1").watch()) == ["m1:1", "m2:1", "m3:1"]
    assert next(backend(f"file://{nodes}").watch()) == ["m1:1", "10.0.0.1:1", "10.0.0.2:1"]
    with pytest.raises(StoreError, match="not implemented in this discovery service"):
        backend("m1:1").register("m1:1", 180)


@pytest.mark.parametrize(
    ("url", "options", "said"),
    [
        ("consul://a,b", (), "consul does not support multiple endpoints"),
        ("zk://a", (), "ZooKeeper"),
        ("token://a", (), "discovery service not supported"),
        ("m1", (), "missing port in address"),
        ("m1:1", ("x",), "key=value"),
        ("consul://a", ("kv.cacertfile=/a", "kv.certfile=/b", "kv.keyfile=/c"), "TLS files"),
    ],
)
def test_wrong_discovery(url, options, said):
    with pytest.raises(DiscoveryError, match=said):
        backend(url, *options)


def test_the_environment_moves_into_labels():
    built = config.build(
        {
            "Env": ["A=b", "constraint:zone==a", "affinity:container==x", "C=constraint:d"],
            "Labels": {"com.docker.swarm.constraints": '["rack==1"]', "mine": "yes"},
        }
    )
    assert built["Env"] == ["A=b", "C=constraint:d"]
    assert config.expressions(built, "constraints") == ["rack==1", "zone==a"]
    assert config.expressions(built, "affinities") == ["container==x"]
    assert built["Labels"]["mine"] == "yes"
    assert config.build(built) == built


@pytest.mark.parametrize(
    ("constraint", "pinned"), [("node==a", True), ("node==~a", False), ("zone==a", False)]
)
def test_pinned(constraint, pinned):
    assert config.pinned(config.build({"Env": [f"constraint:{constraint}"]})) is pinned


def test_old_clients_put_resources_at_the_top():
    found = config.consolidate({"Memory": 5, "Cpuset": "0", "HostConfig": {"Privileged": True}})
    assert found == {"HostConfig": {"Memory": 5, "CpusetCpus": "0", "Privileged": True}}


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        *(("sha256:abcdef", True), ("abcdef", True), ("abc", True), ("ab", False)),
        *(("host:5000/app:1", True), ("host:5000/app", True), ("host:5000/app:2", False)),
        *(("app", False), ("other@sha256:9", True)),
    ],
)
def test_image_names(wanted, matches):
    image = {
        "Id": "sha256:abcdef",
        "RepoTags": ["host:5000/app:1"],
        "RepoDigests": ["other@sha256:9"],
    }
    assert names.image_matches(image, wanted) is matches


def test_labels_of_an_engine():
    info = {"Driver": "overlay2", "OSType": "linux", "Labels": ["zone=a=b", "node=x", "ostype=y"]}
    assert spec_labels(info, "(me)") == {
        "storagedriver": "overlay2",
        "ostype": "linux",
        "zone": "a=b",
    }
    with pytest.raises(EngineError, match=r"Engine \(me\) contains an invalid label \(zone\)"):
        spec_labels({"Labels": ["zone"]}, "(me)")


@pytest.mark.parametrize(
    ("state", "line"),
    [
        ({"Running": True, "StartedAt": "1970-01-01T00:01:00Z"}, "Up About a minute"),
        ({"Running": True, "Paused": True, "StartedAt": "1970-01-01T00:00:30Z"},
         "Up About a minute (Paused)"),
        ({"Running": True, "StartedAt": "1970-01-01T00:01:55Z", "Health": {"Status": "starting"}},
         "Up 5 seconds (health: starting)"),
        ({"StartedAt": "0001-01-01T00:00:00Z"}, "Created"),
        ({"StartedAt": "1970-01-01T00:00:01Z", "FinishedAt": "1970-01-01T00:01:58Z", "ExitCode": 3},
         "Exited (3) 2 seconds ago"),
    ],
)  # fmt: skip
def test_state_lines(state, line):
    assert state_line(state, 120) == line


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (67108864, "64 MiB"), (2204343705, "2.053 GiB")],
)
def test_sizes(size, text):
    assert golang.bytes_size(size) == text


def test_natural_order():
    assert sorted(["m10", "m2", "m1", ""], key=golang.natural_key) == ["", "m1", "m2", "m10"]


def test_log_lines(capsys):
    log.info("a word", zone="b c", addr="1.2.3.4:5")
    line = capsys.readouterr().out
    assert line.endswith(' level=info msg="a word" addr="1.2.3.4:5" zone="b c" \n')


def test_the_image_is_complete_and_the_same_every_time(tmp_path):
    first, second = tmp_path / "1.tar", tmp_path / "2.tar"
    assert build.build(first) == build.build(second) == "swarm-standin:1.2.9"
    assert first.read_bytes() == second.read_bytes()
    with tarfile.open(first) as image:
        manifest = json.load(image.extractfile("manifest.json"))[0]
        made = json.load(image.extractfile(manifest["Config"]))["config"]
        with tarfile.open(fileobj=image.extractfile(manifest["Layers"][0])) as layer:
            files = {member.name for member in layer.getmembers()}
    assert manifest["RepoTags"] == ["swarm-standin:1.2.9"]
    assert made["Entrypoint"] == ["/swarm"]
    assert "SWARM_HOST=:2375" in made["Env"]
    assert made["Volumes"] == {"/.swarm": {}}
    assert {"swarm", "usr/lib/swarm-standin/swarm_standin/commands.pyc"} <= files
    assert not [name for name in files if name.endswith("build.pyc")]
