"""
Replace the variables in a text of a compose file, as the compose specification says. Pure.

``$X`` and ``${X}`` are the value of a variable, ``$$`` is a dollar sign. ``${X:-text}`` is the text
if X is not set or empty, ``${X:?text}`` an error then, ``${X:+text}`` the text if X has a value;
without the colon, an empty variable counts as set. The text may have variables as well.

Unlike there, a variable that is not set and has no default is an error, not an empty text.
"""

import re
from collections.abc import Mapping

from swarm_formula.core.faults import FaultError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r"(:?)([-?+])")


def substitute(text: str, variables: Mapping[str, str]) -> str:
    """Return a text with the values of its variables; raise ``FaultError`` with the reason."""
    found, position = [], 0
    while (start := text.find("$", position)) >= 0:
        found.append(text[position:start])
        value, position = _variable(text, start + 1, variables)
        found.append(value)
    return "".join(found) + text[position:]


def _variable(text: str, at: int, variables: Mapping[str, str]) -> tuple[str, int]:
    """Return the value of the variable after a dollar sign, and where it ends."""
    if text.startswith("$", at):
        return "$", at + 1
    if name := _NAME.match(text, at):
        return _value(name[0], variables), name.end()
    if text.startswith("{", at) and (name := _NAME.match(text, at + 1)):
        end = _end(text, name.end())
        return _braced(name[0], text[name.end() : end], variables), end + 1
    raise FaultError("a dollar sign without a variable", "$$ for a dollar sign")


def _end(text: str, at: int) -> int:
    """Return the position of the brace that closes an expression; others may be within it."""
    depth = 0
    while at < len(text):
        if text.startswith(("$$", "${"), at):
            depth += text[at + 1] == "{"
            at += 1
        elif text[at] == "}" and not depth:
            return at
        else:
            depth -= text[at] == "}"
        at += 1
    raise FaultError("${ without a closing brace", "one, or $$ for a dollar sign")


def _value(name: str, variables: Mapping[str, str]) -> str:
    if name not in variables:
        raise FaultError(
            f"the variable {name}, which is not set",
            f"a value in `environment` of the stack, or a default: ${{{name}:-}}",
        )
    return variables[name]


def _braced(name: str, rest: str, variables: Mapping[str, str]) -> str:
    if not rest:
        return _value(name, variables)
    if not (operator := _OPERATOR.match(rest)):
        raise FaultError(f"${{{name} with something else behind it", ":-text, :?text, :+text, or }")
    colon, kind = operator.groups()
    text = rest[operator.end() :]
    given = variables.get(name)
    if colon and not given:
        given = None
    if kind == "+":
        return "" if given is None else substitute(text, variables)
    if given is None and kind == "?":
        reason = substitute(text, variables) or "it is needed"
        raise FaultError(
            f"no value of the variable {name} ({reason})", "a value in `environment` of the stack"
        )
    return substitute(text, variables) if given is None else given
