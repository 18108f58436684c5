import pytest

from swarm_formula.cluster import spec
from tests.unit.pillars import node, resolved, settings_of

PEM = "-----BEGIN CERTIFICATE-----\nT1VSUw==\n-----END CERTIFICATE-----\n"
PILLAR = {"mode": "builtin", "managers": ["m1"]}
SPEC = {
    "Name": "default",
    "Labels": {},
    "Orchestration": {"TaskHistoryRetentionLimit": 5},
    "Raft": {
        "SnapshotInterval": 10000,
        "KeepOldSnapshots": 0,
        "LogEntriesForSlowFollowers": 500,
        "ElectionTick": 10,
        "HeartbeatTick": 1,
    },
    "Dispatcher": {"HeartbeatPeriod": 5000000000},
    "CAConfig": {"NodeCertExpiry": 7776000000000000},
    "TaskDefaults": {},
    "EncryptionConfig": {"AutoLockManagers": False},
}


def options(**given):
    pillar = {**PILLAR, "builtin": {"cluster": {k.replace("_", "-"): v for k, v in given.items()}}}
    return settings_of(pillar, node("m1"))["builtin"]["cluster"]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"task_history_limit": 5, "max_snapshots": 0, "autolock": False},
        {"dispatcher_heartbeat": "5s", "cert_expiry": "2160h"},
        {"dispatcher_heartbeat": 5, "external_ca": []},
        {"ca_rotation": 0, "election_tick": 10},
    ],
)
def test_what_is_there_is_no_difference(given):
    assert spec.diff(SPEC, options(**given)) == {}


ALL = {
    "task_history_limit": 2,
    "snapshot_interval": 20000,
    "max_snapshots": 2,
    "log_entries_for_slow_followers": 1000,
    "election_tick": 20,
    "heartbeat_tick": 2,
    "dispatcher_heartbeat": "10s",
    "cert_expiry": "720h",
    "ca_rotation": 1,
    "external_ca": [{"url": "https://ca/sign", "options": {"a": 1}, "ca": PEM}],
    "autolock": True,
    "labels": {"site": "berlin", "prod": True},
}


@pytest.mark.parametrize("ca", [{}, {"ca": PEM}], ids=["of today", "other"])
def test_what_docker_leaves_out_of_an_external_ca_is_no_difference(ca):
    wanted = options(external_ca=[{"url": "https://ca/sign", **ca}])
    new = spec.merged(SPEC, wanted)
    (kept,) = new["CAConfig"]["ExternalCAs"]
    # As 26.1 was seen to answer.
    del kept["Options"]
    assert spec.diff(new, wanted) == {}
    kept["URL"] = "https://other/sign"
    assert list(spec.diff(new, wanted)) == ["external-ca"]


def test_everything_finds_its_place_and_then_is_no_difference():
    wanted = options(**ALL)
    assert set(spec.diff(SPEC, wanted)) == set(wanted)
    new = spec.merged(SPEC, wanted)
    assert spec.diff(new, wanted) == {}
    assert new["Name"] == "default"
    assert new["CAConfig"] == {
        "NodeCertExpiry": 720 * 3600 * 10**9,
        "ForceRotate": 1,
        "ExternalCAs": [
            {
                "Protocol": "cfssl",
                "URL": "https://ca/sign",
                "Options": {"a": "1"},
                "CACert": PEM,
            }
        ],
    }
    assert new["Labels"] == {"site": "berlin", "prod": "true"}


def test_merging_leaves_what_it_is_given_as_it_was():
    before = repr(SPEC)
    spec.merged(SPEC, options(**ALL))
    assert repr(SPEC) == before


def test_only_what_pillar_sets_is_touched():
    new = spec.merged({**SPEC, "Labels": {"a": "b"}}, options(autolock=True))
    assert new == {
        **SPEC,
        "Labels": {"a": "b"},
        "EncryptionConfig": {"AutoLockManagers": True},
    }


def test_settings_of_the_start_that_differ_are_told():
    builtin = {"address_pools": ["10.30.0.0/16"], "address_pool_mask": 26, "data_path_port": 7789}
    settings = settings_of({**PILLAR, "builtin": builtin}, node("m1"))
    made = {"DefaultAddrPool": ["10.30.0.0/16"], "SubnetSize": 26, "DataPathPort": 7789}
    assert spec.init_only(made, settings) == []
    texts = spec.init_only({**made, "DataPathPort": 4789, "SubnetSize": 24}, settings)
    assert [text.split(",")[0] for text in texts] == [
        "swarm:builtin:address_pool_mask is 26",
        "swarm:builtin:data_path_port is 7789",
    ]
    assert spec.init_only({}, settings_of(PILLAR, node("m1"))) == []


@pytest.mark.parametrize("builtin", [{}, {"address_pools": ["10.30.0.0/16"]}])
def test_cluster_without_subnets_is_told_whatever_pillar_says(builtin):
    settings = settings_of({**PILLAR, "builtin": builtin}, node("m1"))
    made = {"DefaultAddrPool": ["10.30.0.0/16"], "SubnetSize": 0, "DataPathPort": 4789}
    (text,) = spec.init_only(made, settings)
    assert "no task of a service starts" in text
    assert "salt '*' state.apply swarm.clean, then apply swarm" in text


POOLS = [
    [],
    ["10.30.0.0/16"],
    ["10.30.0.0/24"],
    ["10.30.0.0/25"],
    ["10.30.0.0/29"],
    ["10.30.0.0/30"],
    ["10.30.0.0/32"],
    ["10.0.0.0/8"],
    ["10.30.0.0/16", "10.40.0.0/26"],
    ["fd00:30::/24"],
    ["fd00:30::/48"],
]


def refused_by_docker(pools, size):
    """Say whether an engine refuses pools, or takes them and can then make no network."""
    usable = size <= 29 and all(int(pool.partition("/")[2]) <= size for pool in pools)
    return not (usable and size and pools) or any(":" in pool for pool in pools)


@pytest.mark.parametrize("mask", [None, 0, 7, 8, 16, 24, 25, 26, 29, 30, 33])
@pytest.mark.parametrize("pools", POOLS, ids=str)
def test_pools_that_pillar_may_have_are_pools_that_docker_can_use(pools, mask):
    """And that take effect: what the engine gets is what the pillar says."""
    pillar = {**PILLAR, "builtin": {"address_pools": pools, "address_pool_mask": mask}}
    settings, faults = resolved(pillar, node("m1"))
    if faults:
        assert {fault.path.rpartition(":")[0] for fault in faults} == {"swarm:builtin"}
        assert refused_by_docker(pools or ["10.0.0.0/8"], 24 if mask is None else mask)
        return
    body = spec.address_pools(settings["builtin"])
    if not pools and mask is None:
        assert body == {}
        return
    assert body["DefaultAddrPool"] == pools or not pools
    assert body["SubnetSize"] == (mask or 24)
    assert not refused_by_docker(body["DefaultAddrPool"], body["SubnetSize"])


@pytest.mark.parametrize(
    ("pillar", "path"),
    [
        ({"overlay": True}, "swarm:overlay"),
        ({"store": "consul://10.0.0.1:8500"}, "swarm:store"),
        ({"client": {"nodes": ["m1"]}}, "swarm:client:nodes"),
        ({"engine": {"options": {"live-restore": True}}}, "swarm:engine:options:live-restore"),
        (
            {"engine": {"options": {"firewall-backend": "nftables"}}},
            "swarm:engine:options:firewall-backend",
        ),
        ({"engine": {"port": 2377}}, "swarm:builtin:port"),
        ({"nodes": {"m4": {"availability": "off"}}}, "swarm:nodes:m4:availability"),
        ({"nodes": {"m 4": {}}}, "swarm:nodes:m 4"),
        ({"nodes": {"m4": {"labels": {"a": [1]}}}}, "swarm:nodes:m4:labels"),
        (
            {"builtin": {"cluster": {"election-tick": 2, "heartbeat-tick": 2}}},
            "swarm:builtin:cluster:election-tick",
        ),
        ({"builtin": {"cluster": {"cert-expiry": "5m"}}}, "swarm:builtin:cluster:cert-expiry"),
        (
            {"builtin": {"cluster": {"external-ca": [{"url": "http://x"}]}}},
            "swarm:builtin:cluster:external-ca",
        ),
        ({"builtin": {"cluster": {"labels": {}}}}, "swarm:builtin:cluster:labels"),
        (
            {"builtin": {"cluster": {"snapshot-interval": 0}}},
            "swarm:builtin:cluster:snapshot-interval",
        ),
        ({"builtin": {"unlock_key": "vault/key"}}, "swarm:builtin:unlock_key"),
        ({"builtin": {"signing_ca_cert": "/ca"}}, "swarm:builtin:signing_ca_key"),
        (
            {
                "builtin": {
                    "signing_ca_cert": "/ca",
                    "cluster": {"external-ca": [{"url": "https://ca/sign"}]},
                }
            },
            "swarm:builtin:signing_ca_key",
        ),
        ({"builtin": {"signing_ca_key": "/key"}}, "swarm:builtin:signing_ca_cert"),
        ({"builtin": {"data_path_port": 80}}, "swarm:builtin:data_path_port"),
        ({"builtin": {"address_pools": ["10.30.0.0/28"]}}, "swarm:builtin:address_pool_mask"),
        ({"builtin": {"address_pools": ["fd00:30::/24"]}}, "swarm:builtin:address_pools"),
        ({"builtin": {"address_pool_mask": 30}}, "swarm:builtin:address_pool_mask"),
        ({"builtin": {"data_path_address": "10.9.9.9"}}, "swarm:builtin:data_path_address"),
    ],
)
def test_wrong_pillar_names_its_path(pillar, path):
    _, faults = resolved({**PILLAR, **pillar}, node("m1"))
    assert [fault.path for fault in faults] == [path]
