"""The proxy: listens on loopback while one command runs, and hands each connection to a session of its own."""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self
from urllib.parse import quote

from backout.databases.postgres.reversible.proxy.conversation import Conversation
from backout.databases.postgres.reversible.proxy.greeting import Cancel, Door, Guest, Refused, greet
from backout.databases.postgres.reversible.proxy.keeper import Keeper
from backout.databases.postgres.reversible.proxy.scram import Verifier
from backout.databases.postgres.reversible.proxy.stream import close
from backout.databases.postgres.reversible.proxy.tls import own_certificate
from backout.databases.postgres.reversible.proxy.upstream import NotOpened, Upstream

_HOST = "127.0.0.1"
_END_S = 10.0

MISLEADING = (
    "PGSERVICE", "PGSERVICEFILE", "PGHOSTADDR", "PGPASSFILE", "PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY", "PGSSLCRL",
    "PGSSLNEGOTIATION", "PGCHANNELBINDING", "PGREQUIREAUTH", "PGREQUIREPEER", "PGTARGETSESSIONATTRS",
    "PGREQUIRESSL", "PGKRBSRVNAME", "PGGSSLIB",
)  # fmt: skip
"""Variables that must not be in the command's environment: each leads around the proxy, or fails with it."""


class Proxy:
    """Stands between one command and its database.

    Args:
        upstream: The database, as the command would have reached it.
        keeper_of: Makes a keeper for each connection; called in the connection's thread.

    Attributes:
        connections: How many sessions came through; 0: the command went another way, or nowhere.
        failures: What went wrong in the proxy or a keeper by a bug; the client got an error then.
    """

    def __init__(self, upstream: Upstream, keeper_of: Callable[[], Keeper]) -> None:
        self._upstream, self._keeper_of = upstream, keeper_of
        self.connections = 0
        self.failures: list[Exception] = []
        self._password = secrets.token_urlsafe(32)
        self._listener: socket.socket | None = None
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._open: set[Conversation] = set()
        self._greeting: set[socket.socket] = set()
        self._closing = False

    def __enter__(self) -> Self:
        self._door = Door(
            self._upstream.user, self._upstream.database, Verifier(self._password), own_certificate()
        )
        self._listener = socket.create_server((_HOST, 0), backlog=128)
        self._acceptor = threading.Thread(target=self._accept, name="backout-proxy", daemon=True)
        self._acceptor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all sessions; what they had not committed is rolled back."""
        assert self._listener is not None
        with self._lock:
            self._closing = True
            still_open, greeting = list(self._open), list(self._greeting)
        # Hazard: closing alone does not wake a thread that waits in accept().
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join(_END_S)
        for sock in greeting:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for conversation in still_open:
            conversation.end()
        for thread in list(self._threads):
            thread.join(_END_S)

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._listener is not None
        return int(self._listener.getsockname()[1])

    def environment(self) -> dict[str, str]:
        """Return the variables that lead the command here; those in `MISLEADING` must be taken away besides.

        TLS is off in them: a key of our own on loopback proves nothing, and clients that check certificates when they
        may use TLS (node's `pg` for any `PGSSLMODE` but `disable`, libpq where a root.crt lies) would refuse it. A
        client whose own settings ask for TLS gets it.
        """
        up = self._upstream
        url = f"postgresql://{quote(up.user, safe='')}:{self._password}@{_HOST}:{self.port}"
        return {
            "DATABASE_URL": f"{url}/{quote(up.database, safe='')}?sslmode=disable",
            "PGHOST": _HOST,
            "PGPORT": str(self.port),
            "PGUSER": up.user,
            "PGPASSWORD": self._password,
            "PGDATABASE": up.database,
            "PGSSLMODE": "disable",
            "PGGSSENCMODE": "disable",
        }

    def _accept(self) -> None:
        assert self._listener is not None
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._serve, args=(sock,), name="backout-session", daemon=True)
            with self._lock:
                self._threads.add(thread)
                self._greeting.add(sock)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            guest = greet(sock, self._door)
            if isinstance(guest, Cancel):
                self._cancel(guest)
            else:
                self._converse(guest)
        except (Refused, OSError):
            return  # It was told, or is gone.
        except Exception as bug:
            self.failures.append(bug)
        finally:
            with self._lock:
                self._greeting.discard(sock)
                self._threads.discard(threading.current_thread())
            sock.close()

    def _cancel(self, wish: Cancel) -> None:
        with self._lock:
            known = any(conversation.key == wish.key for conversation in self._open)
        try:
            if known:
                self._upstream.cancel(wish.key)
        finally:
            close(wish.sock)  # The client waits for this: the cancel has been passed on.

    def _converse(self, guest: Guest) -> None:
        try:
            opened = self._upstream.open(guest.parameters)
        except NotOpened as error:
            with contextlib.suppress(OSError):
                guest.sock.sendall(error.raw)
            close(guest.sock)
            return
        conversation = Conversation(guest, opened, self._upstream)
        with self._lock:
            self.connections += 1
            self._open.add(conversation)
            closing = self._closing
        try:
            if not closing:
                conversation.hold(self._keeper_of)
        except Exception as bug:
            self.failures.append(bug)
        finally:
            with self._lock:
                self._open.discard(conversation)
            conversation.close()
