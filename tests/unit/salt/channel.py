"""
A connection to a master of a test's own.
"""

import types

import salt.channel.client
import salt.loader.dunder


class Channel:
    """A connection to the master, what is sent by it, and the answer to all of that."""

    def __init__(self, answer=None):
        self.sent, self.answer = [], answer or {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def send(self, load):
        self.sent.append(load)
        answer = self.answer_to(load)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def answer_to(self, _load):
        return self.answer


def connect(monkeypatch, channel):
    """Have each new connection to the master be this one."""
    factory = staticmethod(lambda *_, **__: channel)
    monkeypatch.setattr(salt.channel.client.ReqChannel, "factory", factory)
    return channel


def in_state_run(monkeypatch, channel, opts=None):
    """Have the file client of a state run be connected by this one."""
    client = types.SimpleNamespace(channel=channel, opts=opts)
    context = types.SimpleNamespace(value=lambda: client)
    monkeypatch.setattr(salt.loader.dunder, "__file_client__", context)
    return channel
