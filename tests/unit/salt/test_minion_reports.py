import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_formula.core import errors, modes
from swarm_formula.fleet import member_guard, member_nodes, member_rows, swarms
from swarm_formula.fleet import views as fleet_views
from swarm_formula.salt import minion_reports
from tests.unit.fleet.test_members import node, report, said

# Knows nothing of Salt.
pytestmark = pytest.mark.once

MEMBERS = ["m1", "m2", "m3", "m4.example.com"]
REPORTS = {"m1": report(1), "m2": report(2), "m3": report(3)}
HEARD = said(node(1), node(2), node(3), node(4))
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda one: st.lists(one) | st.dictionaries(st.text(), one),
)


def of(member, reports=REPORTS, heard=HEARD):
    return member_nodes.endpoint(member, reports, heard, MEMBERS)


@pytest.mark.parametrize(
    ("member", "reports", "owner"),
    [
        ("m3", {**REPORTS, "m3": report(3, endpoint="10.77.0.12:2275")}, "m2"),  # names another
        ("m3", {"m3": report(3, endpoint="10.77.0.12:2275")}, "m2"),  # which is away
        ("m7", {**REPORTS, "m7": report(2)}, "m2"),  # a copied disk
        ("m2.x", REPORTS, "m2"),  # a forged or misspelt ID
        ("m2.x", {}, "m2"),
        ("m4", {}, None),  # a dead member's host name, but that of one with another ID
    ],
)
def test_node_of_another_member_is_never_removed(member, reports, owner):
    if owner is None:
        assert of(member, reports) == "10.77.0.14:2275"
        return
    with pytest.raises(errors.SwarmError, match=f"is also that of {owner}"):
        of(member, reports)


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ("10.77.0.19:2275", "10.77.0.19:2275 as web, and it says it is 10.77.0.19:2275. Give"),
        ("10.77.0.13:2275", None),
        ("10.77.0.99:2275", None),
        ("", None),
    ],
    ids=["of no member", "its own", "unknown", "none"],
)
def test_report_does_not_name_the_node_that_is_removed(own, words):
    heard = said(node(1), node(3), {**node(9), "name": "web"})
    reports = {"m3": report(3, endpoint=own)}
    if words is None:
        assert of("m3", reports, heard) == "10.77.0.13:2275"
        return
    with pytest.raises(errors.SwarmError, match=words):
        of("m3", reports, heard)
    assert member_nodes.endpoint("m3", reports, heard, MEMBERS, own) == own


def test_operator_chooses_a_node_that_the_managers_list_and_no_other_members():
    reports = {"m3": report(3), "m2": report(3)}
    mine = "10.77.0.13:2275"
    with pytest.raises(errors.SwarmError, match="is also that of m2"):
        of("m3", reports)
    assert member_nodes.endpoint("m3", reports, HEARD, MEMBERS, mine) == mine
    for chosen, words in (("10.77.0.12:2275", "also that of m2"), ("x", "list no node x")):
        with pytest.raises(errors.SwarmError, match=words):
            member_nodes.endpoint("m3", reports, HEARD, MEMBERS, chosen)


def test_name_in_the_list_is_a_claim_and_the_host_name_is_not():
    """In builtin mode, managers show a node by the minion that claims it."""
    claimed = {**node(9), "name": "m3", "hostname": "db"}
    assert of("m3", {}, said(node(1), claimed)) is None


def test_two_nodes_with_the_name_of_a_member_are_told_apart_by_its_report_only():
    again = {**node(9), "name": "m3"}
    heard = said(node(3, "Down"), again)
    assert of("m3", {"m3": report(3, endpoint="10.77.0.19:2275")}, heard) == "10.77.0.19:2275"
    with pytest.raises(errors.SwarmError, match=r"13:2275 as m3 and 10\.77\.0\.19:2275"):
        of("m3", {}, heard)


def test_node_of_a_member_with_a_domain_is_found_by_its_host_name():
    assert of("m4.example.com") == "10.77.0.14:2275"


@given(st.dictionaries(st.text(), ANYTHING), st.sampled_from(["a", "\n", "error", "locked"]))
def test_whatever_labels_and_state_a_member_reports_its_row_is_one_line(labels, state):
    mine = report(4, labels=labels, state=state, error=state)
    reports = {"m4": minion_reports.read(mine)}
    rows = member_rows.rows(["m4"], reports, said(node(4)))
    assert len(member_rows.table(rows).splitlines()) == 2


@given(st.dictionaries(st.sampled_from([*report(1), "more"]), ANYTHING), ANYTHING)
def test_nothing_that_a_minion_reports_breaks_a_status(keys, heard):
    reports = {
        "m1": minion_reports.read({**report(1), **keys}),
        "m2": minion_reports.read(keys),
        "m3": minion_reports.read(heard),
    }
    for answers in ({"m1": heard}, {"m1": {"m1": heard}}, {"m1": HEARD, "m2": heard}):
        views = fleet_views.read(answers)
        one, problems = views.said, views.problems()
        problems |= fleet_views.doubles(reports, reports, one)
        rows = member_rows.rows(list(reports), reports, one, "", problems)
        assert len(member_rows.table(rows).splitlines()) == len(rows) + 1
        member_rows.to_join(rows, reports)
        member_guard.keeper(reports, one, list(reports), modes.MODES["builtin"])
        member_guard.keeper(reports, one, list(reports), modes.MODES["classic"])
        swarms.knowing({swarms.Swarm((), ()): one}, "m1")


@given(st.lists(st.tuples(st.sampled_from(MEMBERS), st.sampled_from(MEMBERS)), max_size=6))
def test_whatever_others_report_a_member_is_removed_as_itself_or_not_at_all(lies):
    """Its key is its own report's, or that of the node with its name; never one that is shared."""
    places = {name: f"10.77.0.1{number}:2275" for number, name in enumerate(MEMBERS, 1)}
    reports = {liar: report(number_of(liar), endpoint=places[whom]) for liar, whom in lies}
    for member in MEMBERS:
        try:
            found = member_nodes.endpoint(member, reports, HEARD, MEMBERS)
        except errors.SwarmError:
            continue
        assert found == places[member]


def number_of(name):
    return int(name[1])
