"""
The CA, those that ask it, and the master between them.
"""

import contextlib
import shlex

from tests.integration.cluster import failures
from tests.integration.troubles.table import CA, HOST, pillar, refused, row, shell, spoiled


@contextlib.contextmanager
def master(swarm, line):
    """Have the master configured otherwise for a while."""
    edit = (
        "import sys, pathlib, yaml; p = pathlib.Path('/etc/salt/master');"
        " p.write_text(yaml.safe_dump({**yaml.safe_load(p.read_text()),"
        " **yaml.safe_load(sys.argv[1])}))"
    )
    spoil = f"cp /etc/salt/master /root/master; /opt/salt/bin/python3 -c {shlex.quote(edit)}"
    restart = "systemctl restart salt-master"
    spoil += f" {shlex.quote(line)}; {restart}"
    with spoiled(swarm, "salt", spoil, f"mv /root/master /etc/salt/master; {restart}"):
        swarm.await_minions()
        yield
    swarm.await_minions()


def _begin_anew(swarm, host):
    """Take a host's certificate away, as a host that is new has none."""
    swarm.lab.salt(host, "swarm_tls.distrust")


def _without_others(swarm):
    """Return the pillar of a swarm of the CA's host alone."""
    consul = {**swarm.lab.default_pillar()["consul"], "servers": [CA]}
    return {"managers": [CA], "nodes": {}, "consul": consul}


@row("m1, the CA (swarm:tls:ca), has not told m4 whom to trust")
def ca_that_was_not_applied_with_the_new_node(swarm):
    with pillar(swarm, **_without_others(swarm)):
        assert failures(swarm.state("swarm.ca", target=CA)) == {}
    _begin_anew(swarm, HOST)
    with pillar(swarm, timeout=10):
        yield refused(swarm, sls="swarm.tls")
    assert failures(swarm.state("swarm.ca", target=CA)) == {}


@row("m1, the CA (swarm:tls:ca), does not sign for m4")
def ca_whose_minion_is_down(swarm):
    _begin_anew(swarm, HOST)
    with (
        pillar(swarm, timeout=10),
        spoiled(swarm, CA, "systemctl stop salt-minion", "systemctl start salt-minion"),
    ):
        yield refused(swarm, sls="swarm.tls")
    swarm.await_minions()


@row("m1, the CA (swarm:tls:ca), does not sign for m4")
def master_without_peer(swarm):
    _begin_anew(swarm, HOST)
    with pillar(swarm, timeout=10), master(swarm, "peer: {}"):
        yield refused(swarm, sls="swarm.tls")


@row("the master does not keep what m4 tells the others", cheap=True)
def master_that_keeps_no_mine(swarm):
    mines = "rm -f /var/cache/salt/master/minions/*/mine.p /var/cache/salt/master/mine/*"
    _begin_anew(swarm, HOST)
    with master(swarm, "minion_data_cache: False"):
        shell(swarm, "salt", mines)
        yield refused(swarm, sls="swarm.tls")


@row("no certificate for m4: the pillar of m1, the CA, does not name it as a node", cheap=True)
def node_that_pillar_does_not_name(swarm):
    """Its own pillar does."""
    _begin_anew(swarm, HOST)
    with pillar(swarm, **_without_others(swarm)), pillar(swarm, HOST, nodes={HOST: {}}):
        yield refused(swarm, sls="swarm.tls")


@row("nothing was changed: the pillar of m4 has swarm:managers and does not name m4", cheap=True)
def node_that_its_own_pillar_does_not_name(swarm):
    _begin_anew(swarm, HOST)
    with pillar(swarm, **_without_others(swarm)):
        yield refused(swarm, sls="swarm.tls")


@row("no certificate for m4: it asks for 10.0.0.14, which is that of m9")
def host_that_was_another_minion(swarm):
    edit = (
        "import json, pathlib; p = pathlib.Path('/etc/swarm-formula/ca.json');"
        f"d = json.loads(p.read_text()); d['issued']['m9'] = '{swarm.lab.address(HOST)}';"
        "p.write_text(json.dumps(d))"
    )
    swarm.lab.exec(CA, "python3", "-c", edit)
    _begin_anew(swarm, HOST)
    said = refused(swarm, sls="swarm.tls")
    yield said
    swarm.lab.salt(CA, "swarm_ca.forget", "m9")


@row("the CA of m1 is another one than m4 trusts")
def ca_that_was_lost(swarm):
    """And found again: that is the cure which costs nothing."""
    file = "/etc/swarm-formula/ca.json"
    shell(swarm, CA, f"mv {file} /root/ca.json")
    for host in swarm.lab.hosts():  # or it would come back from a manager
        shell(swarm, host, "rm -f /etc/swarm-formula/ca.sealed")
    _begin_anew(swarm, CA)
    assert failures(swarm.state("swarm.ca", target=CA)) == {}
    yield refused(swarm, sls="swarm.tls")
    shell(swarm, CA, f"mv /root/ca.json {file}")
    assert failures(swarm.state("swarm.ca", target=CA)) == {}
