"""What a run costs: CPU seconds of the hosts, and the peak memory of process trees."""

import re
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from lab.api import Lab

PROC = Path("/proc")
CGROUP = Path("/sys/fs/cgroup")
_FIELD = re.compile(r"^(Rss|Anonymous|Pss_Anon|Pss_Shmem):\s+(\d+) kB$", flags=re.MULTILINE)


def init_pid(lab: Lab, host: str) -> int:
    """Returns the process id that a host's systemd has on the machine."""
    name = lab.settings.container(host)
    return int(lab.engine.docker("inspect", "-f", "{{.State.Pid}}", name).stdout)


def cpu_seconds(pids: Iterable[int]) -> float:
    """Returns the CPU time that the control groups of these init processes have used so far."""
    return sum(_cpu(pid) for pid in pids)


def _cpu(pid: int) -> float:
    groups = {}
    for line in (PROC / str(pid) / "cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        groups[controllers] = path.strip("/").removesuffix("init.scope").strip("/")
    for controllers, path in groups.items():
        if "cpuacct" in controllers.split(","):
            return int((CGROUP / "cpuacct" / path / "cpuacct.usage").read_text()) / 1e9
    stat = (CGROUP / groups[""] / "cpu.stat").read_text()
    return int(re.search(r"^usage_usec (\d+)", stat, flags=re.MULTILINE)[1]) / 1e6


class Peak:
    """Watches the memory of a process tree from a thread, and keeps the highest value."""

    def __init__(self, roots: Callable[[dict[int, tuple[int, str]]], Iterable[int]]) -> None:
        self.megabytes = 0.0
        self._roots = roots
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Peak":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def look(self) -> None:
        """Looks once."""
        running = processes()
        trees = _descendants(self._roots(running), running)
        self.megabytes = max(self.megabytes, tree_megabytes(map(rollup, trees)))

    def _watch(self) -> None:
        while not self._stop.wait(0.05):
            self.look()


def processes() -> dict[int, tuple[int, str]]:
    """Returns parent and command line of every process of the machine."""
    found = {}
    for folder in PROC.glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text()
            words = (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        # The name in brackets may hold blanks and brackets itself.
        parent = int(stat.rpartition(")")[2].split()[1])
        found[int(folder.name)] = (parent, words.replace("\0", " "))
    return found


def below(root: int, processes: dict[int, tuple[int, str]], word: str = "") -> list[int]:
    """Returns the processes below one, those whose command line holds a word."""
    return [pid for pid in _descendants([root], processes) if word in processes[pid][1]]


def _descendants(roots: Iterable[int], processes: dict[int, tuple[int, str]]) -> set[int]:
    children: dict[int, list[int]] = {}
    for pid, (parent, _) in processes.items():
        children.setdefault(parent, []).append(pid)
    found, todo = set(), [pid for pid in roots if pid in processes]
    while todo:
        pid = todo.pop()
        if pid not in found:
            found.add(pid)
            todo += children.get(pid, [])
    return found


def rollup(pid: int) -> str:
    try:
        return (PROC / str(pid) / "smaps_rollup").read_text()
    except OSError:
        return ""


def tree_megabytes(rollups: Iterable[str]) -> float:
    """
    Returns the memory of processes that were forked from each other, from their `smaps_rollup`.

    What they share is counted once, but not what they share with other hosts of the lab, which map
    the same files: a real host has no such neighbours. So: each one's part of the memory without a
    file, and the files of the one that maps the most.
    """
    own, files = 0, 0
    for text in rollups:
        field = {name: int(size) for name, size in _FIELD.findall(text)}
        own += field.get("Pss_Anon", 0) + field.get("Pss_Shmem", 0)
        files = max(files, field.get("Rss", 0) - field.get("Anonymous", 0))
    return (own + files) / 1024
