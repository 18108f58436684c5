"""The lab as a Python object; the command line is a thin layer over it."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from lab import (
    config,
    containers,
    images,
    locks,
    machine,
    master,
    network,
    pillars,
    tuning,
    workloads,
)
from lab.config import MASTER, Settings
from lab.engine import Engine
from lab.run import LabError, say

BOOT_LIMIT = 180


class Lab:
    """Hosts on this machine: switched on and off, unplugged, and spoken to through Salt."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or config.settings(os.environ)
        self.engine = Engine(self.settings)
        self._state = self.settings.run / "lab.json"

    # --- all of it

    def up(  # noqa: PLR0913, PLR0917
        self,
        hosts: int = 3,
        mode: str = "classic",
        salt: str = "3008",
        suite: str | None = None,
        autojoin: bool = True,
        host_suite: str = config.RELEASE,
    ) -> None:
        """
        Brings the lab up; does nothing when it is up with the same options.

        With `autojoin`, the master has the formula's engine and runner, and hosts that are added
        later join by themselves.
        """
        default, *_ = config.ENGINE_SUITES.get(host_suite, config.SUITES)
        options = {"hosts": hosts, "mode": mode, "salt": salt, "autojoin": autojoin}
        options |= {"suite": suite or default, "host_suite": host_suite}
        check_options(options)
        options["salt"] = self.settings.release(salt)
        machine.check()
        machine.check_for(host_suite)
        with locks.alone(self.settings):
            state = self._read()
            if state.get("options") == options and self._whole(state):
                workloads.ensure(self.settings, self.engine)
                say("the lab is up already, with these options")
                return
            if state:
                say(f"there is a lab with other options or in parts ({state.get('options')})")
            self.settings.cache.mkdir(parents=True, exist_ok=True)
            # An engine that was stopped may still have hosts, or what they have left.
            self.engine.ensure()
            self._clear()
            self._build(options)

    def _build(self, options: dict) -> None:
        settings = self.settings
        names = config.host_names(options["hosts"])
        image = images.host(settings, self.engine, options)
        found = workloads.ensure(settings, self.engine)
        say(f"booting {MASTER} and {', '.join(names)}")
        for folder in (settings.states / "images", settings.pillar):
            folder.mkdir(parents=True, exist_ok=True)
        pillars.write(settings.pillar, self._pillar(names, options, found))
        tuning.apply(settings)
        master.accept(settings, *names)
        network.ensure(self.engine)
        self._write({"image": image, "hosts": names})
        self._create(MASTER, image=image)
        if options["autojoin"]:
            # Before there are minions: they would lose a master that restarts.
            later = [name for name in config.every_name() if name not in (MASTER, *names)]
            master.autojoin(self.engine, later)
        self._create(*names, image=image)
        master.await_minions(self.engine, names, BOOT_LIMIT)
        # Only now: a lab whose start was interrupted must not pass for one that is up.
        self._write({"image": image, "hosts": names, "options": options})
        say(f"up: {', '.join(names)} answer; try: bin/lab salt '*' test.ping")

    def _create(self, *names: str, image: str) -> None:
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda name: containers.create(self.engine, name, image), names))

    def down(self) -> None:
        """Removes everything but the cache, also what a failed start left."""
        with locks.alone(self.settings):
            self._clear()
            self.engine.stop_unused()
            with suppress(OSError):
                self.settings.run.rmdir()
        say("down")

    def _clear(self) -> None:
        """Removes this lab's hosts, network and files; the engine stays."""
        settings = self.settings
        if self.engine.find():
            present = containers.states(self.engine)
            if present:
                say(f"removing {', '.join(present)}")
            with ThreadPoolExecutor() as pool:
                every = {*present, *config.every_name()} if present else ()
                list(pool.map(lambda name: containers.remove(self.engine, name), every))
            containers.remove_volumes(self.engine)
            network.remove(self.engine)
        shutil.rmtree(settings.images, ignore_errors=True)
        for name in ("states", "pillar", "autosign"):
            shutil.rmtree(settings.run / name, ignore_errors=True)
        for name in ("lab.json", "images.json"):
            (settings.run / name).unlink(missing_ok=True)

    def status(self) -> dict[str, object]:
        """Returns the options, the hosts with their states and addresses, and the images."""
        state = self._read()
        if not state or not self.engine.find():
            return {"up": False}
        found = containers.states(self.engine)
        return {
            "up": "options" in state,
            **state.get("options", {}),
            "engine": self.engine.url,
            "hosts": {
                name: {"state": self._word(name, word), "address": self.address(name)}
                for name, word in found.items()
            },
            "images": json.loads((self.settings.run / "images.json").read_text()),
        }

    def _word(self, host: str, word: str) -> str:
        if word == "running" and network.is_cut(self.engine, host):
            return "cut off"
        return word

    # --- one host

    def hosts(self) -> list[str]:
        """Returns the names of the hosts, without the master."""
        return self._need()["hosts"]

    def address(self, host: str) -> str:
        """Returns a host's address."""
        return self.settings.address(host)

    def add(self, host: str, accept: bool = True) -> None:
        """Adds a new machine that registers at the master; its key waits if not accepted."""
        with locks.alone(self.settings):
            state = self._need()
            config.number(host)
            if host in state["hosts"]:
                raise LabError(f"{host} is there already; `bin/lab status` shows the hosts")
            self._write({**state, "hosts": sorted([*state["hosts"], host])})
            if accept:
                master.accept(self.settings, host)
            self._create(host, image=state["image"])
        if accept:
            master.await_minions(self.engine, [host], BOOT_LIMIT)

    def remove(self, host: str) -> None:
        """Takes a host away for good, with its data and its key."""
        with locks.alone(self.settings):
            state = self._need(host)
            containers.remove(self.engine, host)
            master.forget(self.engine, host)
            pillars.clear(self.settings.pillar, host)
            self._write({**state, "hosts": [one for one in state["hosts"] if one != host]})

    def reset(self, host: str) -> None:
        """Replaces a host by a fresh one of the same name and address."""
        with locks.alone(self.settings):
            state = self._need(host)
            containers.remove(self.engine, host)
            master.forget(self.engine, host)
            master.accept(self.settings, host)
            self._create(host, image=state["image"])
        master.await_minions(self.engine, [host], BOOT_LIMIT)

    def stop(self, host: str) -> None:
        """Cuts a host's power."""
        self._need(host)
        self.engine.docker("kill", self.settings.container(host))

    def start(self, host: str) -> None:
        """Switches a host on again: same address, same data."""
        self._need(host)
        self.engine.docker("start", self.settings.container(host))

    def cut(self, host: str) -> None:
        """Unplugs a host from the network."""
        self._need(host)
        network.cut(self.engine, host)

    def heal(self, host: str) -> None:
        """Plugs a host in again."""
        self._need(host)
        network.heal(self.engine, host)

    def exec(self, host: str, *argv: str, **more) -> subprocess.CompletedProcess[str]:
        """Runs a command on a host; `check`, `input` and `timeout` as one expects."""
        self._need(host)
        return containers.execute(self.engine, host, *argv, **more)

    # --- Salt

    def salt(self, target: str, fun: str, *args: str, timeout: float = 300) -> dict[str, object]:
        """Runs a function on minions; returns the results by minion id."""
        return master.salt(self.engine, target, fun, *args, timeout=timeout)

    def salt_run(self, fun: str, *args: str, timeout: float = 300):
        """Runs a runner on the master; returns its result."""
        return master.execute(self.engine, "salt-run", fun, *args, timeout=timeout)

    def call(self, host: str, fun: str, *args: str, timeout: float = 300):
        """Runs a function on a host by salt-call; returns its result."""
        return master.call(self.engine, host, fun, *args, timeout=timeout)

    def pillar(self, swarm: Mapping[str, object], host: str | None = None) -> None:
        """Writes the pillar key `swarm` for every host, or for one on top of that."""
        pillars.write(self.settings.pillar, swarm, host)

    def default_pillar(self) -> dict[str, object]:
        """Returns the value of the pillar key `swarm` with which the lab came up."""
        state = self._need()
        names = config.host_names(state["options"]["hosts"])
        found = json.loads((self.settings.run / "images.json").read_text())
        return self._pillar(names, state["options"], found)

    def _pillar(self, names: Iterable[str], options: Mapping, found: Mapping) -> dict[str, object]:
        mode, suite = options["mode"], options["suite"]
        return pillars.default(names, mode, suite, found, self.settings.ipv6)

    # --- what is remembered

    def _need(self, host: str | None = None) -> dict:
        state = self._read()
        if not state:
            raise LabError("the lab is down; start it with: bin/lab up")
        if host is not None and host not in (MASTER, *state["hosts"]):
            there = ", ".join((MASTER, *state["hosts"]))
            raise LabError(f"no host {host!r} here; there are: {there}")
        return state

    def _whole(self, state: dict) -> bool:
        """Tells whether every host that should be there is running."""
        if not self.engine.find():
            return False
        found = containers.states(self.engine)
        return all(found.get(name) == "running" for name in (MASTER, *state["hosts"]))

    def _read(self) -> dict:
        try:
            return json.loads(self._state.read_text())
        except FileNotFoundError:
            return {}

    def _write(self, state: dict) -> None:
        self.settings.run.mkdir(parents=True, exist_ok=True)
        self._state.write_text(json.dumps(state, indent=2) + "\n")


def check_options(options: Mapping[str, object]) -> None:
    """Refuses options that no lab can have, with what would be right."""
    config.host_names(int(options["hosts"]))
    release, suite = options["host_suite"], options["suite"]
    for key, allowed in (
        ("mode", config.MODES),
        ("salt", config.SALT),
        ("suite", config.SUITES),
        ("host_suite", config.HOST_SUITES),
    ):
        if options[key] not in allowed:
            word = key.replace("_", "-")
            raise LabError(f"--{word} {options[key]}: use one of {', '.join(allowed)}")
    if suite not in (fitting := config.ENGINE_SUITES[release]):
        raise LabError(
            f"--suite {suite}: a host of {release} cannot run this engine;"
            f" use {' or '.join(fitting)}"
        )
