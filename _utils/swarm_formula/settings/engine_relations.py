"""
Check the settings of the engine against each other: daemon.json, repository, registries. Pure.
"""

from collections.abc import Iterator

from swarm_formula.core.faults import Fault, suggest
from swarm_formula.core.settings_types import Draft
from swarm_formula.daemon import daemon_json, log_driver
from swarm_formula.docker import registries as docker_registries

_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104

_ELSEWHERE = {
    "hosts": "swarm:engine:listen and swarm:engine:port",
    "labels": "swarm:labels",
    "cluster-store": "swarm:overlay and swarm:store",
    "cluster-advertise": "swarm:overlay and swarm:address",
}


def daemon_options(settings: Draft) -> Iterator[Fault]:
    """Refuse keys of daemon.json that the formula sets, and unknown ones."""
    path = "swarm:engine:options"
    for key, value in settings["engine"]["options"].items():
        if key in _ELSEWHERE:
            yield Fault(
                f"{path}:{key}", value, f"no such key here; it comes from {_ELSEWHERE[key]}"
            )
        elif key not in daemon_json.KNOWN and (hint := suggest(key, daemon_json.KNOWN)):
            yield Fault(f"{path}:{key}", "an unknown key", f"a key of daemon.json{hint}")


def repository(settings: Draft) -> Iterator[Fault]:
    """Refuse a repository without its key."""
    repository = settings["engine"]["repository"]
    if repository["url"] and not repository["key"]:
        want = "the repository's public key: salt://..., an absolute path, or the key itself"
        yield Fault("swarm:engine:repository:key", None, want)


def listen(settings: Draft) -> Iterator[Fault]:
    """Refuse an address at which managers do not ask this node's engine."""
    listen, own = settings["engine"]["listen"], settings["address"]
    if listen and own and listen not in {own, *_EVERYWHERE}:
        want = f"{own}, this node's address, at which managers ask its engine; or 0.0.0.0 or ::"
        yield Fault("swarm:engine:listen", listen, want)


def logs(settings: Draft) -> Iterator[Fault]:
    """Refuse options of the log driver that do not fit."""
    for key, value, want in log_driver.faults(settings["engine"]["options"]):
        yield Fault(f"swarm:engine:options:log-opts:{key}", value, want)


def registries(settings: Draft) -> Iterator[Fault]:
    """Refuse half a login, and entries without effect."""
    for host, registry in settings["registries"].items():
        path = f"swarm:registries:{host}"
        login = {key: registry[key] for key in ("username", "password")}
        if any(login.values()):
            for key in [key for key, value in login.items() if not value]:
                yield Fault(f"{path}:{key}", None, "set, as the other half of the login is")
        elif not registry["ca_cert"]:
            yield Fault(path, {}, "username and password, or ca_cert, or both; or no such entry")
        if host == docker_registries.HUB and registry["ca_cert"]:
            want = "null: for Docker Hub, Docker trusts the CAs of the system and no others"
            yield Fault(f"{path}:ca_cert", registry["ca_cert"], want)
