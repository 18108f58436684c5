"""
Errors raised by the formula's libraries.

They derive from Salt's ``CommandExecutionError``: Salt prints them as a plain message, and a state
needs only one ``except`` clause.
"""

from typing import Any

from salt.exceptions import CommandExecutionError

from swarm_formula.core import causes


class SwarmError(CommandExecutionError):  # type: ignore[misc] # Salt has no types
    """Base class of all errors of this formula; the text includes known external causes."""

    def __init__(self, message: str = "", info: object = None) -> None:
        super().__init__(causes.explained(str(message)), info)


class SettingsError(SwarmError):
    """The pillar is invalid; nothing was changed."""


INSTALL = "salt-call state.apply swarm.libraries"


class SdkMissingError(SwarmError):
    """A client library is not installed in Salt's own Python."""


def sdk_missing(library: str, why: str = "") -> SdkMissingError:
    """Return the error for a library that is missing, as after an upgrade of Salt's Python."""
    reason = f" ({why})" if why else ""
    return SdkMissingError(
        f"the Python library '{library}' is not in Salt's own Python{reason}, which an upgrade of"
        f" Salt may have replaced: run '{INSTALL}' on this host"
    )


class EngineUnreachableError(SwarmError):
    """The Docker Engine does not answer."""


class UntoldError(SwarmError):
    """No manager has told of its cluster yet; one may do so soon."""


class ApiError(SwarmError):
    """The Docker API refused a request; the text quotes Docker's message."""


class StoreError(SwarmError):
    """The key-value store (Consul) does not answer or has no leader."""


class WaitTimeoutError(SwarmError):
    """A condition was not met within its time limit."""


class BusyError(SwarmError):
    """This host is busy; the caller should retry."""


class NotRunningError(SwarmError):
    """A container does not keep running; the text quotes its last log lines."""


class NoContainerError(SwarmError):
    """A restarted engine starts no container any more; the text quotes Docker's message."""


class RolloutError(SwarmError):
    """Services were changed, and do not run as wanted; ``changes`` is what was changed."""

    def __init__(self, message: str, changes: dict[str, Any]) -> None:
        super().__init__(message)
        self.changes = changes
