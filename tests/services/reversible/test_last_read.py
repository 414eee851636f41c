"""Of the catalog only what is another is read again: every kind of change is seen, and all that it changes."""

from __future__ import annotations

import pytest

from backout.databases.postgres.reversible import catalog
from backout.databases.postgres.reversible.last_read import LastRead

from .conftest import Database
from .engine import run
from .more_things import CASES
from .servers import Server
from .test_fingerprint import transaction
from .things import Case as Change

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("change", CASES, ids=lambda change: change.name)
def test_what_is_read_of_a_change_is_what_the_whole_catalog_tells(server: Server, change: Change) -> None:
    if server.version < change.since:
        return  # this server cannot have it
    with transaction(server, superuser=change.superuser) as link:
        if change.set_up:
            link.rows(change.set_up)
        last = LastRead()
        before = last.read(link)
        assert before == catalog.read(link)
        link.rows("SAVEPOINT here")
        link.rows(change.change)
        assert last.read(link) == catalog.read(link)
        link.rows("ROLLBACK TO here")
        assert last.read(link) == before


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
