"""
Validate the TLS settings of the pillar, and warn about ports without TLS. Pure.

Works on resolved settings (``settings.topology.resolve``).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from swarm_formula.core import modes
from swarm_formula.core.addresses import form as canonical
from swarm_formula.core.faults import Fault
from swarm_formula.core.settings_types import Draft
from swarm_formula.standalone import flags

_CONSUL_TLS = (
    "encrypt",
    "ca_file",
    "cert_file",
    "key_file",
    "verify_incoming",
    "verify_outgoing",
    "verify_server_hostname",
)


def _files(settings: Draft) -> Iterator[Fault]:
    tls = settings["tls"]
    files = {key: tls[key] for key in ("ca_cert", "cert", "key")}
    if any(files.values()):
        for key, value in files.items():
            if not value:
                yield Fault(f"swarm:tls:{key}", None, "a path, as the other two files have one")
    if tls["renew_days"] >= tls["days"]:
        want = f"below days, {tls['days']}: it would be renewed in every run"
        yield Fault("swarm:tls:renew_days", tls["renew_days"], want)
    yield from _shared_names(settings)
    if tls["used"]:
        yield from _second_home(settings)


def _shared_names(settings: Draft) -> Iterator[Fault]:
    """Yield a fault for each additional name of the managers that is a member's own."""
    places = {**settings["managers"], **settings["servers"]}
    own = {*places, *settings["nodes"], *(canonical(one) for one in places.values() if one)}
    for one in settings["tls"]["names"]:
        if canonical(one) in own:
            want = "no ID or address of a member: each has its own in its certificate"
            yield Fault("swarm:tls:names", one, want)


def _second_home(settings: Draft) -> Iterator[Fault]:
    """Yield a fault for each option that is set although ``swarm:tls`` sets it."""
    places: dict[str, tuple[Mapping[str, Any], Iterable[str]]] = {
        "engine:options": (settings["engine"]["options"], flags.TLS),
        "manager:options": (settings["manager"]["options"], flags.TLS),
        "consul:options": (settings["consul"]["options"], _CONSUL_TLS),
    }
    if settings["managed_store"]:
        for section in ("manager", "agent"):
            given = settings[section]["options"]["discovery-opt"] or {}
            places[f"{section}:options:discovery-opt"] = (given, flags.KV_FILES)
    # The names of Consul from 1.12 on, below ``tls``.
    for section in ("defaults", "internal_rpc", "https"):
        there = settings["consul"]["options"].get("tls")
        newer = there.get(section) if isinstance(there, dict) else None
        path = f"consul:options:tls:{section}"
        places[path] = (newer if isinstance(newer, dict) else {}, _CONSUL_TLS)
    for path, (options, keys) in places.items():
        for key in keys:
            if options.get(key) is not None:
                want = "no such key here: it comes from swarm:tls, or swarm:tls:enabled is false"
                yield Fault(f"swarm:{path}:{key}", options[key], want)


def _acl(settings: Draft) -> Iterator[Fault]:
    consul, path = settings["consul"], "swarm:consul:acl"
    if not consul["acl"]:
        return
    if not settings["managed_store"]:
        yield Fault(path, True, "false: the store is your own, and so are its ACLs")
    elif not settings["tls"]["used"]:
        yield Fault(path, True, "with swarm:tls: without it, tokens would travel in clear")
    elif settings["tls"]["cert"] and not consul["acl_token"]:
        want = "where a token of yours is kept, as the certificates are yours"
        yield Fault(f"{path}_token", None, want)
    if "acl" in consul["options"]:
        yield Fault("swarm:consul:options:acl", "...", "no such key beside swarm:consul:acl: true")


def _managers_own(settings: Draft) -> Iterator[Fault]:
    options, path = settings["manager"]["options"], "swarm:manager:options"
    verify = options["tlsverify"]
    files = {"tlscert": options["tlscert"], "tlskey": options["tlskey"]}
    given = {**files, "tlscacert": options["tlscacert"]}
    needed = given if verify else files
    first = next((flag for flag, file in given.items() if file), None)
    if first and not (verify or options["tls"]):
        yield Fault(f"{path}:{first}", given[first], "with tls or tlsverify: true")
    if verify or options["tls"]:
        for flag, file in needed.items():
            if not file:
                yield Fault(f"{path}:{flag}", None, "the path of a file, as tls asks for it")


def faults(settings: Draft) -> Iterator[Fault]:
    """Yield every fault of the certificates and of the flags that name them."""
    yield from _files(settings)
    yield from _acl(settings)
    yield from _managers_own(settings)


def warnings(settings: Draft) -> list[str]:
    """Return a warning if access to a port gives root access for lack of TLS."""
    port, options = settings["engine"]["port"], settings["engine"]["options"]
    if settings["tls"]["used"] or not port or options.get("tlsverify"):
        return []
    ports = f"port {port}"
    if not modes.of(settings).engine_api:
        ports += f" or, on managers, {settings['manager']['port']}"
    return [
        f"swarm:tls:enabled: false: whoever reaches {ports} of {settings['id']} is root there,"
        " without a password"
    ]
