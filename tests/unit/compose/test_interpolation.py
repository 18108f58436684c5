"""
Variables in compose files, as the compose specification has them; and the YAML of these files.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_formula.compose import yaml_text
from swarm_formula.compose.interpolation import substitute
from swarm_formula.core.faults import FaultError

VARIABLES = {"X": "1", "EMPTY": "", "Y": "y"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a$X b", "a1 b"),
        ("${X}${Y}", "1y"),
        ("$$X $$$X $${X}", "$X $1 ${X}"),
        ("${NO:-d}", "d"),
        ("${NO-d}", "d"),
        ("${NO-}", ""),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY-d}", ""),
        ("${X:-d}", "1"),
        ("${X:+d}", "d"),
        ("${EMPTY:+d}", ""),
        ("${EMPTY+d}", "d"),
        ("${NO+d}", ""),
        ("${X:?why}", "1"),
        ("${EMPTY?why}", ""),
        ("${NO:-${Y}-${NO:-z}}!", "y-z!"),
        ("${NO:-$$}", "$"),
        ("${NO:-a:b?c}", "a:b?c"),
        ("no variable", "no variable"),
    ],
)
def test_variable_is_its_value(text, value):
    assert substitute(text, VARIABLES) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("$NO", "the variable NO, which is not set"),
        ("${NO}", "or a default: ${NO:-}"),
        ("${NO:?tell me}", "no value of the variable NO (tell me)"),
        ("${EMPTY:?}", "no value of the variable EMPTY (it is needed)"),
        ("${NO:-$ALSO}", "the variable ALSO"),
        ("costs 5$", "$$ for a dollar sign"),
        ("$1", "$$ for a dollar sign"),
        ("${X", "${ without a closing brace"),
        ("${X!}", ":-text, :?text, :+text, or }"),
        ("${}", "$$ for a dollar sign"),
    ],
)
def test_what_is_no_variable_is_refused_with_the_cure(text, words):
    with pytest.raises(FaultError) as error:
        substitute(text, VARIABLES)
    assert words in str(error.value)


@given(st.text(alphabet="$${}:-?+XN ", max_size=20))
def test_any_text_has_a_value_or_a_reason(text):
    try:
        found = substitute(text, {"X": "1"})
    except FaultError:
        return
    assert "$" not in text or found != text


@given(st.text(max_size=20))
def test_doubled_dollar_signs_keep_any_text(text):
    assert substitute(text.replace("$", "$$"), {}) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("22:22", "22:22"),
        ("2024-01-01", "2024-01-01"),
        ("0400", 0o400),
        ("0o400", 0o400),
        ("08", "08"),
        ("1_000", "1_000"),
        ("1.5", 1.5),
        ("~", None),
        ("", None),
    ],
)
def test_scalars_are_those_of_other_readers_of_compose_files(text, value):
    assert yaml_text.load(f"a: {text}") == {"a": value}


def test_anchors_and_merges():
    text = "x-a: &a {b: 1, c: 2}\nd: {<<: *a, c: 3}\ne: {<<: [*a, {f: 4}]}"
    found = yaml_text.load(text)
    assert found["d"] == {"b": 1, "c": 3}
    assert found["e"] == {"b": 1, "c": 2, "f": 4}


@pytest.mark.parametrize("text", ["a: [", "a: 1\na: 2", "a: !reset x", "&a [*a]", "a: *b", "\0"])
def test_what_is_no_yaml_is_refused(text):
    with pytest.raises(FaultError, match="compose file in YAML"):
        yaml_text.load(text)
