"""
The labels by which docker-compose 1 finds the containers, networks and volumes of its projects.

See ``compose/const.py`` of docker-compose 1.29.
"""

_ALL = "com.docker.compose."
PROJECT, VERSION = f"{_ALL}project", f"{_ALL}version"
# The name of an object in the file is in a label of its kind.
SERVICE, NETWORK, VOLUME = (f"{_ALL}{kind}" for kind in ("service", "network", "volume"))
# Of containers only. Compose 1 fails without a number, and ``docker compose`` finds no container
# without a hash.
NUMBER, ONE_OFF, HASH = f"{_ALL}container-number", f"{_ALL}oneoff", f"{_ALL}config-hash"
