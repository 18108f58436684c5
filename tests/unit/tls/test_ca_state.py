import copy
import ipaddress
import string

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from swarm_formula.core import errors, host_files, pem_text
from swarm_formula.tls import (
    ca_addresses,
    ca_issue,
    ca_record,
    ca_request,
    ca_rotation,
    ca_state,
    pki,
)
from tests.unit.execution import own_time
from tests.unit.pillars import settings_of

PILLAR = {
    "managers": ["m1", "m2", "m3"],
    "nodes": {"m4": {}, "web-*": {}},
    "client": {"nodes": ["m4"]},
    "tls": {"names": ["swarm.example.com", "10.77.0.100"]},
}
KEY = pki.new_key()
STATE = ca_state.found(settings_of(PILLAR))
REQUEST = pki.request(KEY, "whoever")


@pytest.fixture
def settings():
    """Return the settings of the CA's minion, m1."""
    return settings_of(PILLAR)


@pytest.fixture
def state(settings):
    """Return a new CA."""
    return ca_state.found(settings)


def asked(minion="m4", kind="node", address="10.77.0.14"):
    return ca_request.Asked(minion, kind, address)


def test_minion_that_is_the_ca(settings):
    assert ca_state.minion(settings) == "m1"


def test_a_swarm_without_a_ca():
    settings = settings_of({**PILLAR, "tls": {"enabled": False}})
    with pytest.raises(errors.SwarmError, match=r"no minion signs certificates for m1.*swarm:tls"):
        ca_state.minion(settings)


# ---- who gets what


@pytest.mark.parametrize(
    ("request_of", "names", "addresses"),
    [
        (asked(), {"m4", "localhost"}, {"10.77.0.14", "127.0.0.1"}),
        (asked("web-7", address="10.77.0.77"), {"web-7", "localhost"}, {"10.77.0.77", "127.0.0.1"}),
        (
            asked("m2", address="10.77.0.12"),
            {"m2", "localhost", "swarm.example.com"},
            {"10.77.0.12", "127.0.0.1", "10.77.0.100"},
        ),
        (asked(kind="consul"), {"m4", "localhost"}, {"10.77.0.14", "127.0.0.1"}),
        (
            asked("m2", "consul", "10.77.0.12"),
            {"m2", "localhost", "server.dc1.consul"},
            {"10.77.0.12", "127.0.0.1"},
        ),
    ],
    ids=["a node", "by a glob", "a manager", "a node's Consul", "a server of Consul"],
)
def test_certificate_says_what_pillar_says(settings, request_of, names, addresses):
    grant = ca_issue.granted(request_of, settings, {})
    assert (set(grant.names), set(grant.addresses)) == (names, addresses)
    is_client = request_of.kind == "consul" or request_of.minion in settings["managers"]
    usages = ("serverAuth", "clientAuth") if is_client else ("serverAuth",)
    assert (grant.name, grant.usages) == (request_of.minion, usages)


@pytest.mark.parametrize(
    "tls", [{"enabled": False}, {key: "/x" for key in ("cert", "key", "ca_cert")}]
)
def test_ca_that_is_none_by_its_pillar_signs_for_nobody(tls):
    """There, the pillar alone makes a member, and the key of the former CA may still be there."""
    settings = settings_of({**PILLAR, "tls": tls})
    with pytest.raises(errors.SwarmError, match="is not the CA by its pillar"):
        ca_issue.granted(asked(), settings, {})


def test_only_servers_of_consul_may_say_that_they_are_servers():
    settings = settings_of({**PILLAR, "consul": {"servers": ["m1", "m4"]}})
    for kind, servers in (("consul", ["m1", "m4"]), ("node", [])):
        grants = {
            one: ca_issue.granted(asked(one, kind, f"10.77.0.1{one[1]}"), settings, {})
            for one in ("m1", "m2", "m4")
        }
        assert [one for one in grants if "server.dc1.consul" in grants[one].names] == servers


def test_server_of_consul_that_is_no_manager_is_a_client_of_consul_only():
    settings = settings_of({**PILLAR, "consul": {"servers": ["m1", "m4"]}})
    usages = {
        kind: ca_issue.granted(asked(kind=kind), settings, {}).usages for kind in ("node", "consul")
    }
    assert usages == {"node": ("serverAuth",), "consul": ("serverAuth", "clientAuth")}


@pytest.mark.parametrize(
    "pillar",
    [{"store": "etcd://etcd.example.com:2379"}, {"mode": "builtin", "engine": {"port": 2376}}],
    ids=["a store of the user's own", "builtin"],
)
def test_without_the_formulas_consul_there_is_no_certificate_for_it(pillar):
    settings = settings_of({**PILLAR, **pillar})
    assert "consul" not in ca_state.found(settings)
    with pytest.raises(errors.SwarmError, match="m1, the CA, has no Consul by its pillar"):
        ca_issue.granted(asked(kind="consul"), settings, {})
    assert ca_issue.granted(asked(), settings, {}).usages == ("serverAuth",)


@pytest.mark.parametrize(
    ("request_of", "words"),
    [
        (asked("m5", address="10.77.0.15"), "the pillar of m1, the CA, does not name it as a node"),
        (asked("web", address="10.77.0.15"), "does not name it as a node"),
        # the address of a manager, of a node that has a certificate for it, no address
        (asked(address="10.77.0.11"), "which is that of m1; if m1 is gone: salt m1 swarm_ca.forg"),
        (asked(address="10.77.0.99"), "which is that of web-9; if web-9 is gone"),
        # other texts for the same addresses, and addresses of nobody or of everybody
        (asked(address="::ffff:10.77.0.11"), "which is that of m1"),
        (asked(address="::FFFF:0a4d:000b"), "which is that of m1"),
        (asked(address="::ffff:10.77.0.99"), "which is that of web-9"),
        (asked(address="10.77.0.100"), "is one of the managers' (swarm:tls:names)"),
        (asked(address="::ffff:10.77.0.100"), "is one of the managers' (swarm:tls:names)"),
        (asked(address="fd00::14%eth0"), "is no address that other hosts reach"),
        (asked(address="127.0.0.1"), "is no address that other hosts reach"),
        (asked(address="::1"), "is no address that other hosts reach"),
        (asked(address="::ffff:127.0.0.1"), "is no address that other hosts reach"),
        (asked(address="0.0.0.0"), "is no address that other hosts reach"),
        (asked(address="::"), "is no address that other hosts reach"),
        (asked(address="224.0.0.1"), "is no address that other hosts reach"),
        (asked(address="ff02::1"), "is no address that other hosts reach"),
        (asked(address="169.254.1.1"), "is no address that other hosts reach"),
        (asked(address="fe80::14"), "is no address that other hosts reach"),
        (asked(address="m1"), "'m1' is no address"),
        (asked(address="10.77.0.11/8"), "'10.77.0.11/8' is no address"),
        (asked("m2", address="10.77.0.99"), "it says it has 10.77.0.99, and m1 knows it by 10.77"),
        (asked("m2", "client", "10.77.0.12"), "swarm:client:nodes in the pillar of m1 does not"),
        (asked(kind="ca"), "there is no kind 'ca' of it"),
    ],
    ids=str,
)
def test_who_gets_none_is_told_why(settings, request_of, words):
    issued = {"web-9": {"10.77.0.99"}}
    with pytest.raises(errors.SwarmError, match=f"no certificate for {request_of.minion}: ") as err:
        ca_issue.granted(request_of, settings, issued)
    assert words in str(err.value)


def test_the_only_host_of_a_swarm_may_be_at_loopback(settings):
    settings["managers"] = settings["servers"] = {"m1": "127.0.0.1"}
    grant = ca_issue.granted(asked("m1", address="127.0.0.1"), settings, {})
    assert grant.addresses[0] == "127.0.0.1"


def test_renewal_is_no_theft(settings):
    grant = ca_issue.granted(asked(), settings, {"m4": {"10.77.0.14"}})
    assert grant.addresses[0] == "10.77.0.14"


def moved(settings, state, *requests):
    """Issue certificates one after the other; return the state."""
    for one in requests:
        state, _ = ca_issue.issue(one, REQUEST, settings, state)
    return state


def test_former_address_is_reserved_as_long_as_a_certificate_for_it_is_valid(
    settings, state, monkeypatch
):
    """A member that has moved still has a key with a certificate for it."""
    state = moved(settings, state, asked(), asked(address="10.77.0.15"))
    theirs = asked("web-1", address="::ffff:10.77.0.14")
    with pytest.raises(errors.SwarmError, match=r"10\.77\.0\.14, which is that of m4"):
        moved(settings, state, theirs)
    assert moved(settings, state, asked())["issued"] == {"m4": "10.77.0.14"}
    moved(settings, ca_addresses.without(state, "m4"), theirs)
    later = ca_issue.time.time() + 91 * 86400
    monkeypatch.setattr(ca_issue, "time", own_time(time=lambda: later))
    state = moved(settings, state, theirs)
    assert state["issued"] == {"m4": "10.77.0.15", "web-1": "10.77.0.14"}
    assert "m4" not in state["grants"], "what has expired is not kept"


def test_state_of_a_former_version_reserves_what_it_has(settings, state):
    state["issued"] = {"m4": "10.77.0.14"}
    with pytest.raises(errors.SwarmError, match="which is that of m4"):
        moved(settings, state, asked("web-1", address="10.77.0.14"))


def test_member_does_not_reserve_every_address(settings, state):
    """Of hosts to come, above all."""
    state = moved(settings, state, *(asked(address=f"10.77.0.2{one}") for one in range(8)))
    with pytest.raises(errors.SwarmError, match=r"8 other addresses.*swarm_ca\.forget m4"):
        moved(settings, state, asked(address="10.77.0.30"))
    moved(settings, state, asked(address="10.77.0.23"))


@pytest.mark.parametrize("name", ["m4", "10.77.0.14", "::ffff:10.77.0.14", "m1", "10.77.0.13"])
def test_names_of_the_managers_are_no_members(settings, state, name):
    state = moved(settings, state, asked())
    settings["tls"]["names"] = [name]
    with pytest.raises(errors.SwarmError, match=r"in swarm:tls:names, .* is that of m"):
        moved(settings, state, asked("m2", address="10.77.0.12"))


@pytest.mark.parametrize("name", ["m2", "10.77.0.12", "m1"])
def test_names_of_the_registry_are_no_members(settings, state, name):
    settings["registry"] |= {"node": "m4", "names": [name]}
    with pytest.raises(errors.SwarmError, match=r"in swarm:registry:names, .* is that of m"):
        moved(settings, state, asked())


def test_names_of_the_registry_are_its_nodes_and_no_other_members(settings, state):
    settings["registry"] |= {"node": "m4", "names": ["web-1", "10.77.0.20"]}
    grant = ca_issue.granted(asked(), settings, {})
    assert {"web-1", "10.77.0.20"} <= {*grant.names, *grant.addresses}
    assert "web-1" not in ca_issue.granted(asked("web-2", address="10.77.0.21"), settings, {}).names
    with pytest.raises(errors.SwarmError, match="its ID is a name of the registry"):
        moved(settings, state, asked("web-1", address="10.77.0.21"))
    with pytest.raises(errors.SwarmError, match="is one of the registry's"):
        moved(settings, state, asked("web-2", address="::ffff:10.77.0.20"))


def test_client_is_for_no_host(settings):
    grant = ca_issue.granted(asked(kind="client"), settings, {})
    assert (grant.names, grant.addresses, grant.usages) == ((), (), ("clientAuth",))


def _forms(address):
    """Return texts that Go takes for the same IPv4 address."""
    mapped = ipaddress.ip_address(f"::ffff:{address}")
    return [address, f"::ffff:{address}", f"::FFFF:{address}", mapped.exploded, str(mapped)]


TAKEN = ["10.77.0.11", "10.77.0.12", "10.77.0.13", "10.77.0.100", "127.0.0.1"]


@given(
    st.text(alphabet=string.printable, max_size=20) | st.sampled_from(["m4", "web-1"]),
    st.just("node") | st.text(max_size=20),
    st.text(max_size=45)
    | st.ip_addresses().map(str)
    | st.sampled_from([form for one in TAKEN for form in _forms(one)]),
)
def test_whatever_is_asked_no_manager_is_impersonated(minion, kind, address):
    """A minion that is none of them never gets a name or address of theirs."""
    settings = settings_of(PILLAR)
    known = settings["managers"]
    try:
        grant = ca_issue.granted(asked(minion, kind, address), settings, {})
    except errors.SwarmError:
        return
    if minion not in known:
        assert not {*grant.names} & {*known, "swarm.example.com"}
        parsed = [ipaddress.ip_address(one) for one in grant.addresses]
        packed = {getattr(one, "ipv4_mapped", None) or one for one in parsed}
        assert not packed & {ipaddress.ip_address(one) for one in TAKEN[:-1]}


@given(
    st.none()
    | st.text()
    | st.lists(st.text())
    | st.dictionaries(
        st.sampled_from(["csr", "kind", "address", "consul", "x"]), st.none() | st.text()
    )
)
def test_request_of_another_shape_is_told(value):
    keys = {"csr", "kind", "address"}
    right = isinstance(value, dict) and set(value) in (keys, {*keys, "consul"})
    if right and None not in value.values():
        assert ca_request.parsed(value) == value
        return
    with pytest.raises(errors.SwarmError, match="is a mapping of address, csr, kind"):
        ca_request.parsed(value)


def test_what_is_issued_is_noted(settings, state):
    before = copy.deepcopy(state)
    after, cert = ca_issue.issue(asked(), REQUEST, settings, state)
    assert after["issued"] == {"m4": "10.77.0.14"}
    assert state == before
    assert pki.issuer(cert, state["ca"]["cert"]) == ca_record.record(after)["issuer"]
    assert ca_issue.issue(asked(kind="client"), REQUEST, settings, after)[0] == after
    after, cert = ca_issue.issue(asked(kind="consul"), REQUEST, settings, state)
    assert after["issued"] == {"m4": "10.77.0.14"}
    record = ca_record.record(after)
    assert pki.issuer(cert, record["consul"]) == record["consul_issuer"]
    assert pki.issuer(cert, record["trust"]) is None


# ---- classic mode: only managers are clients of engines and managers, and Consul has its own CA


@given(
    st.sampled_from(["m1", "m2", "m4", "web-1", "m9"]),
    st.sampled_from(["node", "client", "consul", "server", "ca"]) | st.text(max_size=20),
    st.sampled_from(["10.77.0.11", "10.77.0.12", "10.77.0.14", "10.77.0.77"]),
    st.sampled_from(["m1", "client of m4", "clientAuth"]),
)
def test_worker_of_classic_mode_gets_nothing_that_opens_an_engine(minion, kind, address, name):
    """Unless ``client:nodes`` names it."""
    settings = settings_of({**PILLAR, "client": {"nodes": ["m1"]}})
    request = pki.request(KEY, name)
    try:
        _, cert = ca_issue.issue(asked(minion, kind, address), request, settings, STATE)
    except errors.SwarmError:
        return
    by_nodes = pki.issuer(cert, ca_record.record(STATE)["trust"]) is not None
    assert by_nodes is (kind != "consul")
    opens = by_nodes and "clientAuth" in pki.usages(cert)
    assert not opens or minion in settings["managers"]


def upgraded(state, settings):
    """Return a CA of the version before, as the first apply of this version leaves it."""
    return ca_rotation.advanced(ca_state.with_apart(state, settings), settings, {})


def test_new_swarm_has_two_cas_from_the_start(settings, state):
    assert not ca_state.is_shared(state)
    assert state["ca"]["cert"] != state["consul"]["ca"]["cert"]
    assert ca_state.with_apart(state, settings) is state
    assert ca_rotation.advanced(state, settings, {}) == (state, None)
    assert ca_record.is_complete(ca_record.record(state), settings)
    assert not ca_record.is_complete({}, settings)


def test_ca_of_the_version_before_becomes_consuls_and_the_nodes_get_another(settings, state):
    before = {key: one for key, one in state.items() if key != "consul"}
    assert not ca_record.is_complete(ca_record.record(before), settings)
    with pytest.raises(errors.SwarmError, match="no CA for Consul yet: apply swarm on m1"):
        ca_issue.issue(asked(kind="consul"), REQUEST, settings, before)
    old = before["ca"]
    after, step = upgraded(before, settings)
    assert step == "a new CA is trusted beside the old"
    assert (after["ca"], after["consul"]) == (old, {"ca": old, "next": None, "old": []})
    assert after["next"] not in (None, old)
    old, new = (pem_text.fingerprint(after[key]["cert"]) for key in ("ca", "next"))
    reports = {"m4": {"trusts": [old, new], "issuer": old, "consul_issuer": old}}
    after, step = ca_rotation.advanced(after, settings, reports)
    assert step == "the new CA signs"
    assert ca_rotation.lagging(after, reports) == ["m4"]
    reports["m4"]["issuer"] = new
    after, step = ca_rotation.advanced(after, settings, reports)
    assert step == "the old CA is trusted no more"
    record = ca_record.record(after)
    assert (pem_text.fingerprints(record["trust"]), pem_text.fingerprints(record["consul"])) == (
        [new],
        [old],
    )
    assert ca_rotation.advanced(after, settings, reports) == (after, None), "once"


@pytest.mark.parametrize("steps", [1, 2])
def test_change_that_is_in_progress_at_the_upgrade_ends_before(state, steps):
    """Consul follows it, for its certificates are of both of these CAs."""
    settings = settings_of({**PILLAR, "tls": {"ca_rotation": 1}})
    state = {key: one for key, one in state.items() if key != "consul"}
    for _ in range(steps):
        state, _ = ca_rotation.advanced(state, settings, {})
    state = ca_state.with_apart(state, settings)
    for _ in range(3 - steps):
        assert {key: state[key] for key in ("ca", "next", "old")} == state["consul"]
        state, step = ca_rotation.advanced(state, settings, {})
    assert step == "the old CA is trusted no more"
    shared = state["ca"]
    for step in ("a new CA is trusted beside the old", "the new CA signs", "the old CA is trusted"):
        state, said = ca_rotation.advanced(state, settings, {})
        assert said.startswith(step)
    assert state["consul"] == {"ca": shared, "next": None, "old": []}
    assert ca_rotation.advanced(state, settings, {}) == (state, None)


@pytest.mark.parametrize("begun", ["by number", "by command"])
def test_change_of_all_cas_right_after_the_upgrade_separates_them_too(settings, state, begun):
    state = {key: one for key, one in state.items() if key != "consul"}
    state = ca_state.with_apart(state, settings)
    if begun == "by command":
        state = ca_rotation.begun(state, settings)
    else:
        settings = settings_of({**PILLAR, "tls": {"ca_rotation": 1}})
        state, _ = ca_rotation.advanced(state, settings, {})
    nodes, consul = (state[key]["cert"] for key in ("next", "ca")), state["consul"]["next"]["cert"]
    assert consul not in nodes
    for _ in range(2):
        state, _ = ca_rotation.advanced(state, settings, {})
    assert ca_rotation.advanced(state, settings, {}) == (state, None)


def test_cas_of_nodes_and_consul_change_together(state):
    settings = settings_of({**PILLAR, "tls": {"ca_rotation": 1}})
    first, _ = ca_rotation.advanced(state, settings, {})
    both = [pem_text.fingerprint(one["next"]["cert"]) for one in (first, first["consul"])]
    for known in (both[:1], both[1:]):
        assert ca_rotation.lagging(first, {"m2": {"trusts": known}}) == ["m2"]
    second, _ = ca_rotation.advanced(first, settings, {"m2": {"trusts": both}})
    reports = {"m2": {"issuer": both[0], "consul_issuer": "the old"}, "m4": {"issuer": both[0]}}
    assert ca_rotation.lagging(second, reports) == ["m2"], "m4 has a store of its own"


# ---- builtin mode: nodes are servers, and clients have a CA of their own


@pytest.fixture(scope="module")
def apart():
    """Return the settings of the CA's minion in builtin mode, and a new CA."""
    settings = settings_of({**PILLAR, "mode": "builtin", "engine": {"port": 2376}})
    return settings, ca_state.found(settings)


@given(
    st.sampled_from(["m1", "m2", "m4", "web-1", "m9"]),
    st.sampled_from(["node", "client", "server", "ca"]) | st.text(max_size=20),
    st.sampled_from(["10.77.0.11", "10.77.0.12", "10.77.0.14", "10.77.0.77"]),
    st.sampled_from(["m1", "client of m4", "clientAuth"]),
)
def test_no_node_of_builtin_mode_is_ever_a_client(apart, minion, kind, address, name):
    """Only the kind ``client`` is one, for the nodes of ``client:nodes``, and of the other CA."""
    settings, state = apart
    request = pki.request(KEY, name)
    try:
        _, cert = ca_issue.issue(asked(minion, kind, address), request, settings, state)
    except errors.SwarmError:
        return
    is_client = kind == "client"
    assert pki.usages(cert) == {"clientAuth" if is_client else "serverAuth"}
    assert not is_client or minion == "m4"
    by = {key: pki.issuer(cert, one) is not None for key, one in _trusted(state).items()}
    assert by == {"trust": not is_client, "clients": is_client}


def _trusted(state):
    """Return the CAs that everybody trusts as servers, and those that engines take clients of."""
    record = ca_record.record(state)
    return {key: record[key] for key in ("trust", "clients")}


def test_request_that_asks_for_usages_gets_none_of_them(apart):
    """The request's own extensions are nothing to the CA."""
    settings, state = apart
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    wish = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    key = ec.generate_private_key(ec.SECP256R1())
    signed = builder.add_extension(wish, critical=True).sign(key, hashes.SHA256())
    request = signed.public_bytes(serialization.Encoding.PEM).decode()
    _, cert = ca_issue.issue(asked(), request, settings, state)
    assert pki.usages(cert) == {"serverAuth"}


def test_ca_of_an_earlier_version_gets_one_for_clients_once(apart, state):
    settings, _ = apart
    assert "clients" not in state
    assert not ca_record.is_complete(ca_record.record(state), settings)
    with pytest.raises(errors.SwarmError, match="no CA for clients yet: apply swarm on m1"):
        ca_issue.issue(asked(kind="client"), REQUEST, settings, state)
    after = ca_state.with_apart(state, settings)
    assert {**after, "clients": None} == {**state, "clients": None}
    assert ca_record.is_complete(ca_record.record(after), settings)
    assert ca_state.with_apart(after, settings) is after


def test_cas_of_nodes_and_clients_change_together(apart):
    settings, state = apart
    settings = {**settings, "tls": {**settings["tls"], "ca_rotation": 1}}
    old = _trusted(state)
    first, _ = ca_rotation.advanced(state, settings, {})
    both = [pem_text.fingerprint(one["next"]["cert"]) for one in (first, first["clients"])]
    # Whoever trusts only one of the new ones would shut clients out.
    for known in (both[:1], both[1:]):
        assert ca_rotation.lagging(first, {"m2": {"trusts": known}}) == ["m2"]
    assert {key: len(pem_text.bundle(one)) for key, one in _trusted(first).items()} == {
        "trust": 2,
        "clients": 2,
    }
    second, step = ca_rotation.advanced(first, settings, {"m2": {"trusts": both}})
    assert step == "the new CA signs"
    reports = {"m2": {"issuer": both[0]}, "m4": {"issuer": both[0], "clients_issuer": "the old"}}
    assert ca_rotation.lagging(second, reports) == ["m4"]
    reports["m4"]["clients_issuer"] = both[1]
    third, step = ca_rotation.advanced(second, settings, reports)
    assert step == "the old CA is trusted no more"
    for key, text in _trusted(third).items():
        (left,) = pem_text.bundle(text)
        assert left not in old[key]


@given(st.none() | st.text() | st.integers() | st.lists(st.text()) | st.just({}))
def test_report_of_a_client_that_is_none_holds_the_change_up(apart, said):
    settings, state = apart
    settings = {**settings, "tls": {**settings["tls"], "ca_rotation": 1}}
    first, _ = ca_rotation.advanced(state, settings, {})
    second, _ = ca_rotation.advanced(first, settings, {})
    new = pem_text.fingerprint(second["ca"]["cert"])
    for report in ({"issuer": new, "clients_issuer": said}, {"clients_issuer": said}, said):
        assert ca_rotation.advanced(second, settings, {"m4": report}) == (second, None)


def test_clients_ca_that_is_made_in_the_middle_of_a_change_stays(apart, state):
    settings, _ = apart
    settings = {**settings, "tls": {**settings["tls"], "ca_rotation": 1}}
    first, _ = ca_rotation.advanced(state, settings, {})
    first = ca_state.with_apart(first, settings)
    made = first["clients"]["ca"]
    reports = {"m2": report(first, ["ca", "next"], "ca")}
    second, _ = ca_rotation.advanced(first, settings, reports)
    reports = {"m2": report(second, ["ca"], "ca")}
    third, step = ca_rotation.advanced(second, settings, reports)
    assert step == "the old CA is trusted no more"
    assert third["clients"] == {"ca": made, "next": None, "old": []}


def test_ca_is_kept_for_root_alone(tmp_path, monkeypatch, state):
    monkeypatch.setattr(ca_state, "FILE", tmp_path / "ca.json")
    assert ca_state.load() == {}
    ca_state.save(state)
    assert ca_state.load() == {**state, "serial": 1}
    assert (tmp_path / "ca.json").stat().st_mode & 0o777 == 0o600


def test_disk_that_is_full_leaves_the_ca_as_it_was(tmp_path, monkeypatch, state):
    monkeypatch.setattr(ca_state, "FILE", tmp_path / "ca.json")
    ca_state.save(state)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(host_files.os, "fsync", full)
    with pytest.raises(errors.SwarmError, match="No space left"):
        ca_state.save({**state, "issued": {"m4": "10.77.0.14"}})
    assert ca_state.load() == {**state, "serial": 1}


# ---- its change


def report(state, trusts, issuer):
    """Return what a member says that trusts and has these, of each CA."""
    chains = ca_state.chains(state)
    prints = {
        chain: {key: pem_text.fingerprint(one[key]["cert"]) for key in ("ca", "next") if one[key]}
        for chain, one in chains.items()
    }
    issuers = {
        ca_record.issuer_key(chain): one[issuer]
        for chain, one in prints.items()
        if chain != "clients"
    }
    known = [one[key] for one in prints.values() for key in trusts if key in one]
    return {"trusts": known, **issuers}


def test_nothing_to_change(settings, state):
    reports = {"m1": report(state, ["ca"], "ca")}
    assert ca_rotation.advanced(state, settings, reports) == (state, None)


def test_change_waits_for_everybody_at_each_step(state):
    settings = settings_of({**PILLAR, "tls": {"ca_rotation": 1}})
    old = state["ca"]["cert"]
    first, step = ca_rotation.advanced(state, settings, {})
    assert step == "a new CA is trusted beside the old"
    assert pem_text.bundle(ca_record.trust(first)) == [old, first["next"]["cert"]]
    assert first["ca"] == state["ca"], "the old one signs yet"

    reports = {"m1": report(first, ["ca", "next"], "ca"), "m2": report(first, ["ca"], "ca")}
    assert ca_rotation.advanced(first, settings, reports) == (first, None)
    assert ca_rotation.lagging(first, reports) == ["m2"]

    reports["m2"] = reports["m1"]
    second, step = ca_rotation.advanced(first, settings, reports)
    assert (step, second["ca"]) == ("the new CA signs", first["next"])
    assert pem_text.bundle(ca_record.trust(second)) == [first["next"]["cert"], old]
    assert ca_rotation.advanced(second, settings, reports) == (second, None)

    reports = {one: report(second, ["ca"], "ca") for one in reports}
    third, step = ca_rotation.advanced(second, settings, reports)
    assert step == "the old CA is trusted no more"
    assert ca_record.trust(third) == first["next"]["cert"]
    assert ca_rotation.advanced(third, settings, reports) == (third, None)


def test_whom_the_change_waits_for_is_named_with_the_time_and_the_cure(state, monkeypatch):
    monkeypatch.setattr(ca_rotation, "time", own_time(time=lambda: 1.9e9))
    settings = settings_of({**PILLAR, "tls": {"ca_rotation": 1}})
    assert ca_rotation.waiting(state, {}, "m1") is None
    first, _ = ca_rotation.advanced(state, settings, {})
    reports = {"m1": report(first, ["ca", "next"], "ca"), "m2": "junk", "m3": "junk"}
    told = ca_rotation.waiting(first, reports, "m1")
    assert "waits since 2030-03-17 17:46 UTC for m2, m3 to trust the new one" in told
    assert told.endswith("salt m1 swarm_ca.advance m2 m3")
    second, _ = ca_rotation.advanced(first, settings, {"m1": reports["m1"]})
    told = ca_rotation.waiting(second, reports, "m1")
    assert "for m1, m2, m3 to have a certificate of the new one" in told
    # A change that was begun by a version before has no time.
    told = ca_rotation.waiting({**first, "since": None}, reports, "m1")
    assert "the CA waits for m2, m3" in told


@given(st.none() | st.text() | st.integers() | st.dictionaries(st.text(), st.lists(st.text())))
def test_report_that_is_none_holds_the_change_up_and_breaks_nothing(said):
    settings = settings_of({**PILLAR, "tls": {"ca_rotation": 1}})
    changing, _ = ca_rotation.advanced(STATE, settings, {})
    for report in (said, {"trusts": said}, {"trusts": [said]}, {"issuer": said}):
        assert ca_rotation.advanced(changing, settings, {"m2": report}) == (changing, None)


def test_number_that_leaves_pillar_changes_nothing(state):
    """Who tidies up pillar does not want another CA."""
    settings = settings_of(PILLAR)
    assert ca_rotation.advanced({**state, "rotation": 7}, settings, {})[1] is None


def test_second_change_waits_for_the_first(state):
    one, two = (settings_of({**PILLAR, "tls": {"ca_rotation": number}}) for number in (1, 2))
    changing, _ = ca_rotation.advanced(state, one, {})
    reports = {"m2": report(changing, ["ca"], "ca")}
    assert ca_rotation.advanced(changing, two, reports) == (changing, None)
