import pytest

from _modules import swarm_ca
from swarm_formula.core import errors, host_files, pem_text
from swarm_formula.salt import caller
from swarm_formula.tls import ca_issue, ca_publication, ca_rotation, ca_sign, ca_state
from tests.unit.execution import mocked, own_time
from tests.unit.pillars import VALID, node, settings_of


@pytest.fixture
def ca(monkeypatch, tmp_path):
    """Return a CA in its change on m1, and what the members report, to be changed by a test."""
    monkeypatch.setattr(host_files, "_LOCKS", tmp_path)
    monkeypatch.setattr(ca_state, "FILE", tmp_path / "ca.json")
    before, settings = (
        settings_of({**VALID, "tls": {"ca": "m1", "ca_rotation": number}}, node("m1"))
        for number in (0, 1)
    )
    monkeypatch.setattr(swarm_ca, "__opts__", {"id": "m1"}, raising=False)
    salt = mocked(swarm_settings__get=settings)
    monkeypatch.setattr(swarm_ca, "__salt__", salt, raising=False)
    reports, told = {}, []
    monkeypatch.setattr(ca_publication, "reports", lambda *_: dict(reports))
    monkeypatch.setattr(ca_publication, "tell", lambda *given: told.append(given[-1]))
    state, _ = ca_rotation.advanced(ca_state.found(before), settings, {})
    ca_state.save(state)
    chains = ca_state.chains(state).values()
    old, new = (
        [pem_text.fingerprint(one[key]["cert"]) for one in chains] for key in ("ca", "next")
    )
    for name in ("m1", "m2", "m3"):
        reports[name] = {"trusts": [*old, *new], "issuer": old[0], "consul_issuer": old[1]}
    return reports


def junk(reports, *names):
    for name in names:
        reports[name] = {"trusts": "junk"}


def test_nobody_is_complained_of_when_nobody_is_late(ca):
    assert swarm_ca.complaints() == []


def test_who_holds_up_the_change_is_told(ca):
    junk(ca, "m2")
    before = ca_state.load()
    for test in (True, False):
        assert swarm_ca.apply(test=test) == {}
    assert ca_state.load() == before
    assert "for m2 to trust the new one" in swarm_ca.complaints()[0]


def test_interrupted_rotation_of_a_secret_is_told(ca):
    ca_state.save({**ca_state.load(), "gossip": "new", "gossip_old": "old"})
    (told,) = swarm_ca.complaints()
    assert "salt-run swarm.rotate gossip" in told


def test_emergency_goes_on_without_those_that_are_named(ca):
    junk(ca, "m2", "m3")
    done = swarm_ca.advance("m3", "m2")
    assert done["CA"]["new"] == "the new CA signs, without m2, m3"
    assert ca_state.load()["next"] is None
    assert "swarm_tls.distrust" in done["left behind"]
    assert "m2, m3" in done["left behind"]


def test_rotation_by_command_resumes_the_one_in_progress(ca):
    junk(ca, "m2")
    before = ca_state.load()
    said = swarm_ca.rotate()
    assert ca_state.load() == before
    assert said == {"changing": True, "since": before["since"], "waits for": ["m2"]}


def test_rotation_by_command_needs_no_number_in_pillar(ca):
    idle = {**ca_state.load(), "next": None, "old": []}
    ca_state.save(idle)
    assert swarm_ca.rotation()["changing"] is False
    assert swarm_ca.rotate()["waits for"] == ["m1", "m2", "m3"]
    state = ca_state.load()
    assert (state["ca"], state["rotation"]) == (idle["ca"], idle["rotation"])
    assert state["next"]["cert"] != state["ca"]["cert"]


def test_last_day_of_the_certificates_is_told(ca, monkeypatch):
    monkeypatch.setattr(ca_issue, "time", own_time(time=lambda: 1.9e9))
    assert swarm_ca.valid_until() == "2030-06-15"


@pytest.mark.parametrize("named", [(), ("m2",), ("m1", "m2"), ("m2", "m3", "m4"), ("m4",)])
def test_nobody_else_is_left_behind(ca, named):
    junk(ca, "m2", "m3")
    before = ca_state.load()
    with pytest.raises(errors.SwarmError, match="it waits for m2, m3, all of which"):
        swarm_ca.advance(*named)
    assert ca_state.load() == before


def test_nothing_is_hurried_where_nobody_is_late(ca):
    with pytest.raises(errors.SwarmError, match="it waits for nobody"):
        swarm_ca.advance("m2")


def test_who_is_not_named_by_the_master_gets_no_certificate(ca):
    request = {"csr": "csr", "kind": "node", "address": "10.77.0.11"}
    told = swarm_ca.sign(request, __pub_jid="1", __pub_fun="swarm_ca.sign")
    assert "does not say which minion asks m1" in told["refused"]


def test_members_do_not_queue_behind_others_without_end(ca, monkeypatch):
    """Each of them would hold a process of the minion for ten minutes."""
    monkeypatch.setattr(ca_sign, "_PATIENCE", 0)
    request = {"csr": "csr", "kind": "node", "address": "10.77.0.12"}
    with host_files.alone(ca_state.LOCK):
        assert "busy with other requests" in swarm_ca.sign(request, __pub_id="m2")["busy"]


def test_request_without_a_caller_is_refused_though_it_is_no_job(ca):
    request = {"csr": "csr", "kind": "node", "address": "10.77.0.11"}
    assert "does not say which minion asks m1" in swarm_ca.sign(request)["refused"]


def test_strangers_do_not_queue_for_a_compiled_pillar(ca):
    """Whoever is no member costs the CA a look, as long as another one is being looked at."""
    settings = swarm_ca.__salt__["swarm_settings.get"]
    request = {"csr": "csr", "kind": "node", "address": "10.77.0.19"}
    with caller.admitted("m9", []):
        settings.reset_mock()
        assert "busy" in swarm_ca.sign(request, __pub_id="m8")
        settings.assert_called_once_with()
