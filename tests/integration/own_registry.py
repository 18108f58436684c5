"""
The swarm's own registry (`swarm:registry`): its image, its login, and what a test leaves behind.
"""

import contextlib

from tests.integration.cluster import WORKLOAD
from tests.integration.private_registry import LOGIN, PASSWORD, PASSWORD_FILE, USER, keep

# Debian's registry with its libraries, as an image with the command line of Docker's own.
IMAGE, BUILD = (
    "registry:lab",
    """\
apt-get install -y -qq docker-registry apache2-utils >/dev/null
systemctl disable --now --quiet docker-registry
cd / && { echo /usr/bin/docker-registry; ldd /usr/bin/docker-registry | grep -o '/[^ ]*'; } \
| sort -u | tar --create --dereference --files-from=- \
| docker import --change 'ENTRYPOINT ["/usr/bin/docker-registry"]' - %s
""",
)
# Not the CA, which is the first one.
HOST, OTHER, PORT = "m2", "m3", 5000
REGISTRY = f"{HOST}:{PORT}"
APP = f"{REGISTRY}/app:1"
USERS, DATA, NAME = "/root/registry-users", "/var/lib/swarm-registry", "swarm-registry"
CA = f"/etc/docker/certs.d/{REGISTRY}/ca.crt"
RUNS = "swarm registry is running"
WITH = {
    "registry": {"node": HOST, "image": IMAGE, "htpasswd": USERS},
    "registries": {REGISTRY: LOGIN},
}


@contextlib.contextmanager
def prepared(cluster):
    """Give hosts the image of a registry and the workload where they are needed, and the login."""
    lab = cluster.lab
    lab.exec(HOST, "sh", "-ec", BUILD % IMAGE, timeout=300)
    lab.salt(HOST, "swarm_image.load", WORKLOAD, "salt://images/busybox.tar")
    hashed = lab.exec(HOST, "htpasswd", "-niB", USER, input=PASSWORD).stdout
    lab.exec(HOST, "sh", "-c", f"umask 077; cat > {USERS}", input=hashed)
    for host in lab.hosts():
        keep(lab, host, PASSWORD)
    try:
        yield
    finally:
        for host in lab.hosts():
            cluster.docker(host, "rmi", "-f", APP, IMAGE, check=False)
            lab.exec(host, "rm", "-f", PASSWORD_FILE, USERS)
        lab.exec(HOST, "rm", "-rf", DATA)


def has(cluster, host, path):
    """Tell whether there is such a file on a host."""
    return cluster.lab.exec(host, "test", "-e", path, check=False).returncode == 0


def pull(cluster, host, image):
    """Pull an image that the host does not have; return its ID, or Docker's words."""
    cluster.docker(host, "rmi", "-f", image, check=False)
    return cluster.lab.salt(host, "swarm_image.pull", image)[host]
