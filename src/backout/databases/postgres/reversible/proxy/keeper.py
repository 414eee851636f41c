"""What a proxied session asks about the statements that pass; the engine answers, the proxy knows nothing of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from backout.databases.postgres.reversible.link import Link
from backout.databases.postgres.reversible.parse import Statement

NOT_COMMITTED = "Nothing of the transaction was committed."


class Veto(Exception):
    """A statement, or the COMMIT of a transaction, must not be.

    The client gets an ERROR with this message, detail, hint and SQLSTATE 0A000, and its transaction is rolled back:
    as with any error of the server.

    Args:
        message: What cannot be, naming the statement's subject.
        detail: Why.
        hint: What to do about it.
    """

    def __init__(self, message: str, *, detail: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message, self.detail, self.hint = message, detail, hint


class Manner(Enum):
    """How a statement has to be run, as its text alone tells."""

    FREE = "free"
    """It can change nothing: it passes unasked, and is not wrapped in a transaction."""
    WRAPPED = "wrapped"
    """Inside a transaction: the client's, or one that the proxy begins for it and ends with it."""
    ALONE = "alone"
    """Outside a transaction, as PostgreSQL demands; in one, the server refuses it."""


@dataclass(frozen=True, slots=True)
class Pass:
    """The statement runs as the client wrote it."""


@dataclass(frozen=True, slots=True)
class Done:
    """The keeper has done what was to be done; the client hears of success.

    Attributes:
        tag: Command tag that the plain server would have answered: ``ALTER TABLE``.
        rows: A query that gives the rows that it would have answered; empty: none.
    """

    tag: str
    rows: str = ""


class Keeper(Protocol):
    """Keeps one session's changes reversible. Called in the session's thread, never by two threads at once.

    Every link given is the client's own session: what is asked over it runs in the client's transaction, and leaves
    no trace in what the client sees. `LinkError` of a call goes to the client as an error of its statement.
    """

    def begins(self, link: Link) -> None:
        """A transaction begins in which something may change.

        Called before its first wrapped statement or its first SAVEPOINT, never right after BEGIN: what is asked over
        the link would come before a SET TRANSACTION, which must be the first. No ROLLBACK TO undoes what is done here.
        Without one of the two, the keeper hears of the transaction neither here nor in `before_commit` and `ended`.
        The transaction may be READ ONLY or SERIALIZABLE.
        """
        ...

    def manner(self, statement: Statement) -> Manner:
        """Tell how to run a statement, without asking the server; transaction control never comes here."""
        ...

    def statement(self, link: Link, statement: Statement) -> Pass | Done:
        """Decide about a wrapped statement that is about to run, inside its transaction.

        Raises:
            Veto: It must not run.
        """
        ...

    def ran(self, link: Link, statement: Statement) -> None:
        """A wrapped statement that passed has ended well (its rows, if any, are already with the client).

        For a portal that the client runs in portions, after the last one, at the latest before COMMIT.

        Raises:
            Veto: What it did must not be.
        """
        ...

    def before_alone(self, link: Link, statement: Statement) -> None:
        """A statement is about to run outside a transaction; what is asked over the link is committed at once.

        Raises:
            Veto: It must not run.
        """
        ...

    def ended_alone(self, link: Link, statement: Statement, *, failed: bool) -> None:
        """A statement that stood alone has ended."""
        ...

    def before_commit(self, link: Link) -> None:
        """The transaction is about to be committed: journal what it did.

        Raises:
            Veto: It must not be: the proxy rolls back.
        """
        ...

    def before_savepoint(self, link: Link) -> None:
        """The client is about to set a savepoint: what is done so far stays, whatever is undone to it."""
        ...

    def rolled_back_to_savepoint(self, link: Link) -> None:
        """The client went back to a savepoint: what statements after it did, journal included, is undone."""
        ...

    def ended(self, *, committed: bool) -> None:
        """The transaction is over.

        Args:
            committed: False also when nobody knows: the server was gone during COMMIT.
        """
        ...
