"""
Write down what ``docker stack deploy`` sends for the compose files of this folder.

The command line talks to an engine that answers as an empty cluster and keeps what it is sent. Run
it again for a newer command line: ``python -m tests.unit.stacks.record``.
"""

import http.server
import json
import os
import re
import socketserver
import subprocess
import tempfile
import threading
from pathlib import Path

HERE = Path(__file__).parent
# What the files need, as `environment` of a stack has it.
ENVIRONMENT = {"PROXY_TAG": "3", "DOMAIN": "example.com", "REPLICAS": "2", "TAG": "7"}
_VERSION = "1.47"


class Engine(http.server.BaseHTTPRequestHandler):
    """A manager of an empty cluster."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Say nothing."""

    def _answer(self, body, code=200):
        data = json.dumps(body).encode()
        self.send_response(code)
        headers = {"Content-Type": "application/json", "Api-Version": _VERSION}
        for name, value in {**headers, "Content-Length": len(data)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _path(self):
        return re.sub(r"^/v[0-9.]+|\?.*", "", self.path)

    def do_GET(self):
        """Answer a question; external networks, secrets and configs are there."""
        path = self._path()
        if path == "/info":
            self._answer({"Swarm": {"ControlAvailable": True, "LocalNodeState": "active"}})
        elif path.startswith("/networks/"):
            name = path.rpartition("/")[2]
            self._answer({"Name": name, "Id": name, "Scope": "swarm", "Driver": "overlay"})
        elif re.match("/(secrets|configs)/.", path):
            self._answer({"message": "no such object"}, 404)
        elif path in ("/secrets", "/configs"):
            asked = re.findall(r"%22([\w.-]+)%22%3Atrue", self.path)
            self._answer([{"ID": name, "Spec": {"Name": name}} for name in asked])
        else:
            self._answer([] if path != "/_ping" else "OK")

    do_HEAD = do_GET  # noqa: N815  the library's name

    def do_POST(self):
        """Keep what is sent."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self._path() == "/services/create":
            self.server.kept[body["Name"]] = body
        self._answer({"ID": body["Name"]})


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """The engine's socket."""

    daemon_threads = True

    def get_request(self):
        """Return a connection; its address is needed for nothing."""
        return super().get_request()[0], ("", 0)


def recorded(path):
    """Return the specs that the command line sends for a file, or what it says against it."""
    with tempfile.TemporaryDirectory() as folder:
        socket = f"{folder}/docker.sock"
        server = Server(socket, Engine)
        server.kept = {}
        threading.Thread(target=server.serve_forever, daemon=True).start()
        command = ["docker", "-H", f"unix://{socket}", "stack", "deploy", "--detach=true"]
        command += ["--resolve-image=never", "-c", str(path), "st"]
        env = {"PATH": os.environ["PATH"], "HOME": folder, **ENVIRONMENT}
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)  # noqa: S603
        server.shutdown()
        server.server_close()
    return done.stderr if done.returncode else server.kept


if __name__ == "__main__":
    for path in sorted(HERE.glob("*.yml")):
        found = recorded(path)
        if isinstance(found, str):
            print(f"{path.name}: {found.strip()}")
        else:
            path.with_suffix(".json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
