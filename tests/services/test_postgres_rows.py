"""Rows of a kept database held against the live one: what is told, for any table and any changes, and what is named."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql
from tests.services.both import Both

from backout.backup import TableDifference
from backout.databases.postgres.rows.merge import by_count, by_key
from backout.errors import BackoutError, CredentialsRefused, NotPossible, UsageError

pytestmark = pytest.mark.slow


def numbers(told: TableDifference) -> tuple[int, int, int, int]:
    assert told.unknown is None, told.unknown
    return told.inserted, told.updated, told.deleted, told.after_swap


# --- any rows, any changes ----------------------------------------------------------------------

_KEYS = st.integers(0, 12)
_VALUES = st.sampled_from([None, "", "a", "A", 'ä\n,"(', "\\", " "])
_ROWS = st.dictionaries(_KEYS, _VALUES, max_size=10)


@given(backup=_ROWS, kept=_ROWS, live=_ROWS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_changes_on_both_sides_are_told_and_brought_as_a_model_says(
    both: Both, backup: dict[int, str | None], kept: dict[int, str | None], live: dict[int, str | None]
):
    both.run("DROP TABLE IF EXISTS t", "CREATE TABLE t (id text, n int, v text, PRIMARY KEY (id, n))")
    _fill(both.live, backup)
    both.swap()
    _fill(both.kept, kept)
    newer = _turn_into(both.live, backup, live)
    expected: Counter[str] = Counter()
    for key in {*kept, *live}:
        if key in kept and key in live and kept[key] == live[key]:
            continue
        if key not in live:
            expected["inserted"] += 1
        elif key in newer:
            expected["after_swap"] += 1
        else:
            expected["updated" if key in kept else "deleted"] += 1
    told = both.diff()["public.t"]
    assert told.key == ("id", "n")
    assert numbers(told) == tuple(expected[w] for w in ("inserted", "updated", "deleted", "after_swap"))
    dry = both.bring("t", take_updated=True, dry_run=True)
    assert both.diff()["public.t"] == told
    done = both.bring("t", take_updated=True)
    assert done.model_copy(update={"dry_run": True}) == dry
    assert (done.inserted, done.updated) == (expected["inserted"], expected["updated"])
    assert len(done.conflicts) == sum(k in kept and kept[k] != live[k] for k in newer)
    wanted = live | {k: v for k, v in kept.items() if k not in newer}
    assert dict(both.rows("SELECT n, v FROM t")) == wanted
    again = both.bring("t", take_updated=True)
    assert (again.inserted, again.updated, again.conflicts) == (0, 0, done.conflicts)


def _fill(database: Any, rows: dict[int, str | None]) -> None:
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO t VALUES (%s, %s, %s)", [(f"k{n % 3}", n, v) for n, v in rows.items()]
        )


def _turn_into(database: Any, before: dict[int, str | None], after: dict[int, str | None]) -> set[int]:
    """Make one set of rows of the other; returns the keys that were written."""
    written = {k for k in after if k not in before or before[k] != after[k]}
    with database.connect() as connection:
        for key in {*before} - {*after}:
            connection.execute("DELETE FROM t WHERE n = %s", (key,))
        for key in written:
            connection.execute(
                "INSERT INTO t VALUES (%s, %s, %s) ON CONFLICT (id, n) DO UPDATE SET v = excluded.v",
                (f"k{key % 3}", key, after[key]),
            )
    return written


_BAG = st.lists(_VALUES, max_size=8)


@given(kept=_BAG, before=_BAG, after=_BAG)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_without_a_key_are_counted(both: Both, kept: list[Any], before: list[Any], after: list[Any]):
    both.run("DROP TABLE IF EXISTS t", "CREATE TABLE t (v text)")
    for database, values in ((both.kept, kept), (both.live, before)):
        with database.connect() as connection, connection.cursor() as cursor:
            cursor.executemany("INSERT INTO t VALUES (%s)", [(v,) for v in values])
    both.swap()
    with both.live.connect() as connection, connection.cursor() as cursor:
        cursor.executemany("INSERT INTO t VALUES (%s)", [(v,) for v in after])
    k, b, a = Counter(kept), Counter(before), Counter(after)
    told = both.diff()["public.t"]
    assert told.key == () and told.examples == {}
    assert told.inserted == (k - b - a).total()
    assert told.deleted == (b - k).total()
    assert told.after_swap == (a - (k - b)).total()
    done = both.bring("public.t")
    assert done.inserted == told.inserted and done.equal == (k & (b + a)).total()
    assert Counter(v for (v,) in both.rows("SELECT v FROM t")) == b + a + (k - b - a)
    assert both.bring("public.t").inserted == 0


@given(kept=_ROWS, live=_ROWS)
def test_merging_agrees_with_sets(kept: dict[int, Any], live: dict[int, Any]):
    def sides(rows: dict[int, Any], newer: bool) -> list[tuple[Any, ...]]:
        return sorted((f"{k:02}", repr(v), newer) for k, v in rows.items())

    found = set(by_key(sides(kept, False), sides(live, False)))
    both_ = kept.keys() & live.keys()
    assert found == {
        *(("inserted", (f"{k:02}",), 1) for k in kept.keys() - live.keys()),
        *(("deleted", (f"{k:02}",), 1) for k in live.keys() - kept.keys()),
        *(("updated", (f"{k:02}",), 1) for k in both_ if kept[k] != live[k]),
    }
    assert list(by_count([("x", 3)], [("x", 1, 5)])) == [("after_swap", ("x",), 3)]


# --- types, names and shapes --------------------------------------------------------------------

_TYPES = """CREATE TABLE "we""ird.schema"."ta%ble s" (
  "order" uuid, "per%cent" numeric, "NULL" bytea, f float8, ts timestamptz, iv interval, j jsonb, b bit(5),
  c char(8), ch "char", arr text[], e public.mood, d public.positive, m money, x xml, r int4range, i inet,
  cmp public.pair, PRIMARY KEY ("per%cent", "order"))"""
_VALUE_ROWS = """INSERT INTO "we""ird.schema"."ta%ble s"
SELECT md5(n::text)::uuid, n / 3.0, decode(repeat('00ff', n), 'hex'), n / 3.0, '2024-03-31 02:30+02'::timestamptz + n * '1 h'::interval,
  '1 mon -2 days 03:00'::interval * n, '[1, null, {{}}]', B'10101', 'x ', 'y', ARRAY['a,b', NULL, ''], 'so so', 5,
  1234.5, '<a/>', '[1,5)', '10.0.0.1/8', ROW(n, NULL, '')::public.pair
FROM generate_series({}, {}) n"""


def test_every_type_and_hostile_names_come_over_as_they_are(both: Both):
    both.run(
        'CREATE SCHEMA "we""ird.schema"', "CREATE TYPE mood AS ENUM ('so so', 'good')",
        "CREATE DOMAIN positive AS int CHECK (VALUE > 0)", "CREATE TYPE pair AS (a int, b text, c text)", _TYPES,
        _VALUE_ROWS.format(1, 3),
    )  # fmt: skip
    both.swap()
    with both.kept.connect() as connection:
        connection.execute("SET TimeZone = 'Asia/Seoul'")
        connection.execute(_VALUE_ROWS.format(4, 30))
        connection.execute(
            'UPDATE "we""ird.schema"."ta%ble s" SET "NULL" = NULL, f = \'NaN\' WHERE "order" = md5(\'1\')::uuid'
        )
    # Sessions of people have settings of their own; the comparison does not depend on them.
    both.live.run(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET DateStyle = german', current_database()); END $$"
    )
    table = 'we"ird.schema.ta%ble s'
    told = both.diff(table)[table]
    assert numbers(told) == (27, 1, 0, 0)
    assert told.examples["updated"] == (
        "per%cent=0.33333333333333333333, order=c4ca4238-a0b9-2382-0dcc-509a6f75849b",
    )
    done = both.bring("ta%ble s", take_updated=True)
    assert (done.inserted, done.updated, done.equal, done.conflicts) == (27, 1, 2, ())
    assert numbers(both.diff(table)[table]) == (0, 0, 0, 0)
    some = both.bring(table, where="\"per%cent\" > 5 AND 'x' LIKE '%' -- a comment")
    assert (some.inserted, some.equal) == (0, 15)


def test_partitions_inheritance_generated_identity_and_schema_differences(both: Both):
    both.run(
        "CREATE TABLE parted (id int GENERATED ALWAYS AS IDENTITY, k int, twice int GENERATED ALWAYS AS (k * 2) STORED,"
        " PRIMARY KEY (id, k)) PARTITION BY LIST (k)",
        "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1)",
        "CREATE TABLE parted_2 (twice int GENERATED ALWAYS AS (k * 2) STORED, k int NOT NULL, id int NOT NULL)",
        "ALTER TABLE parted ATTACH PARTITION parted_2 FOR VALUES IN (2)",
        "CREATE TABLE parent (id int PRIMARY KEY, v text)", "CREATE TABLE child () INHERITS (parent)",
        "CREATE TABLE drift (v text, id int NOT NULL UNIQUE, old text)",
    )  # fmt: skip
    both.kept.run(
        "INSERT INTO parted (k) VALUES (1), (2), (2)", "INSERT INTO parent VALUES (1, 'p')",
        "INSERT INTO child VALUES (1, 'c')", "INSERT INTO drift VALUES ('x', 1, 'lost?')",
        "CREATE TABLE gone AS SELECT 1 AS a",
    )  # fmt: skip
    both.live.run(
        "ALTER TABLE drift DROP COLUMN old", "ALTER TABLE drift ADD COLUMN fresh int DEFAULT 7", "CREATE TABLE fresh (id int PRIMARY KEY)",
        "INSERT INTO fresh VALUES (1)",
    )  # fmt: skip
    told = both.diff()
    assert set(told) == {f"public.{n}" for n in ("parted", "parent", "child", "drift", "gone", "fresh")}
    assert told["public.parted"].inserted == 3
    assert told["public.parent"].inserted == told["public.child"].inserted == 1
    assert told["public.child"].key == ()
    assert told["public.drift"].key == ("id",)
    assert told["public.drift"].only_kept_columns == ("old",)
    assert told["public.drift"].only_live_columns == ("fresh",)
    assert (told["public.gone"].only_in, told["public.gone"].inserted) == ("kept", 1)
    assert (told["public.fresh"].only_in, told["public.fresh"].deleted) == ("live", 1)
    for table, count in (("parted", 3), ("parent", 1), ("child", 1), ("drift", 1)):
        assert both.bring(table).inserted == count
    assert both.rows("SELECT id, k, twice FROM parted ORDER BY 1") == [(1, 1, 2), (2, 2, 4), (3, 2, 4)]
    assert both.rows("SELECT id FROM ONLY parent") == [(1,)]
    assert both.rows("SELECT v, id, fresh FROM drift") == [("x", 1, 7)]
    # No number that came over is given out again.
    assert both.rows("INSERT INTO parted (k) VALUES (1) RETURNING id") == [(4,)]
    with pytest.raises(NotPossible, match="is not in the live database") as caught:
        both.bring("gone")
    assert caught.value.next_command.startswith("pg_dump -t public.gone ")


def test_a_key_with_its_own_idea_of_equality_is_looked_up_by_it(both: Both):
    with both.kept.admin() as one, both.live.admin() as other:
        one.execute("CREATE EXTENSION citext")
        other.execute("CREATE EXTENSION citext")
    both.run("CREATE TABLE t (k citext PRIMARY KEY)")
    both.kept.run("INSERT INTO t VALUES ('Anna'), ('ben')")
    both.live.run("INSERT INTO t VALUES ('anna')")
    done = both.bring("t")
    assert done.inserted == 1
    assert [str(c) for c in done.conflicts] == ["k=Anna: the live database has another row of that key"]


# --- what cannot be compared or brought is named ------------------------------------------------


def test_a_table_that_cannot_be_read_is_named_and_the_others_are_compared(both: Both):
    both.run("CREATE TABLE a (id int PRIMARY KEY)", "CREATE TABLE z (id int PRIMARY KEY)")
    both.kept.run("INSERT INTO z VALUES (1)")
    with both.live.admin() as admin:
        admin.execute("CREATE TABLE secret (id int PRIMARY KEY)")
        admin.execute("CREATE TABLE filtered (id int PRIMARY KEY)")
        admin.execute("ALTER TABLE filtered ENABLE ROW LEVEL SECURITY")
        admin.execute(sql.SQL("GRANT ALL ON filtered TO {}").format(sql.Identifier(both.live.role)))
        admin.execute("SELECT lo_create(0)")
    both.live.run("ALTER TABLE a ENABLE ROW LEVEL SECURITY")  # An owner sees all rows of his table.
    told = both.diff()
    assert "permission denied for table secret" in str(told["public.secret"].unknown)
    assert "row-level security policy" in str(told["public.filtered"].unknown)
    assert "kept 0, live 1" in str(told["large objects"].unknown)
    assert numbers(told["public.a"]) == (0, 0, 0, 0)
    assert told["public.z"].inserted == 1
    assert [m for m in both.told if "public.z" in m] == ["comparing public.z, 4 of 4"]


def test_a_locked_table_is_named(both: Both):
    both.run("CREATE TABLE t (id int PRIMARY KEY)")
    holder = both.live.connect(autocommit=False)
    holder.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
    assert "lock timeout" in str(both.diff()["public.t"].unknown)


def test_names_and_databases_that_are_not_there(both: Both):
    both.run("CREATE TABLE t (id int PRIMARY KEY)")
    with pytest.raises(UsageError, match=r"no table tt\. Near: public\.t"):
        both.diff("tt")
    kept, both.kept.__dict__["name"] = both.kept.name, "gone%'"
    with pytest.raises(UsageError, match="no kept database gone%'"):
        both.diff()
    both.kept.__dict__["name"] = both.live.name
    with pytest.raises(UsageError, match="is the live database itself"):
        both.diff()
    both.kept.__dict__["name"] = kept
    with both.kept.server.admin() as admin:
        admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(kept)))
        with pytest.raises(NotPossible, match="takes no connections now"):
            both.bring("t")
        admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(sql.Identifier(kept)))


def test_a_held_database_is_not_written(both: Both, tmp_path: Any):
    both.run("CREATE TABLE t (id int PRIMARY KEY)")
    both.kept.run("INSERT INTO t VALUES (1)")
    means = both.live.adapter(tmp_path).hold_means()
    means.hold("refuse_writes")
    with pytest.raises(NotPossible, match="refuses writes") as caught:
        both.bring("t")
    assert caught.value.next_command == "backout release-hold"
    assert both.diff()["public.t"].inserted == 1
    means.release(means.observe(5).prior)
    assert both.bring("t").inserted == 1


@pytest.mark.parametrize(
    "where",
    ["id = ", "1", "nope = 1", "id = 1; DROP TABLE t", "true) OR EXISTS (SELECT 1) UNION SELECT 1 FROM t WHERE (true",
     "true) AS boolean) OR CAST((true", "true /*", "id = $1", "true), (true", "1 / 0 = 1"],
)  # fmt: skip
def test_a_wrong_condition_is_refused_by_name(both: Both, where: str):
    both.run("CREATE TABLE t (id int PRIMARY KEY)")
    both.kept.run("INSERT INTO t VALUES (1)")
    with pytest.raises(UsageError, match="--where"):
        both.bring("t", where=where)
    assert both.rows("SELECT * FROM t") == []


def test_a_condition_cannot_write(both: Both):
    both.run("CREATE TABLE t (id int PRIMARY KEY)", "CREATE SEQUENCE s")
    both.kept.run("INSERT INTO t VALUES (1)")
    with pytest.raises(BackoutError, match="read-only"):
        both.bring("t", where="nextval('public.s') > 0")


def test_conflicts_are_told_row_by_row_and_the_rest_comes(both: Both):
    both.run(
        "CREATE TABLE owner (id int PRIMARY KEY)",
        "CREATE TABLE t (id int PRIMARY KEY, mail text UNIQUE, owner int REFERENCES owner, n int CHECK (n < 100),"
        " parent int REFERENCES t DEFERRABLE INITIALLY DEFERRED)",
        "INSERT INTO owner VALUES (1)",
    )  # fmt: skip
    both.kept.run(
        "INSERT INTO owner VALUES (2)",
        "INSERT INTO t SELECT n, 'm' || n, 1, 1, CASE WHEN n < 120 THEN n + 1 END FROM generate_series(1, 120) n",
        "UPDATE t SET owner = 2 WHERE id = 70", "ALTER TABLE t DROP CONSTRAINT t_n_check", "UPDATE t SET n = 500 WHERE id = 90",
    )  # fmt: skip
    both.live.run("INSERT INTO t VALUES (5000, 'm5', 1, 1, NULL), (3, 'other', 1, 1, NULL)")
    done = both.bring("t")
    told = {str(c).split(":")[0]: str(c) for c in done.conflicts}
    assert "(mail)=(m5) already exists" in told["id=5"]
    assert 'violates check constraint "t_n_check"' in told["id=90"]
    assert "500" not in told["id=90"]
    assert '(owner)=(2) is not present in table "owner"' in told["id=70"]
    assert told["id=3"] == "id=3: the live database has another row of that key"
    # Whose parent is missing is named too, down to the last one; all others are there.
    assert "(parent)=(5) is not present" in told["id=4"]
    assert done.inserted + len(done.conflicts) == 120
    assert both.rows("SELECT count(*) FROM t") == [(done.inserted + 2,)]
    assert done.inserted == 120 - 90 + 2  # 2 has the parent 3, which is there already, and 1 has 2
    with both.kept.connect() as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (120,)


@pytest.mark.parametrize("bad", [(), (1,), (500, 501), (250, 251, 252, 1203), tuple(range(1, 1204, 97))])
def test_of_many_rows_at_once_only_those_that_are_refused_stay_behind(both: Both, bad: tuple[int, ...]):
    both.run("CREATE TABLE t (id serial PRIMARY KEY, v text)")
    both.kept.run("INSERT INTO t SELECT n, n::text FROM generate_series(1, 1203) n")
    both.live.run(
        f"ALTER TABLE t ADD CONSTRAINT small CHECK (id <> ALL ('{{{','.join(map(str, bad))}}}'::int[]))"
    )
    told = both.bring("t")
    assert (told.inserted, {str(c).split(":")[0] for c in told.conflicts}) == (
        1203 - len(bad),
        {f"id={n}" for n in bad},
    )
    assert both.rows("SELECT count(*) FROM t") == [(1203 - len(bad),)]
    both.kept.run("UPDATE t SET v = 'new ' || v")
    assert both.bring("t", take_updated=True).updated == 1203 - len(bad)
    assert both.bring("t", take_updated=True).equal == 1203 - len(bad)


def test_rows_without_a_column_to_write_come_by_their_number(both: Both):
    both.run("CREATE TABLE t (n int GENERATED ALWAYS AS (1) STORED)")
    both.kept.run(*["INSERT INTO t DEFAULT VALUES"] * 3)
    assert both.bring("t").inserted == 3
    assert both.rows("SELECT n FROM t") == [(1,)] * 3


def test_triggers_do_not_run_again_and_stay_as_they_were(both: Both):
    both.run(
        "CREATE TABLE audit (what text)",
        "CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.audit VALUES (NEW.v);"
        " NEW.v := 'changed'; RETURN NEW; END $$",
        "CREATE TABLE t (id int, k int, v text, PRIMARY KEY (id, k)) PARTITION BY LIST (k)",
        "CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1)",
        "CREATE TRIGGER usual BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION noted()",
        "CREATE TRIGGER own BEFORE INSERT ON t1 FOR EACH ROW EXECUTE FUNCTION noted()",
        "ALTER TABLE t1 ENABLE ALWAYS TRIGGER own",
        "CREATE TRIGGER off BEFORE INSERT ON t1 FOR EACH ROW EXECUTE FUNCTION noted()",
        "ALTER TABLE t1 DISABLE TRIGGER off",
    )  # fmt: skip
    states = "SELECT tgrelid::regclass::text, tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2"
    both.kept.run(
        "ALTER TABLE t DISABLE TRIGGER USER",
        "ALTER TABLE t1 DISABLE TRIGGER USER",
        "INSERT INTO t VALUES (1, 1, 'as it was')",
    )
    before = both.rows(states)
    assert both.bring("t").inserted == 1
    assert both.rows("SELECT v FROM t") == [("as it was",)]
    assert both.rows("SELECT * FROM audit") == []
    assert both.rows(states) == before
    with both.live.admin() as admin:
        admin.execute("ALTER TABLE t1 OWNER TO postgres")
    both.kept.run("INSERT INTO t VALUES (2, 1, 'x')")
    with pytest.raises(NotPossible, match="does not own the table: own"):
        both.bring("t")


def test_rules_and_missing_rights_are_refused(both: Both):
    both.run("CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE u (id int PRIMARY KEY)")
    both.kept.run("INSERT INTO t VALUES (1)", "INSERT INTO u VALUES (1)")
    both.live.run(
        "CREATE RULE quiet AS ON INSERT TO t DO INSTEAD NOTHING", "REVOKE INSERT ON u FROM CURRENT_USER"
    )
    with pytest.raises(NotPossible, match="rules that change what is written: quiet"):
        both.bring("t")
    with pytest.raises(CredentialsRefused, match="permission denied for table u"):
        both.bring("u")


def test_sequences_follow_and_a_dry_run_draws_no_number(both: Both):
    both.run("CREATE TABLE t (id serial PRIMARY KEY, far bigint GENERATED BY DEFAULT AS IDENTITY)")
    both.kept.run("INSERT INTO t VALUES (7, 5000000), (3, 1)")
    assert both.bring("t", dry_run=True).inserted == 2
    assert both.rows("SELECT last_value, is_called FROM t_id_seq") == [(1, False)]
    both.bring("t")
    assert both.rows("INSERT INTO t DEFAULT VALUES RETURNING id, far") == [(8, 5000001)]
    both.bring("t")
    assert both.rows("INSERT INTO t DEFAULT VALUES RETURNING id, far") == [(9, 5000002)]


def test_large_values_come_over(both: Both):
    both.run("CREATE TABLE t (id int PRIMARY KEY, big text, raw bytea)")
    both.kept.run(
        "INSERT INTO t SELECT n, repeat(md5(n::text), 400000), decode(repeat('ab', 5000000), 'hex') FROM generate_series(1, 3) n"
    )
    assert both.bring("t").inserted == 3
    assert numbers(both.diff()["public.t"]) == (0, 0, 0, 0)


def test_memory_does_not_grow_with_the_table(both: Both):
    both.run("CREATE TABLE t (id int PRIMARY KEY, body text)")

    def peak(rows: int) -> int:
        both.run("TRUNCATE t", f"INSERT INTO t SELECT n, repeat('x', 200) FROM generate_series(1, {rows}) n")
        both.kept.run("UPDATE t SET body = 'y' WHERE id % 2 = 0")
        tracemalloc.start()
        try:
            assert both.diff()["public.t"].updated == rows // 2
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    small = peak(20_000)
    assert peak(160_000) < 1.3 * small
