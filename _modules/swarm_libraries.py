"""
Install and remove the Python libraries that the formula needs in Salt's own Python.
"""

import importlib.metadata
from pathlib import Path

from salt.exceptions import CommandExecutionError

from swarm_formula.core import errors, host_files, modes
from swarm_formula.daemon import proxy as daemon_proxy

__virtualname__ = "swarm_libraries"

_SECTION = "libraries"
_SALT = "salt://"
_SOURCE, _REQUIREMENTS = "swarm:libraries:source", "swarm:libraries:requirements"
_WHEEL = ".whl"


def __virtual__():
    return __virtualname__


def _version(names):
    for name in names:
        try:
            return f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


# Requirements for pip, and the names of the distributions that satisfy them.
_WANTED = {
    "docker>=5,<8": ("docker",),
    "python-consul>=1.1,<2": ("python-consul", "py-consul"),
}

# What pip says where the Python is that of the distribution (PEP 668), and what helps there.
_EXTERNAL = "externally-managed-environment"
_CURE = (
    ". Salt runs on this system's own Python: install these libraries as packages of the system,"
    " such as python3-docker and python3-consul, and apply again"
)


def _settings():
    return __salt__["swarm_settings.get"]()


def _lacking(requirements):
    return [one for one in requirements if not _version(_WANTED[one])]


def missing():
    """
    Return the pip requirements of the missing libraries; builtin mode needs no ``python-consul``.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_libraries.missing
    """
    needed = set(modes.of(_settings()).libraries)
    return _lacking([one for one, names in _WANTED.items() if needed.intersection(names)])


def install(test=False):
    """
    Ensure the libraries are installed in Salt's own Python; return the changes.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_libraries.install
    """
    wanted = missing()
    if wanted and not test:
        result = _pip(wanted)
        if result["retcode"] != 0 or missing():
            text = daemon_proxy.masked(result.get("stderr") or result.get("stdout") or "")
            text = text.strip()[-1000:]
            raise errors.SdkMissingError(
                f"pip could not install {', '.join(wanted)} into Salt's Python: {text}"
                f"{_CURE if _EXTERNAL in text else ''}"
            )
        host_files.note(_SECTION, {**host_files.record(_SECTION), **dict.fromkeys(wanted, True)})
    return {
        requirement: {"old": None, "new": _version(_WANTED[requirement]) or requirement}
        for requirement in wanted
    }


def _folders(source, minion):
    """Return the folders on this host with the wheels of the source."""
    if source.startswith(_SALT):
        found = map(Path, __salt__["cp.cache_dir"](source) or [])
    else:
        found = Path(source).glob(f"*{_WHEEL}")
    folders = sorted({str(one.parent) for one in found if one.suffix == _WHEEL})
    if not folders:
        raise errors.SdkMissingError(
            f"{minion} finds no wheels in {source} ({_SOURCE}): on a machine with an index and the"
            f" Python of Salt, 'pip wheel --wheel-dir FOLDER {' '.join(map(repr, _WANTED))}' makes"
            " them; put them there"
        )
    return folders


def _pinned(place, minion):
    """Return arguments for pip: install what a file lists, and nothing whose hash it lacks."""
    # Salt's own pip.install returns no exit code if there is no such file.
    path = __salt__["cp.cache_file"](place) if place.startswith(_SALT) else place
    if not path or not Path(path).is_file():
        raise errors.SdkMissingError(
            f"there is no file {place} for {minion} ({_REQUIREMENTS}): 'pip-compile"
            " --generate-hashes' makes one; put it there, or remove the key. Nothing was installed"
        )
    return {"requirements": path, "extra_args": ["--require-hashes"]}


def _pip(wanted):
    """Run pip with the engine's proxy: in its environment, as Salt logs its command line."""
    settings = _settings()
    pinned = settings["libraries"]["requirements"]
    what = _pinned(pinned, settings["id"]) if pinned else {"pkgs": wanted}
    if source := settings["libraries"]["source"]:
        more = {"no_index": True, "find_links": _folders(source, settings["id"])}
    else:
        proxy = daemon_proxy.wanted(settings, __salt__)
        more = {"env_vars": daemon_proxy.environment(proxy)} if proxy else {}
    try:
        return __salt__["pip.install"](disable_version_check=True, **what, **more)
    except CommandExecutionError as err:
        # Salt quotes the environment of a command that it cannot start.
        return {"retcode": 1, "stderr": str(err)}


def remove(test=False):
    """
    Ensure the libraries that ``install`` installed are removed; return the changes.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_libraries.remove
    """
    noted = [one for one in host_files.record(_SECTION) if one in _WANTED]
    ours = [one for one in noted if one not in _lacking(noted)]
    changes = {one: {"old": _version(_WANTED[one]), "new": None} for one in ours}
    if not test:
        if ours:
            __salt__["pip.uninstall"](pkgs=[_WANTED[one][0] for one in ours])
        host_files.note(_SECTION, {})
    return changes
