"""
A Consul agent for tests: what the formula uses of its HTTP API, kept in memory.

The real library talks to it, so that what it sends and what it makes of the answers is tested too.
"""

import base64
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

ALIVE, FAILED = 1, 4


class Agent(ThreadingHTTPServer):
    """What the agent knows; tests read and change it."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.leader = "10.77.0.11:8300"
        self.servers = {}  # {name: serf's status}
        self.raft = {}  # {name: whether it votes}; unset: those that serf has
        self.left = False  # whether this agent was told to leave
        self.keys = {}  # {key: (text, session)}
        self.sessions = {}  # {id: what it was created with}
        self.snapshot = b""
        self.management = None  # the token that may do everything; None: no ACLs
        self.policies = {}  # {name: rules}
        self.anonymous = []  # names of policies
        self.modes = {}  # {name: how far a server is with its ACLs}; unset: it does not say
        self.builds = {}  # {name: version}; unset: it does not say
        self.tokens = {}  # {secret: accessor} of further tokens
        self.limited = {}  # {secret: names of policies} of those that are no management tokens
        self.nodes = {}  # {name: metadata} in the catalog
        self.restricted = False  # whether the anonymous token may not create sessions here
        self.keyring, self.primary = {}, None  # {gossip key: agents that have it}
        self.agents = 4
        self.alone = False  # with ACLs under a leader that has none
        self.log = []

    @property
    def port(self):
        return self.server_port

    @property
    def settings(self):
        """What of a pillar's settings leads to it."""
        return {"consul": {"http_port": self.port}, "tls": {"used": False}}

    def serve(self, *names, status=ALIVE):
        """Set the status of these servers."""
        self.servers.update(dict.fromkeys(names, status))

    @staticmethod
    def address(name):
        """Return where a server is."""
        return f"10.77.0.1{name.lstrip('m')}"

    def peers(self):
        """Return Raft's list of servers."""
        return self.raft or dict.fromkeys(self.servers, True)


class _Handler(BaseHTTPRequestHandler):
    def _answer(self, status, value=None):
        body = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("X-Consul-Index", "1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _handle(self):
        agent, url = self.server, urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        agent.log.append(f"{self.command} {url.path}")
        _, _, kind, *rest = unquote(url.path).split("/")
        if kind != "agent" and not agent.leader and kind != "status":
            return self._answer(500, "No cluster leader")
        handler = getattr(self, f"_{kind}")
        return handler("/".join(rest), parse_qs(url.query), body)

    do_GET = do_PUT = do_DELETE = do_POST = _handle  # noqa: N815

    def _status(self, what, *_):
        agent = self.server
        peers = [f"{agent.address(name)}:8300" for name in agent.peers()]
        self._answer(200, peers if what == "peers" else agent.leader)

    def _is_anonymous(self):
        return self.headers.get("X-Consul-Token") == "anonymous"

    def _may_do_all(self):
        agent, token = self.server, self.headers.get("X-Consul-Token")
        return token == agent.management or (token in agent.tokens and token not in agent.limited)

    def _keyring(self, body):
        agent = self.server
        key = json.loads(body)["Key"] if body else None
        if self.command == "GET":
            pool = {"WAN": False, "Keys": agent.keyring, "NumNodes": 4}
            return self._answer(200, [pool])
        if self.command == "POST":
            agent.keyring.setdefault(key, agent.agents)
        elif key not in agent.keyring:
            return self._answer(500, "1/4 nodes reported failure")
        elif self.command == "PUT":
            agent.primary = key
        elif key == agent.primary:
            return self._answer(500, "Removing the primary key is not allowed")
        else:
            del agent.keyring[key]
        return self._answer(200)

    def _operator(self, what, _, body):
        agent = self.server
        if not self._may_do_all():
            return self._answer(403, "Permission denied")
        if what == "keyring":
            return self._keyring(body)
        servers = [
            {"Node": name, "Address": f"{agent.address(name)}:8300", "Voter": voter}
            for name, voter in agent.peers().items()
        ]
        return self._answer(200, {"Servers": servers})

    def _agent(self, what, *_):
        if what == "leave":
            self.server.left = True
            return self._answer(200)
        if what.startswith("join/"):
            return self._answer(200)
        if what.startswith("force-leave/"):
            if self.command != "PUT":
                return self._answer(405, f"method {self.command} not allowed")
            self.server.servers.pop(what.partition("/")[2], None)
            return self._answer(200)
        if self.server.alone:
            return self._answer(403, "ACL not found")
        modes = {name: {"acls": mode} for name, mode in self.server.modes.items()}
        builds = {name: {"build": f"{one}:1a2b"} for name, one in self.server.builds.items()}
        members = [
            {
                "Name": name,
                "Addr": self.server.address(name),
                "Status": status,
                "Tags": {"role": "consul", **modes.get(name, {}), **builds.get(name, {})},
            }
            for name, status in self.server.servers.items()
        ]
        member = {
            "Name": "m4",
            "Addr": self.server.address("m4"),
            "Status": ALIVE,
            "Tags": {"role": "node"},
        }
        return self._answer(200, [*members, member])

    def _health(self, *_):
        servers = self.server.servers.items()
        passing = [{"Node": {"Node": name}} for name, status in servers if status == ALIVE]
        return self._answer(200, passing)

    def _session(self, what, _, body):
        action, _, session = what.partition("/")
        if action == "create" and self.server.restricted and self._is_anonymous():
            return self._answer(403, "rpc error making call: Permission denied")
        if action == "create":
            session = f"session-{len(self.server.sessions)}"
            self.server.sessions[session] = json.loads(body)
            return self._answer(200, {"ID": session})
        for key, (_, holder) in list(self.server.keys.items()):
            if holder == session:
                del self.server.keys[key]
        del self.server.sessions[session]
        return self._answer(200, True)

    def _kv(self, key, query, body):
        keys = self.server.keys
        if self.command == "GET":
            found = [
                one for one in keys if (one.startswith(key) if "recurse" in query else one == key)
            ]
            shown = [
                {
                    "Key": one,
                    "Value": base64.b64encode(keys[one][0].encode()).decode(),
                    **({"Session": keys[one][1]} if keys[one][1] else {}),
                }
                for one in found
            ]
            return self._answer(200 if shown else 404, shown or None)
        if self.command == "DELETE":
            return self._answer(200, bool(keys.pop(key, None)) or True)
        session = query.get("acquire", [None])[0]
        if session and session not in self.server.sessions:
            return self._answer(500, f"rpc error making call: invalid session {session!r}")
        taken = key in keys and keys[key][1] not in (None, session)
        if not taken:
            keys[key] = (body.decode(), session)
        return self._answer(200, not taken)

    def _token(self, what, wanted):
        """Answer for the tokens."""
        agent, own = self.server, self.headers.get("X-Consul-Token")
        if self.command == "GET":
            known = {agent.management: "first", **agent.tokens}
            return {"AccessorID": known[own]}
        if self.command == "PUT":
            policies = [one["Name"] for one in wanted["Policies"]]
            agent.tokens[wanted["SecretID"]] = f"accessor-{len(agent.tokens)}"
            if policies != ["global-management"]:
                agent.limited[wanted["SecretID"]] = policies
            return wanted
        gone = what.partition("/")[2]
        agent.management = None if gone == "first" else agent.management
        agent.tokens = {one: key for one, key in agent.tokens.items() if key != gone}
        agent.limited = {one: it for one, it in agent.limited.items() if one in agent.tokens}
        return True

    def _catalog(self, *_):
        self._answer(200, [{"Node": one, "Meta": it} for one, it in self.server.nodes.items()])

    def _acl(self, what, _, body):
        agent, (kind, _, name) = self.server, what.partition("/")
        is_own = what == "token/self" and self.headers.get("X-Consul-Token") in agent.tokens
        if not (self._may_do_all() or is_own):
            words = "ACL not found" if what == "token/self" else "Permission denied"
            return self._answer(403, words)
        wanted = json.loads(body) if body else {}
        if what in ("token", "token/self") or self.command == "DELETE":
            return self._answer(200, self._token(what, wanted))
        if kind == "policies":
            return self._answer(200, [{"Name": one, "ID": f"id-{one}"} for one in agent.policies])
        if kind == "policy" and self.command == "GET":
            return self._answer(200, {"Rules": agent.policies[name.removeprefix("id-")]})
        if kind == "policy":
            if not name and wanted["Name"] in agent.policies:
                return self._answer(500, "A Policy with that name already exists")
            agent.policies[wanted["Name"]] = wanted["Rules"]
        elif self.command == "PUT":
            agent.anonymous = [one["Name"] for one in wanted["Policies"]]
        return self._answer(200, {"Policies": [{"Name": one} for one in agent.anonymous]})

    def _snapshot(self, *arguments):
        if self.command == "PUT":
            self.server.snapshot = arguments[-1]
            return self._answer(200)
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.snapshot)))
        self.end_headers()
        self.wfile.write(self.server.snapshot)
        return None

    def log_message(self, *_):
        """Say nothing."""


@contextmanager
def running():
    """Give an agent that runs."""
    with Agent() as agent:
        thread = threading.Thread(target=agent.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield agent
        finally:
            agent.shutdown()
            thread.join()
