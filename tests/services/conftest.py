"""A real PostgreSQL for the session, and a database of its own for each test that asks for one."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from tests.services.both import Both
from tests.services.restoring import ROWS

from backout.clock import SystemClock
from backout.databases.postgres import PostgresDatabase, PostgresOptions
from backout.embedded.server import free_port
from backout.platforms.base import Site
from backout.redact import Redactor

PASSWORD = "s3cret-p@ss/word"
_ADMIN_PASSWORD = "adm1n-secret"
_numbers = count(1)


def make_site(directory: Path, environ: dict[str, str] | None = None) -> Site:
    return Site(
        service="collector",
        environment="test",
        directory=directory,
        environ=dict(os.environ) if environ is None else environ,
        clock=SystemClock(),
        redactor=Redactor(),
    )


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    on_path = shutil.which("initdb")
    if found:
        return found[-1].parent
    assert on_path, "no PostgreSQL: apt-get install -y postgresql"
    return Path(on_path).parent


@dataclass(frozen=True)
class Server:
    port: int

    def admin_url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres:{_ADMIN_PASSWORD}@127.0.0.1:{self.port}/{database}"

    def admin(self, database: str = "postgres") -> psycopg.Connection[Any]:
        return psycopg.connect(self.admin_url(database), autocommit=True)


@dataclass(frozen=True)
class TestDatabase:
    """One database, owned by a role that is no superuser."""

    __test__ = False

    server: Server
    name: str
    role: str
    opened: list[psycopg.Connection[Any]] = field(default_factory=list, repr=False, compare=False)

    @property
    def url(self) -> str:
        return f"postgresql://{self.role}:s3cret-p%40ss%2Fword@127.0.0.1:{self.server.port}/{self.name}"

    def connect(self, **settings: Any) -> psycopg.Connection[Any]:
        connection = psycopg.connect(self.url, **{"autocommit": True, **settings})
        self.opened.append(connection)
        return connection

    def admin(self) -> psycopg.Connection[Any]:
        return self.server.admin(self.name)

    def run(self, *statements: str) -> None:
        with self.connect() as connection:
            for statement in statements:
                connection.execute(statement)

    def adapter(self, directory: Path, **options: Any) -> PostgresDatabase:
        return PostgresDatabase.create(PostgresOptions(url=self.url, **options), make_site(directory))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    binaries, home, port = _binaries(), Path(tempfile.mkdtemp(prefix="backout-pg-")), free_port()
    account: dict[str, Any] = {}
    if os.getuid() == 0:
        entry = pwd.getpwnam("postgres")
        os.chown(home, entry.pw_uid, entry.pw_gid)
        account = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    data, password_file = home / "data", home / "pw"
    password_file.write_text(_ADMIN_PASSWORD)
    password_file.chmod(0o644)
    subprocess.run(
        [binaries / "initdb", "-N", "-D", data, "-U", "postgres", "-A", "scram-sha-256",
         "--pwfile", password_file, "--no-locale", "-E", "UTF8"],
        check=True, capture_output=True, cwd="/", **account,
    )  # fmt: skip
    settings = {
        "listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "",
        "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": 60,
        "max_prepared_transactions": 5, "wal_level": "logical",
    }  # fmt: skip
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(binaries / "postgres"), "-D", str(data), *(f"--{k}={v}" for k, v in settings.items())],
            stdout=log, stderr=log, cwd="/", **account,
        )  # fmt: skip
    server = Server(port)
    try:
        _wait_until_up(server, process, home / "log")
        yield server
    finally:
        process.send_signal(3)  # SIGQUIT: at once
        process.wait(20)
        shutil.rmtree(home, ignore_errors=True)


def _wait_until_up(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline_s = time.monotonic() + 20
    while True:
        try:
            server.admin().close()
            return
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline_s:
                raise AssertionError(log.read_text()) from None
            time.sleep(0.05)


@pytest.fixture
def make_role(postgres_server: Server) -> Iterator[Any]:
    """Give roles that can log in; they are dropped after the databases."""
    made: list[str] = []

    def make(prefix: str = "svc") -> str:
        role = f"{prefix}_{os.getpid()}_{next(_numbers)}"
        with postgres_server.admin() as admin:
            admin.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                    sql.Identifier(role), sql.Literal(PASSWORD)
                )
            )
        made.append(role)
        return role

    yield make
    with postgres_server.admin() as admin:
        for role in made:
            admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


@pytest.fixture
def make_database(postgres_server: Server, make_role: Any) -> Iterator[Any]:
    """Give databases, each owned by a role of its own."""
    made: list[TestDatabase] = []

    def make() -> TestDatabase:
        role = make_role()
        # A name that has to be quoted: it is one that a user may have.
        name = f"My Db-{os.getpid()}-{next(_numbers)}".replace(" ", "_")
        with postgres_server.admin() as admin:
            admin.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(role))
            )
        made.append(TestDatabase(postgres_server, name, role))
        return made[-1]

    yield make
    with postgres_server.admin() as admin:
        for database in made:
            for connection in database.opened:
                connection.close()
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database.name)))


@pytest.fixture
def database(make_database: Any) -> TestDatabase:
    made = make_database()
    assert isinstance(made, TestDatabase)
    return made


@pytest.fixture(name="free_port", scope="session")
def free_port_() -> Callable[[], int]:
    return free_port


@pytest.fixture(name="make_site", scope="session")
def make_site_() -> Callable[..., Site]:
    return make_site


@pytest.fixture
def both(make_database: Any) -> Iterator[Both]:
    kept, live = make_database(), make_database()
    with kept.server.admin() as admin:
        for database in (kept.name,):
            admin.execute(
                sql.SQL("ALTER DATABASE {} OWNER TO {}").format(
                    sql.Identifier(database), sql.Identifier(live.role)
                )
            )
    made = type(kept)(kept.server, kept.name, live.role)
    yield Both(made, live)
    for connection in [*made.opened, *live.opened]:
        connection.close()


@pytest.fixture
def service(database: Any) -> Iterator[Any]:
    """A database whose role may make others beside it; those are dropped."""
    with database.server.admin() as admin:
        admin.execute(sql.SQL("ALTER ROLE {} CREATEDB").format(sql.Identifier(database.role)))
    database.run(
        "CREATE TABLE reports (id serial PRIMARY KEY, body text NOT NULL)",
        "CREATE TABLE alembic_version (version_num text)",
        "INSERT INTO alembic_version VALUES ('1975ea83b712')",
        f"INSERT INTO reports (body) SELECT 'report ' || g FROM generate_series(1, {ROWS}) g",
        "CREATE INDEX ON reports (body)",
    )
    yield database
    with database.server.admin() as admin:
        for (name,) in admin.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s) AND datname <> %s",
            (database.name, database.name),
        ).fetchall():
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
