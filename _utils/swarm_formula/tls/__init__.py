"""Keys, certificates, the swarm's own CA and its copies. Knows no Docker."""
