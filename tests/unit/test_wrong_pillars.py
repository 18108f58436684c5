"""
What is wrong in a pillar is found before anything is touched, and told with path and cure.
"""

import copy

import pytest

from swarm_formula.settings import parse, schema, warnings
from tests.unit.pillars import BUILTIN, M1, VALID, resolved, settings_of
from tests.wrong_pillars import WRONG, Wrong, merged

# Of the valid pillar, only `overlay` is of classic mode alone.
WITH_SERVICES = {"mode": "builtin", "overlay": False}


def texts(pillar, minion=M1):
    return parse.texts(resolved(pillar, minion)[1])


def by_id(wrong):
    return wrong.id


@pytest.mark.parametrize("wrong", WRONG, ids=by_id)
def test_fault_is_found_with_its_path_and_its_cure(wrong):
    found = texts(merged(VALID, wrong.pillar))
    assert len(found) == 1
    assert found[0].startswith(f"{wrong.path}: found ")
    assert wrong.text in found[0]


def test_no_two_cases_are_the_same():
    assert len({wrong.id for wrong in WRONG}) == len(WRONG)
    assert all(wrong.pillar not in (other.pillar for other in WRONG if other is not wrong)
               for wrong in WRONG)  # fmt: skip


def test_all_faults_are_told_at_once():
    """Whoever corrects one fault does not want to meet the next one in the next run."""
    sections = {
        "overlay": "true",
        "timeout": 1,
        "mangers": ["m1"],
        "labels": {"node": "a"},
        "store": "redis://m1:6379",
        "address": {"interface": "eth99"},
        "engine": {"port": "2275", "opions": {}, "options": {"hosts": [], "labels": []}},
        "consul": {"servers": ["m1", "nowhere"], "http_port": 3375},
        "manager": {"options": {"strategy": "spred", "replication": False}},
        "agent": {"options": {"ttl": "10s"}},
        "networks": {"a": {"driver": "bridge", "gateway": "10.2.0.1", "subnets": "x"}},
        "client": {"nodes": "m1"},
    }
    paths = [text.partition(": found")[0] for text in texts(merged(VALID, sections))]
    assert sorted(paths) == [
        "swarm:address",
        "swarm:agent:options:ttl",
        "swarm:client:nodes",
        "swarm:consul:http_port",
        "swarm:consul:servers:nowhere",
        "swarm:engine:opions",
        "swarm:engine:options:hosts",
        "swarm:engine:options:labels",
        "swarm:engine:port",
        "swarm:labels",
        "swarm:manager:options:replication",
        "swarm:manager:options:strategy",
        "swarm:mangers",
        "swarm:networks:a:gateway",
        "swarm:networks:a:subnets",
        "swarm:overlay",
        "swarm:store",
        "swarm:timeout",
    ]


def test_one_path_is_told_once():
    """That there are no managers follows from ``managers`` being of the wrong type."""
    assert len(texts({"managers": 5})) == 1


def test_long_values_are_cut():
    (text,) = texts(merged(VALID, {"mode": "x" * 10_000}))
    assert len(text) < 200


@pytest.mark.parametrize(
    "pillar",
    [
        {},
        {"managers": ["m1"]},
        {"managers": {"m1": None, "m2": "10.77.0.12", "m3": None}},
        {"managers": {"m1": "10.77.0.11"}, "address": "10.77.0.11"},
        {"managers": {"m1": "203.0.113.1"}},  # behind NAT: no interface has it
        {"address": "10.77.0.11"},
        {"address": {"interface": "eth0"}},
        {"address": {"cidr": "10.0.0.0/8"}},
        {"labels": {"zone": "a", "ssd": True, "rack": 7, "com.example.tier": "web front"}},
        {"labels": None},
        {"engine": None, "consul": None, "networks": None, "manager": {"options": None}},
        {"store": "etcd://10.0.0.1:2379,10.0.0.2:2379/swarm", "overlay": False},
        {"store": "etcd://10.0.0.1:2379,10.0.0.2:2379"},
        {"store": "zk://zoo1:2181,zoo2:2181", "overlay": False},
        {"store": "consul://[fd00::1]:8500/prefix", "overlay": False},
        {"store": "etcd://10.0.0.1:2379", "manager": {"port": 8500}},
        {"overlay": False, "manager": {"port": 7946}},
        {"engine": {"options": {"log-driver": "json-file", "log-opts": {"max-size": "1m"}}}},
        {"engine": {"options": {"brand-new-thing-of-docker": 1}}},
        {"engine": {"listen": "0.0.0.0", "version": "20.10.*", "hold": True}},
        {"engine": {"listen": "::"}},
        {"consul": {"servers": ["m4"]}},
        {"consul": {"servers": ["m1", "m2", "m4"], "options": {"log_level": "WARN"}}},
        {"consul": {"options": {"ports": {"dns": -1, "https": 8501}}}},
        {"agent": {"options": {"ttl": 30, "heartbeat": 10, "delay": "1m30s"}}},
        {"agent": {"options": {"ttl": "20s", "heartbeat": "19.5s"}}},
        {"manager": {"options": {"filter": ["health"], "cluster-opt": {"swarm.overcommit": 0.1}}}},
        {"manager": {"options": {"cluster-opt": ["swarm.createretry=3"]}}},
        {"manager": {"options": {"replication": None, "strategy": None}}},
        {"managers": ["m1"], "manager": {"options": {"replication": False}}},
        {"services": None, "secrets": {}, "configs": None},
        {
            **WITH_SERVICES,
            "services": {
                "web": {
                    "image": "nginx:1.27",
                    "ports": ["80:80"],
                    "limits": None,
                    "secrets": [{"name": "key", "mode": "0400"}],
                    "update_config": {"delay": "10s", "order": "start-first"},
                },
                "agent": {"image": "agent", "mode": "global"},
            },
            "secrets": {"key": {"source": "sdb://vault/key"}, "other": {"content": "x", "keep": 3}},
            "configs": {"site": {"source": "salt://site.conf"}},
        },
        {
            **WITH_SERVICES,
            "stacks": {
                "shop": {
                    "source": "salt://stacks/shop.yml",
                    "template": "jinja",
                    "environment": {"TAG": 7},
                    "prune": True,
                    "resolve": "never",
                    "timeout": 300,
                },
                "front": {"content": "services: {web: {image: 'nginx:${TAG:-1}'}}"},
            },
        },
        {"manager": {"options": {"tls": True, "tlscert": "/c.pem", "tlskey": "/k.pem"}}},
        {
            "networks": {
                "a": {"subnet": "10.1.0.0/24", "gateway": "10.1.0.1", "ip_range": "10.1.0.128/25"},
                "b": {"subnet": "fd00:1::/64", "gateway": "fd00:1::1"},
                "c": {"driver": "macvlan", "options": {"parent": "eth0"}},
                "d": None,
            }
        },
    ],
    ids=str,
)
def test_right_pillar_has_no_fault(pillar):
    assert texts({**VALID, **pillar}) == []


@pytest.mark.parametrize(
    ("pillar", "refused"),
    [
        ({"client": {"nodes": ["m1"]}}, True),
        ({"client": {"nodes": ["m1"]}, "engine": {"port": 2376}}, False),
        # As where only the managers' own pillar has a port.
        ({"client": {"nodes": ["m2"]}}, False),
    ],
    ids=str,
)
def test_clients_of_builtin_mode_need_a_port(pillar, refused):
    found = [text.partition(": found")[0] for text in texts({**BUILTIN, **pillar})]
    assert found == ["swarm:client:nodes"] * refused


@pytest.mark.parametrize("empty", [None, {}], ids=str)
def test_single_node_without_master_needs_no_pillar(empty):
    settings = settings_of(empty, M1._replace(local=True))
    assert settings["managers"] == settings["servers"] == {"m1": "10.77.0.11"}


@pytest.mark.parametrize("empty", [None, {}], ids=str)
def test_with_a_master_managers_have_to_be_named(empty):
    assert texts(empty) == [
        "swarm:managers: found []; right would be the minion IDs of the managers, e.g. [m1]"
    ]


def test_empty_key_means_its_default():
    """``replication:`` with nothing behind it must not switch it off."""
    settings = settings_of({**VALID, "manager": {"options": {"replication": None}}})
    assert settings["manager"]["options"]["replication"] is True


def test_value_at_fault_does_not_hide_others():
    faulty = merged(VALID, {"engine": {"port": "2275", "hold": "no"}})
    assert len(texts(faulty)) == 2


# ---- warnings


@pytest.mark.parametrize(
    ("pillar", "words"),
    [
        (
            {"managers": ["m1", "m2"]},
            "swarm:managers: 2 is an even number: a majority of 2 bears the loss of 0,"
            " no more than one of 1 would",
        ),
        (
            {"managers": ["m1", "m2", "m3", "m4"]},
            "swarm:managers: 4 is an even number: a majority of 4 bears the loss of 1,"
            " no more than one of 3 would",
        ),
        (
            {"consul": {"servers": ["m1", "m4"]}},
            "swarm:consul:servers: 2 is an even number: a majority of 2 bears the loss of 0,"
            " no more than one of 1 would",
        ),
        (
            {"managers": ["m1"], "manager": {"options": {"replication": False}}},
            "swarm:manager:options:replication: off: nobody takes over from the manager",
        ),
        (
            {"consul": {"gossip_key": "/root/gossip"}},
            "swarm:consul:gossip_key has no effect: it is for certificates of your own"
            " (swarm:tls:cert); the swarm's own CA makes a key, and without TLS there is none",
        ),
        (
            {"tls": {"enabled": False}},
            "swarm:tls:enabled: false: whoever reaches port 2275 or, on managers, 3375 of m1 is"
            " root there, without a password",
        ),
        (
            {**BUILTIN, "overlay": False, "engine": {"port": 2375}, "tls": {"enabled": False}},
            "swarm:tls:enabled: false: whoever reaches port 2375 of m1 is root there, without a"
            " password",
        ),
    ],
    ids=[
        "two managers",
        "four managers",
        "two servers",
        "no replication",
        "gossip",
        "plain",
        "plain port",
    ],
)
def test_unwise_is_a_warning_with_its_reason(pillar, words):
    assert warnings.warnings(settings_of({**VALID, "tls": {}, **pillar})) == [words]


@pytest.mark.parametrize("managers", [["m1"], ["m1", "m2", "m3"]], ids=len)
def test_odd_numbers_need_no_warning(managers):
    assert warnings.warnings(settings_of({**VALID, "tls": {}, "managers": managers})) == []


# ---- the table and the schema themselves


def fields(entries, path="swarm"):
    """Return ``(path, field)`` of every field of the schema."""
    for key, entry in entries.items():
        below = f"{path}:{key}"
        if isinstance(entry, schema.Field):
            yield below, entry
        elif not isinstance(entry, schema.Objects):
            below = f"{below}:*" if isinstance(entry, schema.Each) else below
            yield from fields(getattr(entry, "fields", entry), below)


FIELDS = dict(fields(schema.SCHEMA))


@pytest.mark.parametrize("path", FIELDS)
def test_every_field_says_what_it_is_for(path):
    assert FIELDS[path].help.strip()


@pytest.mark.parametrize("path", FIELDS)
def test_every_default_passes_its_own_check(path):
    field = FIELDS[path]
    assert field.check(field.default) is None


def test_reading_leaves_the_defaults_alone():
    """Defaults are handed out as they are: whoever works with settings must not change them."""
    before = copy.deepcopy({path: field.default for path, field in FIELDS.items()})
    settings, _ = resolved(VALID)
    warnings.warnings(settings)
    assert {path: field.default for path, field in FIELDS.items()} == before


def test_table_lays_a_pillar_over_without_touching_the_valid_one():
    before = copy.deepcopy(VALID)
    wrong = Wrong("x", {"consul": {"image": "y"}, "managers": {"m9": None}}, "", "")
    result = merged(VALID, wrong.pillar)
    assert result["consul"] == {**VALID["consul"], "image": "y"}
    assert result["managers"] == {"m9": None}
    assert before == VALID
