"""
Give the engine its HTTP proxy: ``daemon.json`` from Docker 23 on, else the unit's environment.

The password is in none of the reports and errors.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from swarm_formula.core import host_files, modes, own_registry
from swarm_formula.core.faults import Fault
from swarm_formula.core.salt_types import Salt
from swarm_formula.core.settings_types import AnySettings, Proxy, Settings
from swarm_formula.daemon import daemon_json
from swarm_formula.salt import secret_store

KEY = "proxies"
_PILLAR = "swarm:engine:proxy"
# dockerd reads its proxy from daemon.json since then (moby#42647).
_IN_DAEMON_JSON = (23,)
_DROPIN = "zz-swarm-proxy.conf"
_LOOPBACK = ("localhost", "127.0.0.0/8", "::1")
_LOGIN = r"(://[^/@\s:\"]*):[^/@\s\"]+@"


def environment_file() -> Path:
    """Return the file with the engine's environment; ``systemctl show`` does not show its text."""
    return host_files.CONFIG / "proxy.env"


def _local(registry: str) -> bool:
    host = registry.rpartition(":")[0] or registry
    try:
        return bool(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return host == "localhost"


def _registries(settings: Settings) -> list[str]:
    """Return the registries inside: the swarm's, with a CA of their own, without TLS, at an IP."""
    named = settings["registries"].items()
    inside = [host for host, one in named if one["ca_cert"] or _local(host)]
    insecure = settings["engine"]["options"].get("insecure-registries") or []
    return [*own_registry.hosts(settings), *inside, *insecure]


def _store(settings: Settings) -> list[str]:
    """Return the hosts of the store, which the engine asks itself for overlay networks."""
    if not modes.of(settings).standalone:
        return []
    hosts = settings["discovery"].partition("://")[2].partition("/")[0].split(",")
    return [host for one in hosts if (host := urlsplit(f"//{one}").hostname)]


def bypass(settings: Settings) -> list[str]:
    """
    Return what the engine reaches without the proxy: the pillar's ``no_proxy`` and the swarm.

    Only what pillar names: a list of all members would restart every engine for each new node.
    """
    nets = settings["address"], *settings["firewall"]["members"]
    members = [
        one for table in ("managers", "servers") for pair in settings[table].items() for one in pair
    ]
    given = settings["engine"]["proxy"]["no_proxy"]
    every = [*given, *_LOOPBACK, *nets, *members, *_store(settings), *_registries(settings)]
    return list(dict.fromkeys(filter(None, every)))


def _urls(proxy: Proxy) -> dict[str, str]:
    pairs = (("http-proxy", proxy["http"]), ("https-proxy", proxy["https"]))
    return {key: url for key, url in pairs if url}


def wanted(settings: Settings, salt: Salt) -> dict[str, str]:
    """Return ``{"http-proxy": URL, ...}`` with the password, ``{}`` without a proxy in pillar."""
    proxy = settings["engine"]["proxy"]
    urls = _urls(proxy)
    if not urls:
        return {}
    if proxy["username"] and proxy["password"]:
        word = secret_store.load(salt, proxy["password"], path=f"{_PILLAR}:password")
        login = f"{quote(proxy['username'], safe='')}:{quote(word, safe='')}@"
        urls = {key: url.replace("://", f"://{login}", 1) for key, url in urls.items()}
    return {**urls, "no-proxy": ",".join(bypass(settings))}


def environment(proxy: Mapping[str, str]) -> dict[str, str]:
    """Return the variables for programs that read their proxy from the environment."""
    upper = {key.upper().replace("-", "_"): value for key, value in proxy.items()}
    return {**upper, **{key.lower(): value for key, value in upper.items()}}


def keys(proxy: Mapping[str, str], engine_version: str) -> dict[str, Any]:
    """Return the keys of ``daemon.json`` for this version."""
    known = daemon_json.version(engine_version) >= _IN_DAEMON_JSON
    return {KEY: dict(proxy)} if proxy and known else {}


def files(proxy: Mapping[str, str], engine_version: str, folder: Path) -> dict[Path, str | None]:
    """
    Return ``{path: text}`` of the unit's files, ``None`` for no file.

    folder
        The folder of the unit's drop-ins. They are for everybody to read, so that the variables
        stand in a file of their own.
    """
    env, text, unit = environment_file(), None, None
    if proxy and not keys(proxy, engine_version):
        lines = [f'{key}="{value}"' for key, value in environment(proxy).items()]
        text = "\n".join(["# Written by Salt (swarm-formula)", *lines, ""])
        unit = f"# Written by Salt (swarm-formula): the proxy.\n[Service]\nEnvironmentFile={env}\n"
    return {env: text, folder / _DROPIN: unit}


def masked(text: str) -> str:
    """Return a text with ``***`` in place of passwords in URLs."""
    return re.sub(_LOGIN, r"\1:***@", text)


def shown(value: object) -> object:
    """Return a value with its texts masked, those in a dict or list as well."""
    if isinstance(value, dict):
        return {key: shown(one) for key, one in value.items()}
    if isinstance(value, list):
        return [shown(one) for one in value]
    return masked(value) if isinstance(value, str) else value


def reported(old: object, new: object) -> dict[str, Any]:
    """Return a change for the report: without passwords, also if nothing else differs."""
    before, after = shown(old), shown(new)
    same = before == after and old != new
    return {"old": "another password" if same else before, "new": after}


def secret(text: str | None) -> bool:
    """Check whether a text has a password in a URL."""
    return bool(text and re.search(_LOGIN, text))


def faults(settings: AnySettings) -> Iterator[Fault]:
    """Yield a fault for each key of the proxy that lacks another one or has a second home."""
    proxy = settings["engine"]["proxy"]
    urls, login = _urls(proxy), {"username": proxy["username"], "password": proxy["password"]}
    if not urls:
        for key, value in {"no_proxy": proxy["no_proxy"], **login}.items():
            if value:
                yield Fault(f"{_PILLAR}:{key}", "no proxy beside it", "http, https, or both")
    for key, other in (("username", "password"), ("password", "username")):
        if login[key] and not login[other]:
            yield Fault(f"{_PILLAR}:{other}", None, f"a value, as {key} has one")
    if KEY in settings["engine"]["options"] and urls:
        want = f"no such key here; it comes from {_PILLAR}"
        yield Fault(f"swarm:engine:options:{KEY}", "...", want)
