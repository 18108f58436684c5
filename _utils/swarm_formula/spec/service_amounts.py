"""
Canonical values of a service's options that are numbers, times or sizes. Pure.

Invalid values raise ``ValueError`` or ``TypeError``, as in ``service_values``.
"""

from typing import Any

from swarm_formula.core import checks, normalize

# The API counts CPUs in billionths. A number from this on is meant so: it is a hundredth of a CPU,
# the least that Docker takes.
_NANO_CPUS = 10_000_000
_LEAST_MEMORY = 4 << 20
_MOST_OOM_SCORE, _MOST_PERCENT = 1000, 100
_SECOND = 10**9
_UNITS = {
    "h": 3600 * _SECOND,
    "m": 60 * _SECOND,
    "s": _SECOND,
    "ms": 10**6,
    "us": 10**3,
    "ns": 1,
}


def count(value: Any) -> int:
    """Return a whole number that is not negative."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        raise ValueError("found no whole number of at least 0")
    return value


def oom_score(value: Any) -> int:
    """Return a whole number from -1000 to 1000."""
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > _MOST_OOM_SCORE:
        raise ValueError("found no whole number from -1000 to 1000")
    return value


def ratio(value: Any) -> float:
    """Return a number from 0 to 1."""
    if isinstance(value, bool) or not 0 <= float(value) <= 1:
        raise ValueError("found no number from 0 to 1")
    return round(float(value), 6)


def duration(value: Any) -> str:
    """Return a duration: of 90s, 90 (seconds) and 90000000000 (nanoseconds), ``1m30s``."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= _SECOND:
        return spelled(value)
    if checks.duration(0)(value):
        raise ValueError("found no duration from 0s to 48h")
    return spelled(nanoseconds(value))


def nanoseconds(value: Any) -> int:
    """Return a duration in nanoseconds, as the API has it."""
    return round(checks.seconds(value) * _SECOND)


def spelled(nanoseconds: int) -> str:
    """Return a number of nanoseconds as a duration such as ``1m30s``."""
    parts = []
    for unit, size in _UNITS.items():
        number, nanoseconds = divmod(nanoseconds, size)
        parts += [f"{number}{unit}"] if number else []
    return "".join(parts) or "0s"


def cpus(value: Any) -> float:
    """Return a number of CPUs; 500000000 (the API's billionths) is 0.5."""
    if isinstance(value, int) and value >= _NANO_CPUS:
        return value / 1e9
    return normalize.cpus(value)


def memory(value: Any) -> int:
    """Return a size of memory in bytes, 0 or at least the 4 MiB that Docker takes."""
    found = normalize.size(value)
    if 0 < found < _LEAST_MEMORY:
        raise ValueError("found less than 4m, the least that Docker takes")
    return found


def swap(value: Any) -> int:
    """Return a size of swap in bytes; -1 is any amount."""
    return -1 if value in (-1, "-1") else normalize.size(value)


def percent(value: Any) -> int:
    """Return a whole number from 0 to 100."""
    if count(value) > _MOST_PERCENT:
        raise ValueError("found more than 100")
    return int(value)
