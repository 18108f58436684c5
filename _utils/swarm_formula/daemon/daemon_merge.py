"""
Merge wanted keys into an administrator's ``daemon.json``, and give them back. Pure.
"""

from typing import Any

from swarm_formula.core import errors
from swarm_formula.daemon import daemon_json


def _labels(config: dict[str, Any]) -> list[Any]:
    labels = config.get("labels") or []
    if not isinstance(labels, list):
        raise errors.SwarmError(
            f"the labels in daemon.json are no list, but {labels!r}; nothing was changed: write"
            ' them as a list, such as ["zone=a"]'
        )
    return labels


def _by_key(labels: list[Any]) -> dict[str, Any]:
    return {str(one).split("=", 1)[0]: one for one in labels}


def _labels_before(current: list[Any], entry: dict[str, Any]) -> list[Any]:
    """Remove the formula's labels, and restore the administrator's that they replaced."""
    before, ours = _by_key(entry["before"] or []), _by_key(entry.get("ours", []))
    kept = [one for one in current if one not in ours.values() or one in before.values()]
    replaced = {key: one for key, one in before.items() if key in ours}
    labels = {**replaced, **_by_key(kept)}
    return [labels[key] for key in sorted(labels, key=[*before, *labels].index)]


def _merge_labels(current: list[Any], wanted: list[Any], entry: dict[str, Any]) -> list[Any]:
    """Merge ``wanted`` into ``current``, without formula labels that are no longer wanted."""
    merged = {**_by_key(_labels_before(current, entry)), **_by_key(wanted)}
    same = sorted(map(str, merged.values())) == sorted(map(str, current))
    return current if same else list(merged.values())


def merge(
    current: dict[str, Any],
    wanted: dict[str, Any],
    record: dict[str, Any],
    keys: tuple[str, ...] | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """
    Return the new ``daemon.json`` and the new record of the keys that the formula has set.

    The record, ``{key: {"ours": value, "before": value}}``, tells an administrator's keys from the
    formula's: a key that is no longer wanted gets back the value from before, unless an
    administrator has changed it since. ``keys`` limits which recorded keys are given back; without
    it, all but the overlay keys.
    """
    result, kept = dict(current), {}
    for key, entry in record.items():
        mine = key in keys if keys else key not in daemon_json.OVERLAY_KEYS
        if not mine:
            kept[key] = entry
        elif key not in wanted:
            _give_back(result, key, entry)
    for key, value in wanted.items():
        entry = record.get(key, {"before": current.get(key)})
        kept[key] = {"ours": value, "before": entry["before"]}
        labels = key == "labels"
        result[key] = _merge_labels(_labels(current), value, entry) if labels else value
    return result, kept


def passing(key: str, entry: dict[str, Any], default: object) -> dict[str, Any]:
    """
    Return the record's entry of a removed key whose default is set for one reload.

    Until the file is written, it has the former value: a killed run leaves either of them. Labels
    are given back one by one, whatever the list is.
    """
    if key == "labels":
        return entry
    return {**entry, "ours": default, "former": entry.get("former", entry["ours"])}


def _give_back(config: dict[str, Any], key: str, entry: dict[str, Any]) -> None:
    before = entry["before"]
    if key == "labels":
        before = _labels_before(_labels(config), entry) or (None if before is None else [])
    elif config.get(key) not in [entry["ours"], entry.get("former", entry["ours"])]:
        return
    if before is None:
        config.pop(key, None)
    else:
        config[key] = before


def diff(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Return the differences of two ``daemon.json`` as ``{key: {"old": ..., "new": ...}}``."""
    return {
        key: {"old": old.get(key), "new": new.get(key)}
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key)
    }
