"""Rows within one session of a migration: logged before a statement changes them, and counted before a COMMIT."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from backout.databases.postgres.reversible.answers import taken_by_others
from backout.databases.postgres.reversible.catalog import at_work
from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import Operation
from backout.databases.postgres.reversible.following import ASIDE, HIDDEN
from backout.databases.postgres.reversible.link import Link, objects
from backout.databases.postgres.reversible.names import ident, is_hidden
from backout.databases.postgres.reversible.parse import Statement, called, cascades, written_relations
from backout.databases.postgres.reversible.proxy.keeper import Veto
from backout.databases.postgres.reversible.rows.capture import Capture, NotCaptured
from backout.databases.postgres.reversible.rows.closure import mentioned, sources
from backout.databases.postgres.reversible.rows.counts import Counts, Tally, changed, tally, uncaptured
from backout.databases.postgres.reversible.rows.truncate import Truncated, keep_rows
from backout.databases.postgres.reversible.snapshot import Key

_WRITES = re.compile(r"\b(insert|update|delete|merge|copy|perform|call|execute)\b", re.IGNORECASE)
_OPAQUE = ("do_stmt", "call_stmt", "execute_stmt")

MOST_ROWS = 1_000_000
"""That a TRUNCATE may drop: they are copied, which takes seconds for so many, and the table is locked meanwhile."""


@dataclass(slots=True)
class SessionRows:
    """What one session does to rows.

    Args:
        migration: Whose session it is.
        connect: Opens a second session as the same role; called once, when rows are to be changed for the first time.
        made: Oids of the tables that the migration itself has made: their rows go and come with them.
    """

    migration: int
    connect: Callable[[], Link]
    made: Collection[int] = ()
    _capture: Capture | None = None
    _before: Counts = field(default_factory=dict)
    _settled: Tally = field(default_factory=Tally)
    _missed: list[str] = field(default_factory=list)
    _free: dict[int, int] = field(default_factory=dict)
    _runs: tuple[int, int] | None = None

    def begins(self, link: Link) -> None:
        """A transaction begins."""
        self._settled = tally(link, self.migration)
        self._before = self._settled.changed
        self._missed, self._free, self._runs = [], {}, None
        if self._capture is not None:
            self._capture.begin(link)

    def statement(self, link: Link, statement: Statement, *, free: int | None = None) -> None:
        """Have the rows logged that a statement may change.

        Args:
            link: The session.
            statement: About to run.
            free: Oid of a table of which it changes nothing that has to be set back, and of no other.

        Raises:
            Veto: They cannot be.
        """
        self._runs = None
        if not may_write(statement):
            return
        if free is not None:
            self._runs = (free, sum(self.count(link).get(free, ())))
            return
        if tables := [one for one in written_tables(link, statement) if one not in self.made]:
            with at_work(link):
                self._log(link, tables)

    def ran(self, link: Link) -> None:
        """Count the rows of a statement that needed no log, and has ended well."""
        if self._runs is not None:
            table, before = self._runs
            rows = sum(self.count(link).get(table, ())) - before
            self._free[table] = self._free.get(table, 0) + rows
            self._runs = None

    def _log(self, link: Link, tables: list[int]) -> None:
        self._own(link)
        assert self._capture is not None
        try:
            self._capture.ensure(link, tables)
        except NotCaptured as error:
            raise unloggable(error) from None

    def truncate(self, link: Link, statement: Statement, next_id: Callable[[], int]) -> list[Truncated]:
        """Keep the rows that a TRUNCATE is about to drop; return of which tables.

        Raises:
            Veto: They cannot be kept.
        """
        own = self._own(link)
        try:
            return keep_rows(
                link,
                own,
                self.migration,
                truncated_tables(link, statement),
                cascade=cascades(statement),
                next_id=next_id,
                max_rows=MOST_ROWS,
            )
        except NotCaptured as error:
            raise unkept(error) from None

    def count(self, link: Link) -> Counts:
        """Return how many rows of which tables the session has changed, rolled back ones included."""
        return changed(link)

    def before_savepoint(self, link: Link) -> None:
        """See to it that all rows that were changed so far are logged, so that only later ones are asked for."""
        now = tally(link, self.migration)
        if now.changed != self._settled.changed:
            self._missed += self._unlogged(link, now)
            self._settled, self._free = now, {}

    def rolled_back_to_savepoint(self, link: Link) -> None:
        """Ask for none of the rows that were changed so far: they are undone, or were asked for before the savepoint."""
        if self._capture is not None:
            self._capture.begin(link)  # what it has set may be undone, too
        self._settled, self._free, self._runs = tally(link, self.migration), {}, None

    def check(self, link: Link, difference: Difference) -> Operation | None:
        """Return what is to be journalled of the rows that the transaction has changed, all of it logged.

        Args:
            link: The session, before its COMMIT.
            difference: What the transaction did to the catalog.

        Raises:
            Veto: Something was changed that is not logged.
        """
        now = tally(link, self.migration)
        if not now.counted:
            raise uncounted()
        found = rows_changed(difference, self._before, now.changed, self.made)
        if found is not None and found["tables"]:
            missed = sorted({*self._missed, *self._unlogged(link, now)})
            if missed:
                raise not_logged(missed)
        return found

    def _unlogged(self, link: Link, now: Tally) -> list[str]:
        return uncaptured(self._own(link), self._settled, now, self.made, self._free)

    def _own(self, link: Link) -> Link:
        """Return the second session; it is opened when it is needed for the first time."""
        if self._capture is None:
            self._capture = Capture(self.connect(), self.migration)
            self._capture.begin(link)
        return self._capture.own


def unloggable(error: NotCaptured) -> Veto:
    """Return the refusal of a statement whose changes of rows cannot be logged."""
    return Veto(
        f"backout cannot undo what this statement does to rows of {error.table}",
        detail=f"They cannot be logged: {error.why}.",
    )


def unkept(error: NotCaptured) -> Veto:
    """Return the refusal of a TRUNCATE whose rows cannot be kept."""
    return Veto(
        f"backout cannot undo this TRUNCATE of {error.table}",
        detail=f"Its rows cannot be kept: {error.why}.",
    )


def not_logged(tables: list[str]) -> Veto:
    """Return the refusal of a transaction that changed rows of tables of which no statement told."""
    return Veto(
        f"backout cannot undo what this transaction did to rows of {', '.join(tables)}",
        detail="They were changed in a way that its statements do not tell (a function, a rule), and were not logged.",
    )


def uncounted() -> Veto:
    """Return the refusal of a transaction of which the server does not count the rows that it changes."""
    return Veto(
        "backout cannot tell which rows this transaction has changed",
        detail="The server does not count them: its setting track_counts is off.",
        hint="ALTER ROLE … RESET track_counts, or the same for the database or the server.",
    )


def rows_changed(
    difference: Difference, before: Counts, now: Counts, made: Collection[int] = ()
) -> Operation | None:
    """Return the tables whose rows a transaction has changed, as the journal tells of them; None: of none.

    Args:
        difference: What it did to the catalog.
        before: The session's counts when it began.
        now: Those of now.
        made: Oids of the tables that the migration has made before.
    """
    counts = {t: c for t, c in now.items() if c != before.get(t, (0, 0, 0)) and not _is_own(difference, t)}
    updated = [t for t, c in counts.items() if c[1] != before.get(t, (0, 0, 0))[1]]
    known = [t for t in counts if Key("table", t) in difference.before.things and t not in made]
    filled = [t for t in counts if difference.made(Key("table", t)) or t in made]
    if not known and not filled:
        return None
    names = ", ".join(sorted(_name(difference, table) for table in known or filled))
    deleted = [t for t, c in counts.items() if c[2] != before.get(t, (0, 0, 0))[2]]
    return {"tables": known, "updated": updated, "deleted": deleted, "filled": filled, "called": names}


def _is_own(difference: Difference, table: int) -> bool:
    """Tell whether a table is one that the engine has made: a copy of rows."""
    return _hides(difference, table) and Key("table", table) not in difference.before.things


def _name(difference: Difference, table: int) -> str:
    """Return what a table is called; one that was dropped since, and is hidden, as it was before."""
    return (difference.before if _hides(difference, table) else difference.after).name(Key("table", table))


def _hides(difference: Difference, table: int) -> bool:
    return is_hidden(str(difference.after.things.get(Key("table", table), {}).get("name", "")))


def may_write(statement: Statement) -> bool:
    """Tell whether a statement may write to tables, as far as its text tells."""
    if statement.kind in _OPAQUE:
        return _WRITES.search(statement.text) is not None
    return bool(written_relations(statement)) or (
        statement.kind == "select_stmt" and bool(called(statement.node))
    )


def written_tables(link: Link, statement: Statement) -> list[int]:
    """Return oids of the tables that a statement may write to, as far as its text tells."""
    if statement.kind in _OPAQUE:
        return mentioned(link, statement.text) if _WRITES.search(statement.text) else []
    if statement.kind == "select_stmt" and any(
        _WRITES.search(one) for one in sources(link, called(statement.node))
    ):
        return mentioned(link, statement.text)
    return _oids(link, written_relations(statement))


def truncated_tables(link: Link, statement: Statement) -> list[int]:
    """Return oids of the tables that a TRUNCATE names."""
    return _oids(
        link,
        [
            ident(*(name for name in (one.range_var.schemaname, one.range_var.relname) if name))
            for one in statement.node.relations
        ],
    )


def _oids(link: Link, names: list[str]) -> list[int]:
    """Return the oids of relations; those that are not there are left out, the server will say so."""
    if not names:
        return []
    found = objects(
        link,
        "SELECT DISTINCT pg_catalog.to_regclass(n)::oid::int8 AS oid FROM pg_catalog.json_array_elements_text($1::json) n "
        "WHERE pg_catalog.to_regclass(n) IS NOT NULL",
        [json.dumps(names)],
        again=True,
    )
    return [int(one["oid"]) for one in found]


def may_need_answer(told: Collection[tuple[int, int]], operations: list[tuple[str, Operation]]) -> None:
    """Refuse a dropped column beside which another one was made and filled by no statement that was looked at: it may need an answer.

    Args:
        told: Columns, by their tables, of which is known what they were filled from.
        operations: Kind and operation of all that the migration has changed.

    Raises:
        Veto: There is one, and no answer.
    """
    updated = {table for kind, op in operations if kind == "rows" for table in op.get("updated", ())}
    added = {
        op["table"]: op["called"]
        for kind, op in operations
        if kind == "column.added" and (op["table"], op["attnum"]) not in told
    }
    for kind, op in operations:
        table = op.get("hidden", {}).get("table") if kind in (HIDDEN, ASIDE) else None
        if table in updated and table in added and "taken" not in op:
            raise taken_by_others(op["hidden"]["called"], [added[table]])
