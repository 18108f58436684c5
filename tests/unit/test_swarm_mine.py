"""Who may read what: targets for Salt's mine."""

import fnmatch
import re

import swarm_mine
from hypothesis import given
from hypothesis import strategies as st

# What the pillar takes in a glob of minion IDs, with "]" of a class only.
PARTS = st.sampled_from(["a", "b", "-", ".", "_", "1", "*", "?", "[ab]", "[!a]", "[1-3]", "["])
GLOBS = st.lists(st.lists(PARTS, min_size=1).map("".join), min_size=1, max_size=4)
NAMES = st.text("ab-._123[", min_size=1, max_size=6)


@given(GLOBS, NAMES)
def test_target_has_the_minions_that_salt_finds_by_the_globs(globs, name):
    found = bool(re.match(swarm_mine.target(globs), name))
    assert found == any(fnmatch.fnmatchcase(name, glob) for glob in globs)


def test_targets_have_whole_ids_only():
    target = swarm_mine.target(["m1", "web-*"])
    had = [one for one in ("m1", "m10", "xm1", "m1.x", "web-1", "xweb-1") if re.match(target, one)]
    assert had == ["m1", "web-1"]
