"""Options that `migrate` and the verbs of `db` share."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backout.cli.common import err

if TYPE_CHECKING:
    from backout.app.migration_settings import MigrationSettings

DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        help="The database; else DATABASE_URL, else the PG* variables. A password is better kept out of it.",
    ),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Do it, print it, and undo it.")]
WaitOption = Annotated[
    float,
    typer.Option(
        "--wait", metavar="SECONDS", min=0, help="How long to go on asking for tables that are in use."
    ),
]
StrictOrderOption = Annotated[
    bool,
    typer.Option(
        "--strict-order",
        help="Compare the order of columns, too, with the one that the schema had.",
    ),
]
_PASSWORD = re.compile(r"^[a-z]+://[^/@:]*:[^@]+@|\bpassword\s*=", re.IGNORECASE)


def database_of(url: str | None) -> str | None:
    """Return the database that was named; warn where a password stands in the arguments."""
    if url is not None and _PASSWORD.search(url):
        err(
            "warning  The password in --database is shown to every user of this machine: use PGPASSWORD or ~/.pgpass."
        )
    return url


def settings_of(config: Path | None) -> MigrationSettings:
    """Return how migrations are run here, by the configuration that was named or is found."""
    from backout.app.migration_settings import migration_settings

    return migration_settings(config, os.environ, Path.cwd())
