"""Classic mode: managers, agent and health of a node, and services by the primary manager."""
