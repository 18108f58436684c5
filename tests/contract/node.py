"""
Docker Engines for the contract tests, on loopback, each with a host name of its own.
"""

import json
import signal
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.contract.swarm_box import HOST, call, wait


@dataclass
class Node:
    """A Docker Engine for tests, with a name and data of its own."""

    name: str
    folder: Path
    port: int
    labels: list[str]
    certificates: Path | None = None
    process: subprocess.Popen | None = None

    @property
    def address(self) -> str:
        """Where it answers."""
        return f"{HOST}:{self.port}"

    def start(self) -> None:
        """Start the engine and wait until it answers."""
        self.write()
        options = {
            "host": f"tcp://{self.address}",
            "config-file": self.folder / "daemon.json",
            "data-root": self.folder / "data",
            "exec-root": self.folder / "exec",
            "pidfile": self.folder / "pid",
            "bridge": "none",
            "iptables": "false",
            "ip-forward": "false",
        }
        options |= self._tls()
        words = " ".join(f"--{key}={value}" for key, value in options.items())
        with (self.folder / "log").open("w") as log:
            self.process = subprocess.Popen(  # noqa: S603
                ["unshare", "--uts", "sh", "-c", f"hostname {self.name}; exec dockerd {words}"],  # noqa: S607
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait(f"{self.name} answers", self.answers, 60)

    def _tls(self) -> dict[str, object]:
        # Said explicitly, "no" spares a wait of 15 seconds.
        if not self.certificates:
            return {"tls": "false"}
        files = {"tlscacert": "ca.pem", "tlscert": "cert.pem", "tlskey": "key.pem"}
        return {"tlsverify": "true"} | {k: self.certificates / v for k, v in files.items()}

    def answers(self) -> bool:
        """Tell whether the engine answers."""
        try:
            if self.certificates:
                return not socket.create_connection((HOST, self.port)).close()
            return call(self.port, "GET", "/_ping").status == 200
        except OSError:
            return False

    def write(self) -> None:
        """Write ``daemon.json`` with the labels."""
        (self.folder / "daemon.json").write_text(json.dumps({"labels": self.labels}))

    def reload(self, labels: list[str]) -> None:
        """Give the engine other labels without a restart."""
        self.labels = labels
        self.write()
        self.process.send_signal(signal.SIGHUP)

    def crash(self) -> None:
        """Kill the engine, as a power cut does."""
        self.process.kill()
        self.process.wait(30)

    def stop(self) -> None:
        """Stop the engine."""
        self.process.terminate()
        self.process.wait(30)

    def clear(self) -> None:
        """Stop the engine and take away the mounts that a crash may have left."""
        self.stop()
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        mounts = [line.split()[4] for line in lines]
        for mount in mounts:
            if Path(mount).is_relative_to(self.folder):
                subprocess.run(["umount", "-l", mount], check=False)  # noqa: S603, S607
