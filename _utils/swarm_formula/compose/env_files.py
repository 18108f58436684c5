"""
Read the files with variables that a compose file's service names. Pure.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from swarm_formula.compose import values
from swarm_formula.core import errors, normalize
from swarm_formula.core.faults import FaultError
from swarm_formula.spec import env_files


def read(value: Any, load: Callable[[str], bytes]) -> Iterator[tuple[str, str | None]]:
    """
    Yield the variables of the files that ``env_file`` names, ``None`` for one without a value.

    load
        Reads a file, by its path in the compose file.
    """
    for one in value if isinstance(value, list) else [value]:
        entry = one if isinstance(one, dict) else {"path": one}
        values.known(entry, ("path", "required", "format"))
        yield from env_files.variables(_text(entry, load)).items()


def _text(entry: Mapping[str, Any], load: Callable[[str], bytes]) -> str:
    required = True if entry.get("required") is None else entry["required"]
    if not isinstance(required, bool):
        raise FaultError(required, "true or false, without quotes", "required")
    try:
        return load(normalize.text(entry.get("path"))).decode()
    except errors.SwarmError:
        if required:
            raise
        return ""
