"""
What goes wrong in classic mode, by the README's table: how it is provoked, and the cure it names.
"""

from tests.integration.troubles import certificates, host, swarm
from tests.integration.troubles.table import TROUBLES

__all__ = ["TROUBLES", "certificates", "host", "swarm"]
