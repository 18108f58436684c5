"""
Check the settings of the swarm's own registry against the others. Pure.
"""

from collections.abc import Iterator

from swarm_formula.core import member_rules, own_registry
from swarm_formula.core.addresses import form as canonical
from swarm_formula.core.faults import Fault, suggest
from swarm_formula.core.settings_types import Draft
from swarm_formula.settings import schema

_PATH = "swarm:registry"
# Keys of the configuration that follow from other keys of the pillar.
_ELSEWHERE = {
    "version": "the formula",
    "http:addr": "swarm:registry:port and this node's address",
    "http:tls": "swarm:tls",
    "storage:filesystem:rootdirectory": "swarm:registry:path",
}


def faults(settings: Draft) -> Iterator[Fault]:
    """Refuse a registry that no node can run or reach."""
    if not settings["registry"]["node"]:
        yield from _unplaced(settings)
        return
    yield from _node(settings)
    yield from _names(settings)
    yield from _options(settings)
    for host in own_registry.hosts(settings):
        if host in settings["registries"] and settings["registries"][host]["ca_cert"]:
            want = "null: nodes trust the swarm's CA for the registry of swarm:registry"
            yield Fault(f"swarm:registries:{host}:ca_cert", "a place", want)


def _unplaced(settings: Draft) -> Iterator[Fault]:
    """Refuse settings without effect."""
    fields = schema.OWN_REGISTRY
    given = [key for key, value in settings["registry"].items() if value != fields[key].default]
    if given:
        want = f"the minion ID of the node that runs it, as {', '.join(given)} beside it asks for"
        yield Fault(f"{_PATH}:node", None, want)


def _node(settings: Draft) -> Iterator[Fault]:
    node = settings["registry"]["node"] or ""
    members = [*settings["managers"], *settings["servers"], *settings["nodes"]]
    if not member_rules.is_among(node, members):
        want = f"a member: name it in swarm:nodes{suggest(node, members)}"
        yield Fault(f"{_PATH}:node", node, want)
    if not settings["tls"]["enabled"]:
        want = (
            "null, or swarm:tls:enabled: true, for its certificate is the node's. One without TLS"
            " is a container of swarm:containers, with insecure-registries in swarm:engine:options"
        )
        yield Fault(f"{_PATH}:node", node, want)
    if not own_registry.hosts(settings):
        want = f"a name that Docker takes in images: {node} is none"
        yield Fault(f"{_PATH}:names", settings["registry"]["names"], want)


def _names(settings: Draft) -> Iterator[Fault]:
    """Refuse a name that is another member's, or every host's."""
    node = settings["registry"]["node"]
    places = {**settings["servers"], **settings["managers"]}
    others = {one for one in (*places, *settings["nodes"]) if one != node}
    others |= {canonical(at) for one, at in places.items() if at and one != node}
    for name in settings["registry"]["names"]:
        if canonical(name) in {*others, "localhost", "127.0.0.1"}:
            want = "names and addresses of the registry alone, none of another member"
            yield Fault(f"{_PATH}:names", name, want)


def _options(settings: Draft) -> Iterator[Fault]:
    registry = settings["registry"]
    own = {**_ELSEWHERE, **({"auth": "swarm:registry:htpasswd"} if registry["htpasswd"] else {})}
    for path, where in own.items():
        *sections, key = path.split(":")
        inner: object = registry["options"]
        place = f"{_PATH}:options"
        for section in sections:
            # Without a value, a section would take the formula's own keys away.
            if isinstance(inner, dict) and section in inner:
                place, inner = f"{place}:{section}", inner[section]
                if not isinstance(inner, dict):
                    yield Fault(place, "something else", "a mapping, or no such key here")
            else:
                inner = {}
        if isinstance(inner, dict) and key in inner:
            yield Fault(f"{place}:{key}", "a value", f"no such key here; it comes from {where}")


def warnings(settings: Draft) -> list[str]:
    """Return warnings of a registry that all may write to, or that nodes cannot read from."""
    registry, hosts = settings["registry"], own_registry.hosts(settings)
    if not hosts:
        return []
    if registry["htpasswd"]:
        if any(settings["registries"].get(host) for host in hosts):
            return []
        return [
            f"swarm:registry:htpasswd: no node has a login for {hosts[0]}, and none can pull from"
            f" there: add swarm: {{registries: {{{hosts[0]!r}: ...}}}}"
        ]
    if registry["options"].get("auth") or settings["firewall"]["enabled"]:
        return []
    return [
        f"swarm:registry:htpasswd: without it, whoever reaches {hosts[0]} may replace the images"
        " that nodes run: set it, or swarm:firewall:enabled"
    ]
