"""Ansible, in a venv of the lab's cache, with a key and an inventory of its own."""

import json
import re
import shutil
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

from lab import machine
from lab.api import Lab
from lab.config import Settings
from lab.run import LabError, run, say

FOLDER = Path(__file__).resolve().parent / "ansible"
PLAYBOOKS = {"classic": FOLDER / "site.yml", "builtin": FOLDER / "builtin.yml"}
COLLECTIONS = ("docker", "library_inventory_filtering_v1")
ENGINE_PORT = 2275
STORE = "consul://127.0.0.1:8500"


class Ansible:
    """ansible-core with community.docker, and the settings of one who wants it fast."""

    # Named, so that no host is searched for one.
    PYTHON = "/opt/ansible/bin/python"

    def __init__(self, settings: Settings, mode: str) -> None:
        self.playbook = PLAYBOOKS[mode]
        self._venv = settings.cache / "ansible"
        self._run = settings.run / "ansible"
        self.command = self._venv / "bin/ansible-playbook"
        self.inventory = self._run / "inventory.json"

    def ensure(self) -> str:
        """Installs what is missing; returns the public key that the hosts have to take."""
        machine.install(["openssh-client"], ["ssh", "ssh-keygen"])
        if not self._collection.exists():
            say("installing Ansible into a venv of the cache")
            shutil.rmtree(self._venv, ignore_errors=True)
            run([sys.executable, "-m", "venv", self._venv], timeout=120)
            self._install(self._venv / "wheels")
        self._run.mkdir(parents=True, exist_ok=True)
        key = self._run / "key"
        if not key.exists():
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key])
        return key.with_suffix(".pub").read_text()

    @property
    def _collection(self) -> Path:
        return self._venv / "ansible_collections/community/docker/MANIFEST.json"

    def _install(self, folder: Path) -> None:
        """Takes from PyPI's `ansible` the two collections, and the core that it asks for."""
        pip = self._venv / "bin/pip"
        run([pip, "download", "--quiet", "--no-deps", "--dest", folder, "ansible"], timeout=600)
        with zipfile.ZipFile(next(folder.glob("ansible-*.whl"))) as wheel:
            names = wheel.namelist()
            metadata = next(name for name in names if name.endswith(".dist-info/METADATA"))
            core = _core(wheel.read(metadata).decode())
            # The core first: the collection is what tells that all is there.
            run([pip, "install", "--quiet", core], timeout=600)
            wanted = tuple(f"ansible_collections/community/{name}/" for name in COLLECTIONS)
            wheel.extractall(self._venv, [name for name in names if name.startswith(wanted)])
        shutil.rmtree(folder)

    def title(self) -> str:
        """Returns the versions of core and collection."""
        line = run([self.command, "--version"], env=self.env).stdout.splitlines()[0]
        core = re.search(r"core ([\d.]+)", line)[1]
        docker = json.loads(self._collection.read_text())["collection_info"]["version"]
        return f"ansible-core {core}, community.docker {docker}"

    @property
    def env(self) -> dict[str, str]:
        """Returns Ansible's settings that differ from machine to machine."""
        return {
            "ANSIBLE_CONFIG": str(FOLDER / "ansible.cfg"),
            "ANSIBLE_HOME": str(self._run),
            "ANSIBLE_COLLECTIONS_PATH": str(self._venv),
            "ANSIBLE_PRIVATE_KEY_FILE": str(self._run / "key"),
        }

    def write_inventory(self, lab: Lab, pillar: Mapping) -> None:
        """Writes the inventory, from the same pillar that the formula gets."""
        hosts = lab.hosts()
        addresses = {host: lab.address(host) for host in hosts}
        classic = pillar["mode"] == "classic"
        variables = {
            host: {
                "ansible_host": addresses[host],
                "ansible_user": "root",
                "ansible_python_interpreter": Ansible.PYTHON,
                "address": addresses[host],
                "daemon": daemon(addresses[host], pillar),
                **(containers(host, addresses, pillar) if classic else {}),
            }
            for host in hosts
        }
        inventory = {
            "all": {"hosts": variables},
            "swarm": {"hosts": {host: {} for host in hosts}},
            "managers": {"hosts": {host: {} for host in pillar["managers"]}},
        }
        self.inventory.write_text(json.dumps(inventory, indent=2))


def _core(metadata: str) -> str:
    found = re.search(r"^Requires-Dist: (ansible-core[^;\n]*)", metadata, flags=re.MULTILINE)
    if not found:
        raise LabError("PyPI's package `ansible` does not say which ansible-core it wants")
    return found[1].replace(" ", "")


def daemon(own: str, pillar: Mapping) -> dict[str, object]:
    """Returns the options of a host's engine."""
    labels = [f"{key}={value}" for key, value in pillar["labels"].items()]
    if pillar["mode"] == "builtin":
        return {"live-restore": False, "labels": labels}
    daemon = {"live-restore": True, "tls": False, "labels": labels}
    if pillar.get("overlay"):
        daemon |= {"cluster-store": STORE, "cluster-advertise": f"{own}:{ENGINE_PORT}"}
    return daemon


def containers(host: str, addresses: Mapping[str, str], pillar: Mapping) -> dict[str, object]:
    """Returns the images of classic mode, and the command of a host's Consul."""
    servers = pillar["managers"]
    consul = ["agent", f"-node={host}", f"-bind={addresses[host]}", "-client=127.0.0.1"]
    consul += ["-data-dir=/consul/data", "-retry-interval=1s"]
    consul += ["-hcl=performance { raft_multiplier = 1 } disable_update_check = true"]
    consul += [f"-retry-join={addresses[server]}" for server in servers]
    if host in servers:
        consul += ["-server", f"-bootstrap-expect={len(servers)}"]
    return {
        "consul_command": consul,
        "consul_image": pillar["consul"]["image"],
        "swarm_image": pillar["manager"]["image"],
    }
