"""
A copy of the repository goes as a whole, whatever a run that was killed has left of it.
"""

import itertools

import pytest

from swarm_formula.package import copied

pytestmark = pytest.mark.once

NAMES = ("repository", "repository.new", "repository.old")
LEFT = [left for count in range(4) for left in itertools.combinations(NAMES, count)]


@pytest.mark.parametrize("left", LEFT, ids=" ".join)
def test_nothing_is_left(tmp_path, monkeypatch, left):
    monkeypatch.setattr(copied, "FOLDER", tmp_path / "repository")
    for name in left:
        (tmp_path / name / "dists").mkdir(parents=True)
    promised = copied.removed(test=True)
    assert {path.name for path in tmp_path.iterdir()} == set(left)
    assert copied.removed(test=False) == promised
    assert bool(promised) == bool(left)
    assert not any(tmp_path.iterdir())
    assert copied.removed(test=False) == {}
