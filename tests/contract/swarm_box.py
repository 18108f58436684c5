"""
What the contract tests run: swarm processes in containers, and Consul, all on loopback.
"""

import http.client
import json
import os
import socket
import subprocess
import time
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, field

from lab.engine import Engine

PREFIX = "swarm-contract"
HOST = "127.0.0.1"


def free_port() -> int:
    """Return a TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def wait(what: str, check: Callable[[], object], limit: float = 20.0) -> object:
    """Return the first true result of ``check``; fail with ``what`` after ``limit`` seconds."""
    end = time.monotonic() + limit
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < end, f"waited {limit:.0f} s in vain: {what}; last: {found!r}"
        time.sleep(0.2)


@dataclass
class Answer:
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    def json(self) -> object:
        """The body decoded."""
        return json.loads(self.body)


def call(port: int, method: str, path: str, body: object = None, timeout: float = 20.0) -> Answer:
    """Send one HTTP request to a port on loopback."""
    connection = http.client.HTTPConnection(HOST, port, timeout=timeout)
    try:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body)
        connection.request(method, path, data, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        headers = {key.lower(): value for key, value in answer.getheaders()}
        return Answer(answer.status, headers, answer.read())
    finally:
        connection.close()


@dataclass
class Consul:
    """A Consul agent in development mode."""

    port: int

    def key(self, key: str) -> dict | None:
        """Return a key with its value decoded, ``None`` if it does not exist."""
        answer = call(self.port, "GET", f"/v1/kv/{key}")
        if answer.status == 404:
            return None
        pair = answer.json()[0]
        return pair | {"Value": b64decode(pair["Value"] or "").decode()}

    def session(self, session: str) -> dict:
        """Return a session."""
        return call(self.port, "GET", f"/v1/session/info/{session}").json()[0]

    def lock(self, key: str, value: str) -> None:
        """Take a key for a session of our own."""
        created = call(self.port, "PUT", "/v1/session/create", {"TTL": "600s"}).json()
        taken = call(
            self.port,
            "PUT",
            f"/v1/kv/{key}?flags=3304740253564472344&acquire={created['ID']}",
            value.encode(),
        )
        assert taken.json() is True


@dataclass
class Swarm:
    """Containers of the image under test, each removed at the end."""

    engine: Engine
    image: str
    consul: Consul
    names: list[str] = field(default_factory=list)
    mounts: list[str] = field(default_factory=list)

    def once(self, *words: str) -> subprocess.CompletedProcess:
        """Run a command to its end; standard error follows standard output."""
        return self.engine.docker("run", "--rm", self.image, *words, check=False, timeout=30)

    def start(self, *words: str) -> str:
        """Start a command in the machine's network and return the container's name."""
        name = f"{PREFIX}-{len(self.names)}-{os.getpid()}"
        self.names.append(name)
        mounts = [f"--volume={mount}" for mount in self.mounts]
        options = ("--name", name, "--network=host", *mounts)
        self.engine.docker("run", "-d", *options, self.image, *words)
        return name

    def url(self, prefix: str) -> str:
        """Return the discovery URL of a swarm of its own."""
        return f"consul://{HOST}:{self.consul.port}/{prefix}"

    def manager(self, prefix: str, *words: str, replication: bool = True) -> "Manager":
        """Start a manager, with quick refreshes unless ``words`` say otherwise."""
        port = free_port()
        address = f"{HOST}:{port}"
        ha = ["--replication", "--advertise", address] if replication else []
        quick = ["--engine-refresh-min-interval=1s", "--engine-refresh-max-interval=2s"]
        name = self.start("manage", "-H", address, *ha, *quick, *words, self.url(prefix))
        manager = Manager(name, port)
        wait(f"{name} answers", manager.answers)
        return manager

    def agent(self, prefix: str, address: str, *words: str) -> str:
        """Start an agent for the engine at ``address``."""
        return self.start("join", "--advertise", address, *words, self.url(prefix))

    def kill(self, name: str) -> None:
        """Kill a container the hard way."""
        self.engine.docker("kill", name)

    def logs(self, name: str) -> str:
        """Return what a container has printed."""
        done = self.engine.docker("logs", name)
        return done.stdout + done.stderr

    def clear(self) -> None:
        """Remove all containers."""
        if self.names:
            self.engine.docker("rm", "-f", "-v", *self.names)
        self.names.clear()


@dataclass
class Manager:
    """A running manager."""

    name: str
    port: int

    @property
    def address(self) -> str:
        """Where it answers."""
        return f"{HOST}:{self.port}"

    def answers(self) -> bool:
        """Tell whether it answers."""
        try:
            return call(self.port, "GET", "/_ping").text == "OK"
        except OSError:
            return False

    def status(self) -> list[list[str]]:
        """Return SystemStatus."""
        return call(self.port, "GET", "/info").json()["SystemStatus"]

    def role(self) -> str:
        """Return ``primary`` or ``replica``."""
        return dict(self.status())["Role"]

    def nodes(self) -> dict[str, dict[str, str]]:
        """Return the lines about each engine by its address."""
        found: dict[str, dict[str, str]] = {}
        address = ""
        for key, value in self.status():
            if key.startswith("  └ "):
                found[address][key.removeprefix("  └ ")] = value
            elif key.startswith(" "):
                address = value
                found[address] = {"Name": key[1:]}
        return found

    def healthy(self, *addresses: str) -> bool:
        """Tell whether all the engines are healthy."""
        nodes = self.nodes()
        return all(nodes.get(address, {}).get("Status") == "Healthy" for address in addresses)

    def create(self, name: str, *env: str, **config: object) -> Answer:
        """Create a container that sleeps."""
        body = {"Image": "busybox:lab", "Cmd": ["sleep", "600"], "Env": list(env)} | config
        body.setdefault("HostConfig", {"NetworkMode": "none"})
        return call(self.port, "POST", f"/v1.30/containers/create?name={name}", body)

    def docker(
        self, *words: str, check: bool = True, **more: object
    ) -> subprocess.CompletedProcess:
        """Run the docker command against this manager."""
        done = subprocess.run(  # noqa: S603
            ["docker", "-H", f"tcp://{self.address}", *words],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            **more,
        )
        assert not check or done.returncode == 0, done.stderr
        return done
