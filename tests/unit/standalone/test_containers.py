import json

import pytest

from swarm_formula.consul import container_spec
from swarm_formula.core import errors, normalize
from swarm_formula.registry import container_spec as registry_spec
from swarm_formula.standalone import containers
from tests.unit.pillars import BUILTIN, FILES, M1, VALID, node, settings_of

IPV6 = M1._replace(interfaces={"eth0": ["fd00::11"]}, towards=lambda _: "fd00::11")


def consul(pillar, minion=M1, certs=None):
    """Return the container of Consul and its configuration, read again."""
    settings = settings_of({**VALID, **pillar}, minion)
    config = container_spec.consul_config(settings, certs, FILES)
    spec, text = container_spec.consul_container(settings, config)
    return spec, json.loads(text)


def manager(pillar, minion=M1):
    return containers.manager_container(settings_of({**VALID, **pillar}, minion), FILES)


def agent(pillar, minion=M1):
    return containers.agent_container(settings_of({**VALID, **pillar}, minion), FILES)


TLS = {"tls": {"enabled": True}}
OWN_FILES = {"tls": {"ca_cert": "/ca", "cert": "/cert", "key": "/key"}}


@pytest.mark.parametrize(
    ("pillar", "files"),
    [
        (TLS, FILES.for_consul()),
        ({**OWN_FILES, "consul": {"gossip_key": "/gossip"}}, FILES),
    ],
    ids=["the formula's CA", "files of the user's own"],
)
def test_store_is_reached_with_the_certificate_for_consul(pillar, files):
    """And managers and engines with that of the node, which their CA has signed."""
    store = [
        f"--discovery-opt=kv.{flag}={path}"
        for flag, path in (
            ("cacertfile", files.ca),
            ("certfile", files.cert),
            ("keyfile", files.key),
        )
    ]
    for container in (agent(pillar), manager(pillar)):
        assert set(store) <= set(container["command"])
        assert container["mounts"] == ["/tls/1:/tls/1:ro"]
    assert f"--tlscert={FILES.cert}" in manager(pillar)["command"]
    assert f"--tlscacert={FILES.ca}" in manager(pillar)["command"]


def test_store_of_the_users_own_gets_no_certificate_for_consul():
    pillar = {**TLS, "store": "consul://consul.example.com:8500"}
    assert not [one for one in agent(pillar)["command"] if "consul/cert.pem" in one]


def test_consul_server():
    spec, config = consul({})
    assert spec["image"] == "consul:1.8.7"
    assert spec["image_source"] == "salt://images/consul.tar"
    assert spec["command"] == ["agent", "-config-file=/etc/swarm-formula/consul.json"]
    assert spec["mounts"] == [
        "/etc/swarm-formula:/etc/swarm-formula:ro",
        "swarm-consul:/consul/data",
    ]
    assert spec["network_mode"] == "host"
    assert spec["restart_policy"] == "unless-stopped"
    assert config["server"] is True
    assert config["bootstrap_expect"] == 3
    assert config["retry_join"] == ["10.77.0.11", "10.77.0.12", "10.77.0.13"]
    assert (config["node_name"], config["bind_addr"]) == ("m1", "10.77.0.11")
    assert config["client_addr"] == "127.0.0.1"
    assert config["ports"] == {"http": 8500}


def test_consul_client_knows_the_servers_and_expects_none():
    _, config = consul({}, node("m4"))
    assert config["server"] is False
    assert "bootstrap_expect" not in config
    assert config["retry_join"] == ["10.77.0.11", "10.77.0.12", "10.77.0.13"]


def test_options_of_consul_go_through():
    _, config = consul({"consul": {"options": {"log_level": "WARN", "ports": {"dns": -1}}}})
    assert config["log_level"] == "WARN"
    assert config["ports"] == {"http": 8500, "dns": -1}


def test_other_configuration_is_another_container():
    """Consul reads its file at its start only."""
    labels = [consul(pillar)[0]["labels"] for pillar in ({}, {}, {"consul": {"datacenter": "x"}})]
    assert labels[0] == labels[1] != labels[2]


def test_order_of_the_servers_does_not_matter():
    assert consul({"managers": ["m3", "m1", "m2"]}) == consul({})


def test_managers_command():
    assert manager({})["command"] == [
        "manage",
        "--strategy=spread",
        "--host=tcp://10.77.0.11:3375",
        "--replication",
        "--advertise=10.77.0.11:3375",
        "consul://127.0.0.1:8500",
    ]


def test_manager_alone_without_replication_advertises_nothing():
    """``--advertise`` is read with ``--replication`` only."""
    options = {"manager": {"options": {"replication": False}}, "managers": ["m1"]}
    assert manager(options)["command"] == [
        "manage",
        "--strategy=spread",
        "--host=tcp://10.77.0.11:3375",
        "consul://127.0.0.1:8500",
    ]


def test_managers_flags_go_before_ours():
    options = {"host": ["tcp://0.0.0.0:3375"], "advertise": "vip:3375", "strategy": "binpack"}
    assert manager({"manager": {"options": options}})["command"] == [
        "manage",
        "--strategy=binpack",
        "--host=tcp://0.0.0.0:3375",
        "--replication",
        "--advertise=vip:3375",
        "consul://127.0.0.1:8500",
    ]


def test_tls_files_are_mounted_read_only():
    files = {"tlscacert": "/pki/ca.pem", "tlscert": "/pki/cert.pem", "tlskey": "/pki/cert.pem"}
    spec = manager({"manager": {"options": {"tlsverify": True, **files}}})
    assert spec["mounts"] == ["/pki/ca.pem:/pki/ca.pem:ro", "/pki/cert.pem:/pki/cert.pem:ro"]
    assert "mounts" not in manager({})


@pytest.mark.parametrize(
    ("options", "tls"),
    [
        ({}, None),
        (
            {"tls": True, "tlscert": "/c", "tlskey": "/k"},
            {"cert": "/c", "key": "/k", "ca": None},
        ),
        # without tlsverify nobody checks, whatever else is given
        (
            {"tls": True, "tlscert": "/c", "tlskey": "/k", "tlscacert": "/a"},
            {"cert": "/c", "key": "/k", "ca": None},
        ),
        (
            {"tlsverify": True, "tlscert": "/c", "tlskey": "/k", "tlscacert": "/a"},
            {"cert": "/c", "key": "/k", "ca": "/a"},
        ),
    ],
    ids=str,
)
def test_managers_are_asked_as_they_listen(options, tls):
    settings = settings_of({**VALID, "manager": {"options": options}})
    assert containers.manager_tls(settings, FILES) == tls


def test_agents_command():
    assert agent({})["command"] == [
        "join",
        "--advertise=10.77.0.11:2275",
        "consul://127.0.0.1:8500",
    ]


def test_agents_flags():
    options = {"ttl": 40, "heartbeat": "10s", "advertise": "public:2275"}
    assert agent({"agent": {"options": options}, "store": "etcd://e:1/x", "overlay": False})[
        "command"
    ] == [
        "join",
        "--advertise=public:2275",
        "--heartbeat=10s",
        "--ttl=40s",
        "etcd://e:1/x",
    ]


def test_manager_and_agent_are_of_one_image():
    assert manager({})["image"] == agent({})["image"] == "swarm:1.2.9"
    assert manager({})["image_source"] == agent({})["image_source"] == "salt://images/swarm.tar"


def test_addresses_of_ipv6_stand_in_brackets():
    pillar = {"managers": {"m1": None}, "overlay": False}
    assert "--host=tcp://[fd00::11]:3375" in manager(pillar, IPV6)["command"]
    assert "--advertise=[fd00::11]:2275" in agent(pillar, IPV6)["command"]


@pytest.mark.parametrize(
    ("minion", "ids"), [("m1", ["m1", "m2", "m3"]), ("m3", ["m3", "m1", "m2"])]
)
def test_own_manager_is_asked_first(minion, ids):
    settings = settings_of(VALID, node(minion))
    assert list(containers.manager_endpoints(settings)) == ids


@pytest.mark.parametrize("of", [containers.engine_endpoint, containers.manager_endpoints])
def test_engine_without_a_port_has_no_endpoint(of):
    """In builtin mode. The port was None, and the endpoint 10.77.0.11:None."""
    with pytest.raises(errors.SettingsError, match="engine of m1 has no TCP port: set swarm:eng"):
        of(settings_of(BUILTIN))
    settings = settings_of({**BUILTIN, "engine": {"port": 2376}})
    assert "10.77.0.11:2376" in str(of(settings))


REGISTRY = {"registry": {"node": "m1", "path": "/srv/images"}}
LABELLED = {"engine": {"options": {"selinux-enabled": True}}}


def _mounts(pillar):
    """Return the mounts of all containers of the formula, without volumes."""
    settings = settings_of({**VALID, **TLS, **REGISTRY, **pillar})
    config = container_spec.consul_config(settings, None, FILES)
    specs = [
        container_spec.consul_container(settings, config)[0],
        containers.manager_container(settings, FILES),
        containers.agent_container(settings, FILES),
        registry_spec.server(settings, FILES).spec,
    ]
    found = normalize.mounts({one for spec in specs for one in spec["mounts"]})
    return {tuple(one.split(":")) for one in found if one.startswith("/")}


def test_folders_of_the_formula_have_a_label_for_containers_where_selinux_keeps_them_apart():
    plain = _mounts({})
    assert ("/srv/images", "/var/lib/registry") in plain
    assert _mounts(LABELLED) == {(*one[:2], ",".join([*one[2:], "z"])) for one in plain}
    assert _mounts({"engine": {"options": {"selinux-enabled": False}}}) == plain


def test_files_that_flags_name_keep_their_labels():
    """They are somebody else's."""
    files = {"tlscacert": "/pki/ca.pem", "tlscert": "/pki/cert.pem", "tlskey": "/pki/key.pem"}
    pillar = {"manager": {"options": {"tlsverify": True, **files}}}
    assert manager({**pillar, **LABELLED})["mounts"] == manager(pillar)["mounts"]
