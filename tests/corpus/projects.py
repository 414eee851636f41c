"""The projects: which package, and what its migrations want to be run. Nothing here decides what is right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from tests.corpus import drizzle
from tests.corpus.history import History
from tests.corpus.of_alembic import AlembicPackage
from tests.corpus.of_classes import ClassesOf
from tests.corpus.of_files import Files

_NOWHERE = "postgresql://nobody@127.0.0.1:1/none"
_MEDUSA = (
    "auth", "cart", "customer", "fulfillment", "inventory", "notification", "order", "payment", "pricing", "product", "promotion",
    "region", "sales-channel", "stock-location", "store", "tax", "user", "workflow-engine-redis",
)  # fmt: skip

_MEDUSAS = {
    "@medusajs/framework/utils": ("@medusajs/utils", "2.21.2", "dist/common/alter-columns-helper.js"),
    "ulid": ("ulid", "2.4.0", "dist/index.umd.js"),
}
"""What its migrations need of other packages, and where that is."""

_SUPERSET = """
from superset.app import create_app
create_app().app_context().push()
"""
_FIDES = """
import fides.api.db.session as session

def own(*_, **__):
    import os
    from sqlalchemy import create_engine
    from sqlalchemy.orm import sessionmaker
    return sessionmaker(bind=create_engine(os.environ["DATABASE_URL"]))

session.get_db_session = own
"""
"""One of its revisions opens a session by its configuration: here it is of the database that the step runs in."""


class Project(Protocol):
    """Where a history comes from."""

    @property
    def name(self) -> str:
        """As people call it."""

    def history(self) -> History:
        """Bring the package, and read its history."""


@dataclass(frozen=True, slots=True)
class Made:
    """A history that is in no package: it is made here, by a tool of its own."""

    name: str
    make: Callable[[], History]

    def history(self) -> History:
        """Make it."""
        return self.make()


PROJECTS: tuple[Project, ...] = (
    Files("litellm-proxy-extras", "0.4.110", "litellm_proxy_extras/migrations", "prisma", "pypi"),
    Files("@dxheroes/local-mcp-database", "0.7.2", "prisma/migrations", "prisma"),
    Files("@workflow/world-postgres", "4.3.7", "src/drizzle/migrations", "drizzle"),
    Files(
        "graphile-worker",
        "0.17.3",
        "sql",
        "plain",
        names={":GRAPHILE_WORKER_SCHEMA": "graphile_worker"},
        before=(
            "CREATE SCHEMA graphile_worker",
            "CREATE TABLE graphile_worker.migrations (id int PRIMARY KEY, ts timestamptz DEFAULT now() NOT NULL, breaking boolean NOT NULL DEFAULT false)",
        ),
    ),
    Files("procrastinate", "3.10.0", "procrastinate/sql/migrations", "plain", "pypi"),
    AlembicPackage("optuna", "5.0.0", "optuna/storages/_rdb/alembic", enums_once=True),
    AlembicPackage(
        "open-webui",
        "0.12.4",
        "open_webui/migrations",
        environment={
            "DATABASE_URL": _NOWHERE,
            "WEBUI_SECRET_KEY": "x",
            "ENABLE_DB_MIGRATIONS": "False",
            "DATA_DIR": ".",
        },
        alone=True,
        more=(
            "sqlalchemy",
            "pydantic",
            "fastapi",
            "python-dotenv",
            "markdown",
            "beautifulsoup4",
            "redis",
            "aiohttp",
            "requests",
            "peewee",
            "peewee-migrate",
            "cryptography",
            "bcrypt",
            "argon2-cffi",
            "passlib",
            "PyJWT",
            "loguru",
            "typer",
            "uvicorn",
            "python-multipart",
            "authlib",
            "httpx",
            "starlette",
            "psutil",
            "pytz",
            "validators",
            "aiocache",
            "aiofiles",
            "itsdangerous",
            "python-socketio",
            "orjson",
            "greenlet",
            "asyncpg",
            "psycopg[binary]",
        ),
    ),
    AlembicPackage(
        "mlflow",
        "3.17.2",
        "mlflow/store/db_migrations",
        metadata="mlflow.store.db.base_sql_model:Base.metadata",
        before=(
            "from mlflow.store.tracking.dbmodels.initial_models import Base; Base.metadata.create_all(engine)",
        ),
    ),
    AlembicPackage(
        "arize-phoenix", "20.26.1", "phoenix/db/migrations", metadata="phoenix.db.models:Base.metadata"
    ),
    AlembicPackage("argilla-server", "2.8.0", "argilla_server/alembic"),
    AlembicPackage("gpustack", "2.3.0", "gpustack/migrations"),
    AlembicPackage(
        "dstack",
        "0.22.5",
        "dstack/_internal/server/migrations",
        extras="[server]",
        metadata="dstack._internal.server.models:BaseModel.metadata",
        enums_once=True,
    ),
    AlembicPackage("ckan", "2.12.0", "ckan/migration"),
    AlembicPackage(
        "prefect",
        "3.8.8",
        "prefect/server/database/_migrations",
        versions=("versions/postgresql",),
        client="asyncpg",
        environment={"PREFECT_API_DATABASE_CONNECTION_URL": _NOWHERE.replace("://", "+asyncpg://")},
    ),
    AlembicPackage(
        "apache-airflow-core",
        "3.3.2",
        "airflow/migrations",
        metadata="airflow.models.base:Base.metadata",
        environment={"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": _NOWHERE, "AIRFLOW_HOME": "."},
        more=("psycopg[binary]", "asyncpg"),
    ),
    AlembicPackage(
        "langflow-base",
        "1.13.0",
        "langflow/alembic",
        metadata="langflow.services.database.service:SQLModel.metadata",
    ),
    AlembicPackage(
        "ethyca-fides",
        "2.78.2",
        "fides/api/alembic/migrations",
        more=("setuptools<81",),
        first=(_FIDES,),
    ),
    AlembicPackage(
        "apache-superset",
        "6.1.0",
        "superset/migrations",
        environment={"SUPERSET_SECRET_KEY": "x" * 42, "SUPERSET_HOME": "."},
        first=(_SUPERSET,),
        more=("flask-caching==2.3.1",),
        before=(
            # One by one: `create_all` makes the types of all tables that the package knows.
            "from flask_appbuilder import Model; [t.create(engine) for t in Model.metadata.sorted_tables if t.name.startswith('ab_')]",
        ),
    ),
    ClassesOf(
        "flowise",
        "3.1.2",
        ("dist/database/migrations/postgres", "dist/enterprise/database/migrations/postgres"),
        "pairs",
        before=('CREATE EXTENSION "uuid-ossp"',),
    ),
    *(
        ClassesOf(f"@medusajs/{one}", "2.21.2", ("dist/migrations",), "mikroorm", loads=_MEDUSAS)
        for one in _MEDUSA
    ),
    *(
        Made(f"drizzle-kit-{name}-{version}", partial(drizzle.history, name, version))
        for name, versions in drizzle.MADE.items()
        for version in versions
    ),
)


def named(words: str | None) -> list[Project]:
    """Return the projects whose names hold one of the words; None: all."""
    wanted = (words or "").split(",")
    return [one for one in PROJECTS if any(word in one.name for word in wanted)]
