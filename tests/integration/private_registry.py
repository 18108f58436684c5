"""
A private registry with TLS and a login, on the master's host.
"""

import contextlib
import json
import secrets

from swarm_formula.tls import pki

REGISTRY = "salt:5000"
USER = "swarm"
# What can be searched for, and what makes a password difficult.
TOKEN = secrets.token_hex(16)
PASSWORD = f"a:b c \u00df {TOKEN}"
CA_FILE, PASSWORD_FILE = "/etc/ssl/registry-ca.pem", "/root/registry-password"
LOGIN = {"username": USER, "password": PASSWORD_FILE}
FOLDER = "/srv/registry"
CONFIG = {
    "version": 0.1,
    "storage": {"filesystem": {"rootdirectory": f"{FOLDER}/data"}},
    "http": {
        "addr": "0.0.0.0:5000",
        "tls": {"certificate": f"{FOLDER}/cert.pem", "key": f"{FOLDER}/key.pem"},
    },
    "auth": {"htpasswd": {"realm": "lab", "path": f"{FOLDER}/htpasswd"}},
}


def keep(lab, host, password):
    """Keep a password, as people do: with a line break behind it."""
    lab.exec(host, "sh", "-c", f"umask 077; cat > {PASSWORD_FILE}", input=f"{password}\n")


def admit(lab, password):
    """Have the registry take this password, and no other; it reads the file at each login."""
    hashed = lab.exec("salt", "htpasswd", "-niB", USER, input=password).stdout
    lab.exec("salt", "tee", f"{FOLDER}/htpasswd", input=hashed)


@contextlib.contextmanager
def served(lab, authority):
    """Run the registry; every host has its CA and the password in a file."""
    packages = ["docker-registry", "apache2-utils"]
    lab.exec("salt", "apt-get", "install", "-y", "-qq", *packages, timeout=300)
    lab.exec("salt", "systemctl", "disable", "--now", "docker-registry", check=False)
    lab.exec("salt", "mkdir", "-p", FOLDER)
    key, grant = pki.new_key(), pki.Grant("salt", (pki.SERVER,), ("salt",))
    texts = {
        "config.yml": json.dumps(CONFIG),
        "cert.pem": pki.sign(pki.request(key, "salt"), authority, grant, 1),
        "key.pem": key,
    }
    for name, text in texts.items():
        lab.exec("salt", "tee", f"{FOLDER}/{name}", input=text)
    admit(lab, PASSWORD)
    for host in lab.hosts():
        lab.exec(host, "tee", CA_FILE, input=authority.cert)
        keep(lab, host, PASSWORD)
    command = ["docker-registry", "serve", f"{FOLDER}/config.yml"]
    lab.exec("salt", "systemd-run", "--collect", "--unit=test-registry", *command)
    try:
        yield REGISTRY
    finally:
        lab.exec("salt", "systemctl", "stop", "test-registry")
