"""
Manage the manager and the agent of classic Swarm, in containers.
"""

import contextlib
import functools
import time

import swarm_actions
import swarm_address
import swarm_certs
import swarm_consul_file
import swarm_daemon
import swarm_errors
import swarm_info
import swarm_kv
import swarm_names
import swarm_registration
import swarm_roles
import swarm_trial
import swarm_turn
import swarm_wait

__virtualname__ = "swarm_classic"

# Seconds that the managers have to pick up new labels before the engine is reloaded.
_NUDGE = 5
# Seconds that another manager has to become primary. A replica that did not reach the store on its
# last attempt, as during a restart of Consul on its host, retries after 10 s.
_SUCCESSION = 15


def __virtual__():
    return __virtualname__


def managers():
    """
    Query every manager in the pillar; return its answer, or the error if it does not answer.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_classic.managers
    """
    return {
        name: swarm_info.plain(said) if isinstance(said, swarm_info.Manager) else {"error": said}
        for name, said in _ask(__salt__["swarm_settings.get"]()).items()
    }


def _ask(settings):
    found, tls = {}, swarm_roles.manager_tls(settings, swarm_certs.NODE.current())
    for name, endpoint in swarm_roles.manager_endpoints(settings).items():
        try:
            found[name] = swarm_info.fetch(endpoint, tls)
        except swarm_errors.ApiError as err:
            found[name] = str(err)
    return found


def apply_manager(test=False):
    """
    Ensure a manager runs here if the pillar lists this minion as one, and none otherwise.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_classic.apply_manager test=True
    """
    settings = __salt__["swarm_settings.get"]()
    name = settings["manager"]["container"]
    renamed = swarm_names.rename(settings, __salt__, "manager", test)
    if renamed and test:
        return renamed
    if not settings["is_manager"]:
        return swarm_names.remove(settings, __salt__, "manager", test)
    return {**renamed, **_apply_manager(settings, name, test)}


def _apply_manager(settings, name, test):
    spec = swarm_roles.manager_container(settings, swarm_certs.NODE.due(test))
    changes = __salt__["swarm_container.apply"](name, spec, test=True)
    if test or not changes:
        return changes
    if "state" in changes:
        # ``wait_healthy`` also checks a new container.
        return _start(settings, "manager", spec)
    if len(settings["managers"]) == 1:
        return _replace(settings, "manager", spec, _wait_answer)
    with _turn(settings) as led:
        return _replace(settings, "manager", spec, _wait_led if led else _wait_answer)


def _paths(section):
    """Return the pillar paths that define a container."""
    return f"swarm:{section}:options, swarm:manager:image"


def _start(settings, section, spec):
    name = settings[section]["container"]
    return swarm_trial.apply(__salt__, name, spec, contextlib.nullcontext, _paths(section))


def _replace(settings, section, spec, wait):
    """Replace a container; restore the previous one if ``wait`` fails."""
    name, prove = settings[section]["container"], functools.partial(wait, settings)
    return swarm_trial.replace(__salt__, name, spec, prove, _paths(section))


@contextlib.contextmanager
def _turn(settings):
    """Hold this manager's turn to stop, if Consul has a leader; yield whether it does."""
    if not __salt__["swarm_consul.has_leader"]():
        # The store is external or has no leader: there is nothing that could hold a turn.
        yield False
        return
    limit = 3 * settings["timeout"]
    with swarm_turn.turn(lambda: _consul(settings), settings["id"], limit):
        hand_over()
        yield True


def _wait_answer(settings):
    """Wait until this manager answers; ``wait_primary`` waits for a primary."""
    mine = swarm_roles.manager_endpoints(settings)[settings["id"]]
    tls = swarm_roles.manager_tls(settings, swarm_certs.NODE.current())

    def probe():
        try:
            swarm_info.fetch(mine, tls)
        except swarm_errors.ApiError as err:
            return _unless_fallen(str(err), "manager")
        return None

    swarm_wait.until(probe, settings["timeout"])


def _wait_led(settings):
    """
    Wait until this manager answers and any manager is primary.

    Checks the lock instead of querying the other managers: their port may be what changes.
    """
    mine = swarm_roles.manager_endpoints(settings)[settings["id"]]
    tls = swarm_roles.manager_tls(settings, swarm_certs.NODE.current())

    def probe():
        try:
            leads = swarm_info.fetch(mine, tls).role == "primary"
            # Otherwise, a lock of this host is stale: the stopped manager acquired it too late
            # for the hand-over to see it.
            led = leads or swarm_kv.hand_over(_consul(settings), mine)
        except swarm_errors.SwarmError as err:
            return _unless_fallen(str(err), "manager")
        return None if led else "no manager has the lock"

    swarm_wait.until(probe, settings["timeout"])


def hand_over():
    """
    Make another manager primary and wait until one is; return whether one is.

    Called before this manager stops, so that there is a primary at all times. This manager keeps
    serving until another one is primary. Requires Consul in containers.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_classic.hand_over
    """
    settings = __salt__["swarm_settings.get"]()
    mine = swarm_roles.manager_endpoints(settings)[settings["id"]]

    def probe():
        try:
            leader = swarm_kv.hand_over(_consul(settings), mine)
        except swarm_errors.StoreError as err:
            return str(err)
        return None if leader else "no other manager has taken the lead"

    try:
        swarm_wait.until(probe, _SUCCESSION)
    except swarm_errors.WaitTimeoutError:
        # No worse than a plain stop: the other managers wait until this one's session ends.
        return False
    return True


def _consul(settings):
    return swarm_consul_file.connect(settings)


def apply_agent(test=False):
    """
    Ensure this node's agent matches the pillar and is registered; return what changed.

    When this host's Consul leaves, as it does to change its role, the keys registered through it
    are lost. The agent is then restarted, instead of registering at its next heartbeat.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_classic.apply_agent test=True
    """
    settings = __salt__["swarm_settings.get"]()
    renamed = swarm_names.rename(settings, __salt__, "agent", test)
    if renamed and test:
        return renamed
    return {**renamed, **_apply_agent(settings, test)}


def _apply_agent(settings, test):
    spec = swarm_roles.agent_container(settings, swarm_certs.NODE.due(test))
    name = settings["agent"]["container"]
    changes = __salt__["swarm_container.apply"](name, spec, test=True)
    if not changes:
        return _register(settings, test)
    if not test:
        if "state" in changes:
            _start(settings, "agent", spec)
        else:
            _replace(settings, "agent", spec, _wait_registered)
        _forget_other_ports(settings)
    return changes


def _registered(settings):
    """Return whether the store has this node, ``None`` if that is unknown."""
    key = swarm_roles.agent_key(settings)
    try:
        client = _consul(settings) if key else None
        return swarm_kv.call("node", client.kv.get, key)[1] is not None if client else None
    except swarm_errors.SwarmError:
        return None


def _register(settings, test):
    """Restart the agent if the store has lost this node; return what changed."""
    name = settings["agent"]["container"]
    if _registered(settings) is not False:
        return {}
    if not test:
        __salt__["swarm_container.stop"](name)
        __salt__["swarm_container.start"](name)
        _wait_registered(settings)
    return {"registration": {"old": None, "new": swarm_roles.engine_endpoint(settings)}}


def _wait_registered(settings):
    """Wait until the agent has stayed up for a moment and the store has this node."""
    name, seen = settings["agent"]["container"], {}

    def probe():
        _unless_fallen("", "agent")
        restarts = (__salt__["swarm_container.get"](name) or {}).get("restarts", 0)
        if seen.get("restarts") != restarts:
            seen.update(restarts=restarts, since=time.monotonic())
        if time.monotonic() - seen["since"] < swarm_actions.SETTLE:
            return "the agent has just been started"
        known = _registered(settings) is not False
        return None if known else "the agent has not registered this node"

    swarm_wait.until(probe, settings["timeout"])


def _forget_other_ports(settings):
    """Deregister this host's earlier endpoints: an engine at two addresses is no valid node."""
    if not settings["own_store"]:
        return
    mine = swarm_roles.engine_endpoint(settings)

    def probe():
        try:
            for one in __salt__["swarm_consul.nodes"]():
                if one != mine and swarm_address.host(one) == swarm_address.host(mine):
                    __salt__["swarm_consul.deregister"](endpoint=one)
        except swarm_errors.StoreError as err:
            # The leader of Consul may be restarting in its turn.
            return str(err)
        return None

    swarm_wait.until(probe, settings["timeout"])


def wait_primary(timeout=None):
    """
    Wait until a manager is primary; return its address.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_classic.wait_primary timeout=30

    timeout
        Timeout in seconds. Defaults to ``swarm:timeout``.
    """
    settings = __salt__["swarm_settings.get"]()
    found = {}

    def probe():
        said = _ask(settings)
        found["primary"] = swarm_info.primary(said)
        return None if found["primary"] else _unless_fallen(swarm_info.no_primary(said))

    swarm_wait.until(probe, settings["timeout"] if timeout is None else timeout)
    return found["primary"]


def _unless_fallen(missing, *sections):
    """Return ``missing``; raise an error if one of this node's containers has failed."""
    settings = __salt__["swarm_settings.get"]()
    for section in sections or ("manager", "agent"):
        __salt__["swarm_container.check"](settings[section]["container"])
    return missing


def _own_silence(settings, said):
    """Return that this node's manager does not answer, which the primary does not notice."""
    own = said.get(settings["id"])
    return (
        f"the manager on {settings['id']} does not answer: {own}" if isinstance(own, str) else None
    )


def wait_healthy(timeout=None):
    """
    Wait until the primary reports this node as ``Healthy``, with its labels from the pillar, and
    the manager of this node answers, if it has one.

    A node whose engine has another ID than before, because its host was installed again, is
    registered anew.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_classic.wait_healthy timeout=30

    timeout
        Timeout in seconds. Defaults to ``swarm:timeout``.
    """
    settings = __salt__["swarm_settings.get"]()
    mine = swarm_roles.engine_endpoint(settings)
    labels = set(swarm_daemon.label_list(settings["labels"]))
    limit = settings["timeout"] if timeout is None else timeout
    last, renewed = [time.monotonic()], []

    def unhealthy():
        return swarm_info.unhealthy(_ask(settings), mine)

    def probe():
        said = _ask(settings)
        if missing := swarm_info.unhealthy(said, mine) or _own_silence(settings, said):
            if limit and not renewed and swarm_registration.is_due(settings, missing):
                renewed.append(missing)
                swarm_registration.renew(__salt__, settings, unhealthy)
            return _unless_fallen(missing)
        lacking = swarm_info.unknown_labels(said, mine, labels)
        if lacking and time.monotonic() - last[0] > _NUDGE:
            # Managers read the labels after the engine's reload event. A manager that was
            # disconnected then, as after a restart of the engine, reads them only minutes later.
            __salt__["swarm_engine.reload"]()
            last[0] = time.monotonic()
        return lacking

    swarm_wait.until(probe, limit)


def remove(test=False):
    """
    Ensure this node has no agent, no manager and no unused image of them; return what changed.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_classic.remove test=True
    """
    settings = __salt__["swarm_settings.get"]()
    if not __salt__["swarm_engine.exists"]():
        return {}
    changes = {
        settings[section]["container"]: swarm_names.remove(settings, __salt__, section, test)
        for section in ("agent", "manager")
    }
    image, names = settings["manager"]["image"], list(changes)
    changes[image] = __salt__["swarm_image.remove_unused"](image, names, test=test)
    return {what: change for what, change in changes.items() if change}
