import contextlib
import itertools
from unittest.mock import Mock

import docker
import pytest

from _modules import swarm_builtin, swarm_leader
from swarm_formula.builtin import adoption, departure, joining, node_update
from swarm_formula.cluster import leading, node_info, roles, swarm_api
from swarm_formula.cluster import update as cluster_update
from swarm_formula.core import errors, host_files, wait
from swarm_formula.daemon import dockerd
from swarm_formula.salt import caller
from tests.unit.clock import Clock
from tests.unit.cluster_api import ClusterApi, node
from tests.unit.execution import own_time
from tests.unit.pillars import BUILTIN, settings_of
from tests.unit.pillars import node as minion

# By this read of the mine, another host has created the cluster.
CREATED = 4


def record(host, token="worker-0"):  # noqa: S107
    address = f"10.77.0.1{host[1:]}:2377"
    return {
        "cluster": "c1",
        "node": f"id-{host}",
        "address": address,
        "members": "(?:m1|m2|m3|m4)$",
        "token": token,
    }


def records(*hosts):
    return {(host, "swarm_cluster"): record(host) for host in hosts}


def claims(*hosts):
    return {(host, "swarm_node"): f"id-{host}" for host in hosts}


def cluster(me="m1", *more):
    managers = [node("m1", "manager", leader=True), node("m2", "manager"), node("m3", "manager")]
    return ClusterApi(me, [*managers, *more])


def test_first_manager_makes_the_cluster_and_tells_of_it(on):
    api = ClusterApi("m1", state="inactive")
    mine = on("m1", api)
    assert swarm_builtin.apply(test=True) == swarm_builtin.apply()
    assert [one for one, _ in api.asked] == ["/swarm/init"]
    assert mine["m1", "swarm_cluster"] == record("m1")
    assert mine["m1", "swarm_node"] == "id-m1"
    assert swarm_builtin.apply() == {}


@pytest.mark.parametrize(
    ("hosts", "together"),
    [
        (["m2", "m3"], {"m2", "m3"}),
        # m3 is down: the host waits for a moment and goes on.
        (["m2"], {"m2"}),
        ([], set()),
    ],
    ids=str,
)
def test_first_manager_promotes_together_who_joins_at_the_same_time(
    on, monkeypatch, hosts, together
):
    api = ClusterApi("m1", state="inactive")
    clock, mine = Clock(), on("m1", api)
    left = [*hosts]

    def joins():
        if left and api.state == "active":
            host = left.pop(0)
            api.known[f"id-{host}"] = node(host)
            mine[host, "swarm_node"] = f"id-{host}"

    clock.later = [(clock.now + 1.5 * number, joins) for number in (1, 2)]
    started = clock.now
    monkeypatch.setattr(wait, "time", clock)
    swarm_builtin.apply()
    assert clock.now - started < 6
    assert swarm_leader.settle(fresh=False).keys() & {"m2", "m3"} == together


def test_only_manager_waits_for_nobody(on, monkeypatch):
    on("m1", ClusterApi("m1", state="inactive"), managers=["m1"])
    clock = Clock()
    monkeypatch.setattr(wait, "time", clock)
    started = clock.now
    swarm_builtin.apply()
    assert clock.now - started < 1


@pytest.mark.parametrize(
    ("me", "state", "founds"),
    [("m1", "inactive", True), ("m2", "inactive", False), ("m1", "active", False)],
)
def test_first_manager_founds_the_cluster_unless_it_is_in_one(on, me, state, founds):
    on(me, ClusterApi(me, [node("m1", "manager", leader=True)], state=state))
    assert swarm_leader.founds() is founds


def test_first_manager_that_has_no_engine_yet_founds_the_cluster(on, monkeypatch):
    on("m1", ClusterApi("m1"))
    error = errors.EngineUnreachableError("no engine")
    monkeypatch.setattr(swarm_leader, "_client", Mock(side_effect=error))
    assert swarm_leader.founds() is True


def test_who_will_make_the_cluster_promises_its_settings_and_nodes(on):
    pillar = {"nodes": {"m1": {"labels": {"a": 1}}}, "builtin": {"cluster": {"autolock": True}}}
    api = ClusterApi("m1", state="inactive")
    on("m1", api, **pillar)
    role = {"role": {"old": "worker", "new": "manager"}}
    labels = {"labels": {"old": None, "new": {"a": "1"}}}
    assert swarm_leader.settle(test=True) == {"m2": role, "m3": role, "m1": labels}
    assert swarm_leader.apply_cluster(test=True) == {"autolock": {"old": None, "new": True}}
    on("m2", ClusterApi("m2", state="inactive"), **pillar)
    assert (swarm_leader.settle(test=True), swarm_leader.apply_cluster(test=True)) == ({}, {})


def test_pools_without_a_mask_are_sent_with_the_one_of_docker(on):
    api = ClusterApi("m1", state="inactive")
    on("m1", api, builtin={"address_pools": ["10.30.0.0/16"], "data_path_port": 7789})
    swarm_builtin.apply()
    ((_, body),) = api.asked
    assert body == {
        "ListenAddr": "0.0.0.0:2377",
        "AdvertiseAddr": "10.77.0.11:2377",
        "DefaultAddrPool": ["10.30.0.0/16"],
        "SubnetSize": 24,
        "DataPathPort": 7789,
    }


def test_dry_run_orders_nothing_and_tells_nobody(on):
    api = ClusterApi("m1", state="inactive")
    mine = on("m1", api)
    assert swarm_builtin.apply(test=True)
    assert (api.asked, dict(mine)) == ([], {})


def test_no_cluster_is_made_where_another_manager_listens(on, monkeypatch, hurry):
    api = ClusterApi("m1", state="inactive")
    on("m1", api, timeout=5)
    monkeypatch.setattr(swarm_api, "listens", lambda *_: ["m2"])
    with pytest.raises(errors.WaitTimeoutError, match="m2 may have a cluster"):
        swarm_builtin.apply()
    assert api.asked == []


def test_join_tries_one_manager_after_the_other_with_the_token_of_each(on):
    api = ClusterApi("m4", [node("m1", "manager"), node("m2", "manager")], state="inactive")
    api.refuses = {"10.77.0.11:2377": "connection refused"}
    on("m4", api, records("m1", "m2"), nodes={"m4": {"availability": "drain"}})
    swarm_builtin.apply()
    asked = [body["RemoteAddrs"] for path, body in api.asked if path == "/swarm/join"]
    assert asked == [["10.77.0.11:2377"], ["10.77.0.12:2377"]]
    assert api.asked[-1][1] == {
        "ListenAddr": "0.0.0.0:2377",
        "AdvertiseAddr": "10.77.0.14:2377",
        "RemoteAddrs": ["10.77.0.12:2377"],
        "JoinToken": "worker-0",
        "Availability": "drain",
    }
    asked = [call.args for call in swarm_builtin.__salt__["publish.publish"].call_args_list]
    # Nobody answers, so m3 is asked as well, which has not told of the cluster.
    assert asked == [("m1,m2", "swarm_leader.settle"), ("m3", "swarm_leader.settle")]


def test_new_member_asks_the_managers_that_have_told_of_the_cluster(on):
    """In a first apply of all, the other managers are still on their way into it."""
    on("m4", ClusterApi("m4", [node("m1", "manager")], state="inactive"), records("m1"))
    publish = swarm_builtin.__salt__["publish.publish"]
    publish.return_value = {"m1": {}}
    swarm_builtin.apply()
    publish.assert_called_once_with(
        "m1", "swarm_leader.settle", arg=[], tgt_type="list", timeout=15
    )


@pytest.mark.parametrize("promotes", [True, False], ids=["by itself", "only if asked"])
def test_manager_that_waited_for_the_cluster_asks_only_if_it_is_not_promoted(on, hurry, promotes):
    """The host that creates the cluster applies the pillar, too: it promotes who is there."""
    api = ClusterApi("m2", [node("m1", "manager", leader=True)], state="inactive")
    mine = on("m2", api)
    salt = swarm_builtin.__salt__
    get, send, reads = salt["mine.get"], salt["mine.send"], []

    def created(target, names, tgt_type=None):
        reads.append(names)
        if len(reads) == CREATED:
            for (host, name), value in {**records("m1"), **claims("m1")}.items():
                mine[host, name] = value
        return get(target, names, tgt_type=tgt_type)

    def promoted(name, **kwargs):
        if promotes and name == "swarm_node":
            api.known["id-m2"] = node("m2", "manager")
        return send(name, **kwargs)

    salt["mine.get"], salt["mine.send"] = created, promoted
    salt["publish.publish"].return_value = {"m1": {}}
    swarm_builtin.apply()
    asked = [call.args[1] for call in salt["publish.publish"].call_args_list]
    assert asked == ([] if promotes else ["swarm_leader.settle"])


def test_new_member_reads_once_what_others_have_told(on):
    mine = on("m4", ClusterApi("m4", [node("m1", "manager")], state="inactive"), records("m1"))
    swarm_builtin.apply()
    assert mine["m4", "swarm_node"] == "id-m4"
    # The fake counts a request for two names as three.
    assert len(mine.asked) == 3


def test_new_member_reads_only_what_the_managers_have_told(on):
    """The master's cost of a join does not grow with the nodes that have joined before."""
    api = ClusterApi("m4", [node("m1", "manager")], state="inactive")
    mine = on("m4", api, {**records("m1"), **claims("m1", "m2", "m3")})
    swarm_builtin.apply()
    assert mine["m4", "swarm_node"] == "id-m4"
    assert {kind for _, kind in mine.asked} == {"list"}


def test_former_manager_that_still_leads_is_asked_for_the_new_node(on):
    api = ClusterApi("m4", [node("m1", "manager"), node("m5", "manager")], state="inactive")
    on("m4", api, records("m1", "m5"), nodes={"m*": {}})
    publish = swarm_builtin.__salt__["publish.publish"]
    publish.return_value = {"m5": {}}
    swarm_builtin.apply()
    assert publish.call_args.args == ("m1,m5", "swarm_leader.settle")


def test_node_that_no_manager_of_the_pillar_lets_in_joins_by_a_former_one(on, hurry):
    api = ClusterApi("m4", [node("m1", "manager"), node("m5", "manager")], state="inactive")
    api.refuses = {"10.77.0.11:2377": "connection refused"}
    on("m4", api, records("m1", "m5"), nodes={"m*": {}})
    swarm_builtin.apply()
    asked = [body["RemoteAddrs"] for path, body in api.asked if path == "/swarm/join"]
    assert asked == [["10.77.0.11:2377"], ["10.77.0.11:2377"], ["10.77.0.15:2377"]]


@pytest.mark.parametrize("me", ["m1", "m2"])
def test_leader_that_is_asked_has_its_pillar_compiled_once(on, me):
    on(me, cluster(me, node("m4")), claims("m1", "m2", "m3", "m4"))
    swarm_leader.settle()
    calls = swarm_leader.__salt__["swarm_settings.get"].call_args_list
    assert [call.kwargs for call in calls].count({"fresh": True}) == (me == "m1")


def test_who_may_have_no_token_is_told_so(on, hurry):
    api = ClusterApi("m4", state="inactive")
    on("m4", api, {("m1", "swarm_cluster"): record("m1", token="")})
    with pytest.raises(errors.WaitTimeoutError, match="lets this minion have a token"):
        swarm_builtin.apply()


def test_token_is_in_no_answer_but_the_mines(on):
    mine = on("m1", cluster())
    swarm_builtin.tell()
    assert mine["m1", "swarm_cluster"]["token"] == "worker-0"  # noqa: S105
    assert "worker-0" not in str(swarm_builtin.info())


def test_new_members_of_pillar_are_let_in(on):
    mine = on("m1", cluster(), {**records("m1"), **claims("m1")}, nodes={"m4": {}, "web-*": {}})
    swarm_builtin.apply()
    assert mine["m1", "swarm_cluster"]["members"] == r"(?:m1|m2|m3|m4|web\-.*)$"


def test_manager_that_is_a_worker_now_withdraws_its_token(on):
    api = ClusterApi("m3", [node("m1", "manager"), node("m3")])
    mine = on("m3", api, {**records("m1", "m3"), **claims("m3")})
    assert swarm_builtin.apply() == {}
    assert ("m3", "swarm_cluster") not in mine


def test_former_manager_keeps_its_record_until_it_has_the_certificate_of_a_worker(on, monkeypatch):
    """By this record, the leader knows that it may come back as a manager."""
    api = ClusterApi("m3", [node("m1", "manager"), node("m3")])
    mine = on("m3", api, {**records("m1", "m3"), **claims("m3")})
    with monkeypatch.context() as patched:
        patched.setattr(swarm_api, "is_certified_manager", lambda _: True)
        swarm_builtin.tell()
        assert ("m3", "swarm_cluster") in mine
    swarm_builtin.tell()
    assert ("m3", "swarm_cluster") not in mine


def test_only_the_leader_settles(on):
    api = cluster("m2", node("m4"))
    on("m2", api, claims("m1", "m2", "m3", "m4"), nodes={"m4": {"labels": {"zone": "d"}}})
    assert swarm_leader.settle() == {}
    assert api.asked == []


def test_settling_promises_and_does_the_same_and_then_nothing(on):
    api = cluster("m1", node("m4"))
    on("m1", api, claims("m1", "m2", "m3", "m4"), nodes={"m4": {"labels": {"zone": "d"}}})
    promised = swarm_leader.settle(test=True)
    assert api.asked == []
    assert (
        swarm_leader.settle() == promised == {"m4": {"labels": {"old": {}, "new": {"zone": "d"}}}}
    )
    assert api.asked == [("id-m4", "worker", "active", {"zone": "d"})]
    assert swarm_leader.settle() == {}


def test_what_somebody_else_wrote_in_between_is_read_again(on):
    api = cluster("m1", node("m4"))
    api.stale = 2
    on("m1", api, claims("m1", "m2", "m3", "m4"), nodes={"m4": {"availability": "pause"}})
    swarm_leader.settle()
    assert api.known["id-m4"]["Spec"]["Availability"] == "pause"


def test_manager_of_pillar_is_promoted_and_who_is_none_demoted(on):
    api = cluster("m1", node("m4"))
    pillar = {"managers": ["m1", "m2", "m4"], "nodes": {"m3": {}}}
    on("m1", api, claims("m1", "m2", "m3", "m4"), **pillar)
    swarm_leader.settle()
    assert [one[:2] for one in api.asked] == [("id-m4", "manager"), ("id-m3", "worker")]


@pytest.mark.parametrize("gone", [False, True], ids=["down", "joined anew"])
def test_promotion_of_a_node_that_goes_away_holds_nobody_up(on, monkeypatch, hurry, gone):
    """Its own host tells what is wrong with it: seen when its engine was looked for elsewhere."""
    api = cluster("m1", node("m4"))
    pillar = {"managers": ["m1", "m2", "m3", "m4"]}
    on("m1", api, claims("m1", "m2", "m3", "m4"), **pillar)
    update = api.update_node

    def update_node(which, version, spec):
        update(which, version, spec)
        api.known[which].pop("ManagerStatus")
        api.known[which]["Status"]["State"] = "down"
        if gone:
            del api.known[which]

    monkeypatch.setattr(api, "update_node", update_node)
    assert swarm_leader.settle() == {"m4": {"role": {"old": "worker", "new": "manager"}}}


def test_old_managers_stay_if_the_only_new_one_fails_in_its_promotion(on, monkeypatch, hurry):
    """All but the last one would go, for nobody."""
    api = cluster("m1", node("m4"))
    pillar = {"m*": {}, "m2": {"labels": {"zone": "d"}}}
    on("m1", api, claims("m1", "m2", "m3", "m4"), managers=["m4"], nodes=pillar)
    update = api.update_node

    def update_node(which, version, spec):
        update(which, version, spec)
        if which == "id-m4":
            api.known[which].pop("ManagerStatus")
            api.known[which]["Status"]["State"] = "down"

    monkeypatch.setattr(api, "update_node", update_node)
    assert swarm_leader.settle(test=True).keys() == {"m1", "m2", "m3", "m4"}
    assert swarm_leader.settle() == {
        "m4": {"role": {"old": "worker", "new": "manager"}},
        "m2": {"labels": {"old": {}, "new": {"zone": "d"}}},
    }
    assert sum(bool(one.get("ManagerStatus")) for one in api.known.values()) == 3


def test_node_that_is_drained_for_a_restart_after_it_was_listed_stays_drained(on, monkeypatch):
    """Its host takes its turn while the leader changes others; nobody else would restore it."""
    api = cluster("m1", node("m4"))
    pillar = {"m4": {"labels": {"zone": "d"}, "availability": "pause"}}
    on("m1", api, claims("m1", "m2", "m3", "m4"), nodes=pillar)
    inspect = api.inspect_node

    def inspect_node(which):
        drained = {"Availability": "drain", "Labels": {node_info.DRAINED: "pause"}}
        api.known[which]["Spec"] |= drained
        return inspect(which)

    monkeypatch.setattr(api, "inspect_node", inspect_node)
    swarm_leader.settle()
    labels = {node_info.DRAINED: "pause", "zone": "d"}
    assert api.asked == [("id-m4", "worker", "drain", labels)]


def former(*hosts, **words):
    """Return workers that were managers, with their records."""
    return [node(one, **words) for one in hosts], records(*hosts)


def test_quorum_is_checked_after_the_wait_for_former_managers(on, monkeypatch, hurry):
    """An engine may restart meanwhile."""
    before, told = former("m4", "m5", state="unknown")
    api = cluster("m1", *before)
    everyone = ("m1", "m2", "m3", "m4", "m5")
    on("m1", api, told | claims(*everyone), managers=["m1", "m2"], nodes={"m*": {}})
    nodes, asked = api.nodes, []

    def list_nodes(**words):
        asked.append(words)
        if len(asked) > 8:
            for one in ("m4", "m5"):
                api.known[f"id-{one}"]["Status"]["State"] = "ready"
            api.known["id-m2"]["ManagerStatus"]["Reachability"] = "unreachable"
        return nodes(**words)

    monkeypatch.setattr(api, "nodes", list_nodes)
    with pytest.raises(errors.SwarmError, match=r"demoting m3 .* would cost the quorum"):
        swarm_leader.settle()
    assert api.known["id-m3"]["ManagerStatus"]


def test_former_manager_that_is_a_worker_late_is_waited_for(on, monkeypatch):
    """Its engine has missed the change, and asks for its certificate after 16 seconds."""
    before, told = former("m4")
    api = ClusterApi("m1", [node("m1", "manager", leader=True), node("m2", "manager"), *before])
    pillar = {"managers": ["m1"], "nodes": {"m*": {}}, "timeout": 180}
    on("m1", api, told | claims("m1", "m2", "m4"), **pillar)
    now, nodes = [0.0], api.nodes
    clock = own_time(
        sleep=lambda seconds: now.append(now[-1] + seconds),
        monotonic=lambda: now[-1],
        time=lambda: now[-1],
    )
    for module in (wait, roles):
        monkeypatch.setattr(module, "time", clock)

    def list_nodes(**words):
        api.known["id-m4"]["UpdatedAt"] = f"1970-01-01T00:00:{min(now[-1], 16):02.0f}Z"
        return nodes(**words)

    monkeypatch.setattr(api, "nodes", list_nodes)
    assert swarm_leader.settle().keys() == {"m2"}
    assert not api.known["id-m2"].get("ManagerStatus")


def test_limit_of_the_wait_for_a_former_manager_is_not_that_of_the_pillar(on, hurry):
    """It does not help to raise that one."""
    before, told = former("m4", state="down")
    api = ClusterApi("m1", [node("m1", "manager", leader=True), node("m2", "manager"), *before])
    pillar = {"managers": ["m1"], "nodes": {"m*": {}}}
    on("m1", api, told | claims("m1", "m2", "m4"), **pillar, timeout=60)
    with pytest.raises(errors.WaitTimeoutError, match=r"demoting m2 .* m4") as caught:
        swarm_leader.settle()
    assert "swarm:timeout" not in str(caught.value)


@pytest.mark.parametrize(
    ("pillar", "becomes"), [({}, "pause"), ({"m4": {"availability": "active"}}, "active")]
)
def test_leader_restores_a_node_that_a_lost_run_has_left_drained(on, pillar, becomes):
    left = node("m4", Availability="drain", Labels={node_info.DRAINED: "pause", "zone": "a"})
    api = cluster("m1", left, node("m5", Availability="drain"))
    on("m1", api, claims("m1", "m2", "m3", "m4", "m5"), nodes={"m5": {}, "m4": {}, **pillar})
    change = {"old": "drained for a restart of its engine", "new": becomes}
    promised = swarm_leader.settle(test=True)
    assert promised == {"node id-m4": {"availability": change}}
    assert api.asked == []
    assert swarm_leader.settle() == promised
    assert api.asked == [("id-m4", "worker", becomes, {"zone": "a"})]
    assert swarm_leader.settle() == {}


def test_replaced_manager_leaves_the_raft_and_the_list(on):
    old = node("m9", "manager", state="down")
    api = cluster("m1", old)
    on("m1", api, claims("m1", "m2", "m3"))
    assert list(swarm_leader.settle()) == ["node id-m9"]
    assert "id-m9" not in api.known


def test_new_token_after_a_join_if_pillar_says_so(on):
    api = cluster("m1", node("m4"))
    api.known["id-m4"]["CreatedAt"] = "2026-01-01T00:00:00.5Z"
    mine = on("m1", api, claims("m1", "m2", "m3", "m4"), builtin={"rotate_after_join": True})
    assert swarm_leader.settle() == {}
    api.known["id-m4"]["CreatedAt"] = "2026-01-01T00:00:01Z"
    assert list(swarm_leader.settle()) == ["token for workers"]
    assert mine["m1", "swarm_cluster"]["token"] == "worker-1"  # noqa: S105
    assert swarm_leader.settle() == {}


def test_token_that_is_rotated_by_hand_is_told_to_whom_pillar_names_now(on):
    """The minion's own pillar is that of its last refresh, and a state run refreshes none."""
    api = cluster()
    mine = on("m1", api)
    get = swarm_builtin.__salt__["swarm_settings.get"]
    stale = get.return_value
    get.side_effect = lambda fresh=False: (
        settings_of({**BUILTIN, "nodes": {"new": {}}}, minion("m1")) if fresh else stale
    )
    told = []
    swarm_builtin.__salt__["mine.send"] = lambda name, allow_tgt="", **_: told.append(
        (name, allow_tgt)
    )
    assert swarm_leader.rotate() is True
    (record_told,) = [to for name, to in told if name == "swarm_cluster"]
    assert "new" in record_told
    assert api.rotations == 1
    assert mine == {}


@pytest.mark.parametrize(("managers", "count"), [(False, 0), (True, 1)])
def test_token_of_managers_is_rotated_on_request_only(on, managers, count):
    api = cluster()
    on("m1", api)
    swarm_builtin.__salt__["mine.send"] = lambda *_, **__: True
    swarm_leader.rotate(managers=managers)
    assert (api.rotations, api.manager_rotations) == (1, count)


def test_settings_of_the_cluster_and_the_key_that_comes_with_them(on, tmp_path):
    key = tmp_path / "key"
    builtin = {"cluster": {"autolock": True}, "unlock_key": str(key)}
    api = cluster()
    on("m1", api, builtin=builtin)
    assert list(swarm_leader.apply_cluster(test=True)) == ["autolock"]
    assert not key.exists()
    assert list(swarm_leader.apply_cluster()) == ["autolock", "unlock key"]
    assert key.read_text() == "SWMKEY\n"
    assert key.stat().st_mode & 0o777 == 0o600
    assert swarm_leader.apply_cluster() == {}


def pem(text):
    return f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"


@pytest.fixture
def authority(tmp_path):
    """Return the pillar of an own CA, and where its certificate is."""
    cert, key = tmp_path / "cert", tmp_path / "key"
    cert.write_text(pem("T1VSUw=="))
    key.write_text("key\n")
    return {"signing_ca_cert": str(cert), "signing_ca_key": str(key)}, cert


def test_own_ca_is_given_to_the_cluster_once(on, authority):
    builtin, _ = authority
    api = cluster()
    mine = on("m1", api, builtin=builtin)
    (promised,) = swarm_leader.apply_cluster(test=True).values()
    assert api.asked == []
    assert swarm_leader.apply_cluster() == {"CA": promised}
    ((_, spec),) = api.asked
    assert spec["CAConfig"]["SigningCAKey"] == "key"
    assert mine["m1", "swarm_cluster"]["token"] == "worker-0"  # noqa: S105
    assert swarm_leader.apply_cluster() == {}
    on("m2", ClusterApi("m2", api.known.values()), builtin=builtin)
    assert swarm_leader.apply_cluster() == {}


def test_ca_whose_key_is_elsewhere_signs_from_there(on, authority):
    builtin, _ = authority
    signer = {"url": "https://ca.example.com/sign", "ca": pem("T1VSUw==")}
    given = {"signing_ca_cert": builtin["signing_ca_cert"], "cluster": {"external-ca": [signer]}}
    api = cluster()
    on("m1", api, builtin=given)
    promised = swarm_leader.apply_cluster(test=True)
    assert list(promised) == ["external-ca", "CA"]
    assert swarm_leader.apply_cluster() == promised
    # First who signs, then for what: Docker asks them at once.
    (_, first), (_, second) = api.asked
    assert first["CAConfig"]["ExternalCAs"][0]["CACert"] == signer["ca"]
    assert "SigningCACert" not in first["CAConfig"]
    assert second["CAConfig"]["ExternalCAs"] == first["CAConfig"]["ExternalCAs"]
    assert swarm_leader.apply_cluster() == {}


def test_change_of_the_ca_is_done_when_it_has_come_to_an_end(on, hurry):
    api = cluster()
    on("m1", api, builtin={"cluster": {"ca-rotation": 1}})
    assert list(swarm_leader.apply_cluster()) == ["ca-rotation"]
    assert not api.rotating


@pytest.fixture
def keyless(on, hurry):
    """A cluster whose CA has its key outside."""
    signer = {"url": "https://ca.example.com/sign", "ca": pem("T1VSUw==")}
    api = cluster()
    on("m1", api, builtin={"cluster": {"external-ca": [signer]}})
    swarm_leader.apply_cluster()
    api.keyless = True
    return api


def test_cas_that_sign_go_after_the_change_that_they_sign(on, keyless):
    # Somebody has begun it by hand.
    keyless.rotating = 3
    on("m1", keyless, builtin={"cluster": {"external-ca": []}})
    assert list(swarm_leader.apply_cluster()) == ["external-ca"]
    assert swarm_leader.apply_cluster() == {}


def test_cas_that_sign_go_in_the_edit_that_makes_a_new_one(on, keyless):
    on("m1", keyless, builtin={"cluster": {"external-ca": [], "ca-rotation": 2}})
    assert set(swarm_leader.apply_cluster()) == {"ca-rotation", "external-ca"}
    assert swarm_leader.apply_cluster() == {}


def test_cas_that_sign_do_not_go_without_a_new_one(on, keyless):
    before = keyless.spec
    on("m1", keyless, builtin={"cluster": {"external-ca": []}})
    with pytest.raises(errors.ApiError, match="change swarm:builtin:cluster:ca-rotation"):
        swarm_leader.apply_cluster()
    assert keyless.spec == before


def test_change_of_the_ca_under_way_names_the_node_that_it_waits_for(on, hurry):
    api = cluster()
    api.known["id-m3"]["Status"]["State"] = "down"
    api.slow = True
    on("m1", api, builtin={"cluster": {"ca-rotation": 3}})
    with pytest.raises(errors.WaitTimeoutError, match=r"waits for m3 \(id-m3\): bring it up"):
        swarm_leader.apply_cluster()


def test_node_that_is_down_keeps_the_old_ca_alive(on, authority, hurry):
    api = cluster()
    api.known["id-m3"]["Status"]["State"] = "down"
    api.slow = True
    on("m1", api, builtin=authority[0])
    with pytest.raises(errors.WaitTimeoutError, match=r"waits for m3 \(id-m3\): bring it up"):
        swarm_leader.apply_cluster()


def test_what_a_host_was_before_does_not_keep_the_old_ca_alive(on, authority, hurry):
    api = cluster("m1", node("m4"), {**node("m4", state="down"), "ID": "id-old"})
    api.slow = True
    on("m1", api, builtin=authority[0]).update(claims("m2", "m3", "m4"))
    done = swarm_leader.apply_cluster()
    assert done.keys() == {"CA", "node id-old"}
    assert "id-old" not in api.known
    assert swarm_leader.apply_cluster() == {}


def test_certificate_that_is_none_is_told_and_nothing_asked(on, authority):
    builtin, cert = authority
    cert.write_text("hello")
    api = cluster()
    on("m1", api, builtin=builtin)
    with pytest.raises(errors.SwarmError, match=f"{cert} is not one certificate as PEM"):
        swarm_leader.apply_cluster()
    assert api.asked == []


def test_cluster_that_is_not_there_yet_will_have_the_own_ca(on, authority):
    on("m1", ClusterApi("m1", state="inactive"), builtin=authority[0])
    assert list(swarm_leader.apply_cluster(test=True)) == ["CA"]


def test_locked_manager_is_unlocked(on, tmp_path):
    key = tmp_path / "key"
    key.write_text("SWMKEY\n")
    api = cluster()
    api.state = "locked"
    on("m1", api, builtin={"unlock_key": str(key)})
    assert swarm_builtin.apply()["swarm mode"]["new"] == "unlocked"
    assert api.asked == [("unlock", "SWMKEY")]


def test_manager_hands_over_before_it_leaves(on):
    api = cluster("m2")
    mine = on("m2", api, {**records("m2"), **claims("m2")})
    assert swarm_builtin.leave(test=True)["swarm mode"]["new"] == "inactive"
    assert api.asked == []
    swarm_builtin.leave()
    assert api.asked == [("id-m2", "worker", "active", {}), ("leave", False)]
    assert dict(mine) == {}
    assert swarm_builtin.leave() == {}


def test_last_manager_ends_the_cluster(on):
    api = ClusterApi("m1", [node("m1", "manager", leader=True)])
    on("m1", api)
    swarm_builtin.leave()
    assert api.asked == [("leave", True)]


THINGS = {
    "services": (["web", "db"], "services db, web"),
    "secrets": (["password"], "secret password"),
    "configs": (["swarm-formula-turn", "nginx.conf"], "config nginx.conf"),
}


@pytest.mark.parametrize("kind", THINGS)
@pytest.mark.parametrize("test", [False, True])
def test_cluster_with_something_in_it_is_not_ended(on, kind, test):
    names, told = THINGS[kind]
    api = ClusterApi("m1", [node("m1", "manager", leader=True)])
    api.things = {kind: names}
    on("m1", api)
    with pytest.raises(errors.SwarmError) as failure:
        swarm_builtin.leave(test=test)
    assert f"would be lost, if all nodes left: {told}. " in str(failure.value)
    assert api.asked == []
    assert swarm_builtin.leave(lose_cluster=True, test=test)
    assert api.asked == ([] if test else [("leave", True)])


def test_what_the_formula_has_made_itself_holds_up_nothing(on):
    api = ClusterApi("m1", [node("m1", "manager", leader=True)])
    api.things = {"configs": ["swarm-formula-turn"]}
    on("m1", api)
    assert swarm_builtin.leave()


def test_node_that_was_there_before_stays_and_is_forgotten(on):
    api = ClusterApi("m1", [node("m1", "manager", leader=True)])
    mine = on("m1", api)
    for _ in range(2):
        assert swarm_builtin.apply() == {}
    assert mine["m1", "swarm_node"] == "id-m1"
    told = "m1 stays in its cluster: it was node id-m1 before"
    for test in (True, False, False):
        assert swarm_builtin.release(test=test).startswith(told)
        assert bool(mine) is test
    assert api.asked == []


def test_node_that_the_formula_brought_in_is_not_kept(on):
    on("m1", ClusterApi("m1", state="inactive"))
    assert swarm_builtin.release() == ""
    assert swarm_builtin.apply()
    assert swarm_builtin.apply() == {}
    assert swarm_builtin.release() == ""


def returning(monkeypatch, api, polls=3):
    """Have the engine's swarm mode be pending for some looks, as after a start of the engine."""
    info, left = api.info, iter(range(polls))

    def late():
        found = info()
        if next(left, None) is not None:
            found["Swarm"] |= {"LocalNodeState": "pending", "Cluster": {}}
        return found

    monkeypatch.setattr(api, "info", late)


def test_node_that_returns_after_a_start_of_its_engine_is_not_changed(on, hurry, monkeypatch):
    """Found by the matrix: its own apply had restarted the engine; a dry run knew of no change."""
    api = cluster("m4", node("m4"))
    on("m4", api, {**records("m1"), **claims("m4")}, timeout=60)
    returning(monkeypatch, api)
    assert swarm_builtin.apply() == {}
    assert api.asked == []


def test_node_that_was_there_before_is_adopted_though_its_engine_has_just_started(
    on, hurry, monkeypatch
):
    """The first apply restarts the engine; a clean then made the node leave its own cluster."""
    api = ClusterApi("m1", [node("m1", "manager", leader=True)])
    on("m1", api, timeout=60)
    returning(monkeypatch, api)
    assert swarm_builtin.apply() == {}
    assert swarm_builtin.release().startswith("m1 stays in its cluster")


def test_locked_manager_that_was_there_before_is_adopted(on, tmp_path):
    (tmp_path / "key").write_text("SWMKEY-1-0\n")
    api = ClusterApi("m1", [node("m1", "manager", leader=True)], state="locked")
    on("m1", api, builtin={"unlock_key": str(tmp_path / "key"), "cluster": {"autolock": True}})
    assert swarm_builtin.apply()
    assert swarm_builtin.release().startswith("m1 stays in its cluster")


def test_node_whose_join_outlasts_the_run_was_brought_in_by_the_formula(on, monkeypatch):
    api = ClusterApi("m4", [node("m1", "manager")], state="inactive")
    on("m4", api, records("m1"))
    with monkeypatch.context() as killed:
        killed.setattr(adoption, "note", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            swarm_builtin.apply()
    assert swarm_builtin.apply() == {}
    assert swarm_builtin.release() == ""


def test_node_that_has_told_of_itself_was_brought_in_by_a_version_before(on):
    on("m2", cluster("m2"), {**records("m2"), **claims("m2")})
    assert swarm_builtin.release() == ""
    swarm_builtin.apply()
    assert swarm_builtin.release() == ""


def test_host_that_joined_by_hand_is_another_node(on):
    api = ClusterApi("m1", state="inactive")
    on("m1", api)
    swarm_builtin.apply()
    api.known["id-m1"]["ID"] = "id-new"
    assert adoption.is_adopted("id-new", told=False)
    adoption.note("id-new", adopted=True)
    adoption.note("id-new", adopted=False)
    assert adoption.is_adopted("id-new", told=True)


def test_manager_of_several_leaves_alone_and_not_with_all_others(on):
    api = cluster("m2")
    api.things = {"services": ["web"]}
    on("m2", api)
    with pytest.raises(errors.SwarmError, match="service web"):
        swarm_builtin.leave(ending=True)
    assert api.asked == []
    assert swarm_builtin.leave()


def test_worker_with_tasks_does_not_leave_with_all_others(on, monkeypatch):
    api = ClusterApi("m4", [node("m1", "manager", leader=True), node("m4")])
    api.things = {"tasks": ["web", "db", "web"]}
    on("m4", api)
    monkeypatch.setattr(departure, "_TOGETHER", 0)
    with pytest.raises(errors.SwarmError, match=r"tasks of db, web\. .*swarm.remove m4"):
        swarm_builtin.leave(ending=True)
    assert api.asked == []
    api.things = {}
    assert swarm_builtin.leave(ending=True)


def test_what_came_while_the_others_left_is_not_lost(on, monkeypatch, hurry):
    api = cluster()
    on("m1", api)

    def update(*_):
        api.things = {"services": ["web"]}
        for other in ("id-m2", "id-m3"):
            del api.known[other]["ManagerStatus"]

    monkeypatch.setattr(api, "update_node", update)
    with pytest.raises(errors.SwarmError, match="service web"):
        swarm_builtin.leave(ending=True)
    assert api.asked == []


def test_manager_that_is_the_last_one_before_it_is_let_go_ends_the_cluster(on, monkeypatch, hurry):
    """All of them leave at the same time: the engine lets the others go, and keeps this one."""
    api = cluster()
    on("m1", api)

    def update(*_):
        for other in ("id-m2", "id-m3"):
            del api.known[other]["ManagerStatus"]

    monkeypatch.setattr(api, "update_node", update)
    assert swarm_builtin.leave()
    assert api.asked == [("leave", True)]


def test_manager_leaves_though_nobody_is_left_to_sign_a_workers_certificate(on, monkeypatch, hurry):
    """Seen on 20.10.24: three managers were cleaned together, and one waited for ever."""
    api = cluster("m2")
    on("m2", api)
    monkeypatch.setattr(swarm_api, "is_certified_manager", lambda _: True)
    swarm_builtin.leave()
    assert api.asked[-1] == ("leave", False)


def test_manager_that_quorum_needs_does_not_leave(on, hurry):
    managers = [node("m1", "manager"), node("m2", "manager"), node("m3", "manager", state="down")]
    api = ClusterApi("m2", managers)
    on("m2", api)
    with pytest.raises(errors.SwarmError, match="would cost the quorum"):
        swarm_builtin.leave()
    with pytest.raises(errors.SwarmError, match="would cost the quorum"):
        swarm_leader.expel("id-m1")
    assert api.asked == []


def test_node_is_drained_and_demoted_before_it_goes(on):
    api = cluster()
    on("m1", api)
    assert swarm_leader.expel("id-m3") == {"drained": True}
    assert [one[1:3] for one in api.asked] == [("manager", "drain"), ("worker", "drain")]
    assert swarm_leader.drop("id-m3")
    assert swarm_leader.drop("id-m3") == {}


def test_manager_is_not_removed_if_a_former_one_would_cost_the_last_one_its_quorum(on):
    """It may come back as a manager; nothing is drained before that is known."""
    before, told = former("m4", state="down")
    api = ClusterApi("m1", [node("m1", "manager", leader=True), node("m2", "manager"), *before])
    on("m1", api, told, nodes={"m*": {}})
    with pytest.raises(errors.SwarmError, match=r"demoting m2 .* when m4 .* starts"):
        swarm_leader.expel("id-m2")
    assert api.asked == []
    assert swarm_leader.expel("id-m4") == {"drained": True}
    assert swarm_leader.drop("id-m4")
    assert swarm_leader.expel("id-m2") == {"drained": True}


def test_node_that_goes_down_while_it_is_drained_holds_nobody_up(on):
    api = cluster("m1", node("m4", state="down"))
    api.things["left"] = [{"ID": "task"}]
    on("m1", api)
    cluster_update.drain(api, "id-m4", 0)
    with pytest.raises(errors.WaitTimeoutError, match=r"1 task\(s\) still run on node id-m3"):
        cluster_update.drain(api, "id-m3", 0)


def test_node_that_has_not_left_is_not_dropped_without_force(on, monkeypatch):
    monkeypatch.setattr(leading, "CHANGING", 0.05)
    api = cluster("m1", node("m4"), node("m5", state="down"))
    on("m1", api)
    with pytest.raises(errors.WaitTimeoutError, match="id-m4 has not left its cluster"):
        swarm_leader.drop("id-m4", force=False)
    assert swarm_leader.drop("id-m5", force=False)
    assert swarm_leader.drop("id-m9", force=False) == {}
    assert set(api.known) == {"id-m1", "id-m2", "id-m3", "id-m4"}
    assert swarm_leader.drop("id-m4")


def test_node_whose_address_the_cluster_does_not_know_is_told_what_to_do(on):
    api = cluster("m1", node("m4"))
    on("m1", api).update(claims("m2", "m3"))
    assert swarm_leader.complaints() == []
    worker = ClusterApi("m4", [node("m4")])
    on("m4", worker)
    assert swarm_leader.complaints() == []
    worker.known["id-m4"]["Status"]["Addr"] = "10.77.0.99"
    (text,) = swarm_leader.complaints()
    assert "known to the cluster by the address 10.77.0.99" in text
    assert "; salt m4 swarm_builtin.leave, and apply again" in text
    # What the engine says of itself and what its raft keeps are two things.
    api.known["id-m1"]["ManagerStatus"]["Addr"] = "10.77.0.99:2377"
    on("m1", api).update(claims("m2", "m3"))
    (text,) = swarm_leader.complaints()
    assert "; salt m1 swarm_builtin.leave, and apply again" in text
    alone = ClusterApi("m1", [api.known["id-m1"]])
    on("m1", alone)
    (text,) = swarm_leader.complaints()
    assert "only manager: give it 10.77.0.99 too until there is another one, then salt m1" in text


def test_port_is_that_of_the_running_cluster_whatever_pillar_has(on):
    mine = on("m1", cluster(), builtin={"port": 12377})
    swarm_builtin.tell()
    assert mine["m1", "swarm_cluster"]["address"] == "10.77.0.11:2377"
    for host, api in (("m1", cluster()), ("m4", cluster("m4", node("m4")))):
        on(host, api, builtin={"port": 12377}).update(claims("m1", "m2", "m3", "m4"))
        (text,) = swarm_leader.complaints()
        assert "swarm:builtin:port is 12377" in text
        assert text.endswith("Set swarm:builtin:port to 2377")


def test_managers_in_the_words_of_classic_mode(on):
    on("m1", cluster("m1", node("m4")), claims("m1", "m2", "m3", "m4"))
    said = swarm_leader.managers()
    assert said["m1"]["role"] == "leader"
    assert {one["name"] for one in said["m2"]["nodes"].values()} == {"m1", "m2", "m3", "m4"}
    on("m4", ClusterApi("m4", [node("m1", "manager"), node("m4")]))
    assert swarm_leader.managers() == {}


def test_node_whose_managers_were_followed_by_others_joins_again(on, hurry, monkeypatch):
    """Found by a walk: it was off meanwhile, and would wait for ever."""
    api = ClusterApi("m4", [node("m1", "manager", leader=True), node("m4")])
    mine = on("m4", api, {**records("m1"), **claims("m4")}, timeout=60)
    monkeypatch.setattr(joining, "_STEADY", 0)
    lost = {"LocalNodeState": "pending", "NodeID": "id-m4", "RemoteManagers": [{"NodeID": "id-m9"}]}
    info = api.info
    monkeypatch.setattr(
        api, "info", lambda: {**info(), "Swarm": lost} if api.state == "active" else info()
    )
    listed = {"cluster": "c1", "nodes": {"id-m1": "reachable", "id-m4": None}, "managers": ["m1"]}
    asked = []

    def publish(target, function, *_, **__):
        asked.append(function)
        return {"m1": listed} if function == "swarm_leader.list_nodes" else {}

    swarm_builtin.__salt__["publish.publish"].side_effect = publish
    left = api.leave_swarm

    def leave(force=False):
        left(force)
        monkeypatch.setattr(api, "info", info)

    monkeypatch.setattr(api, "leave_swarm", leave)
    assert swarm_builtin.apply()
    assert ("leave", True) in api.asked
    assert "/swarm/join" in [one[0] for one in api.asked]
    assert "swarm_leader.list_nodes" in asked
    assert mine["m4", "swarm_node"] == "id-m4"


# What a failed engine says that cannot become a manager.
NOT_PROMOTED = {"LocalNodeState": "error", "Error": "can't initialize raft node: refused"}


def not_counted(monkeypatch, starts):
    """Have m1 list m4 as no voter; note restarts of the engine, which is at rest."""
    nodes = {"id-m1": "reachable", "id-m4": None}
    listed = {"cluster": "c1", "nodes": nodes, "managers": ["m1", "m4"]}
    swarm_builtin.__salt__["publish.publish"].side_effect = lambda _, function, *__, **___: (
        {"m1": listed} if function == "swarm_leader.list_nodes" else {}
    )
    monkeypatch.setattr(joining, "_STEADY", 0)
    monkeypatch.setattr(dockerd, "start", lambda *_: starts.append("restart"))
    monkeypatch.setattr(dockerd, "wait", lambda *_: None)


def rejoins(api, monkeypatch):
    """Have an engine whose promotion has failed show that until it leaves."""
    info, left = api.info, api.leave_swarm
    monkeypatch.setattr(api, "info", lambda: {**info(), "Swarm": NOT_PROMOTED})

    def leave(force=False):
        left(force)
        monkeypatch.setattr(api, "info", info)

    monkeypatch.setattr(api, "leave_swarm", leave)


@pytest.mark.parametrize("managers", [["m1", "m4"], ["m4"]], ids=["among them", "successor"])
def test_engine_whose_restart_does_not_help_joins_anew_if_the_raft_does_not_count_it(
    on, monkeypatch, hurry, managers
):
    """Found by a walk: the only manager of the pillar has none there to ask, but former ones."""
    api = ClusterApi("m4", [node("m1", "manager", leader=True), node("m4")])
    given = {**records("m1"), **claims("m4")}
    on("m4", api, given, managers=managers, nodes={"m*": {}}, timeout=60)
    rejoins(api, monkeypatch)
    starts = []
    not_counted(monkeypatch, starts)
    swarm_builtin.apply()
    assert starts == ["restart"]
    assert [one[0] for one in api.asked if one[0] in {"leave", "/swarm/join"}] == [
        "leave",
        "/swarm/join",
    ]


def test_promotion_that_fails_again_after_a_restart_is_mended_while_its_apply_waits(
    on, monkeypatch, hurry
):
    """Found by a walk: its engine knew no manager but one that had been demoted."""
    api = ClusterApi("m4", [node("m1", "manager", leader=True), node("m4", "manager")])
    on("m4", api, {**records("m1"), **claims("m4")}, managers=["m1", "m4"], timeout=60)
    rejoins(api, monkeypatch)
    starts = []
    not_counted(monkeypatch, starts)
    list_nodes = swarm_builtin.__salt__["publish.publish"].side_effect

    def publish(who, function, *_, **__):
        if function == "swarm_leader.settle":
            api.known["id-m4"] = node("m4", "manager")
        return list_nodes(who, function)

    swarm_builtin.__salt__["publish.publish"].side_effect = publish
    swarm_builtin.wait_ready()
    assert starts == ["restart"]
    assert [one[0] for one in api.asked if one[0] in {"leave", "/swarm/join"}] == [
        "leave",
        "/swarm/join",
    ]


def test_former_manager_whose_new_promotion_fails_is_restarted_while_its_apply_waits(
    on, monkeypatch, hurry
):
    """Found by a walk: its record of the first time hid that the raft does not count it now."""
    api = ClusterApi("m4", [node("m1", "manager", leader=True), node("m4", "manager")])
    given = {**records("m1", "m4"), **claims("m4")}
    on("m4", api, given, managers=["m1", "m4"], timeout=60)
    info, starts = api.info, []
    monkeypatch.setattr(
        api, "info", lambda: info() if starts else {**info(), "Swarm": NOT_PROMOTED}
    )
    not_counted(monkeypatch, starts)
    swarm_builtin.wait_ready()
    assert starts == ["restart"]
    assert not [one for one in api.asked if one[0] in {"leave", "/swarm/join"}]


@pytest.mark.parametrize("tries", [0, 1, 3])
def test_engine_that_tries_again_by_itself_is_not_restarted_meanwhile(on, monkeypatch, tries):
    """Stopped just when it joins the raft, it would cost the managers their quorum: seen."""
    api = cluster("m4", node("m4"))
    on("m4", api, managers=["m1", "m2", "m3", "m4"])
    failed = {
        "LocalNodeState": "error",
        "NodeID": "id-m4",
        "Error": "manager stopped: can't initialize raft node",
    }
    states = iter(["error", "pending"] * tries)
    looks = []

    def info():
        if "restart" in looks:
            return {"Swarm": {**failed, "LocalNodeState": "active", "Error": ""}}
        looks.append(next(states, "error"))
        return {"Swarm": {**failed, "LocalNodeState": looks[-1]}}

    monkeypatch.setattr(api, "info", info)
    monkeypatch.setattr(joining, "_STEADY", 0.05)
    monkeypatch.setattr(joining, "_LOOK", 0.001)
    monkeypatch.setattr(wait, "_FIRST", 0.001)
    monkeypatch.setattr(dockerd, "start", lambda *_: looks.append("restart"))
    monkeypatch.setattr(dockerd, "wait", lambda *_: None)
    swarm_builtin.apply()
    assert looks.count("restart") == 1
    rest = looks[: looks.index("restart")]
    assert "pending" not in rest[-5:]
    assert rest.count("pending") == tries


def test_engine_that_becomes_a_worker_just_now_does_not_lead_and_is_no_error(on, monkeypatch):
    """Its manager stops before its engine knows: seen on all applies of a change of managers."""
    api = cluster("m2")
    on("m2", api)
    said = ["transport: Error while dialing: dial unix /var/run/docker/swarm/control.sock"] * 2

    def nodes(filters=None):
        if said:
            raise docker.errors.APIError("503", explanation=said.pop())
        api.known["id-m2"].pop("ManagerStatus", None)
        raise docker.errors.APIError("503", explanation="This node is not a swarm manager")

    monkeypatch.setattr(api, "nodes", nodes)
    monkeypatch.setattr(wait, "_FIRST", 0.001)
    assert swarm_leader.leads() is False


def test_manager_that_has_no_leader_for_longer_says_so(on, monkeypatch, hurry):
    api = cluster("m2")
    on("m2", api)

    def nodes(filters=None):
        raise docker.errors.APIError("503", explanation="The swarm does not have a leader")

    monkeypatch.setattr(api, "nodes", nodes)
    with pytest.raises(errors.ApiError, match=r"^nodes of the cluster: .*not have a leader"):
        swarm_leader.leads()


def test_tasks_of_a_service_that_was_removed_a_moment_ago_end(on, monkeypatch):
    api = ClusterApi("m4", [node("m1", "manager", leader=True), node("m4")])
    on("m4", api)
    left = [["web"], ["web"], []]
    label = "com.docker.swarm.service.name"
    monkeypatch.setattr(
        api,
        "containers",
        lambda filters: [{"Labels": {label: name}} for name in (left.pop(0) if left else [])],
    )
    monkeypatch.setattr(wait, "_FIRST", 0.001)
    assert swarm_builtin.leave(ending=True)
    assert left == []


def test_managers_check_who_asks_before_any_work(on):
    """By the pillar that they have, and without a queue."""
    api = ClusterApi("m1", [node("m1", "manager", leader=True), node("m4")])
    on("m1", api)
    salt, ask = swarm_leader.__salt__, {"__pub_id": "m9"}
    with caller.admitted("m8", []):
        salt["swarm_settings.get"].reset_mock()
        for function in (swarm_leader.settle, swarm_leader.list_nodes):
            assert "busy with another minion" in function(**ask)["busy"]
        assert all(not call.kwargs for call in salt["swarm_settings.get"].call_args_list)
        assert swarm_leader.list_nodes(__pub_id="m2")["managers"]


def test_managers_do_not_queue_requests(on, monkeypatch):
    monkeypatch.setattr(node_update, "_PATIENCE", 0)
    api = ClusterApi("m1", [node("m1", "manager", leader=True), node("m4")])
    on("m1", api)
    with swarm_api.alone():
        assert "busy" in swarm_leader.settle(__pub_id="m2")


@pytest.fixture
def runs(on, monkeypatch):
    """Return the runs on a leader, by a clock that goes on with each look at it."""
    on("m1", ClusterApi("m1", [node("m1", "manager", leader=True), node("m4")]))
    found, clock = [], itertools.count()
    monkeypatch.setattr(node_update, "time", Mock(monotonic=lambda: float(next(clock))))
    monkeypatch.setattr(node_update, "_update", lambda *_: found.append("run") or {"m4": {}})
    return found


def meanwhile(monkeypatch, happens):
    """Have something happen while the next request waits for other runs."""

    def alone(**_):
        monkeypatch.setattr(swarm_api, "alone", lambda **_: contextlib.nullcontext())
        happens()
        return contextlib.nullcontext()

    monkeypatch.setattr(swarm_api, "alone", alone)


def test_minions_that_ask_at_the_same_time_share_a_run(runs, monkeypatch):
    """The master's work for a thousand minions that join is not that of a thousand runs."""
    meanwhile(monkeypatch, swarm_leader.settle)
    assert swarm_leader.settle(__pub_id="m2") == {}
    assert len(runs) == 1
    # That run has not seen what is asked for later, and an operator has a run of his own.
    assert swarm_leader.settle(__pub_id="m2") == {"m4": {}}
    meanwhile(monkeypatch, swarm_leader.settle)
    assert swarm_leader.settle() == {"m4": {}}
    assert len(runs) == 4


def fail(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(node_update, "_update", Mock(side_effect=errors.SwarmError("no quorum")))
        with pytest.raises(errors.SwarmError):
            swarm_leader.settle()


def save(text):
    (host_files._LOCKS / node_update._BEGAN).write_text(text)


@pytest.mark.parametrize(
    "happens",
    [
        lambda _: swarm_leader.settle(test=True),
        lambda _: swarm_leader.settle(fresh=False),
        fail,
        lambda _: save("1e9"),
        lambda _: save("nonsense"),
    ],
    ids=["a dry run", "a pillar of before", "an error", "another start of the host", "nonsense"],
)
def test_run_that_may_not_have_seen_to_all_is_not_shared(runs, monkeypatch, happens):
    meanwhile(monkeypatch, lambda: happens(monkeypatch))
    runs.clear()
    assert swarm_leader.settle(__pub_id="m2") == {"m4": {}}
    assert runs[-1:] == ["run"]


@pytest.mark.parametrize("odd", [[], {}, None, 7])
def test_list_is_not_searched_for_what_is_no_node(on, odd):
    on("m1", ClusterApi("m1", [node("m1", "manager", leader=True)]))
    assert swarm_leader.lists(odd) is None
