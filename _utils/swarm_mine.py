"""
Salt's mine: what minions tell one another, and for whose eyes it is.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, MutableMapping

import swarm_errors
import swarm_nodes
import swarm_wait

MASK = "(not shown)"
_SENDING = "swarm_mine.sending"
# A word that nobody needs, to see whether the master keeps any; and the seconds it may take.
_ECHO, _PATIENCE = "swarm_echo", 30


_FORGETS = (
    "the master does not keep what {me} tells the others: Salt's mine, by which the members of the"
    " swarm learn of each other, does not work. Most often 'minion_data_cache' is False in the"
    " master's configuration: set it to True, which is the default, restart salt-master and apply"
    " again"
)


def members(settings: Mapping) -> str:
    """Return the target of all that may share a secret: who pillar names, and nobody else."""
    return " or ".join(swarm_nodes.members(settings))


class Mine:
    """The mine as a minion sees it, with Salt's dunders of the module that asks."""

    def __init__(self, salt: Mapping[str, Callable], opts: Mapping, context: MutableMapping):
        self._salt, self._context, self._told = salt, context, {}
        self.masterless = opts.get("file_client") == "local"

    def get(self, target: str | list[str], name: str) -> dict:
        """Return what minions have told, ``{minion: value}``: a compound target, or a list."""
        kind = "list" if isinstance(target, list) else "compound"
        return {} if self.masterless else self._salt["mine.get"](target, name, tgt_type=kind) or {}

    def learn(self, me: str, target: str, name: str, own: str) -> object:
        """
        Return what a minion has told, ``None`` for nothing.

        With it comes what this one has told as ``own``, so that ``tell`` need not ask again.
        """
        if self.masterless:
            return None
        found = self._salt["mine.get"]([target, me], [name, own], tgt_type="list") or {}
        self._told[own] = found.get(own, {}).get(me)
        return found.get(name, {}).get(target)

    def send(self, name: str, function: str, allowed: str | None = None) -> None:
        """
        Tell what a function of this minion returns, secrets included.

        allowed
            The compound target of those who may hear it; ``None``: every minion.
        """
        who = {"allow_tgt": allowed, "allow_tgt_type": "compound"} if allowed else {}
        if not self.masterless:
            with self.sending():
                self._salt["mine.send"](name, mine_function=function, **who)

    def tell(
        self, me: str, name: str, value: object, function: str, allowed: str | None = None
    ) -> None:
        """Tell what a function returns, as ``send`` does, unless the mine has this value of it."""
        told = self._told[name] if name in self._told else self.get([me], name).get(me)
        if told != value:
            self.send(name, function, allowed)

    def forget(self, name: str) -> None:
        """Take back what this minion has told."""
        if not self.masterless:
            self._salt["mine.delete"](name)

    def refuse_forgetful(self, me: str) -> None:
        """Raise an error if the master keeps nothing that minions tell: waiting is in vain then."""
        if self.masterless:
            return
        self._salt["mine.send"](_ECHO, mine_function="test.ping")

        def probe() -> str | None:
            return None if self.get([me], _ECHO) else _FORGETS.format(me=me)

        try:
            swarm_wait.until(probe, _PATIENCE)
        except swarm_errors.WaitTimeoutError as err:
            raise swarm_errors.SwarmError(_FORGETS.format(me=me)) from err
        self.forget(_ECHO)

    @contextlib.contextmanager
    def sending(self) -> Iterator[None]:
        """Have functions that mask their secrets for everybody else show them."""
        before = self._context.get(_SENDING)
        self._context[_SENDING] = True
        try:
            yield
        finally:
            self._context[_SENDING] = before

    def secret(self, value: str) -> str:
        """Return a secret if it goes to the mine, and a mask if somebody else asks for it."""
        return value if self._context.get(_SENDING) else MASK
