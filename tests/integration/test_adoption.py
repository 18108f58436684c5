"""
A classic swarm that somebody has made with ``docker run``: refused by name, or taken over where the
pillar names its containers and its store; ``swarm.clean`` removes what was taken over.
"""

import json

import pytest

from tests.integration.cluster import changed, failures

pytestmark = [pytest.mark.once, pytest.mark.long]

HOSTS = ("m1", "m2", "m3")
STORE, MANAGER, AGENT = "kv", "boss", "member"
DROP_IN = "/etc/systemd/system/docker.service.d/10-tcp.conf"
_UNIT = (
    "[Service]\\nExecStart=\\nExecStart=/usr/sbin/dockerd -H fd:// -H tcp://0.0.0.0:2375"
    " --containerd=/run/containerd/containerd.sock"
)


@pytest.fixture(scope="module")
def handmade(cluster):
    """Hosts that never saw the formula, and that are a swarm, without TLS, as in old tutorials."""
    lab = cluster.lab
    images = json.loads((lab.settings.run / "images.json").read_text())
    for host in HOSTS:
        lab.reset(host)
    cluster.await_minions()
    assert all(lab.salt("*", "pkg.install", "docker.io", timeout=300).values())
    for key, image in images.items():
        lab.salt("*", "cp.get_file", image["source"], f"/tmp/{key}.tar")  # noqa: S108
    for host in HOSTS:
        place = DROP_IN.rpartition("/")[0]
        write = f"mkdir -p {place} && printf '{_UNIT}\\n' >{DROP_IN} && systemctl daemon-reload"
        lab.exec(host, "sh", "-c", f"{write} && systemctl restart docker")
        for key in images:
            cluster.docker(host, "load", "-i", f"/tmp/{key}.tar")  # noqa: S108
    _start(cluster, {key: image["image"] for key, image in images.items()})
    yield cluster
    for host in HOSTS:
        lab.reset(host)
    cluster.pillar()
    cluster.await_minions()
    cluster.apply()


def _start(cluster, images):
    """Run the containers of the swarm, and one that is no part of it."""
    address = cluster.lab.address
    discovery = f"consul://{address('m1')}:8500"
    run = ("run", "-d", "--restart=always", "--net=host")
    consul = ["agent", "-server", "-bootstrap-expect=1", f"-bind={address('m1')}"]
    consul += ["-client=0.0.0.0", "-data-dir=/consul/data"]
    cluster.docker("m1", *run, f"--name={STORE}", images["consul"], *consul)
    leader = ("exec", STORE, "wget", "-qO-", "http://127.0.0.1:8500/v1/status/leader")
    cluster.wait(lambda: "8300" in cluster.docker("m1", *leader, check=False), 60)
    for host in HOSTS:
        advertised = f"--advertise={address(host)}:2375"
        swarm = (images["swarm"], "join", advertised, discovery)
        cluster.docker(host, *run, f"--name={AGENT}", *swarm)
        cluster.docker(host, *run, "--name=bystander", images["busybox"], "sleep", "86400")
    manage = ("manage", "-H", "0.0.0.0:3375", discovery)
    cluster.docker("m1", *run, f"--name={MANAGER}", images["swarm"], *manage)


def taken_over(cluster):
    """Return the keys of a pillar that names the swarm's containers and store."""
    base, store = cluster.lab.default_pillar(), f"consul://{cluster.lab.address('m1')}:8500"
    return {
        **{"managers": ["m1"], "store": store, "overlay": False},
        "manager": {**base.get("manager", {}), "container": MANAGER},
        "agent": {**base.get("agent", {}), "container": AGENT},
    }


def picture(cluster):
    """Return what runs on the hosts, and the files below the folders that the formula writes."""
    return {host: (cluster.pids(host), cluster.files(host)) for host in HOSTS}


@pytest.mark.parametrize("test", [True, False], ids=["dry run", "run"])
def test_it_is_refused_by_the_names_of_its_containers(handmade, test):
    handmade.pillar(managers=["m1"])
    before = picture(handmade)
    told = failures(handmade.state(test=test))
    for host, names in (("m1", (AGENT, MANAGER)), ("m2", (AGENT,)), ("m3", (AGENT,))):
        text = " ".join(words for key, words in told.items() if key.startswith(host))
        assert all(f"container {name} (swarm " in text for name in names), text
        assert "To take it over, name its containers in pillar" in text
    assert picture(handmade) == before


def test_it_is_taken_over_and_the_dry_run_says_so(handmade):
    handmade.pillar(**taken_over(handmade))
    before = picture(handmade)
    promised = handmade.state(test=True)
    assert failures(promised) == {}
    assert picture(handmade) == before
    done = handmade.state()
    assert failures(done) == {}
    assert changed(done).keys() == changed(promised).keys()
    handmade.wait(handmade.all_healthy, 120)
    assert handmade.apply() == {}
    for host in HOSTS:
        names = handmade.docker(host, "ps", "--format", "{{.Names}}").split()
        kept = {"bystander", AGENT} | ({STORE, MANAGER} if host == "m1" else set())
        assert set(names) == kept
        for name in {"bystander", STORE} & kept:
            assert handmade.pids(host)[name] == before[host][0][name], "live-restore was off"


def test_clean_takes_it_away_and_nothing_else(handmade):
    promised = handmade.state("swarm.clean", test=True)
    done = handmade.state("swarm.clean")
    for returns in (promised, done):
        assert failures(returns) == {}
    assert changed(done).keys() == changed(promised).keys()
    for host in HOSTS:
        names = handmade.docker(host, "ps", "--format", "{{.Names}}").split()
        assert set(names) == {"bystander", *([STORE] if host == "m1" else [])}
        assert handmade.lab.salt(host, "pkg.version", "docker.io")[host]
        assert "2375" in handmade.lab.exec(host, "cat", DROP_IN).stdout
        left = "find /etc/swarm-formula /var/lib/swarm-formula /etc/docker/daemon.json -type f"
        assert handmade.lab.exec(host, "sh", "-c", left, check=False).stdout == ""
    assert changed(handmade.state("swarm.clean")) == {}
