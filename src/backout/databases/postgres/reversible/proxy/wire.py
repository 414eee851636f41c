"""PostgreSQL's protocol as bytes: messages in, messages out; nothing here knows what they mean together.

Source: PostgreSQL 18 documentation, 54.7 "Message Formats" and 54.8 "Error and Notice Message Fields".
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

FLUSH = b"H\x00\x00\x00\x04"
SYNC = b"S\x00\x00\x00\x04"
TERMINATE = b"X\x00\x00\x00\x04"

PROTOCOL_3_0 = 3 << 16
PROTOCOL_3_2 = (3 << 16) + 2
CANCEL_REQUEST = 80877102
SSL_REQUEST = 80877103
GSSENC_REQUEST = 80877104


class Message(NamedTuple):
    """One message.

    Attributes:
        kind: Its first byte.
        raw: All of it, that byte and the length included.
    """

    kind: bytes
    raw: bytes

    @property
    def body(self) -> bytes:
        """What follows the length."""
        return self.raw[5:]


class Reader:
    """Takes a message's body apart from the front."""

    def __init__(self, body: bytes) -> None:
        self._body, self._at = body, 0

    def text(self) -> bytes:
        """Return a string without the zero that ends it."""
        end = self._body.index(0, self._at)
        found = self._body[self._at : end]
        self._at = end + 1
        return found

    def int16(self) -> int:
        """Return two bytes as a number."""
        (found,) = struct.unpack_from("!H", self._body, self._at)
        self._at += 2
        return int(found)

    def int32(self) -> int:
        """Return four bytes as a number; -1 is a NULL's length."""
        (found,) = struct.unpack_from("!i", self._body, self._at)
        self._at += 4
        return int(found)

    def take(self, size_bytes: int) -> bytes:
        """Return that many bytes."""
        found = self._body[self._at : self._at + size_bytes]
        self._at += size_bytes
        return found

    def rest(self) -> bytes:
        """Return all that is left."""
        return self.take(len(self._body) - self._at)


def message(kind: bytes, body: bytes = b"") -> bytes:
    """Return a message; `kind` is empty for those of the start."""
    return kind + struct.pack("!i", len(body) + 4) + body


def text(value: str | bytes) -> bytes:
    """Return a string as it stands in a message."""
    return (value.encode() if isinstance(value, str) else value) + b"\0"


def startup(protocol: int, parameters: Mapping[str, str]) -> bytes:
    """Return the first message of a session."""
    pairs = b"".join(text(name) + text(value) for name, value in parameters.items())
    return message(b"", struct.pack("!i", protocol) + pairs + b"\0")


def request(code: int, rest: bytes = b"") -> bytes:
    """Return what may come instead of a session's first message: for TLS, or to cancel."""
    return message(b"", struct.pack("!i", code) + rest)


def query(sql: str) -> bytes:
    """Return a simple query."""
    return message(b"Q", text(sql))


def parse(name: bytes, sql: str) -> bytes:
    """Return a Parse without types of parameters."""
    return message(b"P", text(name) + text(sql) + b"\0\0")


def bind(portal: bytes, statement: bytes, values: Sequence[str] = ()) -> bytes:
    """Return a Bind with values as text, that asks for text."""
    told = b"".join(struct.pack("!i", len(raw)) + raw for raw in (value.encode() for value in values))
    return message(
        b"B", text(portal) + text(statement) + b"\0\0" + struct.pack("!h", len(values)) + told + b"\0\0"
    )


def bind_alike(portal: bytes, statement: bytes, bound: bytes) -> bytes:
    """Return a Bind of a statement without parameters that asks for what another Bind asks for, as text or binary."""
    reader = Reader(bound[5:])
    reader.text()
    reader.text()
    reader.take(2 * reader.int16())
    for _ in range(reader.int16()):
        reader.take(max(0, reader.int32()))
    return message(b"B", text(portal) + text(statement) + b"\0\0\0\0" + reader.rest())


def describe_portal(portal: bytes) -> bytes:
    """Return a Describe of a portal."""
    return message(b"D", b"P" + text(portal))


def execute(portal: bytes) -> bytes:
    """Return an Execute without a limit of rows."""
    return message(b"E", text(portal) + b"\0\0\0\0")


def close(what: bytes, name: bytes) -> bytes:
    """Return a Close of a statement (`S`) or a portal (`P`)."""
    return message(b"C", what + text(name))


def ready(status: str) -> bytes:
    """Return a ReadyForQuery."""
    return message(b"Z", status.encode())


def command_complete(tag: str) -> bytes:
    """Return a CommandComplete."""
    return message(b"C", text(tag))


def parameter_status(name: str, value: str) -> bytes:
    """Return a ParameterStatus."""
    return message(b"S", text(name) + text(value))


def told(kind: bytes, fields: Mapping[str, str]) -> bytes:
    """Return an ErrorResponse (`E`) or NoticeResponse (`N`)."""
    return message(kind, b"".join(letter.encode() + text(value) for letter, value in fields.items()) + b"\0")


def error(sqlstate: str, text_: str, *, severity: str = "ERROR", detail: str = "", hint: str = "") -> bytes:
    """Return an ErrorResponse of our own."""
    fields = {"S": severity, "V": severity, "C": sqlstate, "M": text_, "D": detail, "H": hint}
    return told(b"E", {letter: value for letter, value in fields.items() if value})


def fields_of(body: bytes) -> dict[str, str]:
    """Return what an ErrorResponse or NoticeResponse says, by letter."""
    reader, found = Reader(body), {}
    while letter := reader.take(1).strip(b"\0"):
        found[letter.decode()] = reader.text().decode(errors="replace")
    return found


def columns_of(body: bytes) -> list[str]:
    """Return the names in a RowDescription."""
    reader = Reader(body)
    names = []
    for _ in range(reader.int16()):
        names.append(reader.text().decode())
        reader.take(18)
    return names


def types_of(body: bytes) -> list[tuple[int, int]]:
    """Return the oid of the type, and its modifier, of each column in a RowDescription."""
    reader = Reader(body)
    types = []
    for _ in range(reader.int16()):
        reader.text()
        reader.take(6)
        type_ = reader.int32()
        reader.take(2)
        types.append((type_, reader.int32()))
        reader.take(2)
    return types


def values_of(body: bytes) -> list[str | None]:
    """Return the values of a DataRow in text format."""
    reader = Reader(body)
    sizes = range(reader.int16())
    return [None if (size := reader.int32()) < 0 else reader.take(size).decode() for _ in sizes]


def pairs_of(body: bytes) -> dict[str, str]:
    """Return the parameters in a session's first message."""
    reader, found = Reader(body), {}
    while name := reader.text():
        found[name.decode()] = reader.text().decode()
    return found
