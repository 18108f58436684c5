"""
Build state returns. The only place that knows the shape of a state return.
"""

from collections.abc import Callable

from salt.exceptions import CommandExecutionError


def done(name: str, changes: dict, test: bool = False, comment: str = "") -> dict:
    """Report that ``name`` was converged, or would be if ``test`` is set."""
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


def failed(name: str, err: Exception | str, changes: dict | None = None) -> dict:
    """Report that ``name`` could not be converged; ``changes`` is what was done before."""
    return {"name": name, "result": False, "changes": changes or {}, "comment": str(err)}


def applied(name: str, test: bool, function: Callable, *args: object, **kwargs: object) -> dict:
    """Call ``function``, which converges something unless ``test`` and returns the changes."""
    try:
        changes = function(*args, test=test, **kwargs)
    except CommandExecutionError as err:
        return failed(name, err)
    return done(name, changes, test)


def waited(name: str, test: bool, function: Callable, *args: object) -> dict:
    """
    Call ``function``, which waits for something and raises if it does not come about.

    Not in test mode: an earlier state would have started what is waited for.
    """
    try:
        if not test:
            function(*args)
    except CommandExecutionError as err:
        return failed(name, err)
    return done(name, {})
