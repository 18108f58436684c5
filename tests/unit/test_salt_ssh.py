"""
With salt-ssh there is no mine: one sentence says so, before anything is rendered.
"""

import pytest
import salt.config
import salt.loader
from salt.exceptions import SaltRenderError

from tests.conftest import REPO_ROOT


def test_salt_ssh_is_refused_in_one_sentence(tmp_path):
    opts = salt.config.minion_config(None) | {
        "id": "m1",
        "cachedir": str(tmp_path),
        "extension_modules": str(tmp_path / "extmods"),
        "file_client": "local",
        "file_roots": {"base": [str(REPO_ROOT)]},
        "grains": {},
        "renderer": "jinja|yaml",
        "renderer_blacklist": [],
        "renderer_whitelist": [],
        # as salt-ssh sets it where it renders
        "_ssh_version": "9.2",
    }
    render = salt.loader.render(opts, salt.loader.minion_mods(opts))["jinja"]
    with pytest.raises(SaltRenderError, match="needs a salt-minion on each host"):
        render(str(REPO_ROOT / "swarm/modules.sls"), saltenv="base", sls="swarm.modules")
