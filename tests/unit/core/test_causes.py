"""
What an error is due to, in the words of those who met it: as they were seen, each from its source.
"""

import pytest
from salt.exceptions import CommandExecutionError

from swarm_formula.core import causes, errors
from swarm_formula.salt import state_return

SEEN = [
    ("cannot write /etc/docker/daemon.json: [Errno 28] No space left on device", "df -i"),
    ("write /var/lib/docker/tmp/GetImageBlob1: no space left on device", "df -h"),
    ("E: You don't have enough free space in /var/cache/apt/archives/.", "df -h"),
    ("OSError: [Errno 122] Disk quota exceeded", "df -h"),
    ("cannot write /etc/x: [Errno 30] Read-only file system", "findmnt"),
    ("Failed to start docker.service: Unit docker.socket is masked.", "systemctl unmask"),
    ("Failed to restart docker.service: Unit docker.service is masked.", "systemctl unmask"),
    ("x509: certificate has expired or is not yet valid: current time 2026-", "clock"),
    ("TLS fails: certificate verify failed: certificate is not yet valid", "clock"),
    ("[SSL: SSLV3_ALERT_CERTIFICATE_EXPIRED] certificate has expired", "swarm_tls.status"),
    ("AppArmor enabled on system but the docker-default profile could not be loaded: running"
     " `/sbin/apparmor_parser apparmor_parser -Kr` failed", "package apparmor"),
    ("failed to load listeners: listen tcp 10.0.0.1:2376: bind: address already in use", "ss -H"),
    ("Bind for 0.0.0.0:8080 failed: port is already allocated", "ss -H"),
    ("dial tcp: lookup registry-1.docker.io: no such host", "resolv.conf"),
    ("Temporary failure resolving 'deb.debian.org'", "resolv.conf"),
    ("[Errno -3] Temporary failure in name resolution", "resolv.conf"),
    ("fork/exec /usr/bin/containerd: cannot allocate memory", "free -m"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "cure"), SEEN)
def test_cause_is_named_and_the_words_stay(text, cure):
    said = causes.explained(text)
    assert said.startswith(f"{text}\nCause: ")
    assert cure in said


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no manager is primary; replicas that wait for the lock: m1, m2",
        "m2 waits for its turn to restart Consul or a manager: m1 has it",
        "network backend cannot be changed (subnet) while containers use it: web",
    ],
)
def test_error_of_the_formula_itself_has_no_other_cause(text):
    assert causes.explained(text) == text


def test_cause_is_named_once_however_often_an_error_is_passed_on():
    inner = errors.SwarmError("cannot write /etc/x: No space left on device")
    outer = errors.WaitTimeoutError(f"gave up: {inner}")
    assert str(state_return.failed("it", outer)["comment"]).count("Cause: ") == 1


def test_error_of_salts_own_is_explained_in_a_state():
    err = CommandExecutionError("Problem encountered", info={"errors": ["No space left on device"]})
    assert "df -i" in state_return.failed("it", err)["comment"]


@pytest.mark.parametrize("cause", causes._CAUSES, ids=lambda cause: cause.words[:20])
def test_cure_removes_nothing_and_forces_nothing(cause):
    """They are followed at night, to the letter."""
    assert not {"rm", "force", "remove", "prune", "delete"} & set(cause.text.split())
