"""
Build the drop-in of the engine's systemd unit, and find errors in its journal. Pure functions.
"""

import re
from collections.abc import Iterator

# Sorts after an administrator's files, in particular ``override.conf`` of ``systemctl edit``,
# because the last ExecStart takes effect.
DROPIN = "zz-swarm.conf"
_OURS = "# Written by Salt (swarm-formula)"

_HEADER = r"(?m)^# (/.+)$"
_CONTINUED = r"\\\n(?:[ \t]*[#;].*\n)*[ \t]*"
_EXEC_START = r"(?m)^[ \t]*ExecStart[ \t]*=(.*)$"
_SOCKET = r" -H tcp://\S+(?: --tlsverify)?$"
_MESSAGE = r'msg="((?:[^"\\]|\\.)*)"'
# Error lines of the daemon, including its own panics and those of the Go runtime; and systemd's.
_BAD = (
    r"level=(?:error|fatal|panic)|: error "
    r"|^(?:failed|unable|invalid|unknown|Error|Status|panic|fatal error)\b"
)
_SYSTEMD = r"^(?:\S+: )?(?:Failed|Main process exited|.* is masked|Dependency failed)"


def exec_start(units: str) -> str | None:
    """
    Return the start command from the output of ``systemctl cat``, without the formula's drop-in.

    The last ``ExecStart`` in the order of the files takes effect; an empty one clears earlier ones.
    """
    found = None
    for _, text in _files(units):
        if text.lstrip().startswith(_OURS):
            continue
        for command in _commands(text):
            found = command.strip() or None
    return found


def _files(units: str) -> Iterator[tuple[str, str]]:
    """Yield the path and the text of each file in the output of ``systemctl cat``."""
    parts = re.split(_HEADER, units)
    yield from zip(parts[1::2], parts[2::2], strict=True)


def _commands(text: str) -> list[str]:
    return re.findall(_EXEC_START, re.sub(_CONTINUED, " ", text))


def later(units: str) -> list[str]:
    """Return the drop-ins whose start command takes effect in place of the formula's."""
    return [
        path
        for path, text in _files(units)
        if path.rpartition("/")[0].endswith(".d")
        and path.rpartition("/")[2] > DROPIN
        and _commands(text)
    ]


def dropin(command: str, listen: str, verify: bool = False) -> str:
    """
    Return a drop-in that adds a TCP socket to the unit's command.

    verify
        Whether the socket requires client certificates.

    Works with the units of Debian and docker-ce, because the package's command line is kept.
    ``hosts`` in daemon.json would not work: both units have ``-H fd://``, and dockerd does not
    accept both.
    """
    return (
        f"{_OURS}: the unit's own command, and one more socket.\n"
        f"[Service]\nExecStart=\nExecStart={command} -H tcp://{listen}{' --tlsverify' * verify}\n"
    )


def moved(text: str, command: str) -> str:
    """Return the formula's drop-in ``text`` with the command of another package's unit."""
    ours = _commands(text)[-1]
    socket = re.search(_SOCKET, ours)
    return text.replace(f"ExecStart={ours}", f"ExecStart={command}{socket[0]}") if socket else text


def words(journal: str, lines: int = 4) -> str:
    """Return the daemon's last error messages in its journal; empty if there are none."""
    return _picked(journal, _BAD, lines)


def systemd_words(journal: str, lines: int = 4) -> str:
    """Return systemd's last error messages about the unit; empty if there are none."""
    return _picked(journal, _SYSTEMD, lines)


def _picked(journal: str, wanted: str, lines: int) -> str:
    bad = [line for line in journal.splitlines() if re.search(wanted, line)]
    texts = [
        match[1].replace('\\"', '"') if (match := re.search(_MESSAGE, one)) else one for one in bad
    ]
    kept = list(dict.fromkeys(texts))[-lines:]
    return " | ".join(kept)
