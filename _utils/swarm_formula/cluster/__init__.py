"""A cluster in swarm mode: the API of its managers, its nodes, roles and quorum."""
