"""Connecting, asking, diagnosing and detecting; every way to fail says what, the state, and what to type."""

from __future__ import annotations

import socket
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from backout.databases.base import Database
from backout.databases.postgres import PostgresDatabase, PostgresOptions
from backout.databases.postgres.connect import has_settings, secrets_of
from backout.databases.postgres.doctor import diagnose
from backout.errors import BackoutError, ConfigError, CredentialsRefused, TargetUnreachable
from backout.holds.base import HoldMeans
from backout.platforms.base import Site

pytestmark = pytest.mark.slow

SECRET = "Zx9-very-secret"


def bind(url: str, site: Site, **options: Any) -> PostgresDatabase:
    return PostgresDatabase.create(PostgresOptions.model_validate({"url": url, **options}), site)


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_it_is_what_the_contract_asks_for(database: Any, tmp_path: Path) -> None:
    adapter: Database = database.adapter(tmp_path)
    assert isinstance(adapter.hold_means(), HoldMeans)


def test_every_connection_is_named_and_timed_out(database: Any, tmp_path: Path) -> None:
    adapter = database.adapter(tmp_path, lock_timeout_s=2, statement_timeout_s=7)
    assert adapter.scalar("SHOW application_name", 20) == "backout"
    assert adapter.scalar("SHOW lock_timeout", 20) == "2s"
    assert adapter.scalar("SHOW statement_timeout", 20) == "7s"
    assert adapter.scalar("SHOW statement_timeout", 3) == "3s", "the deadline is the shorter"


def test_options_in_the_url_are_kept(database: Any, tmp_path: Path, make_site: Any) -> None:
    adapter = bind(f"{database.url}?options=-c%20work_mem%3D5MB", make_site(tmp_path))
    assert adapter.scalar("SHOW work_mem", 5) == "5MB"
    assert adapter.scalar("SHOW lock_timeout", 5) == "5s"


def test_key_value_text_and_pg_variables(
    database: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_site: Any
) -> None:
    port = database.server.port
    text = (
        f"host=127.0.0.1 port={port} dbname={database.name} user={database.role} password='s3cret-p@ss/word'"
    )
    assert bind(text, make_site(tmp_path)).scalar("SELECT 1", 5) == 1
    for name, value in {"HOST": "127.0.0.1", "PORT": str(port), "DATABASE": database.name}.items():
        monkeypatch.setenv(f"PG{name}", value)
    monkeypatch.setenv("PGUSER", database.role)
    monkeypatch.setenv("PGPASSWORD", "s3cret-p@ss/word")
    assert bind("", make_site(tmp_path)).scalar("SELECT current_database()", 5) == database.name


# --- scalar -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("SELECT 1, 2", 1),
        ("SELECT NULL", None),
        ("SELECT 1 WHERE false", None),
        ("SELECT 1.50", Decimal("1.50")),
        ("SELECT '100%'", "100%"),
        ("VALUES (true)", True),
    ],
)
def test_scalar(database: Any, tmp_path: Path, query: str, value: object) -> None:
    assert database.adapter(tmp_path).scalar(query, 5) == value


@pytest.mark.parametrize(
    "query",
    [
        "INSERT INTO t VALUES (1)",
        "WITH w AS (INSERT INTO t VALUES (1) RETURNING 1) SELECT * FROM w",
        "COMMIT; INSERT INTO t VALUES (1)",
        "SELECT 1; INSERT INTO t VALUES (1)",
        "SELECT put()",
        "DO $$ BEGIN COMMIT; INSERT INTO t VALUES (1); END $$",
        "CALL put_and_commit()",
        "SELECT nextval('s')",
        "COMMIT",
        "SET TRANSACTION READ WRITE",
        "SELECT nowhere",
    ],
)
def test_a_query_of_a_check_never_writes(database: Any, tmp_path: Path, query: str) -> None:
    database.run(
        "CREATE TABLE t (x int)",
        "CREATE SEQUENCE s",
        "CREATE FUNCTION put() RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES (1) RETURNING 1'",
        "CREATE PROCEDURE put_and_commit() LANGUAGE plpgsql AS 'BEGIN COMMIT; INSERT INTO t VALUES (1); END'",
    )
    adapter = database.adapter(tmp_path)
    harmless = query in ("COMMIT", "SET TRANSACTION READ WRITE")
    if not harmless:
        with pytest.raises(ConfigError) as caught:
            adapter.scalar(query, 5)
        assert caught.value.next_command == "backout doctor"
    else:
        adapter.scalar(query, 5)
    assert adapter.scalar("SELECT count(*) FROM t", 5) == 0
    assert adapter.scalar("SELECT is_called FROM s", 5) is False


def test_a_query_that_takes_too_long_is_ended_by_its_deadline(database: Any, tmp_path: Path) -> None:
    started_s = time.monotonic()
    with pytest.raises(TargetUnreachable, match="did not answer in time"):
        database.adapter(tmp_path).scalar("SELECT pg_sleep(20)", 0.3)
    assert time.monotonic() - started_s < 3


def test_reads_go_on_during_a_hold_by_somebody_else(database: Any, tmp_path: Path) -> None:
    with database.admin() as admin:
        admin.execute(f'ALTER DATABASE "{database.name}" SET default_transaction_read_only = on')
    assert database.adapter(tmp_path).scalar("SELECT 1", 5) == 1


# --- failing ------------------------------------------------------------------------------------


def check_error(error: BackoutError, *secrets: str) -> None:
    """What, state and next command are there; the password is in no form of the error."""
    printed = (
        "".join(traceback.format_exception(error))
        + repr(error.__cause__)
        + str(error.what)
        + str(error.state)
    )
    assert error.next_command == "backout doctor"
    assert str(error.state)
    assert error.__suppress_context__, "psycopg's own error would print the connection text"
    for secret in secrets:
        assert secret not in printed


def test_nobody_there(tmp_path: Path, free_port: Any, make_site: Any) -> None:
    adapter = bind(f"postgresql://u:{SECRET}@127.0.0.1:{free_port()}/db", make_site(tmp_path))
    for ask in (
        lambda: adapter.schema(3),
        lambda: adapter.write_count(3),
        lambda: adapter.hold_means().observe(3),
    ):
        with pytest.raises(TargetUnreachable, match="cannot be reached") as caught:
            ask()
        check_error(caught.value, SECRET)


def test_somebody_there_who_never_answers(tmp_path: Path, silent_port: int, make_site: Any) -> None:
    adapter = bind(f"postgresql://u:{SECRET}@127.0.0.1:{silent_port}/db", make_site(tmp_path))
    started_s = time.monotonic()
    with pytest.raises(TargetUnreachable) as caught:
        adapter.scalar("SELECT 1", 1)
    assert time.monotonic() - started_s < 4
    check_error(caught.value, SECRET)


@pytest.mark.parametrize("part", ["password", "role"])
def test_wrong_password_or_role(database: Any, tmp_path: Path, part: str, make_site: Any) -> None:
    user = database.role if part == "password" else "nobody_at_all"
    adapter = bind(
        f"postgresql://{user}:{SECRET}@127.0.0.1:{database.server.port}/{database.name}", make_site(tmp_path)
    )
    with pytest.raises(CredentialsRefused, match="authentication failed") as caught:
        adapter.schema(5)
    check_error(caught.value, SECRET)


def test_no_such_database(database: Any, tmp_path: Path, make_site: Any) -> None:
    adapter = bind(database.url.replace(database.name, "absent"), make_site(tmp_path))
    with pytest.raises(TargetUnreachable, match="does not exist") as caught:
        adapter.schema(5)
    check_error(caught.value, "s3cret")


@pytest.mark.parametrize(
    "text",
    [
        f"password={SECRET} nonsense",
        f"host=x password='{SECRET}",
        f"postgresql://u:{SECRET}@h:port/db",
        f"postgres://u:{SECRET}@h/db?nix=1",
    ],
)
def test_text_that_is_no_connection_is_not_printed(tmp_path: Path, text: str, make_site: Any) -> None:
    adapter = bind(text, make_site(tmp_path))
    with pytest.raises(BackoutError) as caught:
        adapter.scalar("SELECT 1", 2)
    check_error(caught.value, SECRET)


def test_a_privilege_that_is_missing(database: Any, tmp_path: Path) -> None:
    with database.admin() as admin:
        admin.execute("CREATE TABLE theirs (x int)")
    with pytest.raises(CredentialsRefused, match="theirs") as caught:
        database.adapter(tmp_path).scalar("SELECT count(*) FROM theirs", 5)
    check_error(caught.value)


def test_the_server_ends_the_session(database: Any, tmp_path: Path) -> None:
    adapter = database.adapter(tmp_path)

    def end_it() -> None:
        ends_s = time.monotonic() + 10
        with database.admin() as admin:
            while time.monotonic() < ends_s:
                ended = admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'backout' AND state = 'active' AND datname = current_database()"
                ).fetchall()
                if ended:
                    return
                time.sleep(0.02)

    thread = threading.Thread(target=end_it)
    thread.start()
    with pytest.raises(TargetUnreachable) as caught:
        adapter.scalar("SELECT pg_sleep(8)", 10)
    thread.join()
    check_error(caught.value, "s3cret")


def test_a_session_that_is_ended_as_it_begins_is_none_of_a_poolers(database: Any) -> None:
    with database.admin() as admin, psycopg.connect(database.url) as connection:
        admin.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))
        with pytest.raises(psycopg.OperationalError, match="terminating connection"):
            has_settings(connection, 1000)


def test_the_password_is_told_to_the_redactor_in_every_spelling(tmp_path: Path, make_site: Any) -> None:
    site = make_site(tmp_path, {"PGPASSWORD": "from-env-secret"})
    bind("postgresql://u:a%40b%2Fcdef@h/db?password=in-the-query", site)
    for secret in ("a%40b%2Fcdef", "a@b/cdef", "in-the-query", "from-env-secret"):
        assert secret not in site.redactor.text(f"x {secret} y")
    assert "a'bcde" in secrets_of(r"host=h password='a\'bcde' user=u", {})
    assert "plain-one" in secrets_of("password = plain-one host=h", {})
    assert secrets_of("host=h", {}) == ()


def test_options_do_not_print_the_url() -> None:
    options = PostgresOptions.model_validate({"url": f"postgresql://u:{SECRET}@h/db"})
    assert SECRET not in repr(options) + str(options.model_dump()) + options.model_dump_json()


# --- doctor -------------------------------------------------------------------------------------


def not_ok(lines: Any) -> dict[str, str]:
    return {str(line.evidence): str(line.remedy) for line in lines if line.ok is not True}


def test_doctor_is_content_with_an_owner(database: Any, tmp_path: Path) -> None:
    with database.connect():
        lines = list(database.adapter(tmp_path).doctor())
    assert not_ok(lines) == {}
    assert len(lines) == 8
    assert "Connects; PostgreSQL" in str(lines[0].evidence)


def test_doctor_names_each_thing_that_is_missing(database: Any, make_role: Any, tmp_path: Path) -> None:
    stranger = make_role("stranger")
    database.run(
        "CREATE TABLE t (x int)", f"ALTER ROLE {database.role} SET default_transaction_read_only = off"
    )
    with database.connect():
        failing = not_ok(replace(database, role=stranger).adapter(tmp_path).doctor())
    text = "\n".join(f"{k} -> {v}" for k, v in failing.items())
    assert f"{stranger} may not make {database.name} refuse writes" in text
    assert f"GRANT {database.role} TO {stranger}" in text
    assert "may not end these sessions" in text.lower()
    assert f"GRANT pg_signal_backend TO {stranger}" in text
    assert f"go on writing: {database.role}" in text
    assert len(failing) == 3
    assert all(failing.values()), "each failing line has its remedy"


def test_doctor_sees_a_clock_that_is_off(database: Any, tmp_path: Path) -> None:
    class Late:
        def now(self) -> datetime:
            return datetime.now(UTC) - timedelta(minutes=2)

        def monotonic_s(self) -> float:
            return time.monotonic()

        def wait(self, seconds: float) -> None:
            raise AssertionError("doctor does not wait")

    (line,) = not_ok(diagnose(database.adapter(tmp_path)._connector, Late())).items()
    assert line[0].startswith("Clocks differ by 1")


def test_doctor_sees_that_connections_run_out(database: Any, tmp_path: Path) -> None:
    with database.admin() as admin:
        row = admin.execute(
            "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
            " - count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        ).fetchone()
    assert row
    for _ in range(int(row[0]) - 2):
        database.connect()
    failing = not_ok(database.adapter(tmp_path).doctor())
    assert any("connections are free" in line for line in failing)


def test_doctor_says_when_nobody_is_there(tmp_path: Path, free_port: Any, make_site: Any) -> None:
    adapter = bind(f"postgresql://u:{SECRET}@127.0.0.1:{free_port()}/db", make_site(tmp_path))
    ((evidence, remedy),) = not_ok(adapter.doctor()).items()
    assert "cannot be reached" in evidence
    assert "psql" in remedy
    assert SECRET not in evidence + remedy


# --- detect -------------------------------------------------------------------------------------


def test_detect_keeps_the_name_and_never_the_value(tmp_path: Path) -> None:
    (tmp_path / ".env.example").write_text("DATABASE_URL=postgres://user:example@localhost/db\n")
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / ".env").write_text(f"# x\nexport DATABASE_URL='postgresql://u:{SECRET}@h/db'\n")
    found = PostgresDatabase.detect(tmp_path)
    assert found is not None
    assert (found.kind, found.options, found.confidence) == ("postgres", {"url": "${DATABASE_URL}"}, 0.9)
    assert "shared/.env" in str(found.evidence)
    assert SECRET not in found.model_dump_json()


@pytest.mark.parametrize(
    "text", ["", "DATABASE_URL=mysql://u@h/db", "OTHER=postgres://u@h/db", "#DATABASE_URL=postgres://h"]
)
def test_detect_takes_nothing_else_for_a_postgres(tmp_path: Path, text: str) -> None:
    (tmp_path / ".env").write_text(text)
    (tmp_path / "bin.env").write_bytes(b"\xff\x00")
    assert PostgresDatabase.detect(tmp_path) is None
    assert PostgresDatabase.detect(tmp_path / "absent") is None


def test_importing_the_adapter_does_not_import_psycopg() -> None:
    import subprocess
    import sys

    code = "import sys, backout.databases.postgres, backout.checks; assert not {'psycopg', 'httpx2'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert psycopg.__name__  # this process has it
