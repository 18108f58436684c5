"""The container states and functions against a real engine."""

import contextlib
import time

import docker
import pytest

from swarm_formula.core import errors
from tests.functional.conftest import IMAGE, NEWER, PREFIX

NAME = f"{PREFIX}web"
OLD = f"{NAME}-replaced"
VOLUME = f"{PREFIX}data"
CRASH = ["sh", "-c", "echo the reason; exit 3"]
SPEC = {
    "image": IMAGE,
    "environment": {"PLAIN": 1, "API_TOKEN": "hush"},
    "mounts": [f"{VOLUME}:/data", f"{VOLUME}:/again:z,ro", "/etc:/host:ro"],
    "network_mode": "none",
    "restart_policy": "unless-stopped",
    "labels": {"tier": "web"},
    "cap_add": ["NET_ADMIN"],
    "cap_drop": ["CAP_MKNOD"],
    "memory": "64m",
    "cpus": 0.5,
    "ulimits": {"nofile": "512:1024"},
    "hostname": "web",
    "user": "0:0",
    "stop_signal": "term",
    "stop_timeout": 3,
    "log_driver": "json-file",
    "log_options": {"max-size": "1m"},
}
# One other value for each setting that needs a new container.
OTHERS = {
    "command": ["sleep", "1000"],
    "entrypoint": ["sleep", "1001"],
    "environment": {"PLAIN": 1},
    "mounts": ["/etc:/host:ro"],
    "network_mode": "host",
    "labels": {},
    "cap_add": [],
    "cap_drop": ["MKNOD", "CHOWN"],
    "ulimits": {},
    "hostname": "other",
    "user": "1:1",
    "stop_signal": "SIGINT",
    "stop_timeout": 4,
    "log_options": {"max-size": "2m"},
    "memory": 0,
}

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def container(states):
    return states.swarm_container


@pytest.fixture
def get(engine):
    def get_container(name=NAME):
        try:
            return engine.containers.get(name)
        except docker.errors.NotFound:
            return None

    return get_container


@pytest.fixture
def web(container, get):
    """A running container with all settings."""
    ret = container.running(NAME, **SPEC)
    assert ret.result is True, ret.comment
    return get()


def test_running_creates(container, get, testmode):
    ret = container.running(NAME, test=testmode, **SPEC)
    assert ret.result is (None if testmode else True)
    assert ret.changes["state"] == {"old": "absent", "new": "running"}
    assert ret.changes["memory"]["new"] == 64 << 20
    assert set(ret.changes) == {"state", *SPEC}
    assert (get() is None) if testmode else (get().status == "running")


def test_secrets_are_not_shown(container, modules, web):
    changes = container.running(NAME, **SPEC | {"environment": {"API_TOKEN": "new"}}).changes
    shown = repr([changes, modules.swarm_container.get(NAME)])
    assert "hush" not in shown
    assert changes["environment"]["old"]["API_TOKEN"].startswith("sha256:")
    assert changes["environment"]["old"]["PLAIN"] == "1"


def test_tasks_of_services_can_be_left_out_of_the_list(clean, modules):
    """They go with the node, so they keep no engine: a dry run has to know that."""
    for name, labels in (("own", {}), ("task", {"com.docker.swarm.task.id": "x"})):
        clean.containers.create(IMAGE, "true", name=f"{PREFIX}{name}", labels=labels)
    names = modules.swarm_container.names
    assert names(image=IMAGE) == [f"{PREFIX}own", f"{PREFIX}task"]
    assert names(image=IMAGE, tasks=False) == [f"{PREFIX}own"]


def test_running_converges(container, get, web):
    ret = container.running(NAME, **SPEC)
    assert ret.result is True
    assert ret.changes == {}
    assert get().id == web.id


def test_settings_left_out_are_left_alone(container, get, web):
    assert container.running(NAME, image=IMAGE).changes == {}
    assert get().id == web.id


@pytest.mark.parametrize("key", OTHERS)
def test_a_change_recreates_once(container, get, web, key):
    spec = {"image": IMAGE, key: OTHERS[key]}
    promised = container.running(NAME, test=True, **spec)
    assert promised.result is None
    assert get().id == web.id
    ret = container.running(NAME, **spec)
    assert ret.result is True, ret.comment
    assert ret.changes == promised.changes
    assert set(ret.changes) == {key}
    recreated = get()
    assert recreated.id != web.id
    assert container.running(NAME, **spec).changes == {}
    assert get().id == recreated.id
    assert get(OLD) is None


def test_limits_change_in_place(container, get, web):
    spec = SPEC | {"memory": "256m", "cpus": 0.75, "restart_policy": "on-failure:3"}
    ret = container.running(NAME, **spec)
    assert ret.result is True, ret.comment
    assert ret.changes["restart_policy"] == {"old": "unless-stopped", "new": "on-failure:3"}
    assert get().id == web.id
    assert get().attrs["State"]["Pid"] == web.attrs["State"]["Pid"]
    assert container.running(NAME, **spec).changes == {}


def test_ports(container, engine, modules):
    engine.networks.create(f"{PREFIX}net")
    ports = ["127.0.0.1:47777:80", "127.0.0.1:47777:81/udp", ":82"]
    spec = {"image": IMAGE, "network_mode": f"{PREFIX}net", "ports": ports}
    ret = container.running(NAME, **spec)
    assert ret.result is True, ret.comment
    assert container.running(NAME, **spec | {"ports": ports[::-1]}).changes == {}
    assert modules.swarm_container.get(NAME)["ports"] == sorted(
        ["127.0.0.1:47777:80/tcp", "127.0.0.1:47777:81/udp", ":82/tcp"]
    )


def test_another_image_of_the_same_name_recreates(container, engine, get, testmode):
    engine.images.get(IMAGE).tag(f"{PREFIX}moving")
    try:
        container.running(NAME, image=f"{PREFIX}moving", network_mode="none")
        before = get().id
        engine.images.get(NEWER).tag(f"{PREFIX}moving")
        ret = container.running(NAME, image=f"{PREFIX}moving", environment={}, test=testmode)
        assert set(ret.changes) == {"image"}
        assert (get().id == before) is testmode
        assert (get().image.id == engine.images.get(NEWER).id) is not testmode
    finally:
        engine.images.remove(f"{PREFIX}moving", force=True)


def test_another_name_of_the_same_image_changes_nothing(container, engine, web):
    assert container.running(NAME, image=engine.images.get(IMAGE).id).changes == {}


def test_named_volumes_stay_and_anonymous_ones_go(container, engine, get, web):
    def volumes(one):
        return {mount["Name"] for mount in one.attrs["Mounts"] if mount["Type"] == "volume"}

    first = volumes(web)
    container.running(NAME, **SPEC | {"hostname": "other"})
    second = volumes(get())
    assert first & second == {VOLUME}
    container.absent(NAME)
    left = {volume.id for volume in engine.volumes.list()}
    assert left & (first | second) == {VOLUME}


@pytest.mark.parametrize("state", ["exited", "created", "paused"])
def test_a_container_that_does_not_run_is_started(container, engine, get, testmode, state):
    one = engine.containers.create(IMAGE, name=NAME, network_mode="none")
    if state != "created":
        one.start()
    if state == "exited":
        one.kill()
        one.wait()
    if state == "paused":
        one.pause()
    ret = container.running(NAME, image=IMAGE, test=testmode)
    assert ret.result is (None if testmode else True), ret.comment
    assert ret.changes == {"state": {"old": state, "new": "running"}}
    assert get().id == one.id
    assert get().status == (state if testmode else "running")


def test_a_paused_container_can_be_recreated(container, get, web):
    web.pause()
    ret = container.running(NAME, image=IMAGE, hostname="other")
    assert ret.result is True, ret.comment
    assert get().status == "running"


@pytest.mark.parametrize(("policy", "restarts"), [("no", 0), ("always", 5)])
def test_a_container_that_does_not_stay_up_fails_on_every_run(container, get, policy, restarts):
    spec = {"image": IMAGE, "command": CRASH, "network_mode": "none"}
    ret = container.running(NAME, restart_policy=policy, **spec)
    assert ret.result is False
    assert "exit code 3" in ret.comment
    assert "the reason" in ret.comment
    while get().attrs["RestartCount"] < restarts:
        # Docker waits twice as long before each restart: now it is long enough to look.
        time.sleep(0.1)
    ret = container.running(NAME, restart_policy=policy, **spec)
    assert ret.result is False
    assert "the reason" in ret.comment


def _wait_as_those_do_who_launched_it(modules):
    for _ in range(600):
        modules.swarm_container.check(NAME)
        time.sleep(0.05)


@pytest.mark.parametrize("policy", ["no", "always"])
def test_launched_container_that_does_not_stay_up_is_found_by_who_waits(modules, policy):
    spec = {"image": IMAGE, "command": CRASH, "network_mode": "none", "restart_policy": policy}
    done = modules.swarm_container.apply(NAME, spec, trial=contextlib.nullcontext)
    assert done["state"]["new"] == "running"
    with pytest.raises(errors.NotRunningError, match=r"exit code 3; .* the reason"):
        _wait_as_those_do_who_launched_it(modules)


def test_container_that_runs_or_is_not_there_has_not_ended(modules, web):
    assert modules.swarm_container.check(web.name) is None
    assert modules.swarm_container.check(f"{PREFIX}nope") is None


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"command": CRASH}, "the reason"),
        ({"command": ["nope"]}, "nope"),
        ({"network_mode": f"{PREFIX}nope"}, "nope"),
        ({"mounts": ["/proc/nope/x:/data"]}, "/proc/nope"),
        ({"memory": 1}, "emory"),
        ({"cap_add": ["NOPE"]}, "NOPE"),
    ],
    ids=["ends", "no-program", "no-network", "no-mount", "refused", "no-capability"],
)
def test_a_failed_recreation_brings_the_old_one_back(container, get, web, broken, words):
    ret = container.running(NAME, **SPEC | {"hostname": "other"} | broken)
    assert ret.result is False
    assert words in ret.comment
    assert ret.changes == {}
    assert get().id == web.id
    assert get().status == "running"
    assert get(OLD) is None
    assert container.running(NAME, **SPEC).changes == {}


OTHER = SPEC | {"hostname": "other"}


@pytest.fixture
def failing(get):
    """A trial that fails, and what there was at its end: a new container, and the old one."""
    seen = []

    @contextlib.contextmanager
    def trial():
        try:
            yield
            raise errors.NotRunningError("it does not work")
        finally:
            seen.append((get().attrs["Config"]["Hostname"], get(OLD).status))

    return trial, seen


def test_a_failed_trial_is_over_before_the_old_one_comes_back(modules, get, web, failing):
    trial, seen = failing
    with pytest.raises(errors.NotRunningError, match="it does not work"):
        modules.swarm_container.apply(NAME, OTHER, trial=trial)
    assert seen == [("other", "exited")]
    assert (get().id, get().status, get(OLD)) == (web.id, "running", None)


@pytest.fixture
def untried(modules, engine, web):
    """The old container, and a new one of which a run that was killed has not seen the end."""
    modules.swarm_container.apply(f"{NAME}-new", OTHER)
    web.rename(OLD)
    web.kill()
    web.wait()
    engine.containers.get(f"{NAME}-new").rename(NAME)
    return web


def test_what_was_not_tried_to_the_end_is_tried_again(modules, get, untried, failing):
    trial, seen = failing
    with pytest.raises(errors.NotRunningError, match="it does not work"):
        modules.swarm_container.apply(NAME, OTHER, trial=trial)
    assert seen == [("other", "exited")]
    assert (get().id, get().status, get(OLD)) == (untried.id, "running", None)


def test_what_was_not_tried_to_the_end_and_works_is_kept(modules, get, untried):
    new = get().id
    assert set(modules.swarm_container.apply(NAME, OTHER)) == {"leftover"}
    assert (get().id, get(OLD)) == (new, None)
    assert modules.swarm_container.apply(NAME, OTHER) == {}


def test_what_was_not_tried_to_the_end_goes_if_nobody_wants_it_any_more(modules, get, untried):
    assert modules.swarm_container.apply(NAME, SPEC)
    assert (get().id, get().status, get(OLD)) == (untried.id, "running", None)
    assert modules.swarm_container.apply(NAME, SPEC) == {}


def test_rename_and_update(modules, get, web):
    assert modules.swarm_container.update(NAME, {"restart_policy": "no"})
    assert get().attrs["HostConfig"]["RestartPolicy"]["Name"] == "no"
    assert modules.swarm_container.rename(NAME, f"{NAME}-2")
    assert get(f"{NAME}-2").id == web.id
    assert get(f"{NAME}-2").status == "running"


def test_a_container_that_cannot_start_is_not_left_behind(container, get):
    ret = container.running(NAME, image=IMAGE, command=["nope"], network_mode="none")
    assert ret.result is False
    assert "nope" in ret.comment
    assert get() is None


@pytest.fixture(params=["renamed", "created", "stopped"])
def interrupted(request, engine, web):
    """What is there when the minion died in the middle of a recreation, at one of its steps."""
    web.rename(OLD)
    if request.param != "renamed":
        engine.containers.create(IMAGE, name=NAME, network_mode="none")
    if request.param == "stopped":
        web.kill()
        web.wait()
    return web


def test_an_interrupted_recreation_is_repaired(container, get, interrupted):
    promised = container.running(NAME, test=True, **SPEC)
    assert get(OLD).id == interrupted.id
    ret = container.running(NAME, **SPEC)
    assert ret.result is True, ret.comment
    assert ret.changes == promised.changes
    assert get().id == interrupted.id
    assert get().status == "running"
    assert get(OLD) is None
    assert container.running(NAME, **SPEC).changes == {}


def test_a_recreation_that_only_left_the_old_one_is_finished(container, engine, get, web):
    web.rename(OLD)
    web.kill()
    new = engine.containers.run(IMAGE, name=NAME, network_mode="none", detach=True)
    ret = container.running(NAME, image=IMAGE)
    assert ret.changes == {"leftover": {"old": OLD, "new": None}}
    assert get().id == new.id
    assert get(OLD) is None


def test_containers_share_a_network_by_name(container, web):
    spec = {"image": IMAGE, "network_mode": f"container:{NAME}"}
    assert container.running(f"{PREFIX}side", **spec).result is True
    assert container.running(f"{PREFIX}side", **spec).changes == {}


def test_absent(container, get, web, testmode):
    ret = container.absent(NAME, test=testmode)
    assert ret.result is (None if testmode else True)
    assert ret.changes == {"state": {"old": "running", "new": "absent"}}
    assert (get() is None) is not testmode
    if not testmode:
        assert container.absent(NAME).changes == {}


def test_absent_takes_the_leftover_along(container, get, web):
    web.rename(OLD)
    assert container.absent(NAME).changes == {"leftover": {"old": "running", "new": "absent"}}
    assert get(OLD) is None


def test_a_part_of_an_id_is_no_name(modules, web):
    assert modules.swarm_container.get(web.id[:12]) is None
    assert modules.swarm_container.remove(web.id[:12]) == {}


def test_functions(modules, web):
    functions = modules.swarm_container
    assert functions.get(NAME)["pid"] == web.attrs["State"]["Pid"]
    functions.stop(NAME)
    assert functions.get(NAME)["status"] == "exited"
    functions.start(NAME)
    assert functions.get(NAME)["status"] == "running"
    with pytest.raises(errors.ApiError, match="none of this name"):
        functions.stop(f"{PREFIX}nope")


def test_logs(container, modules):
    command = ["sh", "-c", "echo 1; echo 2; echo 3; exec sleep 1000"]
    container.running(NAME, image=IMAGE, command=command, network_mode="none")
    assert modules.swarm_container.logs(NAME, lines=2) == "2\n3"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"image": ""}, "needs an 'image'"),
        ({"image": IMAGE, "ports": "80:80"}, "'ports' must be a list"),
        ({"image": IMAGE, "memory": "much"}, "'memory' must be a size"),
    ],
)
def test_wrong_settings_fail_in_test_mode_too(container, spec, words, testmode):
    ret = container.running(NAME, test=testmode, **spec)
    assert ret.result is False
    assert words in ret.comment
