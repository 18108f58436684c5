"""
Validate single pillar values. Pure: each check returns ``None``, or a text of what is expected.
"""

import ipaddress
import re

from swarm_formula.core.shapes import (
    Check,
    anything,
    boolean,
    duration,
    either,
    integer,
    list_of,
    mapping_of,
    matching,
    number,
    one_of,
    optional,
    options,
    port,
    seconds,
    text,
)

# The tables of the pillar's keys have all checks under one name.
__all__ = [
    "Check",
    "anything",
    "boolean",
    "duration",
    "either",
    "integer",
    "list_of",
    "mapping_of",
    "number",
    "one_of",
    "optional",
    "options",
    "port",
    "seconds",
    "text",
]

_HOST = r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_-]+)*\.?"
_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
_SERVICE = r"(?=.{1,63}\Z)[A-Za-z0-9](?:[-_]*[A-Za-z0-9]+)*"
_IMAGE = r"[a-z0-9][A-Za-z0-9_./:@-]*"
_REGISTRY = r"(?=[^/]*[.:]|localhost\Z)[A-Za-z0-9][A-Za-z0-9-]*(\.[A-Za-z0-9-]+)*(:[0-9]{1,5})?"
_PROXY = r"(?:https?|socks5)://(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?/?"
_INTERFACE = r"[^\s/]{1,15}"


def ip(value: object) -> str | None:
    """Accept the IPv4 or IPv6 address of one host, neither unspecified nor multicast."""
    try:
        parsed = ipaddress.ip_address(value) if isinstance(value, str) else None
    except ValueError:
        parsed = None
    if parsed is None:
        return "an IP address"
    if parsed.is_unspecified or parsed.is_multicast:
        return "the address of one host"
    return None


def network(value: object) -> str | None:
    """Accept a network such as ``10.0.0.0/8``."""
    want = "a network such as 10.0.0.0/8"
    if not isinstance(value, str) or not re.fullmatch(r"[^/]+/[0-9]+", value):
        return want
    try:
        ipaddress.ip_network(value, strict=True)
    except ValueError:
        return want
    return None


def address_pool(value: object) -> str | None:
    """Accept an address pool for Docker's subnets: an IPv4 network no smaller than a /29."""
    if want := network(value):
        return want
    parsed = ipaddress.ip_network(str(value))
    good = parsed.version == 4 and parsed.prefixlen <= 29  # noqa: PLR2004
    return None if good else "an IPv4 network no smaller than a /29, the smallest that Docker takes"


host = matching(_HOST, "a minion ID or host name")
host_glob = matching(r"[A-Za-z0-9_.*?\[\]!-]+", "a minion ID or a glob such as web-*")
secret = matching(r"sdb://[^/\s]+/\S+|/\S+", "sdb://profile/key, or the absolute path of a file")
# Without a login: errors and reports may quote the URL.
proxy = matching(_PROXY, "http://host:port, with its login in username and password")
no_proxy = matching(r"(?a)[\w.*:/\[\]-]+", "a host, a .domain, an address or a network")


def registry(value: object) -> str | None:
    """Accept a registry as it is written in image names; ``docker.io`` is Docker Hub."""
    want = "a registry as in the names of images: host.domain or host:port, docker.io for the Hub"
    if not isinstance(value, str) or not re.fullmatch(_REGISTRY, value):
        return want
    port_of = value.partition(":")[2]
    if port_of and port(int(port_of)):
        return want
    if value in ("index.docker.io", "registry-1.docker.io"):
        return "docker.io, which is Docker Hub in the names of images"
    return None


def login(value: object) -> str | None:
    """Accept a user name for a registry, without ``:``, which separates it from the password."""
    good = isinstance(value, str) and value.strip() and value.isprintable() and ":" not in value
    return None if good else "the name of a user, on one line and without ':'"


path = matching(r"/[^\0\n]*[^/\0\n]", "the absolute path of a file")
folder = matching(r"salt://[^\s?]+|/\S+", "salt://folder, or the absolute path of a folder")


def file(value: object) -> str | None:
    """Accept a file of Salt's file server, or the absolute path of one on the minion."""
    return folder(value) and "salt://file, or the absolute path of a file"


user = matching(r"[a-z_][a-z0-9_.-]{0,31}", "the name of a user")


def hosts(value: object) -> str | None:
    """Accept ``[m1, m2]`` or ``{m1: 10.0.0.11, m2: null}``."""
    if isinstance(value, dict):
        return mapping_of(host, optional(ip))(value)
    want = list_of(host)(value)
    return f"{want}: [m1, m2], or {{m1: 10.0.0.11}}" if want == "a list" else want


def address(value: object) -> str | None:
    """Accept an address, ``{interface: eth0}`` or ``{cidr: 10.0.0.0/8}``."""
    if isinstance(value, dict) and len(value) == 1:
        kind, detail = next(iter(value.items()))
        if kind == "interface":
            good = isinstance(detail, str) and re.fullmatch(_INTERFACE, detail)
            return None if good else "the name of a network interface in {interface: eth0}"
        if kind == "cidr":
            want = network(detail)
            return f"{want} in {{cidr: ...}}" if want else None
    if isinstance(value, str) and ip(value) is None:
        return None
    return "an IP address, {interface: eth0} or {cidr: 10.0.0.0/8}"


def label_key(value: object) -> str | None:
    """Accept the key of an engine label, except ``node``, which classic Swarm ignores."""
    if value == "node":
        return "another key than 'node' (Swarm keeps that one for the node's name)"
    if isinstance(value, str) and value and not re.search(r"[\s=,]", value):
        return None
    return "a label key without '=', ',' or white space"


def label_value(value: object) -> str | None:
    """Accept the value in ``key=value``: a text, a number or a boolean, on one line."""
    if isinstance(value, dict | list) or value is None:
        return "a text, a number or a boolean"
    # A comma would split the label for clients that read it in the manager's /info.
    return "a value without line break or ','" if re.search(r"[\n\r,]", str(value)) else None


def labels(value: object) -> str | None:
    """Accept ``{zone: a, ssd: true}``."""
    return mapping_of(label_key, label_value)(value)


def node_labels(value: object) -> str | None:
    """Accept labels; the value ``null`` removes a label."""
    return mapping_of(label_key, optional(label_value))(value)


image = matching(_IMAGE, "the name of an image such as swarm:1.2.9")


def image_source(value: object) -> str | None:
    """Accept the source of an image archive: a URL or an absolute path."""
    schemes = ("salt://", "http://", "https://", "/")
    good = isinstance(value, str) and value.startswith(schemes)
    return None if good else "salt://..., https://... or an absolute path of an image's tar"


sha256 = matching(
    r"[0-9a-fA-F]{64}", "a SHA-256: 64 hexadecimal digits, in quotes, as sha256sum prints them"
)


def archive_url(value: object) -> str | None:
    """Accept the URL of a repository or a mirror; also a folder of the file server or the host."""
    good = isinstance(value, str) and re.fullmatch(
        r"(?:https?://|file:/)[^\s\[\]@]+|salt://[^\s?@]+", value
    )
    want = "https://..., http://..., salt://... or file:/... of a repository, without a password"
    return None if good else f"{want}, which apt has from /etc/apt/auth.conf.d"


# A suite that ends with a slash is a path.
suite = matching(r"[A-Za-z0-9._~/-]+", "the name of a release, such as bookworm")


def public_key(value: object) -> str | None:
    """Accept an armored public key, or the place of one."""
    good = isinstance(value, str) and (
        value.startswith(("salt://", "/")) or "-----BEGIN PGP PUBLIC KEY BLOCK-----" in value
    )
    return None if good else "salt://..., an absolute path, or -----BEGIN PGP PUBLIC KEY BLOCK-----"


def fingerprint(value: object) -> str | None:
    """Accept the fingerprint of an OpenPGP key, with or without blanks."""
    good = isinstance(value, str) and re.fullmatch(r"[0-9A-Fa-f]{40}", value.replace(" ", ""))
    return None if good else "a fingerprint of 40 hexadecimal digits, in quotes"


# Of a container, volume or network.
name = matching(_NAME, "a name of letters, digits, '_', '.' and '-'")
# The name of a service is a host name on its networks.
service = matching(_SERVICE, "letters and digits, with '-' and '_' between them, no longer than 63")


def _endpoint(value: str) -> bool:
    match = re.fullmatch(r"(?:\[[0-9A-Fa-f:]+\]|[^:\s]+):([0-9]{1,5})", value)
    return match is not None and port(int(match[1])) is None


def store(value: object) -> str | None:
    """Accept a discovery URL. Swarm takes several endpoints, comma-separated, except for Consul."""
    shape = r"(consul|etcd|zk)://([^/\s]+)(/\S*)?"
    match = re.fullmatch(shape, value) if isinstance(value, str) else None
    if not match:
        return "consul://host:port[/prefix], etcd://host:port[,host:port][/prefix] or zk://..."
    endpoints = match[2].split(",")
    if match[1] == "consul" and len(endpoints) > 1:
        return "one endpoint only (Swarm's Consul client takes no more): consul://host:port"
    bad = [one for one in endpoints if not _endpoint(one)]
    return f"host:port for each endpoint (found {bad[0]!r})" if bad else None


def strategy_options(value: object) -> str | None:
    """Accept ``--cluster-opt``, as ``{swarm.overcommit: 0.1}`` or ``[swarm.overcommit=0.1]``."""
    pairs = value
    if isinstance(value, list) and all(isinstance(one, str) and "=" in one for one in value):
        pairs = dict(one.split("=", 1) for one in value)
    return mapping_of(one_of("swarm.overcommit", "swarm.createretry"), anything)(pairs)
