"""
Logins to private registries and their CAs: what is an admin's stays, and no password is ever told.
"""

import base64
import importlib
import json
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _modules import swarm_registry as module
from swarm_formula.core import checks, errors, host_files, pem_text
from swarm_formula.docker import engine_api
from swarm_formula.docker import registries as docker_registries
from swarm_formula.tls import pki
from tests.unit.execution import mocked
from tests.unit.pillars import VALID, settings_of

# Knows nothing of Salt.
pytestmark = pytest.mark.once

HOST, OTHER = "registry.example.com:5000", "other.example.com"
SECRET = "s3cret:with:colons"  # noqa: S105
CHANGE = f"registry {HOST}"


def auth(text):
    return {"auth": base64.b64encode(text.encode()).decode()}


# ---- pure


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("docker.io", "https://index.docker.io/v1/"),
        (HOST, HOST),
        ("localhost", "localhost"),
    ],
)
def test_key_in_the_clients_file(host, key):
    assert docker_registries.key(host) == key


@pytest.mark.parametrize(
    ("entry", "user"),
    [
        (auth("me:pass:word"), "me"),
        (auth("me:"), "me"),
        (auth("no colon"), None),
        ({"auth": "!"}, None),
        ({"auth": "/w=="}, None),  # no UTF-8
        ({"auth": 5}, None),
        ({}, None),
        (None, None),
        ("text", None),
    ],
)
def test_user_of_an_entry(entry, user):
    assert docker_registries.user(entry) == user


# Whatever a password file may hold on its one line.
PASSWORDS = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1)
USERS = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1).filter(
    lambda name: checks.login(name) is None
)


@given(user=USERS, password=PASSWORDS)
def test_docker_reads_any_login_as_it_was_meant(user, password):
    entry = docker_registries.login(user, password)
    assert docker_registries.user(entry) == user
    sdk = importlib.import_module("docker.auth")
    assert sdk.decode_auth(entry["auth"]) == (user, password)


@given(password=PASSWORDS)
def test_password_of_one_line_is_taken(password):
    docker_registries.refuse_password(password, "it")


@given(before=st.text(), bad=st.sampled_from("\n\r\0\x1b\x85\ud800"), after=st.text(min_size=1))
def test_password_of_two_lines_is_refused_and_not_told(before, bad, after):
    with pytest.raises(errors.SwarmError) as error:
        docker_registries.refuse_password(f"{before}hunter2{bad}{after}", "/root/pw on m1")
    assert str(error.value).startswith("/root/pw on m1 holds more than one line")
    assert "hunter2" not in str(error.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.text(), lambda one: st.dictionaries(st.text(), one)
)
HOSTS = st.sampled_from([HOST, OTHER, "docker.io", "localhost:5000"])
LOGINS = st.dictionaries(HOSTS, st.tuples(USERS, PASSWORDS))
ADMINS = st.fixed_dictionaries(
    {"HttpHeaders": JSON, "psFormat": JSON},
    optional={"auths": st.dictionaries(st.sampled_from(["a.example.com", "b:5000"]), JSON)},
)


@given(config=ADMINS, wanted=LOGINS)
def test_merged_and_taken_away_again_an_admins_file_is_as_it_was(config, wanted):
    before = json.dumps(config)
    merged = docker_registries.merge(config, wanted, {}, "F")
    assert json.dumps(config) == before, "what is given is left alone"
    assert merged.noted == {host: user for host, (user, _) in wanted.items()}
    again = docker_registries.merge(merged.config, wanted, merged.noted, "F")
    assert (again.changes, again.config, again.noted) == ({}, merged.config, merged.noted)
    gone = docker_registries.merge(merged.config, {}, merged.noted, "F")
    assert gone.config == {key: one for key, one in config.items() if key != "auths" or one}
    assert gone.noted == {}


@given(config=ADMINS, user=USERS, password=PASSWORDS)
def test_reports_are_the_same_whatever_the_password_is(config, user, password):
    def told(password):
        first = docker_registries.merge(config, {HOST: (user, password)}, {}, "F")
        last = docker_registries.merge(first.config, {}, first.noted, "F")
        return first.changes, first.noted, last.changes

    assert told(password) == told(SECRET)


@pytest.mark.parametrize(
    ("config", "setting"),
    [
        ({"credsStore": "pass"}, "credsStore"),
        ({"credHelpers": {HOST: "pass"}}, f"credHelpers: {HOST}"),
        ({"credsStore": "pass", "credHelpers": {HOST: ""}}, "credsStore"),
    ],
)
def test_login_that_docker_would_not_look_at_is_refused(config, setting):
    with pytest.raises(errors.SwarmError) as error:
        docker_registries.merge(config, {HOST: ("me", SECRET)}, {}, "/root/.docker/config.json")
    text = str(error.value)
    assert text.startswith(f"/root/.docker/config.json has '{setting}'")
    assert f"docker login {HOST}" in text
    assert SECRET not in text


@pytest.mark.parametrize(
    "config",
    [
        {"credHelpers": {OTHER: "pass"}},
        {"credHelpers": {"docker.io": "pass"}},  # not the name that Docker looks for
        {"credHelpers": None, "credsStore": ""},
    ],
)
def test_helper_of_another_registry_is_none_of_ours(config):
    merged = docker_registries.merge(config, {HOST: ("me", SECRET)}, {}, "F").config
    assert merged == {**config, "auths": {HOST: auth(f"me:{SECRET}")}}


def test_helper_of_docker_hub():
    config = {"credHelpers": {"https://index.docker.io/v1/": "pass"}}
    with pytest.raises(errors.SwarmError, match=r"index\.docker\.io"):
        docker_registries.merge(config, {"docker.io": ("me", SECRET)}, {}, "F")


# ---- on a host


@pytest.fixture
def host(tmp_path, monkeypatch):
    """Have all files in a folder of the test; return a function that sets the pillar."""
    monkeypatch.setattr(engine_api, "LOGINS", tmp_path / "root/.docker/config.json")
    monkeypatch.setattr(host_files, "RECORD", tmp_path / "record.json")
    monkeypatch.setattr(module, "_CERTS", tmp_path / "certs.d")
    monkeypatch.setattr(module, "__opts__", {"id": "m1"}, raising=False)

    def host(sdb=None, **registries):
        settings = settings_of({**VALID, "registries": registries})
        salt = mocked(swarm_settings__get=settings)
        salt["sdb.get"] = lambda place: (sdb or {}).get(place, place)
        monkeypatch.setattr(module, "__salt__", salt, raising=False)

    return host


@pytest.fixture
def password(tmp_path):
    path = tmp_path / "password"
    path.write_text(f"{SECRET}\n")
    return str(path)


@pytest.fixture
def ca(tmp_path):
    path = tmp_path / "ca.pem"
    path.write_text(pki.new_authority("a registry's CA", 1).cert)
    return path


def config():
    return json.loads(engine_api.LOGINS.read_text())


def mode():
    return stat.S_IMODE(engine_api.LOGINS.stat().st_mode)


def test_login_with_the_password_of_a_file(host, password):
    host(**{HOST: {"username": "me", "password": password}})
    assert module.apply() == {CHANGE: {"old": "no login", "new": "login of me"}}
    assert config() == {"auths": {HOST: auth(f"me:{SECRET}")}}
    assert mode() == 0o600
    assert host_files.record("registries") == {"logins": {HOST: "me"}}


def test_login_with_the_password_of_sdb(host):
    place = "sdb://vault/registry"
    host({place: SECRET}, **{HOST: {"username": "me", "password": place}})
    module.apply()
    assert config() == {"auths": {HOST: auth(f"me:{SECRET}")}}


def test_second_run_changes_nothing(host, password, ca):
    host(**{HOST: {"username": "me", "password": password, "ca_cert": str(ca)}})
    module.apply()
    before = engine_api.LOGINS.stat().st_ino, module._certificate(HOST).stat().st_ino
    assert module.apply() == {}
    assert (engine_api.LOGINS.stat().st_ino, module._certificate(HOST).stat().st_ino) == before


def test_test_mode_promises_and_writes_nothing(host, password, ca, tmp_path):
    host(**{HOST: {"username": "me", "password": password, "ca_cert": str(ca)}})
    before = set(tmp_path.rglob("*"))
    promised = module.apply(test=True)
    assert set(tmp_path.rglob("*")) == before
    assert promised == module.apply()
    promised, files = module.remove(test=True), set(tmp_path.rglob("*"))
    assert files > before
    assert promised == module.remove()
    assert set(tmp_path.rglob("*")) == before | {tmp_path / "root"}


ADMINS_OWN = {
    "auths": {OTHER: auth("admin:theirs"), HOST: auth("admin:theirs too")},
    "psFormat": "table {{.Names}} ☃",
}


def admins(value):
    engine_api.LOGINS.parent.mkdir(parents=True, exist_ok=True)
    text = value if isinstance(value, str) else json.dumps(value)
    engine_api.LOGINS.write_text(text)
    engine_api.LOGINS.chmod(0o644)


def test_file_of_an_admin_keeps_what_is_his(host, password):
    admins(ADMINS_OWN)
    host(**{HOST: {"username": "me", "password": password}})
    assert module.apply()[CHANGE] == {"old": "another login", "new": "login of me"}
    auths = {**ADMINS_OWN["auths"], HOST: auth(f"me:{SECRET}")}
    assert config() == {**ADMINS_OWN, "auths": auths}
    assert mode() == 0o600, "others could read it"
    host()
    assert module.apply() == {CHANGE: {"old": "login of me", "new": "no login"}}
    assert config() == {**ADMINS_OWN, "auths": {OTHER: auth("admin:theirs")}}
    assert not host_files.RECORD.exists()


def test_login_that_an_admin_made_stays_his_though_pillar_says_the_same(host, password):
    admins({"auths": {HOST: auth(f"me:{SECRET}")}})
    host(**{HOST: {"username": "me", "password": password}})
    assert module.apply() == {}
    assert module.remove() == {}
    assert config() == {"auths": {HOST: auth(f"me:{SECRET}")}}


def test_login_that_an_admin_has_put_in_place_of_ours_stays(host, password):
    host(**{HOST: {"username": "me", "password": password}})
    module.apply()
    admins({"auths": {HOST: auth("admin:theirs")}})
    assert module.remove() == {}
    assert config() == {"auths": {HOST: auth("admin:theirs")}}
    assert not host_files.RECORD.exists()


def test_file_that_others_can_read_by_now_is_closed(host, password):
    host(**{HOST: {"username": "me", "password": password}})
    module.apply()
    engine_api.LOGINS.chmod(0o644)
    assert list(module.apply().values()) == [{"old": "0644", "new": "0600"}]
    assert mode() == 0o600


def test_file_of_an_admin_keeps_its_mode_while_nothing_in_it_is_ours(host):
    admins(ADMINS_OWN)
    host()
    assert module.apply() == {}
    assert mode() == 0o644


def test_new_password_and_new_user(host, password, tmp_path):
    host(**{HOST: {"username": "me", "password": password}})
    module.apply()
    (tmp_path / "password").write_text("another")
    assert module.apply() == {CHANGE: {"old": "another login", "new": "login of me"}}
    host(**{HOST: {"username": "you", "password": password}})
    assert module.apply() == {CHANGE: {"old": "another login", "new": "login of you"}}
    assert config() == {"auths": {HOST: auth("you:another")}}
    module.remove()
    assert not engine_api.LOGINS.parent.exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{no", "is not JSON"),
        ("[]", "holds no JSON object"),
        ('{"auths": ["x"]}', "'auths' in .* is no JSON object"),
    ],
)
def test_file_that_is_not_what_it_should_be_is_left_as_it_is(host, password, ca, text, words):
    admins(text)
    host(**{HOST: {"username": "me", "password": password, "ca_cert": str(ca)}})
    with pytest.raises(errors.SwarmError, match=words) as error:
        module.apply()
    assert str(engine_api.LOGINS) in str(error.value)
    assert "remove" not in str(error.value)
    assert engine_api.LOGINS.read_text() == text
    assert not module._CERTS.exists()
    assert not host_files.RECORD.exists()


@pytest.mark.parametrize("place", ["/nowhere/password", "sdb://vault/registry"])
def test_password_that_is_not_there(host, place):
    host(**{HOST: {"username": "me", "password": place}})
    with pytest.raises(errors.SwarmError) as error:
        module.apply()
    assert str(error.value) == (
        f"there is nothing in {place} on m1 (swarm:registries:{HOST}:password): put it there"
    )
    assert not engine_api.LOGINS.exists()


def test_password_of_two_lines(host, password, tmp_path):
    (tmp_path / "password").write_text(f"{SECRET}\n{SECRET}\n")
    host(**{HOST: {"username": "me", "password": password}})
    with pytest.raises(errors.SwarmError) as error:
        module.apply()
    assert f"swarm:registries:{HOST}:password" in str(error.value)
    assert SECRET not in str(error.value)


def test_run_that_was_killed_can_be_taken_away(host, password, monkeypatch):
    """The login must never be there without a note that it is ours."""
    host(**{HOST: {"username": "me", "password": password}})
    real = host_files.write

    def write(path, *args, **kwargs):
        real(path, *args, **kwargs)
        if path == engine_api.LOGINS:
            raise KeyboardInterrupt

    monkeypatch.setattr(host_files, "write", write)
    with pytest.raises(KeyboardInterrupt):
        module.apply()
    monkeypatch.setattr(host_files, "write", real)
    assert module.remove() == {CHANGE: {"old": "login of me", "new": "no login"}}
    assert not engine_api.LOGINS.exists()


# ---- CAs


def test_ca_of_a_registry(host, ca):
    host(**{HOST: {"ca_cert": str(ca)}})
    said = pem_text.fingerprint(ca.read_text())
    assert module.apply() == {f"CA of {CHANGE}": {"old": None, "new": said}}
    assert module._certificate(HOST).read_text() == ca.read_text()
    assert not engine_api.LOGINS.exists()
    assert module.remove() == {f"CA of {CHANGE}": {"old": said, "new": None}}
    assert not module._CERTS.exists()
    assert not host_files.RECORD.exists()


def test_key_beside_the_ca_goes_nowhere(host, ca):
    cert = ca.read_text()
    ca.write_text(pki.new_key() + cert)
    host(**{HOST: {"ca_cert": str(ca)}})
    module.apply()
    assert module._certificate(HOST).read_text() == cert


def test_two_cas_at_a_time_of_change(host, ca):
    both = ca.read_text() + pki.new_authority("the next", 1).cert
    ca.write_text(both)
    host(**{HOST: {"ca_cert": str(ca)}})
    module.apply()
    assert module._certificate(HOST).read_text() == both
    assert module.apply() == {}


@pytest.mark.parametrize(
    "text",
    ["junk", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"],
)
def test_ca_that_is_none(host, ca, text):
    ca.write_text(text)
    host(**{HOST: {"ca_cert": str(ca)}})
    with pytest.raises(errors.SwarmError) as error:
        module.apply()
    what = f"{ca} on m1 (swarm:registries:{HOST}:ca_cert) is no certificate as PEM"
    assert str(error.value).startswith(what)
    assert not module._CERTS.exists()


def test_ca_of_an_admin_stays(host, ca):
    own = module._certificate(HOST)
    own.parent.mkdir(parents=True)
    own.write_text(ca.read_text())
    host(**{HOST: {"ca_cert": str(ca)}})
    assert module.apply() == {}, "he has the same there"
    assert module.remove() == {}
    assert own.exists()


def test_ca_that_an_admin_has_put_in_place_of_ours_stays(host, ca):
    host(**{HOST: {"ca_cert": str(ca)}})
    module.apply()
    module._certificate(HOST).write_text("his own")
    assert module.remove() == {}
    assert module._certificate(HOST).read_text() == "his own"


def test_other_files_of_the_folder_stay(host, ca):
    host(**{HOST: {"ca_cert": str(ca)}})
    module.apply()
    client = module._certificate(HOST).with_name("client.cert")
    client.write_text("an admin's")
    module.remove()
    assert client.exists()


# ---- the SDK reads what was written


class Client:
    """As much of the SDK's client as it takes to look up a login."""

    credstore_env = None

    def __init__(self):
        sdk = importlib.import_module("docker.auth")
        self._load = sdk.load_config
        self._auth_configs = sdk.AuthConfig({})

    def reload_config(self, path):
        self._auth_configs = self._load(path)


@pytest.fixture(params=["unset", "elsewhere"])
def home(request, monkeypatch, tmp_path):
    """A service's HOME: there is none, or it is not root's."""
    monkeypatch.delenv("HOME", raising=False)
    if request.param == "elsewhere":
        monkeypatch.setenv("HOME", str(tmp_path / "elsewhere"))


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("registry", [HOST, "docker.io"])
def test_pull_uses_the_login_wherever_home_leads(host, password, registry):
    client = Client()
    host(**{registry: {"username": "me", "password": password}})
    module.apply()
    repository = "team/app" if registry == "docker.io" else f"{registry}/team/app"
    header = engine_api.registry_login(client, repository)["X-Registry-Auth"]
    sent = json.loads(base64.urlsafe_b64decode(header))
    assert (sent["username"], sent["password"]) == ("me", SECRET)


def test_pull_from_another_registry_is_told_nothing(host, password):
    host(**{HOST: {"username": "me", "password": password}})
    module.apply()
    assert engine_api.registry_login(Client(), "docker.io/team/app") == {}
