"""PostgreSQL, from version 13 on; the role needs to own the database and no more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, Field, SecretStr, field_validator

from backout.databases.postgres.comparable import PostgresCompares
from backout.databases.postgres.restorable import PostgresRestores
from backout.databases.postgres.switchable import PostgresSwitches
from backout.databases.postgres.undoes import PostgresUndoes
from backout.fields import Declared, Seconds
from backout.platforms.base import Detection, Diagnosis, Site
from backout.schema import Schema

if TYPE_CHECKING:
    from backout.databases.postgres.cluster import Cluster
    from backout.holds.base import HoldMeans


class PostgresOptions(Declared):
    """Options of `database: {kind: postgres}`."""

    url: SecretStr = Field(
        default=SecretStr(""),
        description="URL or key=value text, as ${NAME}; left out: the PG* variables. Not through a pooler.",
    )
    schemas: tuple[str, ...] | None = Field(
        default=None,
        description="Schemas that belong to the service; left out: all but the system's and backout's own.",
    )
    connect_timeout_s: Seconds = Field(default=5, gt=0, description="Seconds to wait for a connection.")
    lock_timeout_s: Seconds = Field(default=5, gt=0, description="Seconds to wait for a lock.")
    statement_timeout_s: Seconds = Field(default=30, gt=0, description="Seconds that a statement may take.")
    maintenance_database: str = Field(
        default="postgres",
        description="Another database of the server, for what cannot be done from within the service's own: "
        "create, swap, drop.",
    )
    programs: Path | None = Field(
        default=None,
        description="Folder of pg_dump, pg_restore and psql; left out: those of the server's version, or newer.",
    )
    pooler: SecretStr | None = Field(
        default=None,
        description="Connection to PgBouncer's administration (database pgbouncer), as ${NAME}: its clients wait "
        "during a swap instead of being refused.",
    )

    @field_validator("url")
    @classmethod
    def _of_postgres(cls, value: SecretStr) -> SecretStr:
        # Source: PostgreSQL 17, 32.1.1 Connection Strings: a URI of these two schemes, or key=value words.
        text = value.get_secret_value()
        scheme, is_url, _ = text.partition("://")
        if text and (scheme not in ("postgres", "postgresql") if is_url else "=" not in text):
            raise ValueError("a URL that begins with postgresql://, or key=value words")
        return value


class PostgresDatabase(PostgresRestores, PostgresCompares, PostgresSwitches, PostgresUndoes):
    """One PostgreSQL database, bound to one service in one environment."""

    kind: ClassVar[str] = "postgres"
    Options: ClassVar[type[BaseModel]] = PostgresOptions

    def __init__(self, cluster: Cluster, site: Site) -> None:
        self._cluster, self._connector, self._schemas = cluster, cluster.connector, cluster.schemas
        self._site = site

    @classmethod
    def create(cls, options: BaseModel, site: Site) -> PostgresDatabase:
        """Bind the database; does not connect. Its password is told to the site's redactor."""
        from backout.databases.postgres.cluster import Cluster
        from backout.databases.postgres.connect import Connector, secrets_of

        if not isinstance(options, PostgresOptions):
            raise TypeError(f"expected PostgresOptions, got {type(options).__name__}")
        conninfo = options.url.get_secret_value()
        pooler = options.pooler.get_secret_value() if options.pooler else None
        site.redactor.add(*secrets_of(conninfo, site.environ), *secrets_of(pooler or "", site.environ))
        connector = Connector(
            conninfo=conninfo,
            redactor=site.redactor,
            lock_timeout_s=options.lock_timeout_s,
            statement_timeout_s=options.statement_timeout_s,
            connect_timeout_s=options.connect_timeout_s,
        )
        folder = site.directory.resolve() / ".backout"
        programs = site.directory / options.programs if options.programs else None
        cluster = Cluster(
            connector, options.maintenance_database, programs, folder, schemas=options.schemas, pooler=pooler
        )
        return cls(cluster, site)

    @classmethod
    def detect(cls, directory: Path) -> Detection | None:
        """Look for a PostgreSQL URL in env files; changes nothing, keeps no secret."""
        from backout.databases.postgres.detect import detect_postgres

        return detect_postgres(directory)

    def schema(self, deadline_s: float) -> Schema:
        """Read the schema in one read-only snapshot.

        Args:
            deadline_s: Seconds that each query may take at most.

        Raises:
            TargetUnreachable: It does not answer in time.
            CredentialsRefused: The password or a privilege was refused.
        """
        from backout.databases.postgres.catalog import read_schema

        with self._connector.session(deadline_s) as connection:
            return read_schema(connection, self._schemas)

    def write_count(self, deadline_s: float) -> int:
        """Return the rows written so far; see `writes.count_writes` for what lags and by how much."""
        from backout.databases.postgres.writes import count_writes

        with self._connector.session(deadline_s) as connection:
            connection.read_only = True
            return count_writes(connection)

    def evidence(self, deadline_s: float) -> Iterator[tuple[str, str]]:
        """Yield what a post-mortem asks for: who does what, who waits for whom."""
        from backout.databases.postgres.evidence import sessions

        with self._connector.session(deadline_s) as connection:
            connection.read_only = True
            yield from sessions(connection)

    def writers(self, deadline_s: float) -> tuple[str, ...]:
        """Name who has written in a transaction that is still open; see `writers.open_writers`."""
        from backout.databases.postgres.writers import open_writers

        with self._connector.session(deadline_s) as connection:
            connection.read_only = True
            return open_writers(connection)

    def scalar(self, query: str, deadline_s: float) -> object:
        """Return the first column of the first row of one query, read-only, or None.

        Raises:
            ConfigError: The server answered that the query is wrong.
            TargetUnreachable: It does not answer in time.
            CredentialsRefused: The password or a privilege was refused.
        """
        with self._connector.session(deadline_s) as connection:
            connection.read_only = True
            # Hazard: a plain query may hold several statements, and a COMMIT among them would end the
            # read-only transaction. A prepared one is refused by the server unless it is a single one.
            cursor = connection.execute(query, prepare=True)
            row = cursor.fetchone() if cursor.description else None
            return row[0] if row else None

    def hold_means(self) -> HoldMeans:
        """Return the means that refuses writes (see `writes.RefuseWrites` for what it cannot stop)."""
        from backout.databases.postgres.closing import ClosedBySwap
        from backout.databases.postgres.writes import RefuseWrites

        return RefuseWrites(self._connector, ClosedBySwap(self._cluster))

    def doctor(self) -> Iterable[Diagnosis]:
        """Try what a rollback would need, touching nothing."""
        from backout.databases.postgres.doctor import diagnose

        return diagnose(self._connector, self._site.clock)
