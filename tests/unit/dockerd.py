"""
A Docker Engine and its systemd for tests: files, SIGHUP, restarts, and a daemon that may refuse.
"""

import contextlib
import json
import time

import docker
from salt.exceptions import CommandExecutionError

from swarm_formula.core import errors
from swarm_formula.daemon import systemd_unit

COMMAND = "/usr/sbin/dockerd -H fd://"
# What the formula makes of it with ``pillars.VALID`` on ``pillars.M1``.
TCP = f"{COMMAND} -H tcp://10.77.0.11:2275"
BASE = {"live-restore": True, "tls": False}
OVERLAY = {"cluster-store": "consul://127.0.0.1:8500", "cluster-advertise": "10.77.0.11:2275"}
# What a SIGHUP of 20.10 takes over.
RELOADABLE = {"labels", "live-restore", "debug", "cluster-store", "cluster-advertise"}
STORE = "cluster-store"


class Events:
    """The reload events of the daemon, as the SDK gives them."""

    def __init__(self, found):
        self.found = found

    def __iter__(self):
        return iter(self.found)

    def close(self):
        """Close nothing."""


class Dockerd:
    """The daemon of one host; what it has read is apart from what is in its files."""

    def __init__(self, folder):
        self.json = folder / "docker" / "daemon.json"
        self.units = folder / "systemd"
        self.dropin = self.units / "docker.service.d" / systemd_unit.DROPIN
        self.version = "20.10.5+dfsg1"
        self.installed, self.masked = True, False
        self.upgraded, self.planned = "", ""  # the version of the package, if another one
        self.up = self.enabled = True
        self.pid = 1
        self.config, self.command = {}, COMMAND  # in force
        self.entry = "/entry"  # the program of its containers
        self.dropins = []  # those of an admin
        self.own = COMMAND  # that of the package's unit
        self.unit = COMMAND  # as systemd has read it
        self.journal, self.systemd = [], []
        self.calls = []
        self.reloads = []
        self.never_starts_with = set()  # keys that only a start shows to be wrong
        self.never_reloads_with = set()
        self.state = "inactive"  # of its swarm mode
        self.containers, self.running, self.images = {}, 0, 0  # {name: command}, and how many
        self.volumes, self.driver = [], [["Backing Filesystem", "extfs"]]
        self.plugins = []
        self.no_libkv = False  # takes the store's keys and ignores them, as Debian 12's does

    @property
    def package(self):
        """The version of the package."""
        return self.upgraded or self.version

    @property
    def replaced(self):
        """Whether the engine that runs is not the one that is installed."""
        return bool(self.upgraded) and self.upgraded != self.version

    # ---- what is on disk

    def on_disk(self):
        """Return ``daemon.json``, ``None`` for no file."""
        return json.loads(self.json.read_text().strip() or "{}") if self.json.exists() else None

    def write(self, config):
        """Write ``daemon.json`` as an admin would."""
        self.json.parent.mkdir(parents=True, exist_ok=True)
        self.json.write_text(json.dumps(config))

    def cat(self):
        """Return what ``systemctl cat`` shows."""
        shown = f"# /lib/systemd/system/docker.service\n[Service]\nExecStart={self.own}\n"
        files = [self.dropin, *self.dropins] if self.dropin.exists() else self.dropins
        for path in sorted(files, key=lambda one: one.name):
            shown += f"\n# {path}\n{path.read_text()}"
        return shown if self.installed and self.unit else ""

    def stdout(self, command, **_):
        """Return what ``systemctl show`` and ``journalctl`` print."""
        if command[:2] == ["systemctl", "show"]:
            return f"LoadState={'masked' if self.masked else 'loaded'}"
        own = "--identifier=dockerd" in command
        return "\n".join(self.journal if own else [*self.journal, *self.systemd])

    # ---- what systemd does

    def daemon_reload(self):
        self.calls.append("daemon-reload")
        self.unit = self.own
        if self.dropin.exists():
            self.unit = self.dropin.read_text().rsplit("ExecStart=", 1)[1].strip()
        return True

    def start(self, name):
        self.calls.append("start")
        bad = self.never_starts_with & set(self.on_disk() or {})
        if bad:
            self.up = False
            self.journal.append(f"failed to start daemon: no such thing as {', '.join(bad)}")
            raise CommandExecutionError("Job for docker.service failed")
        self.up, self.pid, self.version = True, self.pid + 1, self.package
        self.config, self.command = self.on_disk() or {}, self.unit
        return True

    def restart(self, name):
        self.calls.append("restart")
        self.up = False
        return self.start(name)

    def reload(self, name):
        """Send SIGHUP: systemd is content whatever the daemon makes of it."""
        self.calls.append("reload")
        wanted = self.on_disk() or {}
        if bad := self.never_reloads_with & set(wanted):
            self.journal.append(f'level=error msg="no such thing as {", ".join(bad)}"')
        else:
            # What is only taken out of the file stays in force (daemon/reload.go).
            self.config |= {key: one for key, one in wanted.items() if key in RELOADABLE}
            self.reloads.append(time.time())
        return True

    def enable(self, name, **_):
        self.enabled = True
        return True

    # ---- what it answers

    @contextlib.contextmanager
    def connect(self, url=None, timeout=60, what=""):
        """Stand in for ``docker.engine_api.connect``."""
        if not self.up:
            raise errors.EngineUnreachableError(f"{what}: does not answer")
        yield Client(self)


class Client:
    """What the formula asks of the engine."""

    def __init__(self, daemon):
        self.daemon = daemon

    def version(self, api_version=True):
        return {"Version": self.daemon.version}

    def ping(self):
        return True

    def info(self):
        daemon = self.daemon
        return {
            "ClusterStore": "" if daemon.no_libkv else daemon.config.get(STORE, ""),
            "LiveRestoreEnabled": daemon.config.get("live-restore", False),
            "Swarm": {"LocalNodeState": daemon.state},
            "Containers": len(daemon.containers),
            "ContainersRunning": daemon.running,
            "Images": daemon.images,
            "DockerRootDir": daemon.config.get("data-root", "/var/lib/docker"),
            "Plugins": {"Log": ["journald", "json-file"]},
            "Driver": "overlay2",
            "DriverStatus": daemon.driver,
        }

    def containers(self, all=False):  # noqa: A002
        return [
            {"Names": [f"/{name}"], "Command": f"{self.daemon.entry} {command}"}
            for name, command in self.daemon.containers.items()
        ]

    def inspect_volume(self, name):
        if name not in self.daemon.volumes:
            raise docker.errors.NotFound("404", explanation=f"no such volume: {name}")
        return {"Name": name, "Mountpoint": f"/var/lib/docker/volumes/{name}/_data"}

    def plugins(self):
        return self.daemon.plugins

    def volumes(self):
        return {"Volumes": [{"Name": one} for one in self.daemon.volumes]}

    def events(self, since, **_):
        return Events([{"Action": "reload"} for one in self.daemon.reloads if one >= float(since)])
