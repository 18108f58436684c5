"""
What `state.apply swarm` imports on a minion that has nothing to change, here and at other commits.

A dry run in this machine's Salt, on an engine that `bench.one.engine` plays: one manager, whose
cluster is as the pillar wants it. The commits take turns, each run in a new process.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab import config, testenv
from lab.run import LabError, run

ROOT = Path(__file__).resolve().parent.parent
ONE = ROOT / "bench/one"
HERE = "here"
SHIPPED = ("_modules", "_states", "_utils", "_runners", "swarm")
WIDTHS = (12, 24, 7, 24, 7, 8, 24)


def _tree(folder: Path, commit: str) -> Path:
    """Returns the folder with the formula at a commit, or as it is here."""
    if commit == HERE:
        return ROOT
    tree = folder / "trees" / commit
    tree.mkdir(parents=True)
    archive = tree.with_suffix(".tar")
    run(["git", "-C", ROOT, "archive", "-o", archive, commit, *SHIPPED])
    run(["tar", "-x", "-C", tree, "-f", archive])
    return tree


@contextmanager
def _engine(python: Path, folder: Path) -> Iterator[Path]:
    """Plays an engine that is in a cluster; yields its socket."""
    socket = folder / "docker.sock"
    process = subprocess.Popen([python, ONE / "engine.py", socket])  # noqa: S603
    try:
        end = time.monotonic() + 20
        while not socket.exists():
            if process.poll() is not None or time.monotonic() > end:
                raise LabError("the engine of the measurement does not start")
            time.sleep(0.05)
        yield socket
    finally:
        process.terminate()
        process.wait()


def _job(python: Path, folder: Path, tree: Path, cold: bool) -> dict:
    """Returns what one dry run took; a cold one compiles all that it imports."""
    # Empty is unset: otherwise, each run would compile all that it imports.
    env = {"PYTHONDONTWRITEBYTECODE": "", "PATH": f"{ONE / 'bin'}:{os.environ['PATH']}"}
    minion = folder / "minions" / (tree.name if tree != ROOT else HERE)
    command = [python, ONE / "job.py", minion, tree, folder / "docker.sock", *["cold"][: int(cold)]]
    return json.loads(run(command, env=env, timeout=300).stdout.splitlines()[-1])


def _spread(values: Sequence[float], unit: float = 1000) -> str:
    shown = [f"{value * unit:.0f}" for value in (statistics.median(values), *_ends(values))]
    return f"{shown[0]} ({shown[1]} - {shown[2]})"


def _ends(values: Sequence[float]) -> tuple[float, float]:
    return min(values), max(values)


def _line(*cells: object) -> str:
    pairs = zip(cells, WIDTHS, strict=True)
    return "".join(str(cell).ljust(width) for cell, width in pairs).rstrip()


def _table(found: dict[str, dict[str, list[dict]]]) -> Iterator[str]:
    """Yields the lines of the table; ratios are by the medians of the first commit."""
    yield _line("commit", "imports, CPU ms", "ratio", "first run, CPU ms", "ratio", "files", "job")
    medians = []
    for commit, runs in found.items():
        warm, cold = ([one["imports"] for one in runs[kind]] for kind in ("warm", "cold"))
        jobs = [one["job"] for one in runs["warm"]]
        medians.append((statistics.median(warm), statistics.median(cold)))
        ratios = [f"{now / first:.2f}" for now, first in zip(medians[-1], medians[0], strict=True)]
        cells = (_spread(warm), ratios[0], _spread(cold), ratios[1], runs["warm"][-1]["files"])
        yield _line(commit, *cells, _spread(jobs))


def measure(python: Path, commits: Sequence[str], runs: int) -> Iterator[str]:
    """Runs the commits in turn; yields the lines of the table."""
    with tempfile.TemporaryDirectory() as name, _engine(python, Path(name)):
        folder = Path(name)
        trees = {commit: _tree(folder, commit) for commit in commits}
        found: dict[str, dict[str, list[dict]]] = {
            commit: {"cold": [], "warm": []} for commit in commits
        }
        for tree in trees.values():
            # The first one also brings the formula's modules to the minion.
            _job(python, folder, tree, cold=False)
        for _ in range(runs):
            for kind in ("cold", "warm"):
                for commit, tree in trees.items():
                    found[commit][kind].append(_job(python, folder, tree, kind == "cold"))
        yield from _table(found)


def main() -> int:
    """Reads the options and measures."""
    parser = argparse.ArgumentParser(prog="bench/imports", description=__doc__.strip())
    parser.add_argument("commits", nargs="*", help="to compare with; ratios are by the first one")
    parser.add_argument("--runs", type=int, default=15, help="repetitions (15)")
    parser.add_argument("--salt", choices=config.SALT, default="3008", help="Salt release (3008)")
    options = parser.parse_args()
    try:
        python = testenv.ensure(config.settings(os.environ), options.salt) / "bin/python"
        for line in measure(python, [*options.commits, HERE], options.runs):
            print(line)
    except LabError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
