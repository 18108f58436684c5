"""
Speak Go's and Docker's text formats: durations, sizes, addresses, natural order.
"""

import re
from datetime import datetime, timezone

UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
NUMBER = r"(?:\d+\.?\d*|\.\d+)"
PART = re.compile(f"({NUMBER})(ns|us|µs|ms|s|m|h)")
MAX_PORT = 65535
MINUTE, HOUR = 60, 3600


def parse_duration(text: str) -> float:
    """Return the seconds of a Go duration such as ``1m30s``; raises ``ValueError``."""
    sign, body = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if body == "0":
        return 0.0
    if re.fullmatch(f"(?:{NUMBER}(?:ns|us|µs|ms|s|m|h))+", body):
        return sign * sum(float(number) * UNITS[unit] for number, unit in PART.findall(body))
    if re.fullmatch(NUMBER, body):
        raise ValueError(f'time: missing unit in duration "{text}"')
    raise ValueError(f'time: invalid duration "{text}"')


def format_duration(seconds: float) -> str:
    """Return ``seconds`` as Go prints a duration: ``1m30s``, ``1.5s``, ``500ms``."""
    if 0 < seconds < 1:
        return f"{seconds * 1000:g}ms"
    hours, rest = divmod(seconds, HOUR)
    minutes, rest = divmod(rest, MINUTE)
    text = f"{rest:g}s"
    if hours:
        return f"{int(hours)}h{int(minutes)}m{text}"
    return f"{int(minutes)}m{text}" if minutes else text


def split_host_port(address: str) -> tuple[str, str]:
    """Split ``host:port`` or ``[v6]:port``; raises ``ValueError`` with Go's words."""
    if address.startswith("["):
        host, bracket, rest = address[1:].partition("]")
        if bracket and rest.startswith(":"):
            return host, rest[1:]
        raise ValueError(f"address {address}: missing port in address")
    host, colon, port = address.rpartition(":")
    if not colon:
        raise ValueError(f"address {address}: missing port in address")
    if ":" in host:
        raise ValueError(f"address {address}: too many colons in address")
    return host, port


def is_host_port(address: str) -> bool:
    """Tell whether ``address`` is ``host:port`` with a port from 1 to 65535."""
    try:
        _, port = split_host_port(address)
    except ValueError:
        return False
    return port.isascii() and port.isdigit() and 0 < int(port) <= MAX_PORT


def bytes_size(size: float) -> str:
    """Return a size as ``2.053 GiB``, with four valid digits."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":  # noqa: PLR2004
            break
        size /= 1024
    return f"{size:.4g} {unit}"


def human_duration(seconds: float) -> str:
    """Return a rough duration as ``docker ps`` shows it."""
    minutes, hours = int(seconds // MINUTE), int(seconds // HOUR)
    steps = (
        (seconds < 1, "Less than a second"),
        (seconds < MINUTE, f"{int(seconds)} seconds"),
        (minutes == 1, "About a minute"),
        (minutes < 60, f"{minutes} minutes"),  # noqa: PLR2004
        (hours == 1, "About an hour"),
        (hours < 48, f"{hours} hours"),  # noqa: PLR2004
        (hours < 24 * 14, f"{hours // 24} days"),
        (hours < 24 * 90, f"{hours // 24 // 7} weeks"),
        (hours < 24 * 730, f"{hours // 24 // 30} months"),
    )
    return next((text for fits, text in steps if fits), f"{hours // 24 // 365} years")


def rfc3339(seconds: float) -> str:
    """Return a Unix time as ``2026-11-23T08:34:38Z``."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> float:
    """Return the Unix time of a Docker timestamp; ``0`` for Docker's "never" (year 1)."""
    match = re.match(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)?", text)
    if not match or text.startswith("0001-"):
        return 0.0
    zone = "+00:00" if match[3] in (None, "Z") else match[3]
    return datetime.fromisoformat(match[1] + zone).timestamp() + float(match[2] or 0)


def natural_key(text: str) -> list[tuple[bool, int, str]]:
    """Return a sort key that puts ``m2`` before ``m10``."""
    return [
        (not part.isdigit(), int(part) if part.isdigit() else 0, part)
        for part in re.findall(r"\d+|\D+", text.replace(" ", ""))
    ]
