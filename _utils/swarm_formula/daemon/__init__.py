"""The Docker daemon on one host: daemon.json, its unit, its process and what it holds."""
