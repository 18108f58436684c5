"""
The example of docs/workloads.md: HAProxy on a labelled host in front of a service that is scaled,
and whose secret is rotated.
"""

import secrets
import time

import pytest

from tests import hunt
from tests.builtin.watch import called
from tests.integration.cluster import WORKLOAD, changed

pytestmark = [pytest.mark.once, pytest.mark.long]

FRONT, LOST = "m2", "m3"
IMAGE = "haproxy:lab"
CONFIG = """\
defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s
    retries 3
    retry-on all-retryable-errors
    option redispatch

resolvers docker
    nameserver dns 127.0.0.11:53
    hold valid 1s

frontend front
    bind :80
    default_backend web

backend web
    balance roundrobin
    server-template web- 10 tasks.web:8080 check inter 500ms resolvers docker init-addr none
"""
# Debian's HAProxy with its libraries, as an image: there is no registry.
BUILD = """\
apt-get install -y -qq haproxy >/dev/null && systemctl disable --now --quiet haproxy
cd / && { echo /usr/sbin/haproxy; ldd /usr/sbin/haproxy | grep -o '/[^ ]*'; } | sort -u \
| tar --create --dereference --files-from=- \
| docker import --change 'ENTRYPOINT ["/usr/sbin/haproxy", "-f", "/haproxy.cfg"]' - %s
"""
PAGE = "hostname >/www/index.html && exec httpd -f -p 8080 -h /www"
# A page by the secret, which does not show it.
SHOWN = (
    "sha256sum /run/secrets/password | cut -c1-64 >/www/index.html && exec httpd -f -p 8080 -h /www"
)
PASSWORD, ROTATIONS, KEEP = "/srv/password", 100, 3


def services(replicas):
    """Return the services of the example."""
    common = {"resolve": "never", "networks": ["backend"], "stop_grace_period": "1s"}
    return {
        "front": {
            **common,
            "image": IMAGE,
            "ports": [{"published": 80, "target": 80, "mode": "host"}],
            "constraints": ["node.labels.role==front"],
            "configs": [{"name": "haproxy", "target": "/haproxy.cfg"}],
        },
        "web": {
            **common,
            "image": WORKLOAD,
            "command": ["sh", "-c"],
            "args": [PAGE],
            "replicas": replicas,
            # Without IPVS in the kernel, a virtual address gets no traffic.
            "endpoint_mode": "dnsrr",
        },
    }


@pytest.fixture
def front(mode):
    """A cluster with the image on the labelled host; nothing of the example stays."""
    mode.lab.salt("*", "swarm_image.load", WORKLOAD, "salt://images/busybox.tar")
    mode.lab.exec(FRONT, "sh", "-ec", BUILD % IMAGE, timeout=300)
    (mode.lab.settings.states / "haproxy.cfg").write_text(CONFIG)
    # The master lists its files again after 20 s.
    mode.wait(lambda: mode.lab.salt(FRONT, "cp.get_file_str", "salt://haproxy.cfg")[FRONT], 60)
    yield mode
    mode.switch_on()
    leader = mode.leader()
    for kind, names in (("service", ("front", "web")), ("config", ("haproxy",))):
        for name in names:
            mode.docker(leader, kind, "rm", name, check=False)
    mode.lab.exec(
        leader, "sh", "-c", "docker secret ls -q | xargs -r docker secret rm", check=False
    )
    (mode.lab.settings.states / "haproxy.cfg").unlink()


def apply(mode, replicas, **more):
    """Apply the example, with more keys of the service and of pillar."""
    web, pillar = more.pop("web", {}), more
    nodes = {"m*": {}, FRONT: {"labels": {"role": "front"}}}
    mode.pillar(
        nodes=nodes,
        networks={"backend": {"driver": "overlay"}},
        configs={"haproxy": {"source": "salt://haproxy.cfg"}},
        services={**(every := services(replicas)), "web": {**every["web"], **web}},
        **pillar,
    )
    return mode.apply()


def ask(mode, times=1):
    """Return the back ends that answer from outside, "" for a failed call."""
    url = f"http://{mode.lab.address(FRONT)}/"
    call = f"for i in $(seq {times}); do curl -sf -m 2 {url} || echo; done"
    return [one.strip() for one in mode.lab.exec("salt", "sh", "-c", call).stdout.splitlines()]


def test_a_secret_is_rotated_a_hundred_times_and_no_call_fails(front):
    mark = secrets.token_hex(8)
    rotated = {
        "web": {
            "args": [SHOWN],
            "secrets": ["password"],
            "stop_grace_period": "3s",
            "update_config": {"order": "start-first", "monitor": "1s", "delay": "0s"},
        },
        "secrets": {"password": {"source": PASSWORD, "keep": KEEP}},
    }

    def rotate(number):
        for host in front.lab.hosts():
            front.lab.exec(host, "tee", PASSWORD, input=f"{mark}-{number}")
        return apply(front, 2, **rotated)

    rotate(0)
    front.wait(lambda: ask(front) not in ([], [""]), 60)
    with called(front, LOST, f"http://{front.lab.address(FRONT)}/") as answers:
        for number in range(1, ROTATIONS + 1):
            assert rotate(number), number
    assert answers.count("failed") == 0, f"{answers.count('failed')} of {len(answers)}"
    # Each content has answered, but for the ones whose tasks were replaced at once.
    assert len({*answers}) > ROTATIONS / 2
    kept = front.api(front.leader(), "/secrets")
    assert len(kept) == KEEP
    assert hunt.found(front.lab, mark) == {}
    assert changed(front.state(test=True)) == {}
    for host in front.lab.hosts():
        front.lab.exec(host, "rm", PASSWORD)


def test_a_request_from_outside_reaches_every_back_end_and_a_lost_host_is_borne(front):
    for replicas in (2, 6, 2):
        assert apply(front, replicas)
        front.wait(lambda wanted=replicas: len({*ask(front, 20)}) == wanted, 60)
        assert "" not in ask(front, 20)
    apply(front, 6)
    front.wait(lambda: len({*ask(front, 20)}) == 6, 60)
    front.lab.stop(LOST)
    answers, end = [], time.monotonic() + 40
    while time.monotonic() < end:
        answers += ask(front, 10)
    failed = answers.count("")
    assert failed <= len(answers) / 20, f"{failed} of {len(answers)} calls failed"
    front.wait(lambda: len({*ask(front, 20)}) == 6, 120)
    front.lab.start(LOST)
    front.await_minion(LOST)
    front.wait(lambda: front.roles().get(LOST) == "manager", 120)
    assert changed(front.state(test=True)) == {}
