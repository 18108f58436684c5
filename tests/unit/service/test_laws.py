"""
What holds for every service: what an apply has made is what the next one wants.

A stand-in for a manager fills in defaults and leaves out zeros as Docker does.
"""

import copy
import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm_formula.cluster import node_info
from swarm_formula.cluster import spec as cluster_spec
from swarm_formula.core import member_rules
from swarm_formula.docker import network_spec
from swarm_formula.docker import networks as docker_networks
from swarm_formula.service import api, content_options, export, secrets_configs
from swarm_formula.service import apply as service_apply
from swarm_formula.spec import service_spec
from tests.unit.cluster_api import node
from tests.unit.pillars import settings_of
from tests.unit.service_api import Manager
from tests.unit.spec.test_service_spec import NAMES, NETWORKS, parsed, services, twice

pytestmark = pytest.mark.once

# Each example is several services, or a whole cluster: a part of the profile's examples is enough.
some_of = settings(max_examples=settings.default.max_examples // 4)
DIGEST = "sha256:" + "7" * 64


def at_least(number):
    """Return so many examples also with a small profile: a law that users rely on most."""
    return settings(max_examples=max(number, settings.default.max_examples))


class Registry(dict):
    """A registry that has every image."""

    def get(self, _image, _default=None):
        return DIGEST


class Cluster(Manager):
    """A manager with the networks, secrets and configs that services are drawn with."""

    def __init__(self):
        super().__init__()
        self.networks_ = {
            one: {"Id": one, "Name": name, "Scope": "swarm", "Driver": "overlay"}
            for one, name in NETWORKS.items()
        }
        self.files = {
            kind: {name: {"ID": one, "Spec": {"Name": name}} for name, one in ids.items()}
            for kind, ids in NAMES.items()
        }
        self.registry = Registry()

    def apply(self, services, test=False):
        wanted = {name: parsed(one) for name, one in services.items()}
        return service_apply.apply(self, wanted, service_apply.Run(60, test=test))

    def run_(self, services):
        """Apply, after a dry run whose promise is insisted on; return what changed."""
        before = len(self.written)
        promised = self.apply(services, test=True)
        assert len(self.written) == before
        assert self.apply(services) == promised
        return promised

    def unchanged(self, services):
        """Insist that neither a dry run nor an apply has anything to change."""
        before = len(self.written)
        assert self.apply(services, test=True) == self.apply(services) == {}
        assert len(self.written) == before


@pytest.fixture
def patched(monkeypatch):
    return lambda: Cluster().patch(monkeypatch)


@at_least(1000)
@given(pair=services)
def test_second_apply_in_whatever_words_writes_nothing(patched, pair):
    manager, (one, other) = patched(), pair
    assert set(manager.run_({"web": one})) == {"web"}
    manager.unchanged({"web": one})
    manager.unchanged({"web": other})


@given(before=twice(), after=twice(need=()))
def test_change_is_written_once_and_then_nothing(patched, before, after):
    manager = patched()
    manager.run_({"web": before[0]})
    manager.run_({"web": after[0]})
    manager.unchanged({"web": after[1]})


@some_of
@given(some=st.lists(services, min_size=2, max_size=3), data=st.data())
def test_of_several_services_only_the_one_that_changes_is_written(patched, some, data):
    manager = patched()
    wanted = {f"s{number}": one for number, (one, _) in enumerate(some)}
    manager.run_(wanted)
    which = data.draw(st.sampled_from(sorted(wanted)))
    wanted[which] = {**wanted[which], "container_labels": {"of": "another kind"}}
    assert set(manager.run_(wanted)) == {which}
    manager.unchanged(wanted)


# ---- the pillar of a cluster that runs

texts = st.text(max_size=8)
labels = st.dictionaries(st.sampled_from(["zone", "ssd", "owner"]), texts, max_size=2)
contents = st.binary(min_size=1, max_size=9) | texts.filter(bool).map(str.encode)
SETTINGS = {
    ("Orchestration", "TaskHistoryRetentionLimit"): st.integers(-1, 9),
    ("Raft", "SnapshotInterval"): st.sampled_from([10000, 500]),
    ("Raft", "KeepOldSnapshots"): st.integers(0, 2),
    ("Raft", "LogEntriesForSlowFollowers"): st.sampled_from([500, 7]),
    ("Dispatcher", "HeartbeatPeriod"): st.sampled_from([5 * 10**9, 7500 * 10**6]),
    ("CAConfig", "NodeCertExpiry"): st.sampled_from([7776 * 10**12, 7200 * 10**9, 1]),
    ("CAConfig", "ForceRotate"): st.integers(0, 2),
    ("CAConfig", "ExternalCAs"): st.sampled_from(
        [None, [{"Protocol": "cfssl", "URL": "https://ca", "Options": {"a": "b"}, "CACert": ""}]]
    ),
    ("EncryptionConfig", "AutoLockManagers"): st.booleans(),
    ("Labels",): labels,
}


@st.composite
def specs(draw):
    """Draw the spec of a cluster."""
    spec = {}
    for (*way, last), values in SETTINGS.items():
        place = spec
        for key in way:
            place = place.setdefault(key, {})
        if draw(st.booleans()):
            place[last] = draw(values)
    return spec


@st.composite
def nodes(draw):
    """Draw the nodes of a cluster, with one of a former life of a host."""
    found = [node("m1", "manager", leader=True)]
    for number in range(2, draw(st.integers(2, 5))):
        role = draw(st.sampled_from(["manager", "worker"]))
        found.append(node(f"m{number}", role))
    for one in found:
        one["Spec"]["Labels"] = draw(labels | st.just({node_info.DRAINED: "active", "odd key": ""}))
        one["Spec"]["Availability"] = draw(st.sampled_from(["active", "drain", "pause"]))
    former = {**node("m1", state="down", Labels={"zone": "former"}), "ID": "id-former"}
    return [*found, former] if draw(st.booleans()) else found


networks = st.dictionaries(
    st.sampled_from(["front", "backend", "more"]),
    st.fixed_dictionaries(
        {"driver": st.just("overlay")},
        optional={
            "subnet": st.just("10.9.0.0/24"),
            "internal": st.booleans(),
            "attachable": st.booleans(),
            "labels": st.dictionaries(st.sampled_from("ab"), texts, max_size=2),
            "options": st.just({"com.docker.network.driver.mtu": "1400"}),
        },
    ),
)
files = st.dictionaries(st.sampled_from(["app", "key"]), st.lists(contents, max_size=4), max_size=2)


def of_the_command_line(body):
    """Return the spec of a service as `docker service create` sends it: with all its sections."""
    body = copy.deepcopy(body)
    task = body["TaskTemplate"]
    for key in ("Placement", "RestartPolicy"):
        task.setdefault(key, {})
    task["Resources"] = {"Limits": {}, "Reservations": {}, **(task.get("Resources") or {})}
    task["ContainerSpec"].setdefault("DNSConfig", {})
    task["ContainerSpec"]["Privileges"] = {"NoNewPrivileges": True}
    if not body["Mode"].keys() & {"ReplicatedJob", "GlobalJob"}:
        body["UpdateConfig"] = {"Parallelism": 1, "Delay": 0, **(body.get("UpdateConfig") or {})}
    body.setdefault("EndpointSpec", {"Mode": "vip"})
    return body


@st.composite
def clusters(draw):
    """Draw what a cluster has; the manager comes later, for it lives in a test."""
    found = draw(st.lists(services, max_size=3))
    return {
        "nodes": draw(nodes()),
        "spec": draw(specs()),
        "pool": draw(st.sampled_from([(["10.0.0.0/8"], 24), ([], 0), (["10.30.0.0/16"], 26)])),
        "networks": draw(networks),
        "files": {kind: draw(files) for kind in ("secrets", "configs")},
        "services": {f"s{number}": one for number, (one, _) in enumerate(found)},
        "others": draw(st.lists(services, max_size=2)),
    }


def built(manager, drawn):
    """Make a cluster of what was drawn, by the formula's hand and by others."""
    manager.nodes_, manager.swarm_["Spec"] = drawn["nodes"], drawn["spec"]
    manager.swarm_ |= dict(zip(("DefaultAddrPool", "SubnetSize"), drawn["pool"], strict=True))
    for name, one in drawn["networks"].items():
        if name not in NETWORKS.values():
            manager.post(manager, "/networks/create", network_spec.body(name, one))
    for kind, some in drawn["files"].items():
        for name, versions in some.items():
            for content in versions:
                secrets_configs.apply(manager, content_options.Wanted(kind, name, content, 100))
    manager.run_(drawn["services"])
    for number, (one, _) in enumerate(drawn["others"]):
        body = service_spec.body(f"other{number}", parsed(one), NAMES)
        manager.post(manager, "/services/create", of_the_command_line(body))


def exported(manager):
    """Return the pillar of a cluster, after its way through a file."""
    seen = api.look(manager)
    kinds = ("secrets", "configs")
    found = export.Found(
        manager.inspect_swarm(),
        seen.nodes,
        {"id-m2": "m2"},
        seen.services,
        api.described(manager, seen),
        {kind: secrets_configs.objects(manager, kind) for kind in kinds},
    )
    pillar = yaml.safe_load(yaml.safe_dump(export.pillar(found), allow_unicode=True))
    assert pillar == export.pillar(found)
    return pillar


@at_least(200)
@given(drawn=clusters())
def test_pillar_of_a_cluster_changes_nothing_in_it(patched, drawn):
    manager = patched()
    built(manager, drawn)
    pillar = exported(manager)
    found = settings_of(pillar)
    assert set(found["services"]) == {one["Spec"]["Name"] for one in manager.services()}
    before = json.dumps([manager.services_, manager.files, manager.networks_])
    assert cluster_spec.diff(drawn["spec"], found["builtin"]["cluster"]) == {}
    assert cluster_spec.init_only(manager.swarm_, found) in ([], [cluster_spec._NO_SUBNETS])
    for one in drawn["nodes"]:
        name = one["Description"]["Hostname"]
        wanted = member_rules.settings_of(name, found["nodes"])
        if one["ID"] != "id-former":
            assert (name in found["managers"]) == (one["Spec"]["Role"] == "manager")
            assert wanted["labels"].items() <= one["Spec"]["Labels"].items()
            drained = node_info.DRAINED in one["Spec"]["Labels"]
            real = "active" if drained else one["Spec"]["Availability"]
            assert (wanted["availability"] or "active") == real
    for name, wanted in pillar.get("networks", {}).items():
        assert docker_networks.apply(manager, name, network_spec.wanted(name, wanted)) == {}
    configs = content_options.of_pillar({}, pillar, "configs")
    assert secrets_configs.apply_all(manager, configs) == {}
    wanted = found["services"]
    for test in (True, False):
        assert service_apply.apply(manager, wanted, service_apply.Run(60, test=test)) == {}
    assert json.dumps([manager.services_, manager.files, manager.networks_]) == before
