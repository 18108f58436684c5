"""
Types of Salt's dunders, which the modules pass to the library.
"""

from collections.abc import Callable, Mapping
from typing import Any

# ``__salt__``: the execution functions by their names.
Salt = Mapping[str, Callable[..., Any]]
