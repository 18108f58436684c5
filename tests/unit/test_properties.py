"""
What holds for every input, however odd: laws, and no error but the formula's own.
"""

import contextlib
import copy
import json
from types import SimpleNamespace
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _modules import swarm_builtin
from swarm_formula.builtin import node_changes, node_removal
from swarm_formula.cluster import node_claims, swarm_api
from swarm_formula.consul import agent_api, container_spec
from swarm_formula.core import errors
from swarm_formula.daemon import daemon_json, daemon_merge, systemd_unit
from swarm_formula.salt.execution import Minion
from swarm_formula.settings import parse, schema, warnings
from swarm_formula.standalone import containers, flags, manager_info
from swarm_formula.tls import cert_files
from tests.unit import cluster_api
from tests.unit.execution import mocked
from tests.unit.pillars import BUILTIN, FILES, HOSTS, M1, VALID, resolved, settings_of
from tests.wrong_pillars import WRONG, merged

# Knows nothing of Salt.
pytestmark = pytest.mark.once


def words_of(fields):
    """Return every key that the schema knows, on all levels."""
    for key, entry in fields.items():
        yield key
        if isinstance(entry, schema.Objects):
            yield from (word for name in entry.rules().options for word in name.split("."))
        elif not isinstance(entry, schema.Field):
            yield from words_of(getattr(entry, "fields", entry))


def values_of(value):
    """Return the single values that a pillar holds."""
    inner = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict | list):
        return [one for each in inner for one in values_of(each)]
    return [value]


KEYS = sorted({*words_of(schema.SCHEMA), *HOSTS, "ports", "http", "cidr", "interface"})
# What comes close to being right finds more than what is far from it.
NEAR = sorted({*map(str, values_of([wrong.pillar for wrong in WRONG])), *HOSTS.values(), *KEYS})

texts = st.text(max_size=12) | st.sampled_from(NEAR)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats()
    | texts
    | st.integers(1, 10_000)
)
json_like = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | texts | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)


@st.composite
def schema_like(draw, fields=schema.SCHEMA):
    """Draw a pillar that has the schema's shape here and there, and anything in its places."""
    pillar = {}
    for key in draw(st.lists(st.sampled_from(sorted(fields)), unique=True, max_size=6)):
        entry = fields[key]
        if isinstance(entry, schema.Field):
            pillar[key] = draw(json_like | st.just(entry.default))
        elif isinstance(entry, schema.Each):
            shape = schema_like(entry.fields)
            pillar[key] = draw(st.dictionaries(texts, shape, max_size=3))
        elif isinstance(entry, schema.Objects):
            options = st.dictionaries(
                st.sampled_from(sorted(entry.rules().options)), json_like, max_size=4
            )
            pillar[key] = draw(st.dictionaries(texts, options | json_like, max_size=3))
        else:
            pillar[key] = draw(schema_like(entry))
    return pillar


def usable(settings):
    """Make everything of settings that is made of them on a node."""
    daemon_json.options(settings, "20.10.5", FILES)
    warnings.warnings(settings)
    if settings["mode"] == "builtin":
        return []
    certs = cert_files.Set("ca", "cert", "key", "gossip")
    config = container_spec.consul_config(settings, certs, FILES)
    container_spec.consul_container(settings, config)
    daemon_json.overlay_options(settings, containers.engine_endpoint(settings), FILES)
    return [
        containers.manager_container(settings, FILES),
        containers.agent_container(settings, FILES),
    ]


@given(json_like | schema_like())
def test_checker_judges_every_pillar(pillar):
    """It never raises, and a pillar it calls right can be worked with."""
    settings, faults = resolved(pillar, M1._replace(local=True))
    assert all(text.startswith("swarm") for text in parse.texts(faults))
    if not faults:
        for container in usable(settings):
            assert all(isinstance(word, str) for word in container["command"])


@given(schema_like())
def test_checker_judges_every_pillar_laid_over_a_valid_one(pillar):
    settings, faults = resolved(merged(VALID, pillar))
    if not faults:
        usable(settings)
    else:
        assert parse.texts(faults)


@given(schema_like())
def test_reading_changes_no_pillar(pillar):
    before = copy.deepcopy(pillar)
    resolved(pillar)
    assert repr(before) == repr(pillar)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "strategy": st.sampled_from(["spread", "binpack", "random"]),
            "replication": st.booleans(),
            "replication-ttl": st.integers(20, 3600) | st.floats(20, 3600),
            "filter": st.lists(st.sampled_from(flags.FILTERS), unique=True),
            "engine-failure-retry": st.integers(1, 1000),
            "heartbeat": st.sampled_from(["1m30s", "90s", "1.5h"]),
        },
    )
)
def test_order_of_options_is_the_same_for_every_order_of_pillar(options):
    """Otherwise the order in a mapping would recreate a container."""
    upside_down = dict(reversed(options.items()))
    line = flags.argv(options, flags.MANAGE)
    assert line == flags.argv(upside_down, flags.MANAGE)
    assert all(word.startswith("--") for word in line)


# ---- parsers

anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)
status_keys = st.sampled_from(["Role", "Primary", "Nodes", " m1", " (unknown)", "  └ ID", "  └ "])
pairs = st.lists(st.lists(status_keys | texts, min_size=2, max_size=2), max_size=8)
infos = st.fixed_dictionaries(
    {"ServerVersion": st.just("swarm/1.2.9"), "SystemStatus": pairs | st.lists(anything)}
)


@given(anything | infos)
def test_info_is_understood_or_refused(info):
    with contextlib.suppress(errors.ApiError):
        manager = manager_info.parse(info, "10.77.0.11:3375")
        said = manager_info.Answers({"m1": manager}, {"m2": "no connection"})
        manager_info.unhealthy(said, "10.77.0.11:2275")
        manager_info.unknown_labels(said, "10.77.0.11:2275", {"zone=a"})
        manager_info.no_primary(said)


@given(anything)
def test_members_of_consul_are_understood_or_refused(found):
    client = SimpleNamespace(agent=SimpleNamespace(members=lambda: found))
    with contextlib.suppress(errors.StoreError):
        known = agent_api.members(client)
        agent_api.alive_servers(known)
        agent_api.names(known, agent_api.ALIVE)


@given(st.dictionaries(st.sampled_from(["m1", "m2", "m9"]), anything))
def test_what_members_say_of_themselves_breaks_nothing(told):
    """Each minion writes its own part of the mine, and may write anything."""
    settings = settings_of({**BUILTIN, "nodes": {"m*": {}}})
    salt, mine = mocked(swarm_settings__get=settings), SimpleNamespace(get=lambda *_: told)
    nodes = [cluster_api.node("m1", "manager", leader=True), cluster_api.node("m2")]
    with (
        mock.patch.object(Minion, "mine", return_value=mine),
        mock.patch.object(swarm_api, "connect", cluster_api.ClusterApi("m1", nodes).connect),
        mock.patch.object(swarm_builtin, "_minion", return_value=Minion(salt, {}, {})),
    ):
        claims = swarm_builtin.claims()
    node_claims.doubles(claims, nodes, settings)
    node_claims.strangers(nodes, claims)
    node_changes.changes(nodes, claims, settings)
    node_removal.lost_managers(nodes, claims, settings)
    node_removal.expired(nodes, claims, settings, 0)


@given(pairs)
def test_every_node_line_is_a_node(status):
    manager = manager_info.parse({"ServerVersion": "swarm/1.2.9", "SystemStatus": status})
    nodes = {value for key, value in status if key in (" m1", " (unknown)")}
    assert nodes <= set(manager.nodes)


lines = st.lists(
    st.sampled_from(["ExecStart=", "ExecStart=/usr/bin/dockerd \\", "# /etc/x.conf", "\\", "; x"])
    | st.text(max_size=20),
    max_size=10,
).map("\n".join)


@given(lines)
def test_units_give_a_command_of_one_line_or_none(text):
    command = systemd_unit.exec_start(text)
    assert command is None or (command == command.strip() and "\n" not in command)


@given(st.text() | lines)
def test_words_of_a_journal_are_of_that_journal(text):
    for words in (systemd_unit.words(text, 1), systemd_unit.systemd_words(text, 1)):
        assert words in text.replace('\\"', '"')


@given(st.text() | st.from_regex(r"(\d:)?v?\d{1,3}(\.\d{1,3}){0,3}[-+~].*", fullmatch=True))
def test_version_is_a_tuple_of_numbers(text):
    assert all(isinstance(part, int) for part in daemon_json.version(text))


members = st.lists(
    st.fixed_dictionaries(
        {"Name": st.sampled_from(sorted(HOSTS))},
        optional={
            "Status": st.integers(0, 4),
            "Tags": st.dictionaries(st.just("role"), st.sampled_from(["consul", "node"])),
        },
    )
)


@given(members)
def test_missing_servers_are_named(found):
    alive = agent_api.alive_servers(found)
    text = agent_api.missing(HOSTS, alive, "")
    for host in HOSTS:
        assert (host in text.partition(";")[2]) == (host not in alive)


# ---- daemon.json

options = st.sampled_from(["debug", "live-restore", "mtu", "log-driver", "dns", "log-opts", "tls"])
plain = st.booleans() | st.integers(0, 9) | st.text("ab", max_size=2) | st.lists(st.integers(0, 2))
config_values = plain | st.dictionaries(st.text("ab", max_size=1), plain, max_size=2)
label_maps = st.dictionaries(st.sampled_from(["zone", "ssd", "rack"]), st.sampled_from("abc"))
label_lists = label_maps.map(lambda labels: [f"{key}={one}" for key, one in labels.items()])
overlay_values = st.just("consul://127.0.0.1:8500")


@st.composite
def configs(draw):
    """Draw a ``daemon.json`` that is in order."""
    config = draw(st.dictionaries(options, config_values, max_size=5))
    if draw(st.booleans()):
        config["labels"] = draw(label_lists)
    if draw(st.booleans()):
        config["cluster-store"] = draw(overlay_values)
    return config


@st.composite
def wants(draw):
    """Draw what pillar wants, without the overlay's keys."""
    wanted = {**draw(st.dictionaries(options, config_values, max_size=5))}
    if labels := draw(label_lists):
        wanted["labels"] = labels
    return wanted


@given(configs(), wants())
def test_merge_holds_all_that_is_wanted(config, wanted):
    merged_config, _ = daemon_merge.merge(config, wanted, {})
    for key, value in wanted.items():
        if key == "labels":
            assert set(value) <= set(merged_config["labels"])
        else:
            assert merged_config[key] == value


@given(configs(), wants())
def test_merge_twice_is_merge_once(config, wanted):
    once, record = daemon_merge.merge(config, wanted, {})
    again, same = daemon_merge.merge(once, wanted, record)
    assert (again, same) == (once, record)
    assert json.dumps(again) == json.dumps(once)


@given(configs(), wants(), wants())
def test_path_to_what_is_wanted_does_not_matter(config, first, second):
    """Whatever pillar wanted before, what it wants now gives the same as on a fresh host."""
    detour, record = daemon_merge.merge(*_arguments(config, first), {})
    detour, _ = daemon_merge.merge(detour, second, record)
    direct, _ = daemon_merge.merge(*_arguments(config, second), {})
    assert _unordered(detour) == _unordered(direct)


@given(configs(), st.lists(wants(), min_size=1, max_size=4))
def test_all_taken_back_leaves_the_file_of_before(config, several):
    current, record = copy.deepcopy(config), {}
    for wanted in several:
        current, record = daemon_merge.merge(current, wanted, record)
    current, record = daemon_merge.merge(current, {}, record)
    assert current == config
    assert record == {}


@given(configs(), wants(), configs())
def test_what_an_admin_changes_meanwhile_stays(config, wanted, admins):
    """Keys and labels that an admin sets after us are not ours to take away."""
    current, record = daemon_merge.merge(config, wanted, {})
    theirs = {key: one for key, one in admins.items() if key not in wanted}
    current = {**current, **theirs}
    left, _ = daemon_merge.merge(current, {}, record)
    assert {key: left.get(key) for key in theirs} == theirs


@given(configs(), wants(), st.sampled_from(["tier=web", "tier=db"]))
def test_label_that_an_admin_adds_meanwhile_stays(config, wanted, label):
    current, record = daemon_merge.merge(config, wanted, {})
    current = {**current, "labels": [*current.get("labels", []), label]}
    still, record = daemon_merge.merge(current, wanted, record)
    assert label in still["labels"]
    left, _ = daemon_merge.merge(still, {}, record)
    assert set(left["labels"]) == {label, *config.get("labels", [])}


@given(configs(), wants(), overlay_values)
def test_overlay_and_the_rest_are_apart(config, wanted, store):
    """The two steps of a run merge one after the other, and neither undoes the other."""
    keys = daemon_json.OVERLAY_KEYS
    overlay = {"cluster-store": store, "cluster-advertise": "10.77.0.11:2275"}
    current, record = daemon_merge.merge(config, wanted, {})
    both, record = daemon_merge.merge(current, overlay, record, keys)
    assert overlay.items() <= both.items()
    assert daemon_merge.merge(both, wanted, record) == (both, record)
    assert daemon_merge.merge(both, overlay, record, keys) == (both, record)
    without, record = daemon_merge.merge(both, {}, record, keys)
    assert without == current
    assert daemon_merge.merge(without, {}, record)[0] == config


@given(configs(), configs())
def test_diff_is_empty_only_for_equal_files(old, new):
    assert (daemon_merge.diff(old, new) == {}) == (old == new)


@given(anything.filter(lambda one: isinstance(one, dict)), wants())
def test_merge_takes_any_json_object_or_says_what_is_wrong(config, wanted):
    with contextlib.suppress(errors.SwarmError):
        daemon_merge.merge(config, wanted, {})


@given(st.dictionaries(st.just("labels"), anything), label_lists)
def test_merge_takes_any_labels_or_says_what_is_wrong(config, labels):
    with contextlib.suppress(errors.SwarmError):
        daemon_merge.merge(config, {"labels": labels}, {})


def _arguments(config, wanted):
    return copy.deepcopy(config), wanted


def _unordered(config):
    return {**config, "labels": sorted(config.get("labels", []))}
