"""The client of the engine's API, and containers, images, networks and volumes by it."""
