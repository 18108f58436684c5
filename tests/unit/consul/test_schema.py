"""
Consul's configuration with the names of its version, as in HashiCorp's documentation.
"""

import json

import pytest

from swarm_formula.consul import acl as consul_acl
from swarm_formula.consul import config_file, container_spec, schema
from swarm_formula.core import host_files
from swarm_formula.tls import cert_files
from tests.unit.pillars import FILES, VALID, settings_of

CERTS = cert_files.Set(*["x"] * len(cert_files.Set._fields))
OLD = {"ca_file", "cert_file", "key_file", "verify_incoming", "verify_outgoing"}


def text(image):
    consul = {"image": image, "options": {"tls": {"grpc": {"use_auto_cert": False}}}}
    settings = settings_of({**VALID, "overlay": False, "tls": {}, "consul": consul})
    acl = consul_acl.config("word")
    config = container_spec.consul_config(settings, CERTS, FILES, acl)
    return container_spec.consul_container(settings, config, schema.version(image))[1]


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("consul:1.8", (1, 8)),
        ("hashicorp/consul:1.20.2", (1, 20)),
        ("hashicorp/consul-enterprise:v1.17.1-ent", (1, 17)),
        ("registry.example.com:5000/consul", ()),
        ("registry:5000/consul:1.12@sha256:ab", (1, 12)),
        ("consul:latest", ()),
    ],
)
def test_version_is_that_of_the_tag(image, version):
    assert schema.version(image) == version


@pytest.mark.parametrize("image", ["consul:1.8", "consul:1.10.12", "consul:latest"])
def test_older_and_unknown_versions_have_the_names_of_1_8(image):
    config = json.loads(text(image))
    assert set(config) > OLD
    assert config["verify_server_hostname"] is True
    assert config["acl"]["tokens"] == {"master": "word"}


def test_1_11_has_another_name_of_the_token():
    config = json.loads(text("consul:1.11.4"))
    assert config["acl"]["tokens"] == {"initial_management": "word"}
    assert set(config) > OLD


@pytest.mark.parametrize("image", ["consul:1.12.0", "hashicorp/consul:1.20"])
def test_1_12_has_a_section_for_tls(image):
    config = json.loads(text(image))
    assert not OLD & set(config)
    assert "verify_server_hostname" not in config
    assert config["tls"] == {
        "defaults": {
            "ca_file": FILES.consul_ca,
            "cert_file": FILES.consul_cert,
            "key_file": FILES.consul_key,
            "verify_incoming": True,
            "verify_outgoing": True,
        },
        "internal_rpc": {"verify_server_hostname": True},
        "grpc": {"use_auto_cert": False},
    }


@pytest.mark.parametrize("image", ["consul:1.8", "consul:1.11", "hashicorp/consul:1.20"])
def test_formula_reads_the_file_of_each_version_alike(image, monkeypatch, tmp_path):
    monkeypatch.setattr(host_files, "CONFIG", tmp_path)
    container_spec.consul_file().write_text(text(image))
    assert config_file.config() == json.loads(text("consul:1.8"))
    assert consul_acl.management() == "word"
