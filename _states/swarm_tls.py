"""
Manage the certificates of a swarm: its CA, and those of this host.
"""

import swarm_ret

__virtualname__ = "swarm_tls"


def __virtual__():
    if "swarm_tls.apply" not in __salt__:
        return False, "The swarm_tls execution module is not available"
    return __virtualname__


def authority(name):
    """
    Ensure there is a CA on the minion of ``swarm:tls:ca``; its change goes a step further each run.

    .. code-block:: yaml

        swarm has its CA:
          swarm_tls.authority: []

    name
        A name for the report.
    """
    return swarm_ret.applied(name, __opts__["test"], __salt__["swarm_ca.apply"])


def certified(name):
    """
    Ensure this node has a certificate that is valid for longer than ``swarm:tls:renew_days``.

    .. code-block:: yaml

        this node has its certificate:
          swarm_tls.certified: []

    name
        A name for the report.
    """
    return swarm_ret.applied(name, __opts__["test"], __salt__["swarm_tls.apply"])


def tidied(name):
    """
    Ensure no certificates lie here that were replaced, or that TLS is not in use for any more.

    .. code-block:: yaml

        old certificates are gone:
          swarm_tls.tidied: []

    name
        A name for the report.
    """
    return swarm_ret.applied(name, __opts__["test"], __salt__["swarm_tls.tidy"])


def removed(name):
    """
    Ensure this host has no certificate of the formula, and is no CA.

    .. code-block:: yaml

        certificates are removed:
          swarm_tls.removed: []

    name
        A name for the report.
    """

    def remove(test):
        certificates = __salt__["swarm_tls.remove"](test=test)
        return {**certificates, **__salt__["swarm_ca.remove"](test=test)}

    return swarm_ret.applied(name, __opts__["test"], remove)
