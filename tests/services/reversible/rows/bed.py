"""A migration, an application and the one who takes it back, on one database."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import psycopg

from backout.databases.postgres.reversible.link import DirectLink, objects
from backout.databases.postgres.reversible.rows import counts, store
from backout.databases.postgres.reversible.rows.capture import Capture
from backout.databases.postgres.reversible.rows.report import RowsReport
from backout.databases.postgres.reversible.rows.targets import to_lock
from backout.databases.postgres.reversible.rows.undo import redo, undo

Connect = Callable[[], "psycopg.Connection[Any]"]


class Bed:
    def __init__(self, connect: Connect, superuser: Connect) -> None:
        self.connect, self.superuser = connect, superuser
        self.app = self.link()
        store.install(self.app)
        store.install(self.app)

    def link(self) -> DirectLink:
        return DirectLink(self.connect())

    def sql(self, *statements: str) -> None:
        """What the application, or the owner, does by itself."""
        for statement in statements:
            self.app.rows(statement)

    def admin(self, *statements: str) -> None:
        link = DirectLink(self.superuser())
        for statement in statements:
            link.rows(statement)

    def oid(self, table: str) -> int:
        return int(objects(self.app, f"SELECT CAST($${table}$$ AS regclass)::oid::int8 AS oid")[0]["oid"])

    def rows(self, table: str) -> list[str]:
        """The rows of a table as PostgreSQL prints them, in order."""
        return sorted(str(one["r"]) for one in self.app.rows(f"SELECT ROW(_x.*)::text AS r FROM {table} _x"))

    def migrate(
        self, number: int, statements: Sequence[str], tables: Sequence[str], *, logged: bool = True
    ) -> None:
        """Run a migration in one transaction; every table but the first statements' own is logged before each statement."""
        session = self.link()
        capture = Capture(self.link(), number)
        session.rows("BEGIN")
        capture.begin(session)
        before = counts.tally(session, number)
        oids = [self.oid(table) for table in tables]
        for statement in statements:
            capture.ensure(session, oids)
            session.rows(statement)
        found = counts.uncaptured(capture.own, before, counts.tally(session, number))
        assert found == [] or not logged, found
        session.rows("COMMIT")
        assert capture.remove() == []
        self.close(session, capture)

    def close(self, session: DirectLink, capture: Capture) -> None:
        session.connection.close()
        assert isinstance(capture.own, DirectLink)
        capture.own.connection.close()

    def undo(self, *migrations: int, leave: Mapping[int, Collection[int]] | None = None) -> RowsReport:
        return self._turn(undo, migrations, leave)

    def redo(self, *migrations: int, leave: Mapping[int, Collection[int]] | None = None) -> RowsReport:
        return self._turn(redo, migrations, leave)

    def _turn(
        self,
        turn: Callable[..., RowsReport],
        migrations: Sequence[int],
        leave: Mapping[int, Collection[int]] | None,
    ) -> RowsReport:
        link = self.link()
        settings = "SELECT name, setting FROM pg_settings WHERE name !~ '^plpgsql' ORDER BY name"
        before = link.rows(settings)
        link.rows("BEGIN")
        for oid in to_lock(link, migrations):
            link.rows(
                f"DO $$BEGIN EXECUTE 'LOCK TABLE ' || {oid}::regclass || ' IN ACCESS EXCLUSIVE MODE'; END$$"
            )
        report = turn(link, migrations, leave=leave)
        after = link.rows(settings)
        moved = [one for one in after if one not in before]
        assert moved == [], moved
        link.rows("COMMIT")
        left = link.rows(
            "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE nspname = 'backout' AND relname ~ '^_bo'"
        )
        assert left == []
        link.connection.close()
        return report
