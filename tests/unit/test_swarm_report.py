import pytest
import swarm_errors
import swarm_fleet
import swarm_members
import swarm_report
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.test_swarm_members import node, report, said

MEMBERS = ["m1", "m2", "m3", "m4.example.com"]
REPORTS = {"m1": report(1), "m2": report(2), "m3": report(3)}
HEARD = said(node(1), node(2), node(3), node(4))
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda one: st.lists(one) | st.dictionaries(st.text(), one),
)


def of(member, reports=REPORTS, heard=HEARD):
    return swarm_members.endpoint(member, reports, heard, MEMBERS)


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
    with pytest.raises(swarm_errors.SwarmError, match=f"is also that of {owner}"):
        of(member, reports)


def test_node_of_a_member_with_a_domain_is_found_by_its_host_name():
    assert of("m4.example.com") == "10.77.0.14:2275"


@given(st.dictionaries(st.text(), ANYTHING), st.sampled_from(["a", "\n", "error", "locked"]))
def test_whatever_labels_and_state_a_member_reports_its_row_is_one_line(labels, state):
    mine = report(4, labels=labels, state=state, error=state)
    reports = {"m4": swarm_report.read(mine)}
    rows = swarm_members.rows(["m4"], reports, said(node(4)))
    assert len(swarm_members.table(rows).splitlines()) == 2


@given(st.dictionaries(st.sampled_from([*report(1), "more"]), ANYTHING), ANYTHING)
def test_nothing_that_a_minion_reports_breaks_a_status(keys, heard):
    reports = {
        "m1": swarm_report.read({**report(1), **keys}),
        "m2": swarm_report.read(keys),
        "m3": swarm_report.read(heard),
    }
    for one in (swarm_report.read_managers(heard), swarm_report.read_managers({"m1": heard})):
        rows = swarm_members.rows(list(reports), reports, one)
        assert len(swarm_members.table(rows).splitlines()) == len(rows) + 1
        swarm_members.to_join(rows, reports)
        swarm_members.keeper(reports, one)
        swarm_fleet.knowing({swarm_fleet.Swarm((), ()): one}, "m1")


@given(st.lists(st.tuples(st.sampled_from(MEMBERS), st.sampled_from(MEMBERS)), max_size=6))
def test_whatever_others_report_a_member_is_removed_as_itself_or_not_at_all(lies):
    """Its key is its own report's, or that of the node with its name; never one that is shared."""
    places = {name: f"10.77.0.1{number}:2275" for number, name in enumerate(MEMBERS, 1)}
    reports = {liar: report(number_of(liar), endpoint=places[whom]) for liar, whom in lies}
    for member in MEMBERS:
        try:
            found = swarm_members.endpoint(member, reports, HEARD, MEMBERS)
        except swarm_errors.SwarmError:
            continue
        assert found == places[member]


def number_of(name):
    return int(name[1])
