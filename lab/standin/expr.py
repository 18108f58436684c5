"""
Parse and match the expressions of constraints, affinities and whitelists: ``key==value``.
"""

import re
from dataclasses import dataclass

OPERATORS = ("==", "!=")
KEY = re.compile(r"[a-z_][a-z0-9\-_.]+", re.IGNORECASE)
VALUE = re.compile(r"[=!/]?~?[a-z0-9:\-_\s.*/()?+\[\]\\^$|]+", re.IGNORECASE)


class ExpressionError(ValueError):
    """The expression cannot be read."""


@dataclass(frozen=True)
class Expression:
    """``key operator value``; a soft one (``~``) is dropped when nothing satisfies it."""

    key: str
    operator: str
    value: str
    soft: bool

    def __str__(self) -> str:
        return f"{self.key}{self.operator}{self.value}"

    def matches(self, *candidates: str) -> bool:
        """Tell whether any of ``candidates`` satisfies ``==``, or none does for ``!=``."""
        if len(self.value) > 1 and self.value[0] == self.value[-1] == "/":
            pattern = self.value[1:-1]
        else:
            pattern = f"^{self.value.replace('*', '.*')}$"
        try:
            found = any(re.search(pattern, candidate) for candidate in candidates)
        except re.error:
            found = False
        return found == (self.operator == "==")


def parse(text: str) -> Expression:
    """Return the expression in ``text``; raises ``ExpressionError``."""
    operator = next((item for item in OPERATORS if item in text), None)
    if not operator:
        raise ExpressionError("One of operator ==, != is expected")
    key, _, value = text.partition(operator)
    if not KEY.fullmatch(key):
        raise ExpressionError(f"Key '{key}' is invalid")
    if not VALUE.fullmatch(value):
        raise ExpressionError(f"Value '{value}' is invalid")
    return Expression(key, operator, value.lstrip("~"), value.startswith("~"))


def parse_all(texts: list[str]) -> list[Expression]:
    """Return the expressions in ``texts``; raises ``ExpressionError`` for the first bad one."""
    return [parse(text) for text in texts]
