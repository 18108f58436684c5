"""
The engine's systemd unit: its drop-in, and what its journal says. Pure.
"""

import re

# Sorts behind an admin's own files, ``override.conf`` of ``systemctl edit`` above all, for the last
# ExecStart counts.
DROPIN = "zz-swarm.conf"
_OURS = "# Written by Salt (swarm-formula)"

_HEADER = re.compile(r"^# (/.+)$", flags=re.MULTILINE)
_CONTINUED = re.compile(r"\\\n(?:[ \t]*[#;].*\n)*[ \t]*")
_EXEC_START = re.compile(r"^[ \t]*ExecStart[ \t]*=(.*)$", flags=re.MULTILINE)
_MESSAGE = re.compile(r'msg="((?:[^"\\]|\\.)*)"')
# The daemon's own lines, a panic of its own or of Go's among them; and systemd's on the unit.
_BAD = re.compile(
    r"level=(?:error|fatal|panic)|: error "
    r"|^(?:failed|unable|invalid|unknown|Error|Status|panic|fatal error)\b"
)
_SYSTEMD = re.compile(r"^(?:\S+: )?(?:Failed|Main process exited|.* is masked|Dependency failed)")


def exec_start(units: str) -> str | None:
    """
    Return the command that ``systemctl cat`` of a unit shows, our own drop-in left out.

    The last ``ExecStart`` in the order of the files counts; an empty one clears those before.
    """
    parts = _HEADER.split(units)
    found = None
    for text in parts[2::2]:
        if text.lstrip().startswith(_OURS):
            continue
        for command in _EXEC_START.findall(_CONTINUED.sub(" ", text)):
            found = command.strip() or None
    return found


def dropin(command: str, listen: str, verify: bool = False) -> str:
    """
    Return a drop-in that adds a TCP socket to the unit's command.

    verify
        Whether that socket asks for certificates.

    Works with Debian's unit and docker-ce's: the command line is the package's own. ``hosts`` in
    daemon.json would not do: both units say ``-H fd://``, and dockerd takes only one of the two.
    """
    return (
        f"{_OURS}: the unit's own command, and one more socket.\n"
        f"[Service]\nExecStart=\nExecStart={command} -H tcp://{listen}{' --tlsverify' * verify}\n"
    )


def words(journal: str, lines: int = 4) -> str:
    """Return the daemon's own words for what went wrong, from its journal; empty if it has none."""
    return _picked(journal, _BAD, lines)


def systemd_words(journal: str, lines: int = 4) -> str:
    """Return systemd's words for what went wrong with the unit; empty if it has none."""
    return _picked(journal, _SYSTEMD, lines)


def _picked(journal: str, wanted: re.Pattern, lines: int) -> str:
    bad = [line for line in journal.splitlines() if wanted.search(line)]
    texts = [
        match[1].replace('\\"', '"') if (match := _MESSAGE.search(one)) else one for one in bad
    ]
    kept = list(dict.fromkeys(texts))[-lines:]
    return " | ".join(kept)
