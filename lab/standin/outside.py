"""
Offer what the rest of the repository may use of the stand-in, beside ``build``.

Unit tests of classic mode place containers as the stand-in does.
"""

from .config import build as container_config
from .filters import Node, NoNodeError
from .scheduler import Scheduler

__all__ = ["NoNodeError", "Node", "Scheduler", "container_config"]
