"""
Remove the swarm's registry from a host that the pillar does not name.
"""

import shutil
from typing import Any

from swarm_formula.core import host_files, own_registry
from swarm_formula.core.salt_types import Salt
from swarm_formula.docker import engine_api

# The section of the record: the image and the folder of the images.
RECORD = "registry"
_NAME = own_registry.CONTAINER


def remove(salt: Salt, test: bool) -> dict[str, Any]:
    """Ensure the formula's registry is removed from this host; its images stay in their folder."""
    noted = host_files.record(RECORD)
    if not noted:
        return {}
    changes: dict[str, Any] = {}
    if salt["swarm_engine.exists"]():
        changes = _remove_container(salt, noted["image"], test)
    if not test:
        shutil.rmtree(own_registry.folder(), ignore_errors=True)
        host_files.drop_empty(host_files.CONFIG)
        host_files.note(RECORD, {})
    kept = f"removed; its images stay in {noted['path']}"
    return {"registry": {"old": "present", "new": kept}, **changes}


def _remove_container(salt: Salt, image: str, test: bool) -> dict[str, Any]:
    with engine_api.unless_absent(test):
        found = salt["swarm_container.get"](_NAME)
        ours = found and own_registry.is_ours(found["command"])
        changes = {
            _NAME: salt["swarm_container.remove"](_NAME, test=test) if ours else {},
            image: salt["swarm_image.remove_unused"](image, [_NAME], test=test),
        }
        return {what: change for what, change in changes.items() if change}
    return {}
