"""Containers of standalone Swarm: their names, flags and definitions, and /info of a manager."""
