"""Watches a migration while it runs through backout on scratch: what its statements touch, and which locks it holds."""

from __future__ import annotations

from dataclasses import dataclass, field

from backout.databases.postgres.proof.attributed import Statements
from backout.databases.postgres.proof.locks import Held
from backout.databases.postgres.reversible.catalog import at_work
from backout.databases.postgres.reversible.keeper import Kept, ReversibleKeeper
from backout.databases.postgres.reversible.link import Link
from backout.databases.postgres.reversible.parse import Statement
from backout.databases.postgres.reversible.proxy.keeper import Done, Pass
from backout.databases.postgres.reversible.snapshot import Snapshot
from backout.databases.postgres.reversible.verdict import short

_WROTE = """SELECT relid, n_tup_ins + n_tup_upd + n_tup_del AS rows FROM pg_catalog.pg_stat_xact_user_tables
WHERE n_tup_ins + n_tup_upd + n_tup_del > 0 AND schemaname NOT LIKE 'backout%'"""


@dataclass(slots=True)
class Watched:
    """What was seen of a migration.

    Attributes:
        held: Its locks.
        statements: Its statements.
    """

    held: Held = field(default_factory=Held)
    statements: Statements = field(default_factory=Statements)

    def keeper(self, kept: Kept) -> ReversibleKeeper:
        """Return a keeper of a session that tells what it sees."""
        return _Watching(kept, watched=self)


@dataclass(slots=True)
class _Watching(ReversibleKeeper):
    watched: Watched = field(kw_only=True)
    _read: Snapshot | None = None
    _wrote: dict[str, str] = field(default_factory=dict)

    def begins(self, link: Link) -> None:
        ReversibleKeeper.begins(self, link)
        # The server also counts what earlier transactions of the session wrote, until it reports that.
        self._read, self._wrote = self._before, _written(link)

    def statement(self, link: Link, statement: Statement) -> Pass | Done:
        done = ReversibleKeeper.statement(self, link, statement)
        if isinstance(done, Done):
            self._note(link, statement)
        return done

    def ran(self, link: Link, statement: Statement) -> None:
        ReversibleKeeper.ran(self, link, statement)
        self._note(link, statement)

    def before_commit(self, link: Link) -> None:
        self.watched.held.read(link)
        ReversibleKeeper.before_commit(self, link)

    def ended_alone(self, link: Link, statement: Statement, *, failed: bool) -> None:
        before = self._before
        ReversibleKeeper.ended_alone(self, link, statement, failed=failed)
        if before is not None:
            self.watched.statements.ran(short(statement), before, self.kept.catalog.read(link))

    def _note(self, link: Link, statement: Statement) -> None:
        if self._read is None or not self.watched.statements.more:
            return
        with at_work(link):
            now, wrote = self.kept.catalog.read_here(link), _written(link)
        written = [int(table) for table, rows in wrote.items() if self._wrote.get(table) != rows]
        self.watched.statements.ran(short(statement), self._read, now, written)
        self._read, self._wrote = now, wrote


def _written(link: Link) -> dict[str, str]:
    """Return how many rows of which tables were written, by their oids."""
    return {str(row["relid"]): str(row["rows"]) for row in link.rows(_WROTE)}
