"""A column gets another type, and its old one back, and the new one again: no value is lost, and the schema is the same."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from backout.databases.postgres.reversible import journal
from backout.databases.postgres.reversible.back import NotReversible
from backout.databases.postgres.reversible.finalize import finalize
from backout.databases.postgres.reversible.fingerprint import Print, differences, read_print
from backout.databases.postgres.reversible.link import DirectLink, LinkError
from backout.databases.postgres.reversible.proxy.keeper import Veto

from .conftest import Database
from .engine import migrate, redo, run, undo

pytestmark = pytest.mark.slow


def printed(link: DirectLink) -> Print:
    link.rows("BEGIN")
    found = read_print(link)
    link.rows("ROLLBACK")
    return found


def same(before: Print, after: Print) -> list[str]:
    return [str(one) for one in differences(before, after)]


def values(link: DirectLink, column: str = "c", table: str = "t") -> dict[str | None, str | None]:
    return {
        one["id"]: one["v"] for one in link.rows(f"SELECT id::text AS id, {column}::text AS v FROM {table}")
    }


@dataclass(frozen=True)
class Case:
    """One change of type.

    Attributes:
        name: Of the case.
        table: Columns besides `id`; the column is `c`.
        rows: Values of `c` in rows 1, 2, … .
        up: The migration.
        new: What new code writes: into row 1, and into a new row 10.
        down: What `c` is after the way back, by row, of those two.
        old: What old code writes after it: into row 2, and into a new row 11.
        up_again: What `c` is after the way forward, by row, of those two.
    """

    name: str
    table: str
    rows: tuple[str, ...]
    up: str
    new: tuple[str, str]
    down: tuple[str, str]
    old: tuple[str, str]
    up_again: tuple[str, str]


CASES = [
    Case("int_to_bigint", "c int", ("1", "2", "3"), "ALTER TABLE t ALTER c TYPE bigint",
         ("100", "7"), ("100", "7"), ("5", "6"), ("5", "6")),
    Case("int_to_text", "c int DEFAULT 3", ("1", "2", "3"), "ALTER TABLE t ALTER COLUMN c SET DATA TYPE text\n-- backout: back t.c = c::int",
         ("'100'", "'7'"), ("100", "7"), ("5", "6"), ("5", "6")),
    Case("text_to_int", "c text", ("'1'", "'2'", "NULL"), "ALTER TABLE t ALTER c TYPE int USING c::int",
         ("100", "7"), ("100", "7"), ("'5'", "'06'"), ("5", "6")),
    Case("wider_varchar", "c varchar(5) NOT NULL DEFAULT 'x'", ("'a'", "'b'", "'c'"), "ALTER TABLE t ALTER c TYPE varchar(20)",
         ("'aa'", "'bb'"), ("aa", "bb"), ("'cc'", "'dd'"), ("cc", "dd")),
    Case("varchar_to_text", "c varchar(5) CHECK (c <> '')", ("'a'", "'b'", "'c'"), "ALTER TABLE t ALTER c TYPE text",
         ("'aa'", "'bb'"), ("aa", "bb"), ("'cc'", "'dd'"), ("cc", "dd")),
    Case("narrower_varchar", "c varchar(20)", ("'a'", "'b'", "'c'"), "ALTER TABLE t ALTER c TYPE varchar(3)",
         ("'aa'", "'bb'"), ("aa", "bb"), ("'ccc'", "'dd'"), ("ccc", "dd")),
    Case("text_to_jsonb", "c text", ("'{}'", "'{\"a\":1}'", "NULL"), "ALTER TABLE t ALTER c TYPE jsonb USING c::jsonb",
         ("'[1]'", "'[2]'"), ("[1]", "[2]"), ("'[ 3]'", "'[4]'"), ("[3]", "[4]")),
    Case("timestamp_with_zone", "c timestamp", ("'2026-01-02 03:04:05'", "NULL", "now()"),
         "SET LOCAL TimeZone = 'Asia/Tokyo'; ALTER TABLE t ALTER c TYPE timestamptz",
         ("'2026-01-02 00:00:00+00'", "'2026-01-02 01:00:00+00'"), ("2026-01-02 09:00:00", "2026-01-02 10:00:00"),
         ("'2026-01-02 09:00:01'", "'2026-01-02 09:00:02'"), ("2026-01-02 00:00:01+00", "2026-01-02 00:00:02+00")),
    Case("numeric_scale", "c numeric(6,2) DEFAULT 1.5", ("1.25", "2.5", "3"), "ALTER TABLE t ALTER c TYPE numeric(8,1)",
         ("9.9", "8.8"), ("9.90", "8.80"), ("7.77", "6"), ("7.8", "6.0")),
    Case("json", "c text", ("'{}'", "'1'", "'2'"), "ALTER TABLE t ALTER c TYPE json USING c::json",
         ("'[1]'", "'[2]'"), ("[1]", "[2]"), ("'[ 3]'", "'[4]'"), ("[ 3]", "[4]")),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_values_go_back_and_forward(database: Database, case: Case) -> None:
    link = database.link()
    link.rows("SET TimeZone = 'UTC'")
    link.rows(f"CREATE TABLE t (id int, {case.table})")
    link.rows("CREATE INDEX t_c ON t (id, c)" if case.name != "json" else "CREATE INDEX t_c ON t (id)")
    for number, value in enumerate(case.rows, 1):
        link.rows(f"INSERT INTO t (id, c) VALUES ({number}, {value})")
    rows, before = values(link), printed(link)
    number = migrate(link, case.up)
    after = printed(link)
    run(
        link, f"UPDATE t SET c = {case.new[0]} WHERE id = 1; INSERT INTO t (id, c) VALUES (10, {case.new[1]})"
    )

    undo(link, number)
    assert same(before, printed(link)) == []
    assert values(link) == rows | dict(zip(("1", "10"), case.down, strict=True))

    run(
        link, f"UPDATE t SET c = {case.old[0]} WHERE id = 2; INSERT INTO t (id, c) VALUES (11, {case.old[1]})"
    )
    redo(link, number)
    assert same(after, printed(link)) == []
    found = values(link)
    assert (found["2"], found["11"]) == case.up_again

    undo(link, number)
    assert same(before, printed(link)) == []
    assert values(link)["1"] == case.down[0]


KEYED = """
CREATE TABLE p (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n serial, code varchar(5) UNIQUE);
CREATE TABLE k (id int PRIMARY KEY, p int NOT NULL REFERENCES p ON DELETE CASCADE);
COMMENT ON COLUMN p.id IS 'number'; GRANT SELECT (id) ON p TO reader; CREATE INDEX p_n ON p (n DESC) WHERE n > 0;
INSERT INTO p (code) VALUES ('a'), ('b'); INSERT INTO k (id, p) VALUES (1, 1), (2, 2);
"""


def test_keys_sequences_and_references_go_with_the_column(database: Database) -> None:
    link = database.link()
    run(link, KEYED)
    before = printed(link)
    number = migrate(
        link, "ALTER TABLE p ALTER id TYPE bigint, ALTER n TYPE bigint; ALTER TABLE k ALTER p TYPE bigint"
    )
    after = printed(link)
    run(
        link,
        "INSERT INTO p (code) VALUES ('c'), ('d'); INSERT INTO k (id, p) VALUES (3, 3); UPDATE k SET p = 4 WHERE id = 1",
    )
    with pytest.raises(LinkError, match="k_p_fkey"):
        link.rows("INSERT INTO k (id, p) VALUES (9, 99)")

    undo(link, number)
    assert same(before, printed(link)) == []
    assert values(link, "id || ',' || n", "p") == {"1": "1,1", "2": "2,2", "3": "3,3", "4": "4,4"}
    assert values(link, "p", "k") == {"1": "4", "2": "2", "3": "3"}
    with pytest.raises(LinkError, match="k_p_fkey"):
        link.rows("INSERT INTO k (id, p) VALUES (9, 99)")
    run(
        link,
        "INSERT INTO p (code) VALUES ('e'); INSERT INTO k (id, p) VALUES (5, 5); DELETE FROM p WHERE code = 'b'",
    )
    assert values(link, "p", "k") == {"1": "4", "3": "3", "5": "5"}

    redo(link, number)
    assert same(after, printed(link)) == []
    run(link, "INSERT INTO p (code) VALUES ('f'); INSERT INTO k (id, p) VALUES (6, 6)")
    assert values(link, "n", "p") == {"1": "1", "3": "3", "4": "4", "5": "5", "6": "6"}
    undo(link, number)
    assert same(before, printed(link)) == []
    assert values(link, "p", "k") == {"1": "4", "3": "3", "5": "5", "6": "6"}


ENUM = """
CREATE TYPE "Role_new" AS ENUM ('USER', 'ADMIN');
ALTER TABLE u ALTER COLUMN role DROP DEFAULT;
ALTER TABLE u
-- backout: fill u.role = 'USER'
ALTER COLUMN role TYPE "Role_new" USING (role::text::"Role_new");
ALTER TYPE "Role" RENAME TO "Role_old";
ALTER TYPE "Role_new" RENAME TO "Role";
DROP TYPE "Role_old";
ALTER TABLE u ALTER COLUMN role SET DEFAULT 'ADMIN';
"""


def test_a1_an_enum_made_anew_goes_back_by_its_labels(database: Database) -> None:
    link = database.link()
    run(
        link,
        """CREATE TYPE "Role" AS ENUM ('USER', 'ADMIN', 'OLD');
        CREATE TABLE u (id int PRIMARY KEY, role "Role" NOT NULL DEFAULT 'USER'); INSERT INTO u (id) VALUES (1); INSERT INTO u VALUES (2, 'ADMIN')""",
    )
    before = printed(link)
    number = migrate(link, ENUM)
    after = printed(link)
    run(link, "INSERT INTO u (id) VALUES (3); UPDATE u SET role = 'ADMIN' WHERE id = 1")
    undo(link, number)
    assert same(before, printed(link)) == []
    assert values(link, "role", "u") == {"1": "ADMIN", "2": "ADMIN", "3": "ADMIN"}
    run(link, "INSERT INTO u (id) VALUES (4)")
    redo(link, number)
    assert same(after, printed(link)) == []
    assert values(link, "role", "u") == {"1": "ADMIN", "2": "ADMIN", "3": "ADMIN", "4": "USER"}
    undo(link, number)
    assert same(before, printed(link)) == []


@pytest.mark.parametrize(
    "up",
    [
        "CREATE TYPE sn AS ENUM ('a', 'b'); ALTER TABLE t ALTER c TYPE sn USING c::text::sn; DROP TYPE s; ALTER TYPE sn RENAME TO s",
        "ALTER TABLE t ALTER c TYPE s",
        "ALTER TABLE t ALTER c TYPE s USING c::text::s",
    ],
)
def test_an_enum_that_has_all_labels_of_the_later_one_needs_no_answer(database: Database, up: str) -> None:
    link = database.link()
    run(link, "CREATE TYPE s AS ENUM ('a', 'b', 'old'); CREATE TABLE t (id int PRIMARY KEY, c s NOT NULL)")
    run(link, "INSERT INTO t (id, c) VALUES (1, 'a'), (2, 'b')")
    before = printed(link)
    number = migrate(link, up)
    run(link, "INSERT INTO t (id, c) VALUES (3, 'a'); UPDATE t SET c = 'b' WHERE id = 1")
    after = printed(link)
    undo(link, number)
    assert same(before, printed(link)) == []
    assert values(link) == {"1": "b", "2": "b", "3": "a"}
    redo(link, number)
    assert same(after, printed(link)) == []
    assert values(link) == {"1": "b", "2": "b", "3": "a"}


def test_a_value_that_does_not_fit_is_kept_for_the_way_forward(database: Database) -> None:
    link = database.link()
    run(link, "CREATE TABLE t (id int, c int); INSERT INTO t VALUES (1, 1), (2, 2)")
    number = migrate(link, "ALTER TABLE t\n-- backout: back t.c = c::int\nALTER c TYPE text")
    run(link, "UPDATE t SET c = 'many' WHERE id = 1; INSERT INTO t (id, c) VALUES (3, '3'), (4, 'few')")

    outcome = undo(link, number)
    assert [one.split(" (")[0] for one in outcome.residues] == [
        "public.t.c has 2 values written since that its other type cannot hold"
    ]
    assert values(link) == {"1": None, "2": "2", "3": "3", "4": None}
    run(link, "UPDATE t SET c = 44 WHERE id = 4")

    redo(link, number)
    assert values(link) == {"1": "many", "2": "2", "3": "3", "4": "44"}


def test_a_wide_varchar_is_kept_for_the_way_forward(database: Database) -> None:
    link = database.link()
    run(link, "CREATE TABLE t (id int, c varchar(3)); INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    number = migrate(link, "ALTER TABLE t ALTER c TYPE varchar(9)")
    run(link, "UPDATE t SET c = 'longer' WHERE id = 1; INSERT INTO t VALUES (3, 'longest')")

    assert len(undo(link, number).residues) == 1
    assert values(link) == {"1": None, "2": "b", "3": None}
    run(link, "UPDATE t SET c = 'new' WHERE id = 3")
    redo(link, number)
    assert values(link) == {"1": "longer", "2": "b", "3": "new"}


def test_a_number_that_does_not_fit_into_a_key_closes_the_way_back_and_changes_nothing(
    database: Database,
) -> None:
    link = database.link()
    run(link, "CREATE TABLE t (id int PRIMARY KEY, c text)")
    number = migrate(link, "ALTER TABLE t ALTER id TYPE bigint")
    run(link, "INSERT INTO t (id, c) VALUES (3000000000, 'x')")
    before = printed(link)
    with pytest.raises(NotReversible, match=r"public\.t\.id has 1 value written since"):
        undo(link, number)
    assert same(before, printed(link)) == []
    run(link, "DELETE FROM t")
    undo(link, number)


@pytest.mark.parametrize(
    ("table", "up", "line"),
    [
        ("c int", "ALTER TABLE t ALTER c TYPE text", "-- backout: back t.c = EXPR"),
        (
            "c int NOT NULL",
            "ALTER TABLE t\n-- backout: back t.c = c::int\nALTER c TYPE text",
            "-- backout: fill t.c = EXPR",
        ),
    ],
)
def test_what_nobody_knows_is_asked_for(database: Database, table: str, up: str, line: str) -> None:
    link = database.link()
    run(link, f"CREATE TABLE t (id int, {table})")
    before = printed(link)
    with pytest.raises(Veto) as refused:
        migrate(link, up)
    assert f"{line}; or run backout migrate --" in refused.value.hint
    assert same(before, printed(link)) == []


@pytest.mark.parametrize(
    ("up", "error"),
    [
        ("ALTER TABLE t ALTER c TYPE int", 'column "c" cannot be cast automatically to type integer'),
        ("ALTER TABLE t ALTER c TYPE int USING c::int", 'invalid input syntax for type integer: "x"'),
        ("ALTER TABLE t ALTER v TYPE bigint", "cannot alter type of a column used by a view or rule"),
        ("ALTER TABLE t ALTER nothing TYPE int", 'column "nothing" of relation "t" does not exist'),
        ("ALTER TABLE nothing ALTER c TYPE int", 'relation "nothing" does not exist'),
    ],
)
def test_errors_are_those_of_postgresql(database: Database, up: str, error: str) -> None:
    link = database.link()
    run(
        link,
        "CREATE TABLE t (id int, c text, v int); CREATE VIEW w AS SELECT v FROM t; INSERT INTO t VALUES (1, 'x', 1)",
    )
    before = printed(link)
    with pytest.raises(LinkError) as plain:
        link.rows(up)
    with pytest.raises(LinkError) as soft:
        migrate(link, up)
    assert str(soft.value) == str(plain.value)
    assert error in str(soft.value)
    assert same(before, printed(link)) == []


@pytest.mark.parametrize("asked", ["", "SELECT pg_catalog.version(); "])
@pytest.mark.parametrize("scripts", [1, 2, 3])
def test_a_column_changes_its_type_twice(database: Database, scripts: int, asked: str) -> None:
    """In one transaction, in two of one migration, in two migrations."""
    link = database.link()
    run(link, "CREATE TABLE t (id int, c int); INSERT INTO t VALUES (1, 1), (2, 2)")
    before = printed(link)
    first = f"{asked}ALTER TABLE t\n-- backout: back t.c = c::int\nALTER c TYPE text"
    second = "ALTER TABLE t\n-- backout: back t.c = c #>> '{}'\nALTER c TYPE jsonb USING to_jsonb(c)"
    if scripts == 1:
        second = second.replace("c #>> '{}'", "(c #>> '{}')::int")
        numbers = [migrate(link, f"{first}\n; {second}")]
    elif scripts == 2:
        numbers = [migrate(link, first, second)]
    else:
        numbers = [migrate(link, first), migrate(link, second)]
    after = printed(link)
    run(link, "UPDATE t SET c = '\"7\"' WHERE id = 1; INSERT INTO t (id, c) VALUES (3, '\"3\"')")

    undo(link, *numbers)
    assert same(before, printed(link)) == []
    assert values(link) == {"1": "7", "2": "2", "3": "3"}
    run(link, "UPDATE t SET c = 8 WHERE id = 2")
    for number in numbers:
        redo(link, number)
    assert same(after, printed(link)) == []
    assert values(link) == {"1": '"7"', "2": '"8"', "3": '"3"'}


def test_b14_a_later_rename_leaves_the_marks_at_work(database: Database) -> None:
    link = database.link()
    run(link, "CREATE TABLE t (id int, c int); INSERT INTO t VALUES (1, 1)")
    before = printed(link)
    one = migrate(link, "ALTER TABLE t ALTER c TYPE bigint")
    two = migrate(link, "ALTER TABLE t RENAME c TO code")
    run(link, "UPDATE t SET code = 9")
    undo(link, one, two)
    assert same(before, printed(link)) == []
    assert values(link) == {"1": "9"}


def test_a6_what_the_users_own_trigger_writes_is_known(database: Database) -> None:
    link = database.link()
    run(
        link,
        """CREATE TABLE t (id int, c int); INSERT INTO t VALUES (1, 1);
        CREATE FUNCTION more() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.c := 50; RETURN NEW; END$$;
        CREATE TRIGGER zz_more BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION more()""",
    )
    number = migrate(link, "ALTER TABLE t ALTER c TYPE bigint")
    run(link, "UPDATE t SET id = 1")
    undo(link, number)
    assert values(link) == {"1": "50"}


def test_what_the_migration_itself_writes_goes_back_with_its_rows(database: Database) -> None:
    link = database.link()
    run(link, "CREATE TABLE t (id int PRIMARY KEY, c int); INSERT INTO t VALUES (1, 1), (2, 2)")
    before = printed(link)
    number = migrate(
        link, "ALTER TABLE t\n-- backout: back t.c = c::int\nALTER c TYPE text; UPDATE t SET c = 'no ' || c"
    )
    run(link, "UPDATE t SET c = '22' WHERE id = 2")
    undo(link, number)
    assert same(before, printed(link)) == []
    assert values(link) == {"1": "1", "2": "22"}
    redo(link, number)
    assert values(link) == {"1": "no 1", "2": "22"}


def test_finalized_nothing_of_it_is_left(database: Database) -> None:
    link = database.link()
    run(link, "CREATE TABLE t (id int PRIMARY KEY, c int, v varchar(5)); INSERT INTO t VALUES (1, 1, 'a')")
    migrate(link, "ALTER TABLE t ALTER id TYPE bigint, ALTER c TYPE numeric, ALTER v TYPE varchar(9)")
    after = printed(link)
    finalize(link, journal.migrations(link), patience_s=5, dry_run=False)
    assert same(after, printed(link)) == []
    left = link.rows(
        "SELECT attname FROM pg_attribute WHERE attname LIKE '%bo\\_%' AND NOT attisdropped UNION ALL "
        "SELECT tgname FROM pg_trigger WHERE tgname LIKE '%bo\\_%' UNION ALL "
        "SELECT relname FROM pg_class WHERE relname LIKE '\\_bo\\_%' UNION ALL "
        "SELECT proname FROM pg_proc WHERE proname LIKE '\\_bo\\_%'"
    )
    assert left == []
    run(link, "INSERT INTO t (id, c, v) VALUES (2, 2.5, 'b'); UPDATE t SET c = 3.5")


def test_a_migration_that_has_bodies_of_functions_unchecked_as_pg_dump_does_goes_back(
    database: Database,
) -> None:
    link = database.link()
    run(link, "CREATE TYPE mood AS ENUM ('ok', 'bad', 'so'); CREATE TABLE t (id int PRIMARY KEY, c mood)")
    run(link, "INSERT INTO t VALUES (1, 'ok'), (2, 'bad')")
    before = printed(link)
    number = migrate(
        link,
        "SET LOCAL check_function_bodies = off; ALTER TYPE mood RENAME TO earlier; CREATE TYPE mood AS ENUM ('ok', 'bad');"
        "ALTER TABLE t ALTER c TYPE mood USING c::text::mood",
    )
    run(link, "UPDATE t SET c = 'bad' WHERE id = 1; INSERT INTO t (id, c) VALUES (10, 'ok')")
    undo(link, number)
    assert same(before, printed(link)) == []
    assert values(link) == {"1": "bad", "2": "bad", "10": "ok"}
    redo(link, number)
    assert values(link) == {"1": "bad", "2": "bad", "10": "ok"}


THROUGH_TEXT = """
ALTER TABLE u ALTER COLUMN role SET DATA TYPE text;
DROP TYPE role;
CREATE TYPE role AS ENUM ({labels});
ALTER TABLE u ALTER COLUMN role SET DATA TYPE role USING role::role;
"""
"""What drizzle-kit makes of an enum of which a label is taken away."""


def test_an_enum_made_anew_by_way_of_text_goes_back_by_its_labels(database: Database) -> None:
    link = database.link()
    run(
        link,
        "CREATE TYPE role AS ENUM ('user', 'admin', 'old'); CREATE TABLE u (id int PRIMARY KEY, role role NOT NULL); "
        "CREATE INDEX ON u (role); INSERT INTO u VALUES (1, 'user'), (2, 'admin')",
    )
    before = printed(link)
    number = migrate(link, THROUGH_TEXT.format(labels="'admin', 'user'"))
    after = printed(link)
    run(link, "INSERT INTO u (id, role) VALUES (3, 'admin'); UPDATE u SET role = 'admin' WHERE id = 1")
    undo(link, number)
    assert same(before, printed(link)) == []
    assert values(link, "role", "u") == {"1": "admin", "2": "admin", "3": "admin"}
    redo(link, number)
    assert same(after, printed(link)) == []
    second = migrate(link, THROUGH_TEXT.format(labels="'user', 'admin'"))
    run(link, "UPDATE u SET role = 'user' WHERE id = 2")
    undo(link, number, second)
    assert same(before, printed(link)) == []
    assert values(link, "role", "u") == {"1": "admin", "2": "user", "3": "admin"}


def test_a_label_that_the_earlier_enum_has_not_needs_an_answer(database: Database) -> None:
    link = database.link()
    run(
        link,
        "CREATE TYPE role AS ENUM ('user'); CREATE TABLE u (id int PRIMARY KEY, role role NOT NULL); INSERT INTO u VALUES (1, 'user')",
    )
    up = THROUGH_TEXT.format(labels="'user', 'new'")
    with pytest.raises(Veto, match=r"needs an answer for public\.u\.role"):
        migrate(link, up)
    link.rows("ROLLBACK")
    before = printed(link)
    number = migrate(link, f"-- backout: fill u.role = 'user'\n{up}")
    run(link, "INSERT INTO u (id, role) VALUES (2, 'new')")
    undo(link, number)
    assert same(before, printed(link)) == []
    assert values(link, "role", "u") == {"1": "user", "2": "user"}


def test_what_is_put_where_no_value_fits_may_speak_of_the_later_value(database: Database) -> None:
    link = database.link()
    run(
        link,
        "CREATE TYPE role AS ENUM ('user', 'admin'); CREATE TABLE u (id int PRIMARY KEY, role role NOT NULL); "
        "INSERT INTO u VALUES (1, 'user')",
    )
    before = printed(link)
    fill = "fill u.role = CASE u.role::text WHEN 'root' THEN 'admin'::role ELSE 'user' END"
    number = migrate(link, f"-- backout: {fill}\nALTER TABLE u ALTER role TYPE text")
    run(link, "INSERT INTO u (id, role) VALUES (2, 'root'), (3, 'none'), (4, 'admin')")
    undo(link, number)
    assert same(before, printed(link)) == []
    assert values(link, "role", "u") == {"1": "user", "2": "admin", "3": "user", "4": "admin"}
    redo(link, number)
    assert values(link, "role", "u") == {"1": "user", "2": "root", "3": "none", "4": "admin"}


def test_a_key_that_the_other_type_has_made_anew_and_that_is_dropped_then_comes_back(
    database: Database,
) -> None:
    link = database.link()
    run(
        link,
        "CREATE TABLE t (id int, v varchar(5) NOT NULL, CONSTRAINT k PRIMARY KEY (id, v)); INSERT INTO t VALUES (1, 'a')",
    )
    before = printed(link)
    number = migrate(
        link,
        "ALTER TABLE t ALTER v TYPE varchar(5); ALTER TABLE t ADD nan boolean NOT NULL DEFAULT false;"
        "ALTER TABLE t DROP CONSTRAINT k; ALTER TABLE t ADD CONSTRAINT k PRIMARY KEY (id, v, nan)",
    )
    after = printed(link)
    for _ in range(2):
        undo(link, number)
        assert same(before, printed(link)) == []
        redo(link, number)
        assert same(after, printed(link)) == []


@pytest.mark.parametrize("cascade", [True, False])
@pytest.mark.parametrize("first", [True, False])
def test_a_number_becomes_a_text_and_its_sequence_goes(
    database: Database, *, cascade: bool, first: bool
) -> None:
    link = database.link()
    run(link, "CREATE TABLE t (id serial PRIMARY KEY, v text); INSERT INTO t (v) VALUES ('a')")
    before = printed(link)
    dropped = (
        "DROP SEQUENCE t_id_seq CASCADE;"
        if cascade
        else "ALTER TABLE t ALTER id DROP DEFAULT; DROP SEQUENCE t_id_seq;"
    )
    retyped = "ALTER TABLE t\n-- backout: back t.id = id::int\nALTER id TYPE varchar(36);"
    default = "" if first or cascade else "ALTER TABLE t ALTER id DROP DEFAULT;"
    number = migrate(link, f"{dropped}{retyped}" if first else f"{default}{retyped}{dropped}")
    after = printed(link)
    run(link, "INSERT INTO t (id, v) VALUES ('7', 'b')")
    for _ in range(2):
        undo(link, number)
        assert same(before, printed(link)) == []
        assert values(link, "v") == {"1": "a", "7": "b"}
        redo(link, number)
        assert same(after, printed(link)) == []
    undo(link, number)
    run(link, "INSERT INTO t (v) VALUES ('c')")
    assert values(link, "v") == {"1": "a", "2": "c", "7": "b"}


def test_a_name_with_capitals_that_is_told_without_quotes_is_answered_with_them(database: Database) -> None:
    link = database.link()
    run(link, """CREATE TABLE t (id int PRIMARY KEY, "sessionId" uuid)""")
    up = 'ALTER TABLE t\n-- backout: back t.sessionId = {}\nALTER "sessionId" TYPE varchar USING "sessionId"::varchar'
    with pytest.raises(Veto) as refused:
        migrate(link, up.format("sessionId::uuid"))
    assert (
        'there is no column sessionid; write "sessionId", with its quotes'
        in f"{refused.value} {refused.value.detail}"
    )
    number = migrate(link, up.format('"sessionId"::uuid'))
    told = "00000000-0000-0000-0000-000000000001"
    run(link, f"""INSERT INTO t (id, "sessionId") VALUES (1, '{told}')""")
    undo(link, number)
    assert values(link, '"sessionId"') == {"1": told}
