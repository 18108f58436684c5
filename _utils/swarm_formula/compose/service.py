"""
Read a service of a compose file: its keys become options of ``spec.service_options``. Pure.

``compose.keys`` says which key is which option.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from swarm_formula.compose import deploy, env_files, mounts, values
from swarm_formula.compose import networks as compose_networks
from swarm_formula.compose.keys import GENERIC, GENERIC_KEY, OPTIONS
from swarm_formula.compose.target import Target
from swarm_formula.core import faults as core_faults
from swarm_formula.core import normalize
from swarm_formula.core.faults import Fault, FaultError
from swarm_formula.spec import option_table, service_modes, service_options, service_shapes


class Names(NamedTuple):
    """What services of a stack may name: ``{key in the file: ...}``."""

    stack: str
    networks: Mapping[str, str]  # name in Docker
    volumes: Mapping[str, dict[str, Any]]  # options of the mount
    secrets: Mapping[str, str]  # name in the pillar or in Docker
    configs: Mapping[str, str]
    variables: Mapping[str, str]
    read: Callable[[str], bytes]  # a file, by its path in the compose file
    target: Target


class Found(NamedTuple):
    """A service that was read."""

    options: dict[str, Any]  # in their canonical form
    faults: list[Fault]
    ignored: list[str]  # keys, each with the reason


def read(key: str, given: Any, names: Names, path: str) -> Found:
    """
    Read a service.

    key
        Its name in the file.

    path
        Where it is, for the faults.
    """
    reader = _Reader(key, names, path)
    if not isinstance(given, dict):
        return Found({}, [Fault(path, given, "a mapping of options")], [])
    reader.walk(given, "")
    return reader.found()


class _Reader:
    """Goes through the keys of one service."""

    def __init__(self, key: str, names: Names, path: str) -> None:
        self.key, self.names, self.path = key, names, path
        self.options: dict[str, Any] = {}
        self.faults: list[Fault] = []
        self.ignored: list[str] = []
        self.disabled = False  # its healthcheck
        self.deploy: dict[str, Any] = {}  # mode, replicas and restart: they become options together
        self.variables: dict[str, dict[str, Any]] = {"env_file": {}, "environment": {}}
        self.mounts: list[dict[str, Any]] = []
        self.special: dict[str, Callable[[str, Any], None]] = {
            "environment": self._environment,
            "env_file": self._env_file,
            "networks": self._networks,
            "ports": self._ports,
            "volumes": self._volumes,
            "tmpfs": self._tmpfs,
            "secrets": self._files,
            "configs": self._files,
            "healthcheck.disable": self._disable,
            "credential_spec": self._credentials,
            GENERIC_KEY: self._generic,
            "deploy.mode": self._keep,
            "deploy.replicas": self._keep,
            "scale": self._keep,
            "restart": self._keep_text,
            "profiles": self._nothing,
        }

    def found(self) -> Found:
        """Return the service, with the labels of its stack."""
        self._networks("networks", {"default": None}, weak=True)
        self._disable_check()
        self._set("env", {**self.variables["env_file"], **self.variables["environment"]})
        self._set("mounts", self.mounts, "volumes")
        skip = None if self.names.target.keeps_restart else self._skip
        for option, value, name in deploy.modes(self.deploy, self.options, skip):
            self._set(option, value, name)
        if not self.faults and "image" not in self.options:
            self.faults.append(Fault(f"{self.path}:image", None, service_shapes.IMAGE.expects))
        self._label()
        if not self.faults:
            self.faults += service_modes.conflicts(self.options, self.path)
        self.faults += self.names.target.faults(self.options, self.path)
        return Found(self.options, self.faults, self.ignored)

    def _label(self) -> None:
        """Add the labels of the stack to those of the service and of its containers."""
        target, stack = self.names.target, self.names.stack
        own = {
            "labels": target.services(stack, self.options.get("image", "")),
            "container_labels": target.containers(stack, self.key),
        }
        for option, labels in own.items():
            if labels:
                self.options[option] = {**self.options.get(option, {}), **labels}

    def walk(self, given: Mapping[str, Any], prefix: str) -> None:
        """Read the keys of a service, or of a section of it; ``null`` is no value."""
        # What `deploy` has counts more than what keys of version 2 have.
        for key in sorted(given, key=lambda one: one == "deploy"):
            if "." in key:
                place = self._place(prefix).removesuffix(":")
                self.faults.append(core_faults.unknown_key(place, key, self._below(prefix)))
            elif given[key] is not None:
                self._key(f"{prefix}{key}", given[key])

    def _key(self, name: str, value: Any) -> None:
        place, target = self._place(name), self.names.target
        if name in target.ignored:
            self._skip(name, target.ignored[name])
        elif name in target.refused:
            self.faults.append(Fault(place, "what cannot be kept", target.refused[name]))
        elif name in self.special:
            self._try(name, value)
        elif name in OPTIONS:
            self._set(OPTIONS[name], values.loosely(OPTIONS[name], value), name)
        elif not (below := self._below(f"{name}.")):
            above, _, key = name.rpartition(".")
            known = self._below(f"{above}." if above else "")
            self.faults.append(core_faults.unknown_key(place.rpartition(":")[0], key, known))
        elif isinstance(value, dict):
            self.walk(value, f"{name}.")
        else:
            want = f"a mapping of {', '.join(below)}"
            self.faults.append(Fault(place, "something else", want))

    def _below(self, prefix: str) -> list[str]:
        names = [*OPTIONS, *self.special]
        below = (one.removeprefix(prefix) for one in names if one.startswith(prefix))
        return list(dict.fromkeys(one.partition(".")[0] for one in below))

    def _place(self, name: str) -> str:
        return f"{self.path}:{name.replace('.', ':')}"

    def _try(self, name: str, value: Any) -> None:
        try:
            self.special[name](name, value)
        except FaultError as err:
            self.faults.append(err.at(self._place(name)))
        except (ValueError, TypeError, AttributeError, KeyError, IndexError):
            want = "the shape that the compose specification has"
            self.faults.append(Fault(self._place(name), "something else", want))

    def _set(self, option: str, value: Any, name: str = "", weak: bool = False) -> None:
        """Set an option of the formula, unless its value is empty; of ``weak``, only if unset."""
        if value in ({}, [], "", None) or (weak and option in self.options):
            return
        place = self._place(name or option)
        self.options[option], faults = option_table.read(
            service_options.OPTIONS[option], value, place
        )
        self.faults += faults

    def _skip(self, what: str, why: str) -> None:
        self.ignored.append(f"{self.key}.{what} ({why})")

    # ---- keys that are more than an option

    def _environment(self, _name: str, value: Any) -> None:
        for key, one in values.pairs(value, lone=None).items():
            self._variable("environment", key, one)

    def _variable(self, where: str, key: str, value: Any) -> None:
        """Add a variable; one without a value has the one that the pillar gives to the stack."""
        if value is None and key not in self.names.variables:
            self._skip(f"{where}.{key}", "`environment` of the stack has no value for it")
            return
        value = self.names.variables[key] if value is None else normalize.text(value)
        self.variables[where][key] = value

    def _env_file(self, _name: str, value: Any) -> None:
        for key, one in env_files.read(value, self.names.read):
            self._variable("env_file", key, one)

    def _networks(self, name: str, value: Any, weak: bool = False) -> None:
        given = value if isinstance(value, dict) else dict.fromkeys(values.listed(value))
        found = compose_networks.attached(given, self.names.networks, self.key, self._skip)
        self._set("networks", found, name, weak)

    def _ports(self, name: str, value: Any) -> None:
        found = compose_networks.ports(value, self.names.target.port_mode)
        self._set("ports", found, name)

    # One by one: those before a faulty one count.

    def _tmpfs(self, _name: str, value: Any) -> None:
        for mount in mounts.tmpfs(value):
            self.mounts.append(mount)

    def _volumes(self, _name: str, value: Any) -> None:
        for mount in mounts.volumes(value, self.names.volumes, self._skip):
            self.mounts.append(mount)

    def _files(self, kind: str, value: Any) -> None:
        known = getattr(self.names, kind)
        self._set(kind, mounts.files(value, known, kind), kind)

    def _disable(self, _name: str, value: Any) -> None:
        self.disabled = values.flag(value)
        if not isinstance(self.disabled, bool):
            raise FaultError("something else", "true or false")

    def _disable_check(self) -> None:
        name = "healthcheck.disable"
        if self.disabled and "healthcheck.test" in self.options:
            # `docker stack deploy` refuses both.
            want = "no such key, or no `test` beside it"
            self.faults.append(Fault(self._place(name), True, want))
        elif self.disabled:
            self._set("healthcheck.test", ["NONE"], name)

    def _generic(self, name: str, value: Any) -> None:
        found = [one["discrete_resource_spec"] for one in values.listed(value)]
        self._set(GENERIC, {one["kind"]: values.whole(one["value"]) for one in found}, name)

    def _credentials(self, name: str, value: Any) -> None:
        values.known(value, ("file", "registry", "config"))
        given = {kind: one for kind, one in value.items() if one}
        if given.keys() not in ({"file"}, {"registry"}):
            raise FaultError(", ".join(given) or "nothing", "either file or registry")
        ((kind, one),) = given.items()
        self._set("credential_spec", f"{kind}://{one}", name)

    def _nothing(self, _name: str, _value: Any) -> None:
        """Read a key that says nothing: a service with `profiles` does not come here."""

    def _keep(self, name: str, value: Any) -> None:
        self.deploy[name.rpartition(".")[2]] = value

    def _keep_text(self, name: str, value: Any) -> None:
        self.deploy[name] = normalize.text(value)
