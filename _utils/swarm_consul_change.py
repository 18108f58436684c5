"""
Change Consul on one host in the way that Raft requires, and roll back if the change fails.

Raft determines the quorum. A new server joins without a risk to it; a server restarts or leaves
only in its turn, and only while the remaining servers are a majority.
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

# Seconds that the servers may need to notice that the previous server in turn is back.
_NOTICE = 30
# Seconds for a leave: Consul waits until its servers and its members have noticed.
_LEAVING = 60


class Change:
    """
    The current and the wanted state of Consul on this host.

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
        # With all rights that this host has: with ACLs, a server has the management token.
        return swarm_consul_file.connect(self._settings, swarm_acl.management(), timeout)

    def look(self) -> Standing:
        """Return the servers as Consul on this host sees them; an error if it does not answer."""
        return swarm_raft.look(self._client(), self._settings["servers"])

    def _standing(self) -> Standing:
        try:
            return self.look()
        except swarm_errors.SwarmError:
            return Standing()

    def _seen(self) -> tuple[Standing | None, str | None]:
        """Return the servers as Consul sees them, and as a sentence what keeps it from working."""
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
        Return as a sentence what Consul on this host lacks, or ``None``.

        led
            Whether it needs a leader; otherwise it only has to answer.
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
        """Read the current state of Consul."""
        self._found = self._standing()
        self._addresses = self._to_join()

    @property
    def begins(self) -> bool:
        """Return whether a server may bootstrap a cluster: not if it has joined or joins others."""
        return not (self._addresses or swarm_consul_file.has_joined())

    def _to_join(self) -> list[str]:
        """
        Return the addresses at which a new server finds the existing ones; none for other hosts.

        Without them, the new servers would form a second cluster if the pillar names only new ones.
        """
        if not self._settings["is_server"] or self._me in self._found.names:
            return []
        if self._found.leader:
            return sorted({swarm_address.host(one.address) for one in self._found.peers})
        fresh = swarm_consul_file.proven() is None
        return swarm_consul_file.joining() or (self._answering() if fresh else [])

    def _answering(self) -> list[str]:
        """Return the addresses of the other managers that answer: Consul runs on the same hosts."""
        managers = self._settings["managers"]
        said = self._salt["swarm_classic.managers"]()
        there = [one for one in said if "error" not in said[one] and one != self._me]
        return sorted(managers[one] for one in there)

    def labelled(self, spec: dict, text: str, rekeyed: bool = False) -> dict:
        """
        Return the spec, with the container's present labels if this text requires no restart.

        rekeyed
            Whether the running Consul has the gossip key of the text already.
        """
        container = self._container()
        if not swarm_consul_file.runs_with(container, text, bool(self._found.leader), rekeyed):
            return spec
        return {**spec, "labels": container["labels"]}

    def planned(self, spec: dict, text: str) -> dict:
        """Return the planned changes."""
        self._differs = self._salt["swarm_container.apply"](self._name, spec, test=True)
        return self._differs or swarm_consul_file.changes(text)

    @property
    def _kind(self) -> str:
        # A run that was killed after the leave has already written the client's file.
        was = swarm_consul_file.is_server()
        return swarm_raft.change(self._me, self._settings["is_server"], was, self._found)

    def foretell(self) -> None:
        """Raise the error that refuses the change, as far as it can be predicted."""
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
        """Raise an error if the pillar requires a change that this Consul cannot make."""
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
            # Clients refuse it as well, although they lose nothing: the setting is for all hosts.
            raise swarm_errors.SwarmError(
                f"swarm:consul:volume is {consul['volume']}, and {min(servers)} is the only server"
                f" of Consul: all that it has is in {volume}. Put {volume} back in pillar, or have"
                " three servers first (swarm:consul:servers); nothing was touched"
            )

    def _volume(self) -> str | None:
        """Return the volume of Consul's container, or ``None`` if there is none."""
        mounts = self._container().get("mounts", [])
        found = (one.split(":")[0] for one in mounts if one.endswith(":/consul/data"))
        return next(found, None)

    def _container(self) -> dict:
        try:
            return self._salt["swarm_container.get"](self._name) or {}
        except swarm_errors.SwarmError:
            # In test mode, the engine may not be installed yet.
            return {}

    # --- changing

    def make(self, spec: dict, text: str) -> None:
        """Make the change in the way that Raft requires."""
        if not self._differs:
            swarm_consul_file.write(text, spec["labels"][swarm_roles.CONFIG_LABEL])
        elif self._kind == swarm_raft.LEAVE:
            self._leave(spec, text)
        elif self._addresses:
            self._join(spec, text)
        else:
            self._renew(spec, text)

    def _renew(self, spec: dict, text: str) -> None:
        """Start or restart Consul without a change of its role."""
        runs = "state" not in self._differs
        # Otherwise, all servers change at once: in turns, the first would wait for the others.
        fits = swarm_consul_file.works_with_others(text)
        if self._kind == swarm_raft.RESTART and runs and fits:
            self.restart(spec, text)
            return
        led = bool(self._found.leader) and fits
        self._replace(spec, text, functools.partial(self.missing, led))

    def _replace(self, spec: dict, text: str, probe: Callable[[], str | None]) -> None:
        """Replace the container and the configuration; restore the old ones if the probe fails."""

        def prove() -> None:
            swarm_wait.until(probe, self._limit)

        paths = "swarm:consul:options, swarm:consul:image"
        told = functools.partial(swarm_trial.trial, self._salt, self._name, prove)
        trial = functools.partial(swarm_consul_file.trial, text, told)
        swarm_trial.apply(self._salt, self._name, spec, trial, paths)

    @contextlib.contextmanager
    def _turn(self, refusal: Callable[[Standing], str | None]) -> Iterator[None]:
        """Hold the turn of this server, and wait in it until the server may go down."""
        connect = functools.partial(swarm_consul_file.connect, self._settings)
        with swarm_turn.turn(connect, self._me, 3 * self._limit):
            probe = functools.partial(self._probed, refusal)
            swarm_wait.until(probe, min(self._limit, _NOTICE))
            yield

    def restart(self, spec: dict, text: str, then: Callable[[], str | None] | None = None) -> None:
        """Replace a server in its turn; ``then`` is one more probe that has to succeed in it."""

        def back(found: Standing) -> str | None:
            if self._me not in found.alive:
                return f"Consul of {self._me} is not back yet"
            # With an empty volume, it is a new server, which answers before it may vote.
            voted = self._me in self._found.voters
            missing = swarm_raft.not_in(found, self._me) if voted else None
            return missing or (then() if then else None)

        with self._turn(self._no_restart):
            self._replace(spec, text, functools.partial(self._probed, back))

    def _no_restart(self, found: Standing) -> str | None:
        # Consul removes a server that is down from Raft's list within a minute, if the others are a
        # majority. It still counts here, as it is coming back: until then, the remaining servers
        # tolerate no further loss.
        due = found.voters | (found.lost & set(self._settings["servers"]))
        return swarm_raft.refusal(due, set(found.alive), self._me)

    # --- becoming a server, and becoming a client

    def _join(self, spec: dict, text: str) -> None:
        """Join the existing servers, which does not endanger their quorum."""
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
        """Turn a server into a client: first, it leaves Raft's list gracefully."""
        self._revive()
        # The server that takes over joins without a turn, and must not have to wait for this one.
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
        """Hand the lead to another manager: this manager's lock ends with Consul on its host."""
        if self._settings["is_manager"] and len(self._settings["managers"]) > 1:
            self._salt["swarm_classic.hand_over"]()

    def _no_leave(self, found: Standing) -> str | None:
        if self._me not in found.names and (found.leader or found.alive):
            return None  # already removed, or never admitted
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
        """Start Consul if it is stopped: only a running server can leave."""
        if self._found.leader:
            return
        replaced = self._name + swarm_actions.REPLACED
        if not self._container() and self._salt["swarm_container.get"](replaced):
            # A run was killed after it renamed the container and before it created the new one.
            self._salt["swarm_container.rename"](replaced, self._name)
        if self._container():
            self._salt["swarm_container.start"](self._name)

    def _go(self) -> None:
        """Make Consul leave, and wait until its container has stopped."""
        # Otherwise, Docker would restart it at once, as a server.
        self._salt["swarm_container.update"](self._name, {"restart_policy": "no"})
        try:
            swarm_raft.leave(self._client(_LEAVING))
        except swarm_errors.StoreError as err:
            # Consul may exit before it has answered.
            if "refuses" in str(err):
                raise
        swarm_wait.until(self._gone, _LEAVING, fixed=True)

    def _gone(self) -> str | None:
        container = self._salt["swarm_container.get"](self._name) or {}
        still = container.get("status") == "running"
        return f"Consul of {self._me} is on its way out" if still else None
