"""`backout check -- COMMAND`: whether a migration can be taken back, with everything, before it is deployed."""

from __future__ import annotations

import shlex
from enum import StrEnum
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backout.cli.common import ConfigOption, JsonOption, err, guarded, out, out_json
from backout.cli.db_options import (
    BackOption,
    DatabaseOption,
    FillOption,
    KeepOption,
    LockBudgetOption,
    QuarantineOption,
    RepairOption,
    ScratchOption,
    VariableOption,
    database_of,
    given_answers,
    lock_budget_of,
    settings_of,
)
from backout.errors import ExitCode
from backout.migration_proof import HistoryProof, MigrationProof, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

_EXIT = {
    Verdict.PROVEN: ExitCode.DONE,
    Verdict.ANSWER: ExitCode.NEEDS_APPROVAL,
    Verdict.UNKNOWN: ExitCode.NEEDS_APPROVAL,
    Verdict.REFUSED: ExitCode.REFUSED,
    Verdict.WRONG: ExitCode.PROOF_FAILED,
    Verdict.FAILED: ExitCode.NOT_POSSIBLE,
}


class Format(StrEnum):
    """How the result is printed."""

    TEXT = "text"
    GITHUB = "github"
    MARKDOWN = "markdown"
    SARIF = "sarif"


@guarded
def command(
    argv: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- COMMAND…", help="The migration command, as it is typed without backout."),
    ] = None,
    whole: Annotated[
        bool,
        typer.Option(
            "--all",
            help="Prove a whole history, begun with an empty database: the command makes one migration each time it is run.",
        ),
    ] = False,
    files: Annotated[
        str | None,
        typer.Option(
            "--files",
            metavar="PATTERN",
            help="With --all, instead of a command: one file for each migration, in the order of their paths ('drizzle/*.sql').",
        ),
    ] = None,
    scratch: ScratchOption = None,
    empty: Annotated[
        bool,
        typer.Option("--empty", help="Begin with an empty database instead of a clone of the live schema."),
    ] = False,
    before: Annotated[
        str | None,
        typer.Option(
            "--before",
            metavar="COMMAND",
            help="A command that is run first, without backout: the migrations so far, where an empty database is begun with.",
        ),
    ] = None,
    smoke: Annotated[
        str | None,
        typer.Option(
            "--smoke",
            metavar="COMMAND",
            help="A test of the release that runs now: it is run on the later schema, too; else migrations.smoke of backout.yaml.",
        ),
    ] = None,
    variable: VariableOption = None,
    fill: FillOption = None,
    back: BackOption = None,
    repair: RepairOption = None,
    quarantine: QuarantineOption = None,
    keep: KeepOption = None,
    rows: Annotated[
        list[str] | None,
        typer.Option(
            "--rows",
            metavar="TABLE=N",
            help="How many rows a table has, for the estimate of locks; else the live database's statistics tell.",
        ),
    ] = None,
    sample: Annotated[
        int,
        typer.Option(
            "--sample",
            metavar="N",
            min=0,
            help="Bring so many rows of each live table, and those that they refer to, besides those that are generated. "
            "They are shown nowhere, and nothing that the command prints is.",
        ),
    ] = 0,
    style: Annotated[
        Format,
        typer.Option(
            "--format",
            help="`github`: annotations; `markdown`: a table for the pull request; `sarif`: for code scanning.",
        ),
    ] = Format.TEXT,
    file: Annotated[
        str | None,
        typer.Option("--file", metavar="FILE", help="The migration's file, which annotations are shown at."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="Write it there; the terminal gets the text."),
    ] = None,
    lock_budget: LockBudgetOption = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a migration command on scratch databases, write, take it back, make it again, and say whether all was kept.

    The live database is only read: its schema is cloned, and the histories of migration tools, no row. The scratch databases get
    generated rows that respect every constraint. The command finds them by DATABASE_URL or the PG* variables.

    Exit code 0: proven. 4: an answer is needed, or it is unknown. 8: refused. 6: something was not as it has to be.
    3: the command fails by itself. 7: the live database became another one meanwhile.

    Example: backout check -- npx drizzle-kit migrate
    """
    from backout.app.checking import check_history, check_migration

    words = list(argv or ())
    listed = _files(files, whole=whole)
    if not listed and not (words and words[0].strip()):
        raise typer.BadParameter("there is no command", param_hint="-- COMMAND…")
    settings = settings_of(config)
    told = given_answers(fill, back, repair, quarantine, keep)
    given: dict[str, Any] = {
        "database": database_of(database),
        "empty": empty,
        "scratch": scratch,
        "before": shlex.split(before) if before else None,
        "smoke": shlex.split(smoke) if smoke else settings.smoke,
        "answers": {**settings.answers, **told},
        "variables": (*settings.variables, *(variable or ())),
        "lock_budget_ms": lock_budget_of(lock_budget, config),
    }
    try:
        if whole:
            raise typer.Exit(_whole(check_history(words, listed, **given), as_json=as_json))
        proof = check_migration(words, rows=dict(_sizes(rows)), sample=sample, **given)
    except KeyboardInterrupt:
        err("Interrupted. Nothing was changed but scratch databases, which are gone.")
        raise typer.Exit(int(ExitCode.INTERRUPTED)) from None
    if output is not None:
        output.write_text("".join(_as(proof, style, file)), encoding="utf-8")
    if as_json:
        out_json(proof)
    else:
        out("".join(_as(proof, Format.TEXT if output is not None else style, file)).rstrip("\n"))
    raise typer.Exit(int(ExitCode.OUTCOME_UNKNOWN if proof.live_moved else _EXIT[proof.verdict]))


def _files(pattern: str | None, *, whole: bool) -> list[Path]:
    if pattern is None:
        return []
    if not whole:
        raise typer.BadParameter("it belongs to --all", param_hint="--files")
    # Path.glob takes no absolute pattern.
    found = [Path(name) for name in sorted(glob(pattern, recursive=True)) if Path(name).is_file()]  # noqa: PTH207
    if not found:
        raise typer.BadParameter(f"no file is called {pattern}", param_hint="--files")
    return found


def _whole(proofs: Iterator[MigrationProof], *, as_json: bool) -> int:
    """Print a line for each migration of a history as it is proven, and then how many came to what; return the exit code."""
    from backout.report import proof as report

    done: list[MigrationProof] = []
    for one in proofs:
        done.append(one)
        if not as_json:
            out(report.line(one))
    verdict = max((one.verdict for one in done), key=list(Verdict).index, default=Verdict.PROVEN)
    if as_json:
        out_json(HistoryProof(verdict=verdict, migrations=tuple(done)))
    else:
        out(report.total(done))
    return int(_EXIT[verdict])


def _sizes(given: list[str] | None) -> Iterator[tuple[str, int]]:
    for text in given or ():
        table, _sign, number = (part.strip() for part in text.partition("="))
        if not table or not number.isdecimal():
            raise typer.BadParameter(f"{text}: expected TABLE=N", param_hint="--rows")
        yield table if "." in table else f"public.{table}", int(number)


def _as(proof: MigrationProof, style: Format, file: str | None) -> Iterator[str]:
    from backout import __version__
    from backout.report import proof as report

    if style is Format.MARKDOWN:
        yield report.markdown(proof)
    elif style is Format.SARIF:
        yield report.sarif(proof, file, __version__, _text_of(file))
    else:
        said = (
            report.lines(proof)
            if style is Format.TEXT
            else report.workflow_commands(proof, file, _text_of(file))
        )
        yield from (f"{line}\n" for line in said)


def _text_of(file: str | None) -> str:
    """Return what is in the migration's file; nothing where there is none: it only tells lines."""
    try:
        return "" if file is None else Path(file).read_text(errors="replace")
    except OSError:
        return ""
