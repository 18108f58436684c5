"""The order of the runs: both sides in turn, each from the same starting point."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench import ground
from bench.floor import Floor
from bench.sides import AnsibleSide, Run, SaltSide
from bench.tools import Ansible
from bench.usage import Peak
from lab.api import Lab
from lab.run import LabError, say

Side = SaltSide | AnsibleSide
# Runs with nothing to change, after each one that set up all: they are short, and vary.
AGAIN = 2
# What the formula is measured against: Ansible's modules, or itself without TLS.
ANSIBLE, PLAIN = "ansible", "plain"


@dataclass
class Memory:
    """Peaks in megabytes; `idle` is what stays between two runs."""

    idle: float
    host: float
    controller: float


@dataclass
class Result:
    """All measurements of one number of hosts, by the name of the side."""

    hosts: int
    converge: dict[str, list[Run]] = field(default_factory=dict)
    again: dict[str, list[Run]] = field(default_factory=dict)
    memory: dict[str, Memory] = field(default_factory=dict)
    # Seconds of the bare commands, and of a `state.apply` of one state that does nothing.
    floor: list[float] = field(default_factory=list)
    trivial: list[float] = field(default_factory=list)
    # Of the machine, before each run: what others had it do.
    load: list[float] = field(default_factory=list)


def set_up(lab: Lab, hosts: int, salt: str, mode: str, against: str) -> list[Side]:
    """Brings the lab up with that many hosts, prepares them, and returns the two sides."""
    ansible = Ansible(lab.settings, mode)
    lab.up(hosts=hosts, mode=mode, salt=salt, suite="bullseye", autojoin=False)
    say("preparing the hosts: engine, images, libraries")
    ground.prepare(lab, ansible.ensure())
    ansible.write_inventory(lab, ground.read_pillar(lab))
    if against == PLAIN:
        return [SaltSide(lab, "Salt, TLS", tls=True), SaltSide(lab, "Salt, plain")]
    return [SaltSide(lab), AnsibleSide(lab, ansible)]


def measure(lab: Lab, sides: Sequence[Side], runs: int) -> Result:
    """Runs both sides in turn, and returns what each run took."""
    result, floor = Result(len(lab.hosts())), Floor(lab)
    ground.trivial(lab)  # the first one has the master list its files
    for number in range(1, runs + 1):
        result.trivial += [ground.trivial(lab) for _ in range(AGAIN)]
        say(f"{result.hosts} hosts, {number} of {runs}: bare commands")
        ground.switch_tls(lab, on=False)
        ground.reset(lab)
        result.floor.append(floor.seconds())
        for side in sides:
            say(f"{result.hosts} hosts, {number} of {runs}: {side.name}")
            side.set_out()
            ground.reset(lab)
            result.load.append(os.getloadavg()[0])
            result.converge.setdefault(side.name, []).append(_converge(lab, side))
            again = [_again(side) for _ in range(AGAIN)]
            result.again.setdefault(side.name, []).extend(again)
            say(_report(result, side))
    for side in sides:
        say(f"{result.hosts} hosts, memory: {side.name}")
        result.memory[side.name] = _memory(lab, side)
    return result


def _report(result: Result, side: Side) -> str:
    again = ", ".join(f"{one.seconds:.1f}" for one in result.again[side.name][-AGAIN:])
    return f"  {result.converge[side.name][-1].seconds:.1f} s; again {again} s"


def _converge(lab: Lab, side: Side) -> Run:
    done = side.apply()
    found, hosts = ground.healthy(lab), len(lab.hosts())
    if found != hosts:
        raise LabError(f"{side.name} is done, but {found} of {hosts} nodes are healthy")
    ground.settle()
    return done


def _again(side: Side) -> Run:
    done = side.apply()
    if done.changed:
        raise LabError(f"{side.name} changed something in a run with nothing to change")
    return done


def _memory(lab: Lab, side: Side) -> Memory:
    """Watches one more run; not a clocked one, for to watch takes time."""
    side.set_out()
    ground.reset(lab)
    idle = Peak(side.on_host)
    idle.look()
    with Peak(side.on_host) as host, Peak(side.controller) as controller:
        _converge(lab, side)
    return Memory(idle.megabytes, host.megabytes, controller.megabytes)
