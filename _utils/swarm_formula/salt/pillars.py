"""
Compile the pillars of many minions at once.

Salt makes a dozen loaders for each pillar, and each lists its folders of modules twice: most of the
CPU time of a pillar. Here, processes that do nothing else compile the pillars, on all cores, and
their loaders share the lists. Each pillar has loaders of its own, as always: a minion's grains and
pillar never get into those of the next.
"""

import contextlib
import copy
import functools
import importlib
import logging
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import salt.loader.lazy

log = logging.getLogger(__name__)

Compile = Callable[[str], object]
Pillars = dict[str, object]

# Fewer pillars than this are compiled by the process itself: a child takes a while to start.
_FEW = 8
_MOST_CHILDREN = 8
# What a loader knows after it has listed its folders.
_LISTED = ("file_mapping", "suffix_map", "suffix_order")


def compiled(minions: Iterable[str], one: Compile) -> Pillars:
    """
    Return the pillars of minions, in their order.

    one
        Compiles the pillar of a minion. An error that it raises for any of them is raised.
    """
    names = list(minions)
    found = _parallel(names, one) if len(names) >= _FEW else {}
    # Where a child has failed, this process has the same error, or none.
    return {name: found[name] if name in found else one(name) for name in names}


def _parallel(names: list[str], one: Compile) -> Pillars:
    """Return the pillars that children compile; those of a child that fails are missing."""
    # A daemonic process may not have children.
    if multiprocessing.current_process().daemon:
        return {}
    count = min(len(os.sched_getaffinity(0)), _MOST_CHILDREN, len(names) // 2)
    found: Pillars = {}
    with contextlib.ExitStack() as stack:
        started = [stack.enter_context(_child(names[at::count], one)) for at in range(count)]
        for receiver in started:
            found |= _received(receiver)
    return found


@contextlib.contextmanager
def _child(names: list[str], one: Compile) -> Iterator[Connection]:
    """Have a child compile pillars; give the end of the pipe at which they arrive."""
    # Forked, a child has the modules and the options of this process.
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process: BaseProcess = context.Process(target=_compile, args=(names, one, sender))
    process.start()
    # Else no end of the child would be seen.
    sender.close()
    try:
        yield receiver
    finally:
        receiver.close()
        process.terminate()
        process.join()


def _received(receiver: Connection) -> Pillars:
    try:
        found: Pillars = receiver.recv()
    except (EOFError, OSError) as err:
        log.warning("swarm: a process that compiles pillars has ended early: %s", err)
        return {}
    return found


def _compile(names: list[str], one: Compile, sender: Connection) -> None:
    """Compile pillars in a child, and send those without an error."""
    found: Pillars = {}
    _lighten_loaders()
    for name in names:
        try:
            found[name] = one(name)
        except Exception as err:
            # The parent tries it once more, and raises the error where it belongs.
            log.debug("swarm: no pillar of %s from a child: %s", name, err)
    sender.send(found)


def _lighten_loaders() -> None:
    """
    Have the loaders of this process, which only compiles pillars, do some of their work once.

    Salt has no option for it. A release that works otherwise is left as it is.
    """
    loader = salt.loader.lazy.LazyLoader
    if lister := getattr(loader, "_refresh_file_mapping", None):
        loader._refresh_file_mapping = _once_each(lister)
    # For each loader, Salt 3008 asks whether there are any options, and counts all to tell.
    with contextlib.suppress(ImportError, AttributeError):
        options = importlib.import_module("salt.utils.optsdict").OptsDict
        options.__bool__ = _has_any(options._get_all_keys)


def _has_any(keys: Callable[[Any], Iterable[str]]) -> Callable[[Any], bool]:
    """Return a function that tells whether options are not empty, from all keys of their layers."""
    return lambda options: any(key in options for key in keys(options))


def _once_each(lister: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return a function that lists the folders of a loader unless one like it has done so."""
    known: dict[tuple[Any, ...], dict[str, Any]] = {}

    @functools.wraps(lister)
    def listed(loader: Any) -> None:
        key = (loader.tag, *map(tuple, (loader.module_dirs, loader.static_modules)))
        key = (*key, frozenset(loader.disabled))
        if key in known:
            # A loader may change its own.
            vars(loader).update({name: copy.copy(one) for name, one in known[key].items()})
            return
        lister(loader)
        known[key] = {name: copy.copy(getattr(loader, name)) for name in _LISTED}

    return listed
