"""
The example of docs/workloads.md: HAProxy on a labelled host in front of a service that is scaled.
"""

import time

import pytest

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
    (mode.lab.settings.states / "haproxy.cfg").unlink()


def apply(mode, replicas):
    nodes = {"m*": {}, FRONT: {"labels": {"role": "front"}}}
    mode.pillar(
        nodes=nodes,
        networks={"backend": {"driver": "overlay"}},
        configs={"haproxy": {"source": "salt://haproxy.cfg"}},
        services=services(replicas),
    )
    return mode.apply()


def ask(mode, times=1):
    """Return the back ends that answer from outside, "" for a failed call."""
    url = f"http://{mode.lab.address(FRONT)}/"
    call = f"for i in $(seq {times}); do curl -sf -m 2 {url} || echo; done"
    return [one.strip() for one in mode.lab.exec("salt", "sh", "-c", call).stdout.splitlines()]


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
