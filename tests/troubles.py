"""
The table of docs/troubleshooting.md: its rows, and how a test goes through one of them.

``tests/integration/troubles.py`` and ``tests/builtin/troubles.py`` say for each text of the table
how it is provoked on real hosts, and what its cure is. Of these, CI takes a sample;
``SWARM_TEST_ROWS=all`` takes all, ``SWARM_TEST_ROWS=6`` so many, ``SWARM_TEST_SEED`` other ones.
"""

import os
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

PAPER = Path(__file__).resolve().parents[1] / "docs/troubleshooting.md"
TITLE = "Error messages"


class Trouble(NamedTuple):
    """Something that goes wrong, and what the table says of it."""

    texts: tuple[str, ...]  # as the table has them
    steps: Callable[[object], Iterator[str]]  # provokes it, yields what is said, cures it
    cheap: bool  # it may be in CI's sample
    anew: bool  # its cure makes another cluster

    @property
    def id(self) -> str:
        """The name that the test has."""
        return self.steps.__name__


class Table(list):
    """The troubles of one mode, and the texts that tests elsewhere provoke and cure."""

    def __init__(self, elsewhere: dict[str, str]) -> None:
        super().__init__()
        self.elsewhere = elsewhere

    def row(self, *texts: str, cheap: bool = False, anew: bool = False) -> Callable:
        """Take a function into the table."""

        def kept(steps: Callable) -> Callable:
            self.append(Trouble(texts, steps, cheap, anew))
            return steps

        return kept

    def texts(self) -> set[str]:
        """Return all texts that are provoked, here or elsewhere."""
        return {text for one in self for text in one.texts} | set(self.elsewhere)

    def chosen(self, count: int) -> list[Trouble]:
        """Return the troubles that this run is for: ``count`` by default."""
        asked = os.environ.get("SWARM_TEST_ROWS", "")
        if asked == "all":
            return list(self)
        cheap = [one for one in self if one.cheap]
        seed = random.Random(int(os.environ.get("SWARM_TEST_SEED", "0")))  # noqa: S311
        return seed.sample(cheap, min(int(asked or count), len(cheap)))


def texts() -> list[str]:
    """Return the texts of the table: what is marked as code in its first column."""
    section = PAPER.read_text().split(f"## {TITLE}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    return [text for row in rows for text in re.findall(r"`([^`]+)`", row.split(" | ")[0])]


def pattern(text: str) -> re.Pattern:
    """
    Return what a text of the table stands for.

    ``...`` is anything; a number, a minion of the table and an address are any.
    """
    escaped = re.escape(text).replace(r"\.\.\.", ".*").replace(r"\ ", " ")
    numbered = re.sub(r"\d+", r"\\d+", re.sub(r"\bN\b", "0", escaped))
    return re.compile(numbered, flags=re.DOTALL)


def go_through(trouble: Trouble, cluster: object) -> None:
    """Provoke it, see that it is said as the table has it, cure it, and see that all is well."""
    steps = trouble.steps(cluster)
    try:
        said = next(steps)
        for text in trouble.texts:
            assert pattern(text).search(said), f"table: {text}\nsaid: {said or 'nothing'}"
        assert "Traceback" not in said
    finally:
        # The cure is what comes after the text; also where that was another one.
        next(steps, None)
    cluster.apply()
    assert cluster.apply() == {}
