"""
Normalize the secrets and configs of a service. Pure.

Each normalizer accepts what users write and its own result, and returns lists sorted and without
default values. Invalid values raise ``ValueError`` or ``TypeError``; the caller adds the location.
"""

from collections.abc import Mapping
from typing import Any

from swarm_formula.spec import service_parts


class Files:
    """Secrets or configs of a service: files in its containers."""

    def __init__(self, kind: str, folder: str) -> None:
        self._id, self._name, self._folder = f"{kind}ID", f"{kind}Name", folder

    def normal(self, value: Any) -> list[dict[str, Any]]:
        """Return them as ``{name, target, uid, gid, mode}``, without defaults; sorted."""
        found = service_parts.ordered([self._file(one) for one in service_parts.listed(value)])
        targets = [one["target"] for one in found]
        if doubles := {one for one in targets if targets.count(one) > 1}:
            raise ValueError(f"found the target {min(doubles)!r} twice")
        return found

    def _file(self, value: Any) -> dict[str, Any]:
        fields = {
            "name": service_parts.text,
            "target": service_parts.text,
            "uid": service_parts.text,
            "gid": service_parts.text,
            "mode": service_parts.file_mode,
        }
        file = service_parts.record(value if isinstance(value, dict) else {"name": value}, fields)
        if "name" not in file:
            raise ValueError("found one without 'name'")
        file.setdefault("target", f"{self._folder}{file['name']}")
        defaults = {"uid": "0", "gid": "0", "mode": "0444"}
        return {key: one for key, one in file.items() if defaults.get(key) != one}

    def encode(self, value: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return them in the API's form, without the IDs, which the API needs."""
        return [
            {
                "File": {
                    "Name": one["target"],
                    "UID": one.get("uid", "0"),
                    "GID": one.get("gid", "0"),
                    "Mode": int(one.get("mode", "0444"), 8),
                },
                self._name: one["name"],
            }
            for one in value
        ]

    def decode(self, raw: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return them from the API's form."""
        return [self._decoded(one) for one in raw]

    def _decoded(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        file = raw.get("File") or {}
        found = {
            "name": raw[self._name],
            "target": file.get("Name"),
            "uid": file.get("UID") or None,
            "gid": file.get("GID") or None,
        }
        mode = file.get("Mode")
        return {**found, **({} if mode is None else {"mode": f"{mode:04o}"})}

    def with_ids(self, raw: list[dict[str, Any]], ids: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return the API's form with the ID of each, by its name."""
        return [{**one, self._id: ids.get(one[self._name], one.get(self._id))} for one in raw]


SECRETS, CONFIGS = Files("Secret", ""), Files("Config", "/")
