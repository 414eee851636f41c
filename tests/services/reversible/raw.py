"""A client that says exactly what a test says, and hears exactly what the server says."""

from __future__ import annotations

import socket

from backout.databases.postgres.reversible.proxy import wire
from backout.databases.postgres.reversible.proxy.stream import Stream, wait
from backout.databases.postgres.reversible.proxy.upstream import Upstream
from backout.databases.postgres.reversible.proxy.wire import Message

Q = wire.query
SYNC, FLUSH = wire.SYNC, wire.FLUSH


def parse(sql: str, name: str = "") -> bytes:
    return wire.parse(name.encode(), sql)


def bind(portal: str = "", name: str = "") -> bytes:
    return wire.bind(portal.encode(), name.encode())


def execute(portal: str = "", rows: int = 0) -> bytes:
    return wire.message(b"E", wire.text(portal) + rows.to_bytes(4))


def describe(what: bytes, name: str = "") -> bytes:
    return wire.message(b"D", what + wire.text(name))


def close(what: bytes, name: str = "") -> bytes:
    return wire.close(what, name.encode())


def once(sql: str) -> bytes:
    """All of an extended query but its Sync."""
    return parse(sql) + bind() + describe(b"P") + execute()


def rows(*lines: str) -> bytes:
    return b"".join(wire.message(b"d", line.encode() + b"\n") for line in lines)


COPY_DONE = wire.message(b"c")


def copy_fail(why: str) -> bytes:
    return wire.message(b"f", wire.text(why))


class Raw:
    """A session, by its messages."""

    def __init__(self, url: str, **parameters: str) -> None:
        opened = Upstream.of(url).open(parameters)
        self.greetings, self.key, self.sock = opened.greetings, opened.key, opened.sock
        self._stream = Stream(opened.sock)

    def say(self, *raw: bytes) -> None:
        for one in raw:
            self._stream.put(one)
        self._stream.flush()

    def hear(self, until: bytes) -> list[Message]:
        """Return what is said up to the first message of a kind."""
        found: list[Message] = []
        while not found or found[-1].kind != until:
            while (one := self._stream.message()) is None:
                wait(self._stream)
                self._stream.fill()
            found.append(one)
        return found

    def close(self) -> None:
        if self.sock.fileno() >= 0:
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()


def shown(one: Message) -> object:
    """A message as a person compares it."""
    if one.kind in b"EN":
        # File, line and routine are not those of the server where the proxy speaks for it.
        return one.kind, {k: v for k, v in wire.fields_of(one.body).items() if k not in "FLR"}
    if one.kind == b"T":
        return one.kind, _columns(one.body)
    return one.kind, one.body


def _columns(body: bytes) -> list[bytes]:
    """Name and type of each, without the number of its table, which is new each time."""
    reader = wire.Reader(body)
    found = []
    for _ in range(reader.int16()):
        name = reader.text()
        reader.take(4)
        found.append(name + b" " + reader.take(14))
    return found
