"""One plain table of all that was measured. Pure."""

import os
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from bench.measure import Result
from bench.sides import Run

# A load before a run that makes its times worthless.
BUSY = 2
WIDTHS = (44, 6, 24, 24, 8)


def render(
    results: Sequence[Result], titles: Mapping[str, str], images: Mapping[str, Mapping] | None
) -> str:
    """Returns the table as text; the ratio is the first side's median by the second's.

    `images` are those of classic mode; without them it is the engine's own.
    """
    names = list(titles)
    parts = [
        *(f"{name}: {title}" for name, title in titles.items()),
        _circumstances(results, images),
        "",
        _line("median (min - max)", "hosts", *names, "ratio"),
        "-" * sum(WIDTHS),
        *_runs("installed engines to N healthy, s", results, "converge", "seconds"),
        *_runs("nothing to change, s", results, "again", "seconds"),
        *_reference("bare commands, s (the first row)", results, "floor", "converge"),
        *_reference("trivial state.apply, s (nothing to change)", results, "trivial", "again"),
        *_runs("CPU s of all: installed to healthy", results, "converge", "cpu"),
        *_runs("CPU s of all: nothing to change", results, "again", "cpu"),
        *_memory("peak memory on a host, MB (idle)", results, names, _host),
        *_memory("peak memory of the controller, MB", results, names, _controller),
    ]
    return "\n".join(part.rstrip() for part in parts)


def _circumstances(results: Sequence[Result], images: Mapping[str, Mapping] | None) -> str:
    swarm = images["swarm"]["image"] if images else "the engine's swarm mode"
    if images and images["swarm"]["standin"]:
        swarm += " (a stand-in for tests, NOT swarm)"
    loads = [load for one in results for load in one.load]
    runs = len(next(iter(results[0].converge.values())))
    busy = "; ABOVE 2: others were at work, take it again" if max(loads) > BUSY else ""
    return (
        f"{time.strftime('%Y-%m-%d')}, {swarm}, {os.cpu_count()} CPUs for all hosts,"
        f" {runs} repetitions, load before a run {min(loads):.1f} - {max(loads):.1f}{busy}"
    )


def _line(*cells: object) -> str:
    return "".join(str(cell).ljust(width) for cell, width in zip(cells, WIDTHS, strict=True))


def _runs(title: str, results: Sequence[Result], phase: str, quantity: str) -> Iterable[str]:
    medians = []
    for result in results:
        runs: dict[str, list[Run]] = getattr(result, phase)
        values = [[getattr(one, quantity) for one in each] for each in runs.values()]
        medians.append([statistics.median(each) for each in values])
        ours, theirs = medians[-1]
        yield _line(title, result.hosts, *map(_spread, values), f"{ours / theirs:.2f}")
        title = ""
    if len(results) > 1:
        grown = [last / first for first, last in zip(medians[0], medians[-1], strict=True)]
        sizes = f"{results[0].hosts}>{results[-1].hosts}"
        yield _line("", sizes, *(f"x {one:.2f}" for one in grown), "")


def _reference(title: str, results: Sequence[Result], name: str, phase: str) -> Iterable[str]:
    """Yield what is the least that a row can take, and the first side's ratio to it."""
    for result in results:
        seconds: list[float] = getattr(result, name)
        ours, *_ = getattr(result, phase).values()
        ratio = statistics.median(one.seconds for one in ours) / statistics.median(seconds)
        yield _line(title, result.hosts, _spread(seconds), "", f"{ratio:.2f}")
        title = ""


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.1f} ({min(values):.1f} - {max(values):.1f})"


def _memory(
    title: str, results: Sequence[Result], names: Sequence[str], show: Callable
) -> Iterable[str]:
    for result in results:
        yield _line(title, result.hosts, *(show(result.memory[name]) for name in names), "")
        title = ""


def _host(memory) -> str:
    return f"{memory.host:.0f} ({memory.idle:.0f})"


def _controller(memory) -> str:
    return f"{memory.controller:.0f}"
