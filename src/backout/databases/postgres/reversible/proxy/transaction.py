"""The transaction of one session: who began it, and what the keeper is asked about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from backout.databases.postgres.reversible.link import LinkError
from backout.databases.postgres.reversible.parse import Statement
from backout.databases.postgres.reversible.proxy import wire
from backout.databases.postgres.reversible.proxy.keeper import Done, Keeper, Manner, Pass, Veto
from backout.databases.postgres.reversible.proxy.link import SessionLink
from backout.databases.postgres.reversible.proxy.session import Refusal, Session

T = TypeVar("T")
_SPOIL = 'ROLLBACK TO SAVEPOINT "backout refused a statement"'
"""Fails in every transaction, and so puts it into the state that an error puts it into."""


class Transaction:
    """Begins and ends transactions for clients that do not, and asks the keeper in all.

    Attributes:
        ours: Whether the proxy has begun the transaction that is open, for statements that need one.
        unfinished: Statements that have begun and may still do something, by portal.
    """

    def __init__(self, session: Session, keeper: Keeper) -> None:
        self._session, self._keeper = session, keeper
        self._link = SessionLink(session)
        self.ours = False
        self._begun = False
        self.unfinished: dict[bytes, Statement] = {}

    def manner(self, statement: Statement) -> Manner:
        """Tell how to run a statement."""
        return self._keeper.manner(statement)

    def open(self) -> None:
        """Begin a transaction for the client if it is in none."""
        if self._session.status == "I":
            self._session.ask("BEGIN")
            self.ours = True

    def _in_it(self, call: Callable[[], T]) -> T:
        """Ask the keeper, who has first to know of this transaction, once."""
        begins = not self._begun
        self._begun = True

        def both() -> T:
            if begins:
                self._keeper.begins(self._link)
            return call()

        return self._asked(both)

    def decide(self, statement: Statement) -> Pass | Done:
        """Ask the keeper about a statement.

        Raises:
            Refusal: It must not run.
        """
        return self._in_it(lambda: self._keeper.statement(self._link, statement))

    def ran(self, statement: Statement) -> None:
        """Let the keeper know that a statement has ended well.

        Raises:
            Refusal: What it did must not be.
        """
        self._asked(lambda: self._keeper.ran(self._link, statement))

    def before_alone(self, statement: Statement) -> None:
        """Ask the keeper about a statement that runs outside a transaction.

        Raises:
            Refusal: It must not run.
        """
        self._asked(lambda: self._keeper.before_alone(self._link, statement))

    def ended_alone(self, statement: Statement, *, failed: bool) -> None:
        """Let the keeper know that such a statement has ended.

        Raises:
            Refusal: The keeper has failed with it.
        """
        self._asked(lambda: self._keeper.ended_alone(self._link, statement, failed=failed))

    def before_commit(self) -> None:
        """Let the keeper journal the transaction; what is not committed then is rolled back.

        Raises:
            Refusal: It must not be committed, and was rolled back.
        """
        if not self._begun or self._session.status != "T":
            return
        try:
            for portal in list(self.unfinished):
                self.ran(self.unfinished.pop(portal))
            self._asked(lambda: self._keeper.before_commit(self._link))
        except Refusal:
            self.roll_back()
            raise

    def close(self, *, failed: bool) -> None:
        """End the transaction that the proxy has begun.

        Raises:
            Refusal: It could not be committed, and was rolled back.
        """
        if failed or self._session.status != "T":
            self.roll_back()
            return
        self.before_commit()
        try:
            self._session.ask("COMMIT")
        except LinkError as error:
            self.over(committed=False)
            raise Refusal(wire.told(b"E", error.fields)) from None
        self.over(committed=True)

    def roll_back(self) -> None:
        """Undo the transaction."""
        if self._session.status != "I":
            self._session.ask("ROLLBACK")
        self.over(committed=False)

    def spoil(self) -> None:
        """Put the client's transaction into the state that an error puts it into.

        The proxy's own is undone at its end.
        """
        if self._session.status == "T" and not self.ours:
            try:
                self._session.ask(_SPOIL, quiet=True)
            except LinkError:
                return

    def before_savepoint(self) -> None:
        """Let the keeper know that the client is about to set a savepoint; what the keeper does is not undone to it.

        Raises:
            Refusal: The keeper has failed with it.
        """
        self._in_it(lambda: self._keeper.before_savepoint(self._link))

    def undone_in_part(self) -> None:
        """Let the keeper know that the client went back to a savepoint.

        Raises:
            Refusal: The keeper has failed with it.
        """
        if self._begun:
            self._asked(lambda: self._keeper.rolled_back_to_savepoint(self._link))

    def over(self, *, committed: bool) -> None:
        """Let the keeper know that the transaction has ended."""
        self.ours = False
        self.unfinished.clear()
        if self._begun:
            self._begun = False
            self._keeper.ended(committed=committed)

    def _asked(self, call: Callable[[], T]) -> T:
        try:
            answer = call()
            self._session.catch_up()
            return answer
        except Veto as veto:
            self._session.give_up()
            words = wire.error("0A000", veto.message, detail=veto.detail, hint=veto.hint)
            raise Refusal(words) from None
        except LinkError as error:
            self._session.give_up()
            # The place is one in what the keeper asked, which the client does not know.
            raise Refusal(wire.told(b"E", {k: v for k, v in error.fields.items() if k != "P"})) from None
