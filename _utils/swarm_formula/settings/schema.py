"""
Define the pillar ``swarm``: every key with its check, its default and a one-line description.

Defaults are defined only here. A test compares ``pillar.example`` with this table.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Union

from swarm_formula.cluster import spec
from swarm_formula.core import checks
from swarm_formula.settings import objects
from swarm_formula.standalone import container_names, flags


class Field(NamedTuple):
    """One key of the pillar."""

    check: checks.Check
    default: object
    help: str
    hidden: bool = False  # a wrong value may be a secret: errors do not quote it


class Each(NamedTuple):
    """A mapping of arbitrary names to values of one shape."""

    key: checks.Check
    fields: Mapping[str, Field]
    help: str
    hidden: bool = False


class Objects(NamedTuple):
    """Docker objects by name: only the options that the pillar gives are kept, ``null`` as well."""

    key: checks.Check
    rules: Callable[[], objects.Rules]
    help: str
    default: Mapping[str, Any] = MappingProxyType({})


# A key of the pillar, or a section of keys.
Entry = Union[Field, Each, Objects, "Fields"]
Fields = Mapping[str, Entry]


def _flags(table: Mapping[str, checks.Check], what: str, **defaults: object) -> dict[str, Field]:
    return {
        flag: Field(checks.optional(check), defaults.get(flag), f"{what} --{flag}")
        for flag, check in table.items()
    }


NETWORK = {
    "driver": Field(checks.one_of("overlay", "bridge", "macvlan", "ipvlan"), "overlay", "driver"),
    "subnet": Field(checks.optional(checks.network), None, "subnet, 10.1.0.0/24"),
    "gateway": Field(checks.optional(checks.ip), None, "gateway in that subnet"),
    "ip_range": Field(checks.optional(checks.network), None, "part of it for containers"),
    "internal": Field(checks.optional(checks.boolean), None, "no way to the outside"),
    "attachable": Field(
        checks.optional(checks.boolean), None, "for containers that are no service, in builtin mode"
    ),
    "options": Field(checks.optional(checks.options), None, "options of the driver"),
    "labels": Field(checks.optional(checks.options), None, "labels of the network"),
}

REGISTRY = {
    "username": Field(checks.optional(checks.login), None, "user of its login"),
    "password": Field(
        checks.optional(checks.secret), None, "where the password is kept", hidden=True
    ),
    "ca_cert": Field(checks.optional(checks.secret), None, "where the certificate of its CA is"),
}

OWN_REGISTRY = {
    "node": Field(checks.optional(checks.host), None, "minion that runs a registry"),
    "port": Field(checks.port, 5000, "its port, at that node's address"),
    "image": Field(checks.image, "registry:2", "image"),
    "image_source": Field(
        checks.optional(checks.image_source), None, "tar of it, where no registry is"
    ),
    "image_hash": Field(checks.optional(checks.sha256), None, "SHA-256 of that tar"),
    "path": Field(checks.path, "/var/lib/swarm-registry", "folder of its images on that node"),
    "htpasswd": Field(
        checks.optional(checks.secret), None, "where the file with its users is kept"
    ),
    "names": Field(
        checks.list_of(checks.either(checks.host, checks.ip)),
        [],
        "more names and addresses of it in images",
    ),
    "options": Field(checks.options, {}, "any key of the registry's configuration", hidden=True),
}

_AVAILABILITY = checks.one_of("active", "pause", "drain")

NODE = {
    "labels": Field(checks.node_labels, {}, "its labels, in both modes; null takes one away"),
    "availability": Field(checks.optional(_AVAILABILITY), None, "active, pause or drain"),
}

SCHEMA: Fields = {
    "mode": Field(
        checks.one_of("classic", "builtin"),
        "classic",
        "standalone Swarm 1.2.9 with a store, or the swarm mode of the engine",
    ),
    "managers": Field(checks.hosts, [], "minion IDs of the managers, or {ID: address}"),
    "nodes": Each(checks.host_glob, NODE, "nodes by minion ID or glob; the later ones count more"),
    "address": Field(checks.optional(checks.address), None, "how this node finds its own address"),
    "labels": Field(checks.labels, {}, "this node's engine labels, for constraint:key==value"),
    "store": Field(
        checks.optional(checks.store), None, "your own store; unset: Consul in containers"
    ),
    "overlay": Field(checks.boolean, False, "overlay networks through cluster-store (Docker < 23)"),
    "timeout": Field(checks.integer(5, 3600), 180, "seconds that each wait may last"),
    "libraries": {
        "source": Field(checks.optional(checks.folder), None, "wheels of them, where no index is"),
        "requirements": Field(
            checks.optional(checks.file), None, "a file for pip with their versions and hashes"
        ),
    },
    "engine": {
        "package": Field(checks.name, "docker.io", "package of the engine: docker.io, docker-ce"),
        "version": Field(checks.optional(checks.text), None, "its version; unset: what is there"),
        "hold": Field(checks.boolean, False, "keep unattended upgrades away from it"),
        "replace": Field(
            checks.boolean, False, "whether it takes the place of another engine that is here"
        ),
        "repository": {
            "url": Field(
                checks.optional(checks.archive_url), None, "repository of the engine; unset: none"
            ),
            "key": Field(
                checks.optional(checks.public_key), None, "its public key, or the place of it"
            ),
            "fingerprint": Field(
                checks.optional(checks.fingerprint), None, "what the key has to have; Docker's own"
            ),
            "suite": Field(checks.optional(checks.suite), None, "unset: this host's release"),
            "components": Field(checks.list_of(checks.name), ["stable"], "its components"),
            "architectures": Field(checks.list_of(checks.name), [], "none: this host's"),
            "origin": Field(checks.text, "Docker", "Origin in its Release, to pin packages by"),
            "signed_index": Field(checks.boolean, True, "dnf: whether its index is signed as well"),
            "take_over": Field(
                checks.boolean, False, "whether another source for it is switched off"
            ),
        },
        "service": Field(checks.name, "docker", "its systemd unit"),
        "port": Field(
            checks.optional(checks.port), None, "its TCP port; unset: 2376, in builtin mode none"
        ),
        "listen": Field(
            checks.optional(checks.either(checks.ip, checks.one_of("0.0.0.0", "::"))),  # noqa: S104
            None,
            "address it listens on; unset: this node's",
        ),
        "proxy": {
            "http": Field(checks.optional(checks.proxy), None, "for http://", hidden=True),
            "https": Field(checks.optional(checks.proxy), None, "for https://", hidden=True),
            "no_proxy": Field(
                checks.list_of(checks.no_proxy), [], "more hosts and networks without a proxy"
            ),
            "username": Field(checks.optional(checks.login), None, "user of its login"),
            "password": Field(
                checks.optional(checks.secret), None, "where its password is kept", hidden=True
            ),
        },
        "turns": Field(checks.boolean, True, "engines of a swarm restart one after the other"),
        "drain": Field(
            checks.boolean, False, "builtin mode: a node is drained before its engine restarts"
        ),
        "options": Field(checks.options, {}, "any key of daemon.json"),
    },
    "tls": {
        "enabled": Field(checks.boolean, True, "TLS, with certificates asked of everybody"),
        "ca": Field(
            checks.optional(checks.host), None, "minion that is the CA; unset: the first manager"
        ),
        "ca_cert": Field(checks.optional(checks.path), None, "your own CA's certificate"),
        "cert": Field(checks.optional(checks.path), None, "your own certificate of this node"),
        "key": Field(checks.optional(checks.path), None, "its key"),
        "names": Field(
            checks.list_of(checks.either(checks.host, checks.ip)),
            [],
            "more names and addresses of the managers, as of a load balancer",
        ),
        "key_type": Field(checks.one_of("ec", "rsa"), "ec", "kind of new keys"),
        "days": Field(checks.integer(1, 3650), 90, "days that a certificate is valid"),
        "renew_days": Field(checks.integer(0, 3649), 30, "days before its end it is renewed"),
        "ca_days": Field(checks.integer(1, 36500), 3650, "days that the CA is valid"),
        "ca_rotation": Field(
            checks.optional(checks.integer(0, 2**31 - 1)), None, "any other number: a new CA"
        ),
    },
    "consul": {
        "servers": Field(
            checks.optional(checks.hosts), None, "minion IDs of the servers; unset: managers"
        ),
        "image": Field(checks.image, "consul:1.8", "image"),
        "image_source": Field(
            checks.optional(checks.image_source), None, "tar of it, where no registry is"
        ),
        "image_hash": Field(checks.optional(checks.sha256), None, "SHA-256 of that tar"),
        "container": Field(
            checks.name, container_names.DEFAULTS["consul"], "name of the container"
        ),
        "volume": Field(checks.name, "swarm-consul", "volume of its data"),
        "http_port": Field(
            checks.optional(checks.port), None, "its API, on loopback only; unset: 8501 or 8500"
        ),
        "gossip_key": Field(
            checks.optional(checks.secret),
            None,
            "where a gossip key of your own is kept",
            hidden=True,
        ),
        "acl": Field(
            checks.boolean, False, "whether who has no token may do what swarm needs only"
        ),
        "acl_token": Field(
            checks.optional(checks.secret),
            None,
            "where a management token of your own is kept",
            hidden=True,
        ),
        "datacenter": Field(checks.name, "dc1", "name of the datacenter"),
        "options": Field(checks.options, {}, "any key of Consul's configuration"),
    },
    "manager": {
        "image": Field(checks.image, "swarm:1.2.9", "image, for manager and agent"),
        "image_source": Field(
            checks.optional(checks.image_source), None, "tar of it, where no registry is"
        ),
        "image_hash": Field(checks.optional(checks.sha256), None, "SHA-256 of that tar"),
        "container": Field(
            checks.name, container_names.DEFAULTS["manager"], "name of the container"
        ),
        "port": Field(
            checks.optional(checks.port), None, "port of Swarm's own API; unset: 3376 or 3375"
        ),
        "options": _flags(flags.MANAGE, "swarm manage", replication=True, strategy="spread"),
    },
    "agent": {
        "container": Field(checks.name, container_names.DEFAULTS["agent"], "name of the container"),
        "options": _flags(flags.JOIN, "swarm join"),
    },
    "builtin": {
        "port": Field(checks.port, 2377, "port of the managers, for nodes and each other"),
        "data_path_address": Field(
            checks.optional(checks.address), None, "address for traffic of overlay networks"
        ),
        "data_path_port": Field(
            checks.optional(checks.integer(1024, 49151)), None, "its UDP port; only at the start"
        ),
        "address_pools": Field(
            checks.list_of(checks.address_pool),
            [],
            "networks that subnets are cut from; only at the start",
        ),
        "address_pool_mask": Field(
            checks.optional(checks.integer(8, 29)),
            None,
            "mask of these subnets; only at the start; unset: 24",
        ),
        "exact_labels": Field(checks.boolean, False, "take away labels that pillar does not name"),
        "prune_after": Field(
            checks.optional(checks.integer(60, 31536000)),
            None,
            "seconds after which a worker that is down leaves the list",
        ),
        "rotate_after_join": Field(
            checks.boolean, False, "a new token for workers after each batch of joins"
        ),
        "unlock_key": Field(
            checks.optional(checks.secret),
            None,
            "where the key of a locked swarm is kept",
            hidden=True,
        ),
        "signing_ca_cert": Field(
            checks.optional(checks.secret), None, "where the certificate of an own CA is kept"
        ),
        "signing_ca_key": Field(
            checks.optional(checks.secret),
            None,
            "where the key of an own CA is kept",
            hidden=True,
        ),
        "cluster": _flags(spec.CHECKS, "docker swarm update"),
    },
    "firewall": {
        "enabled": Field(checks.boolean, False, "let only those reach the swarm's ports who must"),
        "clients": Field(
            checks.list_of(checks.either(checks.network, checks.ip)),
            [],
            "who may reach Swarm's API beside the members",
        ),
        "members": Field(
            checks.list_of(checks.either(checks.network, checks.ip)),
            [],
            "networks of the nodes beside managers and Consul servers",
        ),
    },
    "registry": OWN_REGISTRY,
    "registries": Each(
        checks.registry, REGISTRY, "private registries, by their name in images", hidden=True
    ),
    "networks": Each(checks.name, NETWORK, "networks to create through the engine"),
    "containers": Objects(checks.name, objects.containers, "containers on nodes, beside the swarm"),
    "files": Objects(checks.path, objects.files, "files on nodes, for containers"),
    "volumes": Objects(checks.name, objects.volumes, "volumes on each node, or some"),
    "secrets": Objects(objects.content_name, objects.contents, "secrets of swarm mode"),
    "configs": Objects(objects.content_name, objects.contents, "configs of swarm mode"),
    "services": Objects(checks.service, objects.services, "services of swarm mode"),
    "stacks": Objects(checks.service, objects.stacks, "stacks of swarm mode"),
    "autojoin": {
        "enabled": Field(checks.boolean, True, "whether this minion joins by itself"),
    },
    "client": {
        "nodes": Field(
            checks.list_of(checks.host), [], "minions whose users' DOCKER_HOST is the swarm"
        ),
        "users": Field(
            checks.list_of(checks.user), ["root"], "who gets a client's certificate there"
        ),
    },
}
