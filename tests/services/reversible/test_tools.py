"""A shop's history, applied by real migration tools: through backout it is the same, and each step goes back and forth."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from tests.services.reversible.conftest import Database
from tests.services.reversible.servers import EVERYTHING
from tests.services.reversible.states import schema_of
from tests.services.reversible.tools import (
    Alembic,
    AlembicPsycopg2,
    Drizzle,
    DrizzlePostgres,
    Prisma,
    Psql,
    Tool,
)
from tests.services.reversible.values import Rows, changed, read_rows

from backout.databases.postgres.reversible.link import DirectLink
from backout.embedded.server import EmbeddedPostgres

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class State:
    things: dict[str, str]
    rows: Rows


def state(database: Database) -> State:
    things = schema_of(database.url)[1]
    with closing(psycopg.connect(database.url, autocommit=True)) as connection:
        link = DirectLink(connection)
        link.rows("BEGIN ISOLATION LEVEL REPEATABLE READ")
        rows = read_rows(link)
    return State(things, {name: one for name, one in rows.items() if not name.startswith("backout.")})


def unlike(
    before: State, after: State, clocks: tuple[str, ...] = (), residue: tuple[str, ...] = ()
) -> list[str]:
    """Return what differs: things by name, rows by text, but for when it was and what PostgreSQL cannot take back."""
    names = sorted(before.things.keys() | after.things.keys())
    found = [
        f"{name}: {before.things.get(name)} -> {after.things.get(name)}"
        for name in names
        if before.things.get(name) != after.things.get(name) and not any(one in name for one in residue)
    ]
    return found + changed(_timeless(before.rows, clocks), _timeless(after.rows, clocks))


def _timeless(rows: Rows, clocks: tuple[str, ...]) -> Rows:
    pattern = re.compile("|".join(rf"{one}='[^']*'" for one in clocks) or "(?!)")
    return {name: [pattern.sub("", row) for row in lines] for name, lines in rows.items()}


def ok(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def plain(postgres: EmbeddedPostgres, database: Database) -> Iterator[Database]:
    """A second database, which knows nothing of backout."""
    name = database.url.rsplit("/", 1)[1] + "plain"
    with closing(psycopg.connect(postgres.superuser_url, autocommit=True)) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} OWNER collector").format(sql.Identifier(name)))
        made = Database(postgres.url.rsplit("/", 1)[0] + f"/{name}")
        yield made
        made.close()
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def tool(request: pytest.FixtureRequest, tmp_path: Path, require_service: Callable[[str], None]) -> Tool:
    require_service(request.param.needs)
    made: Tool = request.param(tmp_path)
    return made


OTHER_DRIVERS = (DrizzlePostgres, AlembicPsycopg2)


@pytest.mark.parametrize(
    "tool", [Drizzle, Prisma, Alembic, Psql, *(OTHER_DRIVERS if EVERYTHING else ())], indirect=True
)
# One version: a history takes a minute or two, and what differs between versions is tested kind by kind.
@pytest.mark.parametrize("server", [15], indirect=True)
def test_17_a_history_goes_up_as_without_backout_and_back_and_up_again_one_by_one(
    tool: Tool, database: Database, plain: Database
) -> None:
    link = database.link()
    for one in (plain, database):
        tool.before(one.url)
    states = [state(database)]
    for count, name in enumerate(tool.names(), 1):
        tool.lay(count)
        ok(tool.plain(plain.url))
        said = ok(tool.through(database.url, "--release", f"1.{count}.0", *tool.answers.get(name, ())))
        assert "can be taken back" in said, f"{name}: {said}"
        states.append(state(database))
        assert unlike(state(plain), states[-1], tool.clocks) == [], name
        if count == 2:
            for one in (plain, database):
                one.connect().execute(tool.seeds)
            states[-1] = state(database)

    last = len(states) - 1
    _back(tool, database, states, residue=tool.residue)
    _forth(tool, database, states)

    for one in (plain, database):
        one.connect().execute(tool.since)
    states[last] = state(database)
    assert unlike(state(plain), states[last], tool.clocks) == []
    ok(tool.backout(database.url, "db", "rollback", "--yes", "--steps", str(last - 2)))
    now = {row["email"] for row in link.rows("SELECT email FROM customers")}
    assert {"ann@x", "bob@x", "cem@x"} <= now
    assert unlike(State(states[2].things, {}), State(state(database).things, {}), residue=tool.residue) == []
    ok(tool.backout(database.url, "db", "redo", "--yes", "--steps", str(last - 2)))
    assert unlike(states[last], state(database)) == []
    assert tool.done(database.url, link) in (last, None)


def _back(tool: Tool, database: Database, states: list[State], residue: tuple[str, ...]) -> None:
    """Take back one by one; the tool says each time that it is pending."""
    link, names = database.link(), tool.names()
    for count in reversed(range(len(names))):
        ok(tool.backout(database.url, "db", "rollback", "--yes"))
        now = state(database)
        assert unlike(State(states[count].things, {}), State(now.things, {}), residue=residue) == [], names[
            count
        ]
        if count >= 2:
            assert changed(states[count].rows, now.rows) == [], names[count]
        if count:
            assert tool.done(database.url, link) in (count, None), names[count]


def _forth(tool: Tool, database: Database, states: list[State]) -> None:
    link, names = database.link(), tool.names()
    for count, name in enumerate(names, 1):
        ok(tool.backout(database.url, "db", "redo", "--yes"))
        now = state(database)
        assert unlike(State(states[count].things, {}), State(now.things, {}), residue=tool.residue) == [], (
            name
        )
        if count > 2:
            assert changed(states[count].rows, now.rows) == [], name
    assert unlike(states[-1], state(database)) == []
    done = tool.done(database.url, link)
    assert done in (len(names), None)
    if done is None:
        return
    said = ok(tool.through(database.url))
    assert "Nothing was changed that would have to be taken back" in said
