"""
What holds for every service: what an apply has made is what the next one wants.

A stand-in for a manager fills in defaults and leaves out zeros as Docker does.
"""

import pytest
import swarm_services
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.service_api import Manager
from tests.unit.test_swarm_service_spec import NAMES, NETWORKS, parsed, services, twice

# Each example is several services, or a whole cluster: a part of the profile's examples is enough.
some_of = settings(max_examples=settings.default.max_examples // 4)
DIGEST = "sha256:" + "7" * 64


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
        return swarm_services.apply(self, wanted, swarm_services.Run(60, test=test))

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
