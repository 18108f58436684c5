"""
Define what differs between the modes of a swarm, as facts that the code asks for by name.

What the modes do differently is in the verbs (``modes.verbs``).
"""

from typing import Literal, NamedTuple

from swarm_formula.core import settings_types
from swarm_formula.core.settings_types import AnySettings, Pillar


class Mode(NamedTuple):
    """The facts of a mode."""

    # The Python distributions that it needs.
    libraries: tuple[str, ...]
    # The section of the pillar whose ``port`` the swarm's own process has on a node.
    port_section: Literal["manager", "builtin"]
    # The swarm consists of containers of the formula, which keep nodes and networks in a store.
    standalone: bool
    # Managers reach the engines of nodes: each engine has a TCP port.
    engine_port: bool
    # Clients have a CA of their own: engines accept no others, and no node.
    clients_apart: bool
    # The engines of managers are the API of the swarm.
    engine_api: bool
    # An engine has its own labels, from ``nodes`` as well; otherwise, the cluster has them.
    engine_labels: bool
    # Containers keep running while their engine is stopped.
    live_restore: bool
    # The managers, and so their clients, use version 1.30 of Docker's API.
    old_api: bool
    # The cluster itself has overlay networks, which its leader creates for all nodes.
    cluster_overlay: bool
    # Services have virtual addresses.
    virtual_addresses: bool
    # Overlay networks may use another address of a node than the swarm does, and another port.
    data_path: bool
    # Engines restart in turn by a lock in the cluster, which can drain a node before.
    cluster_turns: bool
    # A manager admits each node, with a join token.
    join_tokens: bool
    # The engines pull the images of services themselves, before or when they get a task.
    prepull: bool


MODES: dict[settings_types.Mode, Mode] = {
    "classic": Mode(
        libraries=("docker", "python-consul"),
        port_section="manager",
        standalone=True,
        engine_port=True,
        clients_apart=False,
        engine_api=False,
        engine_labels=True,
        live_restore=True,
        old_api=True,
        cluster_overlay=False,
        virtual_addresses=False,
        data_path=False,
        cluster_turns=False,
        join_tokens=False,
        prepull=False,
    ),
    "builtin": Mode(
        libraries=("docker",),
        port_section="builtin",
        standalone=False,
        engine_port=False,
        clients_apart=True,
        engine_api=True,
        engine_labels=False,
        # An engine with live-restore refuses swarm mode.
        live_restore=False,
        old_api=False,
        cluster_overlay=True,
        virtual_addresses=True,
        data_path=True,
        cluster_turns=True,
        join_tokens=True,
        prepull=True,
    ),
}
DEFAULT: settings_types.Mode = "classic"


def of(settings: AnySettings | Pillar) -> Mode:
    """Return the facts of the mode in the settings."""
    return MODES[settings["mode"]]


def named(mode: object) -> Mode:
    """Return the facts of a mode by its name in an unchecked pillar; of the default for others."""
    found = {str(name): facts for name, facts in MODES.items()}
    return found.get(str(mode), MODES[DEFAULT])
