"""
Find, check and format IP addresses, this node's own address among them.
"""

import ipaddress
import socket

from swarm_formula.core.settings_types import Address


def endpoint(address: str, port: int) -> str:
    """Return address and port as ``10.0.0.1:2275`` or ``[fd00::1]:2275``."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def host(place: str) -> str:
    """Return the address in an ``endpoint``."""
    return place.rpartition(":")[0].strip("[]")


def usable(address: str | None) -> bool:
    """Check whether other hosts can reach this address: it is no loopback or link-local address."""
    if not address:
        return False
    parsed = ipaddress.ip_address(address.split("%")[0])
    return not (parsed.is_loopback or parsed.is_link_local or parsed.is_unspecified)


def canonical(text: str) -> str:
    """
    Return the canonical form of an address that other hosts can reach; raise ``ValueError`` else.

    Go and OpenSSL treat several texts as the same address: an IPv4 address mapped into IPv6 is that
    IPv4 address, and a certificate holds no zone.
    """
    parsed = ipaddress.ip_address(text)
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    if getattr(parsed, "scope_id", None) or parsed.is_multicast or not usable(str(parsed)):
        raise ValueError(f"{text} is not the address of one host that others reach")
    return str(parsed)


def form(text: str) -> str:
    """
    Return the canonical form of an address, as of the kernel and Docker; other texts unchanged.

    ``FD00:0::1`` is ``fd00::1``.
    """
    try:
        return canonical(text)
    except ValueError:
        # For example loopback, in a swarm of one host, or a host name.
        return text


def pick(wanted: Address, interfaces: dict[str, list[str]]) -> str | None:
    """
    Return the address of this host that matches ``swarm:address``, ``None`` if none matches.

    ``interfaces`` maps the name of an interface to its addresses, IPv4 before IPv6.
    """
    every = [one for addresses in interfaces.values() for one in addresses]
    if isinstance(wanted, str):
        return form(wanted) if form(wanted) in every else None
    if "interface" in wanted:
        found = [one for one in interfaces.get(wanted["interface"], []) if usable(one)]
    else:
        net = ipaddress.ip_network(wanted["cidr"])
        found = [one for one in every if ipaddress.ip_address(one.split("%")[0]) in net]
    return found[0] if found else None


def towards(target: str) -> str | None:
    """Return the source address that this host would use to reach ``target``. Nothing is sent."""
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((target, 9))
            found: str = probe.getsockname()[0]
            return found
    except OSError:
        return None


def is_own(address: str) -> bool:
    """Check whether this host has an address: the kernel uses it as source to reach itself."""
    return towards(address) == address


def resolve(host: str) -> str | None:
    """Return the first address of a host name that other hosts can reach, or ``None``."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return None
    addresses = [str(entry[4][0]) for entry in found]
    return next((one for one in addresses if usable(one)), None)


def silent(url: str) -> str | None:
    """Return an error text if no ``host:port`` of a URL accepts a connection, else ``None``."""
    words = []
    for place in url.partition("://")[2].partition("/")[0].split(","):
        try:
            socket.create_connection((host(place), int(place.rpartition(":")[2])), 3).close()
        except OSError as err:
            words.append(str(err))
        else:
            return None
    return f"nothing answers at {url} ({'; '.join(words)})"
