"""The starting point that both sides set out from: prepared once, put back before each run."""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab import config
from lab.api import Lab
from lab.run import LabError

SCRIPTS = Path(__file__).resolve().parent / "hosts"
ENV = {"SWARM_LAB_NAME": "swarm-bench", "SWARM_LAB_SUBNET": "10.79.0.0/24"}
LABELS = {"zone": "a"}
IMAGES = ("consul", "swarm")
SECURE, PLAIN = 3376, 3375
CERTIFICATES = "/etc/swarm-formula/tls/current"
SETTLE = 4
# An SLS with one state that does nothing: what Salt itself takes.
TRIVIAL = "trivial"


def open_lab(env: Mapping[str, str]) -> Lab:
    """Returns a lab of the benchmark's own, beside the one that someone may work in."""
    return Lab(config.settings({**ENV, **env}))


def run(measure: Callable[[Lab], None]) -> int:
    """Measures in a lab of the benchmark's own, which is down afterwards; returns the exit code."""
    lab = open_lab(os.environ)
    try:
        measure(lab)
    except LabError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    finally:
        lab.down()
    return 0


def prepare(lab: Lab, public_key: str) -> None:
    """Installs engine, images and libraries on every host, and writes the pillar."""
    pillar = {**read_pillar(lab), "labels": LABELS, "tls": {"enabled": False}}
    if pillar["mode"] == "builtin":
        pillar["nodes"] = {"m*": {"labels": LABELS}}
    elif "manager" not in pillar:
        raise LabError("the benchmark needs a swarm image; SWARM_LAB_IMAGES names a folder of tars")
    lab.pillar(pillar)
    (lab.settings.states / f"{TRIVIAL}.sls").write_text("nothing:\n  test.nop: []\n")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda host: _prepare(lab, host, public_key), lab.hosts()))


def _prepare(lab: Lab, host: str, public_key: str) -> None:
    for image in IMAGES:
        tar = lab.settings.images / f"{image}.tar"
        lab.engine.docker("cp", tar, f"{lab.settings.container(host)}:/var/tmp/{image}.tar")
    lab.exec(host, "sh", "-c", _script("prepare"), input=public_key, timeout=900)


def trivial(lab: Lab) -> float:
    """Returns the seconds of a `state.apply` of one state that does nothing, on all hosts."""
    started = time.monotonic()
    answers = lab.salt("*", "state.apply", TRIVIAL, timeout=120)
    seconds = time.monotonic() - started
    if set(answers) != set(lab.hosts()):
        raise LabError(f"the trivial state was applied on {', '.join(answers)} only")
    return seconds


def switch_tls(lab: Lab, on: bool) -> None:
    """Writes into the pillar whether the formula uses TLS; Ansible's playbook does not."""
    lab.pillar({**read_pillar(lab), "tls": {"enabled": on}})


def read_pillar(lab: Lab) -> dict:
    """Returns the value of the pillar key `swarm` that the lab's hosts get."""
    given = json.loads((lab.settings.pillar / "swarm.sls").read_text())["swarm"]
    return {"mode": "classic", **given}


def reset(lab: Lab) -> None:
    """Puts every host back to the starting point; fails if one is not truly there."""
    # Else the formula would not make the cluster anew: managers have told of one.
    lab.salt_run("cache.clear_mine", "tgt=*")
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda host: _reset(lab, host), lab.hosts()))
    await_minions(lab)
    settle()


def await_minions(lab: Lab, limit: float = 120) -> None:
    end = time.monotonic() + limit
    while missing := _silent(lab):
        if time.monotonic() > end:
            raise LabError(f"after the reset, no answer from the minions {', '.join(missing)}")
        time.sleep(0.5)


def _silent(lab: Lab) -> list[str]:
    try:
        answers = lab.salt("*", "test.ping", timeout=60)
    except LabError:
        # The command line waits for ever for a master that was restarted in the middle.
        return lab.hosts()
    return [host for host in lab.hosts() if answers.get(host) is not True]


def settle() -> None:
    """Waits until the work that a start or a run left behind is done."""
    time.sleep(SETTLE)


def _reset(lab: Lab, host: str) -> None:
    command = ["sh", "-c", _script("reset"), "reset", str(len(IMAGES))]
    done = lab.exec(host, *command, timeout=180, check=False)
    if done.returncode:
        raise LabError(f"{host} could not be put back: {done.stdout}{done.stderr}")


def _script(name: str) -> str:
    return (SCRIPTS / f"{name}.sh").read_text()


def healthy(lab: Lab) -> int:
    """Returns how many nodes the swarm itself calls healthy; each run is checked by it."""
    pillar = read_pillar(lab)
    count = _ready if pillar["mode"] == "builtin" else _healthy
    return max(count(lab, host, pillar) for host in pillar["managers"])


def _healthy(lab: Lab, host: str, pillar: Mapping) -> int:
    if pillar["tls"]["enabled"]:
        files = {"--cacert": "ca", "--cert": "cert", "--key": "key"}
        secure = [word for key, one in files.items() for word in (key, f"{CERTIFICATES}/{one}.pem")]
        command = [*secure, f"https://{lab.address(host)}:{SECURE}/info"]
    else:
        command = [f"http://{lab.address(host)}:{PLAIN}/info"]
    answer = lab.exec(host, "curl", "-sf", "--max-time", "5", *command, check=False).stdout
    try:
        pairs = json.loads(answer)["SystemStatus"]
    except (ValueError, KeyError):
        return 0
    if ["Role", "primary"] not in pairs:
        return 0
    return sum(value == "Healthy" for _, value in pairs)


def _ready(lab: Lab, host: str, pillar: Mapping) -> int:
    """Returns how many nodes are ready, with their labels, if all managers are there."""
    ids = lab.exec(host, "docker", "node", "ls", "-q", check=False).stdout.split()
    if not ids:
        return 0
    shown = (
        "{{.Status.State}} {{json .Spec.Labels}} {{with .ManagerStatus}}{{.Reachability}}{{end}}"
    )
    lines = lab.exec(host, "docker", "node", "inspect", "-f", shown, *ids).stdout.splitlines()
    labels = json.dumps(LABELS, separators=(",", ":"))
    managers = sum(line.endswith("reachable") for line in lines)
    ready = sum(line.startswith(f"ready {labels}") for line in lines)
    return ready if managers == len(pillar["managers"]) else 0
