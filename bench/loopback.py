"""A real master on loopback that has accepted many minions: keys, without minions."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import salt.config
import yaml

from bench.usage import PROC, below, processes

TICKS = os.sysconf("SC_CLK_TCK")
ADDRESS, PUBLISH_PORT, REQUEST_PORT = "127.0.0.1", 14505, 14506


@contextlib.contextmanager
def master(
    keys: int, config: Callable[[Path], dict], ready: str = ""
) -> Iterator[tuple[int, dict]]:
    """
    Run a master with so many accepted keys; gives its process and its options.

    `config` gets its folder and returns more of its configuration; `ready` is a regular expression
    for the name of the engine that it waits for.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = _write_config(folder, keys, config)
        process = subprocess.Popen(  # noqa: S603
            [Path(sys.executable).with_name("salt-master"), "-c", folder],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            opts = salt.config.master_config(str(path))
            _await(folder / "log", ready)
            yield process.pid, opts
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)


def _write_config(folder: Path, keys: int, config: Callable[[Path], dict]) -> Path:
    for name in ("states", "pki/minions", "cache/extmods/engines"):
        (folder / name).mkdir(parents=True)
    for number in range(keys):
        (folder / f"pki/minions/m{number}").write_text("a key\n")
    common = {
        "interface": ADDRESS,
        "publish_port": PUBLISH_PORT,
        "ret_port": REQUEST_PORT,
        "worker_threads": 3,
        "user": "root",
        "root_dir": str(folder),
        "pki_dir": str(folder / "pki"),
        "cachedir": str(folder / "cache"),
        "extension_modules": str(folder / "cache/extmods"),
        "sock_dir": str(folder / "sock"),
        "log_file": str(folder / "log"),
        "log_level": "info",
        "log_level_logfile": "info",
    }
    path = folder / "master"
    path.write_text(yaml.safe_dump({**common, **config(folder)}))
    return path


def _await(log: Path, ready: str) -> None:
    """Wait until that engine is there; some seconds more for its subscription."""
    end = time.monotonic() + 30
    while not (log.exists() and re.search(rf"Starting Engine\(.*{ready}", log.read_text())):
        if not ready or time.monotonic() > end:
            break
        time.sleep(0.2)
    time.sleep(5)


class Answering(threading.Thread):
    """Answers the jobs of a master, as its minions would, within a `with` statement."""

    def __init__(self) -> None:
        super().__init__()
        self.ready, self.ended = threading.Event(), threading.Event()

    def __enter__(self) -> None:
        self.start()
        self.ready.wait()

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.join()


def cpu_seconds(root: int) -> float:
    """Return the CPU time of a process tree, with that of its children that have ended."""
    total = 0
    for pid in below(root, processes()):
        with contextlib.suppress(OSError):
            fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15]))
    return total / TICKS


def line(cells: object) -> str:
    """Return a line of a table."""
    return "".join(str(cell).ljust(16) for cell in cells).rstrip()
