"""
The swarm's own registry: hosts with engines, a CA on the first of them, and who trusts what.
"""

import contextlib
import http.server
import json
import ssl
import threading
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from _modules import swarm_registry, swarm_tls
from swarm_formula.core import errors, host_files, own_registry, pem_text, wait
from swarm_formula.core.settings_types import Settings
from swarm_formula.daemon import daemon_json, proxy
from swarm_formula.docker import engine_api
from swarm_formula.firewall import rules
from swarm_formula.registry import container_spec, server, users
from swarm_formula.settings import registry_relations
from swarm_formula.spec import container_options
from swarm_formula.standalone import container_names
from swarm_formula.tls import ca_removal, ca_state, cert_files, pki
from tests.unit.clock import Clock
from tests.unit.execution import mocked
from tests.unit.pillars import BUILTIN, FILES, node, resolved, settings_of
from tests.unit.tls_hosts import PILLAR, Hosts

# Knows nothing of Salt.
pytestmark = pytest.mark.once

NAME = own_registry.CONTAINER
HASH = "$2y$05$" + "a" * 53
ALL = ("m1", "m2", "m4")


class World(Hosts):
    """Hosts whose engines run containers; a registry answers unless there is a reason (``why``)."""

    def __init__(self, monkeypatch, folder):
        super().__init__(monkeypatch, folder)
        self.folder = folder
        self.engines = {host: {} for host in ALL}
        self.started, self.why = [], None
        self.node = "m4"
        self.more = {}
        monkeypatch.setattr(server, "_silent", self._silent)

    def on(self, host, **pillar):
        registry = {"node": self.node, "path": str(self.folder / "images"), **self.more}
        given = {"registry": registry} if self.node else {}
        settings = super().on(host, **{**given, **pillar})
        containers = mocked(
            swarm_container__apply=self._apply_container,
            swarm_container__get=self.engines[host].get,
            swarm_container__remove=self._remove_container,
            swarm_container__check=None,
            swarm_container__logs="its words",
            swarm_image__remove_unused={},
            swarm_engine__exists=True,
        )
        for name, value in (
            ("__salt__", {**swarm_tls.__salt__, **containers}),
            ("__context__", swarm_tls.__context__),
            ("__opts__", swarm_tls.__opts__),
            ("_CERTS", self.folder / host / "certs.d"),
        ):
            self.patch.setattr(swarm_registry, name, value, raising=False)
        self.patch.setattr(engine_api, "LOGINS", self.folder / host / "root/config.json")
        return settings

    def _apply_container(self, name, spec, test=False, timeout=180, trial=contextlib.nullcontext):
        there, wanted = self.engines[self.me], container_options.wanted(name, spec)
        old = there.get(name) or {}
        changes = {
            key: {"old": old.get(key), "new": one}
            for key, one in wanted.items()
            if old.get(key) != one
        }
        if changes and not test:
            there[name] = wanted
            try:
                with trial():
                    self.started.append(self.me)
            except errors.SwarmError:
                there[name] = old
                raise
        return changes

    def _remove_container(self, name, test=False):
        found = self.engines[self.me].get(name)
        if found and not test:
            del self.engines[self.me][name]
        return {"state": {"old": "running", "new": "absent"}} if found else {}

    def _silent(self, place, authority):
        config = self.config(self.me)
        for path in config["http"]["tls"].values():
            assert Path(path).exists()
        return self.why

    def config(self, host):
        """Return the configuration that a host's registry has."""
        _, path = self.engines[host][NAME]["command"]
        return json.loads(Path(path).read_text())

    def apply(self, *hosts, test=False, **pillar):
        """Apply everything about certificates and the registry there, in the order of the SLS."""
        changes = {}
        for host in hosts:
            changes[host] = self.begin(host, **pillar) if not test else {}
            self.on(host, **pillar)
            changes[host] = {
                **changes[host],
                **swarm_registry.apply(test=test),
                **swarm_registry.run(test=test),
            }
            if not test:
                self.end(host, **pillar)
            for one in self.engines[host].values():
                for mount in one.get("mounts", ()):
                    assert Path(mount.partition(":")[0]).exists(), "what a container has mounted"
        return changes

    def authority(self, host, name="m4:5000"):
        """Return the file with the CA that a host's engine trusts for the registry."""
        return self.folder / host / "certs.d" / name / "ca.crt"


@pytest.fixture
def world(monkeypatch, tmp_path):
    monkeypatch.setattr(host_files, "_LOCKS", tmp_path)
    monkeypatch.setattr(wait, "_FIRST", 0.001)
    monkeypatch.setattr(ca_removal, "_TOGETHER", 0)
    return World(monkeypatch, tmp_path)


MODES = {"classic": {}, "builtin": {"mode": "builtin"}}


@pytest.fixture(params=MODES, ids=MODES)
def either(request, world):
    """Hosts of either mode; in builtin mode, without a port of the engine."""
    world.pillar = {**PILLAR, **MODES[request.param]}
    return world


def test_registry_runs_on_its_node_and_all_nodes_trust_it_then_nothing_changes(either):
    either.apply(*ALL)
    assert [host for host in ALL if NAME in either.engines[host]] == ["m4"]
    either.on("m1")
    authority = ca_state.load()["ca"]["cert"]
    assert {either.authority(host).read_text() for host in ALL} == {authority}
    config = either.config("m4")
    assert config["http"]["addr"] == "10.77.0.14:5000"
    assert "auth" not in config
    assert either.apply(*ALL) == {host: {} for host in ALL}
    assert either.started == ["m4"]


def test_certificate_is_the_nodes_and_has_each_name_of_the_registry(either):
    either.more = {"names": ["registry.example.com", "10.77.9.9"]}
    either.apply(*ALL)
    either.on("m4")
    have = cert_files.NODE.read()
    assert pki.names(have.cert) >= {"m4", "10.77.0.14", "registry.example.com", "10.77.9.9"}
    assert pki.SERVER in pki.usages(have.cert)
    either.on("m2")
    assert "registry.example.com" not in pki.names(cert_files.NODE.read().cert)
    for name in ("registry.example.com:5000", "10.77.9.9:5000"):
        assert either.authority("m2", name).exists()


def test_renewed_certificate_has_another_container_and_the_same_ca(either):
    either.apply(*ALL)
    before = either.config("m4")["http"]["tls"]
    changes = either.apply(*ALL, tls={"days": 90, "renew_days": 89, "key_type": "rsa"})["m4"]
    assert changes["certificate"]["new"] == "with a key of the type rsa"
    assert set(changes[NAME]) == {"command", "mounts"}
    assert either.config("m4")["http"]["tls"] != before
    assert either.started == ["m4", "m4"]
    assert len(container_spec.configs()) == 1
    assert not any(key.startswith("CA of") for key in changes)


def test_both_cas_are_trusted_while_the_ca_changes_and_the_file_stays_ours(world):
    world.apply(*ALL)
    before = world.authority("m2").read_text()
    seen = []
    for _ in range(8):
        world.apply(*ALL, tls={"ca_rotation": 1})
        seen.append(len(pem_text.bundle(world.authority("m2").read_text())))
        world.on("m4")
        cert = cert_files.NODE.read().cert
        trusted = world.authority("m2").read_text()
        assert pki.issuer(cert, trusted), "each node trusts what the registry has"
    assert max(seen) == 2
    assert seen[-1] == 1
    assert world.authority("m2").read_text() != before
    world.node = None
    world.apply(*ALL)
    assert not world.authority("m2").exists()


def test_dry_run_tells_what_the_run_then_does(world):
    world.begin("m1")
    world.begin("m4")
    promised = world.apply("m4", test=True)["m4"]
    assert not world.authority("m4").exists()
    assert world.engines["m4"] == {}
    assert not (world.folder / "images").exists()
    assert world.apply("m4")["m4"] == promised
    assert world.apply("m4", test=True) == {"m4": {}}
    world.node = None
    gone = world.apply("m4", test=True)["m4"]
    assert NAME in world.engines["m4"]
    assert world.apply("m4")["m4"] == gone


def test_dry_run_of_a_new_certificate_tells_of_the_new_container(world):
    world.apply(*ALL)
    world.on("m4", tls={"key_type": "rsa"})
    assert swarm_tls.apply(test=True)
    assert set(swarm_registry.run(test=True)[NAME]) == {"command", "mounts"}
    assert world.started == ["m4"]


def test_dry_run_of_a_new_ca_tells_that_it_will_be_trusted(world):
    world.apply(*ALL)
    rotation = {"tls": {"ca_rotation": 1}}
    world.begin("m1", **rotation)
    world.on("m2", **rotation)
    assert swarm_tls.apply(test=True)
    promised = swarm_registry.apply(test=True)
    assert set(promised) == {"CA of registry m4:5000"}
    assert promised.items() <= world.apply("m2", **rotation)["m2"].items()


def test_dry_run_on_a_bare_host_says_that_it_will_trust_the_ca(world):
    assert world.apply("m2", test=True)["m2"]["CA of registry m4:5000"] == {
        "old": None,
        "new": "the swarm's CA",
    }


def test_registry_that_leaves_pillar_is_removed_and_its_images_stay(either):
    either.apply(*ALL)
    image = either.folder / "images" / "blob"
    image.write_text("a layer")
    either.node = None
    changes = either.apply(*ALL)
    assert changes["m4"]["registry"]["new"] == f"removed; its images stay in {image.parent}"
    assert "registry" not in changes["m1"]
    assert image.exists()
    assert either.engines["m4"] == {}
    assert not any(either.authority(host).parent.parent.exists() for host in ALL)
    assert either.apply(*ALL) == {host: {} for host in ALL}


def test_registry_moves_to_another_node(world):
    world.apply(*ALL)
    world.node = "m1"
    world.apply(*ALL)
    assert [host for host in ALL if NAME in world.engines[host]] == ["m1"]
    assert not world.authority("m2").exists()
    assert world.authority("m2", "m1:5000").exists()
    assert world.authority("m2", "10.77.0.11:5000").exists(), "the address of a manager is known"


def test_clean_removes_the_container_and_its_files(world):
    world.apply(*ALL)
    world.on("m4")
    promised = swarm_registry.remove_container(test=True)
    assert NAME in world.engines["m4"]
    assert swarm_registry.remove_container() == promised
    assert not own_registry.folder().exists()
    assert (world.folder / "images").is_dir()
    assert swarm_registry.remove_container() == {}


def test_dry_run_of_clean_does_not_keep_the_engine_for_it(world):
    """In a dry run, it is still there when the containers of others are looked for."""
    world.apply(*ALL)
    settings = world.on("m4")
    there = world.engines["m4"]
    salt = {**swarm_registry.__salt__, **mocked(swarm_container__names=lambda **_: list(there))}
    assert container_names.others(settings, salt) == set()
    there[NAME] = {"command": ["serve", "/etc/docker/registry/config.yml"]}
    assert container_names.others(settings, salt) == {NAME}


def test_folder_of_the_images_is_made_for_root_alone_and_another_one_stays_as_it_is(world):
    images = world.folder / "images"
    world.apply("m1", "m4")
    assert images.stat().st_mode & 0o777 == 0o700
    images.chmod(0o755)
    world.more = {"options": {"log": {"level": "debug"}}}
    world.apply("m4")
    assert images.stat().st_mode & 0o777 == 0o755
    world.more = {"path": str(container_spec.users_file().parents[1] / "file" / "images")}
    container_spec.users_file().parents[1].joinpath("file").write_text("")
    with pytest.raises(errors.SwarmError, match=r"swarm:registry:path\): Not a directory"):
        world.apply("m4")


def test_registry_that_does_not_answer_is_rolled_back_with_its_last_words(world, monkeypatch):
    world.apply(*ALL)
    before = dict(world.engines["m4"][NAME])
    monkeypatch.setattr(wait, "time", Clock())
    world.why = "the registry at 10.77.0.14:5000 does not answer: refused"
    world.more = {"options": {"log": {"level": "debug"}}}
    with pytest.raises(errors.WaitTimeoutError, match=r"refused; its last words: its words") as err:
        world.apply("m4")
    assert "swarm:registry" in str(err.value)
    assert world.engines["m4"][NAME] == before
    assert Path(before["command"][1]).exists(), "the old one reads it when it starts again"
    world.why, world.more = None, {}
    assert world.apply("m4") == {"m4": {}}
    assert len(container_spec.configs()) == 1


def test_container_of_somebody_else_stays(world):
    world.begin("m1")
    theirs = {"command": ["serve", "/etc/docker/registry/config.yml"]}
    world.engines["m4"][NAME] = theirs
    with pytest.raises(errors.SwarmError, match="that the formula has not made: rename it"):
        world.apply("m4")
    assert world.engines["m4"][NAME] is theirs
    world.node = None
    world.apply("m4")
    assert world.engines["m4"][NAME] is theirs


def test_ca_file_of_somebody_else_is_refused_and_stays(world):
    world.begin("m1")
    own = world.authority("m2")
    own.parent.mkdir(parents=True)
    theirs = pki.new_authority("theirs", 1).cert
    own.write_text(theirs)
    with pytest.raises(errors.SwarmError, match=r"ca\.crt is not the formula's.*Rename it"):
        world.apply("m2")
    assert own.read_text() == theirs
    own.rename(own.with_name("own.crt"))
    world.apply("m2")
    world.node = None
    world.apply("m2")
    assert [one.name for one in own.parent.iterdir()] == ["own.crt"]


def test_run_that_was_killed_between_record_and_file_goes_on(world, monkeypatch):
    world.apply(*ALL)
    rotation = {"tls": {"ca_rotation": 1}}
    world.begin("m1", **rotation)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(swarm_registry, "_write_certificate", killed)
        with pytest.raises(KeyboardInterrupt):
            world.apply("m2", **rotation)
    world.apply("m2", **rotation)
    assert len(pem_text.bundle(world.authority("m2").read_text())) == 2


# ---- users


@pytest.fixture
def passwords(world, tmp_path):
    """Return a file with users, as an admin keeps it on the node."""
    path = tmp_path / "users"
    path.write_text(f"# ours\nann:{HASH}\n\n")
    world.more = {"htpasswd": str(path)}
    return path


def test_registry_takes_the_users_of_the_file_and_reads_it_again_without_a_restart(
    world, passwords
):
    changes = world.apply(*ALL)["m4"]
    assert changes["users"] == {"old": None, "new": ["ann"]}
    assert world.config("m4")["auth"]["htpasswd"]["path"] == str(container_spec.users_file())
    assert container_spec.users_file().stat().st_mode & 0o777 == 0o600
    passwords.write_text(f"ann:{HASH}\nbob:{HASH}\n")
    assert world.apply("m4")["m4"] == {"users": {"old": ["ann"], "new": ["ann", "bob"]}}
    passwords.write_text(f"ann:{HASH}\nbob:{HASH[:-1]}b\n")
    assert world.apply("m4")["m4"] == {"users": {"old": "other passwords", "new": ["ann", "bob"]}}
    assert world.started == ["m4"]
    assert world.apply("m4") == {"m4": {}}
    world.more = {}
    world.apply("m4")
    assert "auth" not in world.config("m4")
    assert not container_spec.users_file().exists()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("bob:$apr1$x$secret", "line 2 of .* is no user with a bcrypt hash"),
        ("bob:secret", "line 2 of"),
        ("secret", "line 2 of"),
        (f":{HASH}", "line 2 of"),
    ],
)
def test_line_that_the_registry_would_ignore_is_refused_and_not_quoted(world, passwords, line, why):
    world.begin("m1")
    passwords.write_text(f"ann:{HASH}\n{line}\n")
    with pytest.raises(errors.SwarmError, match=why) as err:
        world.apply("m4")
    assert "secret" not in str(err.value)
    assert "htpasswd -B" in str(err.value)
    assert "swarm:registry:htpasswd" in str(err.value)
    assert world.engines["m4"] == {}


def test_file_without_a_user_is_refused():
    with pytest.raises(errors.SwarmError, match="has no user"):
        users.parsed("# nobody\n", "it")


# ---- what follows from the pillar elsewhere


def registry_of(**given) -> Settings:
    tls = {"tls": {"enabled": True}}
    return settings_of({**BUILTIN, **tls, "registry": {"node": "m4", **given}}, node("m4"))


def test_options_are_laid_over_and_another_driver_replaces_the_folder():
    options = {"storage": {"delete": {"enabled": True}}, "http": {"prefix": "/r/"}}
    config = container_spec.config(registry_of(options=options), FILES)
    assert config["storage"]["filesystem"] == {"rootdirectory": "/var/lib/registry"}
    assert config["storage"]["delete"] == {"enabled": True}
    assert config["http"]["prefix"] == "/r/"
    assert config["http"]["tls"] == {"certificate": FILES.cert, "key": FILES.key}
    config = container_spec.config(registry_of(options={"storage": {"inmemory": {}}}), FILES)
    assert config["storage"] == {"inmemory": {}}


KEYS = st.sampled_from(
    ["version", "http", "addr", "tls", "auth", "storage", "filesystem", "rootdirectory", "delete"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.text(max_size=3) | st.just([]),
    lambda inner: st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)


@given(options=st.dictionaries(KEYS, VALUES, max_size=4))
@example(options={"http": None})
@example(options={"http": "none"})
@example(options={"storage": {"filesystem": None}})
@example(options={"auth": {}})
def test_no_options_that_are_taken_open_the_registry_or_move_its_images(options):
    """A section without a value, too, would take the certificates away."""
    tls = {"tls": {"enabled": True}}
    registry = {"node": "m1", "htpasswd": "/root/users", "options": options}
    settings, faults = resolved({**BUILTIN, **tls, "registry": registry})
    plain = container_spec.config(registry_of(htpasswd="/root/users"), FILES)
    if not faults:
        config = container_spec.config(settings, FILES)
        assert config["http"]["tls"] == plain["http"]["tls"]
        assert config["http"]["addr"] == "10.77.0.11:5000"
        assert config["auth"] == plain["auth"]
        assert config["version"] == plain["version"]
        driver = config["storage"].get("filesystem", {"rootdirectory": "/var/lib/registry"})
        assert driver["rootdirectory"] == "/var/lib/registry"


LOGIN = {"registries": {"m4:5000": {"username": "me", "password": "/root/password"}}}
USERS = {"registry": {"node": "m4", "htpasswd": "/root/users"}}


@pytest.mark.parametrize(
    ("pillar", "text"),
    [
        ({"registry": {"node": "m4"}}, "whoever reaches m4:5000 may replace the images"),
        ({"registry": {"node": "m4"}, "firewall": {"enabled": True}}, None),
        ({"registry": {"node": "m4", "options": {"auth": {"token": {"realm": "r"}}}}}, None),
        (USERS, "no node has a login for m4:5000"),
        ({**USERS, **LOGIN}, None),
        ({}, None),
    ],
)
def test_registry_that_all_may_write_to_or_nobody_reads_is_warned_of(pillar, text):
    found = registry_relations.warnings(settings_of({**BUILTIN, **pillar}))
    assert (text in found[0]) if text else found == []


def test_engine_of_builtin_mode_keeps_its_options_for_a_registry():
    """The certificate is for the registry; the engine has no port that needs it."""
    assert "tlsverify" not in daemon_json.options(registry_of(), "28.5.0", FILES)


@pytest.mark.parametrize("host", ["m1", "m4"])
def test_firewall_lets_members_reach_it_where_it_is(host):
    pillar = {**BUILTIN, "registry": {"node": "m4", "port": 5443}}
    found = rules.rules(settings_of(pillar, node(host))).ports
    assert (("tcp", 5443, "members") in found) is (host == "m4")


def test_engine_reaches_it_without_the_proxy():
    given = {"engine": {"proxy": {"http": "http://proxy:3128"}}, "registry": {"node": "m4"}}
    assert "m4:5000" in proxy.bypass(settings_of({**BUILTIN, **given}, node("m1")))


@pytest.mark.parametrize(
    ("given", "host", "hosts"),
    [
        ({}, "m1", []),
        ({"node": "m4"}, "m1", ["m4:5000"]),
        ({"node": "m4"}, "m4", ["m4:5000", "10.77.0.14:5000"]),
        ({"node": "m2", "port": 443}, "m1", ["m2:443", "10.77.0.12:443"]),
        ({"node": "m4", "names": ["r.example", "fd00::4"]}, "m1", ["m4:5000", "r.example:5000"]),
    ],
)
def test_names_by_which_images_name_it(given, host, hosts):
    settings = settings_of({**BUILTIN, "registry": given}, node(host))
    assert own_registry.hosts(settings) == hosts


# ---- its answer


@contextlib.contextmanager
def answering(folder, status, authority):
    """Serve HTTPS with a certificate of this CA; give the place."""
    key = pki.new_key()
    grant = pki.Grant("m4", (pki.SERVER,), ("localhost",), ("127.0.0.1",))
    (folder / "key.pem").write_text(key)
    (folder / "cert.pem").write_text(pki.sign(pki.request(key, "m4"), authority, grant, 1))

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            """Say nothing."""

    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    served.socket = context.wrap_socket(served.socket, server_side=True)
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{served.server_port}"
    finally:
        served.shutdown()
        thread.join()
        served.server_close()


@pytest.mark.parametrize(("status", "why"), [(200, None), (401, None), (404, "answers 404")])
def test_answer_of_a_registry_that_is_trusted(tmp_path, status, why):
    authority = pki.new_authority("the swarm's", 1)
    (tmp_path / "ca.pem").write_text(authority.cert)
    with answering(tmp_path, status, authority) as place:
        said = server._silent(place, str(tmp_path / "ca.pem"))
    assert (why in said) if why else said is None


def test_answer_with_a_certificate_of_another_ca_does_not_count(tmp_path):
    (tmp_path / "ca.pem").write_text(pki.new_authority("the swarm's", 1).cert)
    with answering(tmp_path, 200, pki.new_authority("another", 1)) as place:
        assert "does not answer" in server._silent(place, str(tmp_path / "ca.pem"))
