"""Values and names: every type comes back to the byte, whatever things are called."""

from __future__ import annotations

import pytest
from tests.services.reversible.rows.bed import Bed

from backout.databases.postgres.reversible.link import LinkError

pytestmark = pytest.mark.slow


_VALUES = [
    ("int", ["1", "NULL"]),
    ("numeric", ["1.10", "'NaN'", "-0.0", "1e30"]),
    ("numeric(10,2)", ["1.1"]),
    ("float8", ["'NaN'", "'-0'", "'Infinity'", "0.1::float8 + 0.2", "1e-310"]),
    ("float4", ["0.1", "'-Infinity'"]),
    ("money", ["'12.34'"]),
    ("text", ["''", "'null'", "'NULL'", "' x '", "E'a\\tb\\n\\\\'", "'\"quoted\"'", "'{},()'", "'Zoë 日本'"]),
    ("char(5)", ["'ab'", "''"]),
    ("varchar(3)", ["'abc'"]),
    ('"char"', ["'x'"]),
    ("name", ["'n'"]),
    ("bytea", ["'\\x00ff'", "''"]),
    ("bool", ["true", "false"]),
    ("date", ["'infinity'", "'-infinity'", "'0044-03-15 BC'", "'12345-01-01'"]),
    ("timestamptz", ["'infinity'", "'2026-03-29 01:30:00.123456+05:30'", "'1800-01-01 00:00:00+00:53:28'"]),
    ("timestamp(3)", ["'2026-01-02 03:04:05.678'"]),
    ("timetz", ["'03:04:05+02'"]),
    ("interval", ["'1 year -2 days 03:04:05.6'", "'-1 year'"]),
    ("json", ['\'{"a":1,  "a":2}\'', "'null'", "'\"\\u00e9\"'"]),
    ("jsonb", ["'{\"b\":[1.10,null]}'"]),
    ("xml", ["'<a>x &amp; y</a>'"]),
    ("uuid", ["'00000000-0000-0000-0000-000000000001'"]),
    ("inet", ["'10.0.0.1'", "'10.0.0.0/8'"]),
    ("macaddr", ["'08:00:2b:01:02:03'"]),
    ("bit(3)", ["B'101'"]),
    ("varbit", ["B'10101'"]),
    ("point", ["'(1.5,-0)'"]),
    ("polygon", ["'((0,0),(1,1),(2,0))'"]),
    ("int4range", ["'[1,5)'", "'empty'"]),
    ("int4multirange", ["'{[1,5),[7,9)}'"]),
    ("tsvector", ["'a:1 b:2'::tsvector"]),
    ("int[]", ["'{1,NULL,3}'", "'{}'", "'[0:1]={5,6}'"]),
    ("text[]", ["ARRAY['NULL', NULL, '', 'a,\"b\\c', '{}']", "ARRAY[['a','b'],['c','d']]"]),
    ("mood", ["'sad'", "'so so'"]),
    ("mood[]", ["'{sad,\"so so\"}'"]),
    ("pair", ["ROW(NULL, 'a,\"b')::pair", "ROW(NULL, NULL)::pair", "ROW(1, '')::pair"]),
    ("pair[]", ["ARRAY[ROW(1, 'x')::pair, NULL]"]),
    ("positive", ["5"]),
    ("regclass", ["'types'"]),
    ("oid", ["42"]),
    ("pg_lsn", ["'0/16B3748'"]),
]


def _has_xml(bed: Bed) -> bool:
    """PostgreSQL can be built without XML; the wheel is."""
    try:
        bed.sql("SELECT xml '<a/>'")
    except LinkError:
        return False
    return True


def test_every_type_comes_back_to_the_byte(bed: Bed) -> None:
    bed.sql(
        "CREATE TYPE mood AS ENUM ('sad', 'so so')",
        "CREATE TYPE pair AS (n int, t text)",
        "CREATE DOMAIN positive AS int CHECK (VALUE > 0)",
        "CREATE TABLE types (id int PRIMARY KEY)",
    )
    kinds = [(kind, values) for kind, values in _VALUES if kind != "xml" or _has_xml(bed)]
    for n, (kind, values) in enumerate(kinds):
        bed.sql(f"CREATE TABLE v{n} (id int PRIMARY KEY, v {kind})")
        for row, value in enumerate(values):
            bed.sql(f"INSERT INTO v{n} VALUES ({row}, {value})")
        bed.sql(f"INSERT INTO v{n} SELECT id + 100, v FROM v{n}")
    tables = [f"v{n}" for n in range(len(kinds))]
    before = {t: bed.rows(t) for t in tables}
    changes = [f"UPDATE {t} SET v = NULL WHERE id < 100" for t in tables]
    changes += [f"DELETE FROM {t} WHERE id >= 100" for t in tables]
    changes += [f"INSERT INTO v{n} VALUES (999, {values[0]})" for n, (_, values) in enumerate(kinds)]
    bed.migrate(7, changes, tables)
    after = {t: bed.rows(t) for t in tables}
    assert bed.undo(7).kept == ()
    assert {t: bed.rows(t) for t in tables} == before
    assert bed.redo(7).kept == ()
    assert {t: bed.rows(t) for t in tables} == after
    assert bed.undo(7).kept == ()
    assert {t: bed.rows(t) for t in tables} == before


@pytest.mark.parametrize(
    "name", ["t", "tgt", "r", "old", 'a"b', "Zoë 日本", "x" * 63, "ctid_", "user", "a.b", "c%s", "e'\\"]
)
def test_hostile_names(bed: Bed, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    bed.sql(
        "CREATE SCHEMA s",
        f"CREATE TABLE s.{quoted} ({quoted} int PRIMARY KEY, w text, n int, at int, cur int, act text)",
        f"INSERT INTO s.{quoted} VALUES (1, 'a', 1, 1, 1, 'x'), (2, 'b', 2, 2, 2, 'y')",
    )
    table = f"s.{quoted}"
    before = bed.rows(table)
    bed.migrate(
        7,
        [
            f"UPDATE {table} SET w = 'z', n = 9, act = 'q' WHERE {quoted} = 1",
            f"DELETE FROM {table} WHERE {quoted} = 2",
        ],
        [table],
    )
    after = bed.rows(table)
    assert bed.undo(7).kept_count == 0
    assert bed.rows(table) == before
    assert bed.redo(7).kept_count == 0
    assert bed.rows(table) == after
