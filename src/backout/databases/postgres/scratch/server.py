"""The server that scratch databases are made on, and why what is tried there may not hold for the live one."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backout.children import Children
from backout.databases.postgres.connect import Connector
from backout.databases.postgres.scratch.clone import Missing, dump_schema, make_schema
from backout.databases.postgres.scratch.roles import bring_roles
from backout.databases.postgres.scratch.sample import sample
from backout.databases.postgres.server_fit import extensions_of, lacking_extensions
from backout.embedded.binaries import account, find_binaries
from backout.embedded.server import EmbeddedPostgres
from backout.errors import NotPossible
from backout.message import Message, msg

if TYPE_CHECKING:
    import psycopg

PREFIX = "backout_scratch_"
"""Begins the name of every scratch database; the day on which it was made follows."""

_LEFT = rf"""
SELECT d.datname::text FROM pg_database d
WHERE d.datname ~ '^{PREFIX}\d{{8}}_[0-9a-f]{{12}}$' AND pg_has_role(d.datdba, 'USAGE')
  AND substr(d.datname, {len(PREFIX) + 1}, 8) < to_char(now() - interval '2 days', 'YYYYMMDD')
  AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.datname = d.datname)"""
_END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"


@dataclass(slots=True)
class Scratch:
    """A server with databases that are dropped at the end.

    Attributes:
        url: Its maintenance database, as the role that migrations run as.
        admin_url: The same, as whom no policy and no privilege keeps from reading: of a server that was named the same role.
        ours: Whether the server is our own, and gone at the end.
        unknown: Why a proof on it is none for the live database; empty: nothing that can be seen.
    """

    url: str = field(repr=False)
    admin_url: str = field(repr=False)
    ours: bool
    unknown: list[Message] = field(default_factory=list)
    _made: list[str] = field(default_factory=list)
    _owner: str = ""

    def empty(self) -> str:
        """Return the URL of a new database with nothing in it."""
        return self._create("")

    def clone(self, live: Connector, dumped: bytes | None = None) -> str:
        """Return the URL of a new database with the schema of a live one, and the rows of the histories of migration tools.

        The live database is only read. What backout has hidden there is not in it. What could not be made is in `unknown`.

        Args:
            live: The live database.
            dumped: Its schema, where somebody has read it already.

        Raises:
            NotPossible: The schema could not be read.
        """
        made = self._create("")
        text = dumped if dumped is not None else dump_schema(live, owners=self.ours)
        lacking = make_schema(text, live, self.as_admin(made))
        self.unknown += [_lacks(one) for one in lacking]
        return made

    def sample(self, live: Connector, url: str, rows: int) -> int:
        """Bring so many rows of each table of a live database into one of ours that has its schema; return how many came.

        Raises:
            NotPossible: The role may not read a table, or is no superuser of a server that was named.
        """
        return sample(live, self.as_admin(url), rows)

    def copy(self, url: str) -> str:
        """Return the URL of a new database that is what another one of ours is now; sessions with that are ended."""
        return self._create(_name_in(url))

    def as_admin(self, url: str) -> str:
        """Return the URL of one of our databases as whom nothing keeps from reading."""
        return _with_name(self.admin_url, _name_in(url))

    def version(self) -> str:
        """Return the version of the server (`15.18`), without what its packager adds."""
        with self._admin() as connection:
            return str(connection.info.parameter_status("server_version")).partition(" ")[0]

    def drop_all_but(self, url: str) -> None:
        """Drop our databases but one."""
        self._drop({_name_in(url)})

    def drop_left(self) -> None:
        """Drop what a kill has left on a server that was named: ours of days ago that nobody uses. Idempotent."""
        with self._admin() as connection:
            for (name,) in connection.execute(_LEFT.encode()).fetchall():
                connection.execute(f'DROP DATABASE IF EXISTS "{name}"'.encode())

    def close(self) -> None:
        """Drop the databases, unless the server goes with them. Idempotent."""
        if not self.ours:
            self._drop(set())

    def _drop(self, kept: set[str]) -> None:
        with self._admin() as connection:
            for name in [one for one in self._made if one not in kept]:
                connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())
                self._made.remove(name)

    def _create(self, template: str) -> str:
        import psycopg

        name = f"{PREFIX}{datetime.now(UTC):%Y%m%d}_{secrets.token_hex(6)}"
        like = f' TEMPLATE "{template}"' if template else " TEMPLATE template0"
        try:
            self._owner = self._owner or _user_of(self.url).replace('"', '""')
            with self._admin() as connection:
                if template:
                    connection.execute(_END, (template,))
                connection.execute(f'CREATE DATABASE "{name}" OWNER "{self._owner}"{like}'.encode())
                self._made.append(name)
        except psycopg.Error as error:
            raise NotPossible(
                msg("No scratch database could be made: {why}", why=error.diag.message_primary or str(error)),
                state=msg("Nothing was touched but the scratch server."),
                next_command="psql -c 'ALTER ROLE … CREATEDB'   # on the server that --scratch names; or leave --scratch out",
            ) from None
        return _with_name(self.url, name)

    def _admin(self) -> psycopg.Connection[Any]:
        import psycopg

        return psycopg.connect(self.admin_url, autocommit=True)


@contextmanager
def scratch(url: str | None, live: Connector | None) -> Iterator[Scratch]:
    """Give a server for scratch databases, and drop them at the end; arguments and errors are those of `scratch_soon`."""
    with scratch_soon(url, live) as ready:
        yield ready()


@contextmanager
def scratch_soon(url: str | None, live: Connector | None) -> Iterator[Callable[[], Scratch]]:
    """Give what waits for a server for scratch databases, which starts meanwhile, and drop them at the end.

    Args:
        url: A database of a server that was named for it, as a role that may create databases; None: one of our own is
            started, of the live one's major version if its programs are here, and ended.
        live: The database that is to be tried on; None: there is none, and an empty one is all there is.

    Raises:
        NotPossible: No server can be started, or no database be made: also by what waits.
        TargetUnreachable: The live database does not answer.
    """
    found = _Live.of(live) if live is not None else None

    def begin() -> Scratch:
        made = start()
        if found is not None:
            made.unknown += list(_unlike(made, found))
        return made

    with _named(url) if url is not None else _own(found, live) as start, ThreadPoolExecutor(1) as worker:
        coming = worker.submit(begin)
        try:
            yield coming.result
        finally:
            if coming.exception() is None:
                coming.result().close()


@dataclass(frozen=True, slots=True)
class _Live:
    """What a scratch server has to have."""

    major: int
    user: str
    extensions: list[str]

    @classmethod
    def of(cls, live: Connector) -> _Live:
        with live.session(live.statement_timeout_s) as connection:
            user = connection.execute("SELECT current_user::text").fetchall()[0][0]
            return cls(connection.info.server_version // 10_000, user, extensions_of(connection))


@contextmanager
def _named(url: str) -> Iterator[Callable[[], Scratch]]:
    def start() -> Scratch:
        made = Scratch(url, url, ours=False)
        made.drop_left()
        return made

    yield start


@contextmanager
def _own(found: _Live | None, live: Connector | None) -> Iterator[Callable[[], Scratch]]:
    directory = Path(tempfile.mkdtemp(prefix="backout-scratch-"))
    children = Children(directory / "run")
    binaries = find_binaries(account(), found.major if found else None)
    postgres = EmbeddedPostgres(directory, children, binaries=binaries, fsync=False, scratch=True)

    def start() -> Scratch:
        postgres.start()
        url = postgres.maintenance_url
        if found is not None and live is not None:
            url = bring_roles(live, postgres.superuser_url, found.user)
        return Scratch(url, postgres.superuser_url, ours=True)

    try:
        yield start
    finally:
        postgres.close()
        children.close()
        shutil.rmtree(directory, ignore_errors=True)


def _unlike(made: Scratch, live: _Live) -> Iterator[Message]:
    import psycopg

    with psycopg.connect(made.admin_url, autocommit=True) as connection:
        major = connection.info.server_version // 10_000
        if major != live.major:
            yield msg(
                "The scratch server is PostgreSQL {scratch}, the live one is {live}",
                scratch=major,
                live=live.major,
            )
        for name in lacking_extensions(live.extensions, connection):
            yield msg("The scratch server has not the extension {name}", name=name)


def _lacks(one: Missing) -> Message:
    return msg("The scratch database lacks something of the live one: {why}", why=str(one))


def _name_in(url: str) -> str:
    from psycopg.conninfo import conninfo_to_dict

    return str(conninfo_to_dict(url)["dbname"])


def _user_of(url: str) -> str:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        return connection.info.user


def _with_name(url: str, name: str) -> str:
    """Return a URL with another database in it: programs that are told it may know no other form."""
    from urllib.parse import quote, urlencode

    from psycopg.conninfo import conninfo_to_dict

    told = {key: str(value) for key, value in conninfo_to_dict(url).items() if value is not None}
    host, port = told.pop("host", ""), told.pop("port", "")
    user, password = told.pop("user", ""), told.pop("password", "")
    told.pop("dbname", None)
    who = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    rest = f"?{urlencode(told)}" if told else ""
    where = f"{quote(host, safe='')}{f':{port}' if port else ''}"
    return f"postgresql://{who}{'@' if who else ''}{where}/{quote(name, safe='')}{rest}"
