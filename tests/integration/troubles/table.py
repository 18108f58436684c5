"""
What goes wrong in classic mode, how it is provoked, and its cure, by docs/troubleshooting.md.
"""

import contextlib
import json

from tests.integration.cluster import CONSUL, failures
from tests.troubles import Table

# The minion that is the CA, and the one that most of it happens to.
CA, HOST = "m1", "m3"
JOIN = "tests/integration/test_join.py"
APT = "tests/unit/package/test_with_apt.py"
TROUBLES = Table(
    {
        "cluster-store is gone since Docker 23.0, and ... is here": (
            "tests/integration/test_suites.py::"
            "test_overlay_is_refused_or_rolled_back_and_nobody_notices"
        ),
        "the engine of m1 has 2 thread(s) in network namespaces that are gone": (
            "tests/integration/test_workloads.py::"
            "test_thread_that_an_overlay_network_took_along_is_told_and_healed"
        ),
        "m1 stays a server of Consul until m2 of swarm:consul:servers is in Raft's list": (
            "tests/unit/consul/test_change.py::"
            "test_server_leaves_only_after_the_one_that_replaces_it_has_come"
        ),
        "m1 is a node of a classic swarm (...), and swarm:mode in its pillar is builtin": (
            "tests/integration/test_rolling.py::"
            "test_what_would_hide_the_containers_or_end_the_swarm_is_refused"
        ),
        # The lab has no image of a registry; tests/builtin/test_registry.py makes one.
        "the registry at ... does not answer": (
            "tests/unit/registry/test_registry.py::"
            "test_registry_that_does_not_answer_is_rolled_back_with_its_last_words"
        ),
        "ca.crt is not the formula's": (
            "tests/unit/registry/test_registry.py::"
            "test_ca_file_of_somebody_else_is_refused_and_stays"
        ),
        "Consul's servers have not taken m2 in": (
            "tests/unit/consul/test_change.py::test_new_server_that_is_not_let_in_is_a_client_again"
        ),
        # With a host that is off for good, and sandboxes that only chance makes.
        "the overlay network 5d3c131e2c8d has no way to 10.20.0.3 on 10.0.0.12": (
            "tests/unit/overlay/test_keeper.py::test_complaint_has_its_cure_and_heal_mends_it"
        ),
        (
            "network backend cannot be removed while containers use it: web (web on m3, whose"
            " engine does not answer: ...)"
        ): "tests/unit/docker/test_stale_endpoints.py::test_refusal_says_who_and_where",
        # The lab's hosts have the machine's clock, kernel and memory, and its DNS.
        **dict.fromkeys(
            (
                "Cause: the clock of one of the two hosts is wrong",
                "Cause: no apply has renewed the certificate in time",
                "Cause: AppArmor is on in the kernel, and its tools are not installed",
                "Cause: that host cannot resolve a name",
                "Cause: that host has no memory left",
            ),
            "tests/unit/core/test_causes.py::test_cause_is_named_and_the_words_stay",
        ),
        "swarm:tls:ca is m3 by now (by default, it is the first manager), and m1 is the CA": (
            "tests/unit/tls/test_tls.py::test_second_ca_is_not_made_where_the_first_is_trusted"
        ),
        "m1, the CA (swarm:tls:ca), has no CA for Consul yet": (
            "tests/unit/tls/test_tls.py::test_node_waits_for_a_ca_of_the_version_before"
        ),
        "no answer of the minion m1 to swarm_classic.lists": (
            "tests/unit/classic/test_classic.py::"
            "test_master_that_lets_nobody_ask_is_told_with_the_cure"
        ),
        "m1: ... sets ExecStart after /etc/systemd/system/docker.service.d/zz-swarm.conf": (
            "tests/unit/engine/test_engine.py::"
            "test_drop_in_that_would_take_the_socket_away_is_refused"
        ),
        "this host has docker-ce already, and docker.io would take its place": (
            "tests/unit/package/test_package.py::test_engine_of_somebody_else_is_not_replaced"
        ),
        "with docker-ce 5:29.1.0, apt would remove containerd from this host": (
            f"{APT}::test_engine_that_would_cost_a_package_of_the_host_is_refused"
        ),
        "apt cannot read the repository (swarm:engine:repository), and nothing was changed": (
            f"{APT}::test_repository_that_apt_cannot_read_leaves_nothing_behind"
        ),
        "swarm:engine:repository:key has the fingerprint ..., and pillar expects": (
            f"{APT}::test_key_with_another_fingerprint_is_refused"
        ),
        "m1 has a source for https://download.docker.com/linux/debian already": (
            f"{APT}::test_source_of_another_tool_is_refused_or_taken_over"
        ),
        "dpkg was interrupted on this host, and until its work is finished apt installs nothing": (
            "tests/unit/package/test_package.py::"
            "test_interrupted_work_of_somebody_else_is_left_and_told"
        ),
        "m1 already has other objects under names that this formula uses": (
            "tests/integration/test_clean.py::test_what_somebody_else_calls_like_ours_is_left_alone"
        ),
        "m1 is a node of a classic swarm that this formula did not set up": (
            "tests/unit/engine/test_mode_guard.py::"
            "test_classic_swarm_by_hand_is_refused_by_name_or_taken_over"
        ),
        "m2 was not removed: ...": f"{JOIN}::test_primary_manager_is_removed",
        # As above: the lab has no image of a registry.
        "m2 was not removed: it runs the swarm's registry": (
            "tests/builtin/test_registry.py::"
            "test_image_that_a_manager_pushes_runs_on_all_nodes_by_its_digest"
        ),
        "removing Consul on m2 would cost the quorum": (
            f"{JOIN}::test_server_that_quorum_needs_is_not_removed"
        ),
    }
)
row = TROUBLES.row


def refused(swarm, host=HOST, sls="swarm"):
    """Apply on one host; return what fails, without what only follows from it."""
    # By the host itself: a busy master may not wait for its answer.
    told = failures({host: swarm.lab.call(host, "state.apply", sls, "queue=True", timeout=600)})
    return "\n".join(text for text in told.values() if "requisite" not in text)


def shell(swarm, host, command, **more):
    """Have a shell of a host do something."""
    return swarm.lab.exec(host, "sh", "-ec", command, **more).stdout


@contextlib.contextmanager
def pillar(swarm, host=None, **keys):
    """Give a pillar for a while."""
    try:
        swarm.pillar(host, **keys)
        yield
    finally:
        swarm.restore()


@contextlib.contextmanager
def spoiled(swarm, host, spoil, mend):
    """Have something wrong on a host for a while."""
    try:
        shell(swarm, host, spoil)
        yield
    finally:
        shell(swarm, host, mend)


def occupied(swarm, host, port):
    """Have another program of a host listen on a port for a while."""
    listen = f"python3 -m http.server --bind {swarm.lab.address(host)} {port}"
    spoil = (
        f"systemd-run --quiet --collect --unit=occupant {listen};"
        f" timeout 60 sh -c 'until ss -Hltn | grep -q :{port}; do sleep 0.1; done'"
    )
    return spoiled(swarm, host, spoil, "systemctl stop occupant")


def stop(swarm, container, *hosts):
    for host in hosts:
        swarm.docker(host, "stop", container)


def consul(swarm, host, path, body=None):
    """Ask a host's Consul, as root does; with a body, write."""
    files = {"--cacert": "ca", "--cert": "cert", "--key": "key"}
    secure = [word for flag, one in files.items() for word in (flag, f"{CONSUL}/{one}.pem")]
    write = [] if body is None else ["-X", "PUT", "-d", body]
    url = f"https://127.0.0.1:8501/v1/{path}"
    return json.loads(swarm.lab.exec(host, "curl", "-sSf", *secure, *write, url).stdout)


def lock(swarm, key, value):
    """Have a key of Consul's locked by nobody else; return the session."""
    options = {"Name": "test", "TTL": "600s", "LockDelay": "0s", "Behavior": "delete"}
    session = consul(swarm, "m2", "session/create", json.dumps(options))["ID"]
    swarm.wait(lambda: consul(swarm, "m2", f"kv/{key}?acquire={session}", value) is True, 60)
    return session
