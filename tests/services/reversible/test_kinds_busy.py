"""Each kind among clients that write meanwhile: what suits both schemas never fails, and no row that was acknowledged is lost."""

from __future__ import annotations

import pytest

from backout.databases.postgres.reversible.link import DirectLink, LinkError

from .conftest import Database
from .engine import migrate, redo, run, undo
from .kinds import CLIENT, KINDS, Client, Kind, T
from .servers import by_turns, share
from .test_retype import CASES, Case
from .writing import Writer, some_written, writers_of, writing

pytestmark = pytest.mark.slow


_DEADLOCK = "40P01"
"""Source: PostgreSQL 15 documentation, appendix A, `deadlock_detected`."""
_OTHER_ORDER = ("unlogged_with_what_refers_to_it", "inherits_no_more")
"""These migrations lock tables in another order than clients, which has victims without backout, too; a way back has none.

The victim may be the migration itself: it is rolled back, and run again as a person would.
"""
_NUMBERS_FIT = ("int_to_bigint", "int_to_text", "text_to_int", "text_to_jsonb", "json")


def kind(name: str, before: str, up: str, clients: tuple[Client, ...] = (CLIENT,)) -> Kind:
    return Kind(name, before, up, "", "", "", "", "", "", clients=clients)


def retyped(case: Case) -> Kind:
    """Return the change of a type with clients that write another column, and that one where numbers suit both types."""
    before = f"CREATE TABLE t (id int PRIMARY KEY, a text, {case.table}); INSERT INTO t (id, c) VALUES "
    before += ", ".join(f"({number}, {value})" for number, value in enumerate(case.rows, 1))
    changing = (Client("t", ("id", "c"), prepared=False),) if case.name in _NUMBERS_FIT else ()
    return kind(case.name, before, case.up, (CLIENT, *changing))


CHILDREN = "CREATE TABLE o (id int PRIMARY KEY, t int REFERENCES t ON DELETE CASCADE); INSERT INTO o VALUES (1, 1), (2, 2);"
ROWS = (
    kind("rows_inserted", T, "INSERT INTO t VALUES (10, 'a10')"),
    kind("rows_updated", T + "ALTER TABLE t ADD b text", "UPDATE t SET b = id"),
    kind(
        "rows_deleted_with_cascade",
        T + CHILDREN,
        "DELETE FROM t WHERE id = 1",
        (CLIENT, Client("o", ("id",))),
    ),
    # What a TRUNCATE takes is gone for the new release: its table has no writer.
    kind("rows_truncated", T + CHILDREN, "TRUNCATE o"),
)


def migrated(link: DirectLink, kind: Kind) -> int:
    while True:
        try:
            return migrate(link, kind.up)
        except LinkError as error:
            if kind.name not in _OTHER_ORDER or error.sqlstate != _DEADLOCK:
                raise


def lost(writers: list[Writer], release: str) -> list[str]:
    """Return what is not as the clients of a release, and of both, were told."""
    return [
        f"{one.client.table}: {key}: {one.rows.get(key)} was acknowledged, {found.get(key)} is there"
        for one in writers
        if one.client.of in ("both", release)
        for found in [one.found()]
        for key in sorted(one.rows.keys() | found.keys())
        if one.rows.get(key) != found.get(key)
    ]


_ALL = {kind.name: kind for kind in (*KINDS, *map(retyped, CASES), *ROWS)}


@pytest.mark.parametrize(("server", "name"), by_turns(share(_ALL, 1, 3)), indirect=["server"])
def test_clients_of_both_releases_write_meanwhile(name: str, database: Database) -> None:
    kind = _ALL[name]
    link = database.link()
    run(link, kind.before)
    writers = writers_of(kind.clients, database)
    with writing(writers):
        some_written(writers)
        number = migrated(link, kind)
        some_written(writers)
        if name in _OTHER_ORDER:
            for one in writers:
                one.wrong[:] = [said for said in one.wrong if f": {_DEADLOCK} " not in said]
        undo(link, number)
        some_written(writers)
        redo(link, number)
        some_written(writers)
    assert [one.wrong for one in writers] == [[]] * len(writers)
    assert lost(writers, "new") == []

    with writing(writers):
        undo(link, number)
        some_written(writers)
    assert [one.wrong for one in writers] == [[]] * len(writers)
    assert lost(writers, "old") == []
    assert all(one.rows for one in writers)
