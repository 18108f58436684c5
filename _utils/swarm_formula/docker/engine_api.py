"""
Talk to the Docker Engine: one client, and one translation of all errors.
"""

import contextlib
import importlib
import logging
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from swarm_formula.core import deadlines
from swarm_formula.core import errors as core_errors
from swarm_formula.core.salt_types import Salt
from swarm_formula.docker import reader

log = logging.getLogger(__name__)

# Errors from reading an answer that is JSON, but not from Docker.
_MISSHAPEN = (AttributeError, IndexError, KeyError, TypeError)
# The header by which an engine tells its version, such as "Docker/26.1.5+dfsg1 (linux)".
_SERVER = re.compile(r"Docker/(?P<version>\S+)")
# Never from the environment: on a client node, DOCKER_HOST is the swarm, not this engine.
SOCKET = "unix:///var/run/docker.sock"
# Root's file, whatever HOME is: a service may have no HOME.
LOGINS = Path("/root/.docker/config.json")


@contextlib.contextmanager
def connect(
    url: str | None = None,
    timeout: float = 60,
    what: str = "docker",
    tls: Mapping[str, str | None] | None = None,
) -> Iterator[Any]:
    """
    Yield a ``docker.APIClient``, and close it at the end; raise its errors as ``SwarmError``.

    Without the SDK, the client can only read; any other call raises a ``SdkMissingError``.

    url
        URL of the engine. Defaults to the local socket.

    timeout
        Longest silence of the engine in a call, in seconds; a whole call may take twice as long.

    what
        The object of the calls, for error messages.

    tls
        For ``tcp://``, the paths ``cert`` and ``key`` of a client certificate, and ``ca``
        (``None``: the server is not verified).
    """
    url = url or SOCKET
    with translated(what, url):
        more = {"tls": _tls(tls)} if tls else {}
        client = _client()(base_url=url, version="auto", timeout=timeout, **more)
        try:
            yield client
        finally:
            client.close()


def connect_local(
    salt: Salt, what: str, timeout: float = 60
) -> contextlib.AbstractContextManager[Any]:
    """Connect to this host's engine; the minion option ``swarm_docker_url`` replaces its socket."""
    return connect(salt["config.get"]("swarm_docker_url"), timeout, what=what)


@contextlib.contextmanager
def translated(what: str, url: str = "") -> Iterator[None]:
    """Translate the SDK's and requests' errors into the formula's, with the object's name."""
    errors = _errors()
    requests = importlib.import_module("requests").exceptions
    try:
        yield
    except errors.APIError as err:
        raise core_errors.ApiError(f"{what}: Docker says: {words(err)}") from err
    except (errors.DockerException, requests.RequestException) as err:
        raise _unanswered(what, url, err, requests) from err
    except _MISSHAPEN as err:
        log.debug("%s: an answer of another shape", what, exc_info=True)
        raise core_errors.ApiError(
            f"{what}: Docker{url and f' at {url}'} answers what this formula does not understand"
            f" ({type(err).__name__}: {err}): is that a Docker Engine, 20.10 or later?"
        ) from err


@contextlib.contextmanager
def patience(text: str) -> Iterator[None]:
    """Raise a ``WaitTimeoutError`` with this text if the engine is silent for too long."""
    requests = importlib.import_module("requests").exceptions
    try:
        yield
    except (requests.Timeout, requests.ConnectionError) as err:
        # In the middle of a stream, requests reports a timeout as a ConnectionError.
        if isinstance(err, requests.Timeout) or "timed out" in str(err).lower():
            raise core_errors.WaitTimeoutError(text) from err
        raise


@contextlib.contextmanager
def unless_absent(test: bool) -> Iterator[None]:
    """In test mode, leave the block without an error if the engine or the SDK is absent."""
    try:
        yield
    except (core_errors.EngineUnreachableError, core_errors.SdkMissingError):
        if not test:
            raise


def found(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return what ``call`` returns, or ``None`` if Docker does not find the object."""
    try:
        return call(*args, **kwargs)
    except _errors().NotFound:
        return None


def all_or_none(
    wanted: Mapping[str, Any], apply: Callable[..., dict[str, Any]], test: bool
) -> dict[str, Any]:
    """
    Apply all objects, and return what changed; if one of them is refused, none is changed.

    apply
        Takes a name, a value of ``wanted``, and ``test``; returns what changed.
    """
    changes = {name: apply(name, one, test=True) for name, one in wanted.items()}
    if not test:
        changes = {name: apply(name, one) for name, one in wanted.items() if changes[name]}
    return {name: change for name, change in changes.items() if change}


def container(client: Any, name: str) -> dict[str, Any] | None:
    """Return the inspected container with exactly this name, or ``None``."""
    # Docker also accepts the beginning of an ID as a name.
    data = found(client.inspect_container, name)
    return data if data and data["Name"] == f"/{name}" else None


def post(client: Any, path: str, **kwargs: Any) -> Any:
    """Send a POST for which the SDK has no (complete) method, and return the response."""
    return _sent(client, client.post, path, kwargs)


def get(client: Any, path: str, **kwargs: Any) -> Any:
    """Send a GET for which the SDK has no (complete) method, and return the response."""
    _sdk()  # without it, the client is one that cannot do this
    return _sent(client, client.get, path, kwargs)


def _sent(client: Any, send: Callable[..., Any], path: str, kwargs: dict[str, Any]) -> Any:
    kwargs.setdefault("timeout", client.timeout)
    response = send(f"{client.base_url}/v{client.api_version}{path}", **kwargs)
    try:
        response.raise_for_status()
    except importlib.import_module("requests").exceptions.HTTPError as err:
        _sdk().errors.create_api_error_from_http_exception(err)
    return response


def registry(repository: str) -> str:
    """Return the registry of an image."""
    return str(_sdk().auth.resolve_repository_name(repository)[0])


def registry_login(client: Any, repository: str) -> dict[str, str]:
    """Return the header with root's saved login to the repository's registry, ``{}`` for none."""
    client.reload_config(str(LOGINS))
    header = _sdk().auth.get_config_header(client, registry(repository))
    return (
        {"X-Registry-Auth": header.decode() if isinstance(header, bytes) else header}
        if header
        else {}
    )


def words(err: Any) -> str:
    """Return Docker's own message from an API error."""
    text = err.explanation or str(err)
    return (text.decode(errors="replace") if isinstance(text, bytes) else text).strip()


def _sdk() -> Any:
    """Return the ``docker`` SDK, even if this process has only just installed it."""
    if "docker" not in sys.modules:
        importlib.invalidate_caches()
    try:
        sdk = importlib.import_module("docker")
        sdk.APIClient  # noqa: B018  a folder named docker in sys.path imports as an empty package
    except (ImportError, AttributeError) as err:
        sys.modules.pop("docker", None)
        raise core_errors.sdk_missing("docker", str(err)) from err
    return sdk


def _errors() -> Any:
    """Return the module with the errors of the client that ``connect`` yields."""
    try:
        return _sdk().errors
    except core_errors.SdkMissingError:
        return reader


def _client() -> type:
    """Return the SDK's client with a deadline for each call, or else a read-only client."""
    try:
        _sdk()
    except core_errors.SdkMissingError:
        return reader.Reader
    # Proxies of the environment are not for engines and managers, which are reached directly.
    ours = {
        "trust_env": property(lambda _: False, lambda *_: None),
        "_retrieve_server_version": _api_version,
    }
    return type("APIClient", (deadlines.Session, _sdk().APIClient), ours)


def _api_version(client: Any) -> Any:
    """
    Return the API version of the server, by ``/_ping`` as Docker's command line does.

    For ``/version``, an engine starts programs such as runc. Swarm 1.2.9 has only that. An engine
    also tells its version, which is kept for ``version``.
    """
    response = client.get(f"{client.base_url}/_ping", timeout=client.timeout)
    server = _SERVER.match(response.headers.get("Server", ""))
    client.engine_version = server and server["version"]
    if version := response.headers.get("Api-Version"):
        return version
    return _sdk().APIClient._retrieve_server_version(client)


def version(client: Any) -> str:
    """Return the version of the engine."""
    told: str | None = vars(client).get("engine_version")
    return told or str(client.version(api_version=False)["Version"])


def _tls(files: Mapping[str, str | None]) -> Any:
    pair = (files["cert"], files["key"])
    return _sdk().tls.TLSConfig(client_cert=pair, ca_cert=files["ca"], verify=bool(files["ca"]))


def _unanswered(what: str, url: str, err: Exception, requests: Any) -> core_errors.SwarmError:
    """Return the error for a call that Docker did not answer."""
    chain = list(_chain(err))
    if any(isinstance(one, requests.InvalidSchema | requests.InvalidURL) for one in chain):
        return core_errors.SdkMissingError(
            f"the Python package 'docker' is too old for 'requests' ({err}): "
            "install docker 7.1 or later into Salt's own Python"
        )
    if not any(isinstance(one, OSError) for one in chain):
        return core_errors.ApiError(f"{what}: {err}")
    return core_errors.EngineUnreachableError(
        f"{what}: the Docker Engine{url and f' at {url}'} does not answer ({_cause(chain)}): "
        "see 'systemctl status docker'"
    )


def _chain(err: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes."""
    while err is not None:
        yield err
        wrapped = [arg for arg in err.args if isinstance(arg, BaseException)]
        err = err.__cause__ or err.__context__ or (wrapped[0] if wrapped else None)


def _cause(chain: list[BaseException]) -> str:
    """Return the plain reason, such as ``No such file or directory``."""
    reasons = [one.strerror for one in chain if isinstance(one, OSError) and one.strerror]
    return str(reasons[-1]) if reasons else str(chain[0])
