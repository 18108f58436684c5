"""
The whole swarm, from the master: who is a member, join those who are missing, remove one.

Who should be a member is what the pillar says that the master compiles for each accepted key; never
a grain, an event or the master's cache of pillars, for a minion could forge these.
"""

import salt.client
import salt.utils.event
import salt.utils.minions
import swarm_errors
import swarm_fleet
import swarm_members
import swarm_report

_BATCH = 50
# Seconds until it is asked whether a job still runs, and for the answer to that. A state may take
# as long as it likes; a minion that is dead costs both.
_LOOK, _ANSWER = 15, 15


def _accepted():
    return salt.utils.minions.CkMinions(__opts__).check_minions("*", "glob")["minions"]


def _pillar(minion):
    return __salt__["pillar.show_pillar"](minion)


def _swarms(swarm=None):
    """Return the swarms under this master; with the ID of a member, only that one's."""
    found = swarm_fleet.swarms({minion: _pillar(minion) for minion in _accepted()})
    return swarm_fleet.named(found, swarm)


def _ask(minions, function, *args, **kwargs):
    """Return what minions answer; those that do not are missing."""
    if not minions:
        return {}
    with salt.client.get_local_client(mopts=__opts__) as client:
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
    # Of one that does not answer, 3008 says so in place of an answer; but it has no job then.
    return {
        minion: one["ret"]
        for minion, one in found.items()
        if isinstance(one, dict) and "jid" in one
    }


def _reports(members):
    # What a minion has in mind is the pillar of its start, or of its last refresh.
    _ask(members, "saltutil.refresh_pillar", wait=True)
    return {
        member: swarm_report.read(report)
        for member, report in _ask(members, "swarm_node.report").items()
    }


def _said(reports, managers=()):
    """Return what the managers say, as some member that is set up hears it; managers come first."""
    there = [name for name, report in reports.items() if isinstance(report, dict)]
    for member in sorted(there, key=lambda name: name not in managers):
        said = _ask([member], "swarm_node.managers").get(member)
        if said := swarm_report.read_managers(said):
            return said
    return {}


def _heard(swarm, reports):
    """Return the reports of a swarm's members, and what its managers say."""
    ours = {name: report for name, report in reports.items() if name in swarm.members}
    return ours, _said(ours, swarm.managers)


def _look(swarm):
    """Return the rows of all members, swarm by swarm, their reports, and who joins by itself."""
    swarms = _swarms(swarm)
    reports = _reports([member for one in swarms for member in one.members])
    rows = []
    for one in swarms:
        ours, said = _heard(one, reports)
        rows += swarm_members.rows(list(one.members), ours, said, one.name)
    return rows, reports, {member for one in swarms for member in one.joining}


def _fire(member, word, **data):
    with salt.utils.event.get_master_event(__opts__, __opts__["sock_dir"], listen=False) as bus:
        bus.fire_event({"id": member, **data}, f"swarm/node/{member}/{word}")


def status(swarm=None):
    """
    Show the members: role, address, state, engine, labels, and why one is not Healthy.

    A table; ``--out json`` and other outputters give the rows as data. Of several swarms under one
    master, each is asked of its own managers, by whose IDs it is called.

    CLI Example:

    .. code-block:: bash

        salt-run swarm.status
        salt-run swarm.status swarm=m1
        salt-run swarm.status --out json

    swarm
        Only the swarm with this member; all if unset.
    """
    rows, _, _ = _look(swarm)
    return rows if __opts__.get("output") else swarm_members.table(rows)


def reconcile(test=False, swarm=None):
    """
    Join the members that are up and not Healthy; return what was done.

    In batches, one publish for many. Fires ``swarm/node/<id>/joined`` and ``.../failed``. To be run
    by the master's own schedule, for what was lost while the master was down.

    CLI Example:

    .. code-block:: bash

        salt-run swarm.reconcile test=True

    test
        Only tell who would be joined.

    swarm
        Only the swarm with this member; all if unset.
    """
    rows, reports, joining = _look(swarm)
    wanted = [one for one in swarm_members.to_join(rows, reports) if one in joining]
    healthy = sum(map(swarm_members.is_good, rows))
    down = [row["id"] for row in rows if row["id"] not in reports and row["role"] != "no member"]
    found = {"healthy": healthy, "down": down}
    if test:
        return {**found, "would join": wanted}
    return {**found, **_join(wanted)}


def join(*minions):
    """
    Join these minions, if their pillar makes them members; return what was done.

    CLI Example:

    .. code-block:: bash

        salt-run swarm.join m4 m5
    """
    wanted = [minion for minion in minions if swarm_members.joins(_pillar(minion))]
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


def remove(minion, force=False, lose_cluster=False, swarm=None):
    """
    Take a node out of the swarm, also one that is dead; return what was done.

    A minion that answers applies ``swarm.clean``. Then its key leaves the store, and Consul forgets
    a server; in builtin mode its tasks go elsewhere before, and it leaves the list of nodes.
    Refused where the last manager, the quorum of managers or Consul servers, or the CA would be
    lost.
    Take it out of pillar as well, or it is a member again with the next apply.

    CLI Example:

    .. code-block:: bash

        salt-run swarm.remove m4

    minion
        The ID of its minion.

    force, lose_cluster
        Both: remove it whatever that costs, also the only copy of the cluster, the store or the CA.
        Default to ``False``.

    swarm
        The ID of another member of its swarm. To be given only where that cannot be told: there are
        several, the minion's pillar makes it a member of none, and none or more than one of them
        lists a node of its name.
    """
    try:
        ours = _swarm_of(minion, swarm)
    except swarm_errors.SwarmError as err:
        return _refused(err)
    reports = _reports({*ours.members, minion})
    others = {
        name: one for name, one in reports.items() if name != minion and isinstance(one, dict)
    }
    said = _said(others, ours.managers)
    try:
        if not (force and lose_cluster):
            swarm_members.guard(minion, others, said, *_servers(others))
    except swarm_errors.SwarmError as err:
        return _refused(f"{err}. To remove it whatever that costs: force=True lose_cluster=True")
    try:
        endpoint = swarm_members.endpoint(minion, reports, said, ours.members)
    except swarm_errors.SwarmError as err:
        return _refused(err)
    take_out = _from_cluster if swarm_members.is_builtin(others) else _from_store
    done = take_out(minion, minion in reports, endpoint, others)
    if "refused" not in done:
        if (ca := swarm_members.authority(others)) in others:
            # Whoever comes in its place may have its address.
            _ask([ca], "swarm_ca.forget", minion)
        _fire(minion, "removed")
    return done


def _swarm_of(minion, swarm):
    """Return the swarm that a minion is to leave."""
    found = _swarms(swarm)
    if ours := swarm_fleet.pick(found, minion):
        return ours
    reports = _reports([member for one in found for member in one.members])
    heard = {one: _heard(one, reports)[1] for one in found}
    return swarm_fleet.only(
        swarm_fleet.knowing(heard, minion) or found, f"{minion} was not removed"
    )


def _refused(why):
    # Salt would show where in the code an error was, too; nobody asks for that.
    __context__["retcode"] = 1
    return {"refused": str(why)}


def backup(minion=None, swarm=None, **options):
    """
    Have a member keep what the swarm knows in a file of its own; return where, ``bytes``,
    ``sha256``.

    In builtin mode a manager that does not lead, and better one that is drained, for its engine is
    stopped meanwhile; in classic mode a Consul server. See ``swarm_backup.save``, and
    ``swarm_backup.restore`` for the way back.

    CLI Example:

    .. code-block:: bash

        salt-run swarm.backup
        salt-run swarm.backup m2 path=/srv/backup/swarm.tar.gz

    minion
        The ID of a minion; one is chosen if unset.

    swarm
        Chosen from the swarm with this member; needed only if there are several and no ``minion``.

    path
        A new file there. Defaults to one in ``/var/backups/swarm-formula``.

    force
        Back up whatever that costs. Defaults to ``False``.
    """
    chosen = minion
    if not chosen:
        try:
            ours = swarm_fleet.only(_swarms(swarm), "nothing was backed up")
        except swarm_errors.SwarmError as err:
            return _refused(err)
        reports = _reports(ours.members)
        chosen = swarm_members.keeper(reports, _said(reports, ours.managers))
    if not chosen:
        return _refused("no member answers that has the state of the swarm: name a minion")
    options = {key: one for key, one in options.items() if not key.startswith("__")}
    answer = _ask([chosen], "swarm_backup.save", **options).get(chosen, "it does not answer")
    return {"minion": chosen, **(answer if isinstance(answer, dict) else _refused(answer))}


def _cleaned(minion, answers, **more):
    return _clean(minion, **more) if answers else "the minion does not answer"


def _from_store(minion, answers, endpoint, others):
    done = {"cleaned": _cleaned(minion, answers), "deregistered": "the swarm does not know it"}
    if endpoint:
        done["deregistered"] = _from_any(others, "swarm_consul.deregister", endpoint=endpoint)
    done["expelled from Consul"] = _from_any(others, "swarm_consul.expel", minion)
    return done


def _from_cluster(minion, answers, node, others):
    managers = [name for name, one in others.items() if one["manager"]]
    done = {}
    if node:
        expelled = _from_any(managers, "swarm_leader.expel", node)
        if isinstance(expelled, str):
            return _refused(expelled)
        done = expelled
    # It is to go, also if its tasks do not, or if it was a node before the formula.
    done["cleaned"] = _cleaned(minion, answers, pillar={"swarm_clean": {"alone": True}})
    if node:
        done["dropped"] = _from_any(managers, "swarm_leader.drop", node)
    return done


def _servers(others):
    """Return Consul's servers that are alive, and those that Raft counts."""
    if swarm_members.is_builtin(others):
        return set(), set()
    answers = _ask(others, "swarm_consul.status").values()
    told = [one for one in answers if isinstance(one, dict)]
    return tuple(
        {name for one in told for name in one.get(key, ())} for key in ("servers", "voters")
    )


def _clean(minion, **more):
    returns = _ask([minion], "state.apply", mods="swarm.clean", queue=True, **more)
    return swarm_members.outcomes(returns, [minion]).get(minion, True)


def _from_any(others, function, *args, **kwargs):
    """Have the first of the other members do it that can."""
    answer = "no other member answers"
    for other in others:
        answer = _ask([other], function, *args, **kwargs).get(other, answer)
        if not isinstance(answer, str):
            return answer
    return answer
