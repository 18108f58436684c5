"""
Questions and orders to the lab's swarm, in the words of the tests.
"""

import contextlib
import dataclasses
import ipaddress
import json
import os
import re
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab import config
from lab.api import Lab
from swarm_formula.core import errors, pem_text
from swarm_formula.standalone import manager_info
from swarm_formula.tls import pki

ENGINE, MANAGER, PLAIN = 2376, 3376, 3375
CERTIFICATES = "/etc/swarm-formula/tls/current"
# Of the same host, for Consul and nothing else.
CONSUL = f"{CERTIFICATES}/consul"
WORKLOAD = "busybox:lab"
# The first process of a container ignores SIGTERM unless it has a handler: Docker would wait 10 s.
IDLE = ["sh", "-c", "trap exit TERM; sleep 86401 & wait"]
_LOAD = Path(__file__).with_name("load.py").read_text()


def changed(returns: dict) -> dict[str, dict]:
    """Return ``{"host: state": changes}`` of all states that changed something."""
    return {
        f"{host}: {one['__id__']}": one["changes"]
        for host, states in returns.items()
        for one in states.values()
        if one["changes"]
    }


def failures(returns: dict) -> dict[str, str]:
    """Return ``{"host: state": comment}`` of all states that failed; a broken run counts."""
    found = {}
    for host, states in returns.items():
        if not isinstance(states, dict):
            found[host] = str(states)
            continue
        for one in states.values():
            if one["result"] is False:
                found[f"{host}: {one['__id__']}"] = one["comment"]
    return found


def lab_beside(what: str, third: int) -> Lab:
    """Return a lab beside the usual one, with a network of its own by its third number."""
    usual = config.settings(os.environ)
    first = str(usual.subnet.network_address).split(".")
    subnet = ipaddress.IPv4Network(f"{first[0]}.{first[1]}.{third}.0/24")
    run = usual.run.with_name(f"{usual.run.name}-{what}")
    name = f"{usual.name[:10]}-{what[0]}"
    return Lab(dataclasses.replace(usual, name=name, run=run, subnet=subnet))


def _is_client(text: str) -> bool:
    usages = pki.usages(pem_text.bundle(text)[0])
    return not usages or pki.CLIENT in usages


class Cluster:
    """The lab's hosts, seen as a swarm."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.manager_port: int | None = None  # that of pillar, if it is not the default

    # --- pillar and states

    def pillar(self, host: str | None = None, **keys: object) -> None:
        """Write the lab's pillar, with ``keys`` on top; for one ``host`` only those."""
        base = self.lab.default_pillar() if host is None else {}
        self.lab.pillar({**base, **keys}, host)

    def state(self, sls: str = "swarm", target: str = "*", **kwargs: object) -> dict:
        """Apply an SLS; return ``{host: {state: return}}``."""
        words = [f"{key}={value}" for key, value in kwargs.items()]
        return self.lab.salt(target, "state.apply", sls, *words, timeout=600)

    def await_idle(self) -> None:
        """Wait until no minion applies anything: 3008's command gives up on those in a queue."""
        self.wait(
            lambda: not any(self.lab.salt("*", "saltutil.is_running", "state.*").values()), 180
        )

    def apply(self, target: str = "*", **kwargs: object) -> dict:
        """Apply everything and insist that nothing fails; return what changed."""
        returns = self.state(target=target, **kwargs)
        asked = set(self.lab.hosts() if target == "*" else target.split(","))
        assert set(returns) == asked, self._words_of(asked - set(returns))
        told = [f"{key}: {text}" for key, text in failures(returns).items()]
        assert not told, "\n".join(one for one in told if "requisite failed" not in one)
        return changed(returns)

    def _words_of(self, silent: set[str]) -> str:
        """Return the last words of the master, and of the minions that have not answered."""
        text = [f"no answer of {', '.join(sorted(silent))}"]
        for host, unit in [("salt", "salt-master"), *((one, "salt-minion") for one in silent)]:
            look = ["journalctl", "--quiet", f"--unit={unit}", "--lines=8"]
            text.append(self.lab.exec(host, *look, check=False).stdout)
        return "\n".join(text)

    def switch_on(self) -> None:
        """Switch on and plug in whatever is not."""
        for host, found in self.lab.status()["hosts"].items():
            if found["state"] == "cut off":
                self.lab.heal(host)
            elif found["state"] != "running":
                self.lab.start(host)

    def heal(self) -> None:
        """Switch on and plug in whatever is not, and apply until all is healthy."""
        self.switch_on()
        self.heal_engines()
        self.apply()
        self.lab.salt("*", "swarm_image.load", WORKLOAD, "salt://images/busybox.tar")

    def await_minion(self, host: str) -> None:
        """Wait until a host's minion hears its master: to ping one that does not takes minutes."""
        self.wait(lambda: ":4505" in self.lab.exec(host, "ss", "-Htn", check=False).stdout, 300)

    def await_minions(self, function: str = "test.ping") -> None:
        """Wait until all minions answer, as after a restart of the master."""
        for host in self.lab.hosts():
            self.await_minion(host)
        self.wait(lambda: len(self.lab.salt("*", function)) == len(self.lab.hosts()), 120)

    def heal_engines(self) -> None:
        """Have all minions restart their engines if those lost threads: networks come and go."""
        self.await_minions("swarm_engine.heal")

    def restore(self) -> None:
        """Put the lab's own pillar back, for all hosts."""
        for host in self.lab.hosts():
            self.lab.pillar({}, host)
        self.pillar()

    def rotate(self, what: str) -> dict:
        """Rotate by the runner, which a master without ``swarm.master`` gets here."""
        self.lab.salt_run("saltutil.sync_all")
        return self.lab.salt_run("swarm.rotate", what)

    @contextlib.contextmanager
    def visitor(self, host: str = "m4"):
        """Add a host, and take it away again with all that it leaves."""
        self.lab.add(host)
        try:
            yield host
        finally:
            self.lab.call(host, "state.apply", "swarm.clean", timeout=300)
            self.lab.remove(host)
            self.lab.salt("m1", "swarm_ca.forget", host)

    @contextlib.contextmanager
    def slowed(self, host: str, cpus: float = 0.2):
        """Give a host a share of a processor only, for as long as this lasts."""
        name = self.lab.settings.container(host)
        self.lab.engine.docker("update", f"--cpus={cpus}", name)
        try:
            yield
        finally:
            # 0 is without a limit, but leaves the limit that the kernel has.
            self.lab.engine.docker("update", f"--cpus={os.cpu_count()}", name)

    @contextlib.contextmanager
    def hung(self, host: str):
        """Stop all processes of a host, for as long as this lasts: its connections stay open."""
        name = self.lab.settings.container(host)
        # With version 1 of the control groups, the containers of its engine are in none of its own.
        its = "docker ps -q | xargs -r docker"
        self.lab.exec(host, "sh", "-c", f"{its} pause")
        self.lab.engine.docker("pause", name)
        try:
            yield
        finally:
            self.lab.engine.docker("unpause", name)
            self.lab.exec(host, "sh", "-c", f"{its} unpause")

    # --- looking

    @contextlib.contextmanager
    def certificate(self, folder: str = CERTIFICATES):
        """Give a manager's certificate for ``standalone.manager_info.fetch``, or ``None``."""
        with tempfile.TemporaryDirectory() as place:
            for host in self.lab.hosts():
                read = ["cat", *(f"{folder}/{one}.pem" for one in ("cert", "key", "ca"))]
                done = self.lab.exec(host, *read, check=False)
                # A worker's is that of a server only.
                if done.returncode == 0 and _is_client(done.stdout):
                    # One file for all three: whose certificate it is stands first.
                    path = Path(place, "all.pem")
                    path.write_text(done.stdout)
                    yield dict.fromkeys(("ca", "cert", "key"), str(path))
                    return
            yield None

    def managers(self) -> dict[str, manager_info.Manager]:
        """Ask every host for a manager; return what those say that answer."""
        found = {}
        with self.certificate() as tls:
            for host in self.lab.hosts():
                port = self.manager_port or (MANAGER if tls else PLAIN)
                address = f"{self.lab.address(host)}:{port}"
                with contextlib.suppress(errors.ApiError):
                    found[host] = manager_info.fetch(address, tls, timeout=5)
        return found

    def roles(self) -> dict[str, str]:
        """Return ``{host: "primary" or "replica"}`` of the managers that answer."""
        return {host: said.role for host, said in self.managers().items()}

    def primary(self) -> str | None:
        """Return the host of the one primary, ``None`` if there is none or more than one."""
        found = [host for host, role in self.roles().items() if role == "primary"]
        return found[0] if len(found) == 1 else None

    def statuses(self) -> dict[str, str]:
        """Return ``{host: status}`` as the primary has it."""
        said = next((one for one in self.managers().values() if one.role == "primary"), None)
        by_address = {self.lab.address(host): host for host in self.lab.hosts()}
        nodes = said.nodes if said else {}
        shown = {address: address.split(":")[0] for address in nodes}
        return {by_address.get(shown[key], key): node.status for key, node in nodes.items()}

    def all_healthy(self) -> bool:
        """Say whether the primary calls every host healthy."""
        return self.statuses() == dict.fromkeys(self.lab.hosts(), "Healthy")

    def docker(self, host: str, *argv: str, check: bool = True) -> str:
        """Run ``docker`` on a host, against its own engine; return what it prints."""
        return self.lab.exec(host, "docker", *argv, check=check).stdout.strip()

    def swarm(self, *argv: str, check: bool = True, host: str | None = None):
        """Run ``docker`` against the swarm, through the manager of ``host`` or the primary."""
        host = host or self.primary()
        url = f"tcp://{self.lab.address(host)}:{MANAGER}"
        secure = ["env", "DOCKER_TLS_VERIFY=1", f"DOCKER_CERT_PATH={CERTIFICATES}"]
        return self.lab.exec(host, *secure, "docker", "-H", url, *argv, check=check, timeout=120)

    def pids(self, host: str) -> dict[str, str]:
        """Return ``{container or dockerd: PID}`` of a host."""
        names = self.docker(host, "ps", "--format", "{{.Names}}").split()
        shown = self.docker(host, "inspect", "-f", "{{.Name}} {{.State.Pid}}", *names).splitlines()
        daemon = self.lab.exec(host, "cat", "/run/docker.pid").stdout.strip()
        return {"dockerd": daemon, **dict(line.strip("/").split() for line in shown)}

    def files(self, host: str) -> str:
        """
        Return a digest of every file below the folders the formula may write to.

        Without a manager's copy of the CA, which an apply refreshes and does not call a change.
        """
        command = (
            "find /etc /var/lib/swarm-formula /usr/lib/systemd -type f ! -path '*/ssl/*'"
            " ! -name ca.sealed"
            " -exec md5sum {} + 2>/dev/null | sort"
        )
        return self.lab.exec(host, "sh", "-c", command, check=False).stdout

    def traces(self, host: str) -> list[str]:
        """Return the bridges and the rules of an engine in the host's kernel."""
        command = "ls /sys/class/net; iptables-save; ip6tables-save"
        shown = self.lab.exec(host, "sh", "-c", command).stdout.splitlines()
        # The lab's own engine resolves names for its containers with rules in DOCKER_OUTPUT.
        return [one for one in shown if re.search(r"docker|DOCKER(?!_)", one)]

    @contextlib.contextmanager
    def calls(self, host: str = "m1"):
        """Have a client call the swarm ten times a second all the while; gives how that went."""
        managers = ",".join(f"{self.lab.address(one)}:{MANAGER}" for one in self.lab.hosts())
        end, script, outcome = "/run/load.end", "/run/load.py", {}
        self.lab.exec(host, "rm", "-f", end)
        self.lab.exec(host, "tee", script, input=_LOAD)
        command = ["python3", script, managers, "2"]
        with ThreadPoolExecutor() as pool:
            done = pool.submit(self.lab.exec, host, *command, timeout=900, check=False)
            try:
                yield outcome
            finally:
                self.lab.exec(host, "touch", end)
                outcome.update(json.loads(done.result().stdout))

    # --- waiting

    @staticmethod
    def wait(probe, limit: float, pause: float = 1.0) -> float:
        """Wait until ``probe`` is true; return the seconds it took, fail after ``limit``."""
        start = time.monotonic()
        while not probe():
            assert time.monotonic() - start < limit, f"not so after {limit} s: {probe}"
            time.sleep(pause)
        return time.monotonic() - start
