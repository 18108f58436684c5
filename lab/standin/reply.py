"""
Build answers the way the original words them: JSON, or plain text for an error.
"""

import json

from . import log
from .httpd import Request, Response
from .wire import EngineError


class NotFoundError(Exception):
    """What was asked for does not exist."""


class BadRequestError(Exception):
    """The request cannot be understood."""


def body_of(request: Request) -> dict:
    """Return the request's JSON object, empty if there is no body."""
    try:
        found = json.loads(request.body() or b"{}")
    except ValueError:
        raise BadRequestError("unexpected EOF") from None
    return found or {}


def as_json(value: object, status: int = 200) -> Response:
    """Return ``value`` as a JSON answer."""
    data = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    return Response(status, data, {"Content-Type": "application/json"})


def failure(status: int, text: str, quiet: bool = False) -> Response:
    """Return an error as plain text, and log it unless ``quiet``."""
    if not quiet:
        log.error(f"HTTP error: {text}", status=status)
    headers = {
        "Content-Type": "text/plain; charset=utf-8",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(status, f"{text}\n".encode(), headers)


def filters_of(request: Request) -> dict[str, list[str]]:
    """Return the filters of a list request."""
    text = request.query.get("filters", "")
    try:
        found = json.loads(text or "{}")
    except ValueError:
        raise EngineError("unexpected EOF") from None
    return {
        key: [name for name, on in value.items() if on] if isinstance(value, dict) else list(value)
        for key, value in found.items()
    }


def labels_match(wanted: list[str], labels: dict[str, str] | None) -> bool:
    """Tell whether ``labels`` has every ``key`` or ``key=value`` in ``wanted``."""
    for item in wanted:
        key, equals, value = item.partition("=")
        if key not in (labels or {}) or (equals and labels[key] != value):
            return False
    return True
