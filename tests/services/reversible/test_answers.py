"""An answer is one value of its column, and nothing else: another one is refused when it is given, not when it is needed."""

from __future__ import annotations

import pytest

from backout.databases.postgres.reversible import answers, journal
from backout.databases.postgres.reversible.keeper import Kept, ReversibleKeeper
from backout.databases.postgres.reversible.parse import statements
from backout.databases.postgres.reversible.proxy.keeper import Veto

from .conftest import Database
from .engine import migrate, run, undo
from .states import schema_of, seen

pytestmark = pytest.mark.slow

_T = """CREATE TABLE t (id int, a text, "it's" text NOT NULL, n int NOT NULL); CREATE TABLE u (x int);
  INSERT INTO t VALUES (1, 'a1', 'b1', 1)"""

NO_VALUE = {
    "'x'; DROP TABLE u": "is not one expression",
    "'x', a = 'evil'": "is not one expression",
    "'x' WHERE false --": "is not one expression",
    "'x' AS y": "is not one expression",
    "'x' /*": "unterminated",
    "'x') --": "syntax error",
    "1) FROM u WHERE (true": "syntax error",
    "(SELECT 1": "syntax error",
    "'abc'::nothing": 'type "nothing" does not exist',
    "nothing": 'column "nothing" does not exist',
    '"it\'s" || a': 'column "it\'s" does not exist',
    "max(a)": "aggregate functions are not allowed",
    "*": "syntax error",
}


VALUES = {
    "$$it's;$$ || a": "it's;a2",
    "U&'d\\0061t\\+01F600'": "dat😀",
    "E'a\\n--b'": "a\n--b",
    "CASE WHEN id > 1 THEN '=' ELSE '/*' END": "=",
    "(SELECT count(*) FROM u AS t2 WHERE t2.x = t.id)": "0",
}


def test_what_is_no_value_is_refused_when_it_is_given(database: Database) -> None:
    link = database.link()
    run(link, _T)
    before = schema_of(database.url)
    for answer, why in NO_VALUE.items():
        said = refused_with(
            database, f"ALTER TABLE t\n-- backout: fill t.it's = {answer}\n DROP COLUMN \"it's\""
        )
        assert why in said, (answer, said)
    said = refused_with(database, "ALTER TABLE t ALTER n DROP NOT NULL\n-- backout: fill t.n = nothing\n")
    assert 'column "nothing" does not exist' in said
    assert schema_of(database.url) == before


def refused_with(database: Database, script: str) -> str:
    """Return what a transaction is refused with."""
    link = database.link()
    journal.install(link)
    kept = Kept(journal.begin(link, None, "test"), database.link, answers.found_in(script))
    keeper = ReversibleKeeper(kept)
    link.rows("BEGIN")
    keeper.begins(link)
    with pytest.raises(Veto) as refused:
        for one in statements(script):
            if keeper.statement(link, one) is not None:
                link.rows(one.text)
                keeper.ran(link, one)
        keeper.before_commit(link)
    link.rows("ROLLBACK")
    keeper.ended(committed=False)
    journal.forget(link, kept.migration)
    return f"{refused.value} {refused.value.detail}"


def test_any_value_is_one(database: Database) -> None:
    link = database.link()
    run(link, _T)
    before = schema_of(database.url)
    for answer, gives in VALUES.items():
        number = migrate(link, f"ALTER TABLE t\n-- backout: fill t.it's = {answer}\n DROP COLUMN \"it's\"")
        run(link, "INSERT INTO t (id, a, n) VALUES (2, 'a2', 2)")
        undo(link, number)
        assert schema_of(database.url) == before
        assert seen(link, """SELECT "it's" FROM t ORDER BY id""") == f"b1 | {gives}"
        run(link, "DELETE FROM t WHERE id = 2")


def test_an_answer_is_read_with_the_sessions_own_path(database: Database) -> None:
    link = database.link()
    run(
        link,
        "CREATE TYPE mood AS ENUM ('so', 'la'); CREATE TABLE t (id int, m mood NOT NULL, k mood NOT NULL)",
    )
    number = migrate(
        link,
        "ALTER TABLE t ALTER m DROP NOT NULL\n-- backout: fill t.m = (CASE WHEN id > 0 THEN 'so' END)::mood\n;"
        "ALTER TABLE t\n-- backout: fill t.k = 'la'::mood\n DROP COLUMN k",
    )
    run(link, "INSERT INTO t VALUES (1)")
    undo(link, number)
    assert seen(link, "SELECT id, m, k FROM t") == "1 so la"
