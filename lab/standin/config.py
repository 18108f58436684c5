"""
Read what a container asks of the scheduler, from its environment and its labels.
"""

import json

NAMESPACE = "com.docker.swarm"
# What the environment calls it, and the label that keeps it.
KINDS = {
    "affinity": "affinities",
    "constraint": "constraints",
    "reschedule": "reschedule-policies",
    "whitelist": "whitelists",
}
POLICIES = ("off", "on-node-failure")
OLD_FIELDS = {
    "Memory": "Memory",
    "MemorySwap": "MemorySwap",
    "CpuShares": "CpuShares",
    "Cpuset": "CpusetCpus",
}


class ConfigError(Exception):
    """The container's configuration is refused."""


def build(config: dict) -> dict:
    """Return a copy of ``config`` with its scheduling environment moved into labels."""
    labels = dict(config.get("Labels") or {})
    wanted = {kind: expressions({"Labels": labels}, kind) for kind in KINDS.values()}
    env = []
    for item in config.get("Env") or []:
        name, colon, value = item.partition(":")
        if colon and name in KINDS:
            wanted[KINDS[name]].append(value)
        else:
            env.append(item)
    labels |= {
        f"{NAMESPACE}.{kind}": json.dumps(values, separators=(",", ":"))
        for kind, values in wanted.items()
        if values
    }
    return {**config, "Env": env, "Labels": labels}


def consolidate(config: dict) -> dict:
    """Move resource fields of old clients into the host configuration."""
    host = dict(config.get("HostConfig") or {})
    for old, new in OLD_FIELDS.items():
        if config.get(old):
            host[new] = config[old]
    kept = {key: value for key, value in config.items() if key not in OLD_FIELDS}
    return {**kept, "HostConfig": host}


def expressions(config: dict, kind: str) -> list[str]:
    """Return the expressions that a label keeps, none if it is not a JSON list."""
    try:
        values = json.loads((config.get("Labels") or {}).get(f"{NAMESPACE}.{kind}", "[]"))
    except ValueError:
        return []
    return [str(value) for value in values] if isinstance(values, list) else []


def with_expression(config: dict, kind: str, expression: str) -> dict:
    """Return a copy of ``config`` that asks for one thing more."""
    values = [*expressions(config, kind), expression]
    label = {f"{NAMESPACE}.{kind}": json.dumps(values, separators=(",", ":"))}
    return {**config, "Labels": {**(config.get("Labels") or {}), **label}}


def swarm_id(config: dict) -> str:
    """Return the ID that the swarm gave the container, ``""`` if none."""
    return (config.get("Labels") or {}).get(f"{NAMESPACE}.id", "")


def pinned(config: dict) -> bool:
    """Tell whether a constraint ties the container to a node."""
    return any(
        item.startswith("node==") and not item.startswith("node==~")
        for item in expressions(config, "constraints")
    )


def validate(config: dict) -> None:
    """Refuse more than one reschedule policy, and an unknown one."""
    policies = expressions(config, "reschedule-policies")
    if len(policies) > 1:
        raise ConfigError("too many reschedule policies")
    if policies and policies[0] not in POLICIES:
        raise ConfigError(f"invalid reschedule policy: {policies[0]}")
