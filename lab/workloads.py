"""The images that the formula runs on the hosts, as tars that the master serves."""

import importlib.util
import json
import os
import shutil
import tarfile
import tempfile
import time
from pathlib import Path

from lab import images, rootfs
from lab.config import Settings
from lab.engine import Engine
from lab.run import LabError, say

CONSUL = "consul:1.8.7"
BUSYBOX = "busybox:lab"
SWARM = "swarm:1.2.9"
PULL_LIMIT = 30
# Where packets to a registry just vanish, each attempt costs the whole limit.
ASK_AGAIN_AFTER = 3600


def ensure(settings: Settings, engine: Engine) -> dict[str, dict]:
    """Makes every tar, puts it where the master serves it, and returns what is what."""
    tars = {
        "consul": built(settings, engine, "consul", CONSUL),
        "busybox": built(settings, engine, "busybox", BUSYBOX),
        "swarm": _swarm(settings, engine),
    }
    settings.images.mkdir(parents=True, exist_ok=True)
    described = {}
    for key, found in tars.items():
        served = settings.images / f"{key}.tar"
        if found is None:
            served.unlink(missing_ok=True)
            continue
        image, tar = found
        _serve(tar, served)
        described[key] = {"image": image, "source": f"salt://images/{key}.tar"}
    if "swarm" in described:
        described["swarm"]["standin"] = described["swarm"]["image"] != SWARM
    settings.run.mkdir(parents=True, exist_ok=True)
    (settings.run / "images.json").write_text(json.dumps(described, indent=2) + "\n")
    return described


def _serve(tar: Path, served: Path) -> None:
    if served.exists() and served.samefile(tar):
        return
    partial = served.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    try:
        partial.hardlink_to(tar)
    except OSError:
        # The user's folder may lie on another file system.
        shutil.copyfile(tar, partial)
    partial.replace(served)


def _folder(settings: Settings) -> Path:
    folder = settings.cache / "images"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def built(settings: Settings, engine: Engine, kind: str, image: str) -> tuple[str, Path]:
    """Builds an image from Debian's packages and saves it as a tar."""
    with tempfile.TemporaryDirectory(dir=settings.cache) as folder:
        context = Path(folder)
        shutil.copytree(images.HERE / kind, context, dirs_exist_ok=True)
        images.write_apt(context / "apt", ["bullseye"], pinned="bullseye")
        base = rootfs.ensure(settings, engine)
        mark = images.fingerprint(context, base)
        tar = _folder(settings) / f"{kind}-{mark}.tar"
        if not tar.exists():
            built = images.build(
                engine, context, f"swarm-lab/{kind}", {"BASE": base}, f"{kind} image"
            )
            for old in tar.parent.glob(f"{kind}-*.tar"):
                old.unlink()
            _save_as(engine, built, image, tar)
    return image, tar


def _save_as(engine: Engine, built: str, image: str, tar: Path) -> None:
    """Saves an image under a name that the engine's owner may use for one of his own."""
    before = engine.docker("image", "inspect", "-f", "{{.Id}}", image, check=False).stdout.strip()
    engine.docker("tag", built, image)
    try:
        _save(engine, image, tar)
    finally:
        undo = ("tag", before, image) if before else ("image", "rm", image)
        engine.docker(*undo, check=False)


def _save(engine: Engine, image: str, tar: Path) -> None:
    partial = tar.with_suffix(".partial")
    engine.docker("save", "-o", partial, image, timeout=120)
    partial.rename(tar)


def _swarm(settings: Settings, engine: Engine) -> tuple[str, Path] | None:
    """Finds Swarm: from a registry, else in the user's folder, else the stand-in for tests."""
    kept = _folder(settings) / "swarm-1.2.9.tar"
    named = os.environ.get("SWARM_LAB_IMAGES")
    if kept.exists() or _pull(engine, kept):
        say(f"swarm image: {SWARM}, from a registry")
        return SWARM, kept
    tar = find_tar(Path(named), SWARM) if named else None
    if tar:
        say(f"swarm image: {SWARM}, from {tar}")
        return SWARM, tar
    if named:
        raise LabError(f"SWARM_LAB_IMAGES={named}: no *.tar in it holds an image {SWARM}")
    return _standin(settings, engine)


def _pull(engine: Engine, tar: Path) -> bool:
    failed = tar.with_suffix(".no-registry")
    if failed.exists() and time.time() - failed.stat().st_mtime < ASK_AGAIN_AFTER:
        return False
    failed.touch()
    try:
        done = engine.docker("pull", "--quiet", SWARM, timeout=PULL_LIMIT, check=False)
    except LabError:
        return False
    if done.returncode == 0:
        _save(engine, SWARM, tar)
    return done.returncode == 0


def _standin(settings: Settings, engine: Engine) -> tuple[str, Path] | None:
    if importlib.util.find_spec("lab.standin.build") is None:
        say("no swarm image: no registry, no SWARM_LAB_IMAGES, and no stand-in in lab/standin")
        return None
    maker = importlib.import_module("lab.standin.build")
    tar = _folder(settings) / "swarm-standin.tar"
    image = maker.build(tar, engine.env)
    say(f"swarm image: {image}, a stand-in for tests, NOT swarm (no registry, no SWARM_LAB_IMAGES)")
    return image, tar


def find_tar(folder: Path, image: str) -> Path | None:
    """Returns the first image tar in a folder that holds an image of that name."""
    if not folder.is_dir():
        raise LabError(f"SWARM_LAB_IMAGES={folder}: no such folder")
    return next((tar for tar in sorted(folder.glob("*.tar")) if image in repo_tags(tar)), None)


def repo_tags(tar: Path) -> list[str]:
    """Returns the image names in a tar made by `docker save`; none if it is another kind of tar."""
    try:
        with tarfile.open(tar) as archive:
            manifest = archive.extractfile("manifest.json")
            entries = json.load(manifest) if manifest else []
    except (tarfile.TarError, KeyError, ValueError, OSError):
        return []
    return [tag for entry in entries for tag in entry.get("RepoTags") or []]
