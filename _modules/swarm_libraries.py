"""
Install and remove the Python libraries that the formula needs in Salt's own Python.
"""

import importlib.metadata

import swarm_errors
import swarm_files
import swarm_proxy
from salt.exceptions import CommandExecutionError

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
_WANTED = {
    "docker>=5,<8": ("docker",),
    "python-consul>=1.1,<2": ("python-consul", "py-consul"),
}


def missing():
    """
    Return the pip requirements of the missing libraries.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_libraries.missing
    """
    return [requirement for requirement, names in _WANTED.items() if not _version(names)]


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
            text = swarm_proxy.shown(result.get("stderr") or result.get("stdout") or "")
            text = text.strip()[-1000:]
            raise swarm_errors.SdkMissingError(
                f"pip could not install {', '.join(wanted)} into Salt's Python: {text}"
            )
        swarm_files.note(_SECTION, {**swarm_files.record(_SECTION), **dict.fromkeys(wanted, True)})
    return {
        requirement: {"old": None, "new": _version(_WANTED[requirement]) or requirement}
        for requirement in wanted
    }


def _pip(wanted):
    """Run pip with the engine's proxy: in its environment, as Salt logs its command line."""
    proxy = swarm_proxy.wanted(__salt__["swarm_settings.get"](), __salt__)
    more = {"env_vars": swarm_proxy.environment(proxy)} if proxy else {}
    try:
        return __salt__["pip.install"](pkgs=wanted, disable_version_check=True, **more)
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
    ours = [one for one in swarm_files.record(_SECTION) if one in _WANTED and one not in missing()]
    changes = {one: {"old": _version(_WANTED[one]), "new": None} for one in ours}
    if not test:
        if ours:
            __salt__["pip.uninstall"](pkgs=[_WANTED[one][0] for one in ours])
        swarm_files.note(_SECTION, {})
    return changes
