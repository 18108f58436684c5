"""
Hold what a request to one manager is answered from.
"""

from dataclasses import dataclass

from .cluster import Cluster
from .election import Election


@dataclass(frozen=True)
class Context:
    """The cluster and the election of one manager, and the flags of its API."""

    cluster: Cluster
    election: Election
    cors: bool = False
    debug: bool = False
