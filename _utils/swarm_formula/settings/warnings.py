"""
Warn about settings that are allowed but unwise. Pure.

Works on resolved settings (``settings.topology.resolve``).
"""

from swarm_formula.core import modes
from swarm_formula.core.settings_types import Draft
from swarm_formula.firewall import rules
from swarm_formula.settings import mode_relations, registry_relations, tls_relations


def warnings(settings: Draft) -> list[str]:
    """Return warnings about settings that are allowed but unwise, each with its reason."""
    return [
        *_even(settings),
        *tls_relations.warnings(settings),
        *_unnamed(settings),
        *_plain_sources(settings),
        *rules.warnings(settings),
        *registry_relations.warnings(settings),
        *mode_relations.of(settings).warnings(settings),
    ]


def _even(settings: Draft) -> list[str]:
    counted = {"swarm:managers": settings["managers"]}
    if settings["consul"]["servers"]:
        counted["swarm:consul:servers"] = settings["servers"]
    return [
        f"{path}: {len(hosts)} is an even number: a majority of {len(hosts)} bears the loss"
        f" of {(len(hosts) - 1) // 2}, no more than one of {len(hosts) - 1} would"
        for path, hosts in counted.items()
        if hosts and len(hosts) % 2 == 0
    ]


def _unnamed(settings: Draft) -> list[str]:
    if "*" not in settings["nodes"]:
        return []
    return [
        "swarm:nodes: '*' makes a member of every minion whose key is accepted, which gets a"
        " certificate or the worker token: name the nodes, or use a narrower glob such as web-*"
    ]


def _plain_sources(settings: Draft) -> list[str]:
    return [
        f"swarm:{section}:image_source: {source} is transferred without TLS, and nothing checks"
        f" what arrives: set swarm:{section}:image_hash, or use https:// or salt://"
        for section in ("consul", "manager")
        if modes.of(settings).standalone
        and (source := settings[section]["image_source"] or "").startswith("http://")
        and not settings[section]["image_hash"]
    ]
