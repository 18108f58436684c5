"""
Build state returns. This is the only module that defines the structure of a state return.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from salt.exceptions import CommandExecutionError

from swarm_formula.core import causes, errors

Return = dict[str, Any]


def done(name: str, changes: Mapping[str, Any], test: bool = False, comment: str = "") -> Return:
    """Return the success of the state ``name``; with ``test``, what it would change."""
    if not changes:
        text = f"{name} is in the desired state"
    elif test:
        text = f"{name} would be changed"
    else:
        text = f"{name} was changed"
    return {
        "name": name,
        "result": None if changes and test else True,
        "changes": changes,
        "comment": f"{text}. {comment}" if comment else text,
    }


def not_leading(name: str) -> Return:
    """Return the success of a state that only the leader of the cluster acts on."""
    text = (
        f"{name}: nothing to do, for this node is not the leader of a cluster, nor the host of the"
        " primary manager"
    )
    return {"name": name, "result": True, "changes": {}, "comment": text}


def failed(name: str, err: Exception | str, changes: Mapping[str, Any] | None = None) -> Return:
    """Return the failure of the state ``name``; ``changes`` were made before the error."""
    # Errors from Salt itself, such as apt's, can have a known cause as well.
    text = causes.explained(str(err))
    return {"name": name, "result": False, "changes": changes or {}, "comment": text}


def warned(ret: Return, warnings: list[str]) -> Return:
    """Add warnings to a return; Salt shows them for any result."""
    return {**ret, "warnings": warnings} if warnings else ret


def remarked(ret: Return, remarks: Iterable[str]) -> Return:
    """Add sentences to the comment of a return."""
    return {**ret, "comment": ". ".join([ret["comment"], *remarks])}


def applied(
    name: str,
    test: bool,
    function: Callable[..., Mapping[str, Any] | None],
    *args: object,
    **kwargs: object,
) -> Return:
    """
    Call ``function``, which makes changes, except with ``test``, and returns them.

    It returns ``None`` if another node acts.
    """
    try:
        changes = function(*args, test=test, **kwargs)
    except CommandExecutionError as err:
        if test and isinstance(err, errors.WaitTimeoutError):
            return _would_wait(name, err)
        return failed(name, err, getattr(err, "changes", None))
    return not_leading(name) if changes is None else done(name, changes, test)


def waited(
    name: str, test: bool, function: Callable[[float | None], object], timeout: float | None
) -> Return:
    """
    Call ``function``, which waits up to ``timeout`` seconds and raises an error on a timeout.

    In test mode, it checks only once; if the check fails, the state reports that it would wait.
    """
    try:
        function(0 if test else timeout)
    except CommandExecutionError as err:
        if not test:
            return failed(name, err)
        return _would_wait(name, err)
    return done(name, {})


def _would_wait(name: str, err: Exception) -> Return:
    return {"name": name, "result": None, "changes": {}, "comment": f"would wait for it: {err}"}
