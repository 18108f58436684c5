"""
A clock of a test's own: a sleep is over at once.
"""

import time


class Clock:
    """What the formula's libraries use of the module ``time``, and what happens meanwhile."""

    def __init__(self):
        self.now = 1_800_000_000.0
        self.later = []  # (time, what happens then)

    def monotonic(self):
        return self.now

    def time(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        due = [act for when, act in self.later if when <= self.now]
        self.later = [one for one in self.later if one[0] > self.now]
        for act in due:
            act()

    def stamp(self, when=None):
        """Return a time as Docker writes it; the present one by default."""
        when = self.now if when is None else when
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(when)) + ".123456789Z"
