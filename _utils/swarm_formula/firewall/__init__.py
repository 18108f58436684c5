"""Firewall rules for the swarm's ports. Pure."""
