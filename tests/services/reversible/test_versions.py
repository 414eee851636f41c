"""The versions between the two that all else runs on, and an upgrade to another minor one while a migration can be taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from backout.children import Children
from backout.embedded.binaries import account
from backout.embedded.server import EmbeddedPostgres

from . import servers
from .conftest import Database
from .engine import migrate, redo, run, undo
from .kinds import KINDS
from .servers import SOURCES, Server, packed
from .states import schema_of, seen

pytestmark = pytest.mark.slow

# Every kind is run on 15 and 18; here, one of those families in which the catalog is not the same in all versions.
_FAMILIES = (
    "column_added", "not_null_set", "foreign_key_added", "check_added", "key_dropped", "domain_added", "sequence_added",
    "trigger_added", "policy_added", "granted", "stored_otherwise", "view_added",
)  # fmt: skip


@pytest.fixture(scope="module", params=[16, 17])
def server(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    require_service: Callable[[str], None],
) -> Iterator[Server]:
    require_service("node")
    with (
        packed(request.param) as binaries,
        servers.server(request.param, tmp_path_factory.mktemp("server"), binaries) as made,
    ):
        yield made


@pytest.mark.parametrize("name", _FAMILIES)
def test_there_and_back_and_there_again(name: str, database: Database) -> None:
    (kind,) = [one for one in KINDS if one.name == name]
    link = database.link()
    run(link, kind.before)
    before = schema_of(database.url)
    number = migrate(link, kind.up)
    after = schema_of(database.url)
    run(link, kind.new)
    undo(link, number)
    assert (schema_of(database.url) == before) is not kind.residue
    assert seen(link, kind.look) == kind.back
    run(link, kind.old)
    redo(link, number)
    assert schema_of(database.url) == after
    assert seen(link, kind.ahead) == kind.forth


def test_another_minor_version_takes_back_what_an_earlier_one_has_made(
    tmp_path: Path, require_service: Callable[[str], None]
) -> None:
    require_service("node")
    newer = SOURCES[15](account())
    assert newer is not None
    with packed(15) as older, closing(Children(tmp_path / "run")) as children:
        postgres = EmbeddedPostgres(tmp_path, children, binaries=older, fsync=False)
        postgres.start()
        try:
            with closing(Database(postgres.url)) as database:
                link = database.link()
                run(link, "CREATE TABLE t (id int PRIMARY KEY, a text NOT NULL DEFAULT 'd', n int); INSERT INTO t VALUES (1, 'a1', 1)")  # fmt: skip
                before, first = schema_of(database.url), _version(database)
                number = migrate(link, "ALTER TABLE t DROP COLUMN a; ALTER TABLE t ALTER n TYPE bigint; UPDATE t SET n = 5; CREATE TABLE m (id int)")  # fmt: skip
                after = schema_of(database.url)
                run(link, "INSERT INTO t (id, n) VALUES (2, 2)")
            postgres.stop()
            postgres.binaries = newer
            postgres.start()
            with closing(Database(postgres.url)) as database:
                link = database.link()
                assert _version(database) != first and _version(database) // 10000 == 15
                undo(link, number)
                assert schema_of(database.url) == before
                assert seen(link, "SELECT id, a, n FROM t ORDER BY id") == "1 a1 1 | 2 d 2"
                redo(link, number)
                assert schema_of(database.url) == after
                assert seen(link, "SELECT id, n FROM t ORDER BY id") == "1 5 | 2 2"
        finally:
            postgres.close()


def _version(database: Database) -> int:
    with closing(psycopg.connect(database.url)) as connection:
        return connection.info.server_version
