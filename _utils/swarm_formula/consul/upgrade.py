"""
Determine the version of Consul in an image, and refuse upgrades that Consul does not support.
"""

from swarm_formula.consul import acl, agent_api, schema
from swarm_formula.core import errors
from swarm_formula.core.salt_types import Salt
from swarm_formula.core.settings_types import Settings
from swarm_formula.docker import engine_api, images

# The series of Consul, oldest first, and how many of them one upgrade may go up:
# https://developer.hashicorp.com/consul/docs/upgrade/instructions
_SERIES = (*((1, minor) for minor in range(23)), (2, 0))
_MOST = 2


def image_version(salt: Salt, settings: Settings, test: bool) -> tuple[int, ...]:
    """
    Return the version of Consul in the image of the pillar, ``()`` if neither its tag nor the image
    names one. An image whose tag names none is pulled or loaded first, except in test mode.
    """
    consul = settings["consul"]
    if found := schema.version(consul["image"]):
        return found
    if not test:
        salt["swarm_image.apply"](
            consul["image"],
            consul["image_source"],
            timeout=settings["timeout"],
            image_hash=consul["image_hash"],
        )
    found = ()
    what = f"image {consul['image']}"
    with engine_api.unless_absent(test), engine_api.connect_local(salt, what) as client:
        found = schema.built(images.local(client, consul["image"]) or {})
    return found


def running(settings: Settings) -> tuple[int, ...]:
    """Return the version of the Consul that runs on this host, ``()`` if it does not tell."""
    try:
        members = agent_api.members(acl.connect(settings))
    except errors.SwarmError:
        return ()
    return schema.series(agent_api.builds(members).get(settings["id"], ""))


def refusal(me: str, have: tuple[int, ...], due: tuple[int, ...]) -> str | None:
    """Return why a server of one version must not become one of another, ``None`` if it may."""
    if not have or not due or have == due:
        return None
    old, new = (".".join(map(str, one)) for one in (have, due))
    what = f"swarm:consul:image is Consul {new}, and Consul of {me} is a server of {old}"
    if due < have:
        return (
            f"{what}: an older version does not read all that a newer one has written. Put {old}"
            " back in pillar; nothing was touched"
        )
    if have not in _SERIES or due not in _SERIES:
        return None
    at = _SERIES.index(have)
    if _SERIES.index(due) - at <= _MOST:
        return None
    step = ".".join(map(str, _SERIES[at + _MOST]))
    return (
        f"{what}: an upgrade goes up two versions at most. Set an image of {step} first, apply to"
        " all minions, and go on from there; nothing was touched"
    )
