"""`backout db finalize`: what migrations have hidden is really dropped."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backout.cli.common import ConfigOption, JsonOption, YesOption, err, guarded, out, out_json
from backout.cli.confirm import confirm
from backout.cli.db_options import DatabaseOption, DryRunOption, WaitOption, database_of, settings_of
from backout.cli.db_status import sizes
from backout.message import msg
from backout.report.backups import size_text

if TYPE_CHECKING:
    from backout.migration import Finalized

_HOUR_S = 3600.0


@guarded
def command(
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="RELEASE",
            help="All up to those of this release; else those whose window is over.",
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="So many, the oldest first.")] = None,
    window: Annotated[
        float | None,
        typer.Option(
            "--window",
            metavar="HOURS",
            min=0,
            help="How long a migration is kept, from its end on; else migrations.window_h of backout.yaml, else 72.",
        ),
    ] = None,
    now: Annotated[bool, typer.Option("--now", help="Also those that are in their window.")] = False,
    undone: Annotated[
        bool,
        typer.Option(
            "--undone", help="Also what was taken back: it cannot be made again by `backout db redo`."
        ),
    ] = False,
    dry_run: DryRunOption = False,
    wait: WaitOption = 10.0,
    yes: YesOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Really drop what migrations have hidden, the oldest first. They cannot be taken back afterwards.

    Exit code 8: one of them is in its window, or something else needs what is hidden.

    Example: backout db finalize --to 5.2.0 --dry-run
    """
    from backout.app.migrations import Migrations

    if to is not None and steps is not None:
        raise typer.BadParameter("--to and --steps cannot be given both", param_hint="--steps")
    migrations = Migrations(database_of(database))
    window_s = settings_of(config).window_s if window is None else window * _HOUR_S
    if not dry_run:
        confirm(
            msg("Drop what {which} have hidden, for good?", which=_which(to, steps, now=now)),
            word=None,
            yes=yes,
            command=_typed(to, steps, window, now=now, undone=undone, config=config),
        )
    done = migrations.finalize(
        to=to,
        steps=steps,
        undone=undone,
        window_s=window_s,
        now=now,
        dry_run=dry_run,
        patience_s=wait,
    )
    if as_json:
        out_json(done)
    else:
        _tell(done)


def _which(to: str | None, steps: int | None, *, now: bool) -> str:
    if to is not None:
        return f"all migrations up to {to}"
    if steps is not None:
        return f"the oldest {steps} migration(s)"
    return "all migrations" if now else "all migrations whose window is over"


def _typed(
    to: str | None, steps: int | None, window: float | None, *, now: bool, undone: bool, config: Path | None
) -> str:
    words = ["backout db finalize"]
    words += ["--to", to] if to is not None else []
    words += ["--steps", str(steps)] if steps is not None else []
    words += ["--window", f"{window:g}"] if window is not None else []
    words += ["--config", shlex.quote(str(config))] if config is not None else []
    words += ["--now"] if now else []
    words += ["--undone"] if undone else []
    return " ".join(words)


def _tell(done: Finalized) -> None:
    if not done.migrations:
        out(f"Nothing is to be finalized in {done.database}.")
        return
    numbers = ", ".join(map(str, done.migrations))
    for statement in done.statements if done.dry_run else ():
        out(f"{statement};")
    for one in () if done.dry_run else done.dropped:
        out(f"  dropped  {one.kind} {one.called}  {sizes(one)}")
    if done.rows:
        out(f"  deleted  {done.rows} logged row(s) from the journal")
    inside = sum(one.estimated_bytes or 0 for one in done.dropped)
    freed = f"{size_text(done.freed_bytes)} given back"
    if any(one.kind == "column" for one in done.dropped):
        freed += (
            f"; values of columns (about {size_text(inside)}) stay in the tables' files until VACUUM FULL"
        )
    if done.dry_run:
        err(
            f"Tried and undone: migration {numbers}. The locks were held for {done.seconds * 1000:.0f} ms; {freed}."
        )
        return
    out(f"Migration {numbers} is final; tables were locked for {done.seconds * 1000:.0f} ms; {freed}.")
    err("next   backout db status")
