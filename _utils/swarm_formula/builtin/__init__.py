"""Builtin mode: how a node joins and leaves, and what the leader updates by the pillar."""
