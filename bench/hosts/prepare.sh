# Installs what both sides find there when the clock starts: the engine with its images, the Python
# libraries of Salt's side and of Ansible's, and an SSH server that takes the key on stdin.
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get install -qq -y --no-install-recommends docker.io openssh-server >/tmp/apt.log 2>&1 ||
    { tail -5 /tmp/apt.log; exit 1; }
/opt/salt/bin/pip install --quiet docker python-consul
python3 -m venv /opt/ansible
/opt/ansible/bin/pip install --quiet requests docker
mkdir -p -m 700 /root/.ssh
cat >/root/.ssh/authorized_keys
for tar in /var/tmp/*.tar; do
    docker load --quiet --input "$tar" >/dev/null
    rm "$tar"
done
