"""Another server: backups are restored on it, the service is switched to it and back, and what it lacks is said before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from backout.backup import BesideState, SwapOrder
from backout.children import Children
from backout.databases.postgres import PostgresDatabase, PostgresOptions
from backout.databases.postgres.beside import Mark, comment_of
from backout.embedded.binaries import account, system_binaries, wheel_binaries
from backout.embedded.server import EmbeddedPostgres
from backout.errors import BackoutError, ConfigError, NotPossible, TargetUnreachable

from .pairs import quiet
from .restoring import ROWS, dumped, ended, order_of, rows_in

pytestmark = pytest.mark.slow

_OWN_PASSWORD = "0ther p@ss"


class Other:
    """A second server, where the role has another password and a database of the live one's name is somebody else's."""

    def __init__(self, postgres: EmbeddedPostgres, service: Any) -> None:
        self.postgres, self._service, self.uses = postgres, service, service.name
        role, name = sql.Identifier(service.role), sql.Identifier(service.name)
        with self.admin() as admin:
            made = sql.SQL("CREATE ROLE {} LOGIN CREATEDB PASSWORD {}")
            admin.execute(made.format(role, sql.Literal(_OWN_PASSWORD)))
            admin.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, role))

    @property
    def url(self) -> str:
        return f"postgresql://{self._service.role}:0ther%20p%40ss@127.0.0.1:{self.postgres.port}"

    def admin(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.postgres.superuser_url, autocommit=True)

    def connect(self, name: str) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url, dbname=name, autocommit=True)

    def adapter(self, directory: Path) -> Any:
        made = self._service.adapter(directory)
        made.follow(lambda: self.uses, self.url)
        return made

    def names(self) -> set[str]:
        with self.admin() as admin:
            rows = admin.execute("SELECT datname FROM pg_database WHERE datname LIKE 'My%'").fetchall()
        return {str(row[0]) for row in rows}


def _started(directory: Path, binaries: Any) -> Iterator[EmbeddedPostgres]:
    children = Children(directory / "run")
    postgres = EmbeddedPostgres(directory, children, binaries=binaries, fsync=False)
    try:
        postgres.start()
        yield postgres
    finally:
        postgres.close()
        children.close()


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    yield from _started(tmp_path_factory.mktemp("second"), system_binaries(account()))


@pytest.fixture
def other(second: EmbeddedPostgres, service: Any) -> Iterator[Other]:
    made = Other(second, service)
    yield made
    with made.admin() as admin:
        for name in made.names():
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        admin.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(service.role)))
        admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(service.role)))


def restored(other: Other, service: Any, tmp_path: Path) -> tuple[Any, str]:
    adapter, order = other.adapter(tmp_path), order_of(service, dumped(service, tmp_path))
    adapter.start_restore(order, "run-1")
    state = ended(adapter, order.database)
    assert (state.state, state.why) == (BesideState.RESTORED, None)
    return adapter, order.database


def switch(adapter: Any, other: Other, order: SwapOrder) -> None:
    assert adapter.switch_blockers(order) == ()
    adapter.begin_switch(order, held=False, note=quiet)
    other.uses = order.beside
    adapter.end_switch(order, held=False)
    assert adapter.switch_ended(order)


def order_there(service: Any, name: str) -> SwapOrder:
    return SwapOrder(live=service.name, live_oid=None, beside=name, kept=service.name)


def order_back(service: Any, name: str) -> SwapOrder:
    return SwapOrder(live=name, live_oid=None, beside=service.name, kept=name)


def test_a_backup_is_restored_there_and_found_whole_though_each_server_has_a_password_of_its_own(
    other: Other, service: Any, tmp_path: Path
) -> None:
    with service.connect() as live:
        live.execute(sql.SQL("ALTER DATABASE {} SET work_mem = '5MB'").format(sql.Identifier(service.name)))
        live.execute("CREATE PUBLICATION ours FOR TABLE reports")
    adapter, name = restored(other, service, tmp_path)
    assert other.names() == {service.name, name}
    with service.admin() as admin:
        assert not admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
    checked = adapter.check_restored(name, service.name, note=quiet)
    assert checked.problems == () and checked.rows["public.reports"] == ROWS
    (found,) = adapter.beside(5)
    place = f"127.0.0.1:{other.postgres.port}"
    assert (found.name, found.server, adapter.elsewhere(None)) == (name, place, place)
    assert adapter.elsewhere(service.name) is None and adapter.place(name)[1] == str(other.postgres.port)
    adapter.start_restore(order_of(service, tmp_path / "dump.directory"), "run-1")
    assert adapter.restore_state(name).oid == found.oid, "what is done was done again"
    adapter.drop_beside(name)
    assert other.names() == {service.name} and adapter.beside(5) == ()


def test_the_service_is_switched_there_and_back_and_no_row_or_number_is_lost(
    other: Other, service: Any, tmp_path: Path
) -> None:
    adapter, name = restored(other, service, tmp_path)
    service.run("INSERT INTO reports (body) VALUES ('since the backup')")
    switch(adapter, other, order_there(service, name))
    live = adapter.live(5)
    assert (live.name, live.may_create) == (name, True)
    (kept,) = adapter.beside(5)
    assert (kept.name, kept.state, kept.server) == (service.name, BesideState.KEPT, None)
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        service.run("INSERT INTO reports (body) VALUES ('too late')")
    with other.connect(name) as used:
        number = used.execute("INSERT INTO reports (body) VALUES ('after') RETURNING id").fetchone()
    assert number == (ROWS + 2,)
    told = {d.table: d for d in adapter.differences(service.name, tables=(), examples=1, note=quiet)}
    reports = told["public.reports"]
    assert (reports.inserted, reports.deleted, reports.after_swap) == (1, 0, 1)
    (brought,) = adapter.bring(
        service.name, ("public.reports",), where=None, take_updated=False, dry_run=False, note=quiet
    )
    assert brought.inserted == 1
    switch(adapter, other, order_back(service, name))
    assert adapter.live(5).name == service.name
    (kept,) = adapter.beside(5)
    assert (kept.name, kept.state) == (name, BesideState.KEPT)
    service.run("INSERT INTO reports (body) VALUES ('before again')")
    with other.connect(name) as used, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        used.execute("INSERT INTO reports (body) VALUES ('too late')")
    assert rows_in(service, service.name) == ROWS + 2


def test_an_address_that_cannot_be_read_is_named_and_its_password_is_not(
    service: Any, tmp_path: Path
) -> None:
    adapter = service.adapter(tmp_path)
    adapter.follow(lambda: service.name, "postgresql://u:hunter22@[::1")
    with pytest.raises(ConfigError, match=r"restore\.switch\.server cannot be read") as raised:
        adapter.in_the_way_of_a_switch()
    assert "hunter22" not in str(raised.value)


def test_single_tables_go_back_from_there(other: Other, service: Any, tmp_path: Path) -> None:
    adapter, name = restored(other, service, tmp_path)
    service.run("DELETE FROM reports WHERE id <= 10", "UPDATE reports SET body = '' WHERE id = 11")
    (found,) = adapter.restore_tables(name, ("public.reports",), max_deleted=None, note=quiet)
    assert (found.inserted, found.updated, found.deleted) == (10, 1, 0)
    assert rows_in(service, service.name) == ROWS
    (found,) = adapter.compare_tables(name, ("public.reports",), note=quiet)
    assert (found.inserted, found.updated, found.deleted) == (0, 0, 0)


def test_what_is_restored_next_stays_on_the_server_that_has_the_live_database(
    other: Other, service: Any, tmp_path: Path
) -> None:
    adapter, name = restored(other, service, tmp_path)
    switch(adapter, other, order_there(service, name))
    newer = f"{service.name}_restored_20260202_000000"
    order = order_of(service, tmp_path / "dump.directory", database=newer).model_copy(update={"live": name})
    adapter.start_restore(order, "run-2")
    assert ended(adapter, newer).state is BesideState.RESTORED
    assert {(d.name, d.state) for d in adapter.beside(5)} == {
        (service.name, BesideState.KEPT),
        (newer, BesideState.RESTORED),
    }
    switch(adapter, other, SwapOrder(live=name, live_oid=None, beside=newer, kept=name))
    assert {d.name for d in adapter.beside(5)} == {service.name, name}


def test_databases_of_somebody_else_with_the_same_live_name_are_none_of_ours(
    other: Other, service: Any, tmp_path: Path
) -> None:
    adapter = other.adapter(tmp_path)
    theirs = f"{service.name}_prepared_20260101_000000"
    mark = Mark(state="restored", live=service.name, since="2026-01-01T00:00:00Z", backup="b", identity="i")
    with other.admin() as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(theirs)))
        comment = sql.SQL("COMMENT ON DATABASE {} IS {}")
        admin.execute(comment.format(sql.Identifier(theirs), sql.Literal(comment_of(mark))))
    assert adapter.beside(5) == ()
    with pytest.raises(BackoutError, match="not a database that backout made"):
        adapter.drop_beside(theirs)
    with pytest.raises(BackoutError, match="that backout did not make"):
        adapter.start_restore(order_of(service, dumped(service, tmp_path), database=theirs), None)
    assert theirs in other.names()


def test_what_the_other_server_lacks_is_named_with_what_to_type(
    other: Other, service: Any, make_role: Any, tmp_path: Path
) -> None:
    owner, reader = make_role("owner"), make_role("reader")
    with service.admin() as admin:
        admin.execute(f"GRANT {owner} TO {service.role}")
        admin.execute(f"CREATE SCHEMA theirs AUTHORIZATION {owner}")
        grant = sql.SQL("GRANT CREATE ON DATABASE {} TO {}")
        admin.execute(grant.format(sql.Identifier(service.name), sql.Identifier(owner)))
        admin.execute(f"GRANT SELECT ON reports TO {reader}")
    adapter = other.adapter(tmp_path)
    told = "; ".join(map(str, adapter.in_the_way_of_a_switch().blockers))
    assert (
        f"""no role {owner} on the other server; as an administrator there: psql -c 'CREATE ROLE "{owner}"'"""
        in told
    )
    assert f"no role {reader} on the other server" in told
    with other.admin() as admin:
        admin.execute(f"CREATE ROLE {owner}; CREATE ROLE {reader}")
        told = "; ".join(map(str, adapter.in_the_way_of_a_switch().blockers))
        assert told == (
            f"{service.role} may make nothing for {owner} on the other server; as an administrator there: "
            f"""psql -c 'GRANT "{owner}" TO "{service.role}"'"""
        )
        admin.execute(f"GRANT {owner} TO {service.role}")
    assert adapter.in_the_way_of_a_switch().blockers == ()
    _, name = restored(other, service, tmp_path)
    assert adapter.check_restored(name, service.name, note=quiet).problems == ()
    adapter.drop_beside(name)
    with other.admin() as admin:
        admin.execute(f"ALTER ROLE {service.role} NOCREATEDB")
        assert adapter.live(5).may_create is False
        lines = [line for line in adapter.doctor_restores() if not line.ok]
        assert [str(line.evidence) for line in lines] == [
            f"{service.role} may not create and rename databases"
        ]
        admin.execute(f"DROP ROLE {owner}; DROP ROLE {reader}")


def test_a_server_of_another_major_version_is_refused(service: Any, tmp_path: Path) -> None:
    for postgres in _started(tmp_path / "newer", wheel_binaries(account())):
        adapter = Other(postgres, service).adapter(tmp_path)
        (why,) = adapter.in_the_way_of_a_switch().blockers
        assert "is PostgreSQL 18, the live database's is 15" in str(why)
        assert any(line.ok is False and line.evidence == why for line in adapter.doctor_restores())


def test_a_server_that_does_not_answer_leaves_what_does_in_reach(
    other: Other, service: Any, free_port: Any, make_site: Any, tmp_path: Path
) -> None:
    adapter, name = restored(other, service, tmp_path)
    silent = f"postgresql://nobody@127.0.0.1:{free_port()}/x"
    without = service.adapter(tmp_path)
    without.follow(lambda: service.name, silent)
    assert without.schema(5).fingerprint == adapter.schema(5).fingerprint
    with pytest.raises(TargetUnreachable):
        without.in_the_way_of_a_switch()
    lines = [str(line.evidence) for line in without.doctor_restores() if line.ok is False]
    assert len(lines) == 1 and "(restore.switch.server): The database cannot be reached" in lines[0]
    with pytest.raises(NotPossible):
        without.start_restore(order_of(service, tmp_path / "dump.directory"), None)

    switch(adapter, other, order_there(service, name))
    alone = PostgresDatabase.create(PostgresOptions(url=silent), make_site(tmp_path))
    alone.follow(lambda: name, other.url)
    assert alone.schema(5).fingerprint == adapter.schema(5).fingerprint
    assert alone.scalar("SELECT count(*) FROM reports", 5) == ROWS
    with pytest.raises(TargetUnreachable):
        alone.beside(5)
