"""
Build state returns. The only place that knows the shape of a state return.
"""


def done(name: str, changes: dict, test: bool = False, comment: str = "") -> dict:
    """Report that ``name`` was converged, or would be if ``test`` is set; ``comment`` adds to the text."""
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
