"""
One edit of pillar on a running swarm, and back: what is wrong with how it went, as texts.
"""

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from tests.integration.cluster import WORKLOAD, Cluster, failures
from tests.integration.cluster import changed as changed_states
from tests.matrix.rows import CONVERGES, NAMES, REFUSED, UNDONE, WARNED, Row, Value
from tests.wrong_pillars import merged

_LOOK = Path(__file__).with_name("look.py").read_text()
_PATIENCE = 150
RUN_WORK = (
    "docker rm -f matrix-work;"
    " docker run -d --name matrix-work --restart always busybox:lab sleep 864000"
)
END_WORK = "docker rm -f matrix-work"
# What values of the table name.
FILES = """
umask 077
echo one > /root/matrix-password
echo two > /root/matrix-password-2
echo 6ba7b810-9dad-11d1-80b4-00c04fd430c8 > /root/matrix-token
cp "$(ls /etc/ssl/certs/*.pem | head -1)" /etc/ssl/registry-ca.pem
"""
END_FILES = "rm -f /root/matrix-* /etc/ssl/registry-ca.pem /var/lib/matrix-*"
# The leader sees to these, and another host may lead by then.
_LEADERS = {
    "cluster is configured",
    "nodes are configured",
    "swarm networks are present",
    "swarm secrets are present",
    "swarm configs are present",
    "swarm services are deployed",
}
# What an apply refuses if pillar is wrong, and what fails only because of that.
_BECAUSE = "requisite failed"


class Case(NamedTuple):
    """Edits that are made at once: one of them, or several that are nothing to each other."""

    id: str
    base: dict
    edits: tuple[tuple[Row, Value], ...]

    def pillar(self) -> dict:
        """Return what the edits lay over the base."""
        found = self.base
        for row, value in self.edits:
            found = merged(merged(found, row.at(value.value)), dict(value.also))
        return found

    def undo(self) -> dict:
        """Return what takes the edits back where leaving them out does not."""
        found = self.base
        for row, _ in self.edits:
            found = merged(found, dict(row.undo))
        return found


class Watch(NamedTuple):
    """What the matrix needs to know of one mode."""

    swarm: Cluster
    healthy: Callable[[], bool]
    work: Callable[[dict], object]  # from the hosts' pictures: what has to stay as it is


class Matrix:
    """Runs cases on one lab."""

    def __init__(self, watch: Watch) -> None:
        self.watch, self.swarm = watch, watch.swarm
        self._at: dict | None = None  # the base that the hosts are at

    def prepare(self, work: str, defaults: dict | None = None) -> None:
        """
        Have a healthy swarm, with what the cases need on each host and what has to run on.

        ``defaults`` are of what no apply takes back: other tests may have set it.
        """
        self._write(defaults or {})
        self.swarm.switch_on()
        self.swarm.await_minions()
        if wrong := self.settle("start", lambda: True):
            raise AssertionError(wrong)
        self.swarm.lab.salt("*", "swarm_image.load", WORKLOAD, "salt://images/busybox.tar")
        for host in self.swarm.lab.hosts():
            self.swarm.lab.exec(host, "sh", "-c", f"{FILES}\n{work}")

    def tidy(self, work: str) -> None:
        """Take away what ``prepare`` brought."""
        self.swarm.restore()
        for host in self.swarm.lab.hosts():
            self.swarm.lab.exec(host, "sh", "-c", f"{END_FILES}\n{work}", check=False)
        self.settle("end", lambda: True)
        for kind in ("network", "container"):
            self.swarm.lab.salt("*", f"swarm_{kind}.remove", NAMES["networks"])
        # In classic mode, and on nodes that do not lead, they do nothing.
        for kind in ("service", "secret", "config"):
            self.swarm.lab.salt("*", f"swarm_{kind}.remove", "matrix")

    # --- looking

    def look(self) -> dict[str, dict]:
        """Return ``{host: picture}``, see ``look.py``."""
        lab = self.swarm.lab
        return {
            host: json.loads(lab.exec(host, "python3", "-", input=_LOOK).stdout)
            for host in lab.hosts()
        }

    def _write(self, pillar: dict) -> None:
        lab = self.swarm.lab
        self.swarm.manager_port = pillar.get("manager", {}).get("port")
        names = {f"@{host}": lab.address(host) for host in ("salt", *lab.hosts())}
        text = json.dumps(merged(lab.default_pillar(), pillar))
        subnet = lab.settings.subnet
        text = text.replace("@subnet", str(subnet)).replace("@machine", str(subnet[1]))
        for name, address in names.items():
            text = text.replace(name, address)
        lab.pillar(json.loads(text))

    def _apply(self, **kwargs: object) -> dict:
        """Apply on all hosts; one that does not answer has failed."""
        silent = dict.fromkeys(self.swarm.lab.hosts(), "no answer")
        return {**silent, **self.swarm.state(**kwargs)}

    # --- one case

    def run(self, case: Case) -> list[str]:
        """Make the edits, look, take them back, look; return what was wrong."""
        wrong = self._begin(case.base)
        if wrong:
            return wrong
        before, self._at = self.look(), None
        self._write(case.pillar())
        if case.edits[0][1].outcome in {REFUSED, UNDONE}:
            wrong = self._refused(case, before)
        else:
            wrong = self._converges(case, before, "edit", [one.applies for _, one in case.edits])
        self._write(case.undo())
        back = [row.back for row, _ in case.edits]
        wrong += self._converges(case, before, "taken back", back)
        if case.undo() != case.base:
            self._write(case.base)
            wrong += self.settle("base again")
        self._remove(case)
        left = _differences("taken back", _settings(before), _settings(self.look()))
        stays = [row.stays for row, _ in case.edits if row.stays]
        wrong += [one for one in left if not any(f"{path} was " in one for path in stays)]
        # The next case of this base may start from here.
        self._at = case.base if not wrong else None
        return wrong

    def _remove(self, case: Case) -> None:
        """Remove, as a user does, what stays on the hosts without its entry in pillar."""
        for row, _ in case.edits:
            if row.removal:
                self.swarm.lab.salt("*", *row.removal)

    def _begin(self, base: dict) -> list[str]:
        if self._at == base:
            return []
        self._write(base)
        return self.settle("base")

    def settle(self, when: str, healthy: Callable[[], bool] | None = None) -> list[str]:
        """Apply until nothing changes; return what is wrong if that never comes."""
        for _ in range(3):
            returns = self._apply()
            if not _faults(returns) and not changed(returns):
                return self._alive(when, healthy)
        return [f"{when}: does not converge: {_faults(returns) or sorted(changed(returns))}"]

    def _alive(self, when: str, healthy: Callable[[], bool] | None = None) -> list[str]:
        try:
            self.swarm.wait(healthy or self.watch.healthy, _PATIENCE)
        except AssertionError as err:
            return [f"{when}: not healthy: {err}"]
        return []

    def _works(self, when: str, before: dict) -> list[str]:
        was, now = self.watch.work(before), self.watch.work(self.look())
        return [] if was == now else [f"{when}: what ran was touched: {was} -> {now}"]

    def _converges(self, case: Case, before: dict, when: str, applies: Iterable[int]) -> list[str]:
        dry = self._apply(test=True)
        wrong = [f"{when}, test=True: {one}" for one in _faults(dry) + _tracebacks(dry)]
        returns = self._apply()
        unforetold = sorted(set(changed(returns)) - _foretold(dry))
        wrong += [f"{when}: test=True did not foretell {one}" for one in unforetold]
        wrong += self._warned(case, returns) if when == "edit" else []
        for _ in range(max(applies)):
            if _faults(returns) or changed(returns):
                returns = self._apply()
        wrong += [f"{when}: {one}" for one in _faults(returns)]
        wrong += [f"{when}: changes for ever: {one}" for one in changed(returns).items()]
        return wrong + self._alive(when) + self._works(when, before)

    @staticmethod
    def _warned(case: Case, returns: dict) -> list[str]:
        told = " ".join(str(one.get("warnings", "")) for one in _states(returns))
        return [
            f"edit: no warning about {row.key}"
            for row, value in case.edits
            if value.outcome == WARNED and value.words not in told
        ]

    def _refused(self, case: Case, before: dict) -> list[str]:
        (_, value), outcome = case.edits[0], case.edits[0][1].outcome
        dry, real = self._apply(test=True), self._apply()
        found, foretold = failures(real), failures(dry)
        told = {key: one for key, one in found.items() if _BECAUSE not in one}
        wrong = [f"traceback: {one}" for one in _tracebacks(dry) + _tracebacks(real)]
        if not any(value.words in one for one in told.values()):
            wrong.append(f"not refused with {value.words!r}: {told}")
        if outcome == REFUSED:
            wrong += [
                f"test=True did not foretell the refusal: {one}" for one in told.keys() - foretold
            ]
            wrong += [f"changed in spite of the refusal: {one}" for one in changed(real).items()]
            wrong += _differences("refused", _identity(before), _identity(self.look()))
        now = self.look()
        wrong += _differences("refused", _settings(before), _settings(now))
        return wrong + self._alive("refused") + self._works("refused", before)


def changed(returns: dict) -> dict[str, dict]:
    """Return what changed on the hosts that have answered."""
    return changed_states({host: one for host, one in returns.items() if isinstance(one, dict)})


def _states(returns: dict) -> list[dict]:
    return [
        one for states in returns.values() if isinstance(states, dict) for one in states.values()
    ]


def _faults(returns: dict) -> list[str]:
    return [f"{key}: {one}" for key, one in failures(returns).items() if _BECAUSE not in one]


def _tracebacks(returns: dict) -> list[str]:
    told = [str(one["comment"]) for one in _states(returns)]
    told += [str(one) for one in returns.values() if not isinstance(one, dict)]
    return [one for one in told if "Traceback" in one or "exception occurred" in one]


def _foretold(dry: dict) -> set[str]:
    """Return the states that a dry run says will change something."""
    said = {key.partition(": ")[2] for key in changed(dry)}
    return {f"{host}: {one}" for host in dry for one in said & _LEADERS} | set(changed(dry))


def _settings(pictures: dict) -> dict:
    return {host: one["settings"] for host, one in pictures.items()}


def _identity(pictures: dict) -> dict:
    return {host: one["identity"] for host, one in pictures.items()}


def _differences(when: str, old: object, new: object, path: str = "") -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        pairs = ((key, old.get(key), new.get(key)) for key in sorted({*old, *new}))
        return [
            text
            for key, one, other in pairs
            for text in _differences(when, one, other, f"{path}/{key}")
        ]
    return [] if old == new else [f"{when}: {path} was {old}, is {new}"]


def bundled(cases: Iterable[Case]) -> list[Case]:
    """Return the cases with those in one that converge and are nothing to each other."""
    found, groups = [], {}
    for case in cases:
        (row, value), *_ = case.edits
        if value.outcome in {CONVERGES, WARNED} and not row.alone:
            key = json.dumps(row.base.get("networks")), case.id.rpartition("-")[2]
            groups.setdefault(key, []).append(case)
        else:
            found.append(case)
    return [_joined(name, members) for name, members in groups.items()] + found


def _joined(name: tuple[str, str], members: list[Case]) -> Case:
    base: dict = {}
    for case in members:
        base = merged(base, case.base)
    edits = tuple(edit for case in members for edit in case.edits)
    return Case(f"{len(members)} keys of {members[0].id}", base, edits)


def cases(rows: Iterable[Row], mode: str) -> list[Case]:
    """Return one case for each value of the rows that count in a mode."""
    return [
        Case(re.sub(r"[^\w.-]+", ":", f"{row.key}-{number}"), dict(row.base), ((row, value),))
        for row in rows
        if mode in row.modes
        for number, value in enumerate(row.values, 1)
        if mode in (value.modes or row.modes)
    ]
