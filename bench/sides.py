"""The two sides: both turn the starting point into a healthy swarm, and can be run again."""

import json
import os
import re
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass

from bench import ground, usage
from bench.tools import Ansible
from lab.api import Lab
from lab.config import MASTER
from lab.run import LabError, run

LIMIT = 900


@dataclass(frozen=True)
class Run:
    """What one run took, and whether it changed anything."""

    seconds: float
    cpu: float
    changed: bool


class SaltSide:
    """The formula, applied as its README says."""

    def __init__(self, lab: Lab, name: str = "Salt", tls: bool = False) -> None:
        self._lab, self.name, self._tls = lab, name, tls
        self._master = usage.init_pid(lab, MASTER)
        self._inits = [usage.init_pid(lab, host) for host in lab.hosts()]

    def title(self) -> str:
        """Returns what this side is, with its version."""
        return self._lab.exec(MASTER, "salt", "--version").stdout.strip()

    def set_out(self) -> None:
        """Has the pillar be this side's."""
        ground.switch_tls(self._lab, self._tls)

    def apply(self) -> Run:
        """Runs `salt '*' state.apply swarm`."""
        before = usage.cpu_seconds([self._master, *self._inits])
        started = time.monotonic()
        answers = self._lab.salt("*", "state.apply", "swarm", timeout=LIMIT)
        seconds = time.monotonic() - started
        cpu = usage.cpu_seconds([self._master, *self._inits]) - before
        states = self._states(answers)
        return Run(seconds, cpu, any(one["changes"] for one in states))

    def _states(self, answers: dict[str, object]) -> list[dict]:
        states = []
        for host in self._lab.hosts():
            answer = answers.get(host)
            bad = answer
            if isinstance(answer, dict):
                bad = [one for one in answer.values() if one["result"] is not True]
                states += answer.values()
            if bad or not answer:
                raise LabError(f"Salt, {host}: {json.dumps(bad, indent=2)}")
        return states

    def on_host(self, processes: dict) -> Iterable[int]:
        """Returns the minion's processes on the first host."""
        return usage.below(self._inits[0], processes, "salt-minion")

    def controller(self, processes: dict) -> Iterable[int]:
        """Returns the master's processes and those of the command line."""
        return usage.below(self._master, processes, "/opt/salt")


class AnsibleSide:
    """The same set-up as a playbook."""

    name = "Ansible"

    def __init__(self, lab: Lab, ansible: Ansible) -> None:
        self._lab = lab
        self._ansible = ansible
        self._inits = [usage.init_pid(lab, host) for host in lab.hosts()]

    def title(self) -> str:
        """Returns what this side is, with its versions."""
        return self._ansible.title()

    def set_out(self) -> None:
        """Has the pillar say how the playbook's swarm is asked whether it is healthy."""
        ground.switch_tls(self._lab, on=False)

    def apply(self) -> Run:
        """Runs the playbook."""
        before = usage.cpu_seconds(self._inits) + _children_cpu()
        started = time.monotonic()
        done = run(
            [
                self._ansible.command,
                "--inventory",
                self._ansible.inventory,
                self._ansible.playbook,
            ],
            env=self._ansible.env,
            timeout=LIMIT,
            check=False,
        )
        seconds = time.monotonic() - started
        cpu = usage.cpu_seconds(self._inits) + _children_cpu() - before
        return Run(seconds, cpu, self._changed(done))

    def _changed(self, done: subprocess.CompletedProcess[str]) -> bool:
        recap = re.findall(r"^(\w+) +: ok=\d+ +changed=(\d+) +", done.stdout, flags=re.MULTILINE)
        if done.returncode or {host for host, _ in recap} != set(self._lab.hosts()):
            raise LabError(f"Ansible:\n{done.stdout}{done.stderr}")
        return any(int(count) for _, count in recap)

    def on_host(self, processes: dict) -> Iterable[int]:
        """Returns the processes of Ansible's modules on the first host."""
        return usage.below(self._inits[0], processes, self._ansible.PYTHON)

    def controller(self, processes: dict) -> Iterable[int]:
        """Returns the processes of ansible-playbook."""
        return usage.below(os.getpid(), processes, "ansible-playbook")


def _children_cpu() -> float:
    """Returns the CPU time of this process's children that have ended."""
    times = os.times()
    return times.children_user + times.children_system
