"""
Each row of the table of error messages that is about this mode is provoked, and its cure done.
"""

import pytest

from tests.builtin.troubles import TROUBLES
from tests.troubles import go_through

pytestmark = [pytest.mark.once, pytest.mark.long]

SAMPLE = 1


@pytest.mark.parametrize("trouble", TROUBLES.chosen(SAMPLE), ids=lambda one: one.id)
def test_error_message_is_provoked_and_its_fix_applied(mode, trouble):
    """And it is the same cluster after it, with the same managers."""
    before, managers = mode.cluster(), dict.fromkeys(("m1", "m2", "m3"), "manager")
    go_through(trouble, mode)
    mode.become(**managers)
    assert trouble.anew or mode.cluster() == before
