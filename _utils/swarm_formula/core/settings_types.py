"""
Types of the pillar ``swarm`` and of the settings derived from it.

Both are plain dictionaries, which pass through Salt's serializer. ``settings.schema`` defines the
keys, ``settings.topology`` derives the rest; a test compares them with these types. A TypedDict
cannot give a key of its base another type, so a key that changes its type on the way from the
pillar to the settings is declared in each of the classes at the end.
"""

from typing import Any, Literal, TypedDict

Mode = Literal["classic", "builtin"]
Availability = Literal["active", "pause", "drain"]
# [m1, m2], or {m1: 10.0.0.11, m2: null}
Hosts = list[str] | dict[str, str | None]
# 10.0.0.11, {interface: eth0} or {cidr: 10.0.0.0/8}
Address = str | dict[str, str]
# 90s, or a number of seconds
Duration = str | int | float
LabelValue = str | bool | int | float
Labels = dict[str, LabelValue]
# null removes a label
NodeLabels = dict[str, LabelValue | None]
# Docker objects by name: only the options that the pillar gives, in their canonical form.
Objects = dict[str, dict[str, Any]]


class Node(TypedDict):
    """``swarm:nodes:GLOB``."""

    labels: NodeLabels
    availability: Availability | None


class Libraries(TypedDict):
    """``swarm:libraries``."""

    source: str | None
    requirements: str | None


class Repository(TypedDict):
    """``swarm:engine:repository``."""

    url: str | None
    key: str | None
    fingerprint: str | None
    suite: str | None
    components: list[str]
    architectures: list[str]
    origin: str
    signed_index: bool
    take_over: bool


class Proxy(TypedDict):
    """``swarm:engine:proxy``."""

    http: str | None
    https: str | None
    no_proxy: list[str]
    username: str | None
    password: str | None


class Engine(TypedDict):
    """``swarm:engine``."""

    package: str
    version: str | None
    hold: bool
    replace: bool
    repository: Repository
    service: str
    port: int | None  # in the settings of classic mode, it is always set
    listen: str | None
    proxy: Proxy
    turns: bool
    drain: bool
    options: dict[str, Any]


class PillarTls(TypedDict):
    """``swarm:tls``."""

    enabled: bool
    ca: str | None
    ca_cert: str | None
    cert: str | None
    key: str | None
    names: list[str]
    key_type: Literal["ec", "rsa"]
    days: int
    renew_days: int
    ca_days: int
    ca_rotation: int | None


class Tls(PillarTls):
    """``swarm:tls`` of the settings; ``ca`` is ``None`` if no minion signs for this node."""

    used: bool  # whether this node needs certificates


class _Consul(TypedDict):
    servers: Hosts | None
    image: str
    image_source: str | None
    image_hash: str | None
    container: str
    volume: str
    gossip_key: str | None
    acl: bool
    acl_token: str | None
    datacenter: str
    options: dict[str, Any]


class PillarConsul(_Consul):
    """``swarm:consul``."""

    http_port: int | None


class Consul(_Consul):
    """``swarm:consul`` of the settings."""

    http_port: int


ManageOptions = TypedDict(
    "ManageOptions",
    {
        "strategy": Literal["spread", "binpack", "binpacking", "random"],
        "filter": list[str] | None,
        "host": str | list[str] | None,
        "replication": bool,
        "replication-ttl": Duration | None,
        "advertise": str | None,
        "engine-refresh-min-interval": Duration | None,
        "engine-refresh-max-interval": Duration | None,
        "engine-failure-retry": int | None,
        "engine-refresh-retry": int | None,
        "heartbeat": Duration | None,
        "api-enable-cors": bool | None,
        "cluster-driver": Literal["swarm"] | None,
        "cluster-opt": dict[str, Any] | list[str] | None,
        "discovery-opt": dict[str, Any] | None,
        "refresh-on-node-filter": bool | None,
        "container-name-refresh-filter": str | None,
        "tls": bool | None,
        "tlsverify": bool | None,
        "tlscacert": str | None,
        "tlscert": str | None,
        "tlskey": str | None,
    },
)


class _Manager(TypedDict):
    image: str
    image_source: str | None
    image_hash: str | None
    container: str
    options: ManageOptions


class PillarManager(_Manager):
    """``swarm:manager``."""

    port: int | None


class Manager(_Manager):
    """``swarm:manager`` of the settings."""

    port: int


JoinOptions = TypedDict(
    "JoinOptions",
    {
        "advertise": str | None,
        "heartbeat": Duration | None,
        "ttl": Duration | None,
        "delay": Duration | None,
        "discovery-opt": dict[str, Any] | None,
    },
)


class Agent(TypedDict):
    """``swarm:agent``."""

    container: str
    options: JoinOptions


class ExternalCa(TypedDict, total=False):
    """An item of ``swarm:builtin:cluster:external-ca``; ``url`` is always there."""

    url: str
    options: dict[str, Any]
    ca: str | None


ClusterOptions = TypedDict(
    "ClusterOptions",
    {
        "task-history-limit": int | None,
        "snapshot-interval": int | None,
        "max-snapshots": int | None,
        "log-entries-for-slow-followers": int | None,
        "election-tick": int | None,
        "heartbeat-tick": int | None,
        "dispatcher-heartbeat": Duration | None,
        "cert-expiry": Duration | None,
        "ca-rotation": int | None,
        "external-ca": list[ExternalCa] | None,
        "autolock": bool | None,
        "labels": Labels | None,
    },
)


class Builtin(TypedDict):
    """``swarm:builtin``."""

    port: int
    data_path_address: Address | None
    data_path_port: int | None
    address_pools: list[str]
    address_pool_mask: int | None
    exact_labels: bool
    prune_after: int | None
    rotate_after_join: bool
    unlock_key: str | None
    signing_ca_cert: str | None
    signing_ca_key: str | None
    cluster: ClusterOptions


class Firewall(TypedDict):
    """``swarm:firewall``."""

    enabled: bool
    clients: list[str]
    members: list[str]


class Registry(TypedDict):
    """``swarm:registries:HOST``."""

    username: str | None
    password: str | None
    ca_cert: str | None


class OwnRegistry(TypedDict):
    """``swarm:registry``."""

    node: str | None
    port: int
    image: str
    image_source: str | None
    image_hash: str | None
    path: str
    htpasswd: str | None
    names: list[str]
    options: dict[str, Any]


class Network(TypedDict):
    """``swarm:networks:NAME``."""

    driver: Literal["overlay", "bridge", "macvlan", "ipvlan"]
    subnet: str | None
    gateway: str | None
    ip_range: str | None
    internal: bool | None
    attachable: bool | None
    options: dict[str, Any] | None
    labels: dict[str, Any] | None


class Autojoin(TypedDict):
    """``swarm:autojoin``."""

    enabled: bool


class Client(TypedDict):
    """``swarm:client``."""

    nodes: list[str]
    users: list[str]


class _Common(TypedDict):
    """The keys that the settings have as the pillar gives them."""

    mode: Mode
    nodes: dict[str, Node]
    labels: Labels  # in the settings of classic mode, with those of ``nodes``
    store: str | None
    overlay: bool
    timeout: int
    libraries: Libraries
    engine: Engine
    agent: Agent
    builtin: Builtin
    firewall: Firewall
    registry: OwnRegistry
    registries: dict[str, Registry]
    networks: dict[str, Network]
    containers: Objects
    files: Objects
    volumes: Objects
    secrets: Objects
    configs: Objects
    services: Objects
    stacks: Objects
    autojoin: Autojoin
    client: Client


class Pillar(_Common):
    """The pillar ``swarm`` with all defaults filled in (``settings.parse``)."""

    managers: Hosts
    address: Address | None
    tls: PillarTls
    consul: PillarConsul
    manager: PillarManager


class AnySettings(_Common):
    """What ``Settings`` and ``Draft`` have in common: all but the addresses."""

    tls: Tls
    consul: Consul
    manager: Manager
    # Derived, without a key in the pillar:
    id: str  # of this minion
    is_manager: bool
    is_server: bool  # of Consul
    is_ca: bool
    managed_store: bool  # whether the formula runs Consul as the store
    discovery: str  # URL of the store
    data_path: str | None  # address for traffic of overlay networks in builtin mode


class Draft(AnySettings):
    """Settings before they are checked: each address that is missing is a fault."""

    address: str | None
    managers: dict[str, str | None]
    servers: dict[str, str | None]


class Settings(AnySettings):
    """The effective settings of a minion (``swarm_settings.get``)."""

    address: str  # of this node
    managers: dict[str, str]  # {minion ID: address}
    servers: dict[str, str]  # Consul's, {minion ID: address}; empty without ``managed_store``
