"""One session from its start to its end, whoever ends it and however."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable

from backout.databases.postgres.reversible.proxy import wire
from backout.databases.postgres.reversible.proxy.extended import Extended
from backout.databases.postgres.reversible.proxy.greeting import Guest
from backout.databases.postgres.reversible.proxy.keeper import Keeper
from backout.databases.postgres.reversible.proxy.session import Refusal, Session, await_client, check_encoding
from backout.databases.postgres.reversible.proxy.simple import Simple
from backout.databases.postgres.reversible.proxy.stream import Closed, Stream
from backout.databases.postgres.reversible.proxy.transaction import Transaction
from backout.databases.postgres.reversible.proxy.upstream import Opened, Upstream

_EXTENDED = b"PBDECHS"
_COPYING = b"dcf"


class Conversation:
    """A client, its server session, and the keeper between.

    Attributes:
        key: What the client must show to cancel: the server's own, so that process ids are what they are.
    """

    def __init__(self, guest: Guest, opened: Opened, upstream: Upstream) -> None:
        self.key = opened.key
        self._upstream = upstream
        self._sockets = (guest.sock, opened.sock)
        self._session = Session(Stream(guest.sock), Stream(opened.sock))
        self._greetings = opened.greetings

    def hold(self, keeper_of: Callable[[], Keeper]) -> None:
        """Converse until one side ends it.

        Raises:
            Exception: A bug, here or in the keeper; the client was told.
        """
        session = self._session
        transaction: Transaction | None = None
        try:
            transaction = Transaction(session, keeper_of())
            self._greet()
            self._talk(transaction)
        except Closed as gone:
            self._part(gone)
        except Refusal as refusal:
            self._last_words(refusal.raw)
        except Exception as bug:
            words = f"The proxy of backout has failed, and the transaction is rolled back: {bug!r}"
            self._last_words(wire.error("XX000", words, severity="FATAL"))
            raise
        finally:
            self._leave()
            if transaction is not None:
                transaction.over(committed=False)

    def end(self) -> None:
        """End it from another thread."""
        self._cancel()
        with contextlib.suppress(OSError):
            self._sockets[0].shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close both connections; idempotent."""
        self._session.client.close()
        self._session.server.close()

    def _greet(self) -> None:
        session = self._session
        for one in self._greetings:
            session.aside(one)
        check_encoding(session)
        session.tell(wire.message(b"K", self.key))
        session.ready()

    def _talk(self, transaction: Transaction) -> None:
        session = self._session
        simple, extended = Simple(session, transaction), Extended(session, transaction)
        while (one := await_client(session, extended.relay)).kind != b"X":
            check_encoding(session)
            if one.kind in _EXTENDED:
                if not extended.skipping or one.kind == b"S":
                    extended.answer(one)
            elif one.kind in _COPYING or extended.skipping or not extended.settle():
                continue  # The rest of a copy that has failed, or of a batch.
            elif one.kind == b"Q":
                simple.query(one.body)
            elif one.kind == b"F":
                self._refuse_call(transaction)
            else:
                words = f"backout does not know the message {one.kind!r} of the client"
                raise Refusal(wire.error("08P01", words, severity="FATAL"))

    def _refuse_call(self, transaction: Transaction) -> None:
        words = (
            "backout does not pass function calls of the protocol on, because it does not see what they do"
        )
        self._session.tell_error(wire.error("0A000", words, hint="Call the function with SELECT."))
        transaction.spoil()
        self._session.ready()

    def _part(self, gone: Closed) -> None:
        """Tell the side that is left."""
        if gone.stream is self._session.client:
            self._cancel()  # What nobody waits for any more holds its locks no longer.
        elif not self._session.fatal:
            words = "The PostgreSQL server ended the connection without a word; what was not committed is rolled back"
            self._last_words(wire.error("08006", words, severity="FATAL"))
        else:
            self._last_words(b"")

    def _last_words(self, raw: bytes) -> None:
        with contextlib.suppress(Closed):
            self._session.refuse(Refusal(raw)) if raw else self._session.release()
            self._session.client.flush()

    def _leave(self) -> None:
        with contextlib.suppress(Closed):
            self._session.server.put(wire.TERMINATE)
            self._session.server.flush()

    def _cancel(self) -> None:
        with contextlib.suppress(OSError):
            self._upstream.cancel(self.key)
