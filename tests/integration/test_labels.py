"""
A label is edited in pillar: the scheduler sees it, nothing restarts.
"""

import json

import pytest

from tests.integration.cluster import failures


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
    for host in hosts:
        swarm.pillar(host, labels={})
    assert len(swarm.apply()) == len(hosts)
    assert {host: swarm.pids(host) for host in hosts} == before
    assert {swarm.docker(host, "info", "-f", "{{json .Labels}}") for host in hosts} == {"[]"}
    gone = swarm.swarm("run", "-d", "-e", f"constraint:zone==new-{hosts[0]}", "busybox:lab", "true",
                       check=False)  # fmt: skip
    assert "Unable to find a node" in gone.stderr
    assert swarm.apply() == {}


@pytest.mark.once
def test_label_that_means_something_to_a_shell_is_just_a_label(swarm):
    host = swarm.lab.hosts()[0]
    odd = {
        "quotes": 'it\'s "so" `id`',
        "shell": "$(touch /root/pwned); touch /root/pwned | & > <",
        "far": "Zürich 東京 ☃ = \\ %s {0}",
        "long": "x" * 3000,
    }
    swarm.pillar(host, labels=odd)
    assert set(swarm.apply()) == {f"{host}: engine is configured"}
    assert swarm.apply() == {}
    labels = json.loads(swarm.docker(host, "info", "-f", "{{json .Labels}}"))
    assert set(labels) == {f"{key}={value}" for key, value in odd.items()}
    for one in ("salt", *swarm.lab.hosts()):
        assert swarm.lab.exec(one, "test", "-e", "/root/pwned", check=False).returncode == 1
    faults = {"a=b": "x", "two\nlines": "x", "comma": "a,b", "break": "a\nb"}
    swarm.pillar(host, labels=faults)
    told = failures(swarm.state(target=host))[f"{host}: swarm pillar is valid"]
    assert "swarm:labels" in told
    assert set(json.loads(swarm.docker(host, "info", "-f", "{{json .Labels}}"))) == set(labels)


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
