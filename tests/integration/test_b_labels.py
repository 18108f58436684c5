"""
A label is edited in pillar: the scheduler sees it, nothing restarts.
"""

import pytest


def test_label_edit_reaches_the_scheduler_and_restarts_nothing(swarm):
    hosts = swarm.lab.hosts()
    for host in hosts:
        swarm.pillar(host, labels={"zone": f"z-{host}", "ssd": False})
    swarm.apply()
    before = {host: swarm.pids(host) for host in hosts}
    for host in hosts:
        swarm.pillar(host, labels={"zone": f"new-{host}"})
    assert len(swarm.apply()) == len(hosts)
    assert {host: swarm.pids(host) for host in hosts} == before
    for host in hosts:
        swarm.swarm("run", "-d", "--name", f"on-{host}", "-e", f"constraint:zone==new-{host}",
                    "busybox:lab", "sleep", "600")  # fmt: skip
        assert f"on-{host}" in swarm.docker(host, "ps", "--format", "{{.Names}}").split()
        swarm.swarm("rm", "-f", f"on-{host}")
    old = swarm.swarm("run", "-d", "-e", f"constraint:zone==z-{hosts[0]}", "busybox:lab", "true",
                      check=False)  # fmt: skip
    assert old.returncode != 0
    assert "Unable to find a node" in old.stderr


@pytest.mark.once
def test_labels_of_an_admin_stay(swarm):
    host = swarm.lab.hosts()[0]
    script = "import json,pathlib; p=pathlib.Path('/etc/docker/daemon.json');" \
             "d=json.loads(p.read_text()); d['labels']=d.get('labels',[])+['rack=7'];" \
             "d['max-concurrent-downloads']=5; p.write_text(json.dumps(d))"  # fmt: skip
    swarm.lab.exec(host, "python3", "-c", script)
    swarm.pillar(host, labels={"zone": "b"})
    swarm.apply()
    labels = swarm.docker(host, "info", "-f", "{{json .Labels}}")
    assert "rack=7" in labels
    assert "zone=b" in labels
    swarm.pillar(host, labels={})
    swarm.apply()
    assert swarm.docker(host, "info", "-f", "{{json .Labels}}") == '["rack=7"]'
    assert (
        '"max-concurrent-downloads": 5'
        in swarm.lab.exec(host, "cat", "/etc/docker/daemon.json").stdout
    )
