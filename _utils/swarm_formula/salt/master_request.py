"""
Send requests to the master: in a state run, by the connection by which it gets files.
"""

from collections.abc import Mapping
from typing import Any

import salt.channel.client
import salt.loader.dunder
from salt.exceptions import LoaderError


def state_client() -> Any:
    """Return Salt's file client of a state run, ``None`` outside of one or without a master."""
    try:
        client = salt.loader.dunder.__file_client__.value()
    except (LoaderError, LookupError):
        return None
    return client if hasattr(client, "channel") else None


def send(opts: Mapping[str, Any], load: dict[str, Any]) -> Any:
    """
    Send a request to the master; return its answer.

    Outside of a state run, this loads the key of the minion and connects, as Salt's own functions
    do for each request.
    """
    if client := state_client():
        return client.channel.send(load)
    with salt.channel.client.ReqChannel.factory(opts) as channel:
        return channel.send(load)
