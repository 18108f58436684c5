"""
Install and remove the Python libraries that the formula needs in Salt's own Python.
"""

import importlib.metadata

import swarm_errors
import swarm_files

__virtualname__ = "swarm_libraries"

_SECTION = "libraries"


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
_DOCKER, _CONSUL = "docker>=5,<8", "python-consul>=1.1,<2"
_WANTED = {_DOCKER: ("docker",), _CONSUL: ("python-consul", "py-consul")}


def missing():
    """
    Return the pip requirements of the missing libraries; builtin mode needs none for Consul.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_libraries.missing
    """
    builtin = __salt__["swarm_settings.get"]()["mode"] == "builtin"
    return [
        requirement
        for requirement, names in _WANTED.items()
        if not _version(names) and not (builtin and requirement == _CONSUL)
    ]


def install(test=False):
    """
    Ensure the libraries are installed in Salt's own Python; return the changes.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_libraries.install
    """
    wanted = missing()
    if wanted and not test:
        result = __salt__["pip.install"](pkgs=wanted, disable_version_check=True)
        if result["retcode"] != 0 or missing():
            text = (result.get("stderr") or result.get("stdout") or "").strip()[-1000:]
            raise swarm_errors.SdkMissingError(
                f"pip could not install {', '.join(wanted)} into Salt's Python: {text}"
            )
        swarm_files.note(_SECTION, {**swarm_files.record(_SECTION), **dict.fromkeys(wanted, True)})
    return {
        requirement: {"old": None, "new": _version(_WANTED[requirement]) or requirement}
        for requirement in wanted
    }


def remove(test=False):
    """
    Ensure the libraries that ``install`` installed are removed; return the changes.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_libraries.remove
    """
    recorded = swarm_files.record(_SECTION)
    ours = [one for one in recorded if one in _WANTED and _version(_WANTED[one])]
    changes = {one: {"old": _version(_WANTED[one]), "new": None} for one in ours}
    if not test:
        if ours:
            __salt__["pip.uninstall"](pkgs=[_WANTED[one][0] for one in ours])
        swarm_files.note(_SECTION, {})
    return changes
