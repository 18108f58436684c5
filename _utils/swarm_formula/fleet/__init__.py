"""The swarms under one master, for the runner: status, join, removal, rotation, backup."""
