"""
Every key of pillar, edited on a swarm that runs: to which values, and what has to come of it.

The rows are those of ``settings.schema.SCHEMA``; a test holds them together. ``@m1`` stands for a
host's address, ``@subnet`` for the lab's network, ``@machine`` for what carries it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

# It is in force after at most two applies, and a further one changes nothing.
CONVERGES = "converges"
# As that, with a warning that has the words.
WARNED = "warned"
# A state fails with the words before anything is touched, and test=True says so as well.
REFUSED = "refused"
# Only trying tells: a state fails with the words, and everything is as it was.
UNDONE = "undone"

_NOTHING: Mapping = MappingProxyType({})
CLASSIC, BUILTIN = ("classic",), ("builtin",)
BOTH = CLASSIC + BUILTIN


class Value(NamedTuple):
    """A value, and what comes of it."""

    value: object
    outcome: str = CONVERGES
    words: str = ""
    also: Mapping = _NOTHING  # what this value needs beside it
    applies: int = 2
    seen_later: bool = False  # the refusal needs more than pillar: the host, the swarm
    modes: tuple = ()  # if the row has more


class Row(NamedTuple):
    """A key of pillar, ``*`` for a name of the user's, and the values to try."""

    key: str
    values: tuple[Value, ...]
    modes: tuple = BOTH
    base: Mapping = _NOTHING  # what the swarm has before
    undo: Mapping = _NOTHING  # what takes the edit back, where a key that is unset means "as it is"
    back: int = 2  # applies until it is taken back
    stays: str = ""  # the setting in Docker that cannot be taken back
    removal: tuple[str, ...] = ()  # the function that removes what outlives its entry in pillar
    alone: bool = False  # it means something to other keys, or is too much at once with others
    instead: str = ""  # why the value of pillar.example cannot be tried in a lab

    def at(self, value: object) -> dict:
        """Return the pillar that has a value in this key's place."""
        *above, last = self.key.split(":")
        found: dict = {last: value}
        for one in reversed(above):
            found = {NAMES.get(above[0], one) if one == "*" else one: found}
        return found


# What stands for ``*``.
NAMES = {"nodes": "m2", "networks": "matrix", "registries": "registry.example.com:5000"}

LAB_HAS_IT = "it is the lab's own"
NO_REGISTRY = "the lab reaches no registry"


def _flag(section: str, flag: str, *values: object, **more: object) -> Row:
    known = {"modes": CLASSIC, **more}
    return Row(f"{section}:options:{flag}", tuple(map(_value, values)), **known)


def _value(value: object) -> Value:
    return value if isinstance(value, Value) else Value(value)


def _row(key: str, *values: object, **more: object) -> Row:
    return Row(key, tuple(map(_value, values)), **more)


def _cluster(key: str, default: object, *values: object, **more: object) -> Row:
    undo = {"builtin": {"cluster": {key: default}}}
    known = {"modes": BUILTIN, "undo": undo, **more}
    return _row(f"builtin:cluster:{key}", *values, **known)


def _refused(value: object, words: str, **more: object) -> Value:
    return Value(value, REFUSED, words, **more)


def _later(value: object, words: str, **more: object) -> Value:
    """Refused by what the host or the swarm has, which pillar alone does not show."""
    return Value(value, REFUSED, words, seen_later=True, **more)


def _network(**settings: object) -> dict:
    return {"networks": {NAMES["networks"]: settings}}


_BRIDGE = _network(driver="bridge", subnet="10.96.0.0/24")
# Of the options, only those that pillar gives are compared.
_SPANNING = _network(
    driver="overlay",
    subnet="10.96.0.0/24",
    options={"com.docker.network.driver.mtu": "1500"},
)
# The tests ask managers from the machine that carries the lab.
_GUARDED = {"firewall": {"enabled": True, "clients": ["@machine"]}}
_LOGIN = {
    "registries": {
        "registry.example.com:5000": {"username": "swarm", "password": "/root/matrix-password"}
    }
}
_ON_M1 = {"registry": {"node": "m1"}}
_NO_NODE = "swarm:registry:node"
_NO_IMAGE = "the lab has no image of a registry; test_registry.py makes one"
_BESIDE = {
    "image": "busybox:lab",
    "image_source": "salt://images/busybox.tar",
    "command": ["sleep", "864000"],
}
_IDLE = {"image": "busybox:lab", "args": ["sleep", "864000"], "replicas": 0}
# As in a compose file.
_IDLE_SERVICE = {
    "image": "busybox:lab",
    "command": ["sleep", "864000"],
    "deploy": {"replicas": 0},
}
_NO_PROXY = "the lab has no proxy with a login; test_swarm_proxy.py has one without an engine"
_OPEN = {"tls": {"enabled": False}}
_CERTIFICATE = {
    key: {"tls": {key: f"/etc/ssl/swarm/{name}.pem"}}
    for key, name in (("ca_cert", "ca"), ("cert", "cert"), ("key", "key"))
}

ROWS = (
    _row(
        "mode",
        _later("builtin", "swarm:mode", modes=CLASSIC, also={"overlay": False}),
        _later("classic", "swarm:mode", modes=BUILTIN),
        alone=True,
    ),
    _row(
        "managers",
        {"m1": "@m1", "m2": "@m2", "m3": "@m3"},
        Value(["m1", "m2"], WARNED, "swarm:managers"),
        ["m1"],
        # The CA is the first one, by default, and does not move.
        _later(["m3", "m2", "m1"], "swarm:tls:ca", modes=CLASSIC),
        Value(["m3", "m2", "m1"], modes=BUILTIN),
        _refused(["m1", "m2", "m9"], "swarm:managers"),
        alone=True,
        instead=LAB_HAS_IT,
    ),
    _row(
        "nodes:*:labels",
        {"zone": "b"},
        {"zone": "c", "ssd": True},
        undo={"nodes": {"m2": {"labels": {"zone": None, "ssd": None}}}},
    ),
    _row(
        "nodes:*:availability", "drain", "pause", undo={"nodes": {"m2": {"availability": "active"}}}
    ),
    _row(
        "address",
        {"interface": "eth0"},
        {"cidr": "@subnet"},
        _refused({"interface": "eth9"}, "swarm:address"),
    ),
    _row("labels", {"zone": "a", "ssd": True}, {"zone": "b"}),
    _row(
        "store",
        _later("etcd://@salt:2379", "swarm:store", modes=CLASSIC),
        _later("consul://@salt:8500", "swarm:store", modes=CLASSIC),
        _refused("etcd://@salt:2379", "swarm:store", modes=BUILTIN),
        instead="nothing listens there; a store that does is in test_store.py",
        alone=True,
    ),
    _row("overlay", False, modes=CLASSIC, alone=True),
    _row("overlay", _refused(True, "swarm:overlay"), modes=BUILTIN, alone=True),
    _row("timeout", 120, 240),
    _row(
        "libraries:source",
        "salt://wheels",
        instead="the libraries are there; test_swarm_libraries.py takes them from a folder",
    ),
    _row(
        "libraries:requirements",
        "salt://swarm-requirements.txt",
        instead="the libraries are there; test_swarm_libraries.py has them pinned",
    ),
    # --- engine
    _row(
        "engine:package",
        _later("docker-ce", "swarm:engine:package"),
        _later("no-such-engine", "swarm:engine:package"),
        instead="the lab's archive has no docker-ce",
    ),
    _row(
        "engine:version",
        Value("20.10.*", modes=CLASSIC),
        Value("26.1.*", modes=BUILTIN),
        _later("99.*", "swarm:engine:version"),
    ),
    _row("engine:proxy:http", "http://proxy.example.com:3128", instead=_NO_PROXY),
    _row("engine:proxy:https", "http://proxy.example.com:3128", instead=_NO_PROXY),
    _row(
        "engine:proxy:no_proxy",
        [".example.com"],
        base={"engine": {"proxy": {"http": "http://10.77.0.1:3128"}}},
        instead=_NO_PROXY,
    ),
    _row(
        "engine:proxy:username",
        _refused("swarm", "swarm:engine:proxy:username"),
        instead=_NO_PROXY,
    ),
    _row(
        "engine:proxy:password",
        _refused("/etc/swarm-proxy.password", "swarm:engine:proxy:password"),
        instead=_NO_PROXY,
    ),
    _row("engine:hold", True),
    # Nothing to replace, and no repository that these are for: the lab's archive is its own.
    _row("engine:replace", True),
    _row(
        "engine:repository:url",
        _refused("https://download.docker.com/linux/debian", "swarm:engine:repository:key"),
        _later(
            "file:/srv/none",
            "swarm:engine:repository:key",
            also={"engine": {"repository": {"key": "/root/no-key.asc"}}},
        ),
    ),
    _row("engine:repository:key", "salt://keys/docker.asc"),
    _row("engine:repository:fingerprint", "9DC858229FC7DD38854AE2D88D81803C0EBFCD88"),
    _row("engine:repository:suite", "trixie"),
    _row("engine:repository:components", ["stable", "test"]),
    _row("engine:repository:architectures", ["amd64"]),
    _row("engine:repository:origin", "Mirror"),
    _row("engine:repository:signed_index", False),
    _row("engine:repository:take_over", True),
    _row("engine:turns", False),
    _row("engine:drain", True),
    _row(
        "engine:service",
        _later("dockerd", "swarm:engine:service"),
        instead="the package brings docker.service only",
    ),
    _row("engine:port", 2375, 12376, alone=True),
    _row("engine:listen", "0.0.0.0", "::", base={"engine": {"port": 2376}}, alone=True),
    _row(
        "engine:options",
        {"log-driver": "json-file", "log-opts": {"max-size": "10m", "max-file": "3"}},
        {"debug": True, "max-concurrent-downloads": 2},
        _later({"log-driver": "nonsense"}, "swarm:engine:options:log-driver"),
        _later({"data-root": "/srv/docker"}, "swarm:engine:options:data-root"),
        _later({"userns-remap": "default"}, "swarm:engine:options:userns-remap"),
        _later({"storage-driver": "vfs"}, "swarm:engine:options:storage-driver"),
        _refused({"live-restore": True}, "swarm:engine:options:live-restore", modes=BUILTIN),
        Value({"live-restore": False}, modes=CLASSIC),
        Value({"default-runtime": "nonsense"}, UNDONE, "swarm:engine:options:default-runtime"),
        # The engine starts with it, and no container does.
        Value(
            {"init": True, "init-path": "/nowhere"},
            UNDONE,
            "swarm:engine:options:init",
            modes=BUILTIN,
        ),
    ),
    # --- tls
    _row("tls:enabled", False, alone=True),
    _row("tls:ca", "m1", _later("m2", "swarm:tls:ca", modes=CLASSIC), Value("m2", modes=BUILTIN)),
    *(
        _row(
            f"tls:{key}",
            _refused(_CERTIFICATE[key]["tls"][key], "swarm:tls"),
            instead="all three at once are in test_tls.py",
        )
        for key in _CERTIFICATE
    ),
    _row("tls:names", ["swarm.example.com", "10.0.0.100"], ["other.example.com"]),
    _row("tls:key_type", "rsa"),
    _row(
        "tls:days",
        Value(30, also={"tls": {"renew_days": 10}}),
        365,
        _refused(30, "swarm:tls:renew_days"),
    ),
    _row("tls:renew_days", 10, 60),
    _row("tls:ca_days", 365, 7300),
    _row("tls:ca_rotation", Value(1, applies=4), back=4, modes=CLASSIC, alone=True),
    _row("tls:ca_rotation", 1, modes=BUILTIN, alone=True),
    # --- consul
    _row(
        "consul:servers",
        ["m1", "m2", "m3"],
        ["m1"],
        # Swarm mode has no Consul, and no advice on it.
        Value(["m1", "m2"], WARNED, "swarm:consul:servers", modes=CLASSIC),
        Value(["m1", "m2"], modes=BUILTIN),
        {"m3": "@m3"},
        alone=True,
    ),
    _row(
        "consul:image",
        Value(
            "registry.example.com/consul:1.8",
            UNDONE,
            "swarm:consul:image",
            also={"consul": {"image_source": None}},
        ),
        Value("consul:9", UNDONE, "swarm:consul:image"),
        modes=CLASSIC,
    ),
    _row("consul:image_source", None, "salt://images/none.tar", modes=CLASSIC, instead=LAB_HAS_IT),
    # The lab's engines have the image: the archive is not read.
    _row("consul:image_hash", "d2c7b8" + "0" * 58, "0" * 64, modes=CLASSIC),
    _row("consul:container", "swarm-store", "matrix-consul", modes=CLASSIC, alone=True),
    _row("consul:volume", "matrix-data", modes=CLASSIC, alone=True),
    _row(
        "consul:volume",
        _later("matrix-data", "swarm:consul:volume"),
        modes=CLASSIC,
        base={"consul": {"servers": ["m1"]}},
        alone=True,
    ),
    _row("consul:http_port", 18500, 18501, modes=CLASSIC, alone=True),
    _row(
        "consul:gossip_key",
        Value("/root/matrix-gossip", WARNED, "swarm:consul:gossip_key"),
        modes=CLASSIC,
        instead="it is for certificates of one's own",
    ),
    _row("consul:acl", True, modes=CLASSIC, alone=True),
    _row(
        "consul:acl_token",
        _later("/root/no-token", "swarm:consul:acl_token", also={"consul": {"acl": True}}),
        Value("/root/matrix-token", also={"consul": {"acl": True}}),
        modes=CLASSIC,
        instead="the lab has no vault",
        alone=True,
    ),
    _row(
        "consul:datacenter", _later("berlin", "swarm:consul:datacenter"), modes=CLASSIC, alone=True
    ),
    _row(
        "consul:options",
        {"log_level": "WARN", "ports": {"dns": -1}},
        {"performance": {"raft_multiplier": 2}},
        Value({"log_levl": "WARN"}, UNDONE, "log_levl"),
        modes=CLASSIC,
    ),
    # --- manager
    _row(
        "manager:image",
        Value("swarm:1.2.8", UNDONE, "swarm:manager:image"),
        Value(
            "registry.example.com/swarm:1.2.9",
            UNDONE,
            "swarm:manager:image",
            also={"manager": {"image_source": None}},
        ),
        modes=CLASSIC,
        instead=NO_REGISTRY,
    ),
    _row("manager:image_source", None, "salt://images/none.tar", modes=CLASSIC, instead=LAB_HAS_IT),
    _row("manager:image_hash", "d2c7b8" + "0" * 58, "0" * 64, modes=CLASSIC),
    _row("manager:container", "matrix-manager", "other-manager", modes=CLASSIC, alone=True),
    _row("manager:port", 4000, 4001, modes=CLASSIC, alone=True),
    _flag("manager", "strategy", "binpack", "random"),
    _flag("manager", "filter", ["health", "port", "constraint"], ["health"]),
    _flag("manager", "host", ["tcp://0.0.0.0:3376"], "tcp://0.0.0.0:3376"),
    _flag(
        "manager",
        "replication",
        _refused(False, "swarm:manager:options:replication"),
        Value(False, WARNED, "swarm:manager:options:replication", also={"managers": ["m1"]}),
        alone=True,
    ),
    _flag("manager", "replication-ttl", "30s", 45),
    _flag(
        "manager",
        "advertise",
        Value("@m1:3376", also={"managers": ["m1"]}),
        alone=True,
        instead="the same for three managers, it would be wrong for two",
    ),
    _flag("manager", "engine-refresh-min-interval", "20s", "10s"),
    _flag("manager", "engine-refresh-max-interval", "45s", "90s"),
    _flag("manager", "engine-failure-retry", 5, 10),
    _flag(
        "manager",
        "engine-refresh-retry",
        3,
        _refused(4, "swarm:manager:options:engine-refresh-retry"),
    ),
    _flag("manager", "heartbeat", "30s", 90),
    _flag("manager", "api-enable-cors", True, False),
    _flag(
        "manager",
        "cluster-driver",
        "swarm",
        _refused("mesos", "swarm:manager:options:cluster-driver"),
    ),
    _flag(
        "manager",
        "cluster-opt",
        {"swarm.overcommit": 0.1, "swarm.createretry": 2},
        ["swarm.overcommit=0.2"],
    ),
    _flag(
        "manager",
        "discovery-opt",
        Value(
            {"kv.path": "docker/swarm/nodes"},
            also={"agent": {"options": {"discovery-opt": {"kv.path": "docker/swarm/nodes"}}}},
        ),
        Value(
            {"kv.path": "matrix"},
            also={"agent": {"options": {"discovery-opt": {"kv.path": "matrix"}}}},
        ),
        alone=True,
    ),
    _flag("manager", "refresh-on-node-filter", True, False),
    _flag("manager", "container-name-refresh-filter", "web-", "db-"),
    *(
        _flag("manager", flag, _refused(value, f"swarm:manager:options:{flag}"), alone=True)
        for flag, value in (
            ("tls", True),
            ("tlsverify", True),
            ("tlscacert", "/etc/ca.pem"),
            ("tlscert", "/etc/cert.pem"),
            ("tlskey", "/etc/key.pem"),
        )
    ),
    # --- agent
    _row("agent:container", "matrix-agent", "other-agent", modes=CLASSIC, alone=True),
    _flag(
        "agent",
        "advertise",
        _later("@m1:2376", "swarm:agent:options:advertise"),
        alone=True,
        instead="the same for three agents, it would be wrong for two",
    ),
    _flag("agent", "heartbeat", "20s", 30),
    _flag("agent", "ttl", Value("60s", also={"agent": {"options": {"heartbeat": "20s"}}}), "300s"),
    _flag("agent", "delay", "5s", 0),
    _flag(
        "agent",
        "discovery-opt",
        _refused({"kv.path": "matrix"}, "swarm:agent:options:discovery-opt"),
        alone=True,
        instead="the manager's has to be the same, see there",
    ),
    # --- builtin
    _row(
        "builtin:port",
        Value(12377, WARNED, "swarm:builtin:port"),
        Value(3377, WARNED, "swarm:builtin:port"),
        modes=BUILTIN,
        alone=True,
    ),
    _row("builtin:data_path_address", {"interface": "eth0"}, {"cidr": "@subnet"}, modes=BUILTIN),
    _row(
        "builtin:data_path_port",
        Value(7789, WARNED, "swarm:builtin:data_path_port"),
        Value(8789, WARNED, "swarm:builtin:data_path_port"),
        modes=BUILTIN,
    ),
    _row(
        "builtin:address_pools",
        Value(["10.30.0.0/16"], WARNED, "swarm:builtin:address_pools"),
        Value(["10.31.0.0/16", "10.32.0.0/16"], WARNED, "swarm:builtin:address_pools"),
        modes=BUILTIN,
    ),
    _row(
        "builtin:address_pool_mask",
        Value(
            26,
            WARNED,
            "swarm:builtin:address_pool",
            also={"builtin": {"address_pools": ["10.30.0.0/16"]}},
        ),
        Value(
            28,
            WARNED,
            "swarm:builtin:address_pool",
            also={"builtin": {"address_pools": ["10.30.0.0/16"]}},
        ),
        modes=BUILTIN,
    ),
    _row("builtin:exact_labels", True, modes=BUILTIN),
    _row("builtin:prune_after", 86400, 3600, modes=BUILTIN),
    _row("builtin:rotate_after_join", True, modes=BUILTIN),
    _row(
        "builtin:unlock_key",
        Value("/var/lib/matrix-unlock-key", also={"builtin": {"cluster": {"autolock": True}}}),
        modes=BUILTIN,
        undo={"builtin": {"cluster": {"autolock": False}}},
        instead="the lab has no vault",
        alone=True,
    ),
    _row(
        "builtin:signing_ca_cert",
        _refused("/etc/swarm-ca/ca.pem", "swarm:builtin:signing_ca"),
        modes=BUILTIN,
        instead="a CA that is there is in test_cluster.py",
    ),
    _row(
        "builtin:signing_ca_key",
        _refused("/etc/swarm-ca/key.pem", "swarm:builtin:signing_ca"),
        _later(
            "/etc/swarm-ca/key.pem",
            "swarm:builtin:signing_ca",
            also={"builtin": {"signing_ca_cert": "/etc/swarm-ca/ca.pem"}},
        ),
        modes=BUILTIN,
        instead="as signing_ca_cert",
    ),
    _cluster(
        "autolock", False, Value(True, WARNED, "swarm:builtin:cluster:autolock"), False, alone=True
    ),
    _cluster("cert-expiry", "2160h", "720h", "1000h"),
    # A counter: a CA that was replaced does not come back.
    _cluster("ca-rotation", 0, 1, 2, alone=True, undo={}, stays="/cluster/CAConfig/ForceRotate"),
    _cluster(
        "external-ca",
        [],
        [{"url": "https://ca.example.com/api/v1/cfssl/sign"}],
        [{"url": "https://@salt:8888/sign"}],
        _refused(
            [{"url": "https://ca.example.com/sign", "ca": "PEM"}],
            "swarm:builtin:cluster:external-ca",
        ),
        alone=True,
    ),
    _cluster("dispatcher-heartbeat", "5s", "10s", 7),
    _cluster("task-history-limit", 5, 2, 3),
    _cluster("snapshot-interval", 10000, 20000, 5000),
    _cluster("max-snapshots", 0, 2, 1),
    _cluster("log-entries-for-slow-followers", 500, 1000, 400),
    _cluster("election-tick", 10, 20, 15),
    _cluster("heartbeat-tick", 1, 2, 3),
    _cluster("labels", {"site": ""}, {"site": "berlin"}, {"site": "bonn", "floor": 3}),
    # --- firewall
    _row("firewall:enabled", Value(True, also={"firewall": {"clients": ["@machine"]}})),
    _row(
        "firewall:clients",
        ["192.168.7.0/24", "192.168.8.5", "@machine"],
        ["10.1.2.3", "@machine"],
        base=_GUARDED,
        instead="the tests have to get in as well",
    ),
    _row(
        "firewall:members",
        ["@subnet"],
        ["@subnet", "10.99.0.0/16"],
        base=_GUARDED,
        instead="the like of it, in a network that the lab has",
    ),
    # --- the swarm's own registry
    _row(
        "registry:node",
        _refused("other", "a member: name it in swarm:nodes"),
        instead=_NO_IMAGE,
    ),
    _row(
        "registry:port",
        _refused(5443, _NO_NODE),
        _refused(7946, "swarm:registry:port", also=_ON_M1, modes=BUILTIN),
        instead=_NO_IMAGE,
    ),
    _row("registry:image", _refused("registry:3", _NO_NODE), instead=_NO_IMAGE),
    _row(
        "registry:image_source",
        _refused("salt://images/registry.tar", _NO_NODE),
        instead=_NO_IMAGE,
    ),
    _row("registry:image_hash", _refused("d2c7b8" + "0" * 58, _NO_NODE), instead=_NO_IMAGE),
    _row("registry:path", _refused("/srv/registry", _NO_NODE), instead=_NO_IMAGE),
    _row(
        "registry:htpasswd",
        _refused("sdb://vault/registry-users", _NO_NODE),
        instead=_NO_IMAGE,
    ),
    _row(
        "registry:names",
        _refused(["registry.example.com"], _NO_NODE),
        _refused(["m2"], "swarm:registry:names", also=_ON_M1),
        instead=_NO_IMAGE,
    ),
    _row(
        "registry:options",
        _refused({"storage": {"delete": {"enabled": True}}}, _NO_NODE),
        _refused({"http": {"addr": ":80"}}, "swarm:registry:options:http:addr", also=_ON_M1),
        instead=_NO_IMAGE,
    ),
    # --- registries
    _row("registries:*:username", "other", "third", base=_LOGIN, instead="half a login is refused"),
    _row(
        "registries:*:password",
        _later("/root/no-password", "swarm:registries:registry.example.com:5000:password"),
        "/root/matrix-password-2",
        base=_LOGIN,
        instead="the lab has no vault",
    ),
    _row(
        "registries:*:ca_cert",
        "/etc/ssl/registry-ca.pem",
        _later("/etc/ssl/none.pem", "swarm:registries:registry.example.com:5000:ca_cert"),
        base=_LOGIN,
    ),
    # --- networks
    _row(
        "networks:*:driver",
        "overlay",
        # The engine refuses the parent, or any macvlan where the kernel has none.
        Value(
            "macvlan",
            UNDONE,
            f"network {NAMES['networks']}",
            also=_network(options={"parent": "none0"}),
        ),
        base=_BRIDGE,
        alone=True,
    ),
    _row(
        "networks:*:subnet",
        "10.97.0.0/24",
        _refused("@subnet", "swarm:networks:matrix:subnet"),
        base=_BRIDGE,
        # The gateway and the range of others in a bundle are none of this subnet's.
        alone=True,
        instead="the like of it, in a network that the lab has",
    ),
    _row(
        "networks:*:gateway",
        "10.96.0.9",
        _refused("10.9.0.1", "swarm:networks:matrix:gateway"),
        base=_BRIDGE,
    ),
    _row(
        "networks:*:ip_range",
        "10.96.0.128/25",
        "10.96.0.0/26",
        base=_BRIDGE,
        instead="the like of it, in a network that the lab has",
    ),
    _row("networks:*:internal", True, False, base=_BRIDGE, undo=_network(internal=False)),
    _row(
        "networks:*:attachable",
        Value(True, modes=BUILTIN),
        Value(False, modes=BUILTIN),
        base=_SPANNING,
        undo=_network(attachable=False),
        modes=BUILTIN,
    ),
    _row(
        "networks:*:attachable",
        True,
        False,
        base=_BRIDGE,
        undo=_network(attachable=False),
        modes=CLASSIC,
    ),
    _row(
        "networks:*:options",
        {"com.docker.network.driver.mtu": "1400"},
        {"com.docker.network.driver.mtu": "1300"},
        base=_SPANNING,
    ),
    _row(
        "networks:*:labels",
        {"owner": "web-team"},
        {"owner": "db-team", "cost": 7},
        base=_SPANNING,
        undo=_network(labels={}),
    ),
    # --- workloads
    _row(
        "containers",
        {"matrix": {**_BESIDE, "restart_policy": "always"}},
        {"matrix": {**_BESIDE, "hostname": "matrix", "nodes": ["m1", "m?"]}},
        _refused({"matrix": {"image": "a", "priveleged": True}}, "Did you mean 'privileged'?"),
        _refused({"swarm-manager": {"image": "a"}}, "swarm:containers:swarm-manager"),
        removal=("swarm_container.remove", "matrix"),
    ),
    _row(
        "files",
        {"/root/matrix/file": {"source": "/etc/hostname"}},
        {"/root/matrix/file": {"source": "/etc/hostname", "mode": "0600", "nodes": ["m1", "m?"]}},
        _refused({"/root/matrix/file": {"sorce": "/etc/hostname"}}, "Did you mean 'source'?"),
    ),
    _row(
        "volumes",
        {"matrix": {"labels": {"owner": "web-team"}}},
        {"matrix": {"labels": {"owner": "web-team"}, "nodes": ["m1", "m?"]}},
        _refused({"matrix": {"labls": {}}}, "Did you mean 'labels'?"),
    ),
    _row(
        "secrets",
        Value({"matrix": {"content": "one"}}, modes=BUILTIN),
        Value({"matrix": {"source": "/root/matrix-password"}}, modes=BUILTIN),
        _later({"matrix": {"source": "/root/no"}}, "swarm:secrets:matrix", modes=BUILTIN),
        _refused({"matrix": {"content": "one"}}, "swarm:secrets", modes=CLASSIC),
    ),
    _row(
        "configs",
        Value({"matrix": {"content": "one", "keep": 3}}, modes=BUILTIN),
        _refused({"matrix": {"content": "one"}}, "swarm:configs", modes=CLASSIC),
    ),
    _row(
        "services",
        Value({"matrix": _IDLE}, modes=BUILTIN),
        Value({"matrix": {**_IDLE, "env": {"A": 1}}}, modes=BUILTIN),
        _refused({"matrix": {**_IDLE, "replcas": 1}}, "Did you mean 'replicas'?", modes=BUILTIN),
        _later({"matrix": {**_IDLE, "networks": ["no"]}}, "service matrix:networks", modes=BUILTIN),
        _refused({"matrix": {**_IDLE, "ports": ["80:80"]}}, "no routing mesh", modes=CLASSIC),
    ),
    _row(
        "stacks",
        Value({"matrix": {"content": {"services": {"web": _IDLE_SERVICE}}}}, modes=BUILTIN),
        Value(
            {
                "matrix": {
                    "content": {"services": {"web": {**_IDLE_SERVICE, "environment": ["A=$B"]}}},
                    "environment": {"B": 1},
                    "prune": True,
                }
            },
            modes=BUILTIN,
        ),
        _refused(
            {"matrix": {"content": {"services": {"web": {"imgae": "x"}}}}},
            "Did you mean 'image'?",
            modes=BUILTIN,
        ),
        _later({"matrix": {"source": "/root/no.yml"}}, "stack matrix", modes=BUILTIN),
        _refused(
            {"matrix": {"source": "/root/no.yml", "resolve": "always"}},
            "swarm:stacks:matrix:resolve",
            modes=CLASSIC,
        ),
    ),
    # --- what is left
    _row("autojoin:enabled", False),
    _row(
        "client:nodes",
        Value(["m1"], modes=CLASSIC),
        Value(["m1", "m3"], modes=CLASSIC),
        _refused(["m1"], "swarm:client:nodes", modes=BUILTIN),
    ),
    _row(
        "client:nodes",
        ["m1"],
        ["m1", "m3"],
        modes=BUILTIN,
        base={"engine": {"port": 2376}},
        alone=True,
    ),
    _row(
        "client:users",
        Value(["root", "nobody"], also={"client": {"nodes": ["m1"]}}),
        _later(["root", "nosuchuser"], "swarm:client:users", also={"client": {"nodes": ["m1"]}}),
        modes=CLASSIC,
        instead="the lab has no user `deploy`",
    ),
)
