"""
Tell the package manager of the repository that has the engine.

Not with Salt's own ``pkg.mod_repo``: Salt 3006 has it without apt's current format.
"""

import contextlib
from pathlib import Path

from swarm_formula.core import errors, host_files, platforms
from swarm_formula.daemon import package_set

__virtualname__ = "swarm_repository"

_ETC, _APT = Path("/etc"), Path("/etc/apt")
# Package managers ignore files with this ending, and do not mention them.
_OFF = ".swarm-formula.disabled"
_PATH = "swarm:engine:repository"
# The section of this host's record: the sources of others that are switched off, and the keys that
# rpm did not trust before.
_NOTE = "repository"


def __virtual__():
    return __virtualname__


def _files():
    """Return the files of this host's package manager."""
    from swarm_formula.package import sources

    return sources.of(__grains__, _ETC, _APT)


def _fetched(key, host):
    """Return the text of the public key that pillar has, or has the place of."""
    if not key.startswith(("salt://", "/")):
        return key
    path = __salt__["cp.cache_file"](key) if key.startswith("salt://") else key
    text = host_files.read(Path(path)) if path else None
    if text is None:
        raise errors.SwarmError(
            f"there is no file {key} ({_PATH}:key) for {host}: put the repository's public key"
            f" there, as {_files().key_example} is one. Nothing was changed"
        )
    return text


def _key(repository, host):
    """Return the repository's key; raise an error if it is not the one that pillar expects."""
    from swarm_formula.package import openpgp

    text = _fetched(repository["key"], host)
    want = repository["fingerprint"] or platforms.of(__grains__).key
    want = want.replace(" ", "").upper()
    try:
        block = openpgp.block(text)
        found = openpgp.fingerprints(block)
    except ValueError as err:
        raise errors.SwarmError(
            f"{_PATH}:key is no public key on {host}: found {err}. Nothing was changed. Right would"
            " be one key as text, as 'gpg --armor --export' writes it"
        ) from err
    # With a second key in the file, its owner could sign packages as well.
    if found != [want]:
        raise errors.SwarmError(
            f"{_PATH}:key has the fingerprint {', '.join(found) or 'of no key'}, and pillar expects"
            f" {want} (fingerprint). Nothing was changed on {host}. Compare it with what the"
            " repository's owner publishes: if it is right there, correct the fingerprint; if not,"
            " the file was exchanged"
        )
    return block


def _wanted(settings):
    """Return the files, ``{path: text}``, with the key first."""
    files = _files()
    engines = {"docker-ce", settings["engine"]["package"]}
    packages = {one for engine in engines for one in package_set.held(engine)}
    texts = files.texts(settings, __grains__, packages)
    return {files.key: _key(settings["engine"]["repository"], settings["id"]), **texts}


def _copy(settings):
    """Return the copy of a repository that the file server has."""
    from swarm_formula.package import copied

    indexes = _files().indexes(settings, __grains__)
    return copied.Copy(__salt__, settings["engine"]["repository"], indexes, settings["id"])


def _foreign(settings):
    """
    Return the files of other tools with a source for the same archive; raise an error if the
    pillar does not let them be switched off.
    """
    files, found = _files(), []
    repository, host = settings["engine"]["repository"], settings["id"]
    for path in files.others():
        ours = files.of_archive(path, host_files.read(path) or "", repository["url"])
        if not any(ours):
            continue
        if not repository["take_over"]:
            raise errors.SwarmError(
                f"{host} has a source for {repository['url']} already, {path}: with a second one,"
                f" {files.second}. Nothing was changed. Leave out"
                f" {_PATH}:url to use that one; or set {_PATH}:take_over to true, to have it"
                " switched off until swarm.clean"
            )
        if not all(ours):
            raise errors.SwarmError(
                f"{path} on {host} has a source for {repository['url']}, and others as well"
                f" ({_PATH}:take_over). Nothing was changed. Take that source out of the file by"
                " hand, and apply again"
            )
        found.append(path)
    return found


def _report(old, new, off):
    """Return what changes, the key by its fingerprint."""
    files, changes = _files(), {}
    for path in new:
        if old[path] != new[path]:
            pair = (old[path], new[path])
            if path == files.key:
                pair = map(_told, pair)
            changes[files.names[path]] = dict(zip(("old", "new"), pair, strict=True))
    return {**changes, **{str(path): {"old": "in use", "new": "switched off"} for path in off}}


def _told(key):
    """Return a short text for a key."""
    from swarm_formula.package import openpgp

    try:
        return key and ", ".join(openpgp.fingerprints(key))
    except ValueError:
        return "another file"


def _switch_off(path):
    noted = host_files.record(_NOTE)
    host_files.note(_NOTE, {**noted, "off": sorted({*noted.get("off", []), str(path)})})
    path.replace(path.with_name(path.name + _OFF))


def _note_trust(files, key):
    """Note the key if the package manager starts to trust it with the first package."""
    from swarm_formula.package import openpgp

    new = {one for one in openpgp.fingerprints(key) if not files.knows(one)}
    if new:
        noted = host_files.record(_NOTE)
        imported = sorted({*noted.get("imported", []), *new})
        host_files.note(_NOTE, {**noted, "imported": imported})


def _switch_on(off):
    """Put the sources of others in use again, unless there are newer ones in their place."""
    for name in off:
        path = Path(name)
        disabled = path.with_name(path.name + _OFF)
        if disabled.exists() and not path.exists():
            disabled.replace(path)


@contextlib.contextmanager
def _undone(old, off):
    """After an error, restore the files, and put the sources of others in use again."""
    noted = host_files.record(_NOTE)
    try:
        yield
    except BaseException:
        for path, text in old.items():
            host_files.write(path, text)
        _switch_on(map(str, off))
        host_files.note(_NOTE, noted)
        raise


def apply(test=False):
    """
    Ensure the host knows the repository in ``swarm:engine:repository``; return what changed.

    The key has to have the fingerprint in the pillar. If the package manager cannot read the
    repository, the files are restored. If the pillar has no repository, that of the formula is
    removed.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_repository.apply test=True
    """
    settings = __salt__["swarm_settings.get"]()
    if not settings["engine"]["repository"]["url"]:
        return remove(test)
    new = _wanted(settings)
    off = _foreign(settings)
    old = {path: host_files.read(path) for path in new}
    copy = _copy(settings)
    copies = copy.changes()
    changes = {**copies, **_report(old, new, off)}
    if changes and not test:
        files = _files()
        files.prepare(settings)
        with copy.replaced() if copies else contextlib.nullcontext(), _undone(old, off):
            for path in off:
                _switch_off(path)
            _note_trust(files, new[files.key])
            for path, text in new.items():
                host_files.write(path, text)
            files.read()
    return changes


def remove(test=False):
    """
    Remove the formula's repository; return what changed.

    A source that the formula has switched off for it is in use again.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_repository.remove test=True
    """
    from swarm_formula.package import copied

    if platforms.refusal("", __grains__):
        # Nothing was ever written here.
        return {}
    files, noted = _files(), host_files.record(_NOTE)
    paths = [path for path in reversed(files.names) if path.exists()]
    old = {path: host_files.read(path) for path in paths}
    off = noted.get("off", [])
    if not test:
        for path in paths:
            host_files.write(path, None)
        _switch_on(off)
        for fingerprint in noted.get("imported", []):
            files.forget(fingerprint)
        host_files.note(_NOTE, {})
    changes = {**_report(old, dict.fromkeys(paths), ()), **copied.removed(test)}
    return {**changes, **{name: {"old": "switched off", "new": "in use"} for name in off}}
