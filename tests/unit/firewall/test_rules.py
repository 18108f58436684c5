import re
from pathlib import Path

import pytest
from salt.exceptions import CommandExecutionError

from _modules import swarm_firewall as module
from swarm_formula.core import errors, host_files
from swarm_formula.firewall import netfilter
from swarm_formula.firewall import rules as firewall_rules
from swarm_formula.settings import parse, warnings
from tests.unit.execution import mocked
from tests.unit.pillars import BUILTIN, M1, VALID, node, resolved, settings_of

ON = {"enabled": True, "members": ["10.77.0.14"]}
TOOLS = {name: f"/sbin/{name}" for name in ("nft", "iptables", "ip6tables")}
OLD_TOOLS = {**TOOLS, "nft": None}
ADMINS = ["-P INPUT ACCEPT", "-N DOCKER-USER", "-A INPUT -p tcp -m tcp --dport 23 -j DROP"]
UNIT = "swarm-firewall.service"


def rules(host="m1", base=VALID, **pillar):
    return firewall_rules.rules(settings_of({**base, "firewall": ON, **pillar}, node(host)))


def ports(host="m1", base=VALID, **pillar):
    """Return ``{"port/protocol": group}``."""
    found = rules(host, base, **pillar).ports
    table = {f"{port}/{protocol}": group for protocol, port, group in found}
    assert len(table) == len(found)
    return table


OVERLAY = {"7946/tcp": "members", "7946/udp": "members", "4789/udp": "members"}
SERF_LAN = {"8301/tcp": "members", "8301/udp": "members"}
SERVER = {"8300/tcp": "members", **SERF_LAN, "8302/tcp": "members", "8302/udp": "members"}
ENGINE, MANAGER = {"2275/tcp": "managers"}, {"3375/tcp": "clients"}


@pytest.mark.parametrize(
    ("host", "pillar", "wanted"),
    [
        ("m1", {}, {**ENGINE, **MANAGER, **SERVER, **OVERLAY}),
        ("m4", {}, {**ENGINE, **SERF_LAN, **OVERLAY}),
        ("m4", {"overlay": False}, {**ENGINE, **SERF_LAN}),
        ("m2", {"managers": ["m1"], "consul": {"servers": ["m2"]}}, ENGINE | SERVER | OVERLAY),
        ("m1", {"store": "etcd://10.0.0.1:2379", "overlay": False}, {**ENGINE, **MANAGER}),
        ("m4", {"store": "etcd://10.0.0.1:2379"}, {**ENGINE, **OVERLAY}),
        (
            "m1",
            {"tls": {}, "consul": {"servers": ["m2"]}, "overlay": False},
            {"2376/tcp": "managers", "3376/tcp": "clients", **SERF_LAN},
        ),
        (
            "m1",
            {"engine": {"port": 1}, "manager": {"port": 2}, "overlay": False,
             "consul": {"options": {"ports": {"server": 3, "serf_lan": 4, "serf_wan": -1}}}},
            {"1/tcp": "managers", "2/tcp": "clients", "3/tcp": "members", "4/tcp": "members",
             "4/udp": "members"},
        ),
        (
            "m1",
            {"store": "etcd://e:1", "overlay": False, "manager": {"options": {
                "host": ["tcp://0.0.0.0:4000", "unix:///run/swarm.sock"]}}},
            {**ENGINE, **MANAGER, "4000/tcp": "clients"},
        ),
    ],
    ids=["manager", "worker", "no overlay", "server", "own store", "worker with own store", "tls",
         "other ports", "manager's flag"],
)  # fmt: skip
def test_ports_of_a_node_in_classic_mode(host, pillar, wanted):
    assert ports(host, **pillar) == wanted


@pytest.mark.parametrize(
    ("host", "pillar", "wanted"),
    [
        ("m1", {}, {"2377/tcp": "members", **OVERLAY}),
        ("m4", {}, OVERLAY),
        ("m1", {"engine": {"port": 1}, "builtin": {"port": 2}},
         {"1/tcp": "clients", "2/tcp": "members", **OVERLAY}),
        ("m4", {"engine": {"port": 1}, "builtin": {"data_path_port": 7789}},
         {"1/tcp": "managers", "7946/tcp": "members", "7946/udp": "members",
          "7789/udp": "members"}),
    ],
    ids=["manager", "worker", "manager with an open engine", "worker with an open engine"],
)  # fmt: skip
def test_ports_of_a_node_in_builtin_mode(host, pillar, wanted):
    assert ports(host, BUILTIN, **pillar) == wanted


@pytest.mark.parametrize("pillar", [{}, {"managers": ["m3", "m1", "m2"]}], ids=str)
def test_groups_are_the_same_whatever_the_order(pillar):
    firewall = {**ON, "clients": ["fd00::/64", "10.9.0.0/16", "10.77.0.11"]}
    found = rules(**pillar, firewall=firewall).groups
    shown = {name: [str(one) for one in networks] for name, networks in found.items()}
    managers = ["10.77.0.11/32", "10.77.0.12/32", "10.77.0.13/32"]
    assert shown == {
        "managers": managers,
        "members": [*managers, "10.77.0.14/32"],
        "clients": ["10.9.0.0/16", *managers, "10.77.0.14/32", "fd00::/64"],
    }


def test_consul_servers_are_members_and_no_managers():
    found = rules("m1", managers=["m1"], consul={"servers": ["m1", "m2", "m3"]}).groups
    assert [len(found[name]) for name in ("managers", "members")] == [1, 4]


def test_workers_of_builtin_mode_are_no_clients():
    found = rules("m1", BUILTIN, firewall={**ON, "clients": ["10.9.0.0/16"]}).groups
    assert [str(one) for one in found["clients"]][0::3] == ["10.9.0.0/16", "10.77.0.13/32"]


@pytest.mark.parametrize(
    ("base", "pillar", "told"),
    [
        (BUILTIN, {}, True),
        (BUILTIN, {"client": {"nodes": ["m3"]}}, False),
        (BUILTIN, {"firewall": {**ON, "clients": ["10.77.0.14"]}}, False),
        (BUILTIN, {"firewall": {**ON, "enabled": False}}, False),
        (VALID, {}, False),
    ],
    ids=["worker", "manager", "listed", "no firewall", "classic"],
)
def test_worker_whose_users_are_clients_has_to_be_let_in(base, pillar, told):
    given = {**base, "firewall": ON, "client": {"nodes": ["m4"]}, **pillar}
    found = firewall_rules.warnings(settings_of(given, node("m2")))
    assert ["swarm:client:nodes names m4 as well" in one for one in found] == [True] * told


# ---- what nft and iptables read and show


SMALL = netfilter.Rules(
    {
        "managers": firewall_rules._networks(["10.0.0.1", "fd00::1%eth0", "fd00:1::/64"]),
        "members": firewall_rules._networks(["0.0.0.0/0", "10.0.0.0/24", "::/0"]),
        "clients": [],
    },
    [("tcp", 2376, "managers"), ("udp", 4789, "members")],
)
NFT = """\
table inet swarm_formula {
	chain managers {
		ip saddr 10.0.0.1 accept
		ip6 saddr fd00::1 accept
		ip6 saddr fd00:1::/64 accept
		drop
	}

	chain members {
		ip saddr 0.0.0.0/0 accept
		ip saddr 10.0.0.0/24 accept
		ip6 saddr ::/0 accept
		drop
	}

	chain clients {
		drop
	}

	chain input {
		type filter hook input priority filter - 1; policy accept;
		iif "lo" accept
		ct state established,related accept
		tcp dport 2376 goto managers
		udp dport 4789 goto members
	}
}
"""
IPTABLES = """\
-P INPUT ACCEPT
-N DOCKER-USER
-N SWARM-FORMULA
-N SWARM-FORMULA-CLIENTS
-N SWARM-FORMULA-MANAGERS
-N SWARM-FORMULA-MEMBERS
-A INPUT -p tcp -m tcp --dport 23 -j DROP
-A INPUT -j SWARM-FORMULA
-A DOCKER-USER -j RETURN
-A SWARM-FORMULA -i lo -j RETURN
-A SWARM-FORMULA -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN
-A SWARM-FORMULA -p tcp -m tcp --dport 2376 -g SWARM-FORMULA-MANAGERS
-A SWARM-FORMULA -p udp -m udp --dport 4789 -g SWARM-FORMULA-MEMBERS
-A SWARM-FORMULA-CLIENTS -j DROP
"""
V4 = """\
-A SWARM-FORMULA-MANAGERS -s 10.0.0.1/32 -j RETURN
-A SWARM-FORMULA-MANAGERS -j DROP
-A SWARM-FORMULA-MEMBERS -j RETURN
-A SWARM-FORMULA-MEMBERS -s 10.0.0.0/24 -j RETURN
-A SWARM-FORMULA-MEMBERS -j DROP
"""
V6 = """\
-A SWARM-FORMULA-MANAGERS -s fd00::1/128 -j RETURN
-A SWARM-FORMULA-MANAGERS -s fd00:1::/64 -j RETURN
-A SWARM-FORMULA-MANAGERS -j DROP
-A SWARM-FORMULA-MEMBERS -j RETURN
-A SWARM-FORMULA-MEMBERS -j DROP
"""
SHOWN = {"nft": NFT, "iptables": IPTABLES + V4, "ip6tables": IPTABLES + V6}


def table(name):
    used, _ = netfilter.tables(TOOLS if name == "nft" else OLD_TOOLS, ipv6=True)
    return used[-1] if name == "ip6tables" else used[0]


@pytest.mark.parametrize("name", SHOWN)
def test_lines_are_those_that_the_kernel_shows(name):
    """As shown by nft 1.0.6 and iptables 1.8.9, in between what is not ours."""
    foreign = "table inet filter {\n\tchain input {\n\t\tdrop\n\t}\n}\n" if name == "nft" else ""
    found = table(name).own(foreign + SHOWN[name] + foreign)
    assert netfilter.differ(found, table(name).lines(SMALL)) == {}


@pytest.mark.parametrize("name", SHOWN)
def test_nothing_is_dropped_but_at_the_ports(name):
    """A chain that drops is led to by a port, and the way in has no other end."""
    text = table(name).text(table(name).lines(SMALL))
    first = re.search(r"chain input \{(.*?)\}", text, re.S)[1] if name == "nft" else "\n".join(
        line for line in text.splitlines() if line.startswith("-A SWARM-FORMULA ")
    )  # fmt: skip
    assert "drop" not in first.lower()
    for line in first.splitlines():
        if re.search(r"goto| -g ", line):
            assert re.search(r"dport (2376|4789) ", line)


def test_table_is_replaced_in_one_transaction():
    text = table("nft").text(table("nft").lines(SMALL)).splitlines()
    assert text[1:4] == [
        "add table inet swarm_formula",
        "delete table inet swarm_formula",
        "table inet swarm_formula {",
    ]


def test_unit_is_there_before_the_engine():
    text = netfilter.unit(["/sbin/nft -f /x"], "dockerd")
    assert "\nBefore=dockerd.service\n" in text
    assert "\nExecStart=/sbin/nft -f /x\nExecReload=/sbin/nft -f /x\n" in text


@pytest.mark.parametrize(
    ("tools", "ipv6", "used", "others"),
    [
        (TOOLS, True, ["firewall.nft"], ["firewall.rules", "firewall6.rules"]),
        (OLD_TOOLS, True, ["firewall.rules", "firewall6.rules"], []),
        (OLD_TOOLS, False, ["firewall.rules"], []),
        ({**OLD_TOOLS, "ip6tables": None}, True, [], ["firewall.rules"]),
        ({**OLD_TOOLS, "ip6tables": None}, False, ["firewall.rules"], []),
        (dict.fromkeys(TOOLS), True, [], []),
    ],
)
def test_tables_of_a_host(tools, ipv6, used, others):
    found = netfilter.tables(tools, ipv6)
    assert [[one.file for one in tables] for tables in found] == [used, others]


# ---- the pillar


@pytest.mark.parametrize(
    ("host", "pillar", "path", "words"),
    [
        ("m4", {"firewall": {"enabled": True}}, "swarm:firewall:members", "10.77.0.14, m4, is in"),
        ("m1", {"engine": {"port": 22}, "firewall": ON}, "swarm:firewall:enabled", "22"),
        ("m1", {"manager": {"port": 4506}, "firewall": ON}, "swarm:firewall:enabled", "master"),
    ],
    ids=["node that nobody would let in", "ssh", "salt"],
)
def test_who_would_be_locked_out_is_a_fault(host, pillar, path, words):
    (text,) = parse.texts(resolved({**VALID, **pillar}, node(host))[1])
    assert text.startswith(f"{path}: ")
    assert words in text
    assert settings_of({**VALID, **pillar, "firewall": {**pillar["firewall"], "enabled": False}})


def _warnings(pillar, minion=M1):
    found = warnings.warnings(settings_of(pillar, minion))
    return [one for one in found if one.startswith("swarm:firewall")]


def test_other_nodes_of_pillar_without_a_network_are_a_warning():
    pillar = {**VALID, "nodes": {"m1": {}, "web-*": {}}, "firewall": {"enabled": True}}
    (text,) = _warnings(pillar)
    assert "swarm:nodes names web-* as well" in text
    assert _warnings({**pillar, "firewall": ON}) == []
    assert _warnings({**pillar, "firewall": {}}) == []
    assert _warnings({**pillar, "nodes": {"m1": {}}}) == []


def test_other_network_for_data_is_a_warning():
    pillar = {**BUILTIN, "nodes": {}, "firewall": {"enabled": True}}
    (text,) = _warnings({**pillar, "builtin": {"data_path_address": "10.77.0.11"}})
    assert "swarm:builtin:data_path_address" in text


# ---- the host


class Host:
    """What a host's kernel and systemd make of our commands; ``rules`` are not all ours."""

    def __init__(self, folder):
        self.units = folder / "units"
        self.tools = dict(TOOLS)
        self.nft = ""
        self.rules = {"iptables": list(ADMINS), "ip6tables": list(ADMINS)}
        self.enabled = False
        self.broken = None
        self.refused = False
        self.commands = []

    def run(self, command, stdin=None, **_):
        self.commands.append(command)
        name = Path(command[0]).name
        if self.broken:
            return {"retcode": 1, "stdout": "", "stderr": self.broken}
        if name == "nft":
            return self._answer(self.nft if "list" in command else self._load_nft(stdin))
        if "-S" in command:
            return self._answer("\n".join(self.rules[name]))
        return self._answer(self._restore(name.removesuffix("-restore"), stdin))

    @staticmethod
    def _answer(text):
        return {"retcode": 0, "stdout": text, "stderr": ""}

    def _load_nft(self, text):
        self.nft = text[text.index("table inet swarm_formula {") :] if "{" in text else ""
        return ""

    def _restore(self, name, text):
        new = [re.sub(r"^:(\S+) .*", r"-N \1", one) for one in text.splitlines()[1:]]
        gone = {one.split()[1] for one in new if one[:2] in ("-N", "-F")}
        keep = [one for one in self.rules[name] if one.split()[1] not in gone]
        deleted = [one.replace("-D", "-A") for one in new if one.startswith("-D ")]
        self.rules[name] = [one for one in keep if one not in deleted]
        self.rules[name] += [one for one in new if one[:3] in ("-N ", "-A ")]
        return ""

    def restart(self, _):
        """Do what the unit says."""
        if self.refused:
            raise CommandExecutionError("Job for the unit failed")
        for line in re.findall(r"^ExecStart=(.*)", (self.units / UNIT).read_text(), re.M):
            words = line.split()
            if words[0] == "/bin/sh":
                name = Path(words[2].strip("'")).name
                if "-A INPUT -j SWARM-FORMULA" not in self.rules[name]:
                    self.rules[name].insert(2, "-A INPUT -j SWARM-FORMULA")
                continue
            text = Path(words[-1]).read_text()
            if words[0].endswith("nft"):
                self._load_nft(text)
            else:
                body = text.removeprefix(netfilter._HEADER)
                self._restore(Path(words[0]).name.removesuffix("-restore"), body)

    def enable(self, _, **__):
        self.enabled = True

    def disable(self, _, **__):
        self.enabled = False

    def files(self):
        folders = (host_files.CONFIG, self.units)
        return sorted(one.name for folder in folders if folder.is_dir() for one in folder.iterdir())


@pytest.fixture
def host(monkeypatch, tmp_path):
    host = Host(tmp_path)
    monkeypatch.setattr(host_files, "CONFIG", tmp_path / "config")
    monkeypatch.setattr(module, "_UNITS", host.units)
    (tmp_path / "if_inet6").touch()
    monkeypatch.setattr(module, "_IPV6", tmp_path / "if_inet6")
    monkeypatch.setattr(module, "__opts__", {"id": "m1"}, raising=False)
    return host


@pytest.fixture
def on(monkeypatch, host):
    """Return a function that gives the host a pillar."""

    def on(**firewall):
        salt = mocked(
            "service.systemctl_reload",
            "service.stop",
            swarm_settings__get=settings_of({**VALID, "firewall": {**ON, **firewall}}),
            cmd__which=lambda name: host.tools[name],
            cmd__run_all=host.run,
            cmd__run_stdout="the words of the journal",
            service__enabled=lambda *_, **__: host.enabled,
            service__enable=host.enable,
            service__disable=host.disable,
            service__restart=host.restart,
        )
        monkeypatch.setattr(module, "__salt__", salt, raising=False)

    on()
    return on


@pytest.fixture(params=["nft", "iptables"])
def tool(request, host):
    """Have the host both tools, or no nft."""
    if request.param == "iptables":
        host.tools = dict(OLD_TOOLS)
    return request.param


KINDS = {"nft": ["table inet swarm_formula"],
         "iptables": ["iptables chain SWARM-FORMULA", "ip6tables chain SWARM-FORMULA"]}  # fmt: skip
FILES = {"nft": ["firewall.nft", UNIT], "iptables": ["firewall.rules", "firewall6.rules", UNIT]}


def test_promised_done_and_then_nothing(host, on, tool):
    promised = module.apply(test=True)
    assert host.files() == []
    assert not host.enabled
    assert module.apply() == promised
    assert set(KINDS[tool]) < set(promised)
    assert promised[UNIT] == {"old": "disabled", "new": "enabled"}
    assert host.files() == FILES[tool]
    assert set(module.status()) == set(KINDS[tool])
    assert module.apply() == {}


def test_rules_of_an_admin_stay(host, on, tool):
    module.apply()
    module.remove()
    assert host.rules == {"iptables": ADMINS, "ip6tables": ADMINS}


def test_what_is_flushed_comes_back(host, on, tool):
    module.apply()
    before = module.status()
    host.nft, host.rules["ip6tables"] = "", list(ADMINS)
    if tool == "iptables":
        host.rules["iptables"].remove("-A INPUT -j SWARM-FORMULA")
    promised = module.apply(test=True)
    assert set(promised) == set(KINDS[tool])
    assert module.apply() == promised
    assert module.status() == before


def test_rule_that_somebody_adds_to_ours_goes(host, on):
    module.apply()
    host.nft = host.nft.replace("\t\tdrop", "\t\taccept\n\t\tdrop", 1)
    assert module.apply()["table inet swarm_formula"] == {"old": ["accept"], "new": None}
    assert module.apply() == {}


def test_order_of_the_rules_counts():
    assert netfilter.differ(["a", "b"], ["b", "a"]) == {"old": None, "new": None}


def test_edit_of_pillar(host, on, tool):
    module.apply()
    on(clients=["10.9.0.0/16"])
    changes = module.apply()
    (name, *_) = KINDS[tool]
    assert changes[name]["old"] is None
    assert "10.9.0.0/16" in changes[name]["new"][0]
    assert module.apply() == {}


def test_unit_that_is_disabled_is_enabled(host, on):
    module.apply()
    host.enabled = False
    assert module.apply() == {UNIT: {"old": "disabled", "new": "enabled"}}
    assert host.enabled


def test_host_changes_over_when_nft_comes(host, on):
    host.tools = dict(OLD_TOOLS)
    module.apply()
    host.tools = dict(TOOLS)
    promised = module.apply(test=True)
    assert module.apply() == promised
    assert promised["iptables chain SWARM-FORMULA"]["new"] is None
    assert host.files() == FILES["nft"]
    assert host.rules == {"iptables": ADMINS, "ip6tables": ADMINS}
    assert module.apply() == {}


@pytest.mark.parametrize("how", ["removed", "disabled"])
def test_removal(host, on, tool, how):
    module.apply()
    if how == "disabled":
        on(enabled=False)
    remove = module.apply if how == "disabled" else module.remove
    promised = remove(test=True)
    assert host.files() == FILES[tool]
    assert remove() == promised
    assert set(KINDS[tool]) < set(promised)
    assert (host.files(), host.enabled, module.status()) == ([], False, {})
    assert remove() == {}


def test_host_without_firewall_is_left_alone(host, on):
    """It is off by default: no command of nft or iptables is run then."""
    on(enabled=False)
    assert module.apply() == module.remove() == {}
    assert host.commands == []


def test_neither_tool_is_an_error_with_its_cure(host, on):
    host.tools = dict.fromkeys(TOOLS)
    with pytest.raises(errors.SwarmError, match="on m1: install the package nftables"):
        module.apply()
    assert host.files() == []


def test_neither_tool_yet_is_a_promise_in_test_mode(host, on):
    """On a bare machine, the engine's package will bring iptables."""
    host.tools = dict.fromkeys(TOOLS)
    assert set(module.apply(test=True)) == {str(host.units / UNIT), UNIT}


def test_command_that_fails_is_told(host, on):
    host.broken = "Operation not permitted"
    with pytest.raises(errors.SwarmError, match="nft list ruleset inet' failed on m1: Oper"):
        module.apply()


def test_rules_that_cannot_be_loaded_are_told(host, on):
    host.refused = True
    with pytest.raises(errors.SwarmError, match="m1 could not be loaded: the words of the"):
        module.apply()
