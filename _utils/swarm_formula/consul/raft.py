"""
Read and change Consul's Raft peers. The quorum is a majority of Raft's voters, not of the pillar.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import requests

from swarm_formula.consul import acl, agent_api
from swarm_formula.core import addresses, errors
from swarm_formula.core.quorum import majority

_CONFIGURATION = "/v1/operator/raft/configuration"
RESTARTING = "restarting"
# What a change of Consul on a host means for Raft.
ALONE, CLIENT, JOIN, RESTART, LEAVE = "alone", "client", "join", "restart", "leave"


class Peer(NamedTuple):
    """A server in Raft's list; a new server is not a voter at first."""

    name: str
    address: str  # host:port
    voter: bool = True


class Standing(NamedTuple):
    """The view of this host's Consul: the leader, Raft's list, the servers that are alive."""

    leader: str = ""
    peers: tuple[Peer, ...] = ()
    alive: frozenset[str] = frozenset()
    lost: frozenset[str] = frozenset()  # known servers that are not alive

    @property
    def names(self) -> set[str]:
        """Return all servers in Raft's list."""
        return {peer.name for peer in self.peers}

    @property
    def voters(self) -> set[str]:
        """Return the servers that count for the quorum."""
        return {peer.name for peer in self.peers if peer.voter}


def _names(members: list[dict[str, Any]]) -> dict[str, str]:
    """Return ``{host: name}`` of all members, servers and clients. Pure."""
    return {one["Addr"]: one["Name"] for one in members if one.get("Addr")}


def _named(address: str, names: Mapping[str, str]) -> str:
    return names.get(addresses.host(address), address)


def _configuration(client: agent_api.Client, names: Mapping[str, str]) -> list[Peer]:
    answer = agent_api.call("raft", client.http.get, lambda response: response, _CONFIGURATION)
    if answer.code != requests.codes.ok:
        raise errors.StoreError(f"Consul refuses (raft): {answer.body}")
    try:
        servers = json.loads(answer.body)["Servers"]
        # Consul's answer has no name for a host that is a client by now, hence ``names``.
        return [
            Peer(_named(one["Address"], names), one["Address"], bool(one["Voter"]))
            for one in servers
        ]
    except (KeyError, TypeError, ValueError) as err:
        raise errors.StoreError(
            f"Consul's answer on its Raft peers is not understood ({type(err).__name__}: {err})"
        ) from err


def peers(client: agent_api.Client, names: Mapping[str, str]) -> list[Peer]:
    """
    Return Raft's list of servers.

    client
        Has the management token, if ACLs are enabled. Without permission to read which peers vote,
        all count as voters: this requires more servers rather than fewer.

    names
        ``{host: name}`` of hosts that may be in the list.
    """
    try:
        return _configuration(client, names)
    except errors.StoreError:
        found = agent_api.call("raft", client.status.peers)
        return [Peer(_named(address, names), address) for address in found or []]


def look(client: agent_api.Client, servers: Mapping[str, str]) -> Standing:
    """
    Return the state of the servers from this host's Consul; raise an error if it does not answer.

    servers
        ``{name: address}`` from the pillar, for names that the list of members does not provide.
    """
    leader = agent_api.leader(client)
    names = {address: name for name, address in servers.items()}
    lost: set[str] = set()
    try:
        members = agent_api.members(client)
    except errors.StoreError:
        if acl.vouches():
            raise
        alive = agent_api.servers_in_catalog(client) if leader else set()
    else:
        names, alive = {**names, **_names(members)}, agent_api.alive_servers(members)
        lost = agent_api.lost_servers(members)
    return Standing(leader, tuple(peers(client, names)), frozenset(alive), frozenset(lost))


def change(me: str, server: bool, was_server: bool, found: Standing) -> str:
    """
    Return what a change of this host's Consul means for Raft. Pure.

    server
        Whether the pillar defines a server on this host.

    was_server
        Whether this host's Consul was a server before.
    """
    if not found.leader:
        return LEAVE if was_server and not server else ALONE
    if server:
        return RESTART if me in found.names else JOIN
    return LEAVE if me in found.names else CLIENT


def refusal(voters: set[str], alive: set[str], me: str, doing: str = RESTARTING) -> str | None:
    """
    Return why a server must not go down, ``None`` if it may. Pure.

    One or two voters tolerate no failure: they may be restarted while all of them are up.
    """
    need, rest = majority(len(voters)), (voters & alive) - {me}
    absent = voters - alive - {me}
    short = doing == RESTARTING and len(voters) <= 2 and not absent  # noqa: PLR2004
    if me not in voters or short or len(rest) >= need:
        return None
    return _costs(f"{doing} Consul on {me}", voters, rest, absent, alive - voters - {me})


def _cure(absent: Collection[str], joining: Collection[str]) -> str:
    """
    Return what an operator does about a lack of voters.

    joining
        Servers that are alive and no voters. Raft drops a server that was off, and takes it in
        again some seconds after it is back.
    """
    if joining and not absent:
        return f"wait until Raft counts {', '.join(sorted(joining))}, some seconds after its start"
    return f"bring {', '.join(sorted(absent)) or 'more'} up first"


def _costs(
    what: str, voters: set[str], rest: set[str], absent: set[str], joining: Collection[str]
) -> str:
    text = (
        f"{what} would cost the quorum: {majority(len(voters))} of {len(voters)} servers are"
        f" needed, and {len(rest)} would be left; {_cure(absent, joining)}"
    )
    if absent and rest:
        text += (
            f" (for a server that is gone for good: salt {min(rest)} swarm_consul.expel"
            f" {min(absent)})"
        )
    return text


def stays(found: Standing, wanted: set[str], me: str) -> str | None:
    """
    Return why this host must remain a Consul server for now, ``None`` if it may stop. Pure.

    All servers in the pillar have to be voters first, so that Raft never has fewer voters than the
    pillar has servers.
    """
    if missing := sorted(wanted - found.voters):
        return (
            f"{me} stays a server of Consul until {', '.join(missing)} of swarm:consul:servers"
            f" {'is' if len(missing) == 1 else 'are'} in Raft's list: apply swarm there as well"
        )
    rest = found.voters - {me}
    need, alive = majority(len(rest)), rest & found.alive
    if len(alive) >= need:
        return None
    what = f"taking {me} off Consul's servers"
    return _costs(what, rest, alive, rest - alive, found.alive - found.voters)


def not_in(found: Standing, me: str) -> str | None:
    """Return why Raft does not count this server as a voter, ``None`` if it does. Pure."""
    if me in found.voters:
        return None
    have = ", ".join(sorted(found.names)) or "nobody"
    word = "has it as no voter yet" if me in found.names else f"has {have}"
    return f"Consul's servers have not taken {me} in: Raft's list {word}"


def join(client: agent_api.Client, address: str) -> None:
    """Make this host's Consul join the cluster through the agent at an address."""
    path = f"/v1/agent/join/{address}"
    answer = agent_api.call("join", client.http.put, lambda response: response, path)
    if answer.code != requests.codes.ok:
        raise errors.StoreError(f"Consul refuses (join {address}): {answer.body}")


def leave(client: agent_api.Client) -> None:
    """Make this host's Consul leave and stop. Only other servers can tell whether it is out."""
    answer = agent_api.call("leave", client.http.put, lambda response: response, "/v1/agent/leave")
    if answer.code != requests.codes.ok:
        raise errors.StoreError(f"Consul refuses (leave): {answer.body}")
