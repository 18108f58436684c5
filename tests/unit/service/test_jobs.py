"""
Jobs: run once for a definition, again on demand; and what their tasks have left.
"""

import docker
import pytest

from _modules import swarm_job
from swarm_formula.cluster import swarm_api
from swarm_formula.core import errors
from swarm_formula.service import api, jobs, rollout, task_log
from swarm_formula.service import apply as service_apply
from tests.unit.execution import mocked
from tests.unit.service_api import Manager, options


@pytest.fixture
def manager(monkeypatch):
    return Manager().patch(monkeypatch)


def job(**given):
    return options(mode="replicated-job", resolve="never", **given)


def apply(manager, test=False, **services):
    return service_apply.apply(manager, services, service_apply.Run(60, test=test))


def iteration(manager, name="job"):
    return manager.services_[name]["JobStatus"]["JobIteration"].get("Index", 0)


@pytest.mark.parametrize("mode", ["replicated-job", "global-job"])
def test_job_runs_once_for_a_definition_and_a_rerun_is_one_more(manager, mode):
    wanted = options(mode=mode, resolve="never")
    start = manager.now
    assert apply(manager, job=wanted)["job"]["mode"]["new"] == mode
    assert apply(manager, job=wanted) == apply(manager, test=True, job=wanted) == {}
    # A job that has completed is as it should be at once.
    assert (iteration(manager), manager.now) == (0, start)
    again = options(mode=mode, resolve="never", rerun=1)
    for number, rerun in enumerate(("1", "monday"), 1):
        again = {**again, "rerun": rerun}
        assert set(apply(manager, test=True, job=again)["job"]) == {"rerun"}
        assert set(apply(manager, job=again)["job"]) == {"rerun"}
        assert apply(manager, job=again) == {}
        assert iteration(manager) == number
    # Any other change is another definition.
    assert set(apply(manager, job={**again, "user": "me"})["job"]) == {"user"}
    assert iteration(manager) == 3


def test_job_without_completions_has_nothing_to_wait_for(manager):
    assert apply(manager, job=job(completions=0))["job"]["completions"]["new"] == 0
    assert manager.tasks_ == []


def test_all_completions_are_waited_for_and_counted(manager):
    def slowly(manager, name):
        one = {"JobIteration": manager.services_[name]["JobStatus"]["JobIteration"]}
        manager.start(name, {"State": "complete"}, "complete", slots=[0], **one)
        manager.start(name, desired="complete", slots=[1], **one)
        manager.later.append((manager.now + 9, finish))

    def finish():
        manager.tasks_[1]["Status"] = {"State": "complete"}

    manager.behave["job"] = slowly
    start = manager.now
    told = apply(manager, job=job(completions=2, max_concurrent=2))["job"]
    assert told["completions"] == {"old": None, "new": 2}
    assert 9 <= manager.now - start < 12
    row = rollout.row(manager.services()[0], manager.tasks(), manager.nodes())
    assert (row["mode"], row["wanted"], row["running"]) == ("replicated-job", 2, 2)


def test_job_that_fails_for_good_is_a_failure_soon_and_is_not_tried_again(manager):
    manager.behave["job"] = lambda manager, name: manager.complete(name, 3, "shutdown")
    start = manager.now
    for _ in range(2):
        with pytest.raises(errors.RolloutError) as err:
            apply(manager, job=job(timeout=60))
        assert str(err.value) == (
            "service job: 0 of 1 task(s) have completed; job: task: non-zero exit (3)"
        )
    assert manager.now - start < 20
    assert iteration(manager) == 0


def test_job_that_docker_tries_again_and_again_is_given_up_after_its_timeout(manager):
    def retry(manager, name):
        manager.complete(name, 3, "shutdown")
        manager.start(
            name,
            {"State": "ready", "Message": "prepared"},
            "ready",
            slots=[0],
            JobIteration=manager.services_[name]["JobStatus"]["JobIteration"],
        )

    manager.behave["job"] = retry
    with pytest.raises(errors.RolloutError, match=r"gave up after 30 s \(timeout\): 0 of 1"):
        apply(manager, job=job(timeout=30))


def test_job_without_restarts_has_failed_although_docker_fills_the_place_again(manager):
    def refill(manager, name):
        run = {"JobIteration": manager.services_[name]["JobStatus"]["JobIteration"]}
        manager.complete(name, 3, "shutdown")
        manager.start(name, {"State": "running", "Message": ""}, "complete", slots=[0], **run)

    manager.behave["job"] = refill
    start = manager.now
    with pytest.raises(errors.RolloutError, match=r"0 of 1 .*non-zero exit"):
        apply(manager, job=job(timeout=60, restart_policy={"condition": "none"}))
    assert manager.now - start < 10


def test_tasks_of_former_runs_do_not_count(manager):
    apply(manager, job=job())
    manager.behave["job"] = lambda *_: None
    with pytest.raises(errors.RolloutError, match="0 of 1 task"):
        apply(manager, job=job(rerun=1))


@pytest.mark.parametrize(
    ("mode", "given", "key"),
    [
        ("replicated-job", {"replicas": 2}, "replicas"),
        ("replicated-job", {"update_config": {"order": "start-first"}}, "update_config:order"),
        ("replicated", {"completions": 2}, "completions"),
        ("replicated", {"rerun": 2}, "rerun"),
    ],
)
def test_option_of_another_mode_is_refused_by_the_service_that_is_there(manager, mode, given, key):
    apply(manager, one=options(mode=mode, resolve="never"))
    with pytest.raises(errors.SettingsError, match=f"service one:{key}: .*a {mode} service"):
        apply(manager, one=options(**given))


# ---- on demand


def framed(*lines):
    """Return lines as Docker sends them: each with the stream that it was written to."""
    return b"".join(
        bytes([number % 2 + 1, 0, 0, 0]) + len(line).to_bytes(4, "big") + line
        for number, line in enumerate(lines)
    )


def test_run_returns_exit_code_and_last_lines_and_changes_nothing_else(manager):
    apply(manager, job=job())
    before = manager.services_["job"]["Spec"]

    def complete(manager, name):
        manager.complete(name)
        manager.logs[manager.tasks_[-1]["ID"]] = framed(b"one\n", b"two\nthr", b"ee\n")

    manager.behave["job"] = complete
    assert jobs.run(manager, "job", 30, 2) == {
        "job": "job",
        "completed": True,
        "why not": "",
        "tasks": [
            {
                "task": "job",
                "state": "complete",
                "exit code": 0,
                "error": "",
                "log": ["two", "three"],
            }
        ],
    }
    after = manager.services_["job"]["Spec"]
    assert after["TaskTemplate"].pop("ForceUpdate") == 1
    assert before["TaskTemplate"].pop("ForceUpdate", 0) == 0
    assert after == before
    # Pillar has the same definition still: nothing to do for an apply.
    assert apply(manager, job=job()) == {}


def test_run_that_fails_says_why_with_the_log_or_why_there_is_none(manager):
    apply(manager, job=job())

    def fail(manager, name):
        manager.complete(name, 7, "shutdown")
        error = docker.errors.APIError("x", explanation="driver does not support reading")
        manager.logs[manager.tasks_[-1]["ID"]] = error

    manager.behave["job"] = fail
    done = jobs.run(manager, "job", 30, 5)
    assert done["completed"] is False
    assert "task: non-zero exit (7)" in done["why not"]
    (task,) = done["tasks"]
    assert (task["state"], task["exit code"]) == ("failed", 7)
    assert "driver does not support reading" in task["log"][0]


def test_only_jobs_are_run_and_names_are_suggested(manager):
    apply(manager, web=options(resolve="never"))
    with pytest.raises(errors.SettingsError, match="is no job, but replicated"):
        jobs.run(manager, "web", 30, 5)
    with pytest.raises(errors.SwarmError, match=r"no service wep\. Did you mean 'web'"):
        jobs.run(manager, "wep", 30, 5)


def test_log_of_a_terminal_has_no_headers(manager):
    task = {"ID": "t", "Spec": {"ContainerSpec": {"TTY": True}}}
    manager.logs["t"] = b"one\r\ntwo\r\n"
    assert task_log.last_lines(manager, task, 1) == ["two"]
    assert task_log.last_lines(manager, task, 0) == []


@pytest.mark.parametrize("code", [0, 1])
def test_schedule_sees_a_failure_by_the_return_code(manager, monkeypatch, code):
    apply(manager, job=job())
    manager.behave["job"] = lambda manager, name: manager.complete(name, code, "shutdown")
    salt = mocked(
        swarm_leader__leads=True, swarm_leader__founds=False, swarm_settings__get={"timeout": 30}
    )
    monkeypatch.setattr(swarm_job, "__salt__", salt, raising=False)
    monkeypatch.setattr(swarm_job, "__context__", {}, raising=False)
    monkeypatch.setattr(swarm_api, "connect", manager.connect)
    assert swarm_job.run("job", test=True)["completed"] is None
    assert swarm_job.run("later", test=True)["completed"] is None
    assert iteration(manager) == 0
    assert swarm_job.run("job")["completed"] is (code == 0)
    assert swarm_job.__context__ == ({"retcode": 1} if code else {})
    salt["swarm_leader.leads"].return_value = False
    runs = iteration(manager)
    assert (swarm_job.run("job"), iteration(manager)) == (None, runs)
    assert swarm_job.run("job", test=True) is None
    salt["swarm_leader.founds"].return_value = True
    assert swarm_job.run("job", test=True)["job"] == "job"


# ---- restart of any service


def test_restart_raises_force_update_and_nothing_else(manager):
    apply(manager, web=options(resolve="never", labels={"a": 1}))
    before = manager.services_["web"]["Spec"]
    assert service_apply.restart(manager, "web", 30, test=True)
    assert manager.services_["web"]["Spec"] == before
    start = manager.now
    assert service_apply.restart(manager, "web", 30)
    assert manager.services_["web"]["Spec"] == {
        **before,
        "TaskTemplate": {**before["TaskTemplate"], "ForceUpdate": 1},
    }
    assert manager.now - start >= 5
    assert api.find(manager, "web")["Spec"]["Labels"] == {"a": "1"}
    manager.behave["web"] = lambda manager, name: manager.status(name, "paused", "task failed")
    with pytest.raises(errors.RolloutError, match="Docker has paused the update"):
        service_apply.restart(manager, "web", 30)
