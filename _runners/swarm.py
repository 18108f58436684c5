"""
Manage a swarm from the master: show its members, join missing members, remove a node, back up.

A minion is a member if the pillar that the master compiles for its accepted key defines
``swarm:managers`` and names it, as a manager, as a Consul server or in ``swarm:nodes``. Grains,
events and the master's pillar cache are never used, because a minion could forge them.
"""

import sys
import time

import salt.client
import salt.utils.event
import salt.utils.minions
import swarm_errors
import swarm_fleet
import swarm_members
import swarm_renewal
import swarm_report
import swarm_rotation
import swarm_views
from salt.exceptions import SaltClientError, SaltReqTimeoutError

_BATCH = 50
# Seconds until the master checks whether a job is still running, and for the replies to that check.
# A state may run for any length of time; a dead minion costs the sum of both.
_LOOK, _ANSWER = 15, 15
# Seconds after which a member that could not do something has waited for it: others would as well.
_WAITED = 60
# Rounds of applies without a step of the CA, after which its rotation is left to the operator.
_IDLE = 2


def _accepted():
    return salt.utils.minions.CkMinions(__opts__).check_minions("*", "glob")["minions"]


def _pillar(minion):
    return __salt__["pillar.show_pillar"](minion)


def _swarms(swarm=None):
    """Return the swarms under this master, or only the swarm of the given member."""
    found = swarm_fleet.swarms({minion: _pillar(minion) for minion in _accepted()})
    return swarm_fleet.named(found, swarm)


def _ask(minions, function, *args, **kwargs):
    """Return the answers of minions; minions that do not answer are missing."""
    if not minions:
        return {}
    with salt.client.get_local_client(mopts=__opts__) as client:
        try:
            found = client.cmd(
                list(minions),
                function,
                args,
                timeout=_LOOK,
                gather_job_timeout=_ANSWER,
                tgt_type="list",
                kwarg=kwargs,
                full_return=True,
            )
        except (SaltClientError, SaltReqTimeoutError) as err:
            raise swarm_errors.SwarmError(
                f"the master did not publish {function}. If all its workers are busy"
                f" (worker_threads, 5 by default), run this again in a minute. It said: {err}"
            ) from err
    # For a minion that does not answer, Salt 3008 returns a message to that effect without a jid.
    return {
        minion: one["ret"]
        for minion, one in found.items()
        if isinstance(one, dict) and "jid" in one
    }


def _reports(members):
    # A minion's own pillar dates from its start or from its last refresh.
    there = _ask(members, "saltutil.refresh_pillar", wait=True)
    # Each request to a minion that does not answer takes half a minute.
    asked = [member for member in members if member in there]
    return {
        member: swarm_report.read(report)
        for member, report in _ask(asked, "swarm_node.report").items()
    }


def _views(swarm, reports, but=None):
    """Return what the managers in the pillar report about the nodes; see ``swarm_views``."""
    return swarm_views.read(_ask(swarm.speakers(reports, but), "swarm_node.managers"))


def _look(swarm):
    """Return the rows by swarm, the reports, the members that join, and what managers dispute."""
    swarms = _swarms(swarm)
    reports = _reports([member for one in swarms for member in one.members])
    rows, disputes = [], []
    for one in swarms:
        ours = {name: report for name, report in reports.items() if name in one.members}
        views = _views(one, ours)
        problems = swarm_views.doubles(ours, one.members, views.said) | views.problems()
        rows += swarm_members.rows(list(one.members), ours, views.said, one.name, problems)
        disputes += [views.dispute] if views.dispute else []
    return rows, reports, {member for one in swarms for member in one.joining}, disputes


def _fire(member, word, **data):
    with salt.utils.event.get_master_event(__opts__, __opts__["sock_dir"], listen=False) as bus:
        bus.fire_event({"id": member, **data}, f"swarm/node/{member}/{word}")


def _tell(member, text):
    """Report a step that takes time: as an event, and to the operator at the command line."""
    member, text = swarm_report.shown(member), swarm_report.shown(text)
    _fire(member, "progress", message=text)
    if __opts__.get("__cli") == "salt-run":
        # Not to the standard output, which may be read as JSON.
        print(f"{member}: {text}", file=sys.stderr, flush=True)


def status(swarm=None):
    """
    Show the members: role, address, state, engine, labels, and why a member is not Healthy.

    Returns a table; with ``--out json`` or another outputter, the rows as data. If there are
    several swarms under one master, each swarm's data comes from its own managers, and their IDs
    are its name.

    CLI Example:

    .. code-block:: bash

        salt-run swarm.status
        salt-run swarm.status swarm=m1
        salt-run swarm.status --out json

    swarm
        Only the swarm with this member; all if unset.
    """
    rows, *_ = _look(swarm)
    return rows if __opts__.get("output") else swarm_members.table(rows)


def services(swarm=None):
    """
    Show the services: mode, image, tasks wanted and running, state of an update, and why not.

    Returns a table; with ``--out json`` or another outputter, the rows as data. In classic mode,
    there are none. The managers are asked one after the other until one answers.

    CLI Example:

    .. code-block:: bash

        salt-run swarm.services
        salt-run swarm.services swarm=m1 --out json

    swarm
        Only the swarm with this member; all if unset.
    """
    rows, silent = [], []
    for one in _swarms(swarm):
        found = _services_of(one)
        rows += found or []
        silent += [one.name] if found is None else []
    rows = swarm_report.plain(rows)
    if silent:
        raise swarm_errors.SwarmError(
            f"no manager lists the services of {' and '.join(silent)}: see salt-run swarm.status"
        )
    return rows if __opts__.get("output") else swarm_members.table(rows, "there are no services")


def _services_of(swarm):
    """Return the services of a swarm; ``None`` if no manager answers with a list."""
    for manager in [name for name in swarm.managers if name in swarm.members]:
        said = _ask([manager], "swarm_service.status").get(manager)
        if (rows := swarm_report.read_services(said, swarm.name)) is not None:
            return rows
    return None


def ps(service, swarm=None):
    """
    Show the tasks of a service, with those of the past: node, state, since when, exit code, error.

    Returns a table; with ``--out json`` or another outputter, the rows as data.

    CLI Example:

    .. code-block:: bash

        salt-run swarm.ps web

    service
        Name of the service.

    swarm
        Choose the swarm with this member; needed only if several have such a service.
    """
    rows = swarm_report.read_tasks(_of_service(service, swarm, "swarm_service.tasks", service))
    if rows is None:
        raise swarm_errors.SwarmError(f"no manager lists the tasks of {service}")
    return rows if __opts__.get("output") else swarm_members.table(rows, "there are no tasks")


def logs(service, lines=20, swarm=None):
    """
    Show the last lines of the log of each task of a service.

    CLI Example:

    .. code-block:: bash

        salt-run swarm.logs web lines=100

    service
        Name of the service.

    lines
        Number of lines for each task. Defaults to 20.

    swarm
        Choose the swarm with this member; needed only if several have such a service.
    """
    found = _of_service(service, swarm, "swarm_service.logs", service, lines=lines)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise swarm_errors.SwarmError(f"no manager has the logs of {service}")
    if __opts__.get("output"):
        return found
    return "\n".join(
        f"{swarm_report.shown(one.get('task'))}  {swarm_report.shown(line)}"
        for one in found
        for line in one.get("log") or []
    )


def scale(swarm=None, **services):
    """
    Set the number of tasks of replicated services, and wait until they run; return what changed.

    If the pillar has ``replicas`` for a service, the next apply sets that number again.

    CLI Example:

    .. code-block:: bash

        salt-run swarm.scale web=5 api=3

    swarm
        Choose the swarm with this member; needed only if several have such a service.
    """
    services = {name: one for name, one in services.items() if not name.startswith("__")}
    return {
        name: _of_service(name, swarm, "swarm_service.scale", name, replicas)
        for name, replicas in services.items()
    }


def rollback(service, swarm=None):
    """
    Return a service to its previous spec, and wait until it runs; return what changed.

    A second rollback returns to the later spec. An apply sets the options of the pillar again.

    CLI Example:

    .. code-block:: bash

        salt-run swarm.rollback web

    service
        Name of the service.

    swarm
        Choose the swarm with this member; needed only if several have such a service.
    """
    return _of_service(service, swarm, "swarm_service.rollback", service)


def export(swarm=None):
    """
    Return the pillar of the services and overlay networks that run, from whatever hand they are.

    Contents of secrets and configs are not in it, but variables and arguments are as Docker has
    them, and may contain passwords.

    CLI Example:

    .. code-block:: bash

        salt-run swarm.export --out yaml

    swarm
        Choose the swarm with this member, if there are several.
    """
    one = swarm_fleet.only(_swarms(swarm), "nothing was exported")
    return {"swarm": _asked(one, "swarm_service.export")}


def _of_service(service, swarm, function, *args, **kwargs):
    """Return what the managers of the swarm that has a service answer."""
    having = [
        one
        for one in _swarms(swarm)
        if any(row["service"] == service for row in _services_of(one) or [])
    ]
    if not having:
        raise swarm_errors.SwarmError(f"no swarm has a service {service}: salt-run swarm.services")
    return _asked(swarm_fleet.only(having, f"service {service}"), function, *args, **kwargs)


def _asked(swarm, function, *args, **kwargs):
    """Ask a swarm's managers one by one, until one answers; the others have no answer."""
    said = "none of them answers"
    for manager in [name for name in swarm.managers if name in swarm.members]:
        answer = _ask([manager], function, *args, **kwargs).get(manager)
        if isinstance(answer, dict | list):
            return answer
        said = answer or said
    raise swarm_errors.SwarmError(f"{function} by the managers {swarm.name}: {said}")


def reconcile(test=False, swarm=None):
    """
    Join the members that are up and not Healthy; return what was done.

    Members are joined in batches, with one publish per batch. Fires ``swarm/node/<id>/joined`` and
    ``.../failed``. Run it from the master's schedule, to catch up on events that were lost while
    the master was down.

    CLI Example:

    .. code-block:: bash

        salt-run swarm.reconcile test=True

    test
        Only return the members that would be joined.

    swarm
        Only the swarm with this member; all if unset.
    """
    rows, reports, joining, disputes = _look(swarm)
    wanted = [one for one in swarm_members.to_join(rows, reports) if one in joining]
    healthy = sum(map(swarm_members.is_good, rows))
    down = [row["id"] for row in rows if row["id"] not in reports and row["role"] != "no member"]
    found = {"healthy": healthy, "down": down}
    if disputes:
        found["complaints"] = swarm_report.plain(disputes)
    if test:
        return {**found, "would join": wanted}
    return {**found, **_join(wanted)}


def join(*minions):
    """
    Join these minions if they are members and ``swarm:autojoin`` is on; return what was done.

    CLI Example:

    .. code-block:: bash

        salt-run swarm.join m4 m5
    """
    wanted = [minion for minion in minions if swarm_members.joins(minion, _pillar(minion))]
    others = sorted(set(minions) - set(wanted))
    return {**_join(wanted), **({"no members": others} if others else {})}


def _join(minions):
    failed = {}
    for start in range(0, len(minions), _BATCH):
        batch = minions[start : start + _BATCH]
        options = {"mods": "swarm.join", "queue": True}
        returns = _ask(batch, "state.apply", **options)
        failed |= swarm_members.outcomes(returns, batch)
    joined = [minion for minion in minions if minion not in failed]
    for minion in joined:
        _fire(minion, "joined")
    for minion, reason in failed.items():
        _fire(minion, "failed", reason=reason)
    return {"joined": joined, "failed": failed}


def remove(minion, force=False, lose_cluster=False, swarm=None, node=None):
    """
    Remove a node from the swarm, even if it is dead; return what was done.

    If the minion answers, it applies ``swarm.clean``. In classic mode, its key is then removed from
    the store, and a failed Consul member is force-left. In builtin mode, the node is drained and
    demoted first, and removed from the list of nodes at the end. Refused if the last manager, the
    quorum of managers or Consul servers, or the CA would be lost; if no other manager in the pillar
    answers; and if the managers' lists of nodes differ.

    The host names in the managers' list show which node it is, never the report of the minion. If
    the minion's ID is not the name of its host, select the node with ``node``.
    Remove the node from the pillar as well, or the next apply makes it a member again.

    Fires ``swarm/node/<id>/progress`` before each step and ``.../removed`` at the end. ``salt-run``
    prints the steps to the standard error.

    CLI Example:

    .. code-block:: bash

        salt-run swarm.remove m4

    minion
        The node's minion ID.

    force, lose_cluster
        Set both to remove the node at any cost, even with the only copy of the cluster, the store
        or the CA. Default to ``False``.

    swarm
        The ID of another member of its swarm. Needed only if the swarm cannot be determined: there
        are several, the minion's pillar makes it a member of none, and none or more than one of
        them lists a node with its name.

    node
        The key of its node in the managers' list: the node ID in builtin mode, the engine's address
        and port in classic mode. Needed only if its host name does not show which node it is.
    """
    try:
        ours = _swarm_of(minion, swarm)
    except swarm_errors.SwarmError as err:
        return _refused(err)
    _tell(minion, f"asking the {len(ours.members)} members of {ours.name or 'the swarm'}")
    reports = _reports(list(dict.fromkeys([*ours.members, minion])))
    views = _views(ours, reports, but=minion)
    # Without a manager, only at any cost: then whoever is left has to do.
    speakers = ours.speakers(reports, but=minion)
    others = speakers or {
        name: one for name, one in reports.items() if name != minion and isinstance(one, dict)
    }
    try:
        if not (force and lose_cluster):
            swarm_members.guard(minion, speakers, views.said, *_servers(ours, speakers))
            _refuse_dispute(minion, views)
    except swarm_errors.SwarmError as err:
        return _refused(f"{err}. To remove it whatever that costs: force=True lose_cluster=True")
    try:
        endpoint = swarm_members.endpoint(minion, reports, views.said, ours.members, node)
    except swarm_errors.SwarmError as err:
        return _refused(err)
    take_out = _from_cluster if ours.is_builtin else _from_store
    done = take_out(minion, minion in reports, endpoint, others)
    if "refused" not in done:
        left = [] if endpoint else swarm_members.leftovers(reports, views.said, ours.members)
        if left:
            done["left"] = (
                f"no node is known to be that of {minion}. These are down, and of no minion:"
                f" {', '.join(left)}. If one of them was, remove it on a manager: docker node rm ID"
            )
        if (ca := swarm_members.authority(others)) in others:
            # The host that replaces this node may use the same address.
            _ask([ca], "swarm_ca.forget", minion)
        done |= _made_worthless(minion, ours, endpoint, others, views.said)
        _fire(minion, "removed")
    return swarm_report.plain(done)


def _refuse_dispute(minion, views):
    if views.dispute:
        raise swarm_errors.SwarmError(
            f"{minion} was not removed: {views.dispute}. If they still do in a minute, one of them"
            " is in another cluster, or lies"
        )


def _swarm_of(minion, swarm):
    """Return the swarm from which a minion is removed."""
    found = _swarms(swarm)
    if ours := swarm_fleet.pick(found, minion):
        return ours
    reports = _reports([member for one in found for member in one.members])
    heard = {one: _views(one, reports).said for one in found}
    return swarm_fleet.only(
        swarm_fleet.knowing(heard, minion) or found, f"{minion} was not removed"
    )


def _refused(why):
    # If an error were raised, Salt would print a traceback as well, which does not help the user.
    __context__["retcode"] = 1
    return {"refused": swarm_report.shown(why)}


def rotate(what, swarm=None):
    """
    Rotate the swarm's keys and tokens; return what was done.

    An interrupted rotation is resumed by the same command. Progress is reported as for
    ``swarm.remove``. Only members that the pillar names are asked for anything.

    CLI Example:

    .. code-block:: bash

        salt-run swarm.rotate join-token
        salt-run swarm.rotate ca
        salt-run swarm.rotate gossip
        salt-run swarm.rotate all swarm=m1

    what
        ``join-token`` (builtin mode): both join tokens; nodes of the cluster are not affected.
        ``ca``: the CA of the formula, by several applies of ``swarm`` on all nodes; the old CA is
        trusted until all members have a certificate of the new one. ``gossip`` and ``acl`` (classic
        mode with Consul): the key of Consul's gossip, and the management token of its ACLs; the old
        one is accepted until all nodes use the new one. ``all``: what of these the swarm has.

    swarm
        The swarm with this member; needed only if there are several.
    """
    try:
        ours = swarm_fleet.only(_swarms(swarm), "nothing was rotated")
        reports = _reports(ours.members)
        there = {name: one for name, one in reports.items() if isinstance(one, dict)}
        speakers = ours.speakers(reports)
        ca = swarm_members.authority(speakers)
        kept = _kept_by(ca) if ca in there else []
        kinds = swarm_rotation.chosen(what, ours.is_builtin, ca, kept)
    except swarm_errors.SwarmError as err:
        return _refused(err)
    done = {}
    for kind in kinds:
        if kind == "ca":
            done[kind] = _rotate_ca(ours, there, ca)
        elif kind == "join-token":
            done[kind] = _rotate_tokens(speakers, True)
        else:
            done[kind] = _rotate_secret(kind, ours, there, ca)
        if done[kind] is not True:
            __context__["retcode"] = 1
    return done


def _rotate_tokens(managers, both):
    """Rotate the worker token, or both; return ``True``, or why not."""
    options = {"managers": True} if both else {}
    answer = _from_any(managers, "swarm_leader.rotate", **options)
    if answer is True:
        return True
    return f"not rotated: {answer}. Later: salt-run swarm.rotate join-token"


def _kept_by(ca):
    """Return the secrets of Consul that the CA keeps and renews; an older release tells of none."""
    said = _ask([ca], "swarm_ca.renewable").get(ca)
    return [one for one in said if one in swarm_rotation.KINDS] if isinstance(said, list) else []


def _rotate_secret(kind, swarm, reports, ca):
    """Renew a secret of Consul; return ``True``, or why not. The old one works until the end."""
    servers = [name for name in swarm.holders if name in reports]
    try:
        nodes = sorted({*_all_nodes(swarm, reports), *servers})
        if _renewed(ca, kind, "begin") == swarm_renewal.MADE:
            _tell(ca, f"Consul gets the new {kind} beside the old one")
            _done_by(servers, "swarm_consul.admit", kind)
            _renewed(ca, kind, "follow")
        _apply_renewal(ca, kind, nodes)
        _done_by(servers, "swarm_consul.retire", kind)
        _renewed(ca, kind, "end")
    except swarm_errors.SwarmError as err:
        return (
            f"not finished: {err}. The old one is accepted until it is, but a node whose Consul"
            " starts meanwhile may not find the others: resume soon with salt-run swarm.rotate"
            f" {kind}"
        )
    return True


def _all_nodes(swarm, reports):
    """
    Return the nodes that the managers list; raise an error if one of them does not answer.

    A server of Consul that is off may not be listed any more, and would bring the old secret back.
    """
    said = _views(swarm, reports).said
    if silent := [name for name in swarm.holders if name not in reports]:
        raise swarm_errors.SwarmError(
            f"the minions of {', '.join(silent)}, servers of Consul, do not answer: start them, or"
            " take them out of pillar (swarm:consul:servers) and apply"
        )
    if absent := swarm_rotation.absent(reports, said):
        raise swarm_errors.SwarmError(
            f"the minions of {', '.join(absent)} do not answer: start them, or remove them with"
            " salt-run swarm.remove"
        )
    if nodes := swarm_rotation.nodes(reports, said):
        return nodes
    raise swarm_errors.SwarmError("no manager lists the nodes: see salt-run swarm.status")


def _renewed(ca, kind, step):
    """Have the CA take a step of a renewal; return its phase."""
    phase = _ask([ca], "swarm_ca.renew", kind, step=step).get(ca, "it does not answer")
    if phase in swarm_renewal.PHASES:
        return phase
    raise swarm_errors.SwarmError(f"{ca}: {phase}")


def _done_by(servers, function, kind):
    """Have one of Consul's servers do its part of a renewal."""
    answer = _from_any(servers, function, kind)
    if answer is not True:
        raise swarm_errors.SwarmError(str(answer))


def _apply_renewal(ca, kind, nodes):
    """Apply ``swarm`` on all nodes; raise an error if one does not use the new secret."""
    _tell(ca, f"applying swarm on {len(nodes)} nodes")
    _ask(nodes, "state.apply", mods="swarm", queue=True)
    answers = _ask(nodes, "swarm_consul.renewed", kind)
    late = {one: answers.get(one, "it does not answer") for one in nodes}
    if told := [f"{one}: {why}" for one, why in late.items() if why is not True]:
        raise swarm_errors.SwarmError("; ".join(told))


def _rotate_ca(swarm, reports, ca):
    """Apply ``swarm`` on the nodes until the CA has changed; return ``True``, or why not."""
    if ca not in reports:
        return (
            f"not rotated: {ca}, the CA (swarm:tls:ca), does not answer or is no member by pillar"
        )
    # A member that is no node yet must not become one by a rotation; the CA may be none for good.
    nodes = swarm_rotation.nodes(reports, _views(swarm, reports).said)
    if not nodes:
        return "not rotated: no manager lists the nodes: see salt-run swarm.status"
    state = _ask([ca], "swarm_ca.rotate").get(ca, "it does not answer")
    # A step is visible to the members after the CA's apply, and to the CA after theirs: a round
    # without a step is normal, two in a row with the same members missing are not.
    idle = 0
    while isinstance(state, dict) and state["changing"] and idle < _IDLE:
        late = ", ".join(state["waits for"]) or "no member"
        _tell(ca, f"applying swarm on {len(nodes)} nodes; the CA waits for {late}")
        if ca not in nodes:
            _ask([ca], "state.apply", mods="swarm.ca", queue=True)
        _ask(nodes, "state.apply", mods="swarm", queue=True)
        before, state = state, _ask([ca], "swarm_ca.rotation").get(ca, "it does not answer")
        idle = idle + 1 if state == before else 0
    if not isinstance(state, dict):
        return f"not finished: {ca}: {state}. To resume: salt-run swarm.rotate ca"
    if state["changing"]:
        told = _ask([ca], "swarm_ca.complaints").get(ca)
        why = "; ".join(told) if isinstance(told, list) and told else "no member took the next step"
        return f"not finished: {why}. To resume: salt-run swarm.rotate ca"
    return True


def _made_worthless(minion, swarm, endpoint, others, said):
    """Rotate the join tokens that a removed host knew, and tell what it can still do."""
    done, speakers = {}, swarm.speakers(others)
    managed = swarm_rotation.was_manager(minion, swarm.managers, endpoint, said)
    if swarm.is_builtin:
        done["join tokens"] = _rotate_tokens(speakers, managed)
    if (ca := swarm_members.authority(speakers)) in others:
        until = _date(_ask([ca], "swarm_ca.valid_until"), ca)
        done["certificate"] = swarm_rotation.certificate_remains(minion, until)
        if managed:
            done["CA"] = swarm_rotation.authority_remains(minion)
        known = _kept_by(ca)
        if minion not in swarm.holders:
            known = [kind for kind in known if kind != swarm_rotation.TOKEN]
        done |= {kind: swarm_rotation.secret_remains(minion, kind) for kind in known}
    return done


def _date(answers, ca):
    said = answers.get(ca)
    return said if isinstance(said, str) and len(said) == len("2030-01-01") else None


def backup(minion=None, swarm=None, **options):
    """
    Back up the swarm's state to a file on a member; return ``minion``, ``path``, ``bytes`` and
    ``sha256``.

    In builtin mode, the file is written on a manager, preferably not the leader and drained,
    because the engine is stopped during the backup; in classic mode, on a Consul server. See
    ``swarm_backup.save``, and ``swarm_backup.restore`` for restoring it.

    CLI Example:

    .. code-block:: bash

        salt-run swarm.backup
        salt-run swarm.backup m2 path=/srv/backup/swarm.tar.gz

    minion
        The ID of a minion; chosen automatically if unset.

    swarm
        Choose from the swarm with this member; needed only for several swarms and no ``minion``.

    path
        A new file on that minion. Defaults to a file in ``/var/backups/swarm-formula``.

    force
        Back up at any cost. Defaults to ``False``.
    """
    chosen = minion
    if not chosen:
        try:
            ours = swarm_fleet.only(_swarms(swarm), "nothing was backed up")
        except swarm_errors.SwarmError as err:
            return _refused(err)
        reports = _reports(ours.members)
        said = _views(ours, reports).said
        chosen = swarm_members.keeper(reports, said, ours.holders, ours.is_builtin)
    if not chosen:
        return _refused("no member answers that has the state of the swarm: name a minion")
    options = {key: one for key, one in options.items() if not key.startswith("__")}
    answer = _ask([chosen], "swarm_backup.save", **options).get(chosen, "it does not answer")
    answer = swarm_report.plain(answer) if isinstance(answer, dict) else _refused(answer)
    return {**answer, "minion": chosen}


def _cleaned(minion, answers, **more):
    return _clean(minion, **more) if answers else "the minion does not answer"


def _from_store(minion, answers, endpoint, others):
    done = {"cleaned": _cleaned(minion, answers), "deregistered": "the swarm does not know it"}
    if endpoint:
        done["deregistered"] = _from_any(others, "swarm_consul.deregister", endpoint=endpoint)
    _tell(minion, "waiting until Consul has lost it")
    # The Consul of a node that could not be cleaned runs on: there is nothing to wait for.
    limit = {"timeout": 0} if _stays(answers, done) else {}
    done["expelled from Consul"] = _from_any(others, "swarm_consul.expel", minion, **limit)
    return done


def _stays(answers, done):
    """Check whether a minion that answers has not left the swarm."""
    return answers and done["cleaned"] is not True


def _from_cluster(minion, answers, node, managers):
    done = {}
    if node:
        _tell(minion, f"draining node {node}: its tasks go elsewhere")
        expelled = _from_any(managers, "swarm_leader.expel", node)
        if isinstance(expelled, str):
            return _refused(expelled)
        done = expelled
    # The node has to leave even if its tasks are still running, or if it is an adopted node.
    done["cleaned"] = _cleaned(minion, answers, pillar={"swarm_clean": {"alone": True}})
    if node:
        _tell(minion, f"removing node {node} from the list")
        # An engine that has not left would not notice, and stay active for ever.
        limit = {"force": False} if _stays(answers, done) else {}
        done["dropped"] = _from_any(managers, "swarm_leader.drop", node, **limit)
    return done


def _servers(swarm, speakers):
    """Return the names of the Consul servers that are alive, and of Raft's voters."""
    if swarm.is_builtin:
        return set(), set()
    return swarm_report.read_servers(_ask(speakers, "swarm_consul.status").values())


def _clean(minion, **more):
    _tell(minion, "applying swarm.clean")
    returns = _ask([minion], "state.apply", mods="swarm.clean", queue=True, **more)
    return swarm_members.outcomes(returns, [minion]).get(minion, True)


def _from_any(others, function, *args, **kwargs):
    """
    Run a function on the other members one by one until it succeeds; return the answer.

    A member that has waited in vain is the last one: the others would wait as long.
    """
    answer = "no other member answers"
    for other in others:
        since = time.monotonic()
        answer = _ask([other], function, *args, **kwargs).get(other, answer)
        if answer is True or isinstance(answer, dict):
            return answer
        if not isinstance(answer, str):
            answer = f"the answer of {other} to {function} is nonsense: {answer!r}"
        if time.monotonic() - since > _WAITED:
            return answer
    return answer
