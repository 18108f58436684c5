"""
Hosts that share a mine, a CA on the first of them, and what goes between them by the master.
"""

import contextlib
import json

from _modules import swarm_ca, swarm_ca_copy, swarm_client, swarm_tls
from swarm_formula.core import host_files
from swarm_formula.tls import ca_state, cert_files, certificate_due, pki
from tests.unit.cluster_api import Mine
from tests.unit.execution import mocked
from tests.unit.pillars import node, settings_of

# Usages of a manager's certificate, and of every node's until the version before.
BOTH = (pki.SERVER, pki.CLIENT)
PILLAR = {"managers": ["m1", "m2", "m3"], "nodes": {"m4": {}}, "timeout": 5}
MODULES = (swarm_ca, swarm_ca_copy, swarm_client, swarm_tls)


@contextlib.contextmanager
def version_before(monkeypatch):
    """Have one CA sign for all in classic mode, and each node be a client, as before."""
    due, apart = certificate_due.due, ca_state.apart

    def granted(minion, address, settings, kind="node"):
        grant = due(minion, address, settings, kind)
        if settings["mode"] == "builtin":
            return grant
        servers = ("server.dc1.consul",) if minion in settings["servers"] else ()
        return grant._replace(usages=BOTH, names=(*grant.names, *servers))

    def only_clients(settings):
        return apart(settings) if settings["mode"] == "builtin" else ()

    with monkeypatch.context() as patched:
        patched.setattr(certificate_due, "due", granted)
        patched.setattr(ca_state, "apart", only_clients)
        yield


class Hosts:
    """All hosts; the modules run on one of them at a time."""

    def __init__(self, monkeypatch, folder):
        self.patch = self._monkeypatch = monkeypatch
        self._folder = folder
        self.mine, self.asked, self.reachable = Mine({}), [], True
        self._contexts = {}
        # As a master with `minion_data_cache: False`.
        self.forgetful = False
        self.pillar = PILLAR
        self.me = None
        # Hosts that do not answer others, and all that the master has passed on.
        self.silent, self.bus = set(), []

    def on(self, host, **pillar):
        """Have the modules run there, with this on top of the pillar of all."""
        self.me, self.own = host, pillar
        settings = settings_of({**self.pillar, **pillar}, node(host))
        salt = mocked(
            "test.outputter",
            swarm_settings__get=settings,
            swarm_ca__sign=swarm_ca.sign,
            swarm_tls__report=swarm_tls.report,
            swarm_tls__apply_client=swarm_tls.apply_client,
            publish__publish=self._publish,
        )
        salt |= {
            "mine.get": self.mine.get_from,
            "mine.send": self._send,
            "mine.delete": lambda name: self.mine.pop((host, name), None),
        }
        context = self._contexts.setdefault(host, {})
        for module in MODULES:
            for name, value in (
                ("__salt__", salt),
                ("__context__", context),
                ("__opts__", {"id": host}),
            ):
                self._monkeypatch.setattr(module, name, value, raising=False)
        folder = self._folder / host
        self._monkeypatch.setattr(host_files, "CONFIG", folder)
        self._monkeypatch.setattr(host_files, "RECORD", self._folder / f"{host}.json")
        self._monkeypatch.setattr(ca_state, "FILE", folder / "ca.json")
        return settings

    def _send(self, name, data, **_):
        if not self.forgetful:
            self.mine[self.me, name] = data

    def _publish(self, target, function, arg=None, **_):
        self.asked.append((self.me, target, function))
        if not self.reachable:
            return {}
        me, own, answers = self.me, self.own, {}
        called = {"swarm_ca.sign": swarm_ca.sign, "swarm_ca_copy.give": swarm_ca_copy.give}
        for minion in set(target.split(",")) - self.silent:
            self.on(minion)
            try:
                # What a minion is sent has been through the bus.
                answer = called[function](*json.loads(json.dumps(arg)), __pub_id=me)
            finally:
                self.on(me, **own)
            self.bus.append(json.dumps([arg, answer]))
            answers[minion] = answer
        return answers

    def apply(self, *hosts, **pillar):
        """Apply everything about certificates there, one after the other."""
        changes = {}
        for host in hosts:
            changes[host] = self.begin(host, **pillar)
            self.end(host, **pillar)
        return changes

    def begin(self, host, **pillar):
        """Apply there until services are about to be started anew with what has changed."""
        self.on(host, **pillar)
        return {**swarm_ca.apply(), **swarm_tls.apply()}

    def end(self, host, **pillar):
        """Apply the rest: all services have been started anew."""
        self.on(host, **pillar)
        swarm_tls.tidy()

    def in_use(self, *hosts):
        """Return every set that a service of these hosts may be using."""
        found = []
        for host in hosts:
            self.on(host)
            found += cert_files.NODE.kept()
        return found
