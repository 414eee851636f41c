"""Logging what a migration does to rows: triggers that fire for its sessions alone, and are there before it writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from backout.databases.postgres.reversible.link import Link, LinkError, objects, scalar
from backout.databases.postgres.reversible.locks import NOT_AVAILABLE, asked_again, begin_locked
from backout.databases.postgres.reversible.names import PREFIX, ident, literal
from backout.databases.postgres.reversible.rows.closure import Table, closure
from backout.databases.postgres.reversible.rows.store import FUNCTION, LOG, SETTING, SHAPE

TRIGGER = f"{PREFIX}rows_"
_PATIENCE_S = 0.8
"""Below the server's `deadlock_timeout` (1 s unless set), so that nobody else is the victim of a deadlock with us."""
_LOCK_CLASS = 0x626F7277
_BLOCKING = "'RowExclusiveLock','ShareUpdateExclusiveLock','ShareLock','ShareRowExclusiveLock','ExclusiveLock','AccessExclusiveLock'"


class NotCaptured(Exception):
    """Rows of a table cannot be logged, so what a statement does to them could not be taken back.

    Attributes:
        table: Schema and name.
        why: What is the matter, as part of a sentence.
    """

    def __init__(self, table: str, why: str) -> None:
        super().__init__(f"The rows of {table} cannot be logged: {why}.")
        self.table, self.why = table, why


def refuse_unloggable(table: Table) -> None:
    """Do nothing, if a table can have a trigger that logs its rows.

    Raises:
        NotCaptured: It can have none.
    """
    if table.kind == "f":
        raise NotCaptured(table.called, "it is a foreign table, and they are on another server")
    if not table.owned:
        raise NotCaptured(table.called, "this role does not own it, and may not make triggers on it")


@dataclass(slots=True)
class Capture:
    """Logs the rows of one migration.

    Args:
        own: A second session as the same role, in autocommit, used by nobody else.
        migration: Its number.
        patience_s: Seconds to go on asking for a lock on a table.
    """

    own: Link
    migration: int
    patience_s: float = _PATIENCE_S
    _ready: set[int] = field(default_factory=set)
    _alive: bool = False
    _others: set[int] = field(default_factory=set)

    @property
    def trigger(self) -> str:
        """Name of this migration's triggers."""
        return f"{TRIGGER}{self.migration}"

    def begin(self, session: Link) -> None:
        """Make the triggers fire for the rest of a session's transaction."""
        self._ready.clear()
        session.later(f"SELECT pg_catalog.set_config('{SETTING}', '{self.migration}', true)")

    def ensure(self, session: Link, tables: Sequence[int]) -> None:
        """Have the rows logged of these tables, and of all that change with them.

        A table that the session's transaction has made needs no log, and gets none.

        Args:
            session: The migration's session in its transaction, acting as the role that logged in.
            tables: Oids: tables, partitioned tables, views.

        Raises:
            NotCaptured: The rows of one cannot be logged.
        """
        if set(tables) <= self._ready:
            return
        self._stay_alive()
        here = closure(session, tables, trigger=self.trigger, migration=self.migration)
        older = self._existing([one.oid for one in here])
        inside = False
        for one in here:
            if one.oid in older and one.oid not in self._ready:
                inside |= self._table(session, one)
        # What was made inside the session's transaction can be rolled back to a savepoint: it is looked at each time.
        if not inside:
            self._ready |= set(tables) | {one.oid for one in here}

    def remove(self) -> list[str]:
        """Drop the triggers of this migration, and those that killed ones have left behind. Idempotent.

        Returns:
            Tables whose triggers could not be dropped as they are in use; they do nothing there.
        """
        left = []
        for one in self._triggers():
            number = int(one["name"].removeprefix(TRIGGER))
            if number != self.migration and not self._dead(number):
                continue
            try:
                with self._locked(one["table"], "ACCESS EXCLUSIVE"):
                    self.own.rows(f"DROP TRIGGER IF EXISTS {ident(one['name'])} ON {one['table']}")
            except LinkError:
                left.append(str(one["table"]))
        return left

    def _triggers(self) -> list[dict[str, str]]:
        return objects(
            self.own,
            "SELECT t.tgname AS name, pg_catalog.format('%I.%I', n.nspname, c.relname) AS table "
            "FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid "
            "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
            f"WHERE NOT t.tgisinternal AND t.tgname ~ '^{TRIGGER}[0-9]+$' AND t.tgparentid = 0 ORDER BY t.oid",
        )

    def _stay_alive(self) -> None:
        """Hold a lock as long as this process lives: others must not take its triggers for leftovers."""
        if not self._alive:
            self.own.rows(
                f"SELECT pg_catalog.pg_advisory_lock_shared({_LOCK_CLASS}, {_number(self.migration)})"
            )
            self._alive = True

    def _dead(self, migration: int) -> bool:
        key = f"{_LOCK_CLASS}, {_number(migration)}"
        if scalar(self.own, f"SELECT pg_catalog.pg_try_advisory_lock({key})") != "t":
            return False
        self.own.rows(f"SELECT pg_catalog.pg_advisory_unlock({key})")
        return True

    def _existing(self, tables: list[int]) -> set[int]:
        """Return those that others can see too: the session's transaction has not made them."""
        if unknown := set(tables) - self._others:
            numbers = ", ".join(map(str, sorted(unknown)))
            found = objects(
                self.own, f"SELECT oid::int8 AS oid FROM pg_catalog.pg_class WHERE oid IN ({numbers})"
            )
            self._others |= {
                int(one["oid"]) for one in found
            }  # what others have seen once is not the session's own
        return self._others & set(tables)

    def _table(self, session: Link, table: Table) -> bool:
        """Log a table's rows; tell whether that was arranged inside the session's transaction."""
        refuse_unloggable(table)
        shaped, held = self._stands(session, table)
        if table.trigger and shaped:
            return held
        if held or self._described_anew(session, table.oid):
            self._inside(session, table)
            return True
        self._outside(table)
        return False

    def _stands(self, session: Link, table: Table) -> tuple[bool, bool]:
        """Tell how far the logging of a table has come.

        Returns:
            Whether the columns are noted that the table had when its log began, and none of them is gone; and whether the
            session's transaction has a lock that keeps others from making a trigger.
        """
        (found,) = session.rows(
            f"SELECT (SELECT attnums <@ $1::int2[] FROM {SHAPE} WHERE migration = $2::bigint AND relation = $3::oid "
            "ORDER BY since DESC LIMIT 1) AS shaped, EXISTS (SELECT FROM pg_catalog.pg_locks "
            "WHERE pid = pg_catalog.pg_backend_pid() AND relation = $3::oid AND locktype = 'relation' AND granted "
            f"AND mode IN ({_BLOCKING})) AS held",
            [f"{{{','.join(map(str, table.attnums))}}}", str(self.migration), str(table.oid)],
            again=True,
        )
        return found["shaped"] == "t", found["held"] == "t"

    def _described_anew(self, session: Link, table: int) -> bool:
        """Tell whether the session's transaction has written the catalog's row of a table, for which another one would wait.

        Without a lock of the table: a GRANT.
        """
        version = "SELECT xmin::text FROM pg_catalog.pg_class WHERE oid = $1::oid"
        return scalar(session, version, [str(table)], again=True) != scalar(
            self.own, version, [str(table)], again=True
        )

    def _outside(self, table: Table) -> None:
        path = ident(table.schema, table.name)
        try:
            with self._locked(path, "SHARE ROW EXCLUSIVE"):
                self._make(self.own, table, path)
        except LinkError as error:
            if error.sqlstate == NOT_AVAILABLE:
                raise NotCaptured(
                    table.called, "it was in use all the time, and its lock not to be had"
                ) from None
            raise NotCaptured(table.called, f"PostgreSQL said {error}") from error

    def _inside(self, session: Link, table: Table) -> None:
        """Make the trigger under the lock that the session has already, or may have to wait a moment to make stronger."""
        timeout = scalar(session, "SELECT pg_catalog.current_setting('lock_timeout')")
        session.rows(f"SAVEPOINT {TRIGGER}made")
        try:
            session.rows(f"SET LOCAL lock_timeout = {int(self.patience_s * 1000)}")
            self._make(session, table, ident(table.schema, table.name))
        except LinkError as error:
            session.rows(f"ROLLBACK TO SAVEPOINT {TRIGGER}made")
            raise NotCaptured(table.called, f"PostgreSQL said {error}") from error
        session.rows(f"SET LOCAL lock_timeout = {literal(timeout)}")
        session.rows(f"RELEASE SAVEPOINT {TRIGGER}made")

    def _make(self, link: Link, table: Table, path: str) -> None:
        name = ident(self.trigger)
        link.rows(
            f"CREATE OR REPLACE TRIGGER {name} AFTER INSERT OR UPDATE OR DELETE ON {path} FOR EACH ROW "
            f"WHEN (pg_catalog.current_setting('{SETTING}', true) OPERATOR(pg_catalog.=) '{self.migration}') "
            f"EXECUTE FUNCTION {FUNCTION}('{self.migration}')"
        )
        # Else a session that replays rows (`session_replication_role = replica`) would not be logged.
        link.rows(f"ALTER TABLE {path} ENABLE ALWAYS TRIGGER {name}")
        link.rows(
            f"INSERT INTO {SHAPE} (migration, relation, since, attnums, last, key, called) "
            f"SELECT {self.migration}, c.oid, pg_catalog.nextval('{LOG}_seq_seq'), "
            "ARRAY(SELECT attnum FROM pg_catalog.pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum), "
            f"c.relnatts, {_array(table.key)}, {literal(table.called)} FROM pg_catalog.pg_class c WHERE c.oid = {table.oid}"
        )

    @contextmanager
    def _locked(self, path: str, mode: str) -> Iterator[None]:
        """A transaction of our own session that has a table's lock; asked for again and again, never waited for."""
        asked_again(lambda: begin_locked(self.own, path, mode), patience_s=self.patience_s)
        try:
            yield
        except LinkError:
            self.own.rows("ROLLBACK")
            raise
        self.own.rows("COMMIT")


def _array(numbers: Sequence[int] | None) -> str:
    return "NULL" if numbers is None else f"'{{{','.join(map(str, numbers))}}}'::int2[]"


def _number(migration: int) -> int:
    return migration % 2**31
