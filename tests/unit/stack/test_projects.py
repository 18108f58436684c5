"""
Stacks in classic mode: what a compose file becomes, and what docker-compose and others keep.
"""

import contextlib
import copy
from types import SimpleNamespace

import pytest

from _modules import swarm_stack
from swarm_formula.classic import services
from swarm_formula.cluster import swarm_api
from swarm_formula.compose.target import MARK
from swarm_formula.core import errors
from swarm_formula.docker import engine_api, network_spec
from swarm_formula.salt import dry_run
from tests.unit.classic_api import Swarm, options
from tests.unit.execution import mocked
from tests.unit.pillars import VALID, node, settings_of

PROJECT, NUMBER = "com.docker.compose.project", "com.docker.compose.container-number"
PRIMARY, REPLICA = {"role": "primary"}, {"role": "replica"}
SILENT = {name: {"error": "no connection"} for name in ("m1", "m2", "m3")}
FILE = {
    "services": {
        "web": {
            "image": "web:${TAG}",
            "ports": ["8080:80"],
            "networks": ["front"],
            "labels": {"owner": "team"},
            "depends_on": ["db"],
            "deploy": {
                "replicas": 2,
                "placement": {"constraints": ["node.labels.zone != 9"]},
                "resources": {"limits": {"memory": "64m"}},
            },
        },
        "db": {
            "image": "db",
            "environment": {"A": "1", "B": "2"},
            "restart": "no",
            "volumes": ["data:/data"],
        },
    },
    "networks": {"front": {}},
    "volumes": {"data": {}},
}


class Host:
    """The module on one host, the managers, and the networks in the store."""

    def __init__(self, monkeypatch, minion="m1"):
        self.api = Swarm().patch(monkeypatch)
        self.networks, self.users, self.local = {}, {}, ["bridge"]
        self.heard, self.limits, self.context = True, [], {}
        self.roles = {"m1": PRIMARY, "m2": REPLICA, "m3": {"error": "no connection"}}
        self.minion, self.file = node(minion), copy.deepcopy(FILE)
        self.salt = mocked(
            swarm_settings__get=lambda **_: self.settings,
            swarm_classic__managers=lambda: self.roles,
            swarm_classic__wait_primary="10.77.0.11:3375",
            swarm_network__apply=self._network,
            swarm_network__get=self._get,
            swarm_network__remove=self._remove,
        )
        for name, one in (("salt", self.salt), ("opts", {}), ("context", self.context)):
            monkeypatch.setattr(swarm_stack, f"__{name}__", one, raising=False)
        monkeypatch.setattr(engine_api, "connect", self._connect)
        monkeypatch.setattr(swarm_api, "connect", lambda _: self.engine())
        self.pillar()

    def _connect(self, _url, timeout, _what, _tls):
        self.limits.append(timeout)
        return self.api.connect()

    @contextlib.contextmanager
    def engine(self):
        """Yield a client of the host's engine, which has networks of its own as well."""
        shared = [one for one in self.api.networks() if "/" not in one["Name"]]
        local = [{"Name": name, "Labels": {}} for name in self.local]
        yield SimpleNamespace(networks=lambda: local + shared)

    def pillar(self, tag="1", prune=False, **more):
        stack = {"content": self.file, "environment": {"TAG": tag}, "prune": prune, "timeout": 30}
        pillar = {**VALID, "stacks": {"shop": stack}, **more}
        self.settings = settings_of(copy.deepcopy(pillar), self.minion)

    def _network(self, name, spec, test=False):
        wanted = network_spec.wanted(name, spec)
        if name in self.networks:
            if self.networks[name] != wanted:
                raise errors.ApiError(f"network {name} cannot be changed")
            return {}
        if not test:
            self.networks[name] = wanted
            self.api.networks_ |= {name} if self.heard else set()
            self.api.network_labels[name] = wanted["labels"]
        return network_spec.differences(wanted, None)

    def _get(self, name):
        users = [one.name for one in self.api.boxes if name in _joined(one)]
        return {"users": users + self.users.get(name, [])}

    def _remove(self, name, test=False):
        assert not self._get(name)["users"] and not test  # noqa: PT018
        del self.networks[name]
        self.api.networks_.remove(name)

    def run(self, **pillar):
        """Apply, after a dry run whose promise is insisted on, and once more."""
        self.pillar(**pillar)
        before, networks = self.api.there(), dict(self.networks)
        promised = swarm_stack.apply_all(test=True)
        assert (self.api.there(), self.networks) == (before, networks)
        assert swarm_stack.apply_all() == promised
        written = list(self.api.written)
        assert swarm_stack.apply_all() == swarm_stack.apply_all(test=True) == {}
        assert self.api.written == written
        return promised

    def refused(self, error=errors.SettingsError):
        """Apply what has to be refused before anything is written; return the reason."""
        written, networks = list(self.api.written), dict(self.networks)
        with pytest.raises(error) as found:
            swarm_stack.apply_all()
        assert (self.api.written, self.networks) == (written, networks)
        return str(found.value)


def _joined(box):
    return {box.body["HostConfig"].get("NetworkMode"), *box.more}


@pytest.fixture
def host(monkeypatch):
    return Host(monkeypatch)


CONTAINERS = {"shop_web.1", "shop_web.2", "shop_db.1"}


def test_file_becomes_containers_and_networks_that_docker_compose_finds(host):
    changes = host.run()["shop"]
    assert {kind: set(one) for kind, one in changes.items()} == {
        "services": {"shop_web", "shop_db"},
        "networks": {"shop_front", "shop_default"},
    }
    assert set(host.api.there()) == CONTAINERS
    labels = host.api.box("shop_web.2").labels
    assert {key: one for key, one in labels.items() if key.startswith("com.docker.compose")} == {
        PROJECT: "shop",
        "com.docker.compose.service": "web",
        NUMBER: "2",
        "com.docker.compose.oneoff": "False",
        "com.docker.compose.version": "1.29.2",
        "com.docker.compose.config-hash": "swarm-formula",
    }
    assert labels["owner"] == "team"
    assert host.networks["shop_front"]["driver"] == "overlay"
    assert host.networks["shop_front"]["labels"] == {
        PROJECT: "shop",
        "com.docker.compose.network": "front",
        "com.docker.compose.version": "1.29.2",
        MARK: "shop",
    }


def test_keys_of_the_file_are_options_of_the_containers(host):
    host.run()
    web, db = host.api.box("shop_web.1"), host.api.box("shop_db.1")
    assert web.image == "web:1"
    assert web.body["HostConfig"]["PortBindings"] == {
        "80/tcp": [{"HostIp": "", "HostPort": "8080"}]
    }
    assert web.body["HostConfig"]["Memory"] == 64 << 20
    assert web.labels["com.docker.swarm.constraints"] == '["zone!=9"]'
    ends = web.body["NetworkingConfig"]["EndpointsConfig"]
    assert ends == {"shop_front": {"Aliases": ["shop_web", "web"]}}
    assert db.body["HostConfig"]["RestartPolicy"]["Name"] == "no"
    (mount,) = db.body["HostConfig"]["Mounts"]
    assert (mount["Source"], mount["Target"]) == ("shop_data", "/data")
    assert mount["VolumeOptions"]["Labels"][PROJECT] == "shop"
    (ignored,) = set(swarm_stack.ignored())
    assert ignored.startswith("stack shop ignores services.web.depends_on (")


def test_scale_and_change_are_told_by_option_and_leave_the_other_services(host):
    host.run()
    db = host.api.box("shop_db.1").id
    host.file["services"]["web"]["deploy"]["replicas"] = 3
    assert host.run() == {"shop": {"services": {"shop_web": {"replicas": {"old": 2, "new": 3}}}}}
    assert host.api.box("shop_web.3").labels[NUMBER] == "3"
    changes = host.run(tag="2")
    assert changes == {
        "shop": {"services": {"shop_web": {"image": {"old": "web:1", "new": "web:2"}}}}
    }
    assert {box.labels[NUMBER] for box in host.api.boxes if box.image == "web:2"} == set("123")
    assert host.api.box("shop_db.1").id == db


def test_scale_stays_if_the_file_does_not_have_it(host):
    del host.file["services"]["web"]["deploy"]["replicas"]
    host.run()
    run = services.Run(30)
    services.scale(host.api, "shop_web", 3, run)
    assert host.run() == {}
    assert "shop_web.3" in host.api.there()


def test_what_the_file_does_not_have_any_more_is_taken_away(host):
    host.run()
    web, db = host.file["services"]["web"], host.file["services"]["db"]
    del web["deploy"]["resources"], web["labels"]
    del db["environment"]["B"], db["restart"]
    changes = host.run()["shop"]["services"]
    assert set(changes["shop_web"]) == {"limits", "container_labels"}
    assert set(changes["shop_db"]) == {"env", "restart_policy"}
    assert "owner" not in host.api.box("shop_web.1").labels
    policy = host.api.box("shop_db.1").body["HostConfig"]["RestartPolicy"]
    assert policy["Name"] == "unless-stopped"


@pytest.mark.parametrize("prune", [False, True])
def test_what_the_file_does_not_name_any_more_is_pruned_if_asked_for(host, prune):
    host.run(prune=prune)
    del host.file["services"]["web"], host.file["networks"]["front"]
    changes = host.run(prune=prune)
    if prune:
        assert {kind: set(one) for kind, one in changes["shop"].items()} == {
            "services": {"shop_web"},
            "networks": {"shop_front"},
        }
        assert set(host.api.there()) == {"shop_db.1"}
        assert set(host.networks) == {"shop_default"}
    else:
        assert changes == {}
        assert set(host.api.there()) == CONTAINERS


def test_network_that_others_use_is_not_pruned(host):
    host.run(prune=True)
    host.users["shop_front"] = ["mine"]
    del host.file["services"]["web"], host.file["networks"]["front"]
    assert set(host.run(prune=True)["shop"]) == {"services"}
    with pytest.raises(errors.RolloutError, match="shop_front is used by mine") as error:
        swarm_stack.remove("shop")
    assert set(error.value.changes["shop"]) == {"services", "networks"}
    assert set(host.networks) == {"shop_front"}


def test_stack_is_removed_with_all_it_has_and_nothing_of_others(host):
    host.run()
    services.apply(host.api, {"shop_like": options(image="a")}, services.Run(30))
    host.api.run("shop_tool", "tool", Labels={PROJECT: "shop", "com.docker.compose.oneoff": "True"})
    assert host.run() == {}
    promised = swarm_stack.remove("shop", test=True)
    assert dry_run.noted(host.context, True).gone == {"shop_web", "shop_db"}
    assert set(host.api.there()) >= CONTAINERS
    assert swarm_stack.remove("shop") == promised
    assert {kind: set(one) for kind, one in promised.items()} == {
        "services": {"shop_web", "shop_db"},
        "networks": {"shop_front", "shop_default"},
    }
    assert set(host.api.there()) == {"shop_like.1", "shop_tool"}
    assert host.networks == {}
    assert swarm_stack.remove("shop") == {}


def test_project_of_docker_compose_is_not_taken_over(host):
    host.api.run("shop_web_1", "web", Labels={PROJECT: "shop", "com.docker.compose.service": "x"})
    told = host.refused()
    assert "stack shop:services: found 'container shop_web_1 on m" in told
    assert "docker-compose -p shop down" in told
    assert "Nothing was changed" in told
    assert swarm_stack.remove("shop") == {}
    assert set(host.api.there()) == {"shop_web_1"}


def test_network_of_docker_compose_is_not_taken_over(host):
    host.api.networks_.add("shop_front")
    host.api.network_labels["shop_front"] = {PROJECT: "shop"}
    assert "found 'network shop_front of no stack'; right would be `external" in host.refused()
    assert swarm_stack.remove("shop") == {}
    assert "shop_front" in host.api.networks_


def test_network_of_one_host_with_the_same_name_is_not_replaced(host):
    host.local.append("shop_default")
    assert "found 'network shop_default of no stack'" in host.refused()


def test_service_of_the_formula_that_belongs_to_no_stack_is_not_taken_over(host):
    services.apply(host.api, {"shop_web": options(image="a", replicas=2)}, services.Run(30))
    assert host.refused().count("found 'service shop_web of no stack'") == 1
    assert swarm_stack.remove("shop") == {}


def test_container_of_another_owner_with_one_of_the_names_is_refused_first_of_all(host):
    host.api.run("shop_db.1", "mine")
    assert "there is a container shop_db.1 that the formula has not created" in host.refused()


def test_network_that_cannot_be_changed_is_told_before_anything_is_changed(host):
    host.run()
    host.file["networks"]["front"] = {"internal": True}
    host.file["services"]["db"]["networks"] = ["another"]
    host.file["networks"] = {"another": {}, **host.file["networks"]}
    host.pillar(tag="2")
    assert "network shop_front cannot be changed" in host.refused(errors.ApiError)


def test_external_network_has_to_be_there(host):
    host.file["networks"]["front"] = {"external": True, "name": "bak"}
    host.pillar()
    assert "service shop_web:networks: found 'bak'" in host.refused()
    host.file["networks"]["front"]["name"] = "backend"
    assert set(host.run()["shop"]["networks"]) == {"shop_default"}
    assert "backend" in _joined(host.api.box("shop_web.1"))


def test_stack_that_does_not_run_fails_and_tells_what_was_changed(host):
    host.file["services"]["db"]["image"] = "crash"
    host.pillar()
    with pytest.raises(errors.RolloutError, match="the last words of crash") as error:
        swarm_stack.apply_all()
    assert set(error.value.changes["shop"]["services"]) == {"shop_web"}
    assert set(error.value.changes["shop"]["networks"]) == {"shop_front", "shop_default"}


def test_no_container_is_created_before_the_manager_knows_its_network(host):
    host.heard = False
    with pytest.raises(errors.RolloutError, match="does not see the networks shop_d") as error:
        swarm_stack.apply_all()
    assert set(error.value.changes["shop"]) == {"networks"}
    assert host.api.written == []


def test_dry_run_counts_with_the_networks_of_the_pillar(host):
    host.file["networks"]["front"] = {"external": True, "name": "back"}
    host.pillar(networks={"back": {"driver": "overlay"}})
    assert swarm_stack.apply_all(test=True)["shop"]["services"]
    assert "found 'back'; right would be one that the swarm has" in host.refused()


def test_node_that_does_not_answer_is_told(host):
    host.run()
    host.api.down.add(host.api.box("shop_db.1").engine)
    assert "whose engine does not answer the managers" in host.refused(errors.RolloutError)


def test_manager_may_take_as_long_as_the_longest_timeout(host):
    for timeout in (600, 1):
        content = {"services": {"a": {"image": "a"}}}
        swarm_stack.apply("st", {"content": content, "timeout": timeout})
    assert host.limits == [600, host.settings["timeout"]]


def test_dry_run_tells_of_a_service_that_does_not_run_if_nothing_else_is_to_do(host):
    host.run(prune=True)
    host.api.health["db"] = "starting"
    with pytest.raises(errors.WaitTimeoutError, match=r"shop_db\.1 on m. is starting"):
        swarm_stack.apply_all(test=True)
    del host.file["services"]["web"]
    host.pillar(prune=True)
    assert set(swarm_stack.apply_all(test=True)["shop"]["services"]) == {"shop_web"}
    assert dry_run.noted(host.context, True).gone == {"shop_web"}


def test_first_manager_promises_on_bare_hosts_what_will_be_made(host):
    host.roles = SILENT
    promised = swarm_stack.apply_all(test=True)
    assert dry_run.noted(host.context, True).networks == {"shop_front", "shop_default"}
    assert host.api.written == []
    host.roles = {"m1": PRIMARY}
    assert swarm_stack.apply_all() == promised


@pytest.mark.parametrize("name", ["m2", "m4"])
def test_other_hosts_do_nothing(monkeypatch, name):
    host = Host(monkeypatch, name)
    assert swarm_stack.apply_all() is swarm_stack.apply_all(test=True) is None
    assert swarm_stack.apply("shop", {"content": {"services": {"a": {"image": "a"}}}}) is None
    assert swarm_stack.remove("shop") is None
    assert host.api.written == []


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (
            {"secrets": {"s": {"file": "/x"}}},
            ":secrets:s: found 'what cannot be kept'; right would",
        ),
        ({"networks": {"default": {"driver": "bridge"}}}, ":networks:default:driver: found 'bri"),
    ],
    ids=str,
)
def test_object_that_classic_mode_cannot_have_is_refused_by_name(host, spec, words):
    content = {"services": {"web": {"image": "a"}}, **spec}
    with pytest.raises(errors.SettingsError) as error:
        swarm_stack.apply("st", {"content": content})
    assert f"stack st:content{words}" in str(error.value)
    assert host.api.written == []


@pytest.mark.parametrize(
    ("service", "words"),
    [
        ({"privileged": True}, "privileged: found 'what cannot be kept'; right would be swarm:con"),
        ({"network_mode": "host"}, "network_mode: found"),
        ({"deploy": {"labels": {"a": "b"}}}, "deploy:labels: found"),
        ({"deploy": {"mode": "global"}}, "deploy:mode: found 'global'"),
        ({"deploy": {"update_config": {"order": "start-first"}}}, "deploy:update_config:order: "),
        ({"deploy": {"resources": {"reservations": {"memory": "8m"}}}}, "limits.memory: the man"),
        ({"ports": [{"target": 80, "published": 80, "mode": "ingress"}]}, "web:ports: found"),
        ({"volumes": [{"type": "cluster", "source": "group:a", "target": "/a"}]}, "web:volumes: "),
        ({"environment": {"A": "{{.Task.Slot}}"}}, "web:environment: found 'what is not shown'"),
    ],
    ids=str,
)
def test_key_that_classic_mode_cannot_keep_is_refused_at_its_place(host, service, words):
    content = {"services": {"web": {"image": "a", **service}}}
    with pytest.raises(errors.SettingsError) as error:
        swarm_stack.apply("st", {"content": content})
    assert "stack st:content:services:web:" in str(error.value)
    assert words in str(error.value)
    assert host.api.written == []


def test_options_of_a_stack_that_classic_mode_cannot_keep_are_refused(host):
    content = {"services": {"web": {"image": "a"}}}
    with pytest.raises(errors.SettingsError, match="stack st:resolve: found 'always'"):
        swarm_stack.apply("st", {"content": content, "resolve": "always"})
    with pytest.raises(errors.SettingsError, match="stack St: found 'St'; right would be a name"):
        swarm_stack.apply("St", {"content": content})
    assert swarm_stack.apply("st", {"content": content, "resolve": "never"})["services"]


def test_file_that_is_read_from_its_source_is_checked_before_anything_is_changed(host, tmp_path):
    source = tmp_path / "shop.yml"
    source.write_text("services: {web: {image: a, ports: ['80:80'], devices: [/dev/x]}}")
    host.settings = settings_of({**VALID, "stacks": {"shop": {"source": str(source)}}})
    assert "stack shop:services:web:devices: found" in host.refused()
    source.write_text("services: {web: {image: a, ports: ['80:80']}}")
    assert set(swarm_stack.apply_all()["shop"]["services"]) == {"shop_web"}
