"""
Read the pillar ``swarm``: find all faults and fill in the defaults. Pure.

``settings.relations`` checks the values against each other.
``settings.topology`` derives the roles.
"""

from typing import Any, cast

from swarm_formula.core.faults import Fault, hidden, unknown_key
from swarm_formula.core.settings_types import Pillar
from swarm_formula.settings import schema

ROOT = "swarm"


def _read_field(path: str, field: schema.Field, value: object) -> tuple[object, list[Fault]]:
    if value is None:
        return field.default, []
    want = field.check(value)
    return (field.default, [Fault(path, value, want)]) if want else (value, [])


def _read_each(path: str, each: schema.Each, value: object) -> tuple[dict[str, Any], list[Fault]]:
    if not isinstance(value, dict):
        return {}, [Fault(path, value, "a mapping of names")]
    result: dict[str, Any] = {}
    faults: list[Fault] = []
    for name, one in value.items():
        if want := each.key(name):
            faults.append(Fault(f"{path}:{name}", name, want))
            continue
        result[name], more = _read(one, each.fields, f"{path}:{name}")
        faults += more
    return result, faults


def _read_objects(
    path: str, entry: schema.Objects, value: object
) -> tuple[dict[str, Any], list[Fault]]:
    if not isinstance(value, dict):
        return {}, [Fault(path, "something else", "a mapping of names")]
    if not value:
        return {}, []
    from swarm_formula.spec import option_table

    rules = entry.rules()
    result: dict[str, Any] = {}
    faults: list[Fault] = []
    for name, one in value.items():
        place = f"{path}:{name}"
        if want := entry.key(name):
            faults.append(Fault(place, name, want))
            continue
        result[name], more = option_table.parse(one, rules.options, place)
        more = more or [*rules.conflicts(result[name], place)]
        faults += more if isinstance(one, dict) else hidden(more)
    return result, faults


def _read_one(path: str, entry: schema.Entry, value: object) -> tuple[object, list[Fault]]:
    if isinstance(entry, schema.Objects):
        return _read_objects(path, entry, {} if value is None else value)
    if isinstance(entry, schema.Each):
        result, faults = _read_each(path, entry, {} if value is None else value)
        return result, hidden(faults) if entry.hidden else faults
    if isinstance(entry, schema.Field):
        one, faults = _read_field(path, entry, value)
        return one, hidden(faults) if entry.hidden else faults
    return _read(value, entry, path)


def _default(entry: schema.Entry) -> object:
    return entry.default if isinstance(entry, schema.Field) else None


def _read(
    given: object, fields: schema.Fields, path: str = ROOT
) -> tuple[dict[str, Any], list[Fault]]:
    given = {} if given is None else given
    if not isinstance(given, dict):
        return _read({}, fields, path)[0], [Fault(path, given, "a mapping")]
    result: dict[str, Any] = {}
    faults: list[Fault] = []
    for key, entry in fields.items():
        value, more = _read_one(f"{path}:{key}", entry, given.get(key, _default(entry)))
        result[key] = value
        faults += more
    faults += [unknown_key(path, key, fields) for key in given if key not in fields]
    return result, faults


def read(pillar: object) -> tuple[Pillar, list[Fault]]:
    """
    Return the pillar with all defaults filled in, and the faults in its structure.

    An invalid value is replaced by its default, so that the rest can still be checked. A key or
    section without a value is the same as a missing key.
    """
    result, faults = _read(pillar, schema.SCHEMA)
    # The schema has checked each value; a test compares it with the type.
    return cast(Pillar, result), faults


def odd_keys(value: object, path: str = ROOT) -> list[Fault]:
    """
    Return a fault for each key that YAML has read as a boolean or as nothing.

    As JSON, ``off: 1`` would be the key ``false``, and go unnoticed in labels and options.
    """
    if isinstance(value, list):
        return [fault for one in value for fault in odd_keys(one, path)]
    if not isinstance(value, dict):
        return []
    faults = [
        Fault(f"{path}:{key}", key, "a key in quotes: YAML reads on, off, yes, no and null itself")
        for key in value
        if key is None or isinstance(key, bool)
    ]
    return faults + [
        fault for key, one in value.items() for fault in odd_keys(one, f"{path}:{key}")
    ]


def texts(faults: list[Fault]) -> list[str]:
    """
    Return the faults as texts: only the first of each path, and none below a faulty path.

    Faults that follow from another fault would only be misleading.
    """
    first: dict[str, Fault] = {}
    for fault in faults:
        first.setdefault(fault.path, fault)
    return [
        str(fault)
        for path, fault in first.items()
        if not any(path.startswith(f"{other}:") for other in first)
    ]
