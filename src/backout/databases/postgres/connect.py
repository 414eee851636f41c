"""The one place that connects to PostgreSQL: short, named, timed out, and silent about the password."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from backout.errors import BackoutError, ConfigError, CredentialsRefused, TargetUnreachable
from backout.message import Message, msg
from backout.redact import Redactor

if TYPE_CHECKING:
    import psycopg

    from backout.databases.postgres.other_server import OtherServer

APPLICATION_NAME = "backout"
# What it ignores while it closes a lost connection would stand on standard error, before our own words.
logging.getLogger("psycopg").addHandler(logging.NullHandler())

DOCTOR = "backout doctor"
# Classes of errors that speak of the statement: feature, cardinality, data, constraint, transaction state
# and termination, routine, syntax or name, PL/pgSQL. Source: PostgreSQL 15 documentation, appendix A.
_STATEMENT_IS_WRONG = ("0A", "21", "22", "23", "25", "2D", "2F", "38", "39", "42", "P0")
_KEYWORD_PASSWORD = re.compile(r"\bpassword\s*=\s*(?:'((?:[^'\\]|\\.)*)'|(\S+))", re.IGNORECASE)
# What the server says before a login has a code of its own is only text; these are its English words.
# Source: PostgreSQL 15, src/backend/libpq/auth.c and src/backend/utils/init/postinit.c.
_REFUSED = re.compile(
    r"authentication failed|no password supplied|role \".*\" does not exist|no pg_hba\.conf entry"
    r"|permission denied for database|is not permitted to log in|pg_hba\.conf rejects",
    re.IGNORECASE,
)

# Source: PgBouncer 1.18, src/client.c; `ignore_startup_parameters` turns it off.
_NO_SETTINGS = "unsupported startup parameter"


@dataclass(frozen=True, slots=True)
class Connector:
    """How to reach one database, and from it the others of the service.

    Attributes:
        conninfo: URL or ``key=value`` text; empty: libpq's own ``PG*`` variables.
        connect_timeout_s: Seconds for the connection alone (libpq's floor is 2).
        setting: Where the address stands, for people.
        used: Tells which database is meant; None: the one in `conninfo`.
        other: Another server, on which restored databases may be; None: there is only this one.
    """

    conninfo: str = field(repr=False)
    redactor: Redactor
    lock_timeout_s: float
    statement_timeout_s: float
    connect_timeout_s: float
    setting: str = "Database.url"
    used: Callable[[], str] | None = field(default=None, repr=False, compare=False)
    other: OtherServer | None = field(default=None, repr=False, compare=False)

    @property
    def database(self) -> str:
        """Name of the database that a session is opened to; connects nowhere itself.

        Source: PostgreSQL 15 documentation, 34.1.2 "Parameter Key Words": `dbname` defaults to the user name.
        """
        from psycopg import pq

        if self.used is not None:
            return self.used()
        told = self._written()
        usual = {option.keyword.decode(): option.val for option in pq.Conninfo.get_defaults()}
        for name in ("dbname", "user"):
            value = told.get(name) or (usual.get(name) or b"").decode()
            if value:
                return value
        return "postgres"

    def to(self, database: str) -> Connector:
        """Return the way to another database of the service, on the server that has it."""
        from psycopg.conninfo import make_conninfo

        server = self.server_of(database)
        told = {**server._written(), "dbname": database}
        return replace(server, conninfo=make_conninfo("", **told), used=None)

    def server_of(self, database: str) -> Connector:
        """Return the way to the server that has that database; the first one where none has it (`OtherServer.has`)."""
        if self.other is not None and self.other.has(database, self):
            return self.other.connector
        return self

    @contextmanager
    def beside(self, database: str, live: psycopg.Connection[Any]) -> Iterator[psycopg.Connection[Any]]:
        """Give a session with the server of a database that needs not be connected to: the live one's, where it is that server."""
        server = self.server_of(database)
        if self.other is None or server is self.server_of(live.info.dbname):
            yield live
            return
        with self.other.outside(server) as connection:
            yield connection

    @property
    def place(self) -> tuple[str, str]:
        """Host (or the folder of its socket) and port of the server, as they are written; connects nowhere."""
        from psycopg import pq

        told = self._written()
        usual = {o.keyword.decode(): (o.val or b"").decode() for o in pq.Conninfo.get_defaults()}
        host, port = ((told.get(name) or usual.get(name) or "") for name in ("host", "port"))
        return host or told.get("hostaddr", ""), port or "5432"

    def for_programs(self, settings: Mapping[str, str]) -> tuple[str, dict[str, str]]:
        """Return the connection text for PostgreSQL's own programs, and what their environment needs.

        The password is in the environment alone: arguments are shown to every user of the machine.
        """
        from psycopg.conninfo import make_conninfo

        told = {k: v for k, v in self._parameters().items() if k not in ("password", "sslpassword")}
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        told["options"] = f"{told.get('options', '')} {options}".strip()
        told |= {"dbname": self.database, "application_name": APPLICATION_NAME}
        password = self._parameters().get("password")
        return make_conninfo("", **told), {"PGPASSWORD": password} if password else {}

    @contextmanager
    def session(self, deadline_s: float, *, autocommit: bool = False) -> Iterator[psycopg.Connection[Any]]:
        """Open a connection, hand it over, and close it.

        The session may write even while the database's default is read-only, so that a hold can be taken
        away; what must not write says so in its transaction.

        Args:
            deadline_s: Seconds from now that a statement may take at most.
            autocommit: Whether each statement is a transaction of its own.

        Raises:
            TargetUnreachable: The database does not answer in time.
            CredentialsRefused: The password or a privilege was refused.
            ConfigError: The connection text cannot be read, or the server says that a statement is wrong.
        """
        import psycopg

        connection = self._open(deadline_s, autocommit)
        try:
            with connection:
                yield connection
        except psycopg.Error as error:
            raise self._told(error) from None

    def _open(self, deadline_s: float, autocommit: bool) -> psycopg.Connection[Any]:
        import psycopg
        from psycopg.conninfo import make_conninfo

        told = self._parameters()
        options = told.get("options", "")
        try:
            connection = psycopg.connect(
                self.conninfo if self.used is None else make_conninfo("", **told),
                autocommit=autocommit,
                application_name=APPLICATION_NAME,
                connect_timeout=max(1, round(min(self.connect_timeout_s, deadline_s))),
                options=f"{options} {self._settings(deadline_s)}".strip(),
                # A network that went silent is noticed in about ten seconds, not in two hours.
                keepalives_idle=5,
                keepalives_interval=2,
                keepalives_count=3,
                tcp_user_timeout=10_000,
            )
            if not has_settings(connection, round(self.lock_timeout_s * 1000)):
                connection.close()
                raise behind_a_pooler()
            return connection
        except psycopg.Error as error:
            raise self._told(error) from None

    def _parameters(self) -> dict[str, str]:
        """Return what is connected to, by keyword."""
        return self._written() if self.used is None else self.to(self.used())._written()

    def _written(self) -> dict[str, str]:
        import psycopg
        from psycopg.conninfo import conninfo_to_dict

        try:
            found = conninfo_to_dict(self.conninfo)
        except psycopg.Error:
            # Hazard: psycopg prints the connection text, password and all, in this message.
            raise ConfigError(
                msg(
                    "{setting} cannot be read as a PostgreSQL URL or as key=value text", setting=self.setting
                ),
                state=msg("Nothing was touched."),
                next_command=DOCTOR,
            ) from None
        return {name: str(value) for name, value in found.items() if value is not None}

    def _settings(self, deadline_s: float) -> str:
        statement_ms = max(1, round(min(self.statement_timeout_s, deadline_s) * 1000))
        settings = {
            "statement_timeout": statement_ms,
            "lock_timeout": max(1, round(self.lock_timeout_s * 1000)),
            "idle_in_transaction_session_timeout": statement_ms + 30_000,
            "default_transaction_read_only": "off",
        }
        return " ".join(f"-c {name}={value}" for name, value in settings.items())

    def _told(self, error: psycopg.Error) -> BackoutError:
        """Return our error for psycopg's; the caller raises it `from None`."""
        from psycopg import errors

        text = self.redactor.text(" ".join(str(error).split()))
        if _NO_SETTINGS in text:
            return behind_a_pooler()
        untouched = msg("Nothing was changed by this statement.")
        if isinstance(error, errors.QueryCanceled):
            what = msg("The database did not answer in time: {error}", error=text)
            return TargetUnreachable(what, state=untouched, next_command=DOCTOR)
        if isinstance(error, errors.LockNotAvailable):
            what = msg(
                "Somebody else holds a lock that is needed: {error}", error=error.diag.message_primary or text
            )
            waits = "backout db blockers   # while the same command waits again, beside it"
            return TargetUnreachable(what, state=untouched, next_command=waits)
        if isinstance(error, errors.InsufficientPrivilege) or (
            error.sqlstate is None and _REFUSED.search(text)
        ):
            what = msg("The database refused: {error}", error=text)
            return CredentialsRefused(what, state=untouched, next_command=DOCTOR)
        if (error.sqlstate or "")[:2] in _STATEMENT_IS_WRONG:
            return ConfigError(statement_failed(text), state=untouched, next_command=DOCTOR)
        if error.sqlstate is not None and error.sqlstate[:2] not in ("08", "53", "57"):
            what = msg("The database did not do it: {error}", error=text)
        else:
            what = msg("The database cannot be reached: {error}", error=text)
        return TargetUnreachable(what, state=untouched, next_command=DOCTOR)


@contextmanager
def pooler_session(conninfo: str, redactor: Redactor, timeout_s: float) -> Iterator[psycopg.Connection[Any]]:
    """Open a session to a pooler's administration, which knows few start-up parameters and no transactions.

    Raises:
        TargetUnreachable: It does not answer, or refused.
    """
    import psycopg

    try:
        connection = psycopg.connect(
            conninfo, autocommit=True, connect_timeout=max(1, round(timeout_s)), tcp_user_timeout=10_000
        )
        try:
            yield connection
        finally:
            connection.close()  # also while a command still waits for its answer
    except psycopg.Error as error:
        text = redactor.text(" ".join(str(error).split()))
        raise TargetUnreachable(
            msg("The pooler does not answer: {error}", error=text),
            state=msg("Nothing was changed."),
            next_command=DOCTOR,
        ) from None


def has_settings(connection: psycopg.Connection[Any], lock_timeout_ms: int) -> bool:
    """Tell whether a new session has the settings that it was opened with: a pooler may pass over them.

    Raises:
        psycopg.OperationalError: The session has ended meanwhile.
    """
    from psycopg import OperationalError

    asked = connection.pgconn.exec_(
        b"SELECT setting FROM pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=) 'lock_timeout'"
    )
    if connection.closed:
        raise OperationalError(connection.pgconn.get_error_message())
    return asked.get_value(0, 0) == str(max(1, lock_timeout_ms)).encode()


class BehindAPooler(ConfigError):
    """The connection is not one with the server itself."""


def behind_a_pooler() -> BehindAPooler:
    """Return our error that the connection is not one with the server itself."""
    return BehindAPooler(
        msg(
            "The database's URL leads to a pooler, which does not keep a session's settings: a wait for a lock would have no end. "
            "Name the server's own host and port (database.url, DATABASE_URL, --database); clients may go on using the pooler"
        ),
        state=msg("Nothing was changed."),
        # Source: PostgreSQL 15 documentation, 9.26 "System Information Functions": the address at which the server took the connection.
        next_command='psql -Atc "SELECT inet_server_addr(), inet_server_port()" "$DATABASE_URL"   # where the server itself listens',
    )


def statement_failed(error: str) -> Message:
    """Say that the server answered, and refused the statement itself."""
    return msg("The database says that the statement is wrong: {error}", error=error)


def database_in(conninfo: str, environ: Mapping[str, str]) -> str | None:
    """Return the database's name as a connection text or the ``PG*`` variables say it; None: they do not."""
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    try:
        told = conninfo_to_dict(conninfo)
    except psycopg.Error:
        return None
    if told.get("service") or environ.get("PGSERVICE"):
        return None  # The name may stand in a service file.
    name = told.get("dbname") or environ.get("PGDATABASE") or told.get("user") or environ.get("PGUSER")
    return str(name) if name else None


def secrets_of(conninfo: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return every spelling of the password in a connection text, without importing psycopg."""
    found = [environ.get("PGPASSWORD", "")]
    if "://" in conninfo:
        try:
            parts = urlsplit(conninfo)
            user_info = parts.netloc.rpartition("@")[0]
            found += [user_info.partition(":")[2], *parse_qs(parts.query).get("password", [])]
        except ValueError:
            found.append(conninfo)
    else:
        for quoted, plain in _KEYWORD_PASSWORD.findall(conninfo):
            found += [quoted, re.sub(r"\\(.)", r"\1", quoted), plain]
    return tuple({spelling for text in found for spelling in (text, unquote(text)) if spelling})
