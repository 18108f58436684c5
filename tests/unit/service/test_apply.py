"""
Services are compared, refused, changed and watched until they run; every failure has its reason.
"""

import docker
import pytest

from swarm_formula.core import errors
from swarm_formula.service import api, rollout, unplaced
from swarm_formula.service import apply as service_apply
from tests.unit.service_api import Manager, failed, options

pytestmark = pytest.mark.once


@pytest.fixture
def manager(monkeypatch):
    return Manager().patch(monkeypatch)


def apply(manager, test=False, pending=service_apply.NOTHING_PENDING, **services):
    return service_apply.apply(manager, services, service_apply.Run(60, pending, test))


def fails(manager, **services):
    with pytest.raises(errors.RolloutError) as err:
        apply(manager, **services)
    return str(err.value), err.value.changes


def test_service_is_created_and_then_nothing_changes(manager):
    start, web = manager.now, options(replicas=2, networks=["backend"])
    assert apply(manager, test=True, web=web)["web"]["state"] == {"old": "absent", "new": "running"}
    assert manager.written == []
    told = apply(manager, web=web)
    assert told["web"]["replicas"] == {"old": None, "new": 2}
    # It was watched for the five seconds that Docker takes by default.
    assert 5 <= manager.now - start < 10
    manager.now += 60
    start = manager.now
    assert apply(manager, web=web) == apply(manager, test=True, web=web) == {}
    assert manager.written == ["/services/create"]
    # Tasks that have run for a minute need not be watched.
    assert manager.now == start


def test_only_what_differs_is_written_and_one_service_of_two(manager):
    apply(manager, web=options(), db=options(env={"A": "1"}))
    manager.services_["web"]["Spec"]["Labels"] = {"by": "hand"}
    told = apply(manager, web=options(), db=options(env={"A": "2"}))
    assert told == {"db": {"env": {"old": {"A": "1"}, "new": {"A": "2"}}}}
    assert manager.written[2:] == ["/services/id-db/update"]
    assert manager.services_["web"]["Spec"]["Labels"] == {"by": "hand"}


def test_label_of_the_service_alone_needs_no_watch(manager):
    apply(manager, web=options())
    manager.now += 60
    manager.behave["web"] = lambda *_: None
    start = manager.now
    assert set(apply(manager, web=options(labels={"a": 1}))["web"]) == {"labels"}
    assert manager.now == start


def test_ports_are_watched_although_the_old_tasks_have_the_same_spec(manager):
    """The managers notice the change later, and tasks do not have it in their spec."""
    apply(manager, web=options())
    manager.now += 60
    manager.behave["web"] = lambda *_: None
    manager.later.append((manager.now + 1, lambda: manager.status("web", "updating")))
    manager.later.append((manager.now + 9, lambda: manager.status("web", "completed")))
    start = manager.now
    apply(manager, web=options(ports=["80"]))
    assert manager.now - start >= 9


def test_update_that_somebody_else_made_in_between_is_kept(manager, monkeypatch):
    apply(manager, web=options())
    inspect, calls = manager.inspect_service, []

    def meanwhile(which):
        found = inspect(which)
        if not calls:
            calls.append(which)
            service = manager.services_["web"]
            service["Version"]["Index"] += 1
            service["Spec"]["Labels"] = {"by": "hand"}
        return found

    monkeypatch.setattr(manager, "inspect_service", meanwhile)
    apply(manager, web=options(user="me"))
    assert manager.services_["web"]["Spec"]["Labels"] == {"by": "hand"}
    assert manager.services_["web"]["Spec"]["TaskTemplate"]["ContainerSpec"]["User"] == "me"


def test_nodes_get_the_login_to_the_registry_of_the_image(manager):
    """A worker that never logged in pulls with it; an update without one would take it away."""
    apply(manager, web=options(image="registry.example.com/a"))
    apply(manager, web={**options(user="me"), "image": "registry.example.com/a"})
    writes = [one for one in manager.written if "services" in one]
    assert manager.headers[-len(writes) :] == [{"login for": "registry.example.com/a"}] * 2


def test_logins_are_renewed_for_the_services_of_the_pillar_and_for_no_others(manager):
    image = {"image": "registry.example.com/a"}
    apply(manager, web={**options(), **image}, other={**options(), **image}, public=options())
    before = {name: one["Spec"]["TaskTemplate"] for name, one in manager.services_.items()}
    manager.headers.clear()
    named = {"web", "public"}
    assert api.renew_logins(manager, lambda spec: spec["Name"] in named) == ["web", "public"]
    assert {"login for": "registry.example.com/a"} in manager.headers
    assert {name: one["Spec"]["TaskTemplate"] for name, one in manager.services_.items()} == before


def test_looking_at_twenty_services_takes_as_many_calls_as_at_one(manager):
    services = {f"s{number}": options() for number in range(20)}
    apply(manager, **services)
    manager.now += 60
    for some in (services, {"s1": options()}):
        manager.reads = 0
        assert apply(manager, **some) == {}
        assert manager.reads == 6


# ---- digests

ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64


def image_of(manager, name="web"):
    return manager.services_[name]["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]


def resolved(manager, test=False, **services):
    """Apply, and return what changed and the warnings."""
    said = []
    run = service_apply.Run(60, test=test, warn=said.append)
    return service_apply.apply(manager, services, run), said


def test_new_service_has_the_digest_of_its_image_and_a_dry_run_says_so(manager):
    manager.registry = {"nginx": ONE}
    promised = resolved(manager, test=True, web=options(image="nginx"))
    assert resolved(manager, web=options(image="nginx")) == promised
    assert promised[0]["web"]["image"]["new"] == image_of(manager) == f"nginx:latest@{ONE}"
    assert promised[1] == []


@pytest.mark.parametrize(
    ("when", "expected"), [("always", "nginx:1@" + TWO), ("changed", "nginx:1@" + ONE)]
)
def test_image_that_was_pushed_again_is_an_update_only_with_always(manager, when, expected):
    manager.registry = {"nginx:1": ONE}
    resolved(manager, web=options(image="nginx:1", resolve=when))
    manager.registry = {"nginx:1": TWO}
    asked = len(manager.asked)
    told, _ = resolved(manager, web=options(image="nginx:1", resolve=when))
    assert image_of(manager) == expected
    assert bool(told) is (when == "always")
    # No question at all unless pillar has another name, or wants to know.
    assert len(manager.asked) - asked == (when == "always")
    assert resolved(manager, web=options(image="nginx:1", resolve=when)) == ({}, [])


@pytest.mark.parametrize("image", ["nginx:1", f"nginx:1@{ONE}"])
def test_nobody_is_asked_if_pillar_says_so_or_has_the_digest(manager, image):
    when = {} if "@" in image else {"resolve": "never"}
    assert resolved(manager, web=options(image=image, **when))[1] == []
    assert (image_of(manager), manager.asked) == (image, [])


def test_each_image_is_asked_for_once_in_a_run(manager):
    manager.registry = {"nginx:1": ONE}
    resolved(manager, **{f"s{number}": options(image="nginx:1") for number in range(5)})
    assert manager.asked == ["nginx:1"]


@pytest.mark.parametrize("answer", ["", None], ids=["no digest", "away"])
def test_registry_without_an_answer_is_one_warning_and_nothing_changes(manager, answer):
    """An empty digest would be another one than the one that the service has, again and again."""
    manager.registry = {"r.example.com/a:1": ONE, "r.example.com/b:1": ONE}
    services = {
        "a": options(image="r.example.com/a:1", resolve="always"),
        "b": options(image="r.example.com/b:1", resolve="always"),
    }
    resolved(manager, **services)
    manager.registry = {} if answer is None else dict.fromkeys(manager.registry, answer)
    written = list(manager.written)
    for _ in range(2):
        told, said = resolved(manager, **services)
        assert (told, len(said)) == ({}, 1)
        reason = "no such host" if answer is None else "it returns none"
        assert said[0].startswith(
            "registry r.example.com: no digest of r.example.com/a:1, r.example.com/b:1. "
        )
        assert reason in said[0]
    assert manager.written == written
    assert image_of(manager, "a") == f"r.example.com/a:1@{ONE}"


def test_new_service_is_made_with_the_name_alone_if_the_registry_is_away(manager):
    """Nodes may have the image already; without a registry, that is the only way."""
    told, said = resolved(manager, web=options(image="nginx:1"))
    assert (told["web"]["image"]["new"], image_of(manager), len(said)) == ("nginx:1", "nginx:1", 1)
    assert resolved(manager, web=options(image="nginx:1")) == ({}, [])


def test_registry_that_is_slow_to_fail_is_asked_once(manager):
    def slow():
        manager.sleep(20)
        return docker.errors.APIError("x", explanation="timeout")

    images = [f"r.example.com/{name}" for name in "abc"]
    manager.registry = {**dict.fromkeys(images, slow), "nginx:1": ONE}
    services = {f"s{image[-1]}": options(image=image) for image in images}
    _, said = resolved(manager, test=True, **services, web=options(image="nginx:1"))
    assert manager.asked == [images[0], "nginx:1"]
    assert (len(said), all(image in said[0] for image in images)) == (1, True)


# ---- failures


def test_task_that_exits_is_a_failure_with_its_error_and_node(manager):
    def crash(manager, name):
        manager.start(name, failed("task: non-zero exit (1)"), "shutdown")
        manager.start(name, {"State": "ready", "Message": "prepared"}, "ready")

    manager.behave["web"] = crash
    start = manager.now
    text, told = fails(manager, web=options(replicas=2), db=options())
    assert text == (
        "service web: gave up after 30 s (timeout): 0 of 2 task(s) run with the wanted spec;"
        " web.1 on m1, web.2 on m2: task: non-zero exit (1)"
    )
    # What was changed is told all the same; the other service is as wanted.
    assert set(told) == {"web", "db"}
    assert 30 <= manager.now - start < 40


def test_task_that_starts_and_dies_again_and_again_does_not_count_as_running(manager):
    def loop(manager, name):
        manager.run(name)
        manager.later.append((manager.now + 3, lambda: loop(manager, name)))

    manager.behave["web"] = loop
    assert "its tasks have only just started" in fails(manager, web=options())[0]


def test_paused_update_is_a_failure_at_once_and_a_good_one_goes_on(manager):
    apply(manager, web=options())

    def pause(manager, name):
        manager.stop(name)
        manager.start(name, failed("No such image: b"), "shutdown")
        manager.status(name, "paused", "update paused due to failure of task t9")

    manager.behave["web"] = pause
    start = manager.now
    text, told = fails(manager, web=options(image="b"))
    assert "Docker has paused the update (update paused due to failure of task t9)" in text
    assert "web.1 on m1: No such image: b" in text
    assert (set(told["web"]), manager.now) == ({"image"}, start)
    # Docker would wait for ever: the same again resumes it, and says that it would.
    again = {"web": {"update": {"old": "paused", "new": "resumed"}}}
    assert apply(manager, test=True, web=options(image="b")) == again
    manager.behave["web"] = Manager.run
    assert apply(manager, web=options(image="b")) == again
    assert apply(manager, web=options(image="b")) == {}


def test_rollback_is_a_failure_although_the_old_tasks_run(manager):
    apply(manager, web=options())
    manager.now += 60

    def roll_back(manager, name):
        service = manager.services_[name]
        bad, service["Spec"] = service["Spec"], service["PreviousSpec"]
        manager.start(name, failed("task: non-zero exit (3)"), "shutdown", bad["TaskTemplate"])
        # The spec is the old one before the rollback is over.
        manager.status(name, "rollback_started")
        over = (manager.now + 7, lambda: manager.status(name, "rollback_completed", "rolled back"))
        manager.later.append(over)

    manager.behave["web"] = roll_back
    text, told = fails(manager, web=options(args=["false"]))
    assert text == (
        "service web: Docker has rolled the service back to its previous spec (rolled back);"
        " web.1 on m1: task: non-zero exit (3)"
    )
    assert set(told["web"]) == {"args"}
    # With the old spec in pillar, all is well: what was rolled back is not wanted any more.
    assert apply(manager, web=options()) == {}


def test_constraint_that_no_node_satisfies_is_named(manager):
    def nowhere(manager, name):
        status = failed("no suitable node (scheduling constraints not satisfied on 2 nodes)")
        manager.start(name, {**status, "State": "pending"}, NodeID=None)

    manager.behave["web"] = nowhere
    wanted = options(constraints=["node.role==manager", "node.labels.zone==x"])
    text, _ = fails(manager, web=wanted)
    assert "web.1: no suitable node" in text
    assert text.endswith("no node that is ready and active satisfies node.labels.zone==x")


def test_constraints_that_no_node_satisfies_together(manager):
    manager.nodes_[1]["Spec"]["Labels"] = {"zone": "x"}
    manager.behave["web"] = lambda manager, name: manager.start(
        name, {**failed("no suitable node"), "State": "pending"}, NodeID=None
    )
    wanted = options(constraints=["node.role==manager", "node.labels.zone==x"])
    text = "no node satisfies all of node.labels.zone==x, node.role==manager"
    assert fails(manager, web=wanted)[0].endswith(text)


@pytest.mark.parametrize(
    ("reserved", "lacking"),
    [
        ({"memory": "3g"}, "3 GiB of memory left for a reservation: m2 has 2 GiB of 2 GiB, m1 has"),
        ({"cpus": 1.5}, "1.5 CPUs left for a reservation: m2 has 1 of 1, m1 has 0.5 of 1"),
        ({"memory": "2g", "cpus": 1}, None),
    ],
)
def test_resource_that_no_node_has_left_is_named(manager, reserved, lacking):
    for node in manager.nodes_:
        node["Description"]["Resources"] = {"NanoCPUs": 10**9, "MemoryBytes": 2 << 30}
    apply(manager, db=options(reservations={"cpus": 0.5, "memory": "1536m"}))
    status = failed("no suitable node (insufficient resources on 2 nodes)")
    manager.behave["web"] = lambda manager, name: manager.start(
        name, {**status, "State": "pending"}, NodeID=None
    )
    text, _ = fails(manager, web=options(reservations=reserved), db=options())
    assert "web.1: no suitable node (insufficient resources on 2 nodes)" in text
    assert lacking in text if lacking else text.endswith("on 2 nodes)")


def test_resources_of_nodes_that_may_not_run_it_do_not_count(manager):
    for node, memory in zip(manager.nodes_, (1, 8), strict=True):
        node["Description"]["Resources"] = {"MemoryBytes": memory << 30}
    status = failed("no suitable node (scheduling constraints not satisfied on 1 node;"
                    " insufficient resources on 1 node)")  # fmt: skip
    manager.behave["web"] = lambda manager, name: manager.start(
        name, {**status, "State": "pending"}, NodeID=None
    )
    wanted = options(reservations={"memory": "4g"}, constraints=["node.hostname==m1"])
    text, _ = fails(manager, web=wanted)
    assert text.endswith(
        "no node has 4 GiB of memory left for a reservation: m1 has 1 GiB of 1 GiB"
    )


def test_port_of_the_nodes_that_is_taken_is_named(manager):
    status = failed("no suitable node (host-mode port already in use on 2 nodes)")
    manager.behave["web"] = lambda manager, name: manager.start(
        name, {**status, "State": "pending"}, NodeID=None
    )
    ports = ["81:81", {"published": 80, "target": 80, "mode": "host"}]
    text, _ = fails(manager, web=options(ports=ports))
    assert text.endswith("on each of these nodes, a task already has one of its ports 80/tcp")


def test_service_is_scaled_down_when_its_other_tasks_are_to_stop(manager):
    apply(manager, web=options(replicas=3))
    manager.behave["web"] = lambda manager, name: None
    wanted = options(replicas=1)
    assert "3 of 1 task(s) run with the wanted spec" in fails(manager, web=wanted)[0]
    manager.later.append((manager.now + 4, lambda: manager.run("web")))
    assert apply(manager, web=wanted) == {}


def test_rollback_of_a_service_that_an_earlier_run_has_changed_is_a_failure_at_once(manager):
    apply(manager, web=options())
    manager.behave["web"] = lambda manager, name: manager.start(name, {"State": "preparing"})
    fails(manager, web=options(image="b"))

    def roll_back():
        service = manager.services_["web"]
        service["Spec"] = service["PreviousSpec"]
        manager.status("web", "rollback_completed", "rolled back")
        manager.run("web")

    start = manager.now
    manager.later.append((start + 4, roll_back))
    text, _ = fails(manager, web=options(image="b"))
    assert "Docker has rolled the service back to its previous spec (rolled back)" in text
    assert manager.now - start < 10


def test_service_that_was_made_is_told_and_watched_although_it_cannot_be_read(manager, monkeypatch):
    error = docker.errors.APIError("x", explanation="there is no leader")
    read, failing = manager.inspect_service, [error]

    def inspect(which):
        if failing:
            raise failing.pop()
        return read(which)

    monkeypatch.setattr(manager, "inspect_service", inspect)
    assert apply(manager, web=options())["web"]["state"]["new"] == "running"
    assert failing == []


def test_global_service_that_fits_nobody_does_not_run(manager):
    manager.behave["web"] = lambda *_: None
    wanted = options(mode="global", constraints=["node.labels.zone==x"])
    assert "satisfies node.labels.zone==x" in fails(manager, web=wanted)[0]


def test_global_service_runs_on_every_node_that_has_a_task(manager):
    manager.behave["web"] = lambda manager, name: manager.start(name, slots=[1, 2], Slot=None)
    assert apply(manager, web=options(mode="global"))["web"]["mode"]["new"] == "global"


def test_engine_that_takes_another_value_is_told(manager):
    def ignore(manager, name):
        manager.services_[name]["Spec"]["TaskTemplate"]["ContainerSpec"].pop("Ulimits")
        manager.run(name)

    manager.behave["web"] = ignore
    text, _ = fails(manager, web=options(ulimits={"nofile": 9}))
    assert "Docker has other values for ulimits: this engine cannot take what is wanted" in text


def test_service_that_somebody_removes_meanwhile(manager):
    manager.behave["web"] = lambda manager, name: manager.later.append(
        (manager.now, lambda: manager.services_.pop(name))
    )
    assert fails(manager, web=options())[0] == "service web: somebody has removed it"


def test_unchanged_service_that_does_not_run_is_waited_for_and_told(manager):
    apply(manager, web=options())
    manager.stop("web")
    manager.start("web", {"State": "preparing", "Message": "preparing"})
    with pytest.raises(errors.WaitTimeoutError, match="on m1: is preparing"):
        apply(manager, test=True, web=options())
    assert "gave up after 30 s" in fails(manager, web=options())[0]
    manager.later.append((manager.now + 4, lambda: manager.run("web")))
    assert apply(manager, web=options()) == {}


def test_leader_that_goes_away_meanwhile_is_waited_for(manager, monkeypatch):
    nodes, calls = manager.nodes, []

    def away():
        calls.append(1)
        if 1 < len(calls) < 4:
            raise errors.ApiError("The swarm does not have a leader")
        return nodes()

    monkeypatch.setattr(manager, "nodes", away)
    assert "web" in apply(manager, web=options())
    assert len(calls) >= 4


def test_error_of_before_is_not_told_of_a_task_that_only_starts(manager):
    apply(manager, web=options(replicas=2))
    former = manager.services_["web"]["Spec"]["TaskTemplate"]
    manager.stop("web")
    manager.start("web", failed("an old error"), "shutdown", former)

    def start(manager, name):
        manager.start(name, {"State": "preparing", "Message": "preparing"}, slots=[1])
        manager.start(name, template=former, slots=[2])

    manager.tasks_ = [one for one in manager.tasks_ if one["Slot"] == 1]
    manager.behave["web"] = start
    text, _ = fails(manager, web=options(replicas=2, user="me"))
    assert "web.1 on m1: is preparing (preparing)" in text
    assert "web.2 on m2: still has the former spec" in text
    assert "an old error" not in text


# ---- what is refused, before anything is written


@pytest.mark.parametrize(
    ("there", "wanted", "text"),
    [
        (None, {"image": ""}, "web:image: found None; right would be the name of an image: the"),
        ({}, {"mode": "global"}, "right would be replicated: Docker cannot change it"),
        ({"mode": "global"}, {"replicas": 2}, "no such key: a global service has none"),
        ({}, {"networks": ["backnd"]}, "one that the cluster has. Did you mean 'backend'?"),
        ({}, {"secrets": ["password"]}, "service web:secrets: found 'password'"),
        ({}, {"configs": ["site"]}, "service web:configs: found 'site'"),
    ],
    ids=["no image", "mode", "replicas", "network", "secret", "config"],
)
def test_what_docker_would_refuse_is_refused_before_anything_is_written(
    manager, there, wanted, text
):
    if there is not None:
        manager.behave["web"] = lambda manager, name: manager.start(name, slots=[1])
        apply(manager, web=options(**there))
    written = list(manager.written)
    given = options(**{key: one for key, one in wanted.items() if one})
    if wanted.get("image") == "":
        del given["image"]
    for test in (True, False):
        with pytest.raises(errors.SettingsError) as err:
            apply(manager, test=test, other=options(), web=given)
        assert text in str(err.value)
        assert str(err.value).endswith("Nothing was changed")
    assert manager.written == written


def test_what_earlier_states_of_a_dry_run_would_make_counts(manager):
    pending = service_apply.Pending(
        {"front"}, {"secrets": {"password": "password-2"}, "configs": {}}
    )
    wanted = options(networks=["front"], secrets=["password"])
    told = apply(manager, test=True, pending=pending, web=wanted)
    new = [{"name": "password-2", "target": "password"}]
    assert told["web"]["secrets"] == {"old": None, "new": new}


def test_host_network_is_no_change_for_ever(manager):
    """Its ID is in no list: it has to be asked for."""
    apply(manager, web=options(networks=["host"]))
    assert apply(manager, test=True, web=options(networks=["host"])) == {}


# ---- removal


def test_service_is_removed_when_its_tasks_are_gone(manager):
    apply(manager, web=options())
    start = manager.now
    assert api.remove(manager, "web", 60, test=True)
    assert "web" in manager.services_
    told = api.remove(manager, "web", 60)
    assert told == {"state": {"old": "present", "new": "absent"}}
    assert manager.now - start >= 2
    assert api.remove(manager, "web", 60) == {}


# ---- rows


def test_row_of_a_service(manager):
    manager.behave["web"] = lambda manager, name: manager.start(name, slots=[1])
    with pytest.raises(errors.RolloutError):
        apply(manager, web=options(replicas=2))
    (service,) = manager.services()
    assert rollout.row(service, manager.tasks(), manager.nodes()) == {
        "service": "web",
        "mode": "replicated",
        "image": "a",
        "wanted": 2,
        "running": 1,
        "update": "",
        "since": service["UpdatedAt"][:19],
        "why not": "1 of 2 task(s) run with the wanted spec",
    }


def test_many_causes_are_cut(manager):
    apply(manager, web=options())
    manager.stop("web")
    for slot in range(1, 9):
        manager.start("web", failed(f"error {slot}"), slots=[slot])
    (service,) = manager.services()
    told = rollout.causes(service, manager.tasks(), manager.nodes())
    assert len(told) == 5
    assert told[-1] == "and 4 other causes"


@pytest.mark.parametrize(
    ("constraint", "satisfied"),
    [
        ("node.role==manager", True),
        ("node.role != manager", False),
        ("node.hostname==M1", True),
        ("node.labels.zone==a", True),
        ("node.labels.ssd!=true", True),
        ("node.labels.ssd==true", False),
        ("node.platform.os==linux", False),
        ("node.ip==10.0.0.0/8", True),
        ("of another kind", True),
    ],
)
def test_constraints_of_nodes(manager, constraint, satisfied):
    node = {**manager.nodes_[0]}
    node["Spec"] = {**node["Spec"], "Labels": {"zone": "a"}}
    assert unplaced.satisfies(node, constraint) is satisfied
