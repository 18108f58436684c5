"""
An engine that is the only manager of its cluster, as far as a dry run reads it: engine.py SOCKET.

It answers on a socket, keeps nothing, and refuses all requests that would change something.
"""

import http.server
import json
import re
import socket
import socketserver
import sys

WHEN = "2026-01-01T00:00:00Z"
VERSION = "20.10.5"


def own_address() -> str:
    """Returns this machine's address towards others; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return probe.getsockname()[0]


ADDRESS = own_address()
CLUSTER = {
    "ID": "cluster",
    "Version": {"Index": 8},
    "CreatedAt": WHEN,
    "UpdatedAt": WHEN,
    "Spec": {
        "Name": "default",
        "Labels": {},
        "Orchestration": {"TaskHistoryRetentionLimit": 5},
        "Raft": {
            "SnapshotInterval": 10000,
            "KeepOldSnapshots": 0,
            "LogEntriesForSlowFollowers": 500,
            "ElectionTick": 10,
            "HeartbeatTick": 1,
        },
        "Dispatcher": {"HeartbeatPeriod": 5_000_000_000},
        "CAConfig": {"NodeCertExpiry": 7_776_000_000_000_000},
        "TaskDefaults": {},
        "EncryptionConfig": {"AutoLockManagers": False},
    },
    "TLSInfo": {"TrustRoot": "", "CertIssuerSubject": "", "CertIssuerPublicKey": ""},
    "RootRotationInProgress": False,
    "DefaultAddrPool": ["10.0.0.0/8"],
    "SubnetSize": 24,
    "DataPathPort": 4789,
}
NODE = {
    "ID": "node",
    "Version": {"Index": 9},
    "CreatedAt": WHEN,
    "UpdatedAt": WHEN,
    "Spec": {"Name": "", "Labels": {}, "Role": "manager", "Availability": "active"},
    "Description": {
        "Hostname": "m1",
        "Platform": {"Architecture": "x86_64", "OS": "linux"},
        "Resources": {},
        "Engine": {"EngineVersion": VERSION},
        "TLSInfo": {},
    },
    "Status": {"State": "ready", "Addr": ADDRESS},
    "ManagerStatus": {
        "Leader": True,
        "Reachability": "reachable",
        "Addr": f"{ADDRESS}:2377",
    },
}
INFO = {
    "ID": "engine",
    "Name": "m1",
    "ServerVersion": VERSION,
    "DockerRootDir": "/nonexistent",
    "Labels": [],
    "OSType": "linux",
    "LiveRestoreEnabled": False,
    "SecurityOptions": [],
    "Runtimes": {"runc": {}},
    "Driver": "overlay2",
    "Swarm": {
        "NodeID": "node",
        "NodeAddr": ADDRESS,
        "LocalNodeState": "active",
        "ControlAvailable": True,
        "Error": "",
        "RemoteManagers": [{"NodeID": "node", "Addr": f"{ADDRESS}:2377"}],
        "Nodes": 1,
        "Managers": 1,
        "Cluster": CLUSTER,
    },
}
ANSWERS = {
    "/version": {"Version": VERSION, "ApiVersion": "1.41", "MinAPIVersion": "1.12"},
    "/info": INFO,
    "/swarm": {**CLUSTER, "JoinTokens": {"Worker": "SWMTKN-1-w", "Manager": "SWMTKN-1-m"}},
    "/nodes": [NODE],
    "/nodes/node": NODE,
    "/volumes": {"Volumes": []},
    "/containers/json": [],
    "/images/json": [],
    "/networks": [],
    "/services": [],
    "/tasks": [],
    "/configs": [],
    "/secrets": [],
}


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers requests that read."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answers by the table."""
        path = re.sub(r"^/v[\d.]+", "", self.path).partition("?")[0]
        if path in ANSWERS:
            self._answer(200, ANSWERS[path])
        else:
            self._answer(404, {"message": f"no {path} here"})

    def do_POST(self) -> None:
        """Refuses."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._answer(500, {"message": "this engine is only read"})

    do_DELETE = do_POST  # noqa: N815

    def _answer(self, code: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Logs nothing."""


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """A server on a socket of the file system."""

    daemon_threads = True


if __name__ == "__main__":
    Server(sys.argv[1], Handler).serve_forever()
