"""
A search for a secret wherever Salt, its logs or a process could have left it.
"""

import contextlib
import re
import time

# Where the two releases of Salt keep the mine.
MINE = re.compile(r"/var/cache/salt/master/(mine/[^/]+|minions/[^/]+/mine)\.p")
_SALT = ["/var/cache/salt", "/var/log", "/run/salt", "/etc/salt", "/root"]
_PLACES = {
    "salt": _SALT,
    "host": [*_SALT, "/var/lib/swarm-formula", "/etc/docker", "/etc/profile.d", "/etc/systemd"],
}
_LOG, _PID = "/srv/bus.log", "/srv/bus.pid"


def found(lab, secret: str) -> dict[str, list[str]]:
    """Return ``{host: files}`` that hold a secret; logs, processes, containers count as files."""
    places = {}
    for host in ("salt", *lab.hosts()):
        command = ["grep", "-rlF", "--", secret, *_PLACES["salt" if host == "salt" else "host"]]
        files = lab.exec(host, *command, check=False).stdout.split()
        for name, words in _commands(host).items():
            if secret in lab.exec(host, *words, check=False).stdout:
                files.append(name)
        if files:
            places[host] = files
    return places


def _commands(host: str) -> dict[str, list[str]]:
    commands = {
        "the journal": ["journalctl", "--no-pager", "-o", "cat"],
        "arguments": ["ps", "-eo", "args"],
    }
    if host != "salt":
        inspect = (
            "docker ps -aq | xargs -r docker inspect; docker ps -aq | xargs -rn1 docker logs 2>&1"
        )
        commands["containers"] = ["sh", "-c", inspect]
    return commands


@contextlib.contextmanager
def bus(lab):
    """Give a list that holds, afterwards, the text of all that has crossed the master's bus."""
    watch = f"timeout 300 salt-run state.event pretty=False > {_LOG} 2>&1 & echo $! > {_PID}"
    lab.exec("salt", "sh", "-c", watch)
    end = time.monotonic() + 30
    while not lab.exec("salt", "pgrep", "-f", "state.event", check=False).stdout:
        assert time.monotonic() < end, "nobody watches the bus"
        time.sleep(0.5)
    said = []
    lab.salt("*", "test.ping")
    try:
        yield said
        lab.salt("*", "test.ping")
    finally:
        lab.exec("salt", "sh", "-c", f"kill $(cat {_PID}); rm -f {_PID}", check=False)
        said.append(lab.exec("salt", "cat", _LOG).stdout)
        lab.exec("salt", "rm", "-f", _LOG)
