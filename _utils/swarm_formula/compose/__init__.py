"""Read a compose file: its keys become options of services, networks and volumes. Pure."""
