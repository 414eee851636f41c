"""Options that `migrate` and the verbs of `db` share."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backout.cli.common import err
from backout.errors import ConfigError
from backout.migration import HIDE, KEEPS, LOCK_BUDGET_MS, SIDE_TABLE, answers_in

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
RepairOption = Annotated[
    list[str] | None,
    typer.Option(
        "--repair",
        metavar="TABLE.COLUMN=EXPR",
        help="What a row gets on the way back that violates a CHECK, or has a key twice, which comes back; `db redo` gives it back what it had.",
    ),
]
QuarantineOption = Annotated[
    list[str] | None,
    typer.Option(
        "--quarantine",
        metavar="TABLE",
        help="Rows of it that violate a CHECK, or have a key twice, which comes back are set aside on the way back; `db redo` brings them again.",
    ),
]
LockBudgetOption = Annotated[
    float | None,
    typer.Option(
        "--lock-budget",
        metavar="MS",
        min=1,
        help="Milliseconds for which locks may be held: what would take longer is done before, or is named; else "
        "migrations.lock_budget_ms of backout.yaml, else 100.",
    ),
]
VariableOption = Annotated[
    list[str] | None,
    typer.Option(
        "--variable",
        metavar="NAME",
        help="Another variable by which the command finds the database; may be given several times.",
    ),
]
DownFillOption = Annotated[
    list[str] | None,
    typer.Option(
        "--fill",
        metavar="TABLE.COLUMN=EXPR",
        help="What rows get in a column that comes back, and has to have a value.",
    ),
]
LateFillOption = Annotated[
    list[str] | None,
    typer.Option(
        "--fill",
        metavar="TABLE.COLUMN=EXPR",
        help="What rows get whose value the earlier type of a column cannot hold; `db redo` gives them back what they had. With "
        "--from-schema: what rows get in a column that comes back, and has to have a value.",
    ),
]
FillOption = Annotated[
    list[str] | None,
    typer.Option(
        "--fill",
        metavar="TABLE.COLUMN=EXPR",
        help="What rows without a value get on the way back; else a line `-- backout: fill …` beside the statement.",
    ),
]
BackOption = Annotated[
    list[str] | None,
    typer.Option(
        "--back",
        metavar="TABLE.COLUMN=EXPR",
        help="The value that a column had, told by the one of its new type; else a line `-- backout: back …`.",
    ),
]
KeepOption = Annotated[
    list[str] | None,
    typer.Option(
        "--keep",
        metavar="TABLE=side-table",
        help="Really drop columns of a table, their values kept in a table beside, instead of hiding them: as long as the table is big, there and back; else a line `-- backout: keep …`.",
    ),
]
ScratchOption = Annotated[
    str | None,
    typer.Option(
        "--scratch",
        metavar="URL",
        help="A database of a server for scratch databases, as a role that may create some; else one is started here, and ended.",
    ),
]
FromSchemaOption = Annotated[
    str | None,
    typer.Option(
        "--from-schema",
        metavar="REF|URL",
        help="The migration has run without backout; the schema of before is that of this database, or what COMMAND makes "
        "of an empty one, run among the files of this git revision.",
    ),
]
_PASSWORD = re.compile(r"^[a-z]+://[^/@:]*:[^@]+@|\bpassword\s*=", re.IGNORECASE)


def database_of(url: str | None, option: str = "--database") -> str | None:
    """Return the database that was named; warn where a password stands in the arguments."""
    if url is not None and _PASSWORD.search(url):
        err(
            f"warning  The password in {option} is shown to every user of this machine: use PGPASSWORD or ~/.pgpass."
        )
    return url


def check_earlier(from_schema: str, argv: list[str] | None) -> None:
    """Make sure that the schema of before is told by a database, or by a revision and a command."""
    from backout.app.migrations import is_database

    if is_database(from_schema) is bool(argv and argv[0].strip()):
        raise typer.BadParameter(
            "with a database's URL no command is expected; a git revision needs the one that migrates an empty database, behind --",
            param_hint="--from-schema",
        )


def told_as(option: str, given: list[str] | None) -> Iterator[tuple[str, str, str]]:
    """Yield answers TABLE.COLUMN=EXPR that were given by an option, as `answers_in` takes them."""
    for text in given or ():
        place, sign, expression = text.partition("=")
        if not sign or not expression.strip() or "." not in place:
            raise typer.BadParameter(f"{text}: expected TABLE.COLUMN=EXPR", param_hint=option)
        yield option.removeprefix("--"), place.strip(), expression.strip()


def told_of_violators(
    repair: list[str] | None, quarantine: list[str] | None
) -> Iterator[tuple[str, str, str]]:
    """Yield the answers of `--repair` and `--quarantine`."""
    yield from told_as("--repair", repair)
    for table in quarantine or ():
        if not table.strip() or "=" in table:
            raise typer.BadParameter(f"{table}: expected TABLE", param_hint="--quarantine")
        yield "quarantine", table.strip(), ""


def lock_budget_of(given_ms: float | None, config: Path | None) -> float:
    """Return for how long locks may be held. A configuration that is broken keeps nobody from a way back."""
    if given_ms is not None:
        return given_ms
    try:
        return settings_of(config).lock_budget_ms
    except ConfigError as error:
        if config is not None:
            raise
        err(f"warning  {error.what} The lock budget is {LOCK_BUDGET_MS} ms.")
        return LOCK_BUDGET_MS


def settings_of(config: Path | None) -> MigrationSettings:
    """Return how migrations are run here, by the configuration that was named or is found."""
    from backout.app.migration_settings import migration_settings

    return migration_settings(config, os.environ, Path.cwd())


def given_answers(
    fill: list[str] | None,
    back: list[str] | None,
    repair: list[str] | None,
    quarantine: list[str] | None,
    keep: list[str] | None,
) -> dict[str, str]:
    """Return what was told by the options of those names, as a migration takes it."""
    return answers_in(
        [
            *told_as("--fill", fill),
            *told_as("--back", back),
            *told_of_violators(repair, quarantine),
            *_told_of_kept(keep),
        ]
    )


def _told_of_kept(given: list[str] | None) -> Iterator[tuple[str, str, str]]:
    for text in given or ():
        table, _sign, how = (part.strip() for part in text.partition("="))
        if not table or how not in KEEPS:
            raise typer.BadParameter(
                f"{text}: expected TABLE={SIDE_TABLE} or TABLE={HIDE}", param_hint="--keep"
            )
        yield "keep", table, how
