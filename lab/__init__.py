"""Real hosts on one machine: the ground for the demo, the tests and the measurements."""

from lab.api import Lab
from lab.config import Settings
from lab.run import LabError

__all__ = ["Lab", "LabError", "Settings"]
