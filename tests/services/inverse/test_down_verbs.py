"""`backout db down-sql` and `run-down` as they are typed, on a real database and scratch ones."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.command_line import Done
from tests.services.reversible.conftest import Database
from tests.services.reversible.engine import run
from tests.services.reversible.states import changed, schema_of

pytestmark = pytest.mark.slow

BEFORE = """
CREATE TYPE mood AS ENUM ('ok', 'bad');
CREATE TABLE t (id int PRIMARY KEY, x text, m mood DEFAULT 'ok');
INSERT INTO t (id, x) VALUES (1, 'x1'), (2, 'x2');
CREATE INDEX low ON t (lower(x));
CREATE SCHEMA drizzle;
CREATE TABLE drizzle.__drizzle_migrations (id serial PRIMARY KEY, hash text NOT NULL, created_at bigint);
INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES ('h0', 1);
"""
UP = """
ALTER TABLE t DROP COLUMN x; ALTER TABLE t ADD COLUMN y int NOT NULL DEFAULT 3; CREATE TABLE made (a int);
INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES ('h1', 2);
"""
SINCE = "INSERT INTO t (id, y) VALUES (3, 9); INSERT INTO made VALUES (1), (2);"


@pytest.fixture
def up(tmp_path: Path) -> Callable[[str], list[str]]:
    """Make a command that runs a script in the database of the environment."""

    def made(script: str) -> list[str]:
        file = tmp_path / "up.sql"
        file.write_text(script)
        return ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", str(file)]

    return made


def test_the_file_says_what_it_lacks_and_makes_the_schema_of_before(
    database: Database, typed: Callable[..., Done], up: Callable[[str], list[str]], tmp_path: Path
) -> None:
    link = database.link()
    run(link, BEFORE)
    before = schema_of(database.url)
    file = tmp_path / "down.sql"
    done = typed("db", "down-sql", "--output", str(file), "--", *up(UP)).ended(0)
    assert "Proven on scratch" in done.err and 'the values of public.t."x"' in done.err
    assert changed(before, schema_of(database.url)) == []

    text = file.read_text()
    assert "-- Proven on a scratch database" in text
    assert '--   * the values of public.t."x": it was dropped' in text
    assert "--   * public.made: SELECT count(*) FROM public.made;" in text
    assert "SET LOCAL lock_timeout = '2s'" in text

    run(link, UP + SINCE)
    run(link, text)
    assert changed(before, schema_of(database.url)) == []
    assert link.rows("SELECT id, x FROM t ORDER BY id")[2] == {"id": "3", "x": None}
    assert [row["hash"] for row in link.rows("SELECT hash FROM drizzle.__drizzle_migrations")] == ["h0"]


def test_what_is_printed_can_be_read_by_a_program(
    database: Database, typed: Callable[..., Done], up: Callable[[str], list[str]]
) -> None:
    run(database.link(), BEFORE)
    script = "SELECT 'said by the command'; " + UP
    assert typed("db", "down-sql", "--", *up(script)).ended(0).out.startswith("-- The way back of: psql")
    told = typed("db", "down-sql", "--json", "--", *up(script)).ended(0).json
    assert told["left"] == told["unknown"] == []
    assert [one["called"] for one in told["destroys"]] == ["public.made", 'public.t."y"']


def test_a_column_that_has_to_have_a_value_gets_the_one_that_was_told(
    database: Database, typed: Callable[..., Done], up: Callable[[str], list[str]], tmp_path: Path
) -> None:
    link = database.link()
    run(link, "CREATE TABLE t (id int PRIMARY KEY, x text NOT NULL); INSERT INTO t VALUES (1, 'x1')")
    drop = "ALTER TABLE t DROP COLUMN x"
    told = typed("db", "down-sql", "--", *up(drop)).ended(0).out
    assert 'public.t."x" has to have a value, and no row has one' in told
    assert "SELECT count(*) FROM public.t" in told

    file = tmp_path / "down.sql"
    typed("db", "down-sql", "--fill", "t.x='x' || id", "--output", str(file), "--", *up(drop)).ended(0)
    assert "has to have a value" not in file.read_text()
    run(link, drop)
    run(link, file.read_text())
    assert link.rows("SELECT id, x FROM t") == [{"id": "1", "x": "x1"}]


def test_no_file_is_made_where_the_command_fails_does_nothing_or_goes_to_the_live_database(
    database: Database, typed: Callable[..., Done], up: Callable[[str], list[str]], tmp_path: Path
) -> None:
    run(database.link(), BEFORE)
    typed("db", "down-sql", "--", *up("SELECT nonsense")).refused(
        3, what="ended with 3 on the scratch", now="only read", next="db status"
    )
    typed("db", "down-sql", "--", *up("SELECT 1")).refused(
        2, what="Nothing is another after it", now="only read", next="down-sql"
    )
    typed("db", "down-sql", "--", "no-such-command-here").refused(
        2, what="cannot be started", now="Nothing", next="command -v"
    )
    past = ("sh", "-c", 'psql -q "$APP_URL" -c "CREATE TABLE past ()"')
    typed("db", "down-sql", "--", *past, APP_URL=database.url).refused(
        7, what="live schema changed.*public.past", now="DATABASE_URL", next="--variable"
    )


@pytest.mark.parametrize("verb", ["down-sql", "run-down --tool"])
def test_a_command_that_names_the_live_database_is_not_tried(
    database: Database, typed: Callable[..., Done], verb: str
) -> None:
    run(database.link(), BEFORE)
    before = schema_of(database.url)
    typed("db", *verb.split(), "--", "psql", "-q", database.url, "-c", "CREATE TABLE past ()").refused(
        8, what="would run there", now="Nothing was run", next=f"backout db {verb} -- sh -c"
    )
    assert changed(before, schema_of(database.url)) == []


def test_a_down_is_run_so_that_it_can_be_taken_back_itself(
    database: Database, typed: Callable[..., Done], up: Callable[[str], list[str]], tmp_path: Path
) -> None:
    link = database.link()
    run(link, BEFORE)
    before = schema_of(database.url)
    file = tmp_path / "down.sql"
    typed("db", "down-sql", "--output", str(file), "--", *up(UP)).ended(0)
    run(link, UP + SINCE)
    after = schema_of(database.url)

    tried = typed("db", "run-down", str(file), "--dry-run").ended(0)
    assert "public.made: 2 " in tried.out and 'public.t."y": 3 ' in tried.out
    assert changed(after, schema_of(database.url)) == []
    typed("db", "run-down", str(file)).refused(
        4, what="Nobody can be asked", now="Nothing was changed", next="run-down .*--yes"
    )

    done = typed("db", "run-down", str(file), "--yes").ended(0)
    assert (
        "nothing that it took away is lost" in done.out and "made on scratch, by its fingerprint" in done.out
    )
    assert changed(before, schema_of(database.url)) == []
    typed("db", "rollback", "--yes").ended(0)
    assert changed(after, schema_of(database.url)) == []
    assert [row["y"] for row in link.rows("SELECT y FROM t ORDER BY id")] == ["3", "3", "9"]
    assert [row["a"] for row in link.rows("SELECT a FROM made ORDER BY a")] == ["1", "2"]
    assert len(link.rows("SELECT FROM drizzle.__drizzle_migrations")) == 2


def test_the_first_migration_of_an_empty_database(
    database: Database, typed: Callable[..., Done], up: Callable[[str], list[str]]
) -> None:
    told = typed("db", "down-sql", "--", *up("CREATE TABLE first (a int)")).ended(0).out
    assert "DROP TABLE public.first;" in told


def test_a_migration_that_has_run_without_backout_goes_back_to_the_schema_of_another_database(
    database: Database, second: Database, typed: Callable[..., Done], tmp_path: Path
) -> None:
    link = database.link()
    run(link, BEFORE)
    run(second.link(), BEFORE)
    before = schema_of(database.url)
    run(link, UP + SINCE)
    file = tmp_path / "down.sql"
    done = typed("db", "down-sql", "--from-schema", second.url, "--output", str(file)).ended(0)
    assert 'the values of public.t."x"' in done.err and "what was renamed" in file.read_text()
    assert "made anew" not in done.err.replace("as made anew", "")
    done = typed("db", "run-down", str(file), "--to-schema", second.url, "--yes").ended(0)
    assert changed(before, schema_of(database.url)) == []
    assert [row["hash"] for row in link.rows("SELECT hash FROM drizzle.__drizzle_migrations")] == ["h0"]
    typed("db", "rollback", "--yes").ended(0)
    assert [row["a"] for row in link.rows("SELECT a FROM made ORDER BY a")] == ["1", "2"]


def test_values_come_back_from_a_restored_backup_and_writes_since_are_kept(
    database: Database, second: Database, typed: Callable[..., Done], tmp_path: Path
) -> None:
    had = """
    CREATE TABLE t (id int, part text, x jsonb NOT NULL, s serial, a text, PRIMARY KEY (id, part));
    INSERT INTO t (id, part, x, a) SELECT n, 'p', jsonb_build_object('n', n, 'q', 'it''s \\'), 'a' || n FROM generate_series(1, 2500) n;
    CREATE TABLE gone (id serial PRIMARY KEY, made timestamptz, t int, part text, FOREIGN KEY (t, part) REFERENCES t ON DELETE CASCADE);
    INSERT INTO gone (made, t, part) VALUES ('2026-01-02 03:04:05+09', 1, 'p'), (NULL, NULL, NULL);
    CREATE TABLE keyless (k text); INSERT INTO keyless VALUES ('k');
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.a = 'touched'; RETURN NEW; END$$;
    """
    up = "ALTER TABLE t DROP x, DROP s; DROP TABLE gone; ALTER TABLE keyless DROP k"
    since = "INSERT INTO t VALUES (9000, 'new', 'a9000'); UPDATE t SET a = 'later' WHERE id = 2; DELETE FROM t WHERE id = 3;"
    link = database.link()
    for one in (link, second.link()):
        run(one, had)
    before = schema_of(database.url)
    run(link, up)
    run(link, since + "CREATE TRIGGER n BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch()")
    run(second.link(), "CREATE TRIGGER n BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch()")
    before = schema_of(second.url)
    file = tmp_path / "down.sql"
    typed("db", "down-sql", "--from-schema", second.url, "--fill", "t.x='{}'", "--output", str(file)).ended(0)
    told = typed("db", "run-down", str(file), "--values-from", second.url, "--yes").ended(0)
    for column in "xs":
        assert f"brought  public.t ({column}): 2499 row(s) from the backup; 1 were not in it" in told.out
    assert "brought  public.gone (id, made, t, part): 2 row(s)" in told.out
    assert 'public.keyless."k" gets no value' in told.err

    assert changed(before, schema_of(database.url)) == []
    rows = {
        row["id"]: row for row in link.rows("SELECT id, x, s, a FROM t WHERE id IN (1, 2, 3, 2500, 9000)")
    }
    assert rows["1"] == {"id": "1", "x": '{"n": 1, "q": "it\'s \\\\"}', "s": "1", "a": "a1"}
    assert rows["2"]["a"] == "later" and "3" not in rows and rows["9000"]["x"] == "{}"
    assert link.rows("SELECT id, made AT TIME ZONE 'UTC' AS made, t FROM gone ORDER BY id") == [
        {"id": "1", "made": "2026-01-01 18:04:05", "t": "1"},
        {"id": "2", "made": None, "t": None},
    ]
    assert link.rows("INSERT INTO gone (made) VALUES (NULL) RETURNING id") == [{"id": "3"}]
    typed("db", "rollback", "--yes").ended(0)
    assert len(link.rows("SELECT FROM t")) == 2500


def test_what_can_still_be_had_is_had_by_one_command(
    database: Database, second: Database, typed: Callable[..., Done]
) -> None:
    link = database.link()
    for one in (link, second.link()):
        run(one, BEFORE)
    before = schema_of(database.url)
    run(link, UP + SINCE)
    words = ("db", "rollback", "--from-schema", second.url, "--from-backup", second.url)
    assert "nothing was changed" in typed(*words, "--dry-run").ended(0).err
    done = typed(*words, "--yes").ended(0)
    assert "brought  public.t (x): 2 row(s) from the backup; 1 were not in it" in done.out
    assert "what was renamed" in done.err
    assert changed(before, schema_of(database.url)) == []
    assert [row["x"] for row in link.rows("SELECT x FROM t ORDER BY id")] == ["x1", "x2", None]
    typed("db", "rollback", "--from-backup", second.url).ended(2)


@pytest.fixture
def revisions(tmp_path: Path) -> Path:
    """A repository with two revisions of one migration file after the other, and a tool that git ignores."""
    folder = tmp_path / "repository"
    (folder / "app/migrations").mkdir(parents=True)
    (folder / "app/tools").mkdir()
    (folder / "app/tools/up.sh").write_text(
        'cat migrations/*.sql | psql -X -q -v ON_ERROR_STOP=1 -d "$DATABASE_URL"\n'
    )
    (folder / ".gitignore").write_text("tools/\n")
    (folder / "app/migrations/1.sql").write_text(BEFORE)

    def git(*words: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)

    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "1")
    git("tag", "v1")
    (folder / "app/migrations/2.sql").write_text(UP)
    git("add", "-A")
    git("commit", "-qm", "2")
    git("tag", "v2")
    return folder / "app"


def test_the_schema_of_before_is_what_the_migrations_of_a_revision_make(
    database: Database, typed: Callable[..., Done], revisions: Path
) -> None:
    run(database.link(), BEFORE)
    before = schema_of(database.url)
    run(database.link(), UP)
    link = database.link()
    run(link, SINCE)
    command = ("--from-schema", "v1", "--", "sh", "tools/up.sh")
    done = typed("db", "rollback", "--yes", *command, folder=revisions).ended(0)
    assert 'the values of public.t."x"' in done.err
    assert changed(before, schema_of(database.url)) == []
    assert [row["hash"] for row in link.rows("SELECT hash FROM drizzle.__drizzle_migrations")] == ["h0"]
    assert [row["id"] for row in link.rows("SELECT id FROM t ORDER BY id")] == ["1", "2", "3"]
    status = subprocess.run(["git", "status", "--porcelain"], cwd=revisions, capture_output=True, check=True)
    assert status.stdout == b""


def test_a_revision_that_is_none_and_one_without_its_command_are_told(
    database: Database, typed: Callable[..., Done], revisions: Path
) -> None:
    run(database.link(), BEFORE + UP)
    tool = ("--", "sh", "tools/up.sh")
    typed("db", "rollback", "--yes", "--from-schema", "v0", *tool, folder=revisions).refused(
        2, what="git revision v0 cannot be had", now="Nothing was run", next="git log"
    )
    typed("db", "down-sql", "--from-schema", "v2", *tool, folder=revisions).refused(
        2,
        what="nothing to take back: what is not as the migrations of v2",
        now="only read",
        next="an earlier one",
    )
    for words in (("--from-schema", "v1"), ("--from-schema", database.url, *tool)):
        told = typed("db", "rollback", "--yes", *words, folder=revisions).ended(2)
        assert "a git revision needs the" in " ".join(told.err.replace("│", " ").split())


def test_a_tools_own_down_is_tried_and_kept_like_a_file(
    database: Database, typed: Callable[..., Done], up: Callable[[str], list[str]]
) -> None:
    link = database.link()
    run(link, "CREATE TABLE t (id int PRIMARY KEY, y int); INSERT INTO t VALUES (1, 7)")
    down = up("ALTER TABLE t DROP COLUMN y")
    done = typed("db", "run-down", "--tool", "--yes", "--", *down).ended(0)
    assert 'public.t."y": 1 ' in done.out
    typed("db", "rollback", "--yes").ended(0)
    assert link.rows("SELECT y FROM t") == [{"y": "7"}]


def test_a_down_that_leads_elsewhere_or_does_not_run_changes_nothing(
    database: Database, typed: Callable[..., Done], tmp_path: Path
) -> None:
    link = database.link()
    run(link, "CREATE TABLE t (id int PRIMARY KEY, y int)")
    before = schema_of(database.url)
    file = tmp_path / "down.sql"
    file.write_text("ALTER TABLE t DROP COLUMN nothing")
    typed("db", "run-down", str(file), "--yes").refused(
        8, what="does not run on scratch: column .*nothing", now="Nothing was changed", next="down-sql"
    )
    file.write_text("ALTER TABLE t DROP COLUMN y")
    typed("db", "run-down", str(file), "--yes", "--to-schema", database.url).refused(
        8, what="not the one that was named: column public.t.y", now="Nothing was changed", next="--dry-run"
    )
    file.write_text("ALTER TABLE t DROP COLUMN y; REINDEX TABLE t")
    told = typed("db", "run-down", str(file), "--yes").refused(
        8, what="The down failed", now="rolled back", next="psql -f FILE"
    )
    assert "backout cannot undo" in told.err
    assert changed(before, schema_of(database.url)) == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("ALTER TABLE t DROP y; BEGIN; SELECT 1; COMMIT;", "transaction of its own within it, line 1: BEGIN"),
        ("CREATE INDEX CONCURRENTLY i ON t (y)", "cannot run in a transaction, line 1"),
        ("\n\\i other.sql", "is not SQL, line 2"),
        ("-- nothing", "has no statement"),
    ],
)
def test_a_file_that_is_no_one_transaction_is_refused_before_anything(
    typed: Callable[..., Done], tmp_path: Path, text: str, what: str
) -> None:
    file = tmp_path / "down.sql"
    file.write_text(text)
    typed("db", "run-down", str(file), "--yes").refused(
        2, what=what, now="Nothing was run", next="run-down FILE"
    )
