"""
Each test module on hosts has its place in the order.
"""

from pathlib import Path

import pytest

from tests.lab_order import ORDER, position

TESTS = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("folder", ORDER)
def test_each_module_has_one_place(folder):
    there = {path.stem.removeprefix("test_") for path in (TESTS / folder).glob("test_*.py")}
    assert sorted(ORDER[folder]) == sorted(there)


def test_modules_of_other_folders_stay_where_they_are():
    assert position("tests.unit.tls.test_tls") == 0
    assert position("tests.integration.test_converge") == 0
    assert position("tests.integration.test_labels") == 1
