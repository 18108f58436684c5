"""The formula's library: all decisions, and the clients of Docker and Consul."""
