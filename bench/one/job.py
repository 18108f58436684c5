"""
One `state.apply swarm` as a dry run, masterless, on an engine that is played: what it imports.

Its own program, in the Python of Salt: job.py FOLDER FORMULA SOCKET [cold]. Salt itself and the
client libraries are imported before the clock starts, for a minion has them already.
"""

import json
import shutil
import sys
import time
from importlib.machinery import SourceFileLoader
from pathlib import Path

import docker  # noqa: F401
import salt.client
import salt.config
import salt.loader
import salt.minion
import salt.pillar
import salt.state

# A package that is there, so that nothing is to be installed.
PILLAR = {"swarm": {"mode": "builtin", "managers": ["m1"], "engine": {"package": "bash"}}}


def prepared(folder: Path, formula: str, socket: str) -> Path:
    """Writes the minion's configuration and its pillar; returns the former."""
    (folder / "pillar").mkdir(parents=True, exist_ok=True)
    (folder / "pillar/top.sls").write_text(json.dumps({"base": {"*": ["one"]}}))
    (folder / "pillar/one.sls").write_text(json.dumps(PILLAR))
    options = {
        "id": "m1",
        "root_dir": str(folder),
        "file_client": "local",
        "file_roots": {"base": [formula]},
        "pillar_roots": {"base": [str(folder / "pillar")]},
        "extension_modules": str(folder / "extmods"),
        "log_file": str(folder / "log"),
        "swarm_docker_url": f"unix://{socket}",
    }
    (folder / "minion").write_text(json.dumps(options))
    return folder / "minion"


class Clock:
    """The CPU time in imports of the formula's files, with all that they import."""

    def __init__(self, folder: Path) -> None:
        self.seconds, self._depth, self._folder = 0.0, 0, str(folder)

    def start(self) -> None:
        """Clocks the imports from now on."""
        load = SourceFileLoader.exec_module

        def timed(loader: SourceFileLoader, module: object) -> None:
            if not (self._depth or loader.path.startswith(self._folder)):
                load(loader, module)
                return
            self._depth += 1
            begun = time.process_time()
            try:
                load(loader, module)
            finally:
                self._depth -= 1
                if not self._depth:
                    self.seconds += time.process_time() - begun

        SourceFileLoader.exec_module = timed


def files(folder: Path) -> int:
    """Returns how many of the formula's files are imported."""
    places = [str(getattr(module, "__file__", "")) for module in sys.modules.values()]
    return sum(place.startswith(str(folder)) for place in places)


def main(folder: Path, formula: str, socket: str, cold: bool) -> None:
    """Runs the job and prints what it took."""
    options = salt.config.minion_config(str(prepared(folder, formula, socket)))
    extmods = Path(options["extension_modules"])
    if cold:
        for cache in extmods.rglob("__pycache__"):
            shutil.rmtree(cache)
    # For the states, and for what their modules call.
    options["test"] = True
    caller = salt.client.Caller(mopts=options)
    clock = Clock(extmods)
    clock.start()
    begun = time.process_time()
    states = caller.cmd("state.apply", "swarm", test=True)
    seconds = time.process_time() - begun
    wrong = (
        states if isinstance(states, list) else [one for one in states.values() if not good(one)]
    )
    if wrong:
        sys.exit(f"the dry run has failed: {json.dumps(wrong, indent=1)}")
    print(json.dumps({"imports": clock.seconds, "job": seconds, "files": files(extmods)}))


def good(state: dict) -> bool:
    """Checks one state; this machine's daemon.json may be another one, all else is as it is due."""
    return state["result"] is True or state["name"] == "engine is configured"


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:4], cold="cold" in sys.argv[4:])
