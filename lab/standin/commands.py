"""
Run the commands: check their flags with the original's words, then do the work.
"""

import random
import ssl
import sys
import time
from collections.abc import Callable

from . import discovery, httpd, log
from .api import Api
from .cluster import Cluster
from .discovery import DiscoveryError, KeyValue
from .election import Election
from .engine import EngineOptions
from .flags import FILTERS, STRATEGIES, Options
from .golang import format_duration, is_host_port, parse_duration
from .scheduler import Scheduler
from .store import StoreError, start
from .watchdog import Watchdog

# The only value that the deprecated flag may have.
DEPRECATED_RETRY = 3
ADVERTISE_FORM = "--advertise should be of the form ip:port or hostname:port"


def manage(options: Options, url: str, main: Options) -> None:
    """Run a manager; returns only by ending the program."""
    value = options.values
    tls = _tls_pair(options)
    engine_options = _engine_options(value, tls[1])
    _need(url, "manage")
    backend, heartbeat = _backend(options, url)
    scheduler = _scheduler(value)
    if value["cluster-driver"] != "swarm":
        log.fatal(f'unsupported cluster "{value["cluster-driver"]}"')
    cluster = Cluster(scheduler, engine_options, _create_retry(value["cluster-opt"]))
    election = _election(value, backend)
    Watchdog(cluster, election)
    cluster.run(backend, heartbeat)
    api = Api(cluster, election, bool(value["api-enable-cors"]), bool(main.values["debug"]))
    _serve(value["host"], tls[0], api)


def _serve(hosts: list[str], tls: ssl.SSLContext | None, api: Api) -> None:
    try:
        servers = [httpd.listen(host, tls) for host in hosts]
    except OSError as err:
        log.fatal(err)
    threads = [start(httpd.serve, server, api.handle) for server in servers]
    for thread in threads:
        thread.join()


def _tls_pair(options: Options) -> tuple[ssl.SSLContext | None, ssl.SSLContext | None]:
    value, verify = options.values, bool(options.values["tlsverify"])
    if not (value["tls"] or verify):
        if options.given & {"tlscert", "tlskey", "tlscacert"}:
            log.fatal(
                "--tlscert, --tlskey and --tlscacert require the use of either --tls or --tlsverify"
            )
        return None, None
    if not options.given >= {"tlscert", "tlskey"}:
        log.fatal("--tlscert and --tlskey must be provided when using --tls")
    if verify and "tlscacert" not in options.given:
        log.fatal("--tlscacert must be provided when using --tlsverify")
    return _context(value, verify, True), _context(value, verify, False)


def _context(value: dict, verify: bool, server: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        context.load_cert_chain(value["tlscert"], value["tlskey"])
        if verify:
            context.load_verify_locations(value["tlscacert"])
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as err:
        files = f"{value['tlscert']}, {value['tlskey']}"
        log.fatal(f"Couldn't load X509 key pair ({files}): {err}. Key encrypted?")
    return context


def _engine_options(value: dict, tls: ssl.SSLContext | None) -> EngineOptions:
    low = _loose_duration(value["engine-refresh-min-interval"])
    high = _loose_duration(value["engine-refresh-max-interval"])
    if low <= 0:
        log.fatal("min refresh interval should be a positive number")
    if high < low:
        log.fatal("max refresh interval cannot be less than min refresh interval")
    if value["engine-refresh-retry"] != DEPRECATED_RETRY:
        log.fatal("--engine-refresh-retry is deprecated. Use --engine-failure-retry")
    if value["engine-failure-retry"] <= 0:
        log.fatal("invalid failure retry count")
    overcommit = _overcommit(value["cluster-opt"])
    return EngineOptions(low, high, value["engine-failure-retry"], int(overcommit * 100), tls)


def _loose_duration(text: str) -> float:
    # The original takes what it cannot read here for zero.
    try:
        return parse_duration(text)
    except ValueError:
        return 0.0


def _cluster_option(pairs: list[str], name: str, kind: type, default: float) -> float:
    text = next((pair.split("=", 1)[1] for pair in pairs if pair.startswith(f"{name}=")), None)
    if text is None:
        return default
    try:
        return kind(text)
    except ValueError:
        return kind(0)


def _overcommit(pairs: list[str]) -> float:
    ratio = _cluster_option(pairs, "swarm.overcommit", float, 0.05)
    if ratio <= -1:
        log.fatal(f"swarm.overcommit should be larger than -1, {ratio:f} is invalid")
    if ratio < 0:
        log.warning(
            "-1 < swarm.overcommit < 0 will make swarm take less resource than docker engine offers"
        )
    return ratio


def _create_retry(pairs: list[str]) -> int:
    count = int(_cluster_option(pairs, "swarm.createretry", int, 0))
    if count < 0:
        log.fatal(f"swarm.createretry can not be negative, {count} is invalid")
    return count


def _scheduler(value: dict) -> Scheduler:
    strategy = "binpack" if value["strategy"] == "binpacking" else value["strategy"]
    if strategy not in STRATEGIES:
        log.fatal("strategy not supported")
    if any(name not in FILTERS for name in value["filter"]):
        log.fatal("filter not supported")
    return Scheduler(strategy, tuple(value["filter"]))


def _election(value: dict, backend: discovery.Backend) -> Election:
    if not value["replication"]:
        return Election()
    address = value["advertise"]
    if not address:
        log.fatal("--advertise address must be provided when using --leader-election")
    if not is_host_port(address):
        log.fatal(ADVERTISE_FORM)
    ttl = _duration(value["replication-ttl"], "replication-ttl")
    if ttl <= 0:
        log.fatal("--replication-ttl should be a positive number")
    if not isinstance(backend, KeyValue):
        log.fatal("Leader election is only supported with consul, etcd and zookeeper discovery.")
    election = Election(address)
    election.run(backend, ttl)
    return election


def join(options: Options, url: str, _main: Options) -> None:
    """Register an engine's address again and again; never returns."""
    value = options.values
    _need(url, "join", "join")
    address = value["advertise"]
    if not address:
        log.fatal("missing mandatory --advertise flag")
    if not is_host_port(address):
        log.fatal(ADVERTISE_FORM)
    delay = _duration(value["delay"], "delay")
    if delay < 0:
        log.fatal("--delay should not be a negative number")
    backend, heartbeat = _backend(options, url, after=lambda beat: _check_ttl(value["ttl"], beat))
    ttl = parse_duration(value["ttl"])
    if delay:
        wait = random.uniform(0, delay)  # noqa: S311
        log.info(f"Add a random delay {wait:.3f}s to avoid synchronized registration")
        time.sleep(wait)
    _register(backend, address, heartbeat, ttl, url)


def _register(
    backend: discovery.Backend, address: str, heartbeat: float, ttl: float, url: str
) -> None:
    text = f"Registering on the discovery service every {format_duration(heartbeat)}..."
    while True:
        log.info(text, addr=address, discovery=url)
        try:
            backend.register(address, ttl)
        except StoreError as err:
            log.error(str(err))
        time.sleep(heartbeat)


def _check_ttl(text: str, heartbeat: float) -> None:
    if _duration(text, "ttl") <= heartbeat:
        log.fatal("--ttl must be strictly superior to the heartbeat value")


def list_nodes(options: Options, url: str, _main: Options) -> None:
    """Print the addresses that are registered."""
    _need(url, "list")
    timeout = _duration(options.values["timeout"], "timeout")
    if timeout <= 0:
        log.fatal("--timeout should be a positive number")
    found: list[list[str]] = []
    try:
        backend = discovery.create(
            url, timeout, discovery.parse_options(options.values["discovery-opt"])
        )
        reader = start(lambda: found.append(next(backend.watch())))
    except DiscoveryError as err:
        log.fatal(err)
    reader.join(timeout)
    if not found:
        log.fatal("Timed out")
    print("\n".join(found[0]))
    sys.exit(0)


def create(options: Options, _url: str, _main: Options) -> None:
    """Refuse: the service that handed out tokens is gone since 2019."""
    if options.arguments:
        log.fatal("the `create` command takes no arguments. See 'swarm create --help'.")
    log.fatal("the token service of Docker Hub does not exist any more: use consul:// or etcd://")


def _need(url: str, command: str, verb: str = "") -> None:
    if not url:
        word = verb or command
        log.fatal(f"discovery required to {word} a cluster. See 'swarm {command} --help'.")


def _duration(text: str, flag: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as err:
        log.fatal(f"invalid --{flag}: {err}")


def _backend(
    options: Options, url: str, after: Callable[[float], None] | None = None
) -> tuple[discovery.Backend, float]:
    heartbeat = _duration(options.values["heartbeat"], "heartbeat")
    if heartbeat < 1:
        log.fatal("--heartbeat should be at least one second")
    if after:
        after(heartbeat)
    try:
        pairs = discovery.parse_options(options.values["discovery-opt"])
        backend = discovery.create(url, heartbeat, pairs)
    except DiscoveryError as err:
        log.fatal(err)
    return backend, heartbeat


COMMANDS = {"manage": manage, "join": join, "list": list_nodes, "create": create}
