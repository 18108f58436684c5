"""
Make the stand-in's image without any engine: Debian's own Python and this package in a tar.
"""

import hashlib
import io
import json
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from . import MARK, VERSION

IMAGE = f"{MARK}:{VERSION}"
HERE = Path(__file__).resolve().parent
PACKAGE = "usr/lib/swarm-standin/swarm_standin"
NOT_SHIPPED = ("build.py", "outside.py")
CREATED = "2018-06-01T00:00:00Z"
# Imported only when first used, so importing the package does not show them.
LAZY = ("encodings.idna", "encodings.latin_1", "stringprep", "unicodedata", "ssl", "runpy")
LIST_MODULES = """
import importlib, json, sys
parent, names = json.load(sys.stdin)
sys.path.insert(0, parent)
for name in names:
    importlib.import_module(name)
for module in list(sys.modules.values()):
    print(getattr(module, "__file__", None) or "")
"""
COMPILE = """
import json, py_compile, sys
mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
for source, target, shown in json.load(sys.stdin):
    py_compile.compile(source, target, shown, doraise=True, invalidation_mode=mode)
"""
# By path inside the image: mode and content.
Files = dict[str, tuple[int, bytes]]


class BuildError(Exception):
    """The image cannot be made on this machine."""


def build(out_tar: Path, _env: Mapping[str, str] | None = None) -> str:
    """Write the image to ``out_tar`` for ``docker load``, and return its name."""
    python = _python()
    modules = _modules(python)
    files = _python_files(python, modules) | _compiled(python, modules) | _start_file(python)
    layer = _tar(sorted(files.items()))
    digest = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    config = json.dumps(_config(digest), sort_keys=True).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]
    parts = [
        (config_name, (0o644, config)),
        ("layer.tar", (0o644, layer)),
        ("manifest.json", (0o644, json.dumps(manifest).encode())),
    ]
    partial = out_tar.with_name(f"{out_tar.name}.partial")
    partial.write_bytes(_tar(parts))
    partial.rename(out_tar)
    return IMAGE


def _config(layer_digest: str) -> dict:
    return {
        "architecture": "amd64",
        "os": "linux",
        "created": CREATED,
        "config": {
            "Entrypoint": ["/swarm"],
            "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "SWARM_HOST=:2375"],
            "ExposedPorts": {"2375/tcp": {}},
            "Volumes": {"/.swarm": {}},
            "Labels": {"description": "A stand-in for swarm 1.2.9, made for tests"},
        },
        "rootfs": {"type": "layers", "diff_ids": [layer_digest]},
        "history": [{"created": CREATED, "created_by": MARK}],
    }


def _python() -> Path:
    """Return the system's Python: what is in a pyenv or a venv has files elsewhere."""
    found = Path("/usr/bin/python3").resolve()
    if not found.exists():
        raise BuildError("/usr/bin/python3 is missing: apt-get install python3")
    return found


def _python_files(python: Path, modules: list[Path]) -> Files:
    shared = [path for path in modules if path.suffix == ".so"]
    wanted = [python, *shared, *_libraries([python, *shared])]
    return {_inside(path): (0o755, path.read_bytes()) for path in wanted}


def _start_file(python: Path) -> Files:
    lines = (
        f"#!/{_inside(python)} -IS",
        "import sys",
        f"sys.path.append('/{Path(PACKAGE).parent}')",
        f"from {Path(PACKAGE).name}.__main__ import run",
        "run(sys.argv[1:])",
    )
    return {"swarm": (0o755, "\n".join([*lines, ""]).encode())}


def _compiled(python: Path, modules: list[Path]) -> Files:
    """Compile all modules; without their source beside them they take half the space."""
    sources = {f"{_inside(path)}c": path for path in modules if path.suffix == ".py"}
    own = [path for path in sorted(HERE.glob("*.py")) if path.name not in NOT_SHIPPED]
    sources |= {f"{PACKAGE}/{path.name}c": path for path in own}
    with tempfile.TemporaryDirectory() as folder:
        targets = {name: Path(folder) / f"{number}.pyc" for number, name in enumerate(sources)}
        jobs = [(str(path), str(targets[name]), f"/{name}") for name, path in sources.items()]
        _run(python, COMPILE, json.dumps(jobs))
        return {name: (0o644, target.read_bytes()) for name, target in targets.items()}


def _modules(python: Path) -> list[Path]:
    names = ["lab.standin.__main__", *LAZY]
    found = _run(python, LIST_MODULES, json.dumps([str(HERE.parent.parent), names]))
    paths = {Path(line) for line in found.split("\n") if line}
    return sorted(path for path in paths if HERE.parent not in path.parents)


def _libraries(binaries: list[Path]) -> set[Path]:
    # The loader is named by its own path there, libraries by where they were found.
    return {Path(name) for name in re.findall(r"(/\S+\.so\S*) \(0x", _output("ldd", *binaries))}


def _run(python: Path, code: str, given: str) -> str:
    return _output(python, "-ISc", code, given=given)


def _output(*argv: str | Path, given: str = "") -> str:
    done = subprocess.run(  # noqa: S603
        argv, input=given, capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode:
        raise BuildError(f"the stand-in's image: {argv[0]} failed:\n{done.stderr}")
    return done.stdout


def _inside(path: Path) -> str:
    return str(path).lstrip("/")


def _tar(files: Iterable[tuple[str, tuple[int, bytes]]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, (mode, data) in files:
            info = tarfile.TarInfo(name)
            info.mode, info.size = mode, len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()
