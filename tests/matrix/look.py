"""
What is on a host, as JSON: run on it, by its own Python, with no library beside the standard one.

``settings`` is what an edit of pillar that is taken back has to restore. ``identity`` also changes
with every restart: after a refusal it is the same.
"""

import glob
import hashlib
import json
import os
import re
import subprocess

ENGINE = ["curl", "-sf", "--max-time", "30", "--unix-socket", "/var/run/docker.sock"]
WORK = "matrix-work"
FILES = (
    "/etc/docker/certs.d/*/*",
    "/etc/profile.d/swarm*",
    "/etc/swarm-formula/*",
    "/etc/swarm-formula/*/*.json",
    "/etc/systemd/system/*.d/*",
    "/root/.docker/config.json",
)
# The name of a set of certificates follows from its content, which is new with each of them.
SET = re.compile(r"tls/[0-9a-f]{12}")
# It changes with each certificate that is signed.
LEDGER = "/etc/swarm-formula/ca.json"
# In it, how a server finds the others when it starts: one that came back begins nothing itself.
CONSUL, STARTING = "/etc/swarm-formula/consul.json", ("bootstrap_expect", "retry_join")


def run(*words):
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""


def engine(path):
    return json.loads(run(*ENGINE, f"http://docker{path}") or "null")


def plain(value):
    """Return a value without the names of sets of certificates."""
    return json.loads(SET.sub("tls/*", json.dumps(value)))


def digest(path):
    with open(path, "rb") as file:
        text = file.read().decode(errors="replace")
    if path == CONSUL:
        text = json.dumps({k: v for k, v in json.loads(text).items() if k not in STARTING})
    return hashlib.sha256(SET.sub("tls/*", text).encode()).hexdigest()[:12]


def files():
    paths = sorted({path for pattern in FILES for path in glob.glob(pattern)} - {LEDGER})
    return {path: digest(path) for path in paths if os.path.isfile(path)}


def daemon():
    try:
        with open("/etc/docker/daemon.json") as file:
            return plain(json.load(file))
    except (OSError, ValueError) as err:
        return str(err)


def container(one):
    config, host = one["Config"], one["HostConfig"]
    return plain(
        {
            "image": config["Image"],
            "command": [one["Path"], *one["Args"]],
            "binds": sorted(host["Binds"] or []),
            "network": host["NetworkMode"],
            "restart": host["RestartPolicy"]["Name"],
            "running": one["State"]["Running"],
        }
    )


def containers():
    """Return all containers that are no task of a service."""
    shown = [
        engine(f"/containers/{one['Id']}/json") for one in engine("/containers/json?all=1") or []
    ]
    return {
        one["Name"].lstrip("/"): one
        for one in shown
        if one and "com.docker.swarm.task.id" not in (one["Config"]["Labels"] or {})
    }


def networks():
    return {
        one["Name"]: [
            one["Driver"],
            # Docker chooses another VXLAN ID for a network that is made again.
            {key: value for key, value in (one["Options"] or {}).items() if "vxlanid" not in key},
            one["Labels"],
            one["Internal"],
            one["Attachable"],
        ]
        for one in engine("/networks") or []
    }


def firewall():
    return bool(
        run("nft", "list", "tables").count("swarm") or "swarm" in run("iptables-save").lower()
    )


def cluster():
    """Return the settings of swarm mode's cluster, and what it says of its nodes; on a manager."""
    spec = (engine("/swarm") or {}).get("Spec") or {}
    # Docker cannot take away the last of them.
    spec.pop("Labels", None)
    return spec


def nodes():
    return {
        one["Description"]["Hostname"]: [
            one["Spec"]["Role"],
            one["Spec"]["Availability"],
            one["Spec"].get("Labels") or {},
        ]
        for one in engine("/nodes") or []
        if one["Description"].get("Hostname")
    }


def main():
    there, pid = containers(), run("pidof", "dockerd").strip()
    ours = {name: container(one) for name, one in there.items()}
    works = there.get(WORK) or {"Id": None, "State": {"StartedAt": None}}
    print(
        json.dumps(
            {
                "settings": {
                    "daemon.json": daemon(),
                    "containers": ours,
                    "files": files(),
                    "networks": networks(),
                    "firewall": firewall(),
                    "held": run("apt-mark", "showhold").split(),
                    "cluster": cluster(),
                    "nodes": nodes(),
                    "version": (engine("/version") or {}).get("Version"),
                },
                "identity": {
                    "dockerd": pid,
                    **{name: one["State"]["Pid"] for name, one in there.items()},
                },
                "work": [works["Id"], works["State"]["StartedAt"]],
                "swarm": (engine("/info") or {}).get("Swarm"),
            }
        )
    )


main()
