"""What a migration makes with SELECT * of a table that has a hidden column is what the plain database makes."""

from __future__ import annotations

import pytest

from backout.databases.postgres.reversible import journal
from backout.databases.postgres.reversible.link import LinkError
from backout.databases.postgres.reversible.proxy.keeper import Veto

from .conftest import Database
from .engine import migrate, redo, run, undo
from .states import changed, schema_of, seen

pytestmark = pytest.mark.slow

_T = (
    "CREATE TABLE t (id int PRIMARY KEY, a varchar, z int); INSERT INTO t VALUES (1, 'a1', 7), (2, 'a2', 8);"
    "CREATE TABLE o (id int, x int, y int); INSERT INTO o VALUES (1, 2, 3); CREATE VIEW replaced AS SELECT id FROM t"
)
_DROPS = "ALTER TABLE t DROP COLUMN a; ALTER TABLE o DROP COLUMN x"
_MADE = """
CREATE VIEW all_ AS SELECT * FROM t;
CREATE VIEW public.named (one, two) WITH (security_barrier) AS SELECT t.* FROM t WHERE z IN (7, 8);
CREATE VIEW joined AS SELECT * FROM t JOIN o USING (id);
CREATE VIEW within AS SELECT s.id, s.z FROM (SELECT DISTINCT * FROM t) s WHERE s.id IN (SELECT q.id FROM (SELECT * FROM o) q);
CREATE VIEW with_ AS WITH w AS (SELECT * FROM t) SELECT *, 1 AS n FROM w ORDER BY z;
CREATE VIEW united AS SELECT * FROM t UNION ALL SELECT * FROM t;
CREATE OR REPLACE VIEW replaced AS SELECT * FROM t;
CREATE VIEW upon AS SELECT * FROM all_;
CREATE MATERIALIZED VIEW filled (one, two) AS SELECT * FROM t;
CREATE MATERIALIZED VIEW empty AS SELECT * FROM t WITH NO DATA;
CREATE TABLE as_ AS SELECT * FROM t;
CREATE TABLE named_as (one, two) AS TABLE o WITH NO DATA;
"""


@pytest.mark.parametrize("together", [True, False])
def test_hidden_columns_are_left_out(together: bool, database: Database, second: Database) -> None:
    link = database.link()
    run(link, _T)
    run(second.link(), f"{_T}; {_DROPS}; {_MADE}")
    before, after = schema_of(database.url), schema_of(second.url)
    scripts = [f"{_DROPS}; {_MADE}"] if together else [_DROPS, _MADE]
    numbers = [migrate(link, one) for one in scripts]
    assert changed(schema_of(database.url), after) == []
    for name in ("all_", "named", "joined", "within", "with_", "united", "replaced", "upon", "filled", "as_"):
        rows = f"SELECT * FROM {name} ORDER BY 1, 2"
        assert seen(link, rows) == seen(second.link(), rows)
    undo(link, *numbers)
    assert schema_of(database.url) == before
    redo(link, *numbers)
    assert schema_of(database.url) == after


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ("CREATE VIEW v AS SELECT b FROM t AS x (a, b, c)", r"makes the view public\.v: it shows the hidden column _bo_"),
        ("CREATE VIEW v AS SELECT x.*, 1 AS one FROM t AS x (a, b, c)", "backout cannot run this statement as it is: CREATE VIEW"),
        ("CREATE VIEW v AS SELECT s.* FROM (SELECT * FROM t) AS s (one, two)", "cannot run this"),
        ("CREATE VIEW v AS WITH s (one, two) AS (SELECT * FROM t) SELECT two FROM s", "cannot run this"),
        ("CREATE VIEW v (a, b, c, d) AS SELECT * FROM t, o", "cannot run this"),
        ("CREATE VIEW v AS SELECT * FROM t UNION ALL SELECT * FROM t ORDER BY 2", "cannot run this"),
        ("CREATE TABLE v (a, b) AS SELECT x.* FROM t AS x (a, b, c)", "cannot run this"),
    ],
)  # fmt: skip
def test_where_a_hidden_column_cannot_be_left_out_it_is_refused(
    made: str, words: str, database: Database
) -> None:
    link = database.link()
    run(link, _T)
    with pytest.raises(Veto, match=words):
        migrate(link, f"{_DROPS}; {made}")
    assert journal.every_entry(link) == []


def test_what_is_wrong_by_itself_is_the_servers_to_refuse(database: Database) -> None:
    link = database.link()
    run(link, _T)
    with pytest.raises(LinkError, match='relation "nowhere" does not exist'):
        migrate(link, f"{_DROPS}; CREATE VIEW v AS SELECT * FROM nowhere")
