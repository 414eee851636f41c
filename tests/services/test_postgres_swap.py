"""A swap makes another database the live one: exactly one is live, whatever happens in the middle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from backout.backup import BesideState, SwapOrder

pytestmark = pytest.mark.slow


def quiet(_: object) -> None:
    """Nobody watches."""


@pytest.fixture
def pair(database: Any) -> Iterator[Pair]:
    """Give a live database, and one beside it as a restore would have left it."""
    made = Pair(database)
    made.make()
    yield made
    made.drop()


class Pair:
    def __init__(self, database: Any) -> None:
        self.database, self.server, self.live = database, database.server, database.name
        self.beside = f"{self.live}_restored_20260101_000000"
        self.kept = f"{self.live}_before_20260101_000000"

    def make(self) -> None:
        from datetime import UTC, datetime

        from backout.databases.postgres.beside import Mark, comment_of

        with self.server.admin() as admin:
            admin.execute(sql.SQL("ALTER ROLE {} CREATEDB").format(sql.Identifier(self.database.role)))
            admin.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(
                    sql.Identifier(self.beside), sql.Identifier(self.database.role)
                )
            )
            mark = Mark(state="restored", live=self.live, since=datetime.now(UTC), backup="b", identity="i")
            admin.execute(
                sql.SQL("COMMENT ON DATABASE {} IS {}").format(
                    sql.Identifier(self.beside), sql.Literal(comment_of(mark))
                )
            )
        for name, text in ((self.live, "bad"), (self.beside, "good")):
            with self.connect(name) as connection:
                connection.execute("CREATE TABLE which (id serial PRIMARY KEY, is_it text)")
                connection.execute("INSERT INTO which (is_it) VALUES (%s)", (text,))

    def drop(self) -> None:
        with self.server.admin() as admin:
            names = admin.execute(
                "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", (self.live,)
            ).fetchall()
            for (name,) in names:
                if name != self.live:
                    admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def connect(self, name: str | None = None) -> psycopg.Connection[Any]:
        return psycopg.connect(self.database.url, dbname=name or self.live, autocommit=True)

    def is_it(self, name: str | None = None) -> str:
        with self.connect(name) as connection:
            return str(connection.execute("SELECT is_it FROM which").fetchall()[0][0])

    def adapter(self, directory: Path, **options: Any) -> Any:
        return self.database.adapter(directory, **options)

    def order(self, **more: Any) -> SwapOrder:
        told = {"live": self.live, "beside": self.beside, "kept": self.kept, "live_oid": self.oid(self.live)}
        return SwapOrder(**{**told, "beside_oid": self.oid(self.beside), **more})

    def oid(self, name: str) -> int | None:
        with self.server.admin() as admin:
            row = admin.execute("SELECT oid::bigint FROM pg_database WHERE datname = %s", (name,)).fetchone()
        return int(row[0]) if row else None

    def names(self) -> dict[int, tuple[str, bool]]:
        with self.server.admin() as admin:
            rows = admin.execute(
                "SELECT oid::bigint, datname, datallowconn FROM pg_database WHERE starts_with(datname, %s)",
                (self.live,),
            ).fetchall()
        return {oid: (name, accepts) for oid, name, accepts in rows}


def test_the_other_one_is_live_and_the_old_one_is_kept_read_only(pair: Pair, tmp_path: Path) -> None:
    adapter, order = pair.adapter(tmp_path), pair.order()
    assert adapter.swap_blockers(order) == ()
    assert adapter.swap_state(order) is False
    closed_s = adapter.swap(order, note=quiet)
    assert 0 < closed_s < 2
    assert adapter.swap_state(order) is True
    assert (pair.is_it(), pair.is_it(pair.kept)) == ("good", "bad")
    with pair.connect(pair.kept) as kept, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        kept.execute("DELETE FROM which")
    with pair.connect() as live:
        live.execute("INSERT INTO which (is_it) VALUES ('new')")
    (found,) = adapter.beside(5)
    assert (found.name, found.state, found.oid) == (pair.kept, BesideState.KEPT, order.live_oid)
    assert found.swap_xid is not None
    assert adapter.swap(order, note=quiet) == 0.0, "it was made a second time"


def test_swapping_back_is_the_same_with_the_names_exchanged(pair: Pair, tmp_path: Path) -> None:
    adapter, order = pair.adapter(tmp_path), pair.order()
    adapter.swap(order, note=quiet)
    back = SwapOrder(
        live=pair.live,
        live_oid=order.beside_oid,
        beside=pair.kept,
        beside_oid=order.live_oid,
        kept=pair.beside,
    )
    adapter.swap(back, note=quiet)
    assert (pair.is_it(), pair.is_it(pair.beside)) == ("bad", "good")
    with pair.connect() as live:
        live.execute("INSERT INTO which (is_it) VALUES ('new')")


def test_rows_written_after_the_swap_are_told_from_the_others(pair: Pair, tmp_path: Path) -> None:
    adapter, order = pair.adapter(tmp_path), pair.order()
    with pair.connect() as live:
        live.execute("INSERT INTO which VALUES (10, 'since the backup')")
    adapter.swap(order, note=quiet)
    with pair.connect() as live:
        live.execute("INSERT INTO which (id, is_it) VALUES (99, 'after the swap')")
    (told,) = adapter.differences(pair.kept, tables=(), examples=3, note=quiet)
    assert (told.inserted, told.updated, told.deleted, told.after_swap) == (1, 1, 0, 1)
    assert told.examples == {"inserted": ("id=10",), "updated": ("id=1",)}
    options = {"where": "id > 5", "take_updated": True, "dry_run": False, "note": quiet}
    brought = adapter.bring(pair.kept, "which", **options)
    assert (brought.inserted, brought.updated, brought.conflicts) == (1, 0, ())
    with pair.connect() as live:
        found = live.execute("SELECT is_it FROM which ORDER BY id").fetchall()
    assert found == [("good",), ("since the backup",), ("after the swap",)]
