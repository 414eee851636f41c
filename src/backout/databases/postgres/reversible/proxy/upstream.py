"""The real server: where it is, and raw sessions with it."""

from __future__ import annotations

import hashlib
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

from backout.databases.postgres.reversible.proxy import wire
from backout.databases.postgres.reversible.proxy.tls import client_context
from backout.databases.postgres.reversible.proxy.wire import Message

_CONNECT_S = 15.0


class NotOpened(Exception):
    """The server did not open a session.

    Attributes:
        raw: The ErrorResponse for the client: the server's own, or ours.
    """

    def __init__(self, raw: bytes) -> None:
        super().__init__(wire.fields_of(raw[5:]).get("M", "unknown error"))
        self.raw = raw


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that is ready.

    Attributes:
        sock: Blocking, with nothing unread.
        greetings: What the server said, to be told to the client: parameters and notices.
        key: Body of its BackendKeyData: four bytes of process id, then the secret.
    """

    sock: socket.socket
    greetings: list[Message]
    key: bytes


@dataclass(frozen=True, slots=True)
class Upstream:
    """A server, and as whom to use which database of it.

    Attributes:
        host: Name or address for TLS, or the folder of a Unix socket.
        address: What is connected to.
        parameters: What libpq's connection had, by keyword.
        tls: Whether its connection was encrypted; then all are.
    """

    host: str
    address: str
    port: int
    user: str
    database: str
    password: str = field(repr=False)
    parameters: Mapping[str, str] = field(repr=False)
    tls: bool

    @classmethod
    def of(cls, conninfo: str) -> Upstream:
        """Connect once as libpq does, and return where that led.

        So `PG*` variables, password and service files, several hosts and `sslmode` mean what they mean everywhere,
        and a server that cannot be reached is known before the command is started.

        Args:
            conninfo: A URL or `key=value` text; empty: the `PG*` variables alone.

        Raises:
            psycopg.Error: It cannot be reached. Hazard: the message about text that cannot be read quotes the text.
        """
        import psycopg

        with psycopg.connect(conninfo) as connection:
            told = connection.pgconn
            parameters = {one.keyword.decode(): one.val.decode() for one in told.info if one.val}
            host = told.host.decode()
            return cls(
                host=host,
                address=told.hostaddr.decode() or host,
                port=int(told.port),
                user=told.user.decode(),
                database=told.db.decode(),
                password=told.password.decode(),
                parameters=parameters,
                tls=bool(told.ssl_in_use),
            )

    def open(self, parameters: Mapping[str, str]) -> Opened:
        """Open a session with a client's own start-up parameters.

        Raises:
            NotOpened: The server refused, or is not there.
        """
        try:
            sock = self._connected()
        except (OSError, ValueError) as error:
            raise _not_opened("08006", f"backout cannot reach the PostgreSQL server: {error}") from None
        try:
            sock.sendall(wire.startup(wire.PROTOCOL_3_0, self._with_ours(parameters)))
            self._authenticate(sock)
            opened = _until_ready(sock)
            sock.settimeout(None)
            return opened
        except (OSError, ValueError) as error:
            sock.close()
            raise _not_opened("08006", f"The PostgreSQL server ended the connection: {error}") from None
        except BaseException:
            sock.close()
            raise

    def cancel(self, key: bytes) -> None:
        """Ask the server to cancel what the session with that key does; it never answers.

        Raises:
            OSError: It cannot be reached.
        """
        with self._connected() as sock:
            sock.sendall(wire.request(wire.CANCEL_REQUEST, key))
            sock.recv(1)  # The end: the server has done it.

    def _connected(self) -> socket.socket:
        if self.address.startswith(("/", "@")):
            path = f"{self.address}/.s.PGSQL.{self.port}"
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(_CONNECT_S)
            sock.connect("\0" + path[1:] if path.startswith("@") else path)
            return sock
        sock = socket.create_connection((self.address, self.port), timeout=_CONNECT_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return self._encrypted(sock) if self.tls else sock

    def _encrypted(self, sock: socket.socket) -> ssl.SSLSocket:
        try:
            sock.sendall(wire.request(wire.SSL_REQUEST))
            if sock.recv(1) != b"S":
                raise ConnectionError("it does not speak TLS any more")
            return client_context(self.parameters).wrap_socket(sock, server_hostname=self.host)
        except BaseException:
            sock.close()
            raise

    def _with_ours(self, client: Mapping[str, str]) -> dict[str, str]:
        """Return the start-up parameters: the client's, and what the connection text said besides."""
        found = {**client, "user": self.user, "database": self.database}
        options = [self.parameters.get("options", ""), client.get("options", "")]
        if joined := " ".join(filter(None, dict.fromkeys(options))):
            found["options"] = joined
        if "application_name" in self.parameters:
            found.setdefault("application_name", self.parameters["application_name"])
        return found

    def _authenticate(self, sock: socket.socket) -> None:
        while True:
            reader = wire.Reader(_expected(sock, b"R").body)
            method = reader.int32()
            if method == 0:
                return
            if method == 3:
                sock.sendall(wire.message(b"p", wire.text(self.password)))
            elif method == 5:
                sock.sendall(wire.message(b"p", wire.text(self._md5(reader.take(4)))))
            elif method == 10:
                self._scram(sock, reader.rest())
            else:
                raise _not_opened(
                    "0A000", "backout cannot log in to this server: it knows passwords and TLS, no GSSAPI"
                )

    def _md5(self, salt: bytes) -> str:
        inner = hashlib.md5(self.password.encode() + self.user.encode()).hexdigest()
        return "md5" + hashlib.md5(inner.encode() + salt).hexdigest()

    def _scram(self, sock: socket.socket, offered: bytes) -> None:
        from scramp import ScramClient, ScramException

        binding = None
        if isinstance(sock, ssl.SSLSocket) and self.parameters.get("channel_binding") != "disable":
            binding = ("tls-server-end-point", sock)
        names = [name.decode() for name in offered.split(b"\0") if name.startswith(b"SCRAM-SHA-256")]
        try:
            client = ScramClient(names, self.user, self.password, channel_binding=binding)
            first = client.get_client_first().encode()
            head = wire.text(client.mechanism_name) + len(first).to_bytes(4)
            sock.sendall(wire.message(b"p", head + first))
            client.set_server_first(_expected(sock, b"R").body[4:].decode())
            sock.sendall(wire.message(b"p", client.get_client_final().encode()))
            client.set_server_final(_expected(sock, b"R").body[4:].decode())
        except ScramException as error:
            raise _not_opened("28000", f"backout cannot log in to the PostgreSQL server: {error}") from None


def _until_ready(sock: socket.socket) -> Opened:
    greetings, key = [], b""
    while (one := _received(sock)).kind != b"Z":
        if one.kind == b"E":
            raise NotOpened(one.raw)
        if one.kind == b"K":
            key = one.body
        else:
            greetings.append(one)
    return Opened(sock, greetings, key)


def _expected(sock: socket.socket, kind: bytes) -> Message:
    while True:
        one = _received(sock)
        if one.kind == b"E":
            raise NotOpened(one.raw)
        if one.kind == kind:
            return one
        if one.kind != b"N":
            raise ConnectionError(f"it said {one.kind!r} while it was logged in to")


def _received(sock: socket.socket) -> Message:
    head = received(sock, 5)
    return Message(head[:1], head + received(sock, int.from_bytes(head[1:]) - 4))


def received(sock: socket.socket, size_bytes: int) -> bytes:
    """Return exactly that much from a blocking socket, and take no more.

    Raises:
        OSError: It ended, or took too long.
    """
    found = b""
    while len(found) < size_bytes:
        more = sock.recv(size_bytes - len(found))
        if not more:
            raise ConnectionError("end of the stream")
        found += more
    return found


def _not_opened(sqlstate: str, words: str) -> NotOpened:
    return NotOpened(wire.error(sqlstate, words, severity="FATAL"))
