"""
A private registry with TLS and a login, on the master's host; and where its password is not.
"""

import base64
import json

import pytest

from swarm_formula.tls import pki
from tests.integration import private_registry
from tests.integration.cluster import WORKLOAD, changed, failures
from tests.integration.private_registry import (
    CA_FILE,
    LOGIN,
    PASSWORD,
    REGISTRY,
    TOKEN,
    USER,
    keep,
)

pytestmark = pytest.mark.once

COPY = f"{REGISTRY}/{WORKLOAD}"
WRONG = f"wrong {TOKEN}"


@pytest.fixture(scope="module")
def authority():
    return pki.new_authority("the registry's CA", 1)


@pytest.fixture(scope="module")
def registry(lab, authority):
    """A registry; every host has its CA and the password in a file."""
    with private_registry.served(lab, authority) as registry:
        yield registry


def _know(swarm, host, **entry):
    """Have this in pillar and no more; return what an apply changed."""
    swarm.pillar(registries={REGISTRY: entry} if entry else {})
    returns = swarm.state("swarm.registries", target=host)
    assert failures(returns) == {}
    return changed(returns).get(f"{host}: registry logins are present", {})


def _pull(swarm, host):
    return swarm.lab.salt(host, "swarm_image.pull", COPY)[host]


def test_pull_works_with_the_login_and_the_ca_and_says_what_is_missing_without(swarm, registry):
    host = swarm.lab.hosts()[0]
    assert "certificate signed by unknown authority" in _pull(swarm, host)
    assert list(_know(swarm, host, ca_cert=CA_FILE)) == [f"CA of registry {REGISTRY}"]
    assert "no basic auth credentials" in _pull(swarm, host)
    login = _know(swarm, host, ca_cert=CA_FILE, **LOGIN)
    assert login == {f"registry {REGISTRY}": {"old": "no login", "new": f"login of {USER}"}}
    assert _know(swarm, host, ca_cert=CA_FILE, **LOGIN) == {}

    # Docker's own client takes it, too.
    swarm.docker(host, "tag", WORKLOAD, COPY)
    swarm.docker(host, "push", COPY)
    swarm.docker(host, "rmi", COPY)
    assert _pull(swarm, host).startswith("sha256:")
    swarm.docker(host, "rmi", COPY)

    keep(swarm.lab, host, WRONG)
    try:
        login = _know(swarm, host, ca_cert=CA_FILE, **LOGIN)
        assert login[f"registry {REGISTRY}"]["old"] == "another login"
        said = _pull(swarm, host)
        assert "unauthorized" in said
        assert TOKEN not in said
    finally:
        keep(swarm.lab, host, PASSWORD)

    assert len(_know(swarm, host)) == 2
    there = swarm.lab.exec(host, "ls", "/root/.docker", "/etc/docker/certs.d", check=False)
    assert there.stdout == ""
    assert "certificate signed by unknown authority" in _pull(swarm, host)


def test_managers_and_agents_come_from_the_registry_in_the_run_that_logs_in(swarm, registry):
    host = swarm.lab.hosts()[0]
    image = swarm.lab.default_pillar()["manager"]["image"]
    copy = f"{REGISTRY}/{image}"
    _know(swarm, host, ca_cert=CA_FILE, **LOGIN)
    swarm.docker(host, "tag", image, copy)
    swarm.docker(host, "push", copy)
    swarm.docker(host, "rmi", copy)
    assert len(_know(swarm, host)) == 2
    swarm.pillar(registries={REGISTRY: {"ca_cert": CA_FILE, **LOGIN}}, manager={"image": copy})
    swarm.apply()
    # It is the same image under another name: nothing had to restart for it.
    there = swarm.lab.salt("*", "swarm_image.get", copy)
    assert all(copy in there[one]["names"] for one in swarm.lab.hosts())
    assert swarm.apply() == {}


@pytest.fixture
def events(lab, swarm):
    """All that goes over the master's bus, in a file; it has begun to listen."""
    path = "/tmp/test-events"  # noqa: S108  in the lab
    unit = ["--collect", "--unit=test-events", f"--property=StandardOutput=file:{path}"]
    lab.exec("salt", "systemd-run", *unit, "salt-run", "state.event")

    def heard():
        lab.salt(lab.hosts()[0], "test.ping")
        return lab.exec("salt", "test", "-s", path, check=False).returncode == 0

    swarm.wait(heard, 60)
    yield path
    lab.exec("salt", "systemctl", "stop", "test-events")


def _found(lab, host, word, events="/dev/null"):
    """Return the kinds of places in which a host has a word: Salt's caches, events, logs."""
    places = {
        "jobs": "grep -raqF {} /var/cache/salt/master/jobs",
        "caches": "grep -raqF {} /var/cache/salt",
        "logs": "grep -raqF {} /var/log || journalctl --no-pager -o cat | grep -aqF {}",
        "events": f"grep -aqF {{}} {events}",
    }
    return {
        name
        for name, command in places.items()
        if not lab.exec(host, "sh", "-c", command.replace("{}", word), check=False).returncode
    }


def test_password_is_in_no_job_event_log_or_return(swarm, registry, events):
    lab, host, canary = swarm.lab, swarm.lab.hosts()[0], f"canary{TOKEN[::-1]}"
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    def seen(word, host):
        return _found(lab, host, word, events if host == "salt" else "/dev/null")

    # Each of these places is one in which the search finds what is there.
    lab.salt(host, "test.echo", canary)
    for one in ("salt", host):
        lab.exec(one, "logger", canary)
    swarm.wait(lambda: seen(canary, "salt") == {"jobs", "caches", "events", "logs"}, 60)
    assert "logs" in seen(canary, host)

    swarm.pillar(registries={REGISTRY: {"ca_cert": CA_FILE, **LOGIN}})
    returns = [swarm.state("swarm.registries", target=host, test=True)]
    returns.append(swarm.state("swarm.registries", target=host))
    returns.append(_pull(swarm, host))
    assert failures(returns[1]) == {}
    loud = ["salt-call", "--log-level=all", "state.apply"]
    for command in ([*loud, "swarm.registries"], [*loud[:2], "swarm_image.pull", COPY]):
        done = lab.exec(host, *command, check=False, timeout=300)
        returns.append(done.stdout + done.stderr)
    _know(swarm, host)
    returns.append(lab.exec(host, *loud, "swarm.registries", check=False, timeout=300).stderr)
    for word in (TOKEN, auth, auth[-40:-4]):
        assert word not in json.dumps(returns, ensure_ascii=False)
        assert seen(word, "salt") == set()
        assert seen(word, host) == set()
