"""The extended query protocol: statements prepared, bound and executed apart, several before one Sync.

The server is asked to answer before each Execute, so that what is executed is known to exist; the keeper is asked at
Execute, because only that runs anything.

Source: PostgreSQL 18 documentation, 54.2.3 "Extended Query" and 54.2.4 "Pipelining".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from backout.databases.postgres.reversible.parse import NotParsed, Statement, statements
from backout.databases.postgres.reversible.proxy import wire
from backout.databases.postgres.reversible.proxy.control import control_of, run_control
from backout.databases.postgres.reversible.proxy.keeper import Done, Manner
from backout.databases.postgres.reversible.proxy.session import Refusal, Session
from backout.databases.postgres.reversible.proxy.simple import readable
from backout.databases.postgres.reversible.proxy.transaction import Transaction
from backout.databases.postgres.reversible.proxy.wire import Message

_ENDS = {b"P": b"1", b"B": b"2", b"C": b"3", b"D": b"Tn", b"E": b"CIs"}
"""Which replies end the answer to a message."""


@dataclass(slots=True)
class _Prepared:
    """A prepared statement: one statement, none (an empty text), or a text that the parser refuses."""

    statement: Statement | None
    trouble: str = ""


@dataclass(slots=True)
class _Portal:
    """A statement that is bound.

    Attributes:
        prepared: None: made by SQL (PREPARE, DECLARE), not over the protocol.
        bound: The Bind message.
        begun: Whether the keeper was asked already, and it has begun to run.
        ended: Whether it has ended well.
        done: Whether the keeper has run something instead.
    """

    prepared: _Prepared | None
    statement_name: bytes
    bound: bytes
    begun: bool = False
    ended: bool = False
    done: bool = False


@dataclass(slots=True)
class _Expected:
    """A reply that the server owes.

    Attributes:
        ends: Kinds of messages that end it.
        well: Called when it ended well.
        ours: The client shall not hear of it.
    """

    ends: bytes
    well: Callable[[], None] = field(default=lambda: None)
    ours: bool = False


class Extended:
    """Answers Parse, Bind, Describe, Execute, Close, Flush and Sync.

    Attributes:
        skipping: Whether an error has ended this batch: all is ignored up to the next Sync.
    """

    def __init__(self, session: Session, transaction: Transaction) -> None:
        self._session, self._transaction = session, transaction
        self._prepared: dict[bytes, _Prepared] = {}
        self._portals: dict[bytes, _Portal] = {}
        self._expected: deque[_Expected] = deque()
        self._executed = False
        self.skipping = False

    def answer(self, one: Message) -> None:
        """Answer one message."""
        steps = {
            b"P": self._parse, b"B": self._bind, b"D": self._forward, b"C": self._close,
            b"E": self._execute, b"H": self._flush, b"S": self._sync,
        }  # fmt: skip
        try:
            steps[one.kind](one)
        except Refusal as refusal:
            self._session.refuse(refusal)
            self._transaction.spoil()
            self.skipping = True

    def relay(self, one: Message) -> None:
        """Pass on what the server says, and note whose answer it is."""
        session = self._session
        if one.kind == b"E":
            session.tell_error(one.raw)
            self._expected.clear()
            self.skipping = True
        elif one.kind == b"G":
            if early := session.copy_in(one):
                self.relay(early)
            else:
                # While it copied, the server ignored the Flush that went before.
                session.server.put(wire.FLUSH)
        elif self._expected and one.kind in self._expected[0].ends:
            ended = self._expected.popleft()
            ended.well()
            if not ended.ours:
                session.relay(one)
        else:
            session.relay(one)

    def settle(self) -> bool:
        """Relay all that the server still owes; tell whether no error has ended the batch."""
        if self._expected:
            self._session.server.put(wire.FLUSH)
            while self._expected:
                self.relay(self._session.hear())
        return not self.skipping

    def _forward(self, one: Message) -> None:
        self._send(one.raw, _Expected(_ENDS[one.kind]))

    def _send(self, raw: bytes, expected: _Expected) -> None:
        self._session.server.put(raw)
        self._expected.append(expected)

    def _parse(self, one: Message) -> None:
        reader = wire.Reader(one.body)
        name, text = reader.text(), readable(self._session, reader.text())
        try:
            # Of several in one Parse the server says that it takes one.
            made = _Prepared(next(iter(statements(text)), None))
        except NotParsed as error:
            made = _Prepared(None, str(error))
        self._send(one.raw, _Expected(_ENDS[b"P"], lambda: self._prepared.__setitem__(name, made)))

    def _bind(self, one: Message) -> None:
        reader = wire.Reader(one.body)
        portal, name = reader.text(), reader.text()

        def bound() -> None:
            made = _Portal(self._prepared.get(name), name, one.raw)
            self._portals[portal] = made
            self._transaction.unfinished.pop(portal, None)

        self._send(one.raw, _Expected(_ENDS[b"B"], bound))

    def _close(self, one: Message) -> None:
        reader = wire.Reader(one.body)
        what, name = reader.take(1), reader.text()
        kept = self._prepared if what == b"S" else self._portals
        self._send(one.raw, _Expected(_ENDS[b"C"], lambda: _forget(kept, name)))

    def _flush(self, _: Message) -> None:
        self.settle()
        # A client that flushes waits for what it flushed, before it says Sync.
        self._session.release()
        self._session.client.flush()

    def _sync(self, one: Message) -> None:
        """End the batch."""
        session, transaction = self._session, self._transaction
        try:
            if transaction.ours and self.settle():
                self._unbind(*self._portals)  # They end with the transaction, and may hold tables open.
                transaction.close(failed=False)
        except Refusal as refusal:
            session.refuse(refusal)
        session.server.put(one.raw)
        while (said := session.hear()).kind != b"Z":
            self.relay(said)
        session.status = said.body.decode()
        if transaction.ours:
            transaction.close(failed=True)
        self._expected.clear()
        self.skipping = self._executed = False
        if session.status == "I":
            self._portals.clear()
        session.ready()

    def _execute(self, one: Message) -> None:
        if not self.settle():
            return
        name = wire.Reader(one.body).text()
        portal = self._portals.get(name)
        if portal is not None and portal.prepared is None:
            raise _unknown(portal.statement_name)
        if portal is not None and portal.prepared is not None and portal.prepared.trouble:
            words = "backout's parser does not understand this statement, so that it was not run"
            raise Refusal(wire.error("0A000", words, detail=portal.prepared.trouble))
        statement = portal.prepared.statement if portal is not None and portal.prepared is not None else None
        if portal is None or statement is None:
            self._forward(one)
        elif portal.done:
            words = f'portal "{name.decode()}" cannot be run'
            raise Refusal(wire.error("55000", words))
        else:
            self._run(one, name, portal, statement)
        self._executed = True

    def _run(self, one: Message, name: bytes, portal: _Portal, statement: Statement) -> None:
        session, transaction = self._session, self._transaction
        if control_of(statement):
            self._control(one, statement)
            return
        manner = Manner.FREE if session.status == "E" else transaction.manner(statement)
        if manner is Manner.ALONE and session.status == "I" and not self._executed:
            self._alone(one, name, portal, statement)
        elif manner is Manner.WRAPPED:
            self._wrapped(one, name, portal, statement)
        else:
            if manner is Manner.ALONE:
                # The server refuses it: it is not the first of its batch.
                transaction.open()
            self._forward(one)
            if statement.kind == "copy_stmt":
                # What the client copies comes before its next message.
                self.settle()

    def _wrapped(self, one: Message, name: bytes, portal: _Portal, statement: Statement) -> None:
        session, transaction = self._session, self._transaction
        if portal.ended and statement.kind == "select_stmt":
            session.hold(wire.command_complete("SELECT 0"))  # It was closed, and had no more rows.
            return
        if not portal.begun:
            transaction.open()
            bind_again = self._set_aside(name, portal)
            answer = transaction.decide(statement)
            if isinstance(answer, Done):
                portal.done = True
                if answer.rows:
                    session.give(answer.rows, portal.bound)
                else:
                    session.hold(wire.command_complete(answer.tag))
                return
            bind_again()
            portal.begun = True
            transaction.unfinished[name] = statement
        well = self._settled(one)
        # A portal that is suspended goes on with the next Execute.
        if well and session.heard_last != b"s":
            transaction.unfinished.pop(name, None)
            portal.ended = True
            if statement.kind == "select_stmt":
                self._unbind(name)
            transaction.ran(statement)

    def _alone(self, one: Message, name: bytes, portal: _Portal, statement: Statement) -> None:
        bind_again = self._set_aside(name, portal)
        self._transaction.before_alone(statement)
        bind_again()
        well = self._settled(one)
        self._session.sync()
        self._transaction.ended_alone(statement, failed=not well)

    def _control(self, one: Message, statement: Statement) -> None:
        session, transaction = self._session, self._transaction

        def forward() -> bool:
            well = self._settled(one)
            session.sync()
            return well

        run_control(session, transaction, statement, forward)
        if session.status == "I":
            self._portals.clear()

    def _settled(self, one: Message) -> bool:
        self._forward(one)
        return self.settle()

    def _set_aside(self, name: bytes, portal: _Portal) -> Callable[[], None]:
        """Close a portal that has not run yet; return what binds it again when the keeper has done its part.

        Hazard: it keeps the plan that was made when it was bound, and a query's tables open, which no ALTER TABLE of
        the keeper's gets past.
        """
        if self._prepared.get(portal.statement_name) is not portal.prepared:
            return lambda: None  # Its statement is not there any more.
        self._unbind(name)
        return lambda: self._send(portal.bound, _Expected(b"2", ours=True))

    def _unbind(self, *names: bytes) -> None:
        for name in names:
            self._send(wire.close(b"P", name), _Expected(b"3", ours=True))
        self.settle()


def _forget(kept: dict[bytes, _Prepared] | dict[bytes, _Portal], name: bytes) -> None:
    kept.pop(name, None)


def _unknown(name: bytes) -> Refusal:
    return Refusal(
        wire.error(
            "0A000",
            f'backout does not know what the prepared statement "{name.decode()}" does: it was made by PREPARE',
            hint="Run it with EXECUTE.",
        )
    )
