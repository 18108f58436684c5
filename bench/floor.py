"""The floor: the same swarm by bare commands on all hosts at once, without any tool's own work."""

import json
import shlex
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from bench import ground
from bench.tools import STORE, containers, daemon
from lab.api import Lab
from lab.run import LabError

LIMIT = 120
_CONFIGURE = """\
set -eu
mkdir -p /etc/docker /etc/systemd/system/docker.service.d
printf %s {daemon} >/etc/docker/daemon.json
systemctl kill --signal=HUP --kill-who=main docker.service
"""
# Live-restore, which has just been reloaded, lets Consul start while the engine restarts.
_CLASSIC = """\
docker run --detach --name swarm-consul --network host --volume swarm-consul:/consul/data {consul}
cat >/etc/systemd/system/docker.service.d/swarm.conf <<EOF
[Service]
ExecStart=
ExecStart=/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock \
-H tcp://{address}:2275
EOF
systemctl daemon-reload
systemctl restart docker.service
until curl --silent http://127.0.0.1:8500/v1/status/leader | grep -q :; do sleep 0.1; done
{manager}
docker run --detach --name swarm-agent --network host {swarm} join \
--advertise={address}:2275 {store}
"""
_MANAGER = """\
docker run --detach --name swarm-manager --network host {swarm} manage --replication \
--host=tcp://{address}:3375 --advertise={address}:3375 {store}
"""
_LABELS = "docker node update {labels} {node}"


class Floor:
    """The bare commands of one mode."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._pillar = ground.read_pillar(lab)
        self._addresses = {host: lab.address(host) for host in lab.hosts()}
        self._run = self._builtin if self._pillar["mode"] == "builtin" else self._classic

    def seconds(self) -> float:
        """Returns the time that the commands take, until the swarm calls all nodes healthy."""
        started = time.monotonic()
        self._run()
        while (found := ground.healthy(self._lab)) != len(self._addresses):
            if time.monotonic() - started > LIMIT:
                raise LabError(f"the bare commands: {found} of {len(self._addresses)} are healthy")
            time.sleep(0.1)
        return time.monotonic() - started

    def _shell(self, host: str, script: str) -> str:
        return self._lab.exec(host, "sh", "-c", script, timeout=LIMIT).stdout.strip()

    def _at_once(self, run: Callable[[str], object], hosts: Iterable[str]) -> None:
        with ThreadPoolExecutor() as pool:
            list(pool.map(run, hosts))

    def _configure(self, host: str) -> str:
        text = json.dumps(daemon(self._addresses[host], self._pillar))
        return _CONFIGURE.format(daemon=shlex.quote(text))

    def _classic(self) -> None:
        self._at_once(lambda host: self._shell(host, self._classic_script(host)), self._addresses)

    def _classic_script(self, host: str) -> str:
        found = containers(host, self._addresses, self._pillar)
        consul = shlex.join([found["consul_image"], *found["consul_command"]])
        names = {"address": self._addresses[host], "swarm": found["swarm_image"], "store": STORE}
        manages = host in self._pillar["managers"]
        manager = _MANAGER.format(**names) if manages else ""
        return self._configure(host) + _CLASSIC.format(consul=consul, manager=manager, **names)

    def _builtin(self) -> None:
        first, *_ = self._pillar["managers"]
        others = [host for host in self._addresses if host != first]
        with ThreadPoolExecutor() as pool:
            configured = [
                pool.submit(self._shell, host, self._configure(host)) for host in self._addresses
            ]
            self._init(first)
            for one in configured:
                one.result()
        tokens = {
            role: self._shell(first, f"docker swarm join-token -q {role}")
            for role in ("manager", "worker")
        }

        def join(host: str) -> None:
            role = "manager" if host in self._pillar["managers"] else "worker"
            self._shell(
                host,
                f"docker swarm join --advertise-addr {self._addresses[host]} --token {tokens[role]}"
                f" {self._addresses[first]}:2377",
            )

        self._at_once(join, others)
        labels = " ".join(f"--label-add {key}={value}" for key, value in ground.LABELS.items())
        nodes = self._shell(first, "docker node ls -q").split()
        self._shell(first, "\n".join(_LABELS.format(labels=labels, node=node) for node in nodes))

    def _init(self, first: str) -> None:
        self._shell(first, f"docker swarm init --advertise-addr {self._addresses[first]}")
