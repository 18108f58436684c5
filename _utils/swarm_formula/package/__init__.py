"""The packages of the engine and their repository: apt, dpkg, pins and holds."""
