"""
Pillars that are wrong, each with the path and the words of the fault it has to end with.

One table for two tests: the checker alone, and a real minion on which nothing may change.
All are meant for the minion ``m1`` of a swarm of ``m1``, ``m2`` and ``m3``; to be laid over a valid
pillar with ``merged``.
"""

import copy
import os
from typing import NamedTuple


class Wrong(NamedTuple):
    """A pillar that has one fault."""

    id: str
    pillar: object  # what differs from a valid one, below ``swarm``
    path: str
    text: str


# What a pillar for classic mode needs to become one for builtin mode.
_SERVICES = {"mode": "builtin", "overlay": False}

WRONG = [
    Wrong(
        "a member's ID as name of the managers",
        {"tls": {"names": ["m2"]}},
        "swarm:tls:names",
        "no ID or address of a member",
    ),
    # types
    Wrong("the whole pillar a list", ["m1"], "swarm", "a mapping"),
    Wrong("a section a text", {"engine": "docker-ce"}, "swarm:engine", "a mapping"),
    Wrong("a section a list", {"consul": [{"http_port": 8500}]}, "swarm:consul", "a mapping"),
    Wrong(
        "options a list",
        {"engine": {"options": ["debug"]}},
        "swarm:engine:options",
        "found ['debug']; right would be a mapping",
    ),
    Wrong("boolean in quotes", {"overlay": "true"}, "swarm:overlay", "without quotes"),
    Wrong("replace in quotes", {"engine": {"replace": "yes"}}, "swarm:engine:replace", "true or"),
    Wrong(
        "repository without a key",
        {"engine": {"repository": {"url": "https://download.docker.com/linux/debian"}}},
        "swarm:engine:repository:key",
        "the repository's public key",
    ),
    Wrong(
        "repository with a password",
        {"engine": {"repository": {"url": "https://me:secret@example.com/debian"}}},
        "swarm:engine:repository:url",
        "without a password",
    ),
    Wrong(
        "key of a repository by URL",
        {"engine": {"repository": {"key": "https://download.docker.com/linux/debian/gpg"}}},
        "swarm:engine:repository:key",
        "salt://..., an absolute path",
    ),
    Wrong(
        "fingerprint that is a short one",
        {"engine": {"repository": {"fingerprint": "0EBFCD88"}}},
        "swarm:engine:repository:fingerprint",
        "40 hexadecimal digits",
    ),
    Wrong(
        "proxy with a password in it",
        {"engine": {"proxy": {"http": "http://me:word@proxy:3128"}}},
        "swarm:engine:proxy:http",
        "with its login in username and password",
    ),
    Wrong(
        "exceptions without a proxy",
        {"engine": {"proxy": {"no_proxy": ["10.0.0.0/8"]}}},
        "swarm:engine:proxy:no_proxy",
        "http, https, or both",
    ),
    Wrong(
        "user of a proxy without a password",
        {"engine": {"proxy": {"http": "http://proxy:3128", "username": "me"}}},
        "swarm:engine:proxy:password",
        "as username has one",
    ),
    Wrong(
        "proxy in two places",
        {
            "engine": {
                "proxy": {"http": "http://proxy:3128"},
                "options": {"proxies": {"http-proxy": "http://me:word@proxy:3128"}},
            }
        },
        "swarm:engine:options:proxies",
        "it comes from swarm:engine:proxy",
    ),
    Wrong(
        "requirements of the working directory",
        {"libraries": {"requirements": "requirements.txt"}},
        "swarm:libraries:requirements",
        "salt://file",
    ),
    Wrong(
        "wheels at a URL",
        {"libraries": {"source": "https://example.com/wheels"}},
        "swarm:libraries:source",
        "salt://folder",
    ),
    Wrong("yes in quotes", {"engine": {"hold": "yes"}}, "swarm:engine:hold", "true or false"),
    Wrong("boolean as number", {"overlay": 1}, "swarm:overlay", "true or false"),
    Wrong(
        "flag's boolean in quotes",
        {"manager": {"options": {"replication": "true"}}},
        "swarm:manager:options:replication",
        "without quotes",
    ),
    Wrong("port in quotes", {"engine": {"port": "2275"}}, "swarm:engine:port", "whole number"),
    Wrong("port a boolean", {"engine": {"port": True}}, "swarm:engine:port", "whole number"),
    Wrong("port zero", {"engine": {"port": 0}}, "swarm:engine:port", "from 1 to 65535"),
    Wrong("port too high", {"manager": {"port": 65536}}, "swarm:manager:port", "from 1 to 65535"),
    Wrong("timeout too short", {"timeout": 1}, "swarm:timeout", "from 5 to 3600"),
    Wrong("timeout a duration", {"timeout": "180s"}, "swarm:timeout", "from 5 to 3600"),
    Wrong("version a number", {"engine": {"version": 20.1}}, "swarm:engine:version", "a text"),
    Wrong(
        "client that is a name",
        {"firewall": {"clients": ["10.0.0.0/24", "admin"]}},
        "swarm:firewall:clients",
        "as item 2 (found 'admin')",
    ),
    Wrong(
        "network with bits of a host",
        {"firewall": {"members": ["10.0.0.7/24"]}},
        "swarm:firewall:members",
        "a network such as 10.0.0.0/8, or an IP address",
    ),
    # names of keys and of choices
    Wrong("mistyped section", {"mangers": ["m1"]}, "swarm:mangers", "Did you mean 'managers'?"),
    Wrong(
        "mistyped key",
        {"engine": {"opions": {}}},
        "swarm:engine:opions",
        "Did you mean 'options'?",
    ),
    Wrong(
        "mistyped flag",
        {"manager": {"options": {"stategy": "spread"}}},
        "swarm:manager:options:stategy",
        "Did you mean 'strategy'?",
    ),
    Wrong(
        "a flag that is nowhere near",
        {"agent": {"options": {"zzz": 1}}},
        "swarm:agent:options:zzz",
        "advertise, heartbeat, ttl, delay, discovery-opt",
    ),
    Wrong("mode of another swarm", {"mode": "kubernetes"}, "swarm:mode", "one of classic"),
    Wrong(
        "unknown strategy",
        {"manager": {"options": {"strategy": "spred"}}},
        "swarm:manager:options:strategy",
        "one of spread, binpack",
    ),
    Wrong(
        "unknown filter",
        {"manager": {"options": {"filter": ["health", "healthy"]}}},
        "swarm:manager:options:filter",
        "as item 2 (found 'healthy')",
    ),
    Wrong(
        "filter twice",
        {"manager": {"options": {"filter": ["health", "port", "health"]}}},
        "swarm:manager:options:filter",
        "'health' is there twice",
    ),
    Wrong(
        "mistyped key of daemon.json",
        {"engine": {"options": {"log-dirver": "json-file"}}},
        "swarm:engine:options:log-dirver",
        "Did you mean 'log-driver'?",
    ),
    Wrong(
        "address of another host",
        {
            "managers": {"m1": None, "m2": "10.77.0.12", "m3": "10.77.0.13"},
            "agent": {"options": {"advertise": "10.77.0.12:2376"}},
        },
        "swarm:agent:options:advertise",
        "not the address of m2",
    ),
    Wrong(
        "size of logs that is none",
        {"engine": {"options": {"log-opts": {"max-size": "ten", "max-file": "3"}}}},
        "swarm:engine:options:log-opts:max-size",
        'a size such as "10m"',
    ),
    Wrong(
        "no file for logs",
        {"engine": {"options": {"log-driver": "local", "log-opts": {"max-file": "0"}}}},
        "swarm:engine:options:log-opts:max-file",
        "a number of at least 1",
    ),
    Wrong(
        "cluster option unknown",
        {"manager": {"options": {"cluster-opt": {"swarm.overcomit": 0.1}}}},
        "swarm:manager:options:cluster-opt",
        "swarm.overcommit",
    ),
    # hosts
    Wrong("no managers", {"managers": []}, "swarm:managers", "the minion IDs of the managers"),
    Wrong("managers a text", {"managers": "m1"}, "swarm:managers", "a list: [m1, m2], or {m1:"),
    Wrong(
        "manager twice",
        {"managers": ["m1", "m2", "m1"]},
        "swarm:managers",
        "'m1' is there twice",
    ),
    Wrong(
        "manager unknown",
        {"managers": ["m1", "nowhere", "m3"]},
        "swarm:managers:nowhere",
        "can resolve, or {nowhere: its address}",
    ),
    Wrong(
        "manager mistyped",
        {"managers": {"m2": "10.77.0.12", "m33": None, "m3": "10.77.0.13"}},
        "swarm:managers:m33",
        "{m33: its address}",
    ),
    Wrong(
        "server unknown",
        {"consul": {"servers": ["m1", "m2", "nowhere"]}},
        "swarm:consul:servers:nowhere",
        "can resolve, or {nowhere: its address}",
    ),
    Wrong(
        "manager's address no address",
        {"managers": {"m1": "10.77.0.11", "m2": "10.77.0.300", "m3": None}},
        "swarm:managers",
        "an IP address for m2 (found '10.77.0.300')",
    ),
    Wrong(
        "manager no host name",
        {"managers": ["m1", "m 2", "m3"]},
        "swarm:managers",
        "a minion ID or host name as item 2",
    ),
    Wrong(
        "two managers, one address",
        {"managers": {"m1": None, "m2": "10.77.0.13", "m3": "10.77.0.13"}},
        "swarm:managers:m3",
        "another address: m2 has it",
    ),
    Wrong(
        "client no host name",
        {"client": {"nodes": ["m1", 2]}},
        "swarm:client:nodes",
        "as item 2 (found 2)",
    ),
    # addresses
    Wrong("address wrong", {"address": "10.77.0"}, "swarm:address", "an IP address"),
    Wrong("address of nobody", {"address": "0.0.0.0"}, "swarm:address", "an IP address"),
    Wrong("address of others", {"address": "192.0.2.7"}, "swarm:address", "something m1 has"),
    Wrong(
        "interface that is not there",
        {"address": {"interface": "eth99"}},
        "swarm:address",
        "something m1 has (",
    ),
    Wrong(
        "interface no name",
        {"address": {"interface": "an interface"}},
        "swarm:address",
        "the name of a network interface",
    ),
    Wrong(
        "address in two ways",
        {"address": {"interface": "eth0", "cidr": "10.0.0.0/8"}},
        "swarm:address",
        "{interface: eth0} or {cidr: 10.0.0.0/8}",
    ),
    Wrong(
        "cidr with host bits",
        {"address": {"cidr": "10.77.0.11/24"}},
        "swarm:address",
        "a network such as 10.0.0.0/8 in {cidr: ...}",
    ),
    Wrong(
        "cidr without an address here",
        {"address": {"cidr": "192.0.2.0/24"}},
        "swarm:address",
        "something m1 has",
    ),
    Wrong(
        "listen no address",
        {"engine": {"listen": "eth0"}},
        "swarm:engine:listen",
        "an IP address, or one of 0.0.0.0, ::",
    ),
    Wrong(
        "listen where managers do not ask",
        {"engine": {"listen": "127.0.0.1"}},
        "swarm:engine:listen",
        "10.77.0.11, this node's address, at which managers ask its engine; or 0.0.0.0 or ::",
    ),
    Wrong(
        "server with a manager's address",
        {
            "managers": {"m1": None, "m2": "10.77.0.12", "m3": "10.77.0.14"},
            "consul": {"servers": ["m1", "m2", "m4"]},
        },
        "swarm:consul:servers:m4",
        "another address: m3 has it",
    ),
    Wrong(
        "two addresses for this node",
        {"managers": {"m1": "10.77.0.99"}, "address": {"interface": "eth0"}},
        "swarm:address",
        "10.77.0.99, which swarm:managers gives this node",
    ),
    # ports
    Wrong(
        "manager on the engine's port",
        {"manager": {"port": 2999}, "engine": {"port": 2999}},
        "swarm:manager:port",
        "another port: swarm:engine:port has this one",
    ),
    Wrong(
        "consul on the manager's port",
        {"consul": {"http_port": 3999}, "manager": {"port": 3999}},
        "swarm:consul:http_port",
        "another port: swarm:manager:port has this one",
    ),
    Wrong(
        "engine on consul's own port",
        {"engine": {"port": 8300}},
        "swarm:consul:options:ports:server",
        "another port: swarm:engine:port has this one",
    ),
    Wrong(
        "manager on the port of docker's gossip",
        {"overlay": True, "manager": {"port": 7946}},
        "swarm:overlay (Docker's gossip)",
        "another port: swarm:manager:port has this one",
    ),
    Wrong(
        "consul's ports no mapping",
        {"consul": {"options": {"ports": 8500}}},
        "swarm:consul:options:ports",
        "a mapping",
    ),
    Wrong(
        "consul's API port in the wrong place",
        {"consul": {"options": {"ports": {"http": 8501}}}},
        "swarm:consul:options:ports:http",
        "it comes from swarm:consul:http_port",
    ),
    # times
    Wrong(
        "TTL below 20 s",
        {"agent": {"options": {"ttl": "19s", "heartbeat": "5s"}}},
        "swarm:agent:options:ttl",
        "from 20s to 48h (Consul takes no session below 10s",
    ),
    Wrong(
        "lock's TTL below 20 s",
        {"manager": {"options": {"replication-ttl": "15s"}}},
        "swarm:manager:options:replication-ttl",
        "from 20s to 48h (Consul",
    ),
    Wrong(
        "TTL above what Consul takes",
        {"agent": {"options": {"ttl": "72h"}}},
        "swarm:agent:options:ttl",
        "from 20s to 48h",
    ),
    Wrong(
        "TTL equal to the heartbeat",
        {"agent": {"options": {"ttl": "60s", "heartbeat": "1m"}}},
        "swarm:agent:options:ttl",
        "found '60s'; right would be above heartbeat, 60s",
    ),
    Wrong(
        "TTL below the default heartbeat",
        {"agent": {"options": {"ttl": "30s"}}},
        "swarm:agent:options:ttl",
        "above heartbeat, 60s",
    ),
    Wrong(
        "duration without unit",
        {"agent": {"options": {"heartbeat": "60"}}},
        "swarm:agent:options:heartbeat",
        "a duration such as 60s",
    ),
    Wrong(
        "duration in days",
        {"manager": {"options": {"heartbeat": "1d"}}},
        "swarm:manager:options:heartbeat",
        "a duration such as 60s",
    ),
    Wrong(
        "negative delay",
        {"agent": {"options": {"delay": -1}}},
        "swarm:agent:options:delay",
        "from 0s to 48h",
    ),
    Wrong(
        "refresh interval upside down",
        {"manager": {"options": {"engine-refresh-min-interval": "90s"}}},
        "swarm:manager:options:engine-refresh-max-interval",
        "not below engine-refresh-min-interval, 90s",
    ),
    # labels
    Wrong("labels a list", {"labels": ["zone=a"]}, "swarm:labels", "a mapping"),
    Wrong(
        "label called node", {"labels": {"node": "a"}}, "swarm:labels", "another key than 'node'"
    ),
    Wrong("label key with blank", {"labels": {"my zone": "a"}}, "swarm:labels", "without '='"),
    Wrong("label value a list", {"labels": {"zone": ["a"]}}, "swarm:labels", "for zone"),
    Wrong("label without value", {"labels": {"zone": None}}, "swarm:labels", "a text, a number"),
    Wrong("label with comma", {"labels": {"zone": "a,b"}}, "swarm:labels", "','"),
    Wrong("label of two lines", {"labels": {"zone": "a\nb"}}, "swarm:labels", "line break"),
    # what has its own place
    Wrong(
        "hosts among the engine's options",
        {"engine": {"options": {"hosts": ["tcp://0.0.0.0:2375"]}}},
        "swarm:engine:options:hosts",
        "it comes from swarm:engine:listen and swarm:engine:port",
    ),
    Wrong(
        "labels among the engine's options",
        {"engine": {"options": {"labels": ["zone=a"]}}},
        "swarm:engine:options:labels",
        "it comes from swarm:labels",
    ),
    Wrong(
        "cluster-store among the engine's options",
        {"engine": {"options": {"cluster-store": "consul://127.0.0.1:8500"}}},
        "swarm:engine:options:cluster-store",
        "it comes from swarm:overlay and swarm:store",
    ),
    Wrong(
        "bootstrap_expect among Consul's options",
        {"consul": {"options": {"bootstrap_expect": 1}}},
        "swarm:consul:options:bootstrap_expect",
        "it comes from swarm:consul:servers",
    ),
    Wrong(
        "bind_addr among Consul's options",
        {"consul": {"options": {"bind_addr": "0.0.0.0"}}},
        "swarm:consul:options:bind_addr",
        "it comes from swarm:address",
    ),
    # store
    Wrong("store no URL", {"store": "m1:2379"}, "swarm:store", "etcd://host:port"),
    Wrong(
        "overlay networks by a store with a path",
        {"store": "etcd://10.0.0.1:2379/swarm", "overlay": True},
        "swarm:store",
        "a URL without a path",
    ),
    Wrong(
        "overlay networks by ZooKeeper",
        {"store": "zk://10.0.0.1:2181", "overlay": True},
        "swarm:store",
        "Docker's engine crashes",
    ),
    Wrong("store of an unknown kind", {"store": "redis://m1:6379"}, "swarm:store", "zk://"),
    Wrong(
        "consul with two endpoints",
        {"store": "consul://10.0.0.1:8500,10.0.0.2:8500"},
        "swarm:store",
        "one endpoint only",
    ),
    Wrong(
        "etcd endpoint without port",
        {"store": "etcd://10.0.0.1:2379,10.0.0.2/swarm"},
        "swarm:store",
        "host:port for each endpoint (found '10.0.0.2')",
    ),
    Wrong(
        "etcd endpoint with a port that is none",
        {"store": "etcd://10.0.0.1:99999"},
        "swarm:store",
        "host:port for each endpoint (found '10.0.0.1:99999')",
    ),
    # images and names
    Wrong(
        "image with blank",
        {"manager": {"image": "swarm 1.2.9"}},
        "swarm:manager:image",
        "swarm:1.2.9",
    ),
    Wrong(
        "image_source relative",
        {"consul": {"image_source": "images/consul.tar"}},
        "swarm:consul:image_source",
        "salt://",
    ),
    Wrong("container name", {"agent": {"container": "/x"}}, "swarm:agent:container", "a name of"),
    # replication and TLS
    Wrong(
        "three managers without replication",
        {"manager": {"options": {"replication": False}}},
        "swarm:manager:options:replication",
        "of several managers one has to be elected",
    ),
    Wrong(
        "ACLs of a store of one's own",
        {
            "tls": {"enabled": True},
            "store": "consul://c:8500",
            "overlay": False,
            "consul": {"acl": True},
        },
        "swarm:consul:acl",
        "false: the store is your own, and so are its ACLs",
    ),
    Wrong(
        "ACLs and certificates of one's own without a token",
        {
            "tls": {
                "enabled": True,
                "ca_cert": "/c/ca.pem",
                "cert": "/c/cert.pem",
                "key": "/c/key.pem",
            },
            "consul": {"acl": True},
        },
        "swarm:consul:acl_token",
        "where a token of yours is kept, as the certificates are yours",
    ),
    Wrong(
        "ACLs twice",
        {"tls": {"enabled": True}, "consul": {"acl": True, "options": {"acl": {"enabled": False}}}},
        "swarm:consul:options:acl",
        "no such key beside swarm:consul:acl: true",
    ),
    Wrong(
        "ACLs without TLS",
        {"consul": {"acl": True}},
        "swarm:consul:acl",
        "with swarm:tls: without it, tokens would travel in clear",
    ),
    Wrong(
        "tls without key",
        {"manager": {"options": {"tls": True, "tlscert": "/etc/swarm/cert.pem"}}},
        "swarm:manager:options:tlskey",
        "the path of a file, as tls asks for it",
    ),
    Wrong(
        "tlsverify without CA",
        {"manager": {"options": {"tlsverify": True, "tlscert": "/c.pem", "tlskey": "/k.pem"}}},
        "swarm:manager:options:tlscacert",
        "the path of a file",
    ),
    Wrong(
        "certificate without tls",
        {"manager": {"options": {"tlscert": "/etc/swarm/cert.pem"}}},
        "swarm:manager:options:tlscert",
        "with tls or tlsverify: true",
    ),
    # networks
    Wrong("networks a list", {"networks": ["a"]}, "swarm:networks", "a mapping of names"),
    Wrong(
        "network with a wrong name",
        {"networks": {"my net": {"driver": "bridge"}}},
        "swarm:networks:my net",
        "a name of letters, digits",
    ),
    Wrong(
        "network with an unknown key",
        {"networks": {"a": {"driver": "bridge", "subnets": "10.1.0.0/24"}}},
        "swarm:networks:a:subnets",
        "Did you mean 'subnet'?",
    ),
    Wrong(
        "subnet with host bits",
        {"networks": {"a": {"driver": "bridge", "subnet": "10.1.0.1/24"}}},
        "swarm:networks:a:subnet",
        "a network such as",
    ),
    Wrong(
        "subnets that overlap",
        {
            "networks": {
                "a": {"driver": "bridge", "subnet": "10.1.0.0/16"},
                "b": {"driver": "bridge", "subnet": "10.1.2.0/24"},
            }
        },
        "swarm:networks:b:subnet",
        "one apart from a's, 10.1.0.0/16",
    ),
    Wrong(
        "subnet that holds this node",
        {"networks": {"a": {"driver": "bridge", "subnet": "10.77.0.0/24"}}},
        "swarm:networks:a:subnet",
        "one without 10.77.0.11, this node",
    ),
    Wrong(
        "gateway outside",
        {"networks": {"a": {"driver": "bridge", "subnet": "10.1.0.0/24", "gateway": "10.2.0.1"}}},
        "swarm:networks:a:gateway",
        "an address in 10.1.0.0/24",
    ),
    Wrong(
        "gateway without subnet",
        {"networks": {"a": {"driver": "bridge", "gateway": "10.2.0.1"}}},
        "swarm:networks:a:gateway",
        "a subnet as well",
    ),
    Wrong(
        "range outside",
        {
            "networks": {
                "a": {"driver": "bridge", "subnet": "10.1.0.0/24", "ip_range": "10.2.0.0/28"}
            }
        },
        "swarm:networks:a:ip_range",
        "a part of 10.1.0.0/24",
    ),
    # registries
    Wrong(
        "registry without domain or port",
        {"registries": {"registry": {"ca_cert": "/ca.pem"}}},
        "swarm:registries:registry",
        "host.domain or host:port",
    ),
    Wrong(
        "registry with a scheme",
        {"registries": {"https://r.example.com": {"ca_cert": "/ca.pem"}}},
        "swarm:registries:https://r.example.com",
        "a registry as in the names of images",
    ),
    Wrong(
        "registry with a port that is none",
        {"registries": {"r.example.com:99999": {"ca_cert": "/ca.pem"}}},
        "swarm:registries:r.example.com:99999",
        "host.domain or host:port",
    ),
    Wrong(
        "Docker Hub under another name",
        {"registries": {"index.docker.io": {"username": "u", "password": "/p"}}},
        "swarm:registries:index.docker.io",
        "docker.io, which is Docker Hub",
    ),
    Wrong(
        "registry's password itself",
        {"registries": {"r.example.com": {"username": "u", "password": "hunter2"}}},
        "swarm:registries:r.example.com:password",
        "found 'what is not shown'; right would be sdb://profile/key, or the absolute path",
    ),
    Wrong(
        "registry's user with a colon",
        {"registries": {"r.example.com": {"username": "u:p", "password": "/p", "ca_cert": "/c"}}},
        "swarm:registries:r.example.com:username",
        "without ':'",
    ),
    Wrong(
        "registry's login as one text",
        {"registries": {"r.example.com": "u:hunter2"}},
        "swarm:registries:r.example.com",
        "found 'what is not shown'; right would be a mapping",
    ),
    Wrong(
        "registries a list",
        {"registries": [{"host": "r.example.com", "password": "hunter2"}]},
        "swarm:registries",
        "found 'what is not shown'; right would be a mapping of names",
    ),
    Wrong(
        "registry's user without password",
        {"registries": {"r.example.com": {"username": "u"}}},
        "swarm:registries:r.example.com:password",
        "set, as the other half of the login is",
    ),
    Wrong(
        "registry's password without user",
        {"registries": {"r.example.com": {"password": "/p", "ca_cert": "/ca.pem"}}},
        "swarm:registries:r.example.com:username",
        "set, as the other half of the login is",
    ),
    Wrong(
        "registry with nothing",
        {"registries": {"r.example.com": None}},
        "swarm:registries:r.example.com",
        "username and password, or ca_cert, or both; or no such entry",
    ),
    Wrong(
        "CA for Docker Hub",
        {"registries": {"docker.io": {"ca_cert": "/ca.pem"}}},
        "swarm:registries:docker.io:ca_cert",
        "Docker trusts the CAs of the system",
    ),
    Wrong(
        "overlay network without overlay",
        {"overlay": False, "networks": {"a": {"driver": "overlay"}}},
        "swarm:networks:a:driver",
        "another driver, or swarm:overlay: true",
    ),
    Wrong(
        "agents that register where no manager looks",
        {"agent": {"options": {"discovery-opt": {"kv.path": "elsewhere"}}}},
        "swarm:agent:options:discovery-opt:kv.path",
        "None, the kv.path of swarm:manager:options:discovery-opt",
    ),
    Wrong(
        "external CA without a certificate",
        {"builtin": {"cluster": {"external-ca": [{"url": "https://ca/sign", "ca": "PEM"}]}}},
        "swarm:builtin:cluster:external-ca",
        "ca: its certificate as PEM",
    ),
    # workloads
    Wrong(
        "option of a service that classic mode does not have",
        {"services": {"web": {"image": "nginx", "reservations": {"cpus": 1}}}},
        "swarm:services:web:reservations:cpus",
        "limits.memory: the managers also reserve it",
    ),
    Wrong(
        "secret in a service of classic mode",
        {"services": {"web": {"image": "nginx", "secrets": ["key"]}}},
        "swarm:services:web:secrets",
        "mounts of a file that each node has, or mode: builtin (mode: classic)",
    ),
    Wrong(
        "port on all nodes in classic mode",
        {"services": {"web": {"image": "nginx", "ports": ["80:80"]}}},
        "swarm:services:web:ports",
        "'mode': 'host'}: classic mode has no routing mesh",
    ),
    Wrong(
        "constraint on what nodes of classic mode do not have",
        {"services": {"web": {"image": "nginx", "constraints": ["node.role==manager"]}}},
        "swarm:services:web:constraints",
        "classic mode has no node.role",
    ),
    Wrong(
        "affinity in builtin mode",
        {**_SERVICES, "services": {"web": {"image": "nginx", "affinities": ["image==redis"]}}},
        "swarm:services:web:affinities",
        "no such key with mode: builtin",
    ),
    Wrong(
        "affinity that the managers cannot read",
        {"services": {"web": {"image": "nginx", "affinities": ["a==b"]}}},
        "swarm:services:web:affinities",
        "the key 'a' needs two or more characters",
    ),
    Wrong(
        "secrets in classic mode",
        {"secrets": {"key": {"content": "x"}}},
        "swarm:secrets",
        "no such key with mode: classic",
    ),
    Wrong(
        "service with an unknown option",
        {**_SERVICES, "services": {"web": {"image": "nginx", "replicsa": 2}}},
        "swarm:services:web:replicsa",
        "Did you mean 'replicas'?",
    ),
    Wrong(
        "unknown option of a section of a service",
        {**_SERVICES, "services": {"web": {"healthcheck": {"tets": "true"}}}},
        "swarm:services:web:healthcheck:tets",
        "Did you mean 'test'?",
    ),
    Wrong(
        "service that publishes a port on one address",
        {**_SERVICES, "services": {"web": {"ports": ["127.0.0.1:80:80"]}}},
        "swarm:services:web:ports",
        "an address: swarm mode publishes a port on all addresses of a node",
    ),
    Wrong(
        "global service with replicas",
        {**_SERVICES, "services": {"web": {"mode": "global", "replicas": 2}}},
        "swarm:services:web:replicas",
        "no such key: a global service has none",
    ),
    Wrong(
        "service with a name that is no host name",
        {**_SERVICES, "services": {"web.site": {"image": "nginx"}}},
        "swarm:services:web.site",
        "letters and digits",
    ),
    Wrong(
        "services as a list",
        {**_SERVICES, "services": ["web"]},
        "swarm:services",
        "a mapping of names",
    ),
    Wrong(
        "secret that stands in place of its source",
        {**_SERVICES, "secrets": {"key": {"source": "geheim"}}},
        "swarm:secrets:key:source",
        "found 'what is not shown'; right would be salt://PATH, sdb://PROFILE/KEY or",
    ),
    Wrong(
        "secret that is a text",
        {**_SERVICES, "secrets": {"key": "geheim"}},
        "swarm:secrets:key",
        "found 'what is not shown'; right would be a mapping of options",
    ),
    Wrong(
        "secret with content and source",
        {**_SERVICES, "secrets": {"key": {"source": "/x", "content": "geheim"}}},
        "swarm:secrets:key",
        "either 'content' or 'source'",
    ),
    Wrong(
        "config of which no version before is kept",
        {**_SERVICES, "configs": {"site": {"source": "/x", "keep": 1}}},
        "swarm:configs:site:keep",
        "2 or more",
    ),
    Wrong(
        "stack in classic mode with a key that only docker-compose keeps",
        {"stacks": {"shop": {"content": {"services": {"a": {"image": "a", "ipc": "host"}}}}}},
        "swarm:stacks:shop:content:services:a:ipc",
        "swarm:containers, or docker-compose against the managers",
    ),
    Wrong(
        "stack in classic mode whose digests are to be resolved",
        {"stacks": {"shop": {"source": "salt://shop.yml", "resolve": "always"}}},
        "swarm:stacks:shop:resolve",
        "never: nodes pull the name as it is",
    ),
    Wrong(
        "stack in classic mode that docker-compose would not find",
        {"stacks": {"Shop": {"source": "salt://shop.yml"}}},
        "swarm:stacks:Shop",
        "a name in lower case",
    ),
    Wrong(
        "stack with an unknown option",
        {**_SERVICES, "stacks": {"shop": {"source": "salt://shop.yml", "envrionment": {}}}},
        "swarm:stacks:shop:envrionment",
        "Did you mean 'environment'?",
    ),
    Wrong(
        "stack without a file",
        {**_SERVICES, "stacks": {"shop": {"prune": True}}},
        "swarm:stacks:shop",
        "either 'content' or 'source'",
    ),
    Wrong(
        "stack whose file in the pillar is no compose file",
        {**_SERVICES, "stacks": {"shop": {"content": "services: ["}}},
        "swarm:stacks:shop:content",
        "a compose file in YAML",
    ),
    Wrong(
        "stack whose file in the pillar has an unknown key",
        {**_SERVICES, "stacks": {"shop": {"content": {"services": {"web": {"imgae": "x"}}}}}},
        "swarm:stacks:shop:content:services:web:imgae",
        "Did you mean 'image'?",
    ),
    Wrong(
        "stack with a variable that the pillar does not have",
        {**_SERVICES, "stacks": {"shop": {"content": {"services": {"web": {"image": "$TAG"}}}}}},
        "swarm:stacks:shop:content:services:web:image",
        "a value in `environment` of the stack, or a default: ${TAG:-}",
    ),
    Wrong(
        "Jinja for a file that Jinja has rendered",
        {
            **_SERVICES,
            "stacks": {"shop": {"content": {"services": {"web": {}}}, "template": "jinja"}},
        },
        "swarm:stacks:shop:template",
        "Jinja has rendered the pillar",
    ),
    Wrong(
        "registry on a minion that is no member",
        {"registry": {"node": "m11"}, "tls": {"enabled": True}},
        "swarm:registry:node",
        "a member: name it in swarm:nodes. Did you mean 'm1'?",
    ),
    Wrong(
        "registry without TLS",
        {"registry": {"node": "m1"}, "tls": {"enabled": False}},
        "swarm:registry:node",
        "null, or swarm:tls:enabled: true",
    ),
    Wrong(
        "registry without a node",
        {"registry": {"port": 5001}},
        "swarm:registry:node",
        "the node that runs it, as port beside it asks for",
    ),
    Wrong(
        "registry at the port of another listener",
        {"registry": {"node": "m1", "port": 2376}, "tls": {"enabled": True}},
        "swarm:registry:port",
        "another port: swarm:engine:port has this one",
    ),
    Wrong(
        "registry by the name of another member",
        {"registry": {"node": "m1", "names": ["m2"]}, "tls": {"enabled": True}},
        "swarm:registry:names",
        "none of another member",
    ),
    Wrong(
        "registry with a key that the formula sets",
        {
            "registry": {"node": "m1", "options": {"http": {"addr": ":80"}}},
            "tls": {"enabled": True},
        },
        "swarm:registry:options:http:addr",
        "it comes from swarm:registry:port and this node's address",
    ),
    Wrong(
        "registry with a misspelled key",
        {"registry": {"node": "m1", "htpaswd": "/root/users"}, "tls": {"enabled": True}},
        "swarm:registry:htpaswd",
        "Did you mean 'htpasswd'?",
    ),
    Wrong(
        "CA for the registry that has the swarm's",
        {
            "registry": {"node": "m1"},
            "registries": {"m1:5000": {"ca_cert": "/ca.pem"}},
            "tls": {"enabled": True},
        },
        "swarm:registries:m1:5000:ca_cert",
        "nodes trust the swarm's CA",
    ),
    Wrong(
        "container by the name of the registry",
        {"containers": {"swarm-registry": {"image": "a"}}},
        "swarm:containers:swarm-registry",
        "another name: the formula has one of it",
    ),
    Wrong(
        "firewall at the port of ssh",
        {"engine": {"port": 22}, "firewall": {"enabled": True}},
        "swarm:firewall:enabled",
        "false, or another port for the swarm than 22: that is where ssh is",
    ),
    Wrong(
        "TLS of Consul by its newer names",
        {
            "tls": {"enabled": True},
            "consul": {"options": {"tls": {"internal_rpc": {"verify_server_hostname": False}}}},
        },
        "swarm:consul:options:tls:internal_rpc:verify_server_hostname",
        "it comes from swarm:tls",
    ),
    Wrong(
        "API that managers of classic mode do not speak",
        {"engine": {"options": {"min-api-version": "1.44"}}},
        "swarm:engine:options:min-api-version",
        "at most '1.30', in quotes",
    ),
    Wrong(
        "API version without quotes",
        {"engine": {"options": {"min-api-version": 1.24}}},
        "swarm:engine:options:min-api-version",
        "at most '1.30', in quotes",
    ),
    Wrong(
        "firewall that lets this node not in",
        {"managers": ["m2"], "firewall": {"enabled": True}},
        "swarm:firewall:members",
        "m1, is in: it is neither a manager nor a Consul server",
    ),
]

# Enough for a real minion, from all sections. A lab's pillar is merged from several files, and a
# list instead of a mapping leaves nothing there.
_EACH = 5 if os.environ.get("SWARM_TEST_LONG") else 20
SAMPLE = [case for case in WRONG[1::_EACH] if isinstance(case.pillar, dict)]


def merged(valid: dict, wrong: object) -> object:
    """Return a copy of ``valid`` with ``wrong`` laid over it; hosts are replaced as a whole."""
    if not isinstance(wrong, dict):
        return wrong
    result = copy.deepcopy(valid)
    for key, value in wrong.items():
        below = isinstance(value, dict) and isinstance(result.get(key), dict) and key != "managers"
        result[key] = merged(result[key], value) if below else copy.deepcopy(value)
    return result
