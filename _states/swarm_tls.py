"""
Manage the TLS certificates of a host.
"""

from swarm_formula.salt import state_return

__virtualname__ = "swarm_tls"


def __virtual__():
    if "swarm_tls.apply" not in __salt__:
        return False, "The swarm_tls execution module is not available"
    return __virtualname__


def certified(name):
    """
    Ensure this node has a certificate that is valid for longer than ``swarm:tls:renew_days``.

    .. code-block:: yaml

        node certificate is present:
          swarm_tls.certified: []

    name
        A name for the report.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_tls.apply"])


def tidied(name):
    """
    Ensure certificates that were replaced, or that are unused because TLS is off, are removed.

    .. code-block:: yaml

        old certificates are removed:
          swarm_tls.tidied: []

    name
        A name for the report.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_tls.tidy"])


def removed(name):
    """
    Ensure the formula's certificates are removed from this host.

    .. code-block:: yaml

        certificates are removed:
          swarm_tls.removed: []

    name
        A name for the report.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_tls.remove"])
