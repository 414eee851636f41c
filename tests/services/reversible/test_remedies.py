"""Rows that violate a CHECK which comes back get another value, or are set aside; the way forward gives all of it back."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from tests.command_line import Done
from tests.waiting import until

from backout.app.migrations import Migrations
from backout.databases.postgres.reversible import back, journal
from backout.databases.postgres.reversible.after import finish
from backout.databases.postgres.reversible.alone import runs
from backout.databases.postgres.reversible.back import NotReversible, Outcome
from backout.databases.postgres.reversible.link import DirectLink
from backout.databases.postgres.reversible.status import read_status
from backout.errors import NotPossible
from backout.migration import LOCK_BUDGET_MS

from .conftest import Database
from .engine import migrate, redo, run, undo
from .states import schema_of, seen
from .test_access import denied
from .test_answers import refused_with

pytestmark = pytest.mark.slow

T = """CREATE TABLE t (id int PRIMARY KEY, total numeric NOT NULL CONSTRAINT good CHECK (total >= 0), note text, at timestamptz DEFAULT now());
  INSERT INTO t VALUES (1, 10, 'a', '2026-01-02 03:04:05.678901+05')"""
DROPS = "ALTER TABLE t DROP CONSTRAINT good; ALTER TABLE t RENAME note TO said; ALTER TABLE t ADD later text DEFAULT 'x'"
BAD = "INSERT INTO t VALUES (2, -5, 'b', '2026-02-03 00:00+00', 'l2'), (3, -0.50, NULL, NULL, NULL), (4, 7, 'd', NULL, 'l4')"
ALL = "SELECT id, total, said, at, later FROM t ORDER BY id"
KEPT = "SELECT key, column_name, kept, wanted, why FROM backout.row_kept ORDER BY id"
MANY = 3_000
"""Rows that are repaired ahead, with the lock budget that these tests give: 200 rows for each millisecond."""
BUDGET = ("--lock-budget", 1)
LEFT = "SELECT count(*) FROM backout.row_kept"


def taken_with(
    link: DirectLink, number: int, answers: Mapping[str, str], budget_ms: float = LOCK_BUDGET_MS
) -> Outcome:
    """Take a migration back with answers."""
    (chosen,) = [one for one in journal.migrations(link) if one.id == number]
    outcome = back.undo(link, [chosen], patience_s=5, answers=answers, budget_ms=budget_ms)
    assert finish(link).unfinished == ()
    return outcome


def killed(link: DirectLink, typed: Callable[..., Done], point: str, *words: object) -> None:
    """Type a command that is killed at a point, and wait until the server has noticed."""
    typed(*words, BACKOUT_FAULT=point).ended(-9)
    until(lambda: runs(link) is None)


def test_rows_are_repaired_and_get_back_what_they_had(database: Database) -> None:
    link = database.link()
    run(link, T)
    before = schema_of(database.url)
    number = migrate(link, DROPS)
    after = schema_of(database.url)
    run(link, BAD)
    there = seen(link, ALL)
    with pytest.raises(NotReversible, match=r"2 row\(s\) do not meet public\.t\.good.*--repair"):
        undo(link, number)
    for _ in range(2):
        outcome = taken_with(link, number, {"repair t.total": "greatest(total, id - id)"})
        assert any("2 row(s) were given other values, as public.t.good" in one for one in outcome.residues)
        assert schema_of(database.url) == before
        assert seen(link, "SELECT id, total FROM t ORDER BY id") == "1 10 | 2 0 | 3 0 | 4 7"
        assert seen(link, "SELECT convalidated FROM pg_constraint WHERE conname = 'good'") == "t"
        redo(link, number)
        assert schema_of(database.url) == after
        assert seen(link, ALL) == there
        assert seen(link, LEFT) == "0"
    # What was told at the time of one way back is not for the next one.
    with pytest.raises(NotReversible, match="do not meet"):
        undo(link, number)


def test_what_somebody_has_changed_since_stays_and_is_told(database: Database) -> None:
    link = database.link()
    run(link, T)
    number = migrate(link, DROPS)
    run(link, BAD)
    taken_with(link, number, {"repair public.t.total": "0"})
    run(link, "UPDATE t SET total = 99 WHERE id = 2; UPDATE t SET note = 'n' WHERE id = 3")
    outcome = redo(link, number)
    assert seen(link, "SELECT id, total, said FROM t ORDER BY id") == "1 10 a | 2 99 b | 3 -0.50 n | 4 7 d"
    assert any(
        "1 value(s) that public.t.good did not allow are not there again" in one for one in outcome.residues
    )
    assert seen(link, KEPT) == "{2} total 0 -5 repaired, as public.t.good comes back; not given back"
    run(link, "DELETE FROM t WHERE id = 3")
    undo(link, number)
    redo(link, number)
    assert seen(link, "SELECT id, total FROM t ORDER BY id") == "1 10 | 2 99 | 4 7"


def test_rows_are_set_aside_and_come_again(database: Database) -> None:
    link = database.link()
    run(link, T + "; CREATE TABLE c (t int REFERENCES t ON DELETE CASCADE)")
    before = schema_of(database.url)
    number = migrate(link, DROPS)
    after = schema_of(database.url)
    run(link, BAD + "; INSERT INTO c VALUES (3), (1)")
    there = seen(link, ALL)
    with pytest.raises(
        NotReversible, match=r"1 row\(s\) that do not meet public\.t\.good.* are referred to by others"
    ):
        taken_with(link, number, {"quarantine t": ""})
    assert seen(link, ALL) == there and seen(link, "SELECT count(*) FROM c") == "2"
    run(link, "DELETE FROM c WHERE t = 3")
    there = seen(link, ALL)
    tried = Migrations(database.url).rollback(dry_run=True, answers={"quarantine t": ""})
    assert any(one.startswith('DELETE FROM "public"."t" WHERE') for one in tried.statements)
    assert seen(link, ALL) == there
    for _ in range(2):
        outcome = taken_with(link, number, {"quarantine t": ""})
        assert any("2 row(s) were set aside, as public.t.good" in one for one in outcome.residues)
        assert schema_of(database.url) == before
        assert seen(link, "SELECT id, total FROM t ORDER BY id") == "1 10 | 4 7"
        found = [one for one in read_status(link, "app", 1).hidden if one.kind == "rows"]
        assert [(one.called, one.migration) for one in found] == [("2 row(s) of public.t set aside", number)]
        redo(link, number)
        assert schema_of(database.url) == after
        assert seen(link, ALL) == there
        assert seen(link, LEFT) == "0"


def test_values_of_any_type_come_again_as_they_were(database: Database) -> None:
    link = database.link()
    run(link, """CREATE TYPE mood AS ENUM ('so', 'la'); CREATE TABLE "T x" (k uuid DEFAULT gen_random_uuid(), "é" int, arr int[], j json,
      b bytea, m mood, iv interval, d int CONSTRAINT good CHECK (d > 0), f float8, r int4range, g int GENERATED ALWAYS AS (d * 2) STORED,
      i int GENERATED ALWAYS AS IDENTITY, ch char(5), v text, PRIMARY KEY (k, "é"))""")  # fmt: skip
    number = migrate(link, 'ALTER TABLE "T x" DROP CONSTRAINT good, DROP COLUMN v, ADD fresh text')
    run(link, """INSERT INTO "T x" ("é", arr, j, b, m, iv, d, f, r, ch, fresh) VALUES
      (1, '{1,NULL}', '{"a": 1,  "b":2}', '\\x00ff', 'la', '1 mon 2 days', -1, 0.1, '[1,4)', 'ab', 'x"y,{z}'), (2, NULL, NULL, NULL, NULL, NULL, 5, 'NaN', NULL, NULL, NULL)""")  # fmt: skip
    rows = """SELECT ROW(k, "é", arr, j, b, m, iv, d, f, r, g, i, ch, fresh)::text AS r FROM "T x" ORDER BY "é" """
    there = seen(link, rows)
    for answers in ({"quarantine T x": ""}, {"repair T x.d": "abs(d)"}, {"repair public.T x.d": '"é" + 7'}):
        taken_with(link, number, answers)
        redo(link, number)
        assert seen(link, rows) == there, answers
        assert seen(link, LEFT) == "0"


def test_no_trigger_fires_and_no_policy_hides_a_row(database: Database) -> None:
    link = database.link()
    run(link, f"{T}; CREATE TABLE log (x text); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN INSERT INTO log VALUES (TG_OP); RETURN coalesce(NEW, OLD); END'; CREATE TRIGGER a BEFORE INSERT OR UPDATE OR DELETE ON t "
        "FOR EACH ROW EXECUTE FUNCTION f(); CREATE POLICY p ON t USING (id = 2) WITH CHECK (true)")  # fmt: skip
    number = migrate(link, DROPS)
    run(link, f"{BAD}; ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; DELETE FROM log")
    for answers in ({"quarantine t": ""}, {"repair t.total": "0"}):
        taken_with(link, number, answers)
        redo(link, number)
    assert seen(link, "SELECT count(*) FROM log") == "0"
    run(link, "ALTER TABLE t NO FORCE ROW LEVEL SECURITY")
    assert seen(link, "SELECT id, total FROM t ORDER BY id") == "1 10 | 2 -5 | 3 -0.50 | 4 7"


def test_what_is_made_of_a_repaired_value_stays_as_somebody_wrote_it(database: Database) -> None:
    link = database.link()
    run(link, T)
    up = "ALTER TABLE t DROP CONSTRAINT good; ALTER TABLE t ADD twice numeric; UPDATE t SET twice = total * 2"
    number = migrate(link, up)
    run(link, "INSERT INTO t (id, total, twice) VALUES (2, -5, -11), (3, -6, -13)")
    taken_with(link, number, {"repair t.total": "0"})
    run(link, "UPDATE t SET total = 8 WHERE id = 3")
    redo(link, number)
    assert seen(link, "SELECT id, total, twice FROM t ORDER BY id") == "1 10 20 | 2 -5 -11 | 3 8 16"


def test_two_migrations_are_taken_back_with_the_names_of_now(database: Database) -> None:
    link = database.link()
    run(link, T)
    first = migrate(link, "ALTER TABLE t DROP CONSTRAINT good")
    second = migrate(link, "ALTER TABLE t RENAME total TO amount; ALTER TABLE t ADD CHECK (amount > -10)")
    run(link, "INSERT INTO t VALUES (2, -5)")
    back.undo(link, journal.migrations(link), patience_s=5, answers={"repair t.amount": "-amount"})
    assert seen(link, "SELECT id, total FROM t ORDER BY id") == "1 10 | 2 5"
    redo(link, first)
    redo(link, second)
    assert seen(link, "SELECT id, amount FROM t ORDER BY id") == "1 10 | 2 -5"


def test_a_row_whose_key_was_taken_meanwhile_stays_aside(database: Database) -> None:
    link = database.link()
    run(link, T)
    number = migrate(link, DROPS)
    run(link, BAD)
    taken_with(link, number, {"quarantine t": ""})
    run(link, "INSERT INTO t VALUES (2, 5, 'theirs')")
    outcome = redo(link, number)
    assert any(
        "1 row(s) that public.t.good did not allow are not there again" in one for one in outcome.residues
    )
    assert seen(link, "SELECT id, total FROM t ORDER BY id") == "1 10 | 2 5 | 3 -0.50 | 4 7"
    assert seen(link, "SELECT key FROM backout.row_kept") == "{2}"


def test_what_no_value_helps_is_set_aside_or_refused(database: Database) -> None:
    link = database.link()
    run(link, T)
    number = migrate(link, DROPS)
    run(link, BAD)
    there = seen(link, ALL)
    repair = {"repair t.total": "CASE WHEN id = 2 THEN 1 ELSE total END"}
    with pytest.raises(NotReversible, match=r"1 row\(s\) do not meet"):
        taken_with(link, number, repair)
    assert seen(link, ALL) == there
    taken_with(link, number, repair | {"quarantine t": ""})
    assert seen(link, "SELECT id, total FROM t ORDER BY id") == "1 10 | 2 1 | 4 7"
    redo(link, number)
    assert seen(link, ALL) == there


def test_in_a_large_table_such_rows_are_found_by_an_index_of_them(
    database: Database,
) -> None:
    link = database.link()
    run(link, T)
    number = migrate(link, "ALTER TABLE t DROP CONSTRAINT good")
    run(link, "INSERT INTO t SELECT n, n - 100 FROM generate_series(2, 200000) n")
    before = schema_of(database.url)
    outcome = taken_with(link, number, {"quarantine t": ""}, budget_ms=1)
    assert any(one.startswith("DROP INDEX") for one in outcome.statements)
    assert seen(link, "SELECT count(*) FROM t WHERE total < 0") == "0"
    redo(link, number)
    assert schema_of(database.url) == before
    assert seen(link, "SELECT count(*) FROM t WHERE total < 0") == "98"


@pytest.mark.parametrize("word", ["repair t.total = abs(total)", "quarantine t"])
def test_it_may_be_told_with_the_migration(word: str, database: Database) -> None:
    link = database.link()
    run(link, T)
    number = migrate(
        link,
        f"ALTER TABLE t\n-- backout: {word}\n DROP CONSTRAINT good",
        "ALTER TABLE t RENAME total TO amount",
    )
    run(link, "INSERT INTO t VALUES (2, -5), (3, 6)")
    kind = word.split()[0].replace("quarantine", "aside").replace("repair", "repaired")
    status = read_status(link, "app", 1)
    assert (status.possible, [(one.kind, one.rows) for one in status.rows]) == ("yes", [(kind, 1)])
    for _ in range(2):
        undo(link, number)
        assert seen(link, "SELECT id, total FROM t ORDER BY id") == (
            "1 10 | 2 5 | 3 6" if "repair" in word else "1 10 | 3 6"
        )
        redo(link, number)
        assert seen(link, "SELECT id, amount FROM t ORDER BY id") == "1 10 | 2 -5 | 3 6"


NO_VALUE = {
    "0; DROP TABLE t": "is not one expression",
    "0, note = 'evil'": "is not one expression",
    "0 WHERE false --": "is not one expression",
    "0) --": "syntax error",
    "'x'::text": "is of type",
    "nothing": 'there is no column "nothing"',
    "(SELECT max(id) FROM t)": "there is a query in it",
    "max(total)": "aggregate functions are not allowed",
    "t.*": "it speaks of the whole row",
}


def test_what_is_no_value_is_refused_when_it_is_given(database: Database) -> None:
    link = database.link()
    run(link, T)
    before = schema_of(database.url)
    for answer, why in NO_VALUE.items():
        told = refused_with(
            database, f"ALTER TABLE t\n-- backout: repair t.total = {answer}\n DROP CONSTRAINT good"
        )
        assert why in told, (answer, told)
    assert schema_of(database.url) == before
    number = migrate(link, "ALTER TABLE t DROP CONSTRAINT good")
    run(link, "INSERT INTO t VALUES (2, -5)")
    for answer, why in NO_VALUE.items():
        with pytest.raises(NotReversible, match="cannot use the answer") as caught:
            taken_with(link, number, {"repair t.total": answer})
        assert why in str(caught.value), (answer, str(caught.value))
    with pytest.raises(NotReversible, match="there is no such column"):
        taken_with(link, number, {"repair t.nothing": "1"})
    for unused in ({"repair t.note": "'x'"}, {"quarantine u": ""}, {"repair u.total": "1"}):
        with pytest.raises(NotReversible, match="no CHECK, key or type that comes back is about that"):
            taken_with(link, number, unused)
    # What PostgreSQL refuses only for a value: nothing is half done.
    with pytest.raises(NotReversible, match="division by zero"):
        taken_with(link, number, {"repair t.total": "total / (id - 2)"})
    assert seen(link, "SELECT id, total FROM t ORDER BY id") == "1 10 | 2 -5"


def test_rows_that_the_migration_itself_changed_are_set_back_and_not_repaired(database: Database) -> None:
    link = database.link()
    run(link, T)
    number = migrate(link, "ALTER TABLE t DROP CONSTRAINT good; UPDATE t SET total = -total")
    run(link, "INSERT INTO t VALUES (2, -5)")
    for _ in range(2):
        taken_with(link, number, {"repair t.total": "0"})
        assert seen(link, "SELECT id, total FROM t ORDER BY id") == "1 10 | 2 0"
        redo(link, number)
        assert seen(link, "SELECT id, total FROM t ORDER BY id") == "1 -10 | 2 -5"


def test_of_a_table_without_a_key_what_rows_had_is_kept_and_told(database: Database) -> None:
    link = database.link()
    run(link, "CREATE TABLE t (id int, total int CONSTRAINT good CHECK (total > 0))")
    number = migrate(link, "ALTER TABLE t DROP CONSTRAINT good")
    run(link, "INSERT INTO t VALUES (1, -1), (1, -1)")
    there = "SELECT id, total FROM t"
    taken_with(link, number, {"quarantine t": ""})
    assert seen(link, there) == ""
    redo(link, number)
    assert seen(link, there) == "1 -1 | 1 -1"
    taken_with(link, number, {"repair t.total": "1"})
    assert any("2 value(s)" in one and "not there again" in one for one in redo(link, number).residues)
    assert seen(link, there) == "1 1 | 1 1"


def test_tables_of_a_family_are_left_to_people(database: Database) -> None:
    link = database.link()
    run(link, "CREATE TABLE p (id int, total int CONSTRAINT good CHECK (total > 0)) PARTITION BY RANGE (id);"
        "CREATE TABLE q PARTITION OF p FOR VALUES FROM (0) TO (9)")  # fmt: skip
    number = migrate(link, "ALTER TABLE p DROP CONSTRAINT good")
    run(link, "INSERT INTO p VALUES (1, -1)")
    with pytest.raises(NotReversible, match="partitioned"):
        taken_with(link, number, {"quarantine p": ""})


def _many(link: DirectLink) -> int:
    run(link, "CREATE TABLE t (id int PRIMARY KEY, total int CONSTRAINT good CHECK (total >= 0))")
    number = migrate(link, "ALTER TABLE t DROP CONSTRAINT good")
    run(
        link,
        f"INSERT INTO t SELECT n, -n FROM generate_series(1, {MANY}) n; INSERT INTO t VALUES (0, 5)",
    )
    return number


def test_many_are_repaired_ahead_and_given_back_where_the_way_is_not_taken(
    database: Database, typed: Callable[..., Done]
) -> None:
    link, other = database.link(), database.link()
    number = _many(link)
    repair = {"repair t.total": "abs(total)"}
    run(link, "CREATE TABLE w (id int)")
    migrate(link, "ALTER TABLE w ADD a int")
    run(other, ["BEGIN", "SELECT * FROM w"])
    with pytest.raises(NotPossible, match="in use"):
        Migrations(database.url, lock_budget_ms=1).rollback(steps=2, patience_s=0.1, answers=repair)
    run(other, "ROLLBACK")
    undo(link, number + 1)
    assert seen(link, "SELECT count(*) FROM t WHERE total = -id") == str(MANY)
    assert seen(link, LEFT) == "0"

    migrations = Migrations(database.url, lock_budget_ms=1)
    cut_short = ("db", "rollback", "--yes", *BUDGET, "--repair", "t.total=abs(total)")
    killed(link, typed, "db.repair.batch", *cut_short)
    assert seen(link, "SELECT count(*) FROM t WHERE total > 0 AND id > 0") == "2000"
    assert "still due: giving back what public.t.good does not allow" in typed("db", "status").ended(0).out
    migrations.finish()
    assert seen(link, "SELECT count(*) FROM t WHERE total = -id AND id > 0") == str(MANY)
    assert migrations.status().due == ()

    killed(link, typed, "db.repair.batch", *cut_short)
    done = migrations.rollback(answers=repair)
    assert any(f"{MANY} row(s) were given other values" in one for one in done.residues)
    assert seen(link, "SELECT count(*) FROM t WHERE total = id") == str(MANY)
    assert seen(link, f"SELECT state FROM backout.migration WHERE id = {number}") == "undone"
    assert seen(link, "SELECT indexname FROM pg_indexes WHERE schemaname = 'public'") == "t_pkey"
    migrations.redo()
    assert seen(link, "SELECT count(*) FROM t WHERE total = -id AND id > 0") == str(MANY)


def test_what_is_set_aside_is_nobody_elses_and_is_not_dropped_unasked(
    database: Database, typed: Callable[..., Done]
) -> None:
    link = database.link()
    run(link, T)
    number = migrate(link, DROPS)
    run(link, BAD)
    typed("db", "rollback", "--yes", "--quarantine", "t").ended(0)
    typed("db", "uninstall", "--yes").refused(
        8, what=r"2 row\(s\) of public\.t set aside", now="Nothing", next="finalize"
    )
    run(
        link,
        "GRANT USAGE ON SCHEMA public TO other; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO other",
    )
    assert denied(link, "SELECT * FROM backout.row_kept")
    found = typed("db", "finalize", "--now", "--undone", "--yes", "--json").ended(0).json
    assert "2 row(s) of public.t set aside" in [one["called"] for one in found["dropped"]]
    assert seen(link, f"SELECT state FROM backout.migration WHERE id = {number}") == "discarded"


U = """CREATE TABLE u (id int PRIMARY KEY, mail text CONSTRAINT one UNIQUE, n int); INSERT INTO u VALUES (1, 'a', 1), (2, 'b', 2)"""
TWICE = "INSERT INTO u VALUES (3, 'a', 3), (4, 'c', 4), (5, 'c', 5), (6, NULL, 6), (7, NULL, 7)"
USERS = "SELECT id, mail, n FROM u ORDER BY id"


@pytest.mark.parametrize(
    ("answers", "then"),
    [
        ({"quarantine u": ""}, "1 a 1 | 2 b 2 | 4 c 4 | 6 - 6 | 7 - 7"),
        ({"repair u.mail": "mail || '+' || id"}, "1 a 1 | 2 b 2 | 3 a+3 3 | 4 c 4 | 5 c+5 5 | 6 - 6 | 7 - 7"),
    ],
)
@pytest.mark.parametrize("dropped", ["ALTER TABLE u DROP CONSTRAINT one", "DROP INDEX one"])
def test_of_rows_with_the_same_key_the_older_one_stays(
    answers: Mapping[str, str], then: str, dropped: str, database: Database
) -> None:
    link = database.link()
    run(
        link,
        U
        if "ALTER" in dropped
        else U.replace("CONSTRAINT one UNIQUE", "") + "; CREATE UNIQUE INDEX one ON u (lower(mail))",
    )
    before = schema_of(database.url)
    number = migrate(link, dropped)
    after = schema_of(database.url)
    run(link, TWICE)
    there = seen(link, USERS)
    with pytest.raises(NotReversible, match=r"2 value\(s\) are there more than once.*--repair"):
        undo(link, number)
    for _ in range(2):
        outcome = taken_with(link, number, answers)
        assert any("2 row(s) were " in one and "public." in one for one in outcome.residues)
        assert schema_of(database.url) == before
        assert seen(link, USERS) == then
        redo(link, number)
        assert schema_of(database.url) == after
        assert seen(link, USERS) == there
        assert seen(link, LEFT) == "0"


def test_a_value_that_is_not_free_or_a_row_that_is_referred_to_keeps_the_way_back_closed(
    database: Database,
) -> None:
    link = database.link()
    run(link, f"{U}; CREATE TABLE c (u int REFERENCES u ON DELETE CASCADE)")
    number = migrate(link, "ALTER TABLE u DROP CONSTRAINT one")
    run(link, f"{TWICE}; INSERT INTO c VALUES (3)")
    there = seen(link, USERS)
    for answers, why in (
        ({"repair u.mail": "'b'"}, r"is not met by 2 row\(s\)"),
        ({"repair u.mail": "mail || id / (id - 3)"}, "division by zero"),
        ({"quarantine u": ""}, "are referred to by others"),
        ({"quarantine u": "", "repair u.mail": "'x'"}, "both repair and set aside"),
        ({"repair u.n": "0"}, "no CHECK, key or type that comes back is about that"),
    ):
        with pytest.raises(NotReversible, match=why):
            taken_with(link, number, answers)
        assert seen(link, USERS) == there and seen(link, LEFT) == "0"
    assert seen(link, "SELECT u FROM c") == "3"


def test_what_was_set_right_for_a_key_is_undone_where_the_way_back_is_cut_short(
    database: Database, typed: Callable[..., Done]
) -> None:
    link = database.link()
    run(link, U)
    number = migrate(link, "ALTER TABLE u\n-- backout: quarantine u\n DROP CONSTRAINT one")
    run(link, TWICE)
    there = seen(link, USERS)
    migrations = Migrations(database.url)
    killed(link, typed, "db.locked", "db", "rollback", "--yes")
    assert "giving back what public.u.one does not allow" in migrations.status().due
    migrations.finish()
    assert seen(link, USERS) == there and seen(link, LEFT) == "0"
    assert migrations.status().due == ()
    run(link, "CREATE TABLE w (id int)")
    migrate(link, "ALTER TABLE w ADD a int")
    other = database.link()
    run(other, ["BEGIN", "SELECT * FROM w"])
    with pytest.raises(NotPossible, match="in use"):
        migrations.rollback(steps=2, patience_s=0.1)
    run(other, "ROLLBACK")
    assert seen(link, USERS) == there and seen(link, LEFT) == "0"
    undo(link, number + 1)
    killed(link, typed, "db.keys.right", "db", "rollback", "--yes")
    assert any("2 row(s) were set aside, as public.u.one" in one for one in migrations.rollback().residues)
    migrations.redo()
    assert seen(link, USERS) == there
