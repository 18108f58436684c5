"""
Make the stand-in's image without any engine: Debian's own Python and this package in a tar.
"""

import hashlib
import io
import json
import py_compile
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from . import MARK, VERSION

IMAGE = f"{MARK}:{VERSION}"
HERE = Path(__file__).resolve().parent
PACKAGE = "usr/lib/swarm-standin/swarm_standin"
NOT_SHIPPED = ("build.py",)
CREATED = "2018-06-01T00:00:00Z"
# Imported only when first used, so importing the package does not show them.
LAZY = ("encodings.idna", "encodings.latin_1", "stringprep", "unicodedata", "ssl", "runpy")
LIST_MODULES = """
import importlib, sys
sys.path.insert(0, {parent!r})
for name in {names!r}:
    importlib.import_module(name)
for module in list(sys.modules.values()):
    print(getattr(module, "__file__", None) or "")
"""


class BuildError(Exception):
    """The image cannot be made on this machine."""


def build(out_tar: Path, _env: Mapping[str, str] | None = None) -> str:
    """Write the image to ``out_tar`` for ``docker load``, and return its name."""
    python = _python()
    layer = _tar(sorted({**_python_files(python), **_own_files(python)}.items()))
    digest = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    config = json.dumps(_config(digest), sort_keys=True).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]
    files = [
        (config_name, (0o644, config)),
        ("layer.tar", (0o644, layer)),
        ("manifest.json", (0o644, json.dumps(manifest).encode())),
    ]
    partial = out_tar.with_name(f"{out_tar.name}.partial")
    partial.write_bytes(_tar(files))
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


Files = dict[str, tuple[int, bytes]]


def _python_files(python: Path) -> Files:
    modules = _modules(python)
    files = {_inside(python): (0o755, python.read_bytes())}
    shared = [path for path in modules if path.suffix == ".so"]
    for library in _libraries([python, *shared]):
        files[_inside(library)] = (0o755, library.read_bytes())
    for path in shared:
        files[_inside(path)] = (0o644, path.read_bytes())
    # Compiled files beside no source: half the size, and nothing to compile at every start.
    for path in modules:
        if path.suffix == ".py":
            files[f"{_inside(path)}c"] = (0o644, path)
    return _compiled(files, python)


def _own_files(python: Path) -> Files:
    names = [path for path in sorted(HERE.glob("*.py")) if path.name not in NOT_SHIPPED]
    files: Files = {f"{PACKAGE}/{path.name}c": (0o644, path) for path in names}
    start = (
        f"#!/{_inside(python)} -IS\n"
        "import sys\n"
        f"sys.path.append('/{Path(PACKAGE).parent}')\n"
        f"from {Path(PACKAGE).name}.__main__ import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    files["swarm"] = (0o755, start.encode())
    return _compiled(files, python)


def _modules(python: Path) -> list[Path]:
    names = ["lab.standin.__main__", *LAZY]
    code = LIST_MODULES.format(parent=str(HERE.parent.parent), names=names)
    done = subprocess.run(  # noqa: S603
        [python, "-ISc", code], capture_output=True, text=True, check=False, timeout=60
    )
    if done.returncode:
        raise BuildError(f"{python} cannot import the stand-in:\n{done.stderr}")
    paths = {Path(line) for line in done.stdout.split("\n") if line}
    return sorted(path for path in paths if HERE not in path.parents and HERE.parent != path.parent)


def _libraries(binaries: Iterable[Path]) -> set[Path]:
    done = subprocess.run(  # noqa: S603
        ["ldd", *binaries], capture_output=True, text=True, check=False, timeout=60  # noqa: S607
    )
    return {Path(name) for name in re.findall(r"(/\S+\.so\S*) \(0x", done.stdout)}


def _inside(path: Path) -> str:
    # The loader asks for /lib64/ld-linux-x86-64.so.2 by this very name.
    return str(path).lstrip("/")


def _compiled(files: Files, python: Path) -> Files:
    sources = {name: path for name, (_, path) in files.items() if isinstance(path, Path)}
    with tempfile.TemporaryDirectory() as folder:
        targets = {name: Path(folder) / f"{number}.pyc" for number, name in enumerate(sources)}
        _compile([(str(path), str(targets[name])) for name, path in sources.items()], python)
        done = {name: (0o644, target.read_bytes()) for name, target in targets.items()}
    return {**files, **done}


def _compile(pairs: list[tuple[str, str]], python: Path) -> None:
    if python.name == f"python{sys.version_info.major}.{sys.version_info.minor}":
        for source, target in pairs:
            py_compile.compile(source, target, doraise=True)
        return
    code = (
        "import json, py_compile, sys\n"
        "for s, t in json.load(sys.stdin): py_compile.compile(s, t, doraise=True)"
    )
    done = subprocess.run(  # noqa: S603
        [python, "-ISc", code],
        input=json.dumps(pairs),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if done.returncode:
        raise BuildError(f"{python} cannot compile the stand-in:\n{done.stderr}")


def _tar(files: Iterable[tuple[str, tuple[int, bytes]]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, (mode, data) in files:
            info = tarfile.TarInfo(name)
            info.mode, info.size = mode, len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()
