"""
Consul's servers as Raft has them: what may go down, who comes in, and who leaves.
"""

import random

import pytest

from swarm_formula.consul import agent_api, raft
from swarm_formula.consul.raft import ALONE, CLIENT, JOIN, LEAVE, RESTART, Peer, Standing
from swarm_formula.core import errors
from swarm_formula.core.quorum import majority
from tests.unit.pillars import FILES, HOSTS

SERVERS = [f"m{n}" for n in range(1, 6)]


def standing(names, alive=None, joining="", leader="m1"):
    """Return what Consul says; ``joining`` are in Raft's list and no voters yet."""
    peers = [Peer(one, f"{one}:8300", one not in joining.split()) for one in names.split()]
    return Standing(leader, tuple(peers), frozenset((names if alive is None else alive).split()))


@pytest.mark.parametrize(
    ("names", "alive", "words"),
    [
        ("m1", "m1", None),
        ("m1 m2 m3", "m1 m2 m3", None),
        ("m1 m2 m3", "m2 m3", None),
        ("m1 m2 m3", "m1 m2", "2 of 3 servers are needed, and 1 would be left; bring m3 up first"),
        ("m1 m2 m3", "m1", "2 of 3 servers are needed, and 0 would be left; bring m2, m3 up first"),
        # Two bear no loss: without this, neither would ever take a new certificate.
        ("m1 m2", "m1 m2", None),
        ("m1 m2", "m1", "2 of 2 servers are needed, and 0 would be left; bring m2 up first"),
        ("m1 m2 m3 m4 m5", "m1 m2 m3 m4", None),
        ("m1 m2 m3 m4 m5", "m1 m2 m3", "3 of 5 servers are needed, and 2 would be left"),
        # who is in Raft's list counts, whatever pillar names
        ("m2 m3", "m2 m3", None),
    ],
)
def test_quorum_is_kept_in_a_restart(names, alive, words):
    found = standing(names, alive)
    why = raft.refusal(found.voters, set(found.alive), "m1")
    assert (why is None) is (words is None)
    assert not words or words in why


def test_server_that_is_back_and_no_voter_yet_is_waited_for():
    why = raft.refusal({"m1", "m2"}, {"m1", "m2", "m3"}, "m2", "removing")
    assert why.endswith("; wait until Raft counts m3, some seconds after its start")
    assert raft.refusal({"m1", "m2", "m3"}, {"m1", "m2", "m3"}, "m2", "removing") is None


def test_server_that_is_gone_for_good_has_a_cure():
    why = raft.refusal({"m1", "m2", "m3"}, {"m1", "m2"}, "m1")
    assert "salt m2 swarm_consul.expel m3" in why


@pytest.mark.parametrize(
    ("found", "wanted", "words"),
    [
        (standing("m1"), "m2", "m1 stays a server of Consul until m2"),
        (standing("m1 m2", joining="m2"), "m2", "until m2 of swarm:consul:servers is in"),
        (standing("m1 m2"), "m2", None),
        (standing("m1 m2 m3"), "m2 m3 m4", "until m4"),
        (standing("m1 m2 m3 m4"), "m2 m3 m4", None),
        (standing("m1 m2 m3 m4", "m1 m2 m3"), "m2 m3 m4", None),
        (standing("m1 m2 m3 m4", "m1 m2"), "m2 m3 m4", "would cost the quorum: 2 of 3"),
        (standing("m1 m2", "m1"), "m2", "would cost the quorum: 1 of 1"),
    ],
)
def test_who_is_to_be_no_server_stays_until_the_others_do_without(found, wanted, words):
    why = raft.stays(found, set(wanted.split()), "m1")
    assert (why is None) is (words is None), why
    assert not words or words in why


@pytest.mark.parametrize(
    ("found", "server", "was", "kind"),
    [
        (standing("m1 m2"), True, True, RESTART),
        (standing("m2 m3"), True, False, JOIN),
        (standing("m2 m3"), True, True, JOIN),
        (standing("m1 m2"), False, True, LEAVE),
        (standing("m2 m3"), False, False, CLIENT),
        (standing("m2 m3"), False, True, CLIENT),
        (standing("", leader=""), True, False, ALONE),
        (standing("", leader=""), False, False, ALONE),
        (standing("m1 m2", leader=""), False, True, LEAVE),
    ],
)
def test_what_a_change_means(found, server, was, kind):
    assert raft.change("m1", server, was, found) == kind


class Model:
    """Hosts that apply, each when chance has it, and Raft's list as it follows from that."""

    def __init__(self, seed):
        self.chance = random.Random(seed)  # noqa: S311  not for secrets
        self.wanted = set(self.chance.sample(SERVERS, self.chance.choice([1, 2, 3, 5])))
        self.raft = dict.fromkeys(self.wanted, True)
        self.down = set()

    @property
    def standing(self):
        alive = frozenset(one for one in self.raft if one not in self.down)
        peers = tuple(Peer(one, f"{one}:8300", voter) for one, voter in self.raft.items())
        return Standing("somebody" if self.has_quorum() else "", peers, alive)

    def has_quorum(self):
        voters = {one for one, voter in self.raft.items() if voter}
        return len(voters - self.down) >= majority(len(voters))

    def promote(self):
        """Have Consul's autopilot make voters of those who have come."""
        self.raft = {one: voter or one not in self.down for one, voter in self.raft.items()}

    def apply(self, host):
        """Have a host apply; return whether it has nothing more to do."""
        found = self.standing
        kind = raft.change(host, host in self.wanted, host in self.raft, found)
        if kind == JOIN:
            self.raft[host] = False
        if kind == LEAVE:
            if raft.stays(found, self.wanted, host):
                return False
            del self.raft[host]
        if kind == RESTART and raft.refusal(found.voters, set(found.alive), host) is None:
            self.restart(host)
        return kind != JOIN

    def restart(self, host):
        """Have a server go down for a moment, as with each change of its options."""
        small = len(self.standing.voters) <= 2
        self.down.add(host)
        assert small or self.has_quorum(), f"{host} has cost the quorum of {self.raft}"
        self.down.discard(host)

    def round(self):
        """Have all hosts that are up apply at the same time; return whether all are done."""
        hosts = [one for one in SERVERS if one not in self.down]
        done = True
        for host in self.chance.sample(hosts, len(hosts)):
            done &= self.apply(host)
            assert self.has_quorum(), f"{host} has cost the quorum of {self.raft}"
            if self.chance.random() < 0.5:
                self.promote()
        self.promote()
        return done

    def fail(self):
        """Have a host go down that the others can do without; the one before is up again."""
        self.down = set()
        host = self.chance.choice(SERVERS)
        self.down = {host}
        if not self.has_quorum():
            self.down = set()


@pytest.mark.parametrize("seed", range(20))
def test_any_way_through_lists_of_servers_converges_and_keeps_the_quorum(seed):
    model = Model(seed)
    for _ in range(200):
        if model.chance.random() < 0.3:
            model.fail()
        model.wanted = set(model.chance.sample(SERVERS, model.chance.choice([1, 2, 3, 4, 5])))
        # As long as somebody is away, it need not end; and it must do no harm.
        for _ in range(model.chance.choice([0, 1, 3])):
            model.round()
        model.down = set()
        if model.chance.random() < 0.5:
            for _ in range(2 + len(SERVERS)):
                if model.round() and set(model.raft) == model.wanted:
                    break
            assert set(model.raft) == model.wanted


# ---- what Consul says


def look(agent):
    """Return what the agent says."""
    return raft.look(agent_api.connect(agent.settings, FILES), HOSTS)


def test_raft_is_read(agent):
    agent.raft = {"m1": True, "m2": False}
    assert look(agent) == Standing(
        "10.77.0.11:8300",
        (Peer("m1", "10.77.0.11:8300"), Peer("m2", "10.77.0.12:8300", voter=False)),
        frozenset({"m1", "m2", "m3"}),
    )


def test_server_that_is_a_client_by_now_has_a_name(agent):
    agent.raft = {"m1": True, "m4": True}
    assert look(agent).names == {"m1", "m4"}


def test_who_must_not_ask_for_votes_counts_all(agent):
    """A client has no token."""
    agent.management, agent.raft = "secret", {"m1": True, "m2": False}
    assert look(agent).voters == {"m1", "m2"}


def test_refusals_are_told(agent):
    client = agent_api.connect(agent.settings, FILES)
    agent.leader = ""
    with pytest.raises(errors.StoreError, match=r"Consul refuses \(raft\)"):
        raft._configuration(client, {})
