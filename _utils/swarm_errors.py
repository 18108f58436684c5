"""
Errors raised by the formula's libraries.

They derive from Salt's own ``CommandExecutionError``: Salt prints them as a plain
message, and a state needs one ``except`` clause.
"""

import swarm_cause
from salt.exceptions import CommandExecutionError


class SwarmError(CommandExecutionError):
    """Base class of every error raised by this formula; a cause outside of it is named."""

    def __init__(self, message: str = "", info: object = None) -> None:
        super().__init__(swarm_cause.explained(str(message)), info)


class SettingsError(SwarmError):
    """The pillar is wrong; nothing was touched."""


class SdkMissingError(SwarmError):
    """A client library is not installed in Salt's own Python."""


class EngineUnreachableError(SwarmError):
    """The Docker Engine does not answer."""


class ApiError(SwarmError):
    """The Docker API refused a request; the text holds Docker's own words."""


class StoreError(SwarmError):
    """The key-value store (Consul) does not answer or has no leader."""


class WaitTimeoutError(SwarmError):
    """Something did not come about within the time that pillar allows."""


class BusyError(SwarmError):
    """This host does something else just now; it is to be asked again."""


class NotRunningError(SwarmError):
    """A container does not stay up; the text quotes its last log lines."""
