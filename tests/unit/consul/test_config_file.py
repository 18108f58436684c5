"""How Consul of this host is reached: by what its own file says, whatever pillar wants now."""

from swarm_formula.consul import agent_api, config_file
from tests.unit.pillars import node, settings_of


def test_client_uses_the_files_that_consul_runs_with(monkeypatch, tmp_path):
    (tmp_path / "ca.pem").touch()
    paths = {f"{one}_file": str(tmp_path / f"{one}.pem") for one in ("ca", "cert", "key")}
    monkeypatch.setattr(config_file, "config", lambda: {"ports": {"https": 8501}, **paths})
    monkeypatch.setattr(agent_api, "connect", lambda settings, files, *_: (settings, files))
    settings, files = config_file.connect(settings_of({"managers": ["m1"]}, node("m1")))
    assert (files.ca, files.cert, files.key) == tuple(paths.values())
    assert (settings["tls"]["used"], settings["consul"]["http_port"]) == (True, 8501)
