"""The options of containers and services as tables: check, compare, convert. Pure."""
