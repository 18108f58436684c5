"""
Stand-ins for ``__salt__``: mocks with the signatures of the real execution functions.
"""

import contextlib
import functools
import importlib
import time
from collections import UserDict
from types import SimpleNamespace
from unittest.mock import create_autospec

import salt.modules.aptpkg
import salt.modules.cmdmod
import salt.modules.config
import salt.modules.cp
import salt.modules.network
import salt.modules.pip
import salt.modules.publish
import salt.modules.sdb
import salt.modules.slsutil
import salt.modules.systemd_service
import salt.modules.test

from swarm_formula.builtin import joining, next_step, readiness
from swarm_formula.core import wait

_SALTS_OWN = {
    "cmd": salt.modules.cmdmod,
    "config": salt.modules.config,
    "cp": salt.modules.cp,
    "sdb": salt.modules.sdb,
    "slsutil": salt.modules.slsutil,
    "network": salt.modules.network,
    "pip": salt.modules.pip,
    "publish": salt.modules.publish,
    "pkg": salt.modules.aptpkg,
    "service": salt.modules.systemd_service,
    "test": salt.modules.test,
}


# The libraries that look at the clock on a node's way into a cluster.
CLOCKS = (wait, joining, next_step, readiness)


def own_time(**differs):
    """
    Return a module ``time`` for one module of the formula, with some functions replaced.

    Replaced in Python's own, they would count for other threads, such as those of pytest's plugins,
    which may then sleep for ever.
    """
    return SimpleNamespace(**{**vars(time), **differs})


def real(name):
    """Return the function that a minion has under this name."""
    module, _, function = name.partition(".")
    source = _SALTS_OWN.get(module) or importlib.import_module(f"_modules.{module}")
    written = {alias: own for own, alias in getattr(source, "__func_alias__", {}).items()}
    return getattr(source, written.get(function, function))


def mocked(*names, **returns):
    """
    Return a ``__salt__`` of mocks. A wrong name or argument fails as on a minion.

    ``pkg__version="1"`` is ``pkg.version``, which returns that; an exception is raised, and what
    can be called is called.
    """
    wanted = {
        **dict.fromkeys(names),
        **{key.replace("__", ".", 1): one for key, one in returns.items()},
    }
    return _Functions(
        {name: functools.partial(_mock, real(name), one) for name, one in wanted.items()}
    )


class _Functions(UserDict):
    """Mocks that are made when they are first asked for: to make one takes milliseconds."""

    def __getitem__(self, name):
        value = super().__getitem__(name)
        if isinstance(value, functools.partial) and value.func is _mock:
            value = self[name] = value()
        return value


def _mock(function, value):
    mock = create_autospec(function)
    given = isinstance(value, Exception) or callable(value)
    mock.return_value, mock.side_effect = (None, value) if given else (value, None)
    return mock


def tried(changes, act=None):
    """Return a ``swarm_container.apply`` that does ``act`` and has that tried."""

    def apply(_name, _spec, test=False, trial=contextlib.nullcontext, **_):
        if not test:
            with trial():
                if act:
                    act()
        return changes

    return apply
