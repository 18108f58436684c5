"""The command line: bench/run."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import ground, table
from bench.measure import ANSIBLE, PLAIN, measure, set_up
from lab import config
from lab.run import LabError, stop_children


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    top = argparse.ArgumentParser(
        prog="bench/run",
        description="Measures the formula against the same set-up by Ansible, or TLS against none.",
    )
    top.add_argument("--hosts", type=_sizes, default=[3, 8], help="sizes of the swarm (3,8)")
    top.add_argument("--runs", type=int, default=3, help="repetitions (3)")
    top.add_argument("--mode", choices=config.MODES, default="classic", help="(classic)")
    top.add_argument(
        "--against",
        choices=(ANSIBLE, PLAIN),
        default=ANSIBLE,
        help="Ansible's modules without TLS, or the formula without TLS (ansible)",
    )
    top.add_argument("--salt", choices=config.SALT, default="3008", help="Salt release (3008)")
    top.add_argument("--out", type=Path, help="also write the table to this file")
    top.add_argument("--keep", action="store_true", help="leave the benchmark's lab up")
    return top


def _sizes(text: str) -> list[int]:
    try:
        sizes = sorted({int(one) for one in text.split(",")})
        for one in sizes:
            config.host_names(one)
    except (ValueError, LabError) as error:
        raise argparse.ArgumentTypeError(f"{text!r}: give numbers like 3,8 ({error})") from error
    return sizes


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark and returns the exit code."""
    options = parser().parse_args(argv)
    try:
        text = _table(options)
    except LabError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        stop_children()
        down = f"SWARM_LAB_NAME={ground.ENV['SWARM_LAB_NAME']} bin/lab down"
        print(f"bench: interrupted; `{down}` cleans up", file=sys.stderr)
        return 130
    print(text)
    if options.out:
        options.out.write_text(text + "\n")
    return 0


def _table(options: argparse.Namespace) -> str:
    lab = ground.open_lab(os.environ)
    results, titles, images = [], {}, None
    try:
        for size in options.hosts:
            sides = set_up(lab, size, options.salt, options.mode, options.against)
            titles = {side.name: side.title() for side in sides}
            images = lab.status()["images"] if options.mode == "classic" else None
            results.append(measure(lab, sides, max(1, options.runs)))
    finally:
        if not options.keep:
            lab.down()
    return table.render(results, titles, images)
