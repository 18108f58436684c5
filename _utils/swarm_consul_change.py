"""
A change of Consul on one host: in which way Raft takes it, and the way back if it does not work.

Raft decides about the quorum. A new server joins the others and costs them nothing; one that is
restarted or leaves does so in its turn, and only while the rest is a majority.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import swarm_acl
import swarm_actions
import swarm_address
import swarm_consul_file
import swarm_errors
import swarm_kv
import swarm_raft
import swarm_roles
import swarm_trial
import swarm_turn
import swarm_wait
from swarm_raft import Standing

# So many seconds the servers may need to notice that the one before in turn is back.
_NOTICE = 30
# Consul waits on its way out until its servers and its members have noticed.
_LEAVING = 60


class Change:
    """
    Consul of this host, as it is and as it is to be.

    salt
        Salt's execution modules.
    """

    def __init__(self, settings: Mapping, salt: Mapping[str, Callable]) -> None:
        self._settings, self._salt = settings, salt
        self._me, self._limit = settings["id"], settings["timeout"]
        self._name = settings["consul"]["container"]
        self._found, self._addresses, self._differs = Standing(), [], {}

    # --- looking

    def _client(self, timeout: float = 5) -> object:
        # With all rights that this host has: with ACLs, a server has the token.
        return swarm_consul_file.connect(self._settings, swarm_acl.management(), timeout)

    def look(self) -> Standing:
        """Return what Consul here says of its servers; an error if it does not answer."""
        return swarm_raft.look(self._client(), self._settings["servers"])

    def _standing(self) -> Standing:
        try:
            return self.look()
        except swarm_errors.SwarmError:
            return Standing()

    def _seen(self) -> tuple[Standing | None, str | None]:
        """Return what Consul says, and what keeps it from working as a sentence."""
        try:
            found = self.look()
        except swarm_errors.StoreError as err:
            self._salt["swarm_container.check"](self._name)
            return None, str(err)
        if not found.leader:
            self._find_others()
        return found, swarm_kv.missing(self._settings["servers"], set(found.alive), found.leader)

    def _find_others(self) -> None:
        for address in swarm_consul_file.joining():
            with contextlib.suppress(swarm_errors.StoreError):
                swarm_raft.join(self._client(), address)

    def missing(self, led: bool = True) -> str | None:
        """
        Return what Consul here lacks as a sentence, ``None`` for nothing.

        led
            Whether it needs a leader; else it has to answer.
        """
        found, missing = self._seen()
        if found is None or (led and missing):
            return missing
        if led and self._settings["is_server"] and self._me not in found.names:
            return swarm_raft.not_in(found, self._me)
        return None

    def _probed(self, function: Callable[[Standing], str | None]) -> str | None:
        found, missing = self._seen()
        return missing or function(found)

    # --- planning

    def begin(self) -> None:
        """Look at what there is."""
        self._found = self._standing()
        self._addresses = self._to_join()

    @property
    def begins(self) -> bool:
        """Whether a server may begin a cluster: not one that has joined or is to join others."""
        return not (self._addresses or swarm_consul_file.has_joined())

    def _to_join(self) -> list[str]:
        """
        Return the addresses by which a new server finds those that there are, none for no new one.

        Else those would make a cluster of their own, should pillar name new ones only.
        """
        if not self._settings["is_server"] or self._me in self._found.names:
            return []
        if self._found.leader:
            return sorted({swarm_address.host(one.address) for one in self._found.peers})
        fresh = swarm_consul_file.proven() is None
        return swarm_consul_file.joining() or (self._answering() if fresh else [])

    def _answering(self) -> list[str]:
        """Return the addresses of the managers that answer: where they are, Consul is."""
        managers = self._settings["managers"]
        said = self._salt["swarm_classic.managers"]()
        there = [one for one in said if "error" not in said[one] and one != self._me]
        return sorted(managers[one] for one in there)

    def labelled(self, spec: dict, text: str) -> dict:
        """Return the container with the label that it has if it needs no restart for this text."""
        container = self._container()
        if not swarm_consul_file.runs_with(container, text, bool(self._found.leader)):
            return spec
        return {**spec, "labels": container["labels"]}

    def planned(self, spec: dict, text: str) -> dict:
        """Return what differs."""
        self._differs = self._salt["swarm_container.apply"](self._name, spec, test=True)
        return self._differs or swarm_consul_file.changes(text)

    @property
    def _kind(self) -> str:
        # A run that was killed after its leave has written the client's file already.
        was = swarm_consul_file.is_server()
        return swarm_raft.change(self._me, self._settings["is_server"], was, self._found)

    def foretell(self) -> None:
        """Raise the error that refuses a change, as far as it can be told beforehand."""
        if not self._differs or "state" in self._differs:
            return
        why, wanted = None, set(self._settings["servers"])
        if self._kind == swarm_raft.RESTART:
            why = self._no_restart(self._found)
        elif self._kind == swarm_raft.LEAVE and not wanted - self._found.voters:
            why = self._no_leave(self._found)
        if why:
            raise swarm_errors.SwarmError(why)

    def check_fixed(self) -> None:
        """Raise an error if pillar wants what this Consul cannot become."""
        consul, config = self._settings["consul"], swarm_consul_file.config()
        name = config.get("datacenter", consul["datacenter"])
        if name != consul["datacenter"]:
            raise swarm_errors.SwarmError(
                f"swarm:consul:datacenter is {consul['datacenter']}, and Consul of {self._me} runs"
                f" in {name}: servers of two names do not talk to each other. Put {name} back in"
                " pillar; nothing was touched"
            )
        volume = self._volume()
        servers = set() if volume in {None, consul["volume"]} else self._standing().names
        if len(servers) == 1:
            # On clients as well, which would lose nothing: who edits this means all.
            raise swarm_errors.SwarmError(
                f"swarm:consul:volume is {consul['volume']}, and {min(servers)} is the only server"
                f" of Consul: all that it has is in {volume}. Put {volume} back in pillar, or have"
                " three servers first (swarm:consul:servers); nothing was touched"
            )

    def _volume(self) -> str | None:
        """Return the volume that Consul's container has, ``None`` if there is none."""
        mounts = self._container().get("mounts", [])
        found = (one.split(":")[0] for one in mounts if one.endswith(":/consul/data"))
        return next(found, None)

    def _container(self) -> dict:
        try:
            return self._salt["swarm_container.get"](self._name) or {}
        except swarm_errors.SwarmError:
            # Test mode, before the engine is there.
            return {}

    # --- changing

    def make(self, spec: dict, text: str) -> None:
        """Make the change, in the way that Raft asks for."""
        if not self._differs:
            swarm_consul_file.write(text, spec["labels"][swarm_roles.CONFIG_LABEL])
        elif self._kind == swarm_raft.LEAVE:
            self._leave(spec, text)
        elif self._addresses:
            self._join(spec, text)
        else:
            self._renew(spec, text)

    def _renew(self, spec: dict, text: str) -> None:
        """Start Consul or start it anew; its role stays."""
        runs = "state" not in self._differs
        # Else all servers change at once: the first would wait for the others.
        fits = swarm_consul_file.works_with_others(text)
        if self._kind == swarm_raft.RESTART and runs and fits:
            self.restart(spec, text)
            return
        led = bool(self._found.leader) and fits
        self._replace(spec, text, functools.partial(self.missing, led))

    def _replace(self, spec: dict, text: str, probe: Callable[[], str | None]) -> None:
        """Replace container and configuration; those of before come back if it is in vain."""

        def prove() -> None:
            swarm_wait.until(probe, self._limit)

        paths = "swarm:consul:options, swarm:consul:image"
        told = functools.partial(swarm_trial.trial, self._salt, self._name, prove)
        trial = functools.partial(swarm_consul_file.trial, text, told)
        swarm_trial.apply(self._salt, self._name, spec, trial, paths)

    @contextlib.contextmanager
    def _turn(self, refusal: Callable[[Standing], str | None]) -> Iterator[None]:
        """Hold this server's turn to go down, once nothing speaks against that any more."""
        connect = functools.partial(swarm_consul_file.connect, self._settings)
        with swarm_turn.turn(connect, self._me, 3 * self._limit):
            probe = functools.partial(self._probed, refusal)
            swarm_wait.until(probe, min(self._limit, _NOTICE))
            yield

    def restart(self, spec: dict, text: str, then: Callable[[], str | None] | None = None) -> None:
        """Replace a server in its turn; ``then`` says what has to come about in that as well."""

        def back(found: Standing) -> str | None:
            if self._me not in found.alive:
                return f"Consul of {self._me} is not back yet"
            # With an empty volume it is a new one, and votes later than it answers.
            voted = self._me in self._found.voters
            missing = swarm_raft.not_in(found, self._me) if voted else None
            return missing or (then() if then else None)

        with self._turn(self._no_restart):
            self._replace(spec, text, functools.partial(self._probed, back))

    def _no_restart(self, found: Standing) -> str | None:
        # Consul takes a server that is down off Raft's list within a minute, if the others are a
        # majority. It is coming back: with it down, the rest bears no loss.
        due = found.voters | (found.lost & set(self._settings["servers"]))
        return swarm_raft.refusal(due, set(found.alive), self._me)

    # --- becoming a server, and stopping to be one

    def _join(self, spec: dict, text: str) -> None:
        """Become one of the servers that there are: that costs them no quorum."""
        if not (swarm_consul_file.is_server() or swarm_consul_file.was_server()):
            self._set_aside()
        swarm_consul_file.note_joining(self._addresses)
        probe = functools.partial(self._probed, functools.partial(swarm_raft.not_in, me=self._me))
        try:
            self._replace(spec, text, probe)
        except swarm_errors.SwarmError:
            if self._found.leader:
                swarm_consul_file.note_joining([])
            raise
        swarm_consul_file.note_joining([])

    def _set_aside(self) -> None:
        place = self._salt["swarm_volume.path"](self._settings["consul"]["volume"])
        if place:
            swarm_consul_file.set_aside(Path(place))

    def _leave(self, spec: dict, text: str) -> None:
        """Be a server no more: out of Raft's list first, in an orderly way."""
        self._revive()
        # Who comes in place of this one does so without a turn, and must not wait for it.
        swarm_wait.until(self._stays, self._limit)
        out = functools.partial(self._probed, self._still_in)
        if not self._inside():
            self._replace(spec, text, out)
            return
        self._hand_over()
        with self._turn(self._no_leave):
            if self._inside():
                self._go()
            self._replace(spec, text, out)

    def _inside(self) -> bool:
        return self._me in self.look().names

    def _stays(self) -> str | None:
        found, missing = self._seen()
        return missing if found is None else self._no_leave(found)

    def _hand_over(self) -> None:
        """Have another manager lead: the lock of this host's goes with Consul."""
        if self._settings["is_manager"] and len(self._settings["managers"]) > 1:
            self._salt["swarm_classic.hand_over"]()

    def _no_leave(self, found: Standing) -> str | None:
        if self._me not in found.names and (found.leader or found.alive):
            return None  # out already, or it never was let in
        if found.leader:
            return swarm_raft.stays(found, set(self._settings["servers"]), self._me)
        other = next(iter(self._settings["servers"]))
        return (
            f"{self._me} is to be no server of Consul any more (swarm:consul:servers), and cannot"
            " leave the others: Consul here has no leader. Bring the other servers up; if Consul of"
            f" {self._me} is beyond repair: salt {other} swarm_consul.expel {self._me}, then salt"
            f" {self._me} swarm_consul.remove, then apply"
        )

    def _still_in(self, found: Standing) -> str | None:
        inside = self._me in found.names
        return f"Raft's list of Consul's servers still has {self._me}" if inside else None

    def _revive(self) -> None:
        """Start Consul if it was stopped: what does not run cannot leave."""
        if self._found.leader:
            return
        replaced = self._name + swarm_actions.REPLACED
        if not self._container() and self._salt["swarm_container.get"](replaced):
            # A run was killed between this and what was to come in its place.
            self._salt["swarm_container.rename"](replaced, self._name)
        if self._container():
            self._salt["swarm_container.start"](self._name)

    def _go(self) -> None:
        """Have Consul leave, and wait until it has ended."""
        # Docker would start it at once again, as a server.
        self._salt["swarm_container.update"](self._name, {"restart_policy": "no"})
        try:
            swarm_raft.leave(self._client(_LEAVING))
        except swarm_errors.StoreError as err:
            # It may end before it has answered.
            if "refuses" in str(err):
                raise
        swarm_wait.until(self._gone, _LEAVING)

    def _gone(self) -> str | None:
        container = self._salt["swarm_container.get"](self._name) or {}
        still = container.get("status") == "running"
        return f"Consul of {self._me} is on its way out" if still else None
