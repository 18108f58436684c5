"""
Read a service of a compose file: its keys become options of ``swarm_service_spec``. Pure.

One table says which key is which option, one which keys are ignored or refused, and why. What
``docker stack deploy`` ignores is ignored, and what it refuses is refused.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import swarm_errors
import swarm_fault
import swarm_options
import swarm_service_spec as spec
import swarm_values
from swarm_fault import Fault, FaultError

NAMESPACE, IMAGE = "com.docker.stack.namespace", "com.docker.stack.image"
_HIGHEST_PORT = 65535


class Names(NamedTuple):
    """What services of a stack may name: ``{key in the file: ...}``."""

    stack: str
    networks: Mapping[str, str]  # name in Docker
    volumes: Mapping[str, dict]  # options of the mount
    secrets: Mapping[str, str]  # name in the pillar or in Docker
    configs: Mapping[str, str]
    variables: Mapping[str, str]
    read: Callable[[str], bytes]  # a file, by its path in the compose file


def _of_sections(place: str, *sections: str) -> dict[str, str]:
    return {
        f"{place}{name}": name
        for name in spec.OPTIONS
        if name.partition(".")[0] in sections and "." in name
    }


# Keys that are an option of the formula, with a value in the same words.
OPTIONS = {
    "image": "image",
    "entrypoint": "command",
    "command": "args",
    "labels": "container_labels",
    "hostname": "hostname",
    "user": "user",
    "group_add": "groups",
    "working_dir": "workdir",
    "stop_signal": "stop_signal",
    "stop_grace_period": "stop_grace_period",
    "init": "init",
    "read_only": "read_only",
    "tty": "tty",
    "stdin_open": "stdin",
    "dns": "dns",
    "dns_search": "dns_search",
    "dns_opt": "dns_options",
    "extra_hosts": "hosts",
    "cap_add": "cap_add",
    "cap_drop": "cap_drop",
    "sysctls": "sysctls",
    "ulimits": "ulimits",
    # Of version 2: `docker stack deploy` does not take them.
    "mem_limit": "limits.memory",
    "cpus": "limits.cpus",
    "pids_limit": "limits.pids",
    "mem_reservation": "reservations.memory",
    **_of_sections("", "healthcheck", "logging"),
    "deploy.labels": "labels",
    "deploy.endpoint_mode": "endpoint_mode",
    "deploy.placement.constraints": "constraints",
    "deploy.placement.preferences": "preferences",
    "deploy.placement.max_replicas_per_node": "max_replicas_per_node",
    **_of_sections("deploy.resources.", "limits", "reservations"),
    **_of_sections("deploy.", "update_config", "rollback_config", "restart_policy"),
}

_ON_EACH_NODE = "swarm mode has no such option"
IGNORED = {
    "annotations": _ON_EACH_NODE,
    "attach": "it is for `docker compose up`",
    "build": "nodes cannot build images: push the image, and name it in `image`",
    "cgroup": _ON_EACH_NODE,
    "cgroup_parent": _ON_EACH_NODE,
    "cgroupns_mode": _ON_EACH_NODE,
    "container_name": "tasks have names of their own",
    "depends_on": "services start in any order: let them try again, or give them a healthcheck",
    "develop": "it is for `docker compose watch`",
    "device_cgroup_rules": _ON_EACH_NODE,
    "devices": _ON_EACH_NODE,
    "domainname": _ON_EACH_NODE,
    "expose": "services reach each other on all ports",
    "external_links": "services of a common network reach each other by name",
    "ipc": _ON_EACH_NODE,
    "links": "services of a common network reach each other by name",
    "mac_address": _ON_EACH_NODE,
    "network_mode": "use a network, or {host: {external: true, name: host}} in `networks`",
    "oom_kill_disable": _ON_EACH_NODE,
    "pid": _ON_EACH_NODE,
    "platform": "use deploy.placement.constraints with node.platform.arch",
    "privileged": _ON_EACH_NODE,
    "pull_policy": "nodes pull an image that they do not have",
    "security_opt": _ON_EACH_NODE,
    "shm_size": "use a volume of type tmpfs at /dev/shm",
    "userns_mode": _ON_EACH_NODE,
    "uts": _ON_EACH_NODE,
}
_LIMITS = "deploy.resources: swarm mode has no other limits"
_NOT_SUPPORTED = "no such key: this formula does not support it"
MERGE = "what `docker compose config` makes of the file"
REFUSED = {
    "blkio_config": _LIMITS,
    "cpu_count": _LIMITS,
    "cpu_percent": _LIMITS,
    "cpu_period": _LIMITS,
    "cpu_quota": _LIMITS,
    "cpu_rt_period": _LIMITS,
    "cpu_rt_runtime": _LIMITS,
    "cpu_shares": _LIMITS,
    "cpuset": _LIMITS,
    "memswap_limit": _LIMITS,
    "mem_swappiness": _LIMITS,
    "storage_opt": _LIMITS,
    "credential_spec": "no such key: it is for nodes with Windows",
    "isolation": "no such key: it is for nodes with Windows",
    "extends": MERGE,
    "gpus": "no such key: services have no devices",
    "runtime": "no such key: services have the default runtime of the engine",
    "label_file": "labels",
    "post_start": "no such key: swarm mode runs no commands beside a task",
    "pre_stop": "no such key: swarm mode runs no commands beside a task",
    "provider": "no such key: only services that are containers",
    "use_api_socket": "no such key: mount the socket, on managers only",
    "volume_driver": "`driver` of a volume in `volumes` of the file",
    "volumes_from": "a volume in `volumes` of the file, that both services name",
    "oom_score_adj": _NOT_SUPPORTED,
    "healthcheck.start_interval": _NOT_SUPPORTED,
    "deploy.resources.reservations.devices": "no such key: services have no devices",
    "deploy.resources.reservations.generic_resources": _NOT_SUPPORTED,
}


class Found(NamedTuple):
    """A service that was read."""

    options: dict  # in their canonical form
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
        self.options: dict = {}
        self.faults: list[Fault] = []
        self.ignored: list[str] = []
        self.deploy: dict = {}  # mode, replicas and restart: they become options together
        self.variables: dict = {"env_file": {}, "environment": {}}
        self.mounts: list = []
        self.special = {
            "environment": self._environment,
            "env_file": self._env_file,
            "networks": self._networks,
            "ports": self._ports,
            "volumes": self._volumes,
            "tmpfs": self._tmpfs,
            "secrets": self._files,
            "configs": self._files,
            "healthcheck.disable": self._disable,
            "deploy.mode": self._keep,
            "deploy.replicas": self._keep,
            "scale": self._keep,
            "restart": self._keep_text,
        }

    def found(self) -> Found:
        """Return the service, with the labels of its stack."""
        self._set("networks", self._attached({"default": None}), "networks", weak=True)
        self._set("env", {**self.variables["env_file"], **self.variables["environment"]})
        self._set("mounts", self.mounts, "volumes")
        self._modes()
        if not self.faults and "image" not in self.options:
            self.faults.append(Fault(f"{self.path}:image", None, spec.IMAGE.expects))
        own = {NAMESPACE: self.names.stack}
        labels = self.options.get("labels", {})
        labels = {**labels, **own, IMAGE: self.options.get("image", "")}
        self.options["labels"] = labels
        self.options["container_labels"] = {**self.options.get("container_labels", {}), **own}
        if not self.faults:
            self.faults += spec.conflicts(self.options, self.path)
        return Found(self.options, self.faults, self.ignored)

    def walk(self, given: dict, prefix: str) -> None:
        """Read the keys of a service, or of a section of it; ``null`` is no value."""
        # What `deploy` has counts more than what keys of version 2 have.
        for key in sorted(given, key=lambda one: one == "deploy"):
            if "." in key:
                place = self._place(prefix).removesuffix(":")
                self.faults.append(swarm_fault.unknown_key(place, key, self._below(prefix)))
            elif given[key] is not None:
                self._key(f"{prefix}{key}", given[key])

    def _key(self, name: str, value: Any) -> None:
        place = self._place(name)
        if name in IGNORED:
            self._skip(name, IGNORED[name])
        elif name in REFUSED:
            self.faults.append(Fault(place, "what cannot be kept", REFUSED[name]))
        elif name in self.special:
            self._try(name, value)
        elif name in OPTIONS:
            self._set(OPTIONS[name], _loosely(OPTIONS[name], value), name)
        elif not (below := self._below(f"{name}.")):
            above, _, key = name.rpartition(".")
            known = self._below(f"{above}." if above else "")
            self.faults.append(swarm_fault.unknown_key(place.rpartition(":")[0], key, known))
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
        self.options[option], faults = swarm_options.read(spec.OPTIONS[option], value, place)
        self.faults += faults

    def _skip(self, what: str, why: str) -> None:
        self.ignored.append(f"{self.key}.{what} ({why})")

    # ---- variables

    def _environment(self, _name: str, value: Any) -> None:
        for key, one in pairs(value, lone=None).items():
            self._variable("environment", key, one)

    def _variable(self, where: str, key: str, value: Any) -> None:
        """Add a variable; one without a value has the one that the pillar gives to the stack."""
        if value is None and key not in self.names.variables:
            self._skip(f"{where}.{key}", "`environment` of the stack has no value for it")
            return
        value = self.names.variables[key] if value is None else swarm_values.text(value)
        self.variables[where][key] = value

    def _env_file(self, _name: str, value: Any) -> None:
        for one in value if isinstance(value, list) else [value]:
            entry = one if isinstance(one, dict) else {"path": one}
            _known(entry, ("path", "required", "format"))
            for key, found in variables_of(self._text(entry)).items():
                self._variable("env_file", key, found)

    def _text(self, entry: Mapping[str, Any]) -> str:
        try:
            return self.names.read(swarm_values.text(entry.get("path"))).decode()
        except swarm_errors.SwarmError:
            if entry.get("required", True):
                raise
            return ""

    # ---- networks and ports

    def _networks(self, name: str, value: Any) -> None:
        given = value if isinstance(value, dict) else dict.fromkeys(value)
        self._set("networks", self._attached(given), name)

    def _attached(self, given: Mapping[str, Any]) -> dict:
        found = {}
        for key, options in given.items():
            more = dict(options or {})
            for ignored in _ADDRESSES & more.keys():
                self._skip(f"networks.{key}.{ignored}", "swarm mode chooses it")
                more.pop(ignored)
            network = _named(key, self.names.networks, "networks")
            if network not in _NOT_OF_USERS:
                more["aliases"] = [*(more.get("aliases") or []), self.key]
            found[network] = more
        return found

    def _ports(self, name: str, value: Any) -> None:
        found = []
        for one in value:
            if isinstance(one, dict):
                port = {key: _whole(each) for key, each in one.items() if key not in _PORT_NAMES}
                span = str(port.get("published") or "")
                if "-" in span:
                    raise FaultError(
                        span, "one published port: swarm mode does not choose one of them"
                    )
                found.append({key: each for key, each in port.items() if each not in ("", None)})
            else:
                found += short_ports(swarm_values.text(one))
        self._set("ports", found, name)

    # ---- mounts

    def _tmpfs(self, _name: str, value: Any) -> None:
        for one in value if isinstance(value, list) else [value]:
            target, _, options = swarm_values.text(one).partition(":")
            more = dict(each.partition("=")[::2] for each in options.split(",") if each)
            _known(more, ("size", "mode"))
            self.mounts.append({"type": "tmpfs", "target": target, **more})

    def _volumes(self, _name: str, value: Any) -> None:
        for one in value:
            mount = self._short(one) if isinstance(one, str) else self._long(one)
            source = mount.get("source", "")
            if mount["type"] == "volume" and source:
                mount |= _named(source, self.names.volumes, "volumes")
            elif mount["type"] == "bind" and not source.startswith("/"):
                want = "an absolute path that each node has: nodes have no folder of this file"
                raise FaultError(source, want)
            self.mounts.append(mount)

    def _short(self, text: str) -> dict:
        source, _, rest = text.partition(":")
        if not rest:
            return {"type": "volume", "target": text}
        target, _, options = rest.partition(":")
        mount = {"type": "bind" if source[0] in "./~" else "volume"}
        mount |= {"source": source, "target": target}
        for option in filter(None, options.split(",")):
            if option in _NOT_KEPT:
                self._skip(f"volumes.{target}:{option}", _ON_EACH_NODE)
            elif option not in _SHORT_OPTIONS:
                raise FaultError(option, f"one of {', '.join(_SHORT_OPTIONS)}")
            else:
                mount |= _SHORT_OPTIONS[option]
        return mount

    def _long(self, given: dict) -> dict:
        mount = {}
        for key, value in given.items():
            if isinstance(value, dict) and key in ("bind", "volume", "tmpfs"):
                for below, one in value.items():
                    mount |= self._mount_option(f"{key}.{below}", one)
            else:
                mount |= self._mount_option(key, value)
        if "type" not in mount:
            raise FaultError("a mount without `type`", "bind, volume or tmpfs")
        return mount

    def _mount_option(self, key: str, value: Any) -> dict:
        if value is None:
            return {}
        if key in _NOT_KEPT:
            self._skip(f"volumes.{key}", _ON_EACH_NODE)
            return {}
        if key not in _MOUNT:
            _known({key: value}, (*_MOUNT,))
        if key == "tmpfs.mode" and isinstance(value, int):
            value = f"{value:04o}"
        return {_MOUNT[key]: flag(value) if key in ("read_only", "volume.nocopy") else value}

    # ---- secrets and configs

    def _files(self, kind: str, value: Any) -> None:
        found = []
        for one in value:
            file = dict(one) if isinstance(one, dict) else {"source": one}
            source = file.pop("source", None)
            if isinstance(file.get("mode"), int):
                file["mode"] = f"{file['mode']:04o}"
            given = {key: each for key, each in file.items() if each is not None}
            named = _named(source, getattr(self.names, kind), kind)
            found.append({"target": source, **given, "name": named})
        self._set(kind, found, kind)

    # ---- modes

    def _disable(self, name: str, value: Any) -> None:
        if flag(value):
            self._set("healthcheck.test", ["NONE"], name)

    def _keep(self, name: str, value: Any) -> None:
        self.deploy[name.rpartition(".")[2]] = value

    def _keep_text(self, name: str, value: Any) -> None:
        self.deploy[name] = swarm_values.text(value)

    def _modes(self) -> None:
        mode = self.deploy.get("mode")
        replicas = self.deploy.get("replicas", self.deploy.get("scale"))
        self._set("mode", mode, "deploy.mode")
        if replicas is not None:
            job = ("completions", "max_concurrent")
            for option in job if mode == "replicated-job" else ("replicas",):
                self._set(option, _loosely(option, replicas), "deploy.replicas")
        if "restart" in self.deploy and not any(one.startswith("restart_") for one in self.options):
            self._restart(self.deploy["restart"])

    def _restart(self, policy: str) -> None:
        """Keep a restart policy of containers as ``docker stack deploy`` does."""
        kind, _, most = policy.partition(":")
        if kind in ("no", "false", ""):
            self._skip("restart", "use deploy.restart_policy: {condition: none}")
            return
        known = {"always": "any", "unless-stopped": "any", "on-failure": "on-failure"}
        self._set("restart_policy.condition", known.get(kind, kind), "restart")
        if most:
            self._set("restart_policy.max_attempts", _whole(most), "restart")


_ADDRESSES = {
    "ipv4_address",
    "ipv6_address",
    "link_local_ips",
    "mac_address",
    "priority",
    "gw_priority",
    "interface_name",
}
_NOT_OF_USERS = {"host", "bridge", "none"}
# Keys of a port that say something to other tools only.
_PORT_NAMES = {"name", "app_protocol"}
_NOT_KEPT = {
    *("z", "Z", "cached", "delegated", "consistent", "consistency"),
    *("bind.create_host_path", "bind.selinux"),
}
_MOUNT = {
    "type": "type",
    "source": "source",
    "target": "target",
    "read_only": "read_only",
    "bind.propagation": "propagation",
    "volume.nocopy": "no_copy",
    "tmpfs.size": "size",
    "tmpfs.mode": "mode",
}
_SHORT_OPTIONS = {
    "ro": {"read_only": True},
    "rw": {"read_only": False},
    "nocopy": {"no_copy": True},
    **{
        one: {"propagation": one}
        for one in ("rprivate", "private", "rshared", "shared", "rslave", "slave")
    },
}
_PORT = re.compile(
    r"(?P<address>.*:)?(?P<published>[0-9]+(?:-[0-9]+)?)?:"
    r"(?P<target>[0-9]+(?:-[0-9]+)?)(?P<protocol>/\w+)?"
)


def _named(key: Any, known: Mapping[str, Any], kind: str) -> Any:
    if not isinstance(key, str) or key not in known:
        hint = swarm_fault.suggest(key, known)
        raise FaultError(key, f"one that `{kind}` of the file has{hint}")
    return known[key]


def _known(entry: Mapping[str, Any], keys: tuple[str, ...]) -> None:
    for key in entry:
        if key not in keys:
            hint = swarm_fault.suggest(key, keys) or f": {', '.join(keys)}"
            raise FaultError(f"the unknown key {key}", f"a known one{hint}")


def _whole(value: Any) -> Any:
    """Return a number for its digits: variables are texts."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,10}", value) else value


def _real(value: Any) -> Any:
    return float(value) if isinstance(value, str) else value


def flag(value: Any) -> Any:
    """Return a flag, also of a text; anything else stays, and is refused by the option."""
    return {"true": True, "false": False}.get(str(value).lower(), value)


def pairs(value: Any, lone: Any = "") -> dict:
    """Return a mapping, of one or of ``[NAME=value]``; ``lone`` where there is no value."""
    if isinstance(value, list):
        split = [swarm_values.text(one).partition("=") for one in value]
        return {key: one if equals else lone for key, equals, one in split}
    return {key: lone if one is None else one for key, one in value.items()}


def _lines(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _hosts(value: Any) -> Any:
    """Return ``[name:address]``, where ``name=address`` is said as well."""
    if not isinstance(value, list):
        return value
    texts = map(swarm_values.text, value)
    found = (re.split(r"[=:]", one, maxsplit=1) for one in texts)
    return [":".join(one[:1] + [each.strip("[]") for each in one[1:]]) for one in found]


def _ulimits(value: dict) -> dict:
    return {
        name: f"{one.get('soft')}:{one.get('hard')}" if isinstance(one, dict) else one
        for name, one in value.items()
    }


# How a value of compose may be written beyond what the option takes.
_BY_OPTION = {"hosts": _hosts, "ulimits": _ulimits, "dns": _lines, "dns_search": _lines}
_BY_OPTION |= {"dns_options": _lines, "user": swarm_values.text}
_BY_SHAPE: dict[swarm_options.Shape, Callable[[Any], Any]] = {
    spec.COUNT: _whole,
    spec.RATIO: _real,
    spec.FLAG: flag,
    spec.LABELS: pairs,
    spec.TABLE: pairs,
}


def _loosely(option: str, value: Any) -> Any:
    """Return a value as the option takes it; one that is wrong stays so, and is refused there."""
    loose = _BY_OPTION.get(option) or _BY_SHAPE.get(spec.OPTIONS[option].shape)
    try:
        return loose(value) if loose else value
    except (ValueError, TypeError, AttributeError):
        return value


def short_ports(text: str) -> list[dict]:
    """Return the ports of ``[published:]target[/protocol]``; both may be ranges."""
    match = _PORT.fullmatch(text if ":" in text.rpartition("/")[0] or ":" in text else f":{text}")
    if not match or match["address"]:
        return [text]  # the option refuses it, and says why
    targets, published = _span(match["target"]), _span(match["published"] or "")
    more = {"protocol": match["protocol"][1:]} if match["protocol"] else {}
    if not published:
        return [{"target": one, **more} for one in targets]
    if len(targets) not in (1, len(published)):
        raise FaultError(text, "ranges of one length")
    targets = targets * len(published) if len(targets) == 1 else targets
    both = zip(published, targets, strict=True)
    return [{"published": one, "target": each, **more} for one, each in both]


def _span(text: str) -> list[int]:
    if not text:
        return []
    low, _, high = text.partition("-")
    if not int(low) <= int(high or low) <= _HIGHEST_PORT:
        raise FaultError(text, f"ports from 1 to {_HIGHEST_PORT}, the lower one first")
    return list(range(int(low), int(high or low) + 1))


def variables_of(text: str) -> dict[str, str | None]:
    """
    Return the variables of an ``env_file``, as ``docker stack deploy`` reads it.

    A value is all that follows ``=``, with its quotes; a name alone has no value.
    """
    found = {}
    for number, line in enumerate(map(str.lstrip, text.splitlines()), 1):
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not name or re.search(r"\s", name if equals else name.rstrip()):
            raise FaultError(
                f"line {number} of an env_file", "NAME=value, NAME, or # and a comment"
            )
        found[name.rstrip()] = value if equals else None
    return found
