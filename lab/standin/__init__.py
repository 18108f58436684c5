"""
A stand-in for ``swarm`` 1.2.9, made for tests.

It shows a formula, an operator and Docker clients what the original shows them: flags,
keys and TTLs in the store, leader election, ``/info`` and scheduling. It is no Docker
Swarm: where the original cannot be had, it lets the tests run, and every report names it
``swarm-standin``. ``tests/contract`` holds both against the same assertions.
"""

VERSION = "1.2.9"
API_VERSION = "1.30"
MARK = "swarm-standin"
