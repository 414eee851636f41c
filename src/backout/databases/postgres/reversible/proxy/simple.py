"""The simple query protocol: text with any number of statements, run one by one as one transaction.

Source: PostgreSQL 18 documentation, 54.2.2.1 "Multiple Statements in a Simple Query".
"""

from __future__ import annotations

from backout.databases.postgres.reversible.parse import NotParsed, Statement, statements
from backout.databases.postgres.reversible.proxy import wire
from backout.databases.postgres.reversible.proxy.control import begins, control_of, run_control
from backout.databases.postgres.reversible.proxy.keeper import Done, Manner
from backout.databases.postgres.reversible.proxy.session import Refusal, Session
from backout.databases.postgres.reversible.proxy.transaction import Transaction


class Simple:
    """Answers simple queries."""

    def __init__(self, session: Session, transaction: Transaction) -> None:
        self._session, self._transaction = session, transaction

    def query(self, body: bytes) -> None:
        """Answer one, up to ReadyForQuery."""
        session, transaction = self._session, self._transaction
        try:
            well = self._run(body)
            session.completes_last = True
            if transaction.ours:
                transaction.close(failed=not well)
        except Refusal as refusal:
            session.refuse(refusal)
            transaction.spoil()
            if transaction.ours:
                transaction.roll_back()
        session.completes_last = False
        session.ready()

    def _run(self, body: bytes) -> bool:
        text = readable(self._session, body[:-1])
        try:
            found = statements(text)
        except NotParsed as error:
            raise not_understood(self._session, text, error) from None
        raw = wire.message(b"Q", body)
        if all(self._is_free(one) for one in found):
            return self._session.exchange(raw)
        if len(found) == 1:
            return self._one(found[0], raw, 0)
        return all(self._of_several(one) for one in found)

    def _is_free(self, statement: Statement) -> bool:
        return not control_of(statement) and self._transaction.manner(statement) is Manner.FREE

    def _of_several(self, statement: Statement) -> bool:
        self._session.release()
        if not begins(statement):
            self._transaction.open()
        return self._one(statement, wire.query(statement.text), statement.at)

    def _one(self, statement: Statement, raw: bytes, offset: int) -> bool:
        """Run one statement; tell whether it ended well."""
        session, transaction = self._session, self._transaction
        if control_of(statement):
            return run_control(session, transaction, statement, lambda: session.exchange(raw, offset))
        if session.status == "E":
            return session.exchange(raw, offset)
        manner = transaction.manner(statement)
        if manner is Manner.ALONE and session.status == "I":
            return self._alone(statement, raw)
        if manner is not Manner.WRAPPED:
            return session.exchange(raw, offset)
        transaction.open()
        answer = transaction.decide(statement)
        if isinstance(answer, Done) and answer.rows:
            return session.exchange(wire.query(answer.rows))
        if isinstance(answer, Done):
            session.hold(wire.command_complete(answer.tag))
            return True
        if not session.exchange(raw, offset):
            return False
        transaction.ran(statement)
        return True

    def _alone(self, statement: Statement, raw: bytes) -> bool:
        self._transaction.before_alone(statement)
        well = self._session.exchange(raw)
        self._transaction.ended_alone(statement, failed=not well)
        return well


def readable(session: Session, raw: bytes) -> str:
    """Return a client's SQL as text that the parser and the server read alike.

    Raises:
        Refusal: There is none.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        words = f"backout reads statements in UTF8 only: {error}"
        raise Refusal(wire.error("22021", words)) from None
    if "\\" in text and session.parameters.get("standard_conforming_strings") == "off":
        words = "backout reads strings as standard_conforming_strings = on does, and this session has it off"
        raise Refusal(wire.error("0A000", words, hint="SET standard_conforming_strings = on;"))
    return text


def not_understood(session: Session, text: str, error: NotParsed) -> Refusal:
    """Return what the client is told about text that the parser refuses: the server's own error if it has one.

    The server is given the text to parse, never to run: what its newer parser knew, the keeper would not see.
    """
    fields = session.understands(text)
    if "P" in fields or fields.get("C") == "25P02":
        return Refusal(wire.told(b"E", fields))
    words = "backout's parser does not understand this statement, so that it was not run"
    return Refusal(wire.error("0A000", words, detail=f"{error} at character {error.at + 1}"))
