"""
What a manager makes of the spec of a service that is written: what it gives back when it is read.

See moby ``daemon/cluster/convert/service.go`` and ``container.go``, and the tags ``omitempty`` of
``api/types/swarm``.
"""

import json

# Sections that stay when they are empty, keys that are pointers or have no ``omitempty`` and stay
# when they are zero, and mappings of the user's own.
_SECTIONS = {"Resources", "Limits", "Reservations", "Placement", "LogDriver", "BindOptions"}
_SECTIONS |= {"VolumeOptions", "TmpfsOptions", "DNSConfig", "Healthcheck", "EndpointSpec", "Global"}
_SECTIONS |= {"GlobalJob", "Replicated", "ReplicatedJob", "ContainerSpec", "DriverConfig"}
_ZEROS = {"Parallelism", "MaxFailureRatio", "Replicas", "MaxConcurrent", "TotalCompletions"}
_ZEROS |= {"SwapBytes", "MemorySwappiness"}
_ZEROS |= {"MaxAttempts", "Window", "StopGracePeriod", "Init", "ForceUpdate", "UID", "GID", "Mode"}
_OPAQUE = {"Labels", "Sysctls", "DriverOpts", "Ulimits", "File"}
_POINTERS = {"RestartPolicy": {"Delay"}}


def _written(value, place=""):
    """Return a value without what Docker leaves out of its answers."""
    if isinstance(value, list):
        return [_written(one) for one in value]
    if not isinstance(value, dict) or place in _OPAQUE:
        return value
    if place == "Options":
        return value
    found = {key: _written(one, key) for key, one in value.items()}
    zeros = _ZEROS | _POINTERS.get(place, set())
    return {
        key: one
        for key, one in found.items()
        if one or (key in _SECTIONS and one == {}) or (key in zeros and one is not None)
    }


def _container(spec):
    """Fill in the defaults of a container's spec."""
    spec.setdefault("Isolation", "default")
    for mount in spec.get("Mounts") or []:
        if "BindOptions" in mount:
            mount["BindOptions"] = {"Propagation": "rprivate", **mount["BindOptions"]}


def kept(spec, networks):
    """
    Return a spec as a manager gives it back: with IDs of networks, and defaults in its sections.

    networks
        ``{name: ID}``.
    """
    found = _written(json.loads(json.dumps(spec)))
    task = found["TaskTemplate"]
    task |= {"ForceUpdate": task.get("ForceUpdate", 0), "Runtime": "container"}
    _container(task["ContainerSpec"])
    for one in task.get("Networks") or []:
        one["Target"] = networks.get(one["Target"], one["Target"])
    for key in ("UpdateConfig", "RollbackConfig"):
        if found.get(key):
            # Docker takes a missing number for zero, which is all tasks at once.
            zero = {"Parallelism": 0, "FailureAction": "pause", "MaxFailureRatio": 0}
            found[key] = {**zero, "Order": "stop-first", **found[key]}
    if task.get("RestartPolicy"):
        task["RestartPolicy"] = {"Condition": "any", "MaxAttempts": 0, **task["RestartPolicy"]}
    if "ReplicatedJob" in found["Mode"]:
        job = found["Mode"]["ReplicatedJob"]
        job.setdefault("MaxConcurrent", 1)
        job.setdefault("TotalCompletions", job["MaxConcurrent"])
    if "Replicated" in found["Mode"]:
        found["Mode"]["Replicated"].setdefault("Replicas", 1)
    if found.get("EndpointSpec") is not None:
        found["EndpointSpec"] = {"Mode": "vip", **found["EndpointSpec"]}
    return found
