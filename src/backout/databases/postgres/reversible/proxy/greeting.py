"""The client's side of a session's start: TLS if it asks, its password, and which database it wants."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from backout.databases.postgres.reversible.proxy import wire
from backout.databases.postgres.reversible.proxy.scram import Exchange, Unproven, Verifier, offered
from backout.databases.postgres.reversible.proxy.stream import close
from backout.databases.postgres.reversible.proxy.tls import OwnCertificate
from backout.databases.postgres.reversible.proxy.upstream import received

_GREETING_S = 60.0
_LARGEST_START_BYTES = 10_000  # Source: PostgreSQL 18, src/include/libpq/pqcomm.h, MAX_STARTUP_PACKET_LENGTH.
_ENCODINGS = {"utf8", "utf-8", "unicode", "'utf8'", "'utf-8'"}


class Refused(Exception):
    """The client may not come in; it was told why, if it still listens."""


@dataclass(frozen=True, slots=True)
class Door:
    """Who may come in."""

    user: str
    database: str
    verifier: Verifier
    certificate: OwnCertificate


@dataclass(frozen=True, slots=True)
class Cancel:
    """The client wants what another session does to be cancelled."""

    sock: socket.socket
    key: bytes


@dataclass(frozen=True, slots=True)
class Guest:
    """A client that may come in.

    Attributes:
        sock: Blocking, over TLS or not, with nothing unread.
        parameters: What it said at the start, and is for the server to know.
    """

    sock: socket.socket
    parameters: Mapping[str, str]


def greet(sock: socket.socket, door: Door) -> Guest | Cancel:
    """Hear a client out until it has proven its password.

    Raises:
        Refused: It may not come in.
        OSError: It went away, or said nothing for a minute.
    """
    sock.settimeout(_GREETING_S)
    code, body, sock = _start(sock, door)
    if code == wire.CANCEL_REQUEST:
        return Cancel(sock, body)
    try:
        parameters = wire.pairs_of(body)
        _agree_on_protocol(sock, code, parameters)
        _log_in(sock, door, parameters.get("user", ""))
        return Guest(sock, _admitted(sock, door, parameters))
    except (ValueError, struct.error) as error:
        raise _refused(sock, "08P01", f"backout cannot read what the client says: {error}") from None
    except BaseException:
        sock.close()
        raise


def _start(sock: socket.socket, door: Door) -> tuple[int, bytes, socket.socket]:
    """Return the first message's code and the rest of it, over TLS if the client asked."""
    try:
        while True:
            code, body = _first(sock)
            if code == wire.SSL_REQUEST and not isinstance(sock, ssl.SSLSocket):
                sock.sendall(b"S")
                sock = door.certificate.context.wrap_socket(sock, server_side=True)
            elif code in (wire.GSSENC_REQUEST, wire.SSL_REQUEST):
                sock.sendall(b"N")
            else:
                return code, body, sock
    except BaseException:
        sock.close()
        raise


def _first(sock: socket.socket) -> tuple[int, bytes]:
    size = int.from_bytes(received(sock, 4))
    if not 8 <= size <= _LARGEST_START_BYTES:
        raise _refused(
            sock, "08P01", "backout does not know this protocol; it speaks PostgreSQL's, version 3"
        )
    (code,) = struct.unpack("!i", received(sock, 4))
    return code, received(sock, size - 8)


def _agree_on_protocol(sock: socket.socket, code: int, parameters: dict[str, str]) -> None:
    """Tell the client which version and which extensions of what it asked for are spoken here.

    Versions 3.0 and 3.2 differ in nothing but the length that a key for cancelling may have.
    """
    if code >> 16 != 3:
        raise _refused(sock, "0A000", f"backout speaks version 3 of PostgreSQL's protocol, not {code >> 16}")
    unknown = [name for name in parameters if name.startswith("_pq_.")]
    for name in unknown:
        del parameters[name]
    if code > wire.PROTOCOL_3_2 or unknown:
        spoken = min(code, wire.PROTOCOL_3_2)
        names = b"".join(wire.text(name) for name in unknown)
        sock.sendall(wire.message(b"v", struct.pack("!ii", spoken, len(unknown)) + names))


def _log_in(sock: socket.socket, door: Door, user: str) -> None:
    binding = door.certificate.digest if isinstance(sock, ssl.SSLSocket) else None
    names = b"".join(wire.text(name) for name in offered(binding)) + b"\0"
    sock.sendall(wire.message(b"R", struct.pack("!i", 10) + names))
    try:
        reader = wire.Reader(_password(sock))
        exchange = Exchange(door.verifier, reader.text().decode(), binding)
        reader.int32()
        answer = exchange.first(reader.rest().decode())
        sock.sendall(wire.message(b"R", struct.pack("!i", 11) + answer.encode()))
        answer = exchange.final(_password(sock).decode())
        if user != door.user:
            raise Unproven(f"the user is {door.user}")
        sock.sendall(wire.message(b"R", struct.pack("!i", 12) + answer.encode()))
    except Unproven as error:
        words = f'password authentication failed for user "{user}" at the proxy of backout: {error}'
        raise _refused(sock, "28P01", words) from None
    sock.sendall(wire.message(b"R", struct.pack("!i", 0)))


def _password(sock: socket.socket) -> bytes:
    head = received(sock, 5)
    size = int.from_bytes(head[1:]) - 4
    if head[:1] != b"p" or not 0 <= size <= _LARGEST_START_BYTES:
        raise ValueError("no password where one was asked for")
    return received(sock, size)


def _admitted(sock: socket.socket, door: Door, parameters: dict[str, str]) -> dict[str, str]:
    """Return the parameters that go on to the server."""
    database = parameters.pop("database", "") or parameters.get("user", "")
    parameters.pop("user", None)
    if database != door.database:
        raise _refused(
            sock,
            "3D000",
            f'backout guards the database "{door.database}" for this command, and lets it reach no other:'
            f' "{database}" was asked for',
        )
    if parameters.pop("replication", "false").lower() not in ("false", "off", "no", "0", "f", "n"):
        raise _refused(sock, "0A000", "backout passes no replication connections on")
    encoding = parameters.get("client_encoding", "UTF8")
    if encoding.lower() not in _ENCODINGS:
        words = f"backout reads statements in UTF8 only; the client's client_encoding is {encoding}"
        raise _refused(sock, "0A000", words)
    return parameters


def _refused(sock: socket.socket, sqlstate: str, words: str) -> Refused:
    try:
        sock.sendall(wire.error(sqlstate, words, severity="FATAL"))
    finally:
        close(sock)
    return Refused(words)
