"""
Manage private registries: root's logins, the CA certificates that Docker trusts for them, and the
swarm's own registry.
"""

from pathlib import Path

from swarm_formula.core import errors, host_files, own_registry
from swarm_formula.docker import engine_api
from swarm_formula.docker import registries as docker_registries
from swarm_formula.registry import removal, trusted
from swarm_formula.salt import mine as salt_mine
from swarm_formula.salt import secret_store

__virtualname__ = "swarm_registry"

_CERTS = Path("/etc/docker/certs.d")
_RECORD = "registries"


def __virtual__():
    return __virtualname__


def apply(test=False):
    """
    Ensure root's Docker client has the logins of ``swarm:registries``, and the engine the CAs.

    Return the changes, without passwords: ``{"registry HOST": {"old": "no login", "new": ...}}``.
    Entries that an administrator has added to ``config.json`` are kept.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_registry.apply test=True
    """
    settings = __salt__["swarm_settings.get"]()
    registries = settings["registries"]
    # Read all secrets before anything is written.
    logins = {host: _login(host, one) for host, one in registries.items() if one["username"]}
    authorities = {
        host: _authority(host, one) for host, one in registries.items() if one["ca_cert"]
    }
    own = _own_authorities(settings, test)
    found = {host: text for host, text in own.items() if text}
    changes = _converge(logins, {**authorities, **found}, test)
    # A dry run on a host without certificates cannot know the CA.
    return {**changes, **{_title(host): _first(host) for host in own if host not in found}}


def remove(test=False):
    """
    Ensure the logins and CAs that the formula added are absent; an administrator's are kept.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_registry.remove test=True
    """
    return _converge({}, {}, test)


def run(test=False):
    """
    Ensure the registry of ``swarm:registry`` runs if the pillar names this host, and return what
    changed; on any other host, ensure there is none of the formula's.

    It has this host's certificate. Its images stay in their folder when it is removed.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_registry.run test=True
    """
    settings = __salt__["swarm_settings.get"]()
    if not own_registry.is_here(settings):
        return removal.remove(__salt__, test)
    from swarm_formula.registry import server

    return server.apply(__salt__, settings, test)


def remove_container(test=False):
    """
    Ensure the formula's own registry is removed from this host; its images stay in their folder.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_registry.remove_container test=True
    """
    return removal.remove(__salt__, test)


def _own_authorities(settings, test):
    found = trusted.authorities(settings, salt_mine.Mine(__salt__, __opts__), test)
    if not found:
        return {}
    noted, known = host_files.record(_RECORD).get("authorities", {}), trusted.known()
    for host, text in found.items():
        path = _certificate(host)
        if text:
            current = host_files.read(path)
            docker_registries.refuse_foreign(path, current, text, noted.get(host), known)
    return found


def _first(host):
    old = docker_registries.fingerprint(host_files.read(_certificate(host)))
    return {"old": old, "new": "the swarm's CA"}


def _secret(host, option, place):
    found = secret_store.load(__salt__, place, missing="")
    if not found:
        raise errors.SwarmError(
            f"there is nothing in {place} on {__opts__['id']} (swarm:registries:{host}:{option}):"
            " put it there"
        )
    return found


def _login(host, registry):
    password = _secret(host, "password", registry["password"])
    what = f"{registry['password']} on {__opts__['id']} (swarm:registries:{host}:password)"
    docker_registries.refuse_password(password, what)
    return registry["username"], password


def _authority(host, registry):
    place = registry["ca_cert"]
    text = _secret(host, "ca_cert", place)
    return docker_registries.authority(
        text, f"{place} on {__opts__['id']} (swarm:registries:{host}:ca_cert)"
    )


def _converge(logins, authorities, test):
    """Ensure these logins and CAs are present, and no others that the formula has added."""
    noted = host_files.record(_RECORD)
    path = engine_api.LOGINS
    config = host_files.read_json(path)
    outcome = docker_registries.merge(config, logins, noted.get("logins", {}), str(path))
    files, changes, ours = _certificates(authorities, noted.get("authorities", {}))
    secret = _mode(outcome)
    if not test:
        # Recorded first, so that the files of a run that is killed can still be removed.
        sections = {"logins": outcome.noted, "authorities": ours}
        host_files.note(_RECORD, {key: one for key, one in sections.items() if one})
        if secret or outcome.changes:
            _write_logins(outcome.config)
        for host, text in files.items():
            _write_certificate(host, text)
    return {**outcome.changes, **secret, **changes}


def _title(host):
    return f"CA of registry {host}"


def _certificate(host):
    return _CERTS / host / "ca.crt"


def _certificates(wanted, noted):
    """Return the files to write ``{host: text}``, the changes, and our CAs ``{host: SHA-256}``."""
    files, changes, ours = {}, {}, {}
    for host in sorted({*wanted, *noted}):
        text, current = wanted.get(host), host_files.read(_certificate(host))
        new, old = docker_registries.fingerprint(text), docker_registries.fingerprint(current)
        # A file that has been replaced by someone else meanwhile is kept.
        if current != text and (text or old == noted[host]):
            files[host] = text
            changes[_title(host)] = {"old": old, "new": new}
        if text and (host in noted or current != text):
            ours[host] = new
    return files, changes, ours


def _write_certificate(host, text):
    path = _certificate(host)
    host_files.write(path, text)
    if text is None:
        for folder in (path.parent, _CERTS):
            host_files.drop_empty(folder)


def _mode(outcome):
    """Return the change of the file mode if other users could read a login that we wrote."""
    path = engine_api.LOGINS
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    if not outcome.noted or not mode & 0o077:
        return {}
    return {f"mode of {path}": {"old": f"{mode:04o}", "new": "0600"}}


def _write_logins(config):
    path = engine_api.LOGINS
    if not config:
        host_files.write(path, None)
        host_files.drop_empty(path.parent)
        return
    host_files.write(path, host_files.to_json(config), mode=0o600, keep=False)
