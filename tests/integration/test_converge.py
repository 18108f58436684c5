"""
From bare hosts to a healthy swarm. First of all files: only it sees the hosts bare.
"""

from tests.integration.cluster import changed, failures


def test_dry_run_on_bare_hosts_fails_nowhere_and_tells_the_truth(cluster):
    """What ``test=True`` promises is what the first real run then does; until then nothing is."""
    hosts = cluster.lab.hosts()
    before = {host: cluster.files(host) for host in hosts}
    promised = cluster.state(test=True)
    assert failures(promised) == {}
    assert {host: cluster.files(host) for host in hosts} == before
    done = cluster.state()
    assert failures(done) == {}
    assert {one for one in changed(done) if "ready" not in one} == set(changed(promised))


def test_swarm_is_healthy(cluster):
    assert cluster.all_healthy()
    assert sorted(cluster.roles().values()) == ["primary", "replica", "replica"]


def test_second_and_third_run_change_nothing(cluster):
    assert cluster.apply() == {}
    assert cluster.apply() == {}


def test_dry_run_on_a_converged_swarm_promises_nothing(cluster):
    returns = cluster.state(test=True)
    assert changed(returns) == {}
    assert {one["result"] for states in returns.values() for one in states.values()} == {True}
