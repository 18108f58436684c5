"""
Services of classic mode: what an apply says of them is what runs, and the old one is kept.
"""

import json

import pytest

from swarm_formula.classic import service_containers, services
from swarm_formula.core import errors
from tests.unit.classic_api import Swarm, options

RUN = services.Run(30)


@pytest.fixture
def swarm(monkeypatch):
    return Swarm().patch(monkeypatch)


def apply(swarm, test=False, **wanted):
    """Apply services, after a dry run whose promise has to be kept; return what changed."""
    known = {name: options(**one) for name, one in wanted.items()}
    before = swarm.there()
    promised = services.apply(swarm, known, RUN._replace(test=True))
    assert swarm.there() == before, "a dry run changes nothing"
    if test:
        return promised
    done = services.apply(swarm, known, RUN)
    assert done == promised
    return done


def refused(swarm, error=errors.RolloutError, **wanted):
    """Apply services that have to fail; return the error."""
    known = {name: options(**one) for name, one in wanted.items()}
    with pytest.raises(error) as found:
        services.apply(swarm, known, RUN)
    return found.value


def test_service_is_created_and_a_second_apply_changes_and_writes_nothing(swarm):
    web = {"image": "nginx:1", "replicas": 2, "env": {"A": 1}}
    done = apply(swarm, web=web)["web"]
    assert done["state"] == {"old": "absent", "new": "running"}
    assert (done["image"]["new"], done["replicas"]["new"]) == ("nginx:1", 2)
    running = ("nginx:1", "running")
    assert swarm.there() == {"web.1": running, "web.2": running}
    assert swarm.headers[0] == {"login for": "nginx:1"}
    written = list(swarm.written)
    assert apply(swarm, web=web) == {}
    assert swarm.written == written


def test_scale_up_and_down_leaves_the_others(swarm):
    apply(swarm, web={"image": "a", "replicas": 2})
    first = [one.id for one in swarm.boxes]
    assert apply(swarm, web={"replicas": 4}) == {"web": {"replicas": {"old": 2, "new": 4}}}
    assert [one.id for one in swarm.boxes][:2] == first
    assert {one[0] for one in swarm.there().values()} == {"a"}
    assert apply(swarm, web={"replicas": 1})["web"] == {"replicas": {"old": 4, "new": 1}}
    assert list(swarm.there()) == ["web.1"]
    assert apply(swarm, web={"replicas": 0}) == {"web": {"replicas": {"old": 1, "new": 0}}}
    assert swarm.there() == {}
    assert apply(swarm, web={"replicas": 0}) == {}


def test_containers_are_replaced_one_by_one_and_old_ones_go_when_new_ones_run(swarm):
    apply(swarm, web={"image": "a", "replicas": 2})
    swarm.written.clear()
    done = apply(swarm, web={"image": "b", "update_config": {"delay": "3s"}})
    assert done == {"web": {"image": {"old": "a", "new": "b"}}}
    assert swarm.written == [
        step.format(n)
        for n in (1, 2)
        for step in (
            "web.{0} -> web.{0}-replaced",
            "+web.{0}",
            "stop web.{0}-replaced",
            "start web.{0}",
            "-web.{0}-replaced",
        )
    ]


def test_only_what_is_named_is_compared_and_the_rest_stays(swarm):
    apply(swarm, web={"image": "a", "replicas": 2, "env": {"A": 1}, "user": "nobody"})
    assert apply(swarm, web={"image": "a"}) == {}
    assert apply(swarm, web={"user": None}) == {"web": {"user": {"old": "nobody", "new": None}}}
    apply(swarm, web={"image": "b", "replicas": 3})
    assert [one.body["Env"] for one in swarm.boxes] == [["A=1"]] * 3
    assert {one.body.get("User") for one in swarm.boxes} == {None}


def test_image_that_cannot_be_had_fails_and_the_old_containers_run_on(swarm):
    apply(swarm, web={"image": "a", "replicas": 2})
    before = [(one.id, one.since) for one in swarm.boxes]
    error = refused(swarm, web={"image": "bad"})
    assert "pull access denied for bad" in str(error)
    assert "Its containers are as they were" in str(error)
    assert error.changes == {}
    assert [(one.id, one.since) for one in swarm.boxes] == before, "never stopped"
    assert apply(swarm, web={"image": "a"}) == {}


@pytest.mark.parametrize("image", ["crash", "late", "loop"])
def test_container_that_does_not_stay_up_is_put_back_and_the_error_is_its_own(swarm, image):
    apply(swarm, web={"image": "a", "replicas": 2})
    error = refused(swarm, web={"image": image})
    assert f"its last words: the last words of {image}" in str(error)
    assert "web.1 on m" in str(error)
    running = ("a", "running")
    assert swarm.there() == {"web.1": running, "web.2": running}


def test_rollout_stops_at_the_first_that_fails_and_says_what_is_done(swarm):
    apply(swarm, web={"image": "a", "replicas": 3})
    swarm.refusals["web.2", "b"] = "port is already allocated"
    error = refused(swarm, web={"image": "b"})
    assert "port is already allocated" in str(error)
    assert "Changed before: web.1; the others are as they were" in str(error)
    assert error.changes == {"web": {"image": {"old": "a", "new": "b"}}}
    assert sorted((name, one[0]) for name, one in swarm.there().items()) == [
        ("web.1", "b"),
        ("web.2", "a"),
        ("web.3", "a"),
    ]
    swarm.refusals.clear()
    assert apply(swarm, web={"image": "b"}) == {"web": {"image": {"old": "a", "new": "b"}}}
    assert {one[0] for one in swarm.there().values()} == {"b"}


def test_new_container_that_fails_does_not_stay(swarm):
    error = refused(swarm, web={"image": "crash"}, db={"image": "a"})
    assert "service web: " in str(error)
    assert set(error.changes) == {"db"}, "another service is done all the same"
    assert set(swarm.there()) == {"db.1"}


def test_container_that_ends_after_it_has_proved_to_run_is_a_failure(swarm):
    settings = {"image": "late", "update_config": {"monitor": "1s"}}
    error = refused(swarm, web=settings, db={"image": "a"})
    assert "service web: " in str(error)
    assert "exit code 3" in str(error)


def test_container_that_no_node_may_have_is_the_schedulers_error(swarm):
    begun = swarm.now
    error = refused(swarm, web={"image": "a", "constraints": ["node.labels.zone==9"]})
    assert "Unable to find a node" in str(error)
    assert "[zone==9]" in str(error)
    assert swarm.now - begun >= 30, "a node may register within timeout"
    apply(swarm, web={"image": "a"})
    refused(swarm, web={"image": "a", "constraints": ["node.labels.zone==9"]})
    assert swarm.there() == {"web.1": ("a", "running")}


def test_constraints_affinities_and_reschedule_place_containers(swarm):
    web = {
        "image": "a",
        "replicas": 2,
        "constraints": ["node.labels.zone!=2", "node.hostname!=m9"],
        "affinities": ["swarm-formula.service!=web"],
        "reschedule": "on-node-failure",
    }
    apply(swarm, web=web)
    assert {one.engine for one in swarm.boxes} == {"m1", "m3"}
    labels = swarm.boxes[0].labels
    assert json.loads(labels["com.docker.swarm.reschedule-policies"]) == ["on-node-failure"]
    assert json.loads(labels["com.docker.swarm.constraints"]) == ["node!=m9", "zone!=2"]
    assert apply(swarm, web=web) == {}
    assert apply(swarm, web={"reschedule": "off"})["web"] == {
        "reschedule": {"old": "on-node-failure", "new": "off"}
    }


PORT = [{"published": 80, "target": 80, "mode": "host"}]


def test_old_container_is_removed_first_where_its_port_is_in_the_way_of_the_new_one(swarm):
    web = {"image": "a", "replicas": 3, "ports": PORT}
    apply(swarm, web=web)
    assert {one.engine for one in swarm.boxes} == {"m1", "m2", "m3"}
    apply(swarm, web={**web, "image": "b"})
    assert {(one.engine, one.image) for one in swarm.boxes} == {
        ("m1", "b"),
        ("m2", "b"),
        ("m3", "b"),
    }
    assert set(swarm.there()) == {"web.1", "web.2", "web.3"}, "no trial container stays"


def test_old_container_that_was_removed_first_is_created_again_if_the_new_one_fails(swarm):
    web = {"image": "a", "replicas": 3, "ports": PORT, "env": {"A": "x"}}
    apply(swarm, web=web)
    error = refused(swarm, web={**web, "image": "crash"})
    assert "the last words of crash" in str(error)
    assert set(swarm.there().values()) == {("a", "running")}
    assert apply(swarm, web=web) == {}


def test_bad_image_stops_no_container_whose_port_is_in_the_way(swarm):
    web = {"image": "a", "replicas": 3, "ports": PORT}
    apply(swarm, web=web)
    before = [(one.id, one.since) for one in swarm.boxes]
    refused(swarm, web={**web, "image": "bad"})
    assert [(one.id, one.since) for one in swarm.boxes] == before


ON_EACH = {"image": "a", "replicas": 3, "affinities": ["swarm-formula.service!=web"]}
LIMITED = {**ON_EACH, "limits": {"memory": "600m"}}
TOO_MUCH = {"limits": {"memory": "4096g"}}
WITH_PORT = {**ON_EACH, "ports": PORT}


@pytest.mark.parametrize(
    ("web", "change", "why"),
    [
        (ON_EACH, TOO_MUCH, "4194304 MiB of memory: Docker says: no resources available"),
        (LIMITED, TOO_MUCH, "4194304 MiB of memory: Docker says: no resources available"),
        (LIMITED, {"limits": {"memory": "900m"}}, "nor without the old container on m"),
        (WITH_PORT, {"limits": {"cpus": 3}}, "Range of CPUs is from 0.01 to 2.00"),
        (WITH_PORT, {"ports": [{**PORT[0], "published": 81}]}, "[port 81 (Bridge mode)]"),
        (WITH_PORT, {"affinities": ["swarm-formula.service!=db"]}, "service!=db (soft=false)"),
        (WITH_PORT, {"affinities": ["container!=db.*"]}, "container!=db.* (soft=false)"),
    ],
    ids=["memory", "more-memory", "memory-of-others", "cpus", "port", "label", "name"],
)
def test_what_no_node_has_even_without_the_old_container_stops_none(swarm, web, change, why):
    """Found by review: the old container went for memory that no node has, and was made anew."""
    apply(
        swarm,
        web=web,
        db={
            "image": "a",
            "replicas": 3,
            "affinities": ["swarm-formula.service!=db"],
            "limits": {"memory": "200m"},
            "ports": [{"published": 81, "target": 81, "mode": "host"}],
        },
    )
    before = [(one.id, one.since, one.name) for one in swarm.boxes]
    error = refused(swarm, web={**web, **change})
    assert why in str(error)
    assert "Its containers are as they were" in str(error)
    assert [(one.id, one.since, one.name) for one in swarm.boxes] == before
    assert apply(swarm, web=web) == {}


def test_memory_of_a_node_that_a_container_may_not_have_does_not_count(swarm):
    swarm.memory["m1"] = 4 << 30
    web = {"image": "a", "constraints": ["node.hostname!=m1"], "ports": PORT, "replicas": 2}
    apply(swarm, web=web)
    before = [(one.id, one.since) for one in swarm.boxes]
    error = refused(swarm, web={**web, "limits": {"memory": "2g"}})
    assert "nor without the old container on m" in str(error)
    assert [(one.id, one.since) for one in swarm.boxes] == before


def test_memory_of_the_old_container_is_in_the_way_of_the_new_one(swarm):
    web = {"image": "a", "replicas": 3, "limits": {"memory": "600m"}}
    apply(swarm, web=web)
    for memory in ("601m", "900m", "700m"):
        apply(swarm, web={**web, "limits": {"memory": memory}})
        assert {one.engine for one in swarm.boxes} == {"m1", "m2", "m3"}
    apply(swarm, web={**web, "limits": {"memory": "700m"}, "image": "b"})
    assert set(swarm.there().values()) == {("b", "running")}


def test_label_of_the_old_container_is_in_the_way_of_the_new_one(swarm):
    apply(swarm, web=ON_EACH)
    apply(swarm, web={**ON_EACH, "image": "b"})
    assert {(one.engine, one.image) for one in swarm.boxes} == {
        (node, "b") for node in ("m1", "m2", "m3")
    }


def test_option_that_an_engine_does_not_keep_stops_no_container_whose_port_is_in_the_way(swarm):
    web = {"image": "a", "replicas": 3, "ports": PORT}
    apply(swarm, web=web)
    before = [(one.id, one.since, one.name) for one in swarm.boxes]
    swarm.drops = {"PidsLimit"}
    error = refused(swarm, web={**web, "limits": {"pids": 50}})
    assert "Docker has not kept PidsLimit" in str(error)
    assert [(one.id, one.since, one.name) for one in swarm.boxes] == before, "no trial container"


def test_container_of_another_name_or_owner_is_never_touched(swarm):
    swarm.run("web.1", "mine")
    error = refused(swarm, errors.SettingsError, web={"image": "a"}, db={"image": "a"})
    assert "on m" in str(error)
    assert "there is a container web.1 that the formula has not created" in str(error)
    assert "Nothing was changed" in str(error)
    assert swarm.there() == {"web.1": ("mine", "running")}
    assert services.remove_service(swarm, "web") == {}
    swarm.run("db-1", "mine")
    apply(swarm, db={"image": "a"})
    done = services.remove_service(swarm, "db")
    assert done["containers"] == {"old": ["db.1"], "new": []}
    assert set(swarm.there()) == {"web.1", "db-1"}


def test_what_the_swarm_does_not_have_is_refused_before_anything_is_changed(swarm):
    error = refused(
        swarm,
        errors.SettingsError,
        web={"image": "a"},
        db={"image": "a", "networks": ["bak"]},
    )
    assert "service db:networks: found 'bak'; right would be one that the swarm has" in str(error)
    assert "the name of an image" in str(refused(swarm, errors.SettingsError, web={}))
    assert swarm.written == []


def test_containers_join_their_networks_with_the_name_of_the_service(swarm):
    apply(swarm, web={"image": "a", "networks": {"backend": {"aliases": ["www"]}, "front": {}}})
    (box,) = swarm.boxes
    ends = box.body["NetworkingConfig"]["EndpointsConfig"]
    assert ends == {"backend": {"Aliases": ["web", "www"]}}
    assert box.more == {"front": {"Aliases": ["web"]}}
    assert apply(swarm, web={"networks": ["front", "backend"]})["web"].keys() == {"networks"}
    assert apply(swarm, web={"networks": ["front", "backend"]}) == {}
    box = swarm.boxes[-1]
    box.more.clear()
    assert apply(swarm, web={"networks": ["front", "backend"]})["web"].keys() == {"networks"}


def test_limit_that_was_changed_elsewhere_is_set_again_only_if_pillar_has_it(swarm):
    apply(swarm, web={"image": "a", "limits": {"memory": "64m", "cpus": 0.5}})
    swarm.boxes[0].body["HostConfig"]["Memory"] = 1 << 27
    swarm.boxes[0].body["HostConfig"]["RestartPolicy"] = {"Name": "no", "MaximumRetryCount": 0}
    assert apply(swarm, web={"image": "a", "limits": {"cpus": 0.5}}) == {}
    done = apply(swarm, web={"limits": {"memory": "64m"}, "restart_policy": {"condition": "any"}})
    assert done["web"] == {
        "limits.memory": {"old": 1 << 27, "new": 64 << 20},
        "restart_policy.condition": {"old": "none", "new": "any"},
    }


def test_container_that_does_not_run_is_started_and_has_to_stay_up(swarm):
    apply(swarm, web={"image": "a", "replicas": 2})
    swarm.box("web.2").status = "exited"
    assert apply(swarm, web={"image": "a"})["web"] == {
        "state": {"old": {"web.2": "exited"}, "new": "running"}
    }
    del swarm.boxes[0]
    assert apply(swarm, web={"replicas": 2})["web"] == {"replicas": {"old": 1, "new": 2}}
    assert set(swarm.there()) == {"web.1", "web.2"}
    box = swarm.box("web.2")
    box.body["Image"], box.status = "crash", "exited"
    assert "the last words of crash" in str(refused(swarm, web={"replicas": 2}))


def test_service_that_restarts_all_the_time_is_not_reported_as_running(swarm):
    apply(swarm, web={"image": "a"})
    swarm.boxes[0].body["Image"], swarm.boxes[0].restarts = "loop", 4
    swarm.boxes[0].since = swarm.now - 8
    known = {"web": options(user=None)}
    assert services.apply(swarm, known, RUN) == {}, "it has run for 8 s"
    swarm.now, swarm.boxes[0].since = swarm.now + 60, swarm.now + 58
    swarm.boxes[0].restarts = 4
    swarm.boxes[0].body["Image"] = "a"
    with pytest.raises(errors.WaitTimeoutError, match="has just been restarted, 4 time"):
        services.apply(swarm, known, RUN._replace(test=True))
    swarm.boxes[0].body["Image"] = "late"
    assert "exit code 3" in str(refused(swarm, web={"user": None}))


def test_container_on_a_lost_node_fails_its_service_with_the_cure(swarm):
    apply(swarm, web={"image": "a", "replicas": 3}, db={"image": "b"})
    node = swarm.box("web.2").engine
    swarm.down = {node}
    lost = {one.name for one in swarm.boxes if one.engine == node}
    error = refused(swarm, web={"image": "c", "replicas": 3})
    assert f"web.2 is on {node}, whose engine does not answer" in str(error)
    assert "reschedule: on-node-failure" in str(error)
    assert "c" not in {one.image for one in swarm.boxes}
    with pytest.raises(errors.SwarmError, match="Nothing was changed"):
        services.remove_service(swarm, "web")
    assert lost <= set(swarm.there())


def test_node_whose_engine_restarts_is_waited_for(swarm):
    apply(swarm, web={"image": "a", "replicas": 3})
    swarm.down = {"m2"}
    swarm.later.append((swarm.now + 10, swarm.down.clear))
    services.apply(swarm, {"web": options(image="b")}, RUN)
    assert set(swarm.there().values()) == {("b", "running")}


def test_nothing_is_created_while_the_manager_does_not_know_a_node(swarm):
    """After a failover, a container may be there that the new primary has not seen yet."""
    swarm.pending = ["m2"]
    error = refused(swarm, errors.WaitTimeoutError, web={"image": "a"})
    assert "has not reached the engines at m2:2375" in str(error)
    assert swarm.written == []


def test_replacement_that_was_interrupted_is_undone_or_completed(swarm):
    apply(swarm, web={"image": "a"})
    (old,) = swarm.boxes
    old.name, old.status = "web.1-replaced", "exited"
    assert apply(swarm, web={"image": "a"})["web"]["leftover"]["old"] == ["web.1-replaced"]
    assert swarm.there() == {"web.1": ("a", "running")}
    # The new one had been created, and never ran.
    old.name, old.status = "web.1-replaced", "exited"
    body = service_containers.body("web", service_containers.merged({}, options(image="b"))).create
    swarm.post(swarm, "/containers/create?name=web.1", body)
    apply(swarm, web={"image": "b"})
    assert swarm.there() == {"web.1": ("b", "running")}
    assert apply(swarm, web={"image": "b"}) == {}


def test_trial_container_that_was_left_goes(swarm):
    apply(swarm, web={"image": "a"})
    body = service_containers.body("web", service_containers.merged({}, options(image="a"))).create
    swarm.post(swarm, "/containers/create?name=web.1-probe", body)
    assert apply(swarm, web={"image": "a"})["web"] == {
        "leftover": {"old": ["web.1-probe"], "new": None}
    }
    assert set(swarm.there()) == {"web.1"}


def test_option_that_an_engine_does_not_keep_is_a_failure_and_the_old_one_runs_on(swarm):
    apply(swarm, web={"image": "a"})
    swarm.drops = {"PidsLimit"}
    error = refused(swarm, web={"limits": {"pids": 50}})
    assert "Docker has not kept PidsLimit" in str(error)
    assert swarm.there() == {"web.1": ("a", "running")}


def test_unhealthy_container_is_put_back(swarm):
    apply(swarm, web={"image": "a"})
    swarm.health = {"b": "unhealthy", "c": "starting"}
    assert "is unhealthy" in str(refused(swarm, web={"image": "b"}))
    error = refused(swarm, web={"image": "c"})
    assert "gave up after 30 s (timeout): container web.1 on m" in str(error)
    assert swarm.there() == {"web.1": ("a", "running")}


def test_values_that_look_secret_are_in_no_change_and_no_label(swarm):
    done = apply(swarm, web={"image": "a", "env": {"PASSWORD": "geheim"}, "args": ["--token=zu"]})
    assert "geheim" not in str(done)
    labels = str(swarm.boxes[0].labels)
    assert "geheim" not in labels
    assert "zu" not in labels
    done = apply(swarm, web={"env": {"PASSWORD": "anders"}})
    assert done["web"].keys() == {"env"}
    assert "anders" not in str(done)
    assert swarm.boxes[0].body["Cmd"] == ["--token=zu"]


def test_rows_tell_what_runs_and_why_not(swarm):
    apply(swarm, web={"image": "a", "replicas": 2})
    swarm.box("web.2").status = "exited"
    (row,) = services.rows(swarm)
    assert (row["service"], row["image"], row["wanted"], row["running"]) == ("web", "a", 2, 1)
    assert row["why not"] == "web.2 is exited"


def test_container_that_a_manager_still_lists_after_its_removal_is_not_there(swarm):
    # An event of before its removal makes a manager look at it once more.
    apply(swarm, web={"image": "a", "replicas": 3}, db={"image": "b"})
    swarm.lags = True
    assert apply(swarm, web={"replicas": 1})["web"] == {"replicas": {"old": 3, "new": 1}}
    swarm.written.clear()
    assert apply(swarm, web={"replicas": 1}) == {}
    assert apply(swarm, web={"image": "a"}) == {}
    assert swarm.written == []
    assert [(one["wanted"], one["why not"]) for one in services.rows(swarm)] == [(1, ""), (1, "")]
    assert services.remove_service(swarm, "web")["containers"] == {"old": ["web.1"], "new": []}
    assert services.remove_service(swarm, "web") == {}
    assert [one["service"] for one in services.rows(swarm)] == ["db"]


def test_scale_is_of_a_service_that_is_there(swarm):
    apply(swarm, web={"image": "a"})
    assert services.scale(swarm, "web", 2, RUN) == {"replicas": {"old": 1, "new": 2}}
    with pytest.raises(errors.SwarmError, match=r"no service wep\. Did you mean 'web'"):
        services.scale(swarm, "wep", 2, RUN)
