"""
Load the YAML of a compose file as its other readers do, by the rules of YAML 1.2. Pure.

PyYAML alone would take ``no`` for false, ``22:22`` for the number 1342, and the last of two keys of
one name.
"""

import re
from typing import Any

import yaml

from swarm_formula.core import normalize
from swarm_formula.core.faults import FaultError

_TAG = "tag:yaml.org,2002:"
_SCALARS = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?(0b[01]+|0o?[0-7]+|0x[0-9a-fA-F]+|0|[1-9][0-9]*)", "-+0123456789"),
    "float": (
        r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+",
        "-+0123456789.",
    ),
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "merge": (r"<<", "<"),
}


class _Loader(yaml.SafeLoader):  # type: ignore[misc] # PyYAML has no types
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  PyYAML's own name; not those of YAML 1.1

    # Not while mappings are constructed: then merge keys have been replaced, in an anchor as well.
    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        names = [one.value for one, _ in node.value if one.tag != f"{_TAG}merge"]
        for key, _ in node.value:
            if names.count(key.value) > 1:
                text = f"the key {key.value!r} is there twice"
                raise yaml.constructor.ConstructorError(None, None, text, key.start_mark)
        return node


for _name, (_pattern, _first) in _SCALARS.items():
    _Loader.add_implicit_resolver(f"{_TAG}{_name}", re.compile(f"(?:{_pattern})$"), list(_first))


def load(text: str) -> Any:
    """Return what a text has; raise ``FaultError``, which quotes no value, if it is no YAML."""
    try:
        # An alias of itself has no end, and JSON none of it.
        return normalize.plain(yaml.load(text, Loader=_Loader))  # noqa: S506  a SafeLoader
    except yaml.YAMLError as err:
        mark, problem = getattr(err, "problem_mark", None), getattr(err, "problem", None)
        place = f" in line {mark.line + 1}" if mark else ""
        raise FaultError(f"no YAML{place}: {problem}", "a compose file in YAML") from None
    except (TypeError, ValueError, RecursionError):
        raise FaultError("an alias of itself", "a compose file in YAML") from None
