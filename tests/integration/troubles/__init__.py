"""
What goes wrong in classic mode, how it is provoked, and its cure, by docs/troubleshooting.md.
"""

from tests.integration.troubles import certificates, host, swarm
from tests.integration.troubles.table import TROUBLES

__all__ = ["TROUBLES", "certificates", "host", "swarm"]
