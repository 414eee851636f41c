"""Of the catalog only what is another is read again: every kind of change is seen, and all that it changes."""

from __future__ import annotations

import random

import pytest

from backout.databases.postgres.reversible import catalog
from backout.databases.postgres.reversible.difference import unlike
from backout.databases.postgres.reversible.last_read import LastRead
from backout.databases.postgres.reversible.link import LinkError
from backout.databases.postgres.reversible.snapshot import Key, Snapshot, Thing

from .conftest import Database
from .engine import run
from .more_things import CASES
from .servers import VERSIONS, Server, by_turns
from .test_fingerprint import transaction

pytestmark = pytest.mark.slow


_CHANGES = {change.name: change for change in CASES}
# What only the later server knows is asked of that.
_ASKED = [
    (version if version >= _CHANGES[name].since else VERSIONS[-1], name)
    for version, name in by_turns(_CHANGES)
]


@pytest.mark.parametrize(("server", "name"), _ASKED, indirect=["server"])
def test_what_is_read_of_a_change_is_what_the_whole_catalog_tells(server: Server, name: str) -> None:
    change = _CHANGES[name]
    with transaction(server, superuser=change.superuser) as link:
        if change.set_up:
            link.rows(change.set_up)
        last = LastRead()
        before = last.read(link)
        assert before == catalog.read(link)
        every_other = sorted(key.oid for key in before.things if key.kind == "table")[::2]
        some = LastRead(every_other)
        assert some.read(link) == catalog.read(link, every_other)
        link.rows("SAVEPOINT here")
        link.rows(change.change)
        assert last.read(link) == catalog.read(link)
        assert some.read(link) == catalog.read(link, every_other)
        link.rows("ROLLBACK TO here")
        assert last.read(link) == before
        assert some.read(link) == catalog.read(link, every_other)


def test_it_is_read_once_where_nothing_happens_and_again_where_something_does(database: Database) -> None:
    one, other, last = database.link(), database.link(), LastRead()
    run(one, "CREATE TABLE t (id int)")
    one.rows("BEGIN")
    found = last.read(one)
    run(other, "INSERT INTO t VALUES (1)")
    assert last.read(one) is found
    run(other, "ALTER TABLE t ADD COLUMN a int")
    assert last.read(one).things.keys() - found.things.keys()
    one.rows("ROLLBACK")


def test_what_was_rolled_back_is_read_as_it_was(database: Database) -> None:
    link, last = database.link(), LastRead()
    run(link, "CREATE TABLE t (id int)")
    link.rows("BEGIN")
    found = last.read(link)
    link.rows("ALTER TABLE t ADD COLUMN a int")
    assert last.read(link) != found
    link.rows("ROLLBACK")
    link.rows("BEGIN")
    assert last.read(link) == found
    link.rows("ROLLBACK")


_BESIDE = (
    "CREATE TABLE app.f{n} (id serial PRIMARY KEY, r app.t, m text)",
    "ALTER TABLE app.t RENAME TO t{n}",
    "ALTER TABLE app.t{m} RENAME TO t",
    "CREATE VIEW app.v{n} AS SELECT * FROM app.t",
    "ALTER TABLE app.t SET SCHEMA public",
    "ALTER TABLE public.t SET SCHEMA app",
    "ALTER SCHEMA app RENAME TO app{n}",
    "ALTER SCHEMA app{m} RENAME TO app",
    "CREATE TABLE app.c{n} (id int PRIMARY KEY, p int UNIQUE)",
    "CREATE RULE r{n} AS ON INSERT TO app.t DO ALSO NOTHING",
    "DROP TABLE app.c{m} CASCADE",
    "CREATE DOMAIN app.d{n} AS int CHECK (VALUE > {n})",
    "CREATE TABLE app.x{n} (d app.d{m}, s int DEFAULT 1)",
    "ALTER DOMAIN app.d{m} RENAME TO e{n}",
    "CREATE INDEX ON app.c{m} (p)",
    "ALTER TABLE app.c{m} ADD FOREIGN KEY (p) REFERENCES app.c{m}",
    "ALTER SEQUENCE app.f{m}_id_seq RENAME TO s{n}",
    "ALTER SEQUENCE app.f{m}_id_seq OWNED BY NONE",
    "COMMENT ON SEQUENCE app.f{m}_id_seq IS 'q{n}'",
    "CREATE TABLE app.p{n} (a int) PARTITION BY RANGE (a)",
    "CREATE TABLE app.p{m}a PARTITION OF app.p{m} FOR VALUES FROM (0) TO (10)",
    "ALTER TABLE app.p{m} RENAME a TO b",
    "TRUNCATE app.c{m} CASCADE",
    "ALTER TABLE app.c{m} OWNER TO other",
)
"""What things have to do with each other; n is new, m one of before."""


@pytest.mark.parametrize("seed", range(8))
def test_many_changes_after_each_other_and_undone_in_part(server: Server, seed: int) -> None:
    chosen = random.Random(seed)
    with transaction(server, superuser=True) as link:
        last = LastRead()
        earlier = last.read(link)
        for number in range(60):
            for statement in _statements(chosen, server, number):
                link.rows("SAVEPOINT here")
                try:
                    link.rows(statement)
                except LinkError:
                    link.rows("ROLLBACK TO here")
                now = last.read(link)
                assert now == catalog.read(link), statement
                assert list(unlike(earlier, now)) == list(unlike(Snapshot(dict(earlier.things)), now)), (
                    statement
                )
                assert all(now.of_table(*group) == of for group, of in _by_table(now).items())
                if chosen.random() < 0.2:
                    link.rows("ROLLBACK TO here")
                if chosen.random() < 0.1:
                    earlier = now


def _by_table(now: Snapshot) -> dict[tuple[str, int], dict[Key, Thing]]:
    found: dict[tuple[str, int], dict[Key, Thing]] = {}
    for key, one in now.things.items():
        if (table := key.oid if key.kind == "column" else one.get("table")) is not None:
            found.setdefault((key.kind, table), {})[key] = one
    return found


def _statements(chosen: random.Random, server: Server, number: int) -> list[str]:
    if chosen.random() < 0.5:
        return [chosen.choice(_BESIDE).format(n=number, m=chosen.randrange(max(1, number)))]
    one = chosen.choice([case for case in CASES if server.version >= case.since])
    return [text for text in (one.set_up, one.change) if text]
