"""
Stacks on a cluster: what is made, changed, pruned and removed, and what is never touched.
"""

import copy
import importlib
import shutil

import pytest
from salt.exceptions import SaltRenderError

from swarm_formula.cluster import swarm_api
from swarm_formula.compose import keys
from swarm_formula.compose.target import BUILTIN as STACK
from swarm_formula.core import errors
from swarm_formula.service import apply
from swarm_formula.spec import service_modes
from swarm_formula.stack import file
from swarm_formula.stack import options as stack_options
from swarm_formula.stack import stacks as stack_stacks
from tests.unit.compose import test_file
from tests.unit.execution import mocked
from tests.unit.pillars import BUILTIN, settings_of
from tests.unit.service_api import Manager, failed, text

NAMESPACE = keys.NAMESPACE
FILES = {
    "salt://stacks/shop.yml": """
services:
  web:
    image: web:${TAG}
    networks: [front]
    secrets: [password]
    configs: [site]
    env_file: env/web.env
  db:
    image: db
    environment: {A: "1", B: "2"}
    deploy: {labels: {owner: team}, resources: {limits: {cpus: "0.5"}}}
networks: {front: {}}
secrets: {password: {file: "./password"}}
configs: {site: {content: "x"}}
""",
    "salt://stacks/password": "the-password",
    "salt://stacks/env/web.env": "C=3\n",
}
SHOP = {"source": "salt://stacks/shop.yml", "environment": {"TAG": "1"}, "timeout": 30}


class Host:
    """The module on a manager, with files of the master."""

    def __init__(self, monkeypatch, tmp_path):
        self.api, self.folder = Manager().patch(monkeypatch), tmp_path
        self.leads, self.founds = True, False
        self.files = dict(FILES)
        self.pillar({"shop": SHOP})
        self.module = importlib.import_module("_modules.swarm_stack")
        salt = mocked(
            swarm_settings__get=lambda **_: self.settings,
            swarm_leader__leads=lambda: self.leads,
            swarm_leader__founds=lambda: self.founds,
            swarm_secret__planned={},
            swarm_config__planned={},
            cp__cache_file=self.cached,
            slsutil__renderer=lambda string, default_renderer: string.replace("{{ tag }}", "9"),
        )
        monkeypatch.setattr(self.module, "__salt__", salt, raising=False)
        monkeypatch.setattr(self.module, "__context__", {}, raising=False)
        monkeypatch.setattr(self.module, "__opts__", {}, raising=False)
        monkeypatch.setattr(swarm_api, "connect", self.api.connect)

    def pillar(self, stacks, **more):
        self.settings = settings_of(copy.deepcopy({**BUILTIN, "stacks": stacks, **more}))

    def cached(self, source):
        if source not in self.files:
            return False
        path = self.folder / source.replace("/", "_")
        path.write_text(self.files[source])
        return str(path)

    def edit(self, old, new):
        """Edit the compose file of the stack."""
        source = SHOP["source"]
        assert old in self.files[source]
        self.files[source] = self.files[source].replace(old, new)

    def run(self, **stacks):
        """Apply, after a dry run whose promise is insisted on; return what changed."""
        if stacks:
            self.pillar(stacks)
        promised = self.module.apply_all(test=True)
        before = len(self.api.written)
        assert promised == self.module.apply_all(test=True)
        assert len(self.api.written) == before
        assert self.module.apply_all() == promised
        assert self.module.apply_all() == self.module.apply_all(test=True) == {}
        return promised

    def names(self):
        """Return the names of what there is, by kind; versions without their hash."""
        found = {kind: set(ones) for kind, ones in self.api.files.items()}
        networks = {one["Name"] for one in self.api.networks_.values()} - {"backend"}
        hashes = {kind: {one.rpartition("-")[0] for one in ones} for kind, ones in found.items()}
        return {"services": set(self.api.services_), "networks": networks, **hashes}


@pytest.fixture
def host(monkeypatch, tmp_path):
    return Host(monkeypatch, tmp_path)


WHOLE = {
    "services": {"shop_web", "shop_db"},
    "networks": {"shop_front", "shop_default"},
    "secrets": {"shop_password"},
    "configs": {"shop_site"},
}


def test_stack_is_made_as_promised_with_the_labels_of_docker_stack(host):
    changes = host.run()["shop"]
    assert {kind: set(one) for kind, one in changes.items()} == WHOLE == host.names()
    web = host.api.services_["shop_web"]["Spec"]
    assert web["Labels"] == {NAMESPACE: "shop", "com.docker.stack.image": "web:1"}
    assert web["TaskTemplate"]["ContainerSpec"]["Labels"] == {NAMESPACE: "shop"}
    assert web["TaskTemplate"]["ContainerSpec"]["Env"] == ["C=3"]
    for kind in ("secrets", "configs"):
        (one,) = host.api.files[kind].values()
        assert one["Spec"]["Labels"][NAMESPACE] == "shop"
    assert "the-password" not in text([changes, host.settings])


def test_change_is_one_update_of_one_service_and_is_told_by_option(host):
    host.run()
    version = host.api.services_["shop_db"]["Version"]
    changes = host.run(shop={**SHOP, "environment": {"TAG": "2"}})
    assert set(changes["shop"]["services"]) == {"shop_web"}
    assert changes["shop"]["services"]["shop_web"] == {
        "image": {"old": "web:1", "new": "web:2"},
        "labels": {
            "old": {"com.docker.stack.image": "web:1"},
            "new": {"com.docker.stack.image": "web:2"},
        },
    }
    assert host.api.services_["shop_db"]["Version"] == version


def test_what_the_file_does_not_have_any_more_is_taken_away(host):
    host.run()
    db = host.api.services_["shop_db"]["Spec"]
    db["TaskTemplate"]["ContainerSpec"]["Healthcheck"] = {"Test": ["CMD", "true"], "Interval": 5}
    db["Mode"]["Replicated"]["Replicas"] = 3
    host.api.run("shop_db")
    host.edit('A: "1", B: "2"', 'A: "1"')
    host.edit(', resources: {limits: {cpus: "0.5"}}', "")
    host.edit("{owner: team}", "{}")
    changes = host.run()["shop"]["services"]["shop_db"]
    assert set(changes) == {"env", "limits", "labels", "healthcheck"}
    assert changes["labels"] == {"old": {"owner": "team"}, "new": {"owner": None}}
    db = host.api.services_["shop_db"]["Spec"]
    assert "Healthcheck" not in db["TaskTemplate"]["ContainerSpec"]
    # Nobody has said how many: what somebody has scaled stays.
    assert db["Mode"]["Replicated"]["Replicas"] == 3


def test_content_of_a_secret_is_a_new_version_that_the_service_follows(host):
    host.run()
    host.files["salt://stacks/password"] = "another"
    changes = host.run()["shop"]
    assert {kind: set(one) for kind, one in changes.items()} == {
        "secrets": {"shop_password"},
        "services": {"shop_web"},
    }
    assert set(changes["services"]["shop_web"]) == {"secrets"}


def smaller(host):
    """Take a service, with all that only it needs, out of the file."""
    source = host.files[SHOP["source"]]
    db = source[source.index("  db:") : source.index("\nnetworks:")]
    host.files[SHOP["source"]] = f"services:\n{db}"


@pytest.mark.parametrize("prune", [False, True])
def test_what_the_file_does_not_name_any_more_is_pruned_if_asked_for(host, prune):
    host.run(shop={**SHOP, "prune": prune})
    smaller(host)
    changes = host.run()
    if prune:
        gone = {kind: set(one) for kind, one in changes["shop"].items()}
        assert {kind: len(one) for kind, one in gone.items()} == dict.fromkeys(WHOLE, 1)
        assert host.names() == {
            "services": {"shop_db"},
            "networks": {"shop_default"},
            "secrets": set(),
            "configs": set(),
        }
    else:
        assert changes == {}
        assert host.names() == WHOLE


def test_what_was_changed_before_a_failure_is_told(host, monkeypatch):
    """As of a service whose tasks do not end."""

    def late(*_):
        raise errors.WaitTimeoutError("its tasks are still there")

    host.run()
    smaller(host)
    more = "    secrets: [more]\nsecrets: {more: {file: ./password}}\n"
    host.files[SHOP["source"]] = host.files[SHOP["source"]].rstrip() + "\n" + more
    monkeypatch.setattr(stack_stacks.api, "remove", late)
    with pytest.raises(errors.RolloutError, match="still there") as told:
        host.run(shop={**SHOP, "prune": True})
    assert set(told.value.changes["shop"]) == {"secrets"}


def others(host):
    """Have objects of another stack, and of none, and return all of them."""
    other = {
        "services": {"web": {"image": "a", "secrets": ["s"]}},
        "secrets": {"s": {"file": "/x"}},
    }
    (host.folder / "x").write_text("x")
    other["secrets"]["s"]["file"] = str(host.folder / "x")
    host.module.apply("other", {"content": other})
    apply.apply(
        host.api,
        {"shop_like": {"image": "a"}},
        apply.Run(30),
    )
    return copy.deepcopy([host.api.services_, host.api.networks_, host.api.files])


def test_nothing_of_others_is_pruned_or_removed(host):
    before = others(host)
    host.run(shop={**SHOP, "prune": True})
    smaller(host)
    host.run()
    promised = host.module.remove("shop", test=True)
    assert host.module.remove("shop") == promised
    assert {kind: set(one) for kind, one in promised.items()} == {
        "services": {"shop_db"},
        "networks": {"shop_default"},
    }
    assert [host.api.services_, host.api.networks_, host.api.files] == before
    assert host.module.remove("shop") == {}


def test_what_services_of_others_use_stays(host):
    host.run(shop={**SHOP, "prune": True})
    user = {"image": "a", "secrets": ["shop_password"], "networks": ["shop_front"]}
    options = {"user": service_modes.parsed(user, "service user")}
    apply.apply(host.api, options, apply.Run(30))
    smaller(host)
    changes = host.run()["shop"]
    assert set(changes) == {"services", "configs"}
    assert host.names()["secrets"] == {"shop_password"}
    with pytest.raises(errors.RolloutError, match="other services use its networks shop_fr"):
        host.module.remove("shop")


@pytest.mark.parametrize("name", test_file.FILES)
def test_files_that_people_write_are_deployed_and_then_nothing_changes(host, name):
    folder = host.folder / "stacks"
    shutil.copytree(test_file.FOLDER, folder)
    path = folder / f"{name}.yml"
    path.write_text(path.read_text().replace("/srv/token", f"{folder}/nginx.conf"))
    for kind, names in (
        ("secrets", ["shared", "app-own-3", "forge-token-2"]),
        ("configs", ["site"]),
    ):
        for one in names:
            host.api.files[kind][one] = {"ID": f"id-{one}", "Spec": {"Name": one}}
    for one in ("public", "legacy-net", "storage-net", "host"):
        host.api.networks_[f"id-{one}"] = {"Id": f"id-{one}", "Name": one, "Scope": "swarm"}
    options = {"source": str(path), "environment": test_file.ENVIRONMENT}
    wanted = [file.given({}, "st", stack_options.parsed("st", options), STACK)]
    run = apply.Run(30, warn=lambda _: None)
    promised = stack_stacks.deploy(host.api, wanted, run._replace(test=True))
    assert stack_stacks.deploy(host.api, wanted, run) == promised
    assert set(promised["st"]["services"]) == set(wanted[0].stack.services)
    written = len(host.api.written)
    assert stack_stacks.deploy(host.api, wanted, run) == {}
    assert len(host.api.written) == written


def test_stack_is_removed_with_all_it_has(host):
    host.run()
    changes = host.module.remove("shop")
    assert {kind: len(one) for kind, one in changes.items()} == {
        kind: len(one) for kind, one in WHOLE.items()
    }
    assert host.names() == {kind: set() for kind in WHOLE}
    assert host.module.remove("shop") == {}


@pytest.mark.parametrize("labels", [{}, {NAMESPACE: "other"}], ids=["none", "other"])
def test_service_of_others_is_not_taken_over(host, labels):
    apply.apply(host.api, {"shop_web": {"image": "a", "labels": labels}}, apply.Run(30))
    written = len(host.api.written)
    with pytest.raises(errors.SettingsError) as error:
        host.module.apply_all()
    owner = "stack other" if labels else "no stack"
    assert f"stack shop:services: found 'service shop_web of {owner}'" in str(error.value)
    assert len(host.api.written) == written


def test_what_docker_stack_deploy_has_made_is_continued_by_its_names(host):
    """Its secrets cannot change: the service goes over to a version, by one update."""
    host.run()
    container = host.api.services_["shop_web"]["Spec"]["TaskTemplate"]["ContainerSpec"]
    for kind, word in (("secrets", "Secret"), ("configs", "Config")):
        (one,) = host.api.files[kind].values()
        name = one["Spec"]["Name"].rpartition("-")[0]
        one |= {"ID": f"id-{name}", "Spec": {"Name": name, "Labels": {NAMESPACE: "shop"}}}
        host.api.files[kind] = {name: one}
        container[f"{word}s"][0] |= {f"{word}ID": f"id-{name}", f"{word}Name": name}
    host.api.run("shop_web")
    changes = host.run()
    assert set(changes["shop"]) == {"secrets", "configs", "services"}
    assert set(changes["shop"]["services"]) == {"shop_web"}


def test_nothing_is_changed_if_one_of_several_stacks_is_wrong(host):
    bad = {
        "services": {"a": {"image": "a", "secrets": ["s"]}},
        "secrets": {"s": {"external": True}},
    }
    host.pillar({"shop": SHOP, "bad": {"content": bad}})
    for test in (True, False):
        with pytest.raises(errors.SettingsError, match="service bad_a:secrets: found 's'"):
            host.module.apply_all(test)
    assert host.api.written == []


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (("image: web:${TAG}", "imgae: web"), "stack shop:services:web:imgae: found"),
        (("${TAG}", "${TGA}"), "stack shop:services:web:image: found 'the variable TGA"),
        (("./password", "./pasword"), "stack shop: salt://stacks/pasword cannot be read"),
        (("./password", "../../x"), "stack shop:secrets:password:file: found '../../x'"),
    ],
    ids=str,
)
def test_fault_in_the_file_is_found_before_anything_is_changed(host, edit, words):
    host.edit(*edit)
    with pytest.raises(errors.SwarmError) as error:
        host.module.apply_all()
    assert str(error.value).startswith(words)
    assert host.api.written == []


def test_files_beside_a_file_are_of_its_environment(host):
    host.files |= {f"{path}?saltenv=dev": text for path, text in host.files.items()}
    host.files["salt://stacks/env/web.env?saltenv=dev"] = "C=dev"
    host.run(shop={**SHOP, "source": f"{SHOP['source']}?saltenv=dev"})
    container = host.api.services_["shop_web"]["Spec"]["TaskTemplate"]["ContainerSpec"]
    assert container["Env"] == ["C=dev"]


def test_file_is_rendered_with_jinja_if_asked_for(host):
    host.edit("${TAG}", "{{ tag }}")
    host.run(shop={**SHOP, "template": "jinja"})
    assert host.api.services_["shop_web"]["Spec"]["Labels"]["com.docker.stack.image"] == "web:9"


def test_file_that_cannot_be_rendered_is_told_without_its_text(host):
    error = SaltRenderError("Jinja variable 'nope' is undefined", 1, "password: geheim")
    host.module.__salt__["slsutil.renderer"].side_effect = error
    host.pillar({"shop": {**SHOP, "template": "jinja"}})
    with pytest.raises(errors.SettingsError) as found:
        host.module.apply_all()
    assert str(found.value).startswith("stack shop: salt://stacks/shop.yml cannot be rendered: Ji")
    assert "geheim" not in str(found.value)


def test_paths_in_a_file_of_the_pillar_are_absolute(host):
    content = {"services": {"a": {"image": "a", "env_file": "a.env"}}}
    with pytest.raises(errors.SettingsError, match="the file is in no folder"):
        host.module.apply("st", {"content": content})
    content["services"]["a"]["env_file"] = "salt://stacks/env/web.env"
    assert host.module.apply("st", {"content": content})["services"]["st_a"]["env"]["new"]


def test_external_objects_are_those_of_the_pillar_and_follow_their_versions(host):
    content = {
        "services": {"a": {"image": "a", "networks": ["n"], "deploy": {"replicas": 2}}},
        "networks": {"n": {"external": True, "name": "backend"}},
    }
    host.run(st={"content": content})
    (network,) = host.api.services_["st_a"]["Spec"]["TaskTemplate"]["Networks"]
    assert network == {"Target": "id-backend", "Aliases": ["a"]}
    assert host.names()["networks"] == set()


def test_names_that_two_have_are_refused(host):
    web = {"content": {"services": {"web": {"image": "a"}}}}
    host.pillar({"a": web}, services={"a_web": {"image": "b"}})
    with pytest.raises(errors.SettingsError, match="swarm:services has it as well"):
        host.module.apply_all(test=True)
    inner = {"content": {"services": {"b_web": {"image": "a"}}}}
    host.pillar({"a_b": web, "a": inner})
    with pytest.raises(errors.SettingsError, match="stack a_b has it as well"):
        host.module.apply_all()


def test_stack_that_does_not_run_fails_and_tells_what_was_changed(host):
    host.api.behave["shop_web"] = lambda api, name: api.start(name, failed("exit 1"))
    with pytest.raises(errors.RolloutError, match=r"service shop_web: .*exit 1") as error:
        host.module.apply_all()
    assert {kind: set(one) for kind, one in error.value.changes["shop"].items()} == WHOLE


def test_dry_run_tells_of_a_stack_that_does_not_run_if_nothing_else_is_to_do(host):
    host.run()
    host.api.stop("shop_web")
    with pytest.raises(errors.WaitTimeoutError, match="service shop_web"):
        host.module.apply_all(test=True)


def test_first_manager_promises_on_a_bare_host_what_it_will_make(host):
    host.leads, host.founds = False, True
    promised = host.module.apply_all(test=True)
    assert host.module.apply_all() is None
    host.leads, host.founds = True, False
    assert host.module.apply_all() == promised


def test_only_the_leader_acts(host):
    host.leads = False
    assert host.module.apply_all() is host.module.apply_all(test=True) is None
    assert host.module.apply("shop", SHOP) is host.module.remove("shop") is None
    assert host.api.written == []


def test_what_is_ignored_and_warnings_are_told_once(host):
    host.edit("image: db", "image: db\n    depends_on: [web]")
    host.module.apply_all(test=True)
    (told,) = host.module.ignored()
    assert told.startswith("stack shop ignores services.db.depends_on (")
    assert len(host.module.complaints()) == 1
    assert host.module.ignored() == host.module.complaints() == []


def test_wrong_option_of_a_single_stack_is_refused(host):
    with pytest.raises(errors.SettingsError, match="Did you mean 'source'"):
        host.module.apply("shop", {"soruce": "/x"})
