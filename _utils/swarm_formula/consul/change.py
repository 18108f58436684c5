"""
Change Consul on one host in the way that Raft requires, and roll back if the change fails.

Raft determines the quorum. A new server joins without a risk to it; a server restarts or leaves
only in its turn, and only while the remaining servers are a majority.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from swarm_formula.consul import (
    config_file,
    container_spec,
    leave,
    raft,
    replace,
    schema,
    upgrade,
)
from swarm_formula.consul.raft import Standing
from swarm_formula.consul.standing import Consul
from swarm_formula.core import addresses, errors
from swarm_formula.core.salt_types import Salt
from swarm_formula.core.settings_types import Settings


class Change:
    """
    The current and the wanted state of Consul on this host.

    salt
        Salt's execution modules.
    """

    def __init__(self, settings: Settings, salt: Salt) -> None:
        self._consul = Consul(settings, salt)
        self._settings, self._salt, self._me = settings, salt, settings["id"]
        self._found = Standing()
        self._addresses: list[str] = []
        self._differs: dict[str, Any] = {}

    # --- planning

    def begin(self) -> None:
        """Read the current state of Consul."""
        self._found = self._consul.standing()
        self._addresses = self._to_join()

    @property
    def begins(self) -> bool:
        """Return whether a server may bootstrap a cluster: not if it has joined or joins others."""
        return not (self._addresses or config_file.has_joined())

    def _to_join(self) -> list[str]:
        """
        Return the addresses at which a new server finds the existing ones; none for other hosts.

        Without them, the new servers would form a second cluster if the pillar names only new ones.
        """
        if not self._settings["is_server"] or self._me in self._found.names:
            return []
        if self._found.leader:
            return sorted({addresses.host(one.address) for one in self._found.peers})
        fresh = config_file.proven() is None
        return config_file.joining() or (self._answering() if fresh else [])

    def _answering(self) -> list[str]:
        """Return the addresses of the other managers that answer: Consul runs on the same hosts."""
        managers = self._settings["managers"]
        said = self._salt["swarm_classic.managers"]()
        there = [one for one in said if "error" not in said[one] and one != self._me]
        return sorted(managers[one] for one in there)

    def labelled(self, spec: dict[str, Any], text: str, rekeyed: bool = False) -> dict[str, Any]:
        """
        Return the spec, with the container's present labels if this text requires no restart.

        rekeyed
            Whether the running Consul has the gossip key of the text already.
        """
        container = self._consul.container()
        if not config_file.runs_with(container, text, bool(self._found.leader), rekeyed):
            return spec
        return {**spec, "labels": container["labels"]}

    def planned(self, spec: dict[str, Any], text: str) -> dict[str, Any]:
        """Return the planned changes."""
        self._differs = self._salt["swarm_container.apply"](self._consul.name, spec, test=True)
        return self._differs or config_file.changes(text)

    @property
    def _kind(self) -> str:
        # A run that was killed after the leave has already written the client's file.
        was = config_file.is_server()
        return raft.change(self._me, self._settings["is_server"], was, self._found)

    def foretell(self) -> None:
        """Raise the error that refuses the change, as far as it can be predicted."""
        if not self._differs or "state" in self._differs:
            return
        why, wanted = None, set(self._settings["servers"])
        if self._kind == raft.RESTART:
            why = replace.no_restart(self._consul, self._found)
        elif self._kind == raft.LEAVE and not wanted - self._found.voters:
            why = leave.no_leave(self._consul, self._found)
        if why:
            raise errors.SwarmError(why)

    def check_fixed(self) -> None:
        """Raise an error if the pillar requires a change that this Consul cannot make."""
        consul, config = self._settings["consul"], config_file.config()
        name = config.get("datacenter", consul["datacenter"])
        if name != consul["datacenter"]:
            raise errors.SwarmError(
                f"swarm:consul:datacenter is {consul['datacenter']}, and Consul of {self._me} runs"
                f" in {name}: servers of two names do not talk to each other. Put {name} back in"
                " pillar; nothing was touched"
            )
        volume = self._volume()
        servers = set() if volume in {None, consul["volume"]} else self._consul.standing().names
        if len(servers) == 1:
            # Clients refuse it as well, although they lose nothing: the setting is for all hosts.
            raise errors.SwarmError(
                f"swarm:consul:volume is {consul['volume']}, and {min(servers)} is the only server"
                f" of Consul: all that it has is in {volume}. Put {volume} back in pillar, or have"
                " three servers first (swarm:consul:servers); nothing was touched"
            )

        image = schema.version(consul["image"])
        if image and config_file.is_server():
            why = upgrade.refusal(self._me, upgrade.running(self._settings), image)
            if why:
                raise errors.SwarmError(why)

    def _volume(self) -> str | None:
        """Return the volume of Consul's container, or ``None`` if there is none."""
        mounts = self._consul.container().get("mounts", [])
        found = (one.split(":")[0] for one in mounts if one.endswith(":/consul/data"))
        return next(found, None)

    # --- changing

    def make(self, spec: dict[str, Any], text: str) -> None:
        """Make the change in the way that Raft requires."""
        if not self._differs:
            config_file.write(text, spec["labels"][container_spec.CONFIG_LABEL])
        elif self._kind == raft.LEAVE:
            leave.leave(self._consul, self._found, spec, text)
        elif self._addresses:
            self._join(spec, text)
        else:
            self._renew(spec, text)

    def start(self, spec: dict[str, Any], text: str) -> None:
        """Start the first Consul of this host, without a proof that it works."""
        replace.replace(self._consul, spec, text, lambda: None)

    def prove(self) -> None:
        """Wait until the Consul that ``start`` has started answers."""
        replace.prove(self._consul, functools.partial(self._consul.missing, False))

    def _renew(self, spec: dict[str, Any], text: str) -> None:
        """Start or restart Consul without a change of its role."""
        runs = "state" not in self._differs
        # Otherwise, all servers change at once: in turns, the first would wait for the others.
        fits = config_file.works_with_others(text)
        if self._kind == raft.RESTART and runs and fits:
            self.restart(spec, text)
            return
        led = bool(self._found.leader) and fits
        replace.replace(self._consul, spec, text, functools.partial(self._consul.missing, led))

    def restart(
        self, spec: dict[str, Any], text: str, then: Callable[[], str | None] | None = None
    ) -> None:
        """Replace a server in its turn; ``then`` is one more probe that has to succeed in it."""
        replace.restart(self._consul, self._found, spec, text, then)

    def _join(self, spec: dict[str, Any], text: str) -> None:
        """Join the existing servers, which does not endanger their quorum."""
        if not (config_file.is_server() or config_file.was_server()):
            self._set_aside()
        config_file.note_joining(self._addresses)
        probe = functools.partial(self._consul.probed, functools.partial(raft.not_in, me=self._me))
        try:
            replace.replace(self._consul, spec, text, probe)
        except errors.SwarmError:
            if self._found.leader:
                config_file.note_joining([])
            raise
        config_file.note_joining([])

    def _set_aside(self) -> None:
        place = self._salt["swarm_volume.path"](self._settings["consul"]["volume"])
        if place:
            config_file.set_aside(Path(place))
