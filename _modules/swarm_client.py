"""
Configure the Docker CLI of a node's users for the swarm.
"""

import os
import pwd
import shutil
import stat
from pathlib import Path

from swarm_formula.core import errors, host_files, modes
from swarm_formula.standalone import containers
from swarm_formula.tls import cert_files

__virtualname__ = "swarm_client"

_PROFILE = Path("/etc/profile.d/swarm.sh")
_FILES = ("ca.pem", "cert.pem", "key.pem")
# The API version of Swarm 1.2.9. Docker CLI 29 does not negotiate a version below 1.40: it would
# use its own, in which the manager returns lists without names and images.
_API = "1.30"


def __virtual__():
    return __virtualname__


def _folder():
    """Return the folder that holds a certificate folder for each user."""
    return host_files.CONFIG / "users"


def _is_client(settings):
    return settings["id"] in settings["client"]["nodes"]


def _profile(settings):
    if not _is_client(settings):
        return None
    manager = next(iter(containers.manager_endpoints(settings).values()))
    text = (
        "# Written by Salt (swarm-formula): docker and docker-compose talk to the swarm.\n"
        f"export DOCKER_HOST=tcp://{manager}\n"
    )
    if settings["tls"]["used"]:
        text += "export DOCKER_TLS_VERIFY=1\n"
    if settings["tls"]["ca"]:
        text += f'export DOCKER_CERT_PATH="{_folder()}/$(id -un)"\n'
    if modes.of(settings).old_api:
        text += f"export DOCKER_API_VERSION={_API}\n"
    return text


def apply(test=False):
    """
    Ensure login shells use the swarm if ``swarm:client:nodes`` lists this minion.

    If the swarm has a CA, each user in ``swarm:client:users`` gets a certificate.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_client.apply
    """
    settings = __salt__["swarm_settings.get"]()
    has_own = _is_client(settings) and settings["tls"]["ca"]
    # Look up all users first: an unknown user is an error before anything is written.
    users = {one: _user(one) for one in (settings["client"]["users"] if has_own else ())}
    changes = __salt__["swarm_tls.apply_client"](test=test)
    return {**changes, **_users(users, test), **_write(_profile(settings), test)}


def remove(test=False):
    """
    Ensure the formula's ``DOCKER_HOST`` setting and the users' certificates are removed.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_client.remove
    """
    return {**_users({}, test), **_write(None, test)}


def _write(wanted, test):
    current = host_files.read(_PROFILE)
    if current == wanted:
        return {}
    if not test:
        host_files.write(_PROFILE, wanted)
    return {str(_PROFILE): {"old": current, "new": wanted}}


def _users(users, test):
    """Ensure that only these users have a certificate, readable only by its owner."""
    there = {one.name for one in _folder().iterdir()} if _folder().is_dir() else set()
    changes = {}
    for name in sorted(there - set(users)):
        changes[f"certificate of {name}"] = {"old": "present", "new": None}
        if not test:
            shutil.rmtree(_folder() / name)
    for name, user in users.items():
        if old := _outdated(name):
            changes[f"certificate of {name}"] = {"old": old[0], "new": "the client's"}
            if not test:
                _give(name, user)
    if not test:
        host_files.drop_empty(_folder())
    return changes


def _outdated(name):
    """Return ``(current state,)`` if the user's certificate is missing or outdated."""
    source = Path(cert_files.CLIENT.current().folder)
    if not _is_safe(_folder() / name):
        return ("its user can write there",)
    texts = [
        [host_files.read(folder / one) for one in _FILES] for folder in (source, _folder() / name)
    ]
    if None in texts[0]:
        return ("none",)  # in test mode, the certificate may not exist yet
    return None if texts[0] == texts[1] else ("another" if any(texts[1]) else None,)


def _user(name):
    try:
        return pwd.getpwnam(name)
    except KeyError as err:
        raise errors.SwarmError(
            f"there is no user {name} on {__opts__['id']} (swarm:client:users): add the user there,"
            " or remove the name from the list"
        ) from err


def _is_safe(folder):
    """
    Check whether root may read and write a user's folder.

    In a folder of its own, the user could put a link to a file of root, or a pipe. Earlier versions
    gave the folder to the user.
    """
    if not folder.exists() and not folder.is_symlink():
        return True
    links = [one for one in _FILES if _is_odd(folder / one)]
    return not folder.is_symlink() and folder.stat().st_uid == os.geteuid() and not links


def _is_odd(path):
    """Check whether a path exists and is no regular file; a link is not followed."""
    try:
        return not stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def _take(folder):
    """Make root the owner of a user's folder, and remove what is no file of the formula in it."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        folder.unlink()
    folder.mkdir(mode=0o700, exist_ok=True)
    # First: from then on, the user cannot replace anything in it.
    os.chown(folder, os.geteuid(), -1, follow_symlinks=False)
    folder.chmod(0o700)
    for path in filter(_is_odd, (folder / one for one in _FILES)):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _give(name, user):
    source, folder = Path(cert_files.CLIENT.current().folder), _folder() / name
    _folder().mkdir(mode=0o755, parents=True, exist_ok=True)
    _take(folder)
    for one in _FILES:
        # A hard link, too, is replaced, and its file keeps its owner.
        host_files.write(folder / one, host_files.read(source / one), mode=0o400, keep=False)
        os.chown(folder / one, user.pw_uid, user.pw_gid, follow_symlinks=False)
    # The user may read it only.
    os.chown(folder, -1, user.pw_gid, follow_symlinks=False)
    folder.chmod(0o750)
