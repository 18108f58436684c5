"""Consul on one host: its client, its container, its servers, ACLs, keys, and the turn."""
