"""
Calculate a quorum. Pure.
"""


def majority(count: int) -> int:
    """Return the quorum of ``count`` servers."""
    return count // 2 + 1
