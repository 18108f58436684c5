"""
The formula by gitfs: in a repository of its own, or in a folder of another one (``root``).
"""

import shutil
import subprocess
import weakref

import pytest
import salt.config
import salt.fileserver
import salt.loader
import salt.utils.gitfs
import yaml

from tests.conftest import REPO_ROOT

pytest.importorskip("git", reason="Salt's gitfs needs GitPython or pygit2")
PLACE = "formulas/docker"


@pytest.fixture(params=["", PLACE], ids=["own repository", "folder"])
def remote(request, tmp_path):
    """Return a remote of gitfs that has the formula."""
    repository = tmp_path / "repository"
    for part in ("swarm", "_engines", "_runners"):
        shutil.copytree(REPO_ROOT / part, repository / request.param / part)
    words = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
    for command in (["init", "-q"], ["add", "-A"], [*words, "commit", "-qm", "x"], ["tag", "v1"]):
        subprocess.run(["git", *command], cwd=repository, check=True)  # noqa: S603, S607
    options = [{"base": "v1"}, *([{"root": request.param}] if request.param else [])]
    return {f"file://{repository}": options}


@pytest.fixture
def opts(monkeypatch, remote, tmp_path):
    """Return the options of a masterless minion with that remote."""
    opts = salt.config.minion_config(None).copy() | {
        "id": "m1",
        "cachedir": str(tmp_path / "cache"),
        "extension_modules": str(tmp_path / "extmods"),
        "file_client": "local",
        "fileserver_backend": ["gitfs"],
        "gitfs_provider": "gitpython",
        "gitfs_remotes": [remote],
        "__role": "minion",
        "grains": {},
        "renderer": "jinja|yaml",
        "renderer_blacklist": [],
        "renderer_whitelist": [],
    }
    opts = {**salt.config.master_config(None), **opts}
    # Salt keeps one object for a process, with the first remotes that it had.
    monkeypatch.setattr(salt.utils.gitfs.GitFS, "instance_map", weakref.WeakKeyDictionary())
    salt.fileserver.Fileserver(opts).update()
    return opts


def test_minion_gets_the_modules_by_gitfs(opts, tmp_path):
    """All paths of the formula begin at ``salt://swarm``."""
    jinja = salt.loader.render(opts, salt.loader.minion_mods(opts))["jinja"]
    done = jinja(str(REPO_ROOT / "swarm/modules.sls"), saltenv="base", sls="swarm.modules")
    assert "swarm modules are loaded" in yaml.safe_load(done.read())
    assert (tmp_path / "extmods/modules/swarm_modules.py").is_file()
