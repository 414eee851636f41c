"""What real migration tools do at the edges: they fail, go another way, are run again after a way back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.command_line import Done
from tests.services.reversible.conftest import Database
from tests.services.reversible.engine import run
from tests.services.reversible.test_tools import State, ok, state, unlike
from tests.services.reversible.tools import (
    Alembic,
    AlembicPsycopg2,
    Django,
    Drizzle,
    DrizzlePg,
    DrizzlePostgres,
    PsqlOne,
    Tool,
)

pytestmark = pytest.mark.slow

FAILING_ALEMBIC = """
from alembic import op

revision = "{number}"
down_revision = "{before}"


def upgrade() -> None:
    op.execute("{statement}")
"""


@pytest.fixture
def tool(request: pytest.FixtureRequest, tmp_path: Path, require_service: Callable[[str], None]) -> Tool:
    require_service(request.param.needs)
    made: Tool = request.param(tmp_path)
    return made


@pytest.mark.parametrize("tool", [DrizzlePg, DrizzlePostgres, Alembic, Django, PsqlOne], indirect=True)
def test_two_migrations_at_once_are_taken_back_at_once_and_then_run_again(
    tool: Tool, database: Database
) -> None:
    """After a way back the tool runs what is pending anew, as in a deploy that is tried again."""
    tool.before(database.url)
    link = database.link()
    tool.lay(1)
    ok(tool.through(database.url))
    tool.lay(2)
    ok(tool.through(database.url))
    applied = state(database)
    ok(tool.backout(database.url, "db", "rollback", "--yes", "--steps", "2"))
    tables = [one for one in state(database).things if one.startswith("table ")]
    assert not [one for one in tables if one.endswith((".customers", ".orders"))]
    tool.lay(1)
    ok(tool.through(database.url))
    tool.lay(2)
    ok(tool.through(database.url))
    assert tool.done(database.url, link) in (2, None)
    # Rows that Django writes itself have got other numbers: sequences go on.
    assert unlike(State(applied.things, {}), State(state(database).things, {})) == []


def test_a_failing_drizzle_migration_leaves_nothing(
    database: Database, tmp_path: Path, require_service: Callable[[str], None]
) -> None:
    require_service("node")
    tool = Drizzle(tmp_path)
    tool.lay(2)
    ok(tool.through(database.url))
    before = state(database)
    tool.add("0002_fails", 'ALTER TABLE "orders" DROP COLUMN "total";', "SELECT 1/0;")
    done = tool.through(database.url)
    assert done.returncode == 1
    assert "Nothing was changed" in done.stderr
    assert unlike(before, state(database)) == []


def test_what_alembic_had_committed_before_it_failed_is_taken_back(
    database: Database, tmp_path: Path
) -> None:
    tool = AlembicPsycopg2(tmp_path)
    tool.lay(2)
    ok(tool.through(database.url))
    before = state(database)
    for number, earlier, statement in (
        ("0003", "0002", "ALTER TABLE orders DROP COLUMN total"),
        ("0004", "0003", "SELECT 1/0"),
    ):
        text = FAILING_ALEMBIC.format(number=number, before=earlier, statement=statement)
        (tmp_path / f"versions/{number}.py").write_text(text)
    done = tool.through(database.url, "--fill", "orders.total=0")
    assert done.returncode == 1
    assert "what it had committed before is there" in done.stderr, done.stderr
    assert tool.done(database.url, database.link()) == 3
    assert "column public.orders.total" not in state(database).things
    ok(tool.backout(database.url, "db", "rollback", "--yes"))
    assert unlike(before, state(database)) == []
    assert tool.done(database.url, database.link()) == 2


def test_alembic_in_one_transaction_leaves_nothing(database: Database, tmp_path: Path) -> None:
    tool = Alembic(tmp_path)
    tool.lay(2)
    ok(tool.through(database.url))
    before = state(database)
    for number, earlier, statement in (
        ("0003", "0002", "ALTER TABLE orders DROP COLUMN total"),
        ("0004", "0003", "SELECT 1/0"),
    ):
        text = FAILING_ALEMBIC.format(number=number, before=earlier, statement=statement)
        (tmp_path / f"versions/{number}.py").write_text(text)
    done = tool.through(database.url, "--fill", "orders.total=0")
    assert done.returncode == 1
    assert "Nothing was changed" in done.stderr
    assert unlike(before, state(database)) == []


def test_a_url_in_the_commands_own_words_is_refused_before_it_goes_past_backout(
    database: Database, typed: Callable[..., Done]
) -> None:
    url = database.url.replace("postgresql://", "postgresql+psycopg://")
    typed("migrate", "--", "psql", url, "-c", "CREATE TABLE made ()").refused(
        8, what="URL in its own words", now="Nothing was run", next="backout migrate -- sh -c"
    )
    script = 'psql "$DATABASE_URL" -c "CREATE TABLE made ()"'
    assert "table public.made made" in typed("migrate", "--", "sh", "-c", script).ended(0).err


def test_a_literal_url_goes_past_backout_and_that_is_told(database: Database, tmp_path: Path) -> None:
    tool = Alembic(tmp_path)
    url = database.url.replace("postgresql://", "postgresql+psycopg://")
    with (tmp_path / "alembic.ini").open("a") as file:
        file.write(f"sqlalchemy.url = {url}\n")
    tool.lay(1)
    done = tool.through(database.url)
    assert done.returncode == 7
    assert "No connection came through backout" in done.stderr
    assert "table public.customers" in state(database).things


@pytest.mark.parametrize(
    ("here", "past", "options", "code"),
    [
        ("SELECT 1", "ALTER TABLE t ADD b int", (), 7),
        ("ALTER TABLE t ADD a int; CREATE INDEX CONCURRENTLY i ON t (id)", "ALTER TABLE t ADD b int", (), 7),
        ("ALTER TABLE t ADD a int", "ALTER TABLE t ADD b int", ("--observe",), 7),
        ("SELECT 1", "UPDATE alembic_version SET version_num = '2'", (), 7),
        ("ALTER TABLE t ADD a int", "UPDATE alembic_version SET version_num = '2'", (), 7),
        ("SELECT 1", "UPDATE alembic_version SET version_num = '2'", ("--observe",), 7),
        ("ALTER TABLE t ADD a int; UPDATE alembic_version SET version_num = '2'", "SELECT 1", (), 0),
        ("ALTER TABLE t ADD a int; CREATE INDEX CONCURRENTLY i ON t (id); DROP TABLE o", "SELECT 1", (), 0),
        ("ALTER TABLE t ADD a int; DROP TABLE o", "SELECT 1", ("--observe",), 0),
    ],
)  # fmt: skip
def test_what_goes_past_backout_beside_what_comes_through_is_told(
    database: Database, tmp_path: Path, here: str, past: str, options: tuple[str, ...], code: int
) -> None:
    run(database.link(), "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE o (id int); "
        "CREATE TABLE alembic_version (version_num text PRIMARY KEY); INSERT INTO alembic_version VALUES ('1')")  # fmt: skip
    through = " ".join(f'-c "{one}"' for one in here.split("; "))
    # In a file: one that has the URL in its words is refused.
    script = tmp_path / "both.sh"
    script.write_text(f'psql -Xq {through} && psql -Xq -d {database.url} -c "{past}"')
    done = PsqlOne(tmp_path).through(database.url, *options, argv=["sh", "-e", str(script)])
    assert done.returncode == code, done.stderr
    assert ("not through backout" in done.stderr) is (code == 7)
    assert ("next   backout migrate --variable NAME" in done.stderr) is (code == 7)
    if "ADD a int" in here and not options:
        assert "column public.t.a made" in done.stderr


def test_commands_of_psql_are_each_their_own(database: Database, tmp_path: Path) -> None:
    """A `-c` with several statements is one transaction; the one before it is committed when it fails."""
    tool = PsqlOne(tmp_path)
    before = state(database)
    psql = ["psql", "-X", "-v", "ON_ERROR_STOP=1"]
    done = tool.through(
        database.url,
        argv=[*psql, "-c", "CREATE TABLE a (id int)", "-c", "CREATE TABLE b (id int); SELECT 1/0"],
    )
    assert done.returncode == 1
    things = state(database).things
    assert "table public.a" in things
    assert "table public.b" not in things
    ok(tool.backout(database.url, "db", "rollback", "--yes"))
    assert unlike(before, state(database)) == []
    said = ok(tool.through(database.url, argv=[*psql, "-c", "CREATE TABLE b (id int)", "-c", "DROP TABLE b"]))
    assert "can be taken back" in said
    ok(tool.backout(database.url, "db", "rollback", "--yes"))
    assert unlike(before, state(database)) == []


@pytest.mark.parametrize("forgets", ["DEALLOCATE ALL", "DISCARD ALL"])
def test_a_client_may_have_the_server_forget_what_was_prepared(
    database: Database, tmp_path: Path, forgets: str
) -> None:
    tool = PsqlOne(tmp_path)
    before = state(database)
    adds = [f"CREATE TABLE t{number} (id int)" for number in range(3)]
    commands = [adds[0], forgets, "CREATE TABLE gone (id int); DROP TABLE gone", adds[1], forgets, adds[2]]
    if forgets == "DEALLOCATE ALL":
        commands.append(
            f"BEGIN; {forgets}; ALTER TABLE t0 ADD a int; {forgets}; ALTER TABLE t0 DROP a; COMMIT"
        )
    words = [word for one in commands for word in ("-c", one)]
    ok(tool.through(database.url, argv=["psql", "-X", "-v", "ON_ERROR_STOP=1", *words]))
    assert {"table public.t0", "table public.t1", "table public.t2"} <= state(database).things.keys()
    ok(tool.backout(database.url, "db", "rollback", "--yes"))
    assert unlike(before, state(database)) == []
