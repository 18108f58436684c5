# Puts a host back to the starting point: the engine with the package's defaults and its images, the
# Python libraries, nothing configured, nothing running, no module of the formula on the minion.
# Then looks whether that is so; the argument is the number of images.
set -u
systemctl stop salt-minion
rm -rf /var/cache/salt/minion
docker swarm leave --force >/dev/null 2>&1
docker ps -aq | xargs -r docker rm -fv >/dev/null
docker network ls -q --filter type=custom | xargs -r docker network rm >/dev/null
docker volume ls -q | xargs -r docker volume rm -f >/dev/null
systemctl disable --now swarm-overlay.service >/dev/null 2>&1
systemctl stop docker.service docker.socket
# Also what the engine knows of networks in a store that is no more.
rm -rf /var/lib/docker/network/files /etc/docker /etc/systemd/system/docker.service.d \
    /etc/swarm-formula /var/lib/swarm-formula /etc/profile.d/*swarm* \
    /etc/systemd/system/swarm-overlay.service /usr/local/lib/swarm-formula
systemctl daemon-reload
systemctl reset-failed
systemctl start docker.service salt-minion.service

fault() {
    echo "not clean: $*"
    exit 1
}
is() { test "$2" = "$3" || fault "$1 is '$2', not '$3'"; }
is "the list of containers" "$(docker ps -aq)" ""
is "the list of volumes" "$(docker volume ls -q)" ""
is "the list of networks" "$(docker network ls -q --filter type=custom)" ""
is "labels, store, live-restore" "$(docker info -f '{{.Labels}}{{.ClusterStore}}{{.LiveRestoreEnabled}}')" "[]false"
is "swarm mode" "$(docker info -f '{{.Swarm.LocalNodeState}}')" "inactive"
is "the unit's drop-ins" "$(systemctl show -p DropInPaths --value docker.service)" ""
is "the number of images" "$(docker image ls -q | sort -u | wc -l)" "$1"
is "processes of an earlier run" "$(pgrep -x 'consul|swarm')" ""
is "a service of the formula" "$(ls /etc/systemd/system | grep swarm)" ""
test ! -e /etc/docker/daemon.json || fault "daemon.json is there"
