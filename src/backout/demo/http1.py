"""As much of HTTP/1.1 framing as the front port needs, on asyncio streams.

Source: RFC 9112 (HTTP/1.1, June 2022), sections 3 to 7.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from http import HTTPStatus

MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 8 * 1024 * 1024
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade")
)
Header = tuple[bytes, bytes]


class Malformed(Exception):
    """The message breaks the rules of HTTP/1.1."""


class TooLarge(Malformed):
    """The message is larger than the front port takes."""


class Closed(Exception):
    """The peer closed the connection before the first byte of a message."""


@dataclass(slots=True)
class Head:
    """First line, as its three parts, and header fields of a message."""

    first: tuple[bytes, bytes, bytes]
    headers: list[Header] = field(default_factory=list)

    def all(self, name: bytes) -> list[bytes]:
        """Return the members of a header field's comma-separated lists, in lower case."""
        return [
            member.strip().lower()
            for key, value in self.headers
            if key.lower() == name
            for member in value.split(b",")
            if member.strip()
        ]

    @property
    def chunked(self) -> bool:
        """Whether the body comes in chunks; raises `Malformed` for any other transfer coding."""
        codings = self.all(b"transfer-encoding")
        if codings and codings != [b"chunked"]:
            raise Malformed("transfer coding")
        return bool(codings)

    @property
    def length(self) -> int | None:
        """The declared length of the body in bytes; raises `Malformed` when it is ambiguous."""
        values = set(self.all(b"content-length"))
        if not values:
            return None
        text = values.pop()
        # Hazard: a message framed twice is how requests are smuggled (RFC 9112, 6.3); refused, not repaired.
        if values or not text.isdigit() or len(text) > 15 or self.chunked:
            raise Malformed("content-length")
        return int(text)

    def keeps_alive(self, version: bytes) -> bool:
        """Whether the connection stays open after this message."""
        options = self.all(b"connection")
        return b"close" not in options and (version == b"HTTP/1.1" or b"keep-alive" in options)

    def end_to_end(self) -> list[Header]:
        """Return the fields that go on to the next hop, without those that frame the body."""
        own = _HOP_BY_HOP | set(self.all(b"connection")) | {b"content-length"}
        return [(key, value) for key, value in self.headers if key.lower() not in own]


async def read_head(reader: asyncio.StreamReader) -> Head:
    """Read the first line and the fields; raises `Closed`, `Malformed`, or ConnectionError when cut off."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if not error.partial.strip():
            raise Closed from error
        raise ConnectionResetError("cut off within the head") from error
    except asyncio.LimitOverrunError as error:
        raise TooLarge("head") from error
    lines = raw.lstrip(b"\r\n")[:-4].split(b"\r\n")
    parts = lines[0].split(b" ", 2)
    if len(parts) < 2:
        raise Malformed("first line")
    headers: list[Header] = []
    for line in lines[1:]:
        key, colon, value = line.partition(b":")
        if not colon or not _TOKEN.fullmatch(key) or b"\n" in value or b"\r" in value or b"\0" in value:
            raise Malformed("header field")
        headers.append((key, value.strip(b" \t")))
    return Head((parts[0], parts[1], parts[2] if len(parts) == 3 else b""), headers)


async def body_chunks(reader: asyncio.StreamReader, head: Head, *, until_close: bool) -> AsyncIterator[bytes]:
    """Yield a body's bytes as they come, without its framing.

    Args:
        reader: Where the head came from.
        head: Says how the body is framed.
        until_close: A body that declares no length ends with the connection (answers), else it is empty.

    Raises:
        Malformed: The framing is broken.
        ConnectionError: The body was cut off.
    """
    try:
        if head.chunked:
            async for data in _chunks(reader):
                yield data
        elif (length := head.length) is not None:
            while length:
                data = await reader.read(min(length, 65536))
                if not data:
                    raise ConnectionResetError("cut off within the body")
                length -= len(data)
                yield data
        elif until_close:
            while data := await reader.read(65536):
                yield data
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise ConnectionResetError("cut off within a chunk") from error


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        line = (await reader.readuntil(b"\r\n"))[:-2].partition(b";")[0].strip()
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,8}", line):
            raise Malformed("chunk size")
        size = int(line, 16)
        if not size:
            break
        while size:
            data = await reader.read(min(size, 65536))
            if not data:
                raise ConnectionResetError("cut off within a chunk")
            size -= len(data)
            yield data
        if await reader.readexactly(2) != b"\r\n":
            raise Malformed("chunk end")
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass  # Trailer fields are read and left out.


async def read_body(reader: asyncio.StreamReader, head: Head) -> bytes:
    """Read the whole body of a request; raises `TooLarge`, `Malformed` or ConnectionError."""
    if (head.length or 0) > MAX_BODY_BYTES:
        raise TooLarge("body")
    parts, total = [], 0
    async for data in body_chunks(reader, head, until_close=False):
        parts.append(data)
        total += len(data)
        if total > MAX_BODY_BYTES:
            raise TooLarge("body")
    return b"".join(parts)


def write_head(first: bytes, headers: list[Header]) -> bytes:
    """Return a head as it goes over the wire."""
    return b"\r\n".join([first, *(key + b": " + value for key, value in headers), b"", b""])


def json_answer(status: int, body: object, headers: list[Header] | None = None) -> bytes:
    """Return a whole answer with a JSON body."""
    data = json.dumps(body, separators=(",", ":")).encode()
    first = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()
    own = [(b"Content-Type", b"application/json"), (b"Content-Length", str(len(data)).encode())]
    return write_head(first, own + (headers or [])) + data
