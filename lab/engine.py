"""The Docker engine that carries the hosts: the machine's, else one of the lab's own."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from lab import cgroups, firewall, locks, machine, mounts, tuning
from lab.config import Settings
from lab.run import LabError, run, say

LABEL = "swarm-lab"
_MACHINES = "unix:///var/run/docker.sock"


class Engine:
    """A Docker engine, spoken to by the docker command."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.socket = settings.engine / "docker.sock"
        self.pidfile = settings.engine / "docker.pid"
        self.log = settings.engine / "dockerd.log"
        self.config = settings.engine / "daemon.json"
        self._url: str | None = None

    @property
    def url(self) -> str:
        """Returns the address of the engine that answers; fails when none does."""
        if self._url is None:
            self._url = self.find()
        if self._url is None:
            raise LabError("no Docker engine answers; `bin/lab up` starts one")
        return self._url

    @property
    def env(self) -> dict[str, str]:
        """Returns the environment with which a docker command reaches this engine."""
        return {"DOCKER_HOST": self.url}

    @property
    def own(self) -> bool:
        """Tells whether the engine is the lab's own."""
        return self.url == self._own_url

    @property
    def _own_url(self) -> str:
        return f"unix://{self.socket}"

    def _named(self) -> str | None:
        """Returns the engine that the user names; the lab's own is the lab's to start."""
        named = os.environ.get("DOCKER_HOST")
        return named if named != self._own_url else None

    def find(self) -> str | None:
        """Returns the first engine that answers: the user's, else the lab's, else the machine's."""
        # The lab's own first: an engine that the machine gets later does not carry its hosts.
        candidates = [self._named()] if self._named() else [self._own_url, _MACHINES]
        return next((url for url in candidates if self._answers(url)), None)

    @staticmethod
    def _answers(url: str) -> bool:
        path = url.removeprefix("unix://")
        if path != url and not Path(path).exists():
            return False
        with contextlib.suppress(LabError):
            # A dead engine refuses at once. One that is slow must not pass for dead: `down` would
            # stop it, with the hosts of other labs.
            return not run(
                ["docker", "version"], timeout=60, check=False, env={"DOCKER_HOST": url}
            ).returncode
        return False

    def docker(self, *argv: str | Path, timeout: float = 60, **more) -> subprocess.CompletedProcess:
        """Runs a docker command against this engine."""
        return run(["docker", *argv], timeout=timeout, env=self.env, **more)

    def ensure(self) -> None:
        """Makes sure that an engine answers; installs and starts one when none does."""
        machine.install(["docker.io", "iptables"], ["docker"])
        self._url = self.find()
        if self._url:
            self._check()
            return
        if self._named():
            raise LabError(
                f"DOCKER_HOST={self._named()}: no engine answers there;"
                " start it, or unset the variable and the lab starts one of its own"
            )
        machine.install(["docker.io", "iptables"], ["dockerd", "containerd", "runc", "iptables"])
        self._start()
        self._check()
        say(f"engine started: DOCKER_HOST={self.url}")

    def _check(self) -> None:
        """Refuses an engine that cannot carry hosts."""
        root = self.docker("info", "--format={{.DockerRootDir}}").stdout.strip()
        if mounts.is_overlay(root):
            raise LabError(
                f"the engine's data folder {root} lies on an overlay file system, on which the"
                " hosts' own engines cannot work; set SWARM_LAB_CACHE (or, for an engine of yours,"
                " its data-root) to a folder on a disk"
            )

    def _start(self) -> None:
        self.settings.engine.mkdir(parents=True, exist_ok=True)
        data = self.settings.cache / "engine"
        data.mkdir(parents=True, exist_ok=True)
        self.pidfile.unlink(missing_ok=True)
        # Not the machine's daemon.json: its keys may contradict the options below.
        self.config.write_text("{}\n")
        # Before dockerd looks: had it to switch forwarding on itself, it would also set the
        # machine's FORWARD policy to DROP.
        tuning.apply(self.settings)
        with self.log.open("w") as log:
            process = subprocess.Popen(  # noqa: S603
                ["dockerd", *_options(self, data)],  # noqa: S607
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Its own session: a ctrl-C at the terminal is not meant for it.
                start_new_session=True,
            )
        self._await(process)

    def _await(self, process: subprocess.Popen, limit: float = 60) -> None:
        end = time.monotonic() + limit
        while time.monotonic() < end:
            if self._answers(self._own_url):
                self._url = self._own_url
                return
            if process.poll() is not None:
                break
            time.sleep(0.2)
        process.terminate()
        tail = "\n".join("  " + x for x in self.log.read_text().splitlines()[-10:])
        raise LabError(f"the lab's own dockerd did not start (whole log: {self.log}):\n{tail}")

    @contextlib.contextmanager
    def borrowed(self) -> Iterator[None]:
        """Has an engine answer for as long as this lasts, whatever becomes of the labs on it."""
        with locks.alone(self.settings):
            self.ensure()
            hold = locks.Borrowing(self.settings)
        try:
            yield
        finally:
            with locks.alone(self.settings):
                hold.end()
                self.stop_unused()

    def stop_unused(self) -> None:
        """Stops the lab's own engine, or clears up after it, unless somebody uses it."""
        if not self.find() or (self.own and not self._busy()):
            self.stop()

    def _busy(self) -> bool:
        return locks.held(self.settings) or bool(self.docker("ps", "--quiet").stdout.strip())

    def stop(self) -> None:
        """Stops the lab's own engine and takes away what it put on the machine."""
        pid = self._pid()
        if pid:
            say("stopping the lab's engine")
            os.kill(pid, signal.SIGTERM)
            if not _gone(pid, 30):
                os.kill(pid, signal.SIGKILL)
                _gone(pid, 10)
        if self.config.exists():
            # Only after an engine of the lab: the machine's own may just be stopped, and an admin
            # may have rules in its chains.
            firewall.clean()
            cgroups.clean()
        tuning.undo(self.settings)
        mounts.remove(self.settings.engine / "exec")
        for leftover in (self.socket, self.pidfile, self.log, self.config):
            leftover.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.settings.engine.rmdir()

    def _pid(self) -> int | None:
        """Returns the process id of the lab's dockerd, if that is what the pid file names."""
        try:
            pid = int(self.pidfile.read_text())
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return None
        return pid if str(self.pidfile).encode() in words else None


def _options(engine: Engine, data: Path) -> list[str]:
    return [
        f"--host=unix://{engine.socket}",
        f"--data-root={data}",
        f"--exec-root={engine.settings.engine / 'exec'}",
        f"--pidfile={engine.pidfile}",
        f"--config-file={engine.config}",
        "--bridge=none",
        "--storage-driver=overlay2",
    ]


def _gone(pid: int, limit: float) -> bool:
    end = time.monotonic() + limit
    while time.monotonic() < end:
        with contextlib.suppress(ChildProcessError):
            # Reaps it in case it is a child of this very process.
            os.waitpid(pid, os.WNOHANG)
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.1)
    return False
