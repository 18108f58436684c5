"""
Tell what a compose file is read for: the labels that its objects get, and the keys it may have.

In builtin mode, a stack is that of ``docker stack deploy``; in classic mode, it is a project of
docker-compose 1, whose containers the managers place. Pure.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from swarm_formula.classic import kept_options
from swarm_formula.compose import keys
from swarm_formula.core.faults import Fault
from swarm_formula.docker import compose_labels

# The stack that the formula has made a network for: docker-compose does not set it.
MARK = "swarm-formula.stack"
_VERSION = "1.29.2"


class Target(NamedTuple):
    """How a mode runs what a compose file names."""

    ignored: Mapping[str, str]  # keys of a service, each with the reason
    refused: Mapping[str, str]  # keys of a service, each with what to use
    no_files: str  # what to use instead of secrets and configs, empty if there are any
    only_overlay: bool  # whether networks of other drivers are those of one node
    port_mode: str | None  # of ports without one
    keeps_restart: bool  # whether `restart: "no"` has an effect
    # Labels of a network, volume, or container: by the stack, and its name in the file.
    networks: Callable[[str, str], dict[str, str]]
    volumes: Callable[[str, str], dict[str, str]]
    containers: Callable[[str, str], dict[str, str]]
    services: Callable[[str, str], dict[str, str]]  # by the stack, and the image
    faults: Callable[[Mapping[str, Any], str], Iterator[Fault]]  # of the options of a service


# ---- builtin mode


def _namespace(stack: str, _key: str) -> dict[str, str]:
    return {keys.NAMESPACE: stack}


def _of_service(stack: str, image: str) -> dict[str, str]:
    return {keys.NAMESPACE: stack, keys.IMAGE: image}


def _no_faults(_options: Mapping[str, Any], _path: str) -> Iterator[Fault]:
    yield from ()


BUILTIN = Target(
    ignored=keys.IGNORED,
    refused=keys.REFUSED,
    no_files="",
    only_overlay=False,
    port_mode=None,
    keeps_restart=False,
    networks=_namespace,
    volumes=_namespace,
    containers=_namespace,
    services=_of_service,
    faults=_no_faults,
)


# ---- classic mode


def _project(stack: str) -> dict[str, str]:
    return {compose_labels.PROJECT: stack, compose_labels.VERSION: _VERSION}


def _network(stack: str, key: str) -> dict[str, str]:
    return {**_project(stack), compose_labels.NETWORK: key, MARK: stack}


def _volume(stack: str, key: str) -> dict[str, str]:
    return {**_project(stack), compose_labels.VOLUME: key}


def _container(stack: str, key: str) -> dict[str, str]:
    """Return the labels of a container, without its number, which differs."""
    return {
        **_project(stack),
        compose_labels.SERVICE: key,
        compose_labels.ONE_OFF: "False",
        # Not one of compose's own: after a look at it, `docker-compose up` creates containers anew.
        compose_labels.HASH: "swarm-formula",
    }


def _none(_stack: str, _image: str) -> dict[str, str]:
    return {}


def _kept(options: Mapping[str, Any], path: str) -> Iterator[Fault]:
    """Find the options that classic mode cannot keep, each at its key in the file."""
    for fault in kept_options.faults(options, path):
        option = fault.path.removeprefix(f"{path}:").replace(":", ".")
        key = keys.KEY_OF.get(option, option)
        yield fault._replace(path=f"{path}:{key.replace('.', ':')}")


CLASSIC = Target(
    ignored=keys.IGNORED_IN_CLASSIC,
    refused=keys.REFUSED_IN_CLASSIC,
    no_files=f"{kept_options.REFUSED['secrets']} (mode: classic)",
    only_overlay=True,
    port_mode="host",
    keeps_restart=True,
    networks=_network,
    volumes=_volume,
    containers=_container,
    services=_none,
    faults=_kept,
)
