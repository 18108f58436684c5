"""
Read and write Salt's mine, and limit which minions may read a value.
"""

import fnmatch
import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any

import salt.config
import salt.utils.mine
from salt.exceptions import SaltReqTimeoutError

from swarm_formula.core import errors, member_rules, wait
from swarm_formula.core.salt_types import Salt
from swarm_formula.core.settings_types import Settings
from swarm_formula.salt import master_request

# The type of the targets, and its wildcards.
TYPE = "pcre"
_WILD = {"*": ".*", "?": "."}
# A name in the mine that only tests whether the master stores mine data; and the seconds to wait.
_ECHO, _PATIENCE = "swarm_echo", 30
# The mine stores what a function returns: this one returns its argument. A function of ours that
# returned the secrets could be called by others as well.
_VALUE = "test.outputter"

_FORGETS = (
    "the master does not keep what {me} tells the others: Salt's mine, by which the members of the"
    " swarm learn of each other, does not work. Most often 'minion_data_cache' is False in the"
    " master's configuration: set it to True, which is the default, restart salt-master and apply"
    " again"
)
_NO_VALUES = (
    "this minion cannot write to Salt's mine, because it has no test.outputter: add test to"
    " 'whitelist_modules' or remove it from 'disable_modules' in the minion's configuration,"
    " restart salt-minion and apply again"
)
_SILENT = (
    "the master {master} does not answer: check that salt-master is running and not overloaded, and"
    " apply again"
)


@functools.cache
def _has_one_master(conf_file: str) -> bool:
    """
    Check whether a minion with this configuration is connected to one master only, which is known.

    The options in a job do not tell: for each of its masters, the process of the minion has options
    as if that were the only one, and all of them have ``multimaster``.
    """
    config = salt.config.minion_config(conf_file, cache_minion_id=False)
    master = config["master"]
    one = isinstance(master, str) or len(master) == 1
    return one and config["master_type"] == "str"


def members(settings: Settings) -> str:
    """Return the target of the minions that may share a secret: only those in the pillar."""
    return target(member_rules.members(settings))


def others(settings: Settings) -> str:
    """Return the target of all members but this minion."""
    return f"(?!{re.escape(settings['id'])}$){members(settings)}"


def target(globs: Iterable[str]) -> str:
    """
    Return the target for minion IDs and globs of them, of the type ``pcre``.

    The master compares the IDs of all accepted minions with it, for each record that a minion
    reads. With a compound target, it does so for each of its words.
    """
    return f"(?:{'|'.join(map(_pattern, globs))})$"


def _pattern(glob: str) -> str:
    """
    Return a glob as a regular expression.

    The expressions of ``fnmatch.translate`` depend on the version of Python, and the master may
    have another one.
    """
    return re.sub(r"\[!?.[^\]]*\]|.", lambda part: _WILD.get(part[0]) or _literal(part[0]), glob)


def _literal(part: str) -> str:
    """Return a character that is no wildcard, or a class of characters."""
    # Only the frame of the translation of a class differs between versions: "(?s:" and ")\\Z".
    return re.escape(part) if len(part) == 1 else fnmatch.translate(part)[4:-3]


class Mine:
    """
    Access to the mine of a minion, with the Salt dunders of the calling module.

    A minion sends its requests itself, in a state run through the connection by which it gets
    files: each of Salt's ``mine.get`` loads the key of the minion and connects anew. Salt's
    ``mine.send`` passes the value to the process of the minion, waits for half a second and does
    not know whether it was stored; it is used with several masters, to all of which that process
    sends the value.
    """

    def __init__(self, salt: Salt, opts: Mapping[str, Any]) -> None:
        self._salt, self._opts = salt, opts
        self._told: dict[str, object] = {}
        self.masterless = opts.get("file_client") == "local"
        self._asks_itself = "master_uri" in opts

    @property
    def _tells_itself(self) -> bool:
        return self._asks_itself and _has_one_master(self._opts["conf_file"])

    def get(self, target: str | list[str], name: str | list[str]) -> dict[str, Any]:
        """
        Return ``{minion: value}`` from the mine, for a target or a list of minions; for a list of
        names, ``{name: {minion: value}}``.
        """
        kind = "list" if isinstance(target, list) else TYPE
        return {} if self.masterless else self._get(target, name, kind) or {}

    def _get(self, target: str | list[str], name: str | list[str], kind: str) -> Any:
        if self._asks_itself:
            return self._request("_mine_get", tgt=target, fun=name, tgt_type=kind)
        return self._salt["mine.get"](target, name, tgt_type=kind)

    def _request(self, command: str, **load: object) -> Any:
        """Send a request to the master, and return its answer."""
        request = {"cmd": command, "id": self._opts["id"], **load}
        try:
            return master_request.send(self._opts, request)
        except SaltReqTimeoutError as err:
            raise errors.SwarmError(_SILENT.format(master=self._opts.get("master"))) from err

    def learn(self, me: str, target: str, name: str, own: str) -> object:
        """
        Return a minion's value from the mine, ``None`` if there is none.

        The same request gets this minion's value of ``own``, which saves ``tell`` a request.
        """
        if self.masterless:
            return None
        found = self.get([target, me], [name, own])
        self._told[own] = found.get(own, {}).get(me)
        return found.get(name, {}).get(target)

    def send(self, name: str, value: object, allowed: str | None = None) -> None:
        """
        Send a value to the mine.

        allowed
            The target of the minions that may read it, see ``target``; ``None``: all minions.
        """
        who = {"allow_tgt": allowed, "allow_tgt_type": TYPE} if allowed else {}
        if self.masterless:
            return
        if self._tells_itself:
            stored = salt.utils.mine.wrap_acl_structure(value, **who) if who else value
            self._request("_mine", data={name: stored})
            return
        if _VALUE not in self._salt:
            raise errors.SwarmError(_NO_VALUES)
        # By keyword: Salt takes a positional mapping as keyword arguments of the function.
        self._salt["mine.send"](name, mine_function=_VALUE, data=value, **who)

    def tell(self, me: str, name: str, value: object, allowed: str | None = None) -> None:
        """Send a value, as ``send`` does, unless the mine has it."""
        told = self._told[name] if name in self._told else self.get([me], name).get(me)
        if told != value:
            self.send(name, value, allowed)

    def forget(self, name: str) -> None:
        """Delete this minion's value from the mine."""
        if self.masterless:
            return
        if self._tells_itself:
            self._request("_mine_delete", fun=name)
        else:
            self._salt["mine.delete"](name)

    def refuse_forgetful(self, me: str) -> None:
        """Raise an error if the master stores no mine data, because waiting for it is useless."""
        if self.masterless:
            return
        self.send(_ECHO, True)

        def probe() -> str | None:
            return None if self.get([me], _ECHO) else _FORGETS.format(me=me)

        try:
            wait.until(probe, _PATIENCE)
        except errors.WaitTimeoutError as err:
            raise errors.SwarmError(_FORGETS.format(me=me)) from err
        self.forget(_ECHO)
