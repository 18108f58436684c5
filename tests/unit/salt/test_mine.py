"""Who may read what: targets for Salt's mine."""

import fnmatch
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_formula.core import member_rules
from swarm_formula.salt import mine
from tests.unit.pillars import BUILTIN, settings_of

# What the pillar takes in a glob of minion IDs, with "]" of a class only.
PARTS = st.sampled_from(["a", "b", "-", ".", "_", "1", "*", "?", "[ab]", "[!a]", "[1-3]", "["])
GLOBS = st.lists(st.lists(PARTS, min_size=1).map("".join), min_size=1, max_size=4)
NAMES = st.text("ab-._123[", min_size=1, max_size=6)


@given(GLOBS, NAMES)
def test_target_has_the_minions_that_salt_finds_by_the_globs(globs, name):
    found = bool(re.match(mine.target(globs), name))
    assert found == any(fnmatch.fnmatchcase(name, glob) for glob in globs)


def test_targets_have_whole_ids_only():
    target = mine.target(["m1", "web-*"])
    had = [one for one in ("m1", "m10", "xm1", "m1.x", "web-1", "xweb-1") if re.match(target, one)]
    assert had == ["m1", "web-1"]


@pytest.mark.parametrize(
    "pillar",
    [
        BUILTIN,
        {"managers": ["m1"], "consul": {"servers": ["m1", "m2"]}, "nodes": {"web-*": {}}},
        {"managers": ["m1"], "nodes": {"*": {}}},
    ],
    ids=str,
)
def test_secrets_go_to_members_and_to_nobody_else(pillar):
    """The minions that read the gossip key and the join token are those that may join."""
    settings = settings_of(pillar)
    for minion in ("m1", "m2", "m4", "m9", "web-1", "xweb-1"):
        may_read = bool(re.match(mine.members(settings), minion))
        assert may_read is member_rules.is_member(minion, settings), minion
