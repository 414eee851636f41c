"""Backups as pg_dump really makes them, whole and damaged, read to their end."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from backout.backup import Backup, BackupFormat, Manifest, Reading
from backout.backups.directory import DirectoryBackups, DirectoryOptions
from backout.children import Children
from backout.clock import SystemClock
from backout.databases.postgres import PostgresDatabase, PostgresOptions
from backout.databases.postgres.dumps.checked import checked_sql
from backout.databases.postgres.dumps.read import read_backup
from backout.databases.postgres.dumps.rules import Terms
from backout.databases.postgres.programs import Programs, find_programs
from backout.embedded.binaries import account, wheel_binaries
from backout.embedded.server import EmbeddedPostgres
from backout.errors import NotPossible, Refused, TargetUnreachable
from backout.platforms.base import Site
from backout.redact import Redactor

pytestmark = pytest.mark.slow

_SCHEMA = (
    "CREATE TABLE reports (id int PRIMARY KEY, tenant int NOT NULL, body text)",
    "INSERT INTO reports SELECT i, i % 7, md5(i::text) || E'\\n\\\\.\\t' FROM generate_series(1, 20000) i",
    'CREATE TABLE "odd ""name" (x text, y bytea)',
    """INSERT INTO "odd ""name" VALUES (E'a\\\\b''c; \\\\! ls', '\\x00ff'), (NULL, NULL)""",
    "CREATE TABLE empty (x int)",
    "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ begin perform '; \\! ls'; return 1; /* ' */ end $$",
    "CREATE FUNCTION g(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN a > 1 THEN 1 END; SELECT 2; END",
    "CREATE RULE r AS ON UPDATE TO empty DO ALSO (SELECT 1; SELECT 2)",
    "CREATE MATERIALIZED VIEW m AS SELECT count(*) FROM reports",
    "CREATE TYPE mood AS ENUM ('it''s', 'ok')",
    "CREATE SEQUENCE s",
    "COMMENT ON TABLE empty IS E'it''s; \\\\! rm\\n-- no comment\\n\\\\connect other'",
    "SELECT lo_from_bytea(0, '\\x010203')",
    "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
    "GRANT SELECT ON reports TO PUBLIC",
)
TABLES = ("public.empty", 'public.odd "name', "public.reports")


@pytest.fixture(scope="module")
def programs(require_service: Callable[[str], None]) -> Programs:
    require_service("postgres")
    return find_programs(None, None)


@pytest.fixture
def live(database: Any) -> Any:
    database.run(*_SCHEMA)
    return database


@pytest.fixture
def dump(live: Any, programs: Programs, tmp_path: Path) -> Callable[..., Path]:
    folder = tmp_path / "backups"
    folder.mkdir()

    def run(name: str, *args: str, program: str = "pg_dump") -> Path:
        path = folder / name
        subprocess.run(
            [programs.path(program), *args, "-f", str(path), "-d", live.server.admin_url(live.name)],
            check=True, capture_output=True,
        )  # fmt: skip
        return path

    return run


@pytest.fixture
def read(live: Any, tmp_path: Path) -> Callable[[str], Reading]:
    """Read a backup by name, as the store lists it and through the adapter."""

    def reading(name: str) -> Reading:
        return live.adapter(tmp_path).read(listed(live, tmp_path, name), note=lambda _: None)

    return reading


def listed(live: Any, tmp_path: Path, name: str) -> Backup:
    site = live.adapter(tmp_path)._site
    store = DirectoryBackups.create(DirectoryOptions(), site)
    return next(b for b in store.found(5) if b.name == name)


def major_of(live: Any) -> int:
    return int(live.connect().info.server_version) // 10_000


def words(reading: Reading) -> str:
    assert not reading.ok and reading.problems
    return "\n".join(map(str, reading.problems))


def edit(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert data.count(old) >= 1
    path.write_bytes(data.replace(old, new, 1))


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)


PLAIN, PACKED = "collector_20260301_020000.sql", "collector_20260301_020000.sql.gz"
CUSTOM, FOLDER = "collector_20260301_020000.dump", "collector_20260301_020000"


@pytest.mark.parametrize(
    ("name", "args", "format"),
    [
        (PLAIN, (), BackupFormat.PLAIN),
        (PLAIN, ("--inserts",), BackupFormat.PLAIN),
        (PLAIN, ("--column-inserts", "--rows-per-insert=50"), BackupFormat.PLAIN),
        (PLAIN, ("--clean", "--if-exists"), BackupFormat.PLAIN),
        (PLAIN, ("--clean", "--create"), BackupFormat.PLAIN),
        (PACKED, ("-Z6",), BackupFormat.PLAIN_GZIP),
        (CUSTOM, ("-Fc",), BackupFormat.CUSTOM),
        (CUSTOM, ("-Fc", "-Z0", "--inserts"), BackupFormat.CUSTOM),
        (FOLDER, ("-Fd", "-j2"), BackupFormat.DIRECTORY),
        (FOLDER, ("-Fd", "-Z0"), BackupFormat.DIRECTORY),
    ],
)
def test_what_pg_dump_made_is_good(dump, read, live, name, args, format):
    dump(name, *args)
    reading = read(name)
    assert reading.problems == () and reading.ok
    assert set(reading.tables) == set(TABLES) - ({"public.empty"} if "inserts" in " ".join(args) else set())
    assert reading.server_major == major_of(live)
    assert reading.unpacked_bytes is not None and reading.unpacked_bytes > 800_000
    if format in (BackupFormat.CUSTOM, BackupFormat.DIRECTORY) or "--create" in args:
        assert reading.database == live.name


def test_what_pg_dump_c_wrote_about_the_database_is_named_and_left_out(dump, read, live, tmp_path):
    path = dump(PLAIN, "--create", "--clean")
    reading = read(PLAIN)
    assert reading.ok
    assert any("pg_dump -C wrote about the database" in str(line) for line in reading.left_out)
    terms = Terms(live.name, 15)
    backup = listed(live, tmp_path, PLAIN)
    text = b"".join(checked_sql(path, backup.format, backup.identity, terms, restricted=False))
    for word in (b"DATABASE", b"connect My", b"restrict"):
        assert b"\n" + word not in text and b"\n\\" + word not in text
    assert b"CREATE DATABASE" not in text and b"CREATE TABLE" in text
    assert text.count(b"\n") == path.read_bytes().count(b"\n"), "psql would name other lines"


@pytest.mark.parametrize("args", [(), ("--create",), ("--inserts",)])
def test_the_checked_text_restores_the_same_database(dump, live, make_database, programs, tmp_path, args):
    path = dump(PLAIN, *args)
    backup, other = listed(live, tmp_path, PLAIN), make_database()
    psql = subprocess.Popen(
        [programs.path("psql"), "-Xq", "-v", "ON_ERROR_STOP=1", "-d", other.server.admin_url(other.name)],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert psql.stdin is not None and psql.stderr is not None
    with psql:
        terms = Terms(live.name, major_of(live))
        for part in checked_sql(
            path,
            backup.format,
            backup.identity,
            terms,
            restricted=programs.knows_restrict,
        ):
            psql.stdin.write(part)
        psql.stdin.close()
        assert psql.stderr.read() == b""
    assert psql.returncode == 0
    for table in TABLES:
        query = "SELECT count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {} t".format(
            ".".join('"' + part.replace('"', '""') + '"' for part in table.split(".", 1))
        )
        with live.admin() as one, other.admin() as two:
            assert one.execute(query).fetchone() == two.execute(query).fetchone()


@pytest.mark.parametrize(
    ("name", "args"), [(PLAIN, ()), (PACKED, ("-Z6",)), (CUSTOM, ("-Fc",)), (CUSTOM, ("-Fc", "-Z0"))]
)
@pytest.mark.parametrize("part", [0.02, 0.5, 0.9, 0.999])
def test_a_file_that_is_cut_short_is_found(dump, read, name, args, part):
    path = dump(name, *args)
    os.truncate(path, int(path.stat().st_size * part))
    words(read(name))


@pytest.mark.parametrize("args", [("-Fd",), ("-Fd", "-Z0"), ("-Fd", "--inserts")])
def test_a_file_of_a_folder_that_is_cut_short_is_found_and_named(dump, read, args):
    path = dump(FOLDER, *args)
    biggest = max(path.glob("*.dat*"), key=lambda p: p.stat().st_size)
    os.truncate(biggest, biggest.stat().st_size * 2 // 3)
    told = words(read(FOLDER))
    assert biggest.name in told or "-Z0" in args
    biggest.unlink()
    assert biggest.name.removesuffix(".gz") in words(read(FOLDER))


@pytest.mark.parametrize(("name", "args"), [(PACKED, ("-Z6",)), (CUSTOM, ("-Fc",)), (FOLDER, ("-Fd",))])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_a_flipped_bit_in_packed_data_is_found(dump, read, name, args, part):
    path = dump(name, *args)
    file = max(path.glob("*.dat*"), key=lambda p: p.stat().st_size) if path.is_dir() else path
    # In an archive the data lies behind the table of contents.
    flip(file, int(file.stat().st_size * part))
    assert "amaged" in words(read(name)) or file.name in words(read(name))


def test_a_flipped_bit_where_only_a_checksum_can_tell(dump, read, live, tmp_path):
    path = dump(FOLDER, "-Fd", "-Z0")
    files = {p.name: f"sha256:{hashlib.sha256(p.read_bytes()).hexdigest()}" for p in path.iterdir()}
    manifest = Manifest(
        service="collector", environment="test", database=live.name, taken_at="2026-03-01T02:00:00Z",
        finished_at="2026-03-01T02:00:00Z", server_version=150018, dump_version="15.18",
        format=BackupFormat.DIRECTORY, files=files,
    )  # fmt: skip
    (path / "manifest.json").write_text(manifest.model_dump_json())
    reading = read(FOLDER)
    assert reading.ok and reading.checksums
    biggest = max(path.glob("*.dat"), key=lambda p: p.stat().st_size)
    flip(biggest, 5000)
    assert f"File {biggest.name} is not as the manifest has it" in words(read(FOLDER))
    flip(biggest, 5000)
    (path / "extra.dat").write_bytes(b"x")
    assert "File extra.dat is not in the manifest" in words(read(FOLDER))
    (path / "extra.dat").unlink()
    (path / "blobs.toc").unlink()
    assert "File blobs.toc is missing" in words(read(FOLDER))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "it is empty"),
        (b"hello\n", "does not begin as one"),
        (gzip.compress(b"", mtime=0), "does not begin as one"),
        (b"-- MySQL dump 10.13\n\nCREATE TABLE `t` (a int);\n", "dump of MySQL"),
        (b"\x7fELF\0\0\0", "neither SQL text nor an archive"),
    ],
)
def test_what_is_no_dump_says_so(live, read, tmp_path, data, told):
    (tmp_path / "backups").mkdir()
    (tmp_path / "backups" / PLAIN).write_bytes(data)
    assert told in words(read(PLAIN))


def test_a_dump_without_its_last_line_is_not_whole(dump, read):
    path = dump(PLAIN)
    edit(path, b"-- PostgreSQL database dump complete\n", b"")
    assert "Not whole" in words(read(PLAIN))


def test_a_mark_of_utf_8_at_the_beginning_is_no_harm(dump, read):
    path = dump(PLAIN)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read(PLAIN).ok


def test_two_dumps_in_one_file_are_refused(dump, read):
    path = dump(PLAIN)
    path.write_bytes(path.read_bytes() * 2)
    assert "2 dumps" in words(read(PLAIN))


def test_another_databases_dump_is_refused(dump, read, live, tmp_path, make_database):
    for name, args in ((PLAIN, ("--create",)), (CUSTOM, ("-Fc",)), (FOLDER, ("-Fd",))):
        dump(name, *args)
        other = make_database()
        reading = other.adapter(tmp_path).read(listed(live, tmp_path, name), note=lambda _: None)
        assert live.name in words(reading) and other.name in words(reading)


def test_a_newer_servers_dump_is_refused(dump, read):
    path = dump(PLAIN)
    line = next(x for x in path.read_bytes().splitlines() if x.startswith(b"-- Dumped from"))
    edit(path, line, b"-- Dumped from database version 99.1")
    assert "of PostgreSQL 99, newer than the server's" in words(read(PLAIN))


@pytest.fixture
def newer(tmp_path: Path) -> Iterator[tuple[EmbeddedPostgres, Programs]]:
    """A PostgreSQL 18 with a table, beside the system's."""
    binaries = wheel_binaries(account())
    assert binaries is not None, "scripts/setup-venv dev"
    children = Children(tmp_path / "run")
    server = EmbeddedPostgres(tmp_path / "newer", children, binaries=binaries, fsync=False)
    try:
        server.start()
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE TABLE t AS SELECT g, md5(g::text) FROM generate_series(1, 1000) g")
            connection.execute("ANALYZE t")
        yield server, find_programs(binaries.directory, None)
    finally:
        server.close()
        children.close()


def test_a_real_dump_of_a_newer_server(newer, programs, tmp_path):
    server, tools = newer
    folder = tmp_path / "backups"
    folder.mkdir()
    for name, args in (
        (PLAIN, ("--statistics",)),
        (PACKED, ("-Zgzip",)),
        (CUSTOM, ("-Fc",)),
        (FOLDER, ("-Fd",)),
    ):
        command = [tools.path("pg_dump"), *args, "-f", str(folder / name), "-d", server.url]
        subprocess.run(command, check=True, capture_output=True)
    site = Site("collector", "test", tmp_path, {}, SystemClock(), Redactor())
    found = DirectoryBackups.create(DirectoryOptions(), site).found(5)
    assert {b.name for b in found} == {PLAIN, PACKED, CUSTOM, FOLDER}
    for backup in found:

        def reading(major: int, tools: Programs, backup: Backup = backup) -> Reading:
            terms = Terms("collector", major)
            return read_backup(backup, terms, programs=lambda: tools, clock=site.clock, note=lambda _: None)

        assert reading(tools.major, tools).problems == ()
        assert f"of PostgreSQL {tools.major}, newer than the server's 15" in words(reading(15, tools))
        if backup.name in (PLAIN, PACKED):
            assert any("transaction_timeout" in str(line) for line in reading(15, tools).left_out)
        elif programs.major < 16:
            assert "older than the pg_dump that wrote it" in words(reading(15, programs))


def test_an_archive_that_pg_restore_is_too_old_for_is_refused(dump, read):
    path = dump(CUSTOM, "-Fc")
    edit(path, path.read_bytes()[:8], b"PGDMP\x01\x63\x00")
    assert "older than the pg_dump that wrote it" in words(read(CUSTOM))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"\\! touch /tmp/x\n", "may run programs"),
        (b"\\connect postgres\n", "the database postgres"),
        (b"\\copy empty from program 'ls'\n", "may run programs"),
        (b"ALTER SYSTEM SET work_mem = '1GB';\n", "whole server"),
        (b"COPY public.empty FROM PROGRAM 'ls';\n", "runs a program"),
        (b"DROP DATABASE postgres;\n", "the database postgres"),
        (b"SELECT dblink_connect('x');\n", "nobody can tell"),
        (b"SELECT 1 \\gexec\n", "inside a statement"),
    ],
)
def test_what_would_leave_the_new_database_is_named_by_line_and_never_passed_on(
    dump, read, live, tmp_path, line, told
):
    path = dump(PLAIN)
    edit(path, b"CREATE TABLE public.reports", line + b"CREATE TABLE public.reports")
    number = path.read_bytes().partition(line)[0].count(b"\n") + 1
    assert f"Line {number}: " in words(read(PLAIN)) and told in words(read(PLAIN))
    backup = listed(live, tmp_path, PLAIN)
    passed = b""
    with pytest.raises(Refused, match=f"Line {number}"):
        for part in checked_sql(path, backup.format, backup.identity, Terms(live.name, 15), restricted=True):
            passed += part
    assert line.strip() not in passed and b"CREATE TABLE public.reports" not in passed


def test_in_an_archive_the_entry_is_named(dump, read):
    path = dump(CUSTOM, "-Fc")
    # Of the same length, so that the archive stays one: what an editor could do to its table of contents.
    old = b"COPY public.reports (id, tenant, body) FROM stdin;\n"
    edit(path, old, b"COPY public.reports FROM PROGRAM 'touch x'".ljust(len(old) - 2) + b";\n")
    assert "Entry public.reports (TABLE DATA): it runs a program" in words(read(CUSTOM))


def test_a_whole_servers_dump_says_what_to_do(live, programs, read, tmp_path):
    (tmp_path / "backups").mkdir()
    path = tmp_path / "backups" / PLAIN
    url = live.server.admin_url()
    # It connects to each database by itself, and forgets the URL's password.
    command = [programs.path("pg_dumpall"), "-d", url, "-f", str(path)]
    subprocess.run(command, check=True, env={**os.environ, "PGPASSWORD": conninfo_to_dict(url)["password"]})
    assert "whole server by pg_dumpall" in words(read(PLAIN))


def test_one_that_changed_since_it_was_listed_is_not_read(dump, live, tmp_path):
    path = dump(PLAIN)
    backup = listed(live, tmp_path, PLAIN)
    path.write_bytes(path.read_bytes() + b"\n")
    reading = live.adapter(tmp_path).read(backup, note=lambda _: None)
    assert "changed while it was looked at" in words(reading)
    with pytest.raises(TargetUnreachable, match="changed"):
        list(checked_sql(path, backup.format, backup.identity, Terms(None, None), restricted=True))


def test_where_the_server_is_away_a_backup_can_still_be_read(dump, live, make_site, tmp_path, free_port):
    dump(PLAIN)
    away = live.url.replace(f":{live.server.port}/", f":{free_port()}/")
    adapter = PostgresDatabase.create(PostgresOptions(url=away), make_site(tmp_path))
    said: list[str] = []
    reading = adapter.read(listed(live, tmp_path, PLAIN), note=lambda m: said.append(str(m)))
    assert reading.ok and "does not answer" in said[0]


@pytest.mark.parametrize(
    ("version", "knows"),
    [("15.14", True), ("15.13", False), ("18.0", True), ("19.0", True), ("17.5", False), ("12.22", False)],
)
def test_versions_whose_psql_knows_restrict(version, knows):
    major, _, minor = version.partition(".")
    assert Programs(Path(), int(major), int(minor or 0), "").knows_restrict is knows


def test_programs_that_are_not_there_say_what_to_type(tmp_path):
    with pytest.raises(NotPossible, match="are not in") as caught:
        find_programs(tmp_path, None)
    assert "apt-get install" in caught.value.next_command


def test_one_that_goes_away_is_an_error(dump, live, tmp_path, programs):
    path = dump(PLAIN)
    backup = listed(live, tmp_path, PLAIN)
    path.unlink()
    site = live.adapter(tmp_path)._site
    with pytest.raises(TargetUnreachable, match="cannot be read"):
        read_backup(
            backup, Terms(None, None), programs=lambda: programs, clock=site.clock, note=lambda _: None
        )
