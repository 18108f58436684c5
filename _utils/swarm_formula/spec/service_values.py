"""
Normalize the values of a service's options, and convert them to and from Docker's API. Pure.

Each normalizer accepts what users write and its own result. Lists whose order means nothing are
sorted. Invalid values raise ``ValueError`` or ``TypeError``; the caller adds the location.
"""

import copy
import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from swarm_formula.core import checks, faults, normalize
from swarm_formula.spec import service_amounts
from swarm_formula.spec.service_parts import listed, one_of, text, texts

# When the digest of an image is asked for.
ALWAYS, CHANGED, NEVER = "always", "changed", "never"
_SOURCE = r"salt://\S+|sdb://[^/\s]+/\S+|/\S+"
_CREDENTIALS = r"(file|registry)://(\S+)"
_CONSTRAINT = r"([A-Za-z0-9_.-]+)\s*(==|!=)\s*(\S.*)"
_ATTRIBUTES = (
    "node.id",
    "node.hostname",
    "node.ip",
    "node.role",
    "node.platform.os",
    "node.platform.arch",
)
_LABELS = ("node.labels.", "engine.labels.")


def source(value: Any) -> str:
    """Return where a content is: ``salt://PATH``, ``sdb://PROFILE/KEY`` or an absolute path."""
    if not isinstance(value, str) or not re.fullmatch(_SOURCE, value):
        raise ValueError("found something else")
    return value


def sources(value: Any) -> list[str]:
    """Return where several contents are, in their order."""
    return [source(one) for one in listed(value)]


def credentials(value: Any) -> str:
    """Return where a node has a credential spec, as ``docker service create`` has it."""
    if not isinstance(value, str) or not re.fullmatch(_CREDENTIALS, value):
        raise ValueError("found something else")
    return value


def credentials_encoded(value: str) -> dict[str, str]:
    """Return a credential spec in the API's form."""
    kind, _, name = value.partition("://")
    return {kind.capitalize(): name}


def credentials_found(raw: dict[str, str]) -> str:
    """Return a credential spec from the API's form, where one of several keys is not empty."""
    return next(f"{key.lower()}://{one}" for key, one in raw.items() if one)


def user(value: Any) -> str:
    """Return a user, or user and group; only texts, for YAML takes 33:33 for 2013."""
    if not isinstance(value, str):
        raise TypeError
    return text(value)


def words(value: Any) -> list[str]:
    """Return a command as a list; a text is split as in a shell."""
    if not isinstance(value, str | list):
        raise TypeError
    return normalize.words(value)


def names(value: Any) -> list[str]:
    """Return capabilities without ``CAP_``, sorted."""
    return normalize.names(listed(value))


def capabilities(value: list[str]) -> list[str]:
    """Return capabilities as the docker command line sends them."""
    return [one if one == "ALL" else f"CAP_{one}" for one in value]


def labels(value: Any) -> dict[str, str | None]:
    """Return labels; ``null`` in place of a value takes one away."""
    if not isinstance(value, dict) or not all(str(key) for key in value):
        raise TypeError
    return {
        str(key): None if one is None else normalize.text(one) for key, one in sorted(value.items())
    }


def environment(value: Any) -> dict[str, str]:
    """Return variables from a mapping or from ``[NAME=value]``; sorted by name."""
    if isinstance(value, list):
        pairs = [normalize.text(one).partition("=") for one in value]
        if not all(equals for _, equals, _ in pairs):
            raise ValueError("found an item without '='")
        value = {name: one for name, _, one in pairs}
    if not isinstance(value, dict):
        raise TypeError
    given = {key: one for key, one in value.items() if one is not None}
    return dict(sorted(normalize.environment(given).items()))


def assignments(variables: dict[str, str]) -> list[str]:
    """Return variables in the API's form."""
    return [f"{name}={value}" for name, value in variables.items()]


def variables(raw: list[str]) -> dict[str, str]:
    """Return variables from the API's form, where one may have no value."""
    return dict(one.partition("=")[::2] for one in raw)


def ulimits(value: Any) -> dict[str, str]:
    """Return limits as ``soft:hard``."""
    if not isinstance(value, dict):
        raise TypeError
    return dict(sorted(normalize.ulimits(value).items()))


def limits(value: dict[str, str]) -> list[dict[str, Any]]:
    """Return limits in the API's form."""
    pairs = {name: one.partition(":") for name, one in value.items()}
    return [{"Name": name, "Soft": int(a), "Hard": int(b)} for name, (a, _, b) in pairs.items()]


def limits_found(raw: list[dict[str, Any]]) -> dict[str, str]:
    """Return limits from the API's form."""
    return {one["Name"]: f"{one.get('Soft', 0)}:{one.get('Hard', 0)}" for one in raw}


def generic(value: Any) -> dict[str, int]:
    """Return generic resources as ``{kind: number}``."""
    if not isinstance(value, dict) or not all(value.values()):
        raise ValueError("found no mapping of kinds to numbers of at least 1")
    return {text(kind): service_amounts.count(one) for kind, one in sorted(value.items())}


def resources(value: dict[str, int]) -> list[dict[str, Any]]:
    """Return generic resources in the API's form."""
    return [{"DiscreteResourceSpec": {"Kind": key, "Value": one}} for key, one in value.items()]


def resources_found(raw: list[dict[str, Any]]) -> dict[str, int]:
    """Return generic resources from the API's form."""
    found = [one["DiscreteResourceSpec"] for one in raw]
    return {one["Kind"]: one["Value"] for one in found}


def image(value: Any) -> str:
    """Return the name of an image."""
    if not isinstance(value, str) or checks.image(value):
        raise ValueError("found no name of an image")
    return value


def archive(value: Any) -> str:
    """Return the source of an image archive."""
    if not isinstance(value, str) or checks.image_source(value):
        raise ValueError("found no source of an archive")
    return value


def same_image(old: Any, new: Any) -> bool:
    """Check whether two names are of one image; a digest that only the old one has is no change."""
    old, new = _image(str(old)), _image(str(new))
    return old == new or ("@" not in new and old.partition("@")[0] == new)


def _image(name: str) -> str:
    bare, at, digest = name.partition("@")
    bare = bare.removeprefix("index.docker.io/").removeprefix("docker.io/").removeprefix("library/")
    if ":" not in bare.rpartition("/")[2] and not digest:
        bare += ":latest"
    return f"{bare}{at}{digest}"


def with_digest(name: str, digest: str) -> str:
    """Return the name of an image, always with its tag, with the digest that it stands for."""
    return f"{name}{'' if ':' in name.rpartition('/')[2] else ':latest'}@{digest}"


_MODES: dict[str, dict[str, Any]] = {
    "replicated": {"Replicated": {"Replicas": 1}},
    "global": {"Global": {}},
    "replicated-job": {"ReplicatedJob": {}},
    "global-job": {"GlobalJob": {}},
}
JOBS = ("replicated-job", "global-job")


def mode(value: Any) -> str:
    """Return the mode of a service."""
    return one_of(*_MODES)(value)


def mode_encoded(value: str) -> dict[str, Any]:
    """Return a mode in the API's form."""
    return copy.deepcopy(_MODES[value])


def mode_found(raw: Mapping[str, Any]) -> str:
    """Return a mode from the API's form."""
    (key,) = raw.keys() & {one for each in _MODES.values() for one in each}
    return next(word for word, one in _MODES.items() if key in one)


def constraints(value: Any) -> list[str]:
    """Return placement constraints, sorted, as ``node.role==manager``."""
    return sorted({_constraint(one) for one in listed(value)})


def _constraint(value: Any) -> str:
    match = re.fullmatch(_CONSTRAINT, normalize.text(value).strip())
    if not match:
        raise ValueError(f"found {value!r}, which has no == or !=")
    attribute, operator, wanted = match.groups()
    known = attribute in _ATTRIBUTES or any(
        attribute.startswith(one) and attribute != one for one in _LABELS
    )
    if not known:
        places = (*_ATTRIBUTES, *(f"{one}NAME" for one in _LABELS))
        hint = faults.suggest(attribute, places) or f": there are {', '.join(places)}"
        raise ValueError(f"found {attribute!r}, which no node has{hint}")
    return f"{attribute}{operator}{wanted.strip()}"


def preferences(value: Any) -> list[str]:
    """Return placement preferences in their order, as ``spread=node.labels.zone``."""
    return [_preference(one) for one in listed(value)]


def _preference(value: Any) -> str:
    if isinstance(value, dict) and set(value) == {"spread"}:
        value = f"spread={value['spread']}"
    kind, _, descriptor = normalize.text(value).partition("=")
    if kind.strip() != "spread" or not descriptor.strip().startswith(_LABELS):
        raise ValueError(f"found {value!r}")
    return f"spread={descriptor.strip()}"


def spread(value: list[str]) -> list[dict[str, Any]]:
    """Return placement preferences in the API's form."""
    return [{"Spread": {"SpreadDescriptor": one.partition("=")[2]}} for one in value]


def spread_found(raw: list[dict[str, Any]]) -> list[str]:
    """Return placement preferences from the API's form."""
    return [f"spread={one['Spread']['SpreadDescriptor']}" for one in raw]


def hosts(value: Any) -> list[str]:
    """Return entries of /etc/hosts as ``name:address``, sorted."""
    if isinstance(value, dict):
        pairs = [(name, one) for name, ones in value.items() for one in _several(ones)]
    else:
        pairs = [normalize.text(one).partition(":")[::2] for one in listed(value)]
    return sorted({f"{text(name)}:{ipaddress.ip_address(text(one))}" for name, one in pairs})


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def hosts_lines(value: list[str]) -> list[str]:
    """Return entries of /etc/hosts in the API's form."""
    return [" ".join(reversed(one.partition(":")[::2])) for one in value]


def hosts_found(raw: list[str]) -> list[str]:
    """Return entries of /etc/hosts from the API's form."""
    return [f"{name}:{address}" for address, *some in map(str.split, raw) for name in some]


def addresses(value: Any) -> list[str]:
    """Return IP addresses in their order."""
    return [str(ipaddress.ip_address(text(one))) for one in listed(value)]


def probe(value: Any) -> list[str]:
    """Return the test of a health check; a text is a command for a shell."""
    if isinstance(value, str):
        return ["CMD-SHELL", text(value)]
    found = texts(value)
    if found[:1] not in (["NONE"], ["CMD"], ["CMD-SHELL"]):
        raise ValueError("found another first word than NONE, CMD or CMD-SHELL")
    return found
