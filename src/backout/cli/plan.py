"""`backout plan`: how the release would be taken back, and what that costs."""

from __future__ import annotations

import difflib
import shlex
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from backout.assess.model import ACCEPTABLE, AUTOMATION, Request, is_acceptable
from backout.cli import complete
from backout.cli.common import (
    AcceptOption,
    ConfigOption,
    JsonOption,
    guarded,
    leave,
    open_backout,
    out,
    out_document,
    out_json,
    show_error,
)
from backout.errors import UsageError
from backout.message import msg
from backout.plan.model import Scenario


class ScenarioChoice(StrEnum):
    """How far back."""

    AUTO = "auto"
    CODE = "code"
    SCHEMA = "schema"
    DATA = "data"
    FULL = "full"


class DataOptions(NamedTuple):
    """What a person says of the backup to restore, as typed."""

    backup: str | None = None
    at: str | None = None
    max_loss_rows: int | None = None
    tables: str | None = None


class CauseChoice(StrEnum):
    """What is damaged."""

    CODE = "code"
    DATA = "data"
    BOTH = "both"


class FormatChoice(StrEnum):
    """How the plan is shown."""

    TEXT = "text"
    MD = "md"
    JSON = "json"


ToOption = Annotated[
    str | None,
    typer.Option(
        "--to",
        metavar="VERSION",
        help="The version to go back to, or on Kubernetes an image; else the last good one.",
        autocompletion=complete.versions,
    ),
]
ScenarioOption = Annotated[
    ScenarioChoice, typer.Option("--scenario", help="How far back; auto decides by the decision table.")
]
CauseOption = Annotated[
    CauseChoice | None, typer.Option("--cause", help="What is damaged, as far as you know.")
]
BackupOption = Annotated[
    str | None,
    typer.Option(
        "--backup", metavar="NAME", help="The backup to restore; else the newest from before the bad release."
    ),
]
AtOption = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="TIME",
        help="Restore the newest backup taken by then: 2026-11-23T02:00 (UTC unless it says otherwise).",
    ),
]
MaxLossOption = Annotated[
    int | None,
    typer.Option(
        "--max-loss",
        metavar="ROWS",
        min=0,
        help="The most rows written since the backup that may stay behind.",
    ),
]
TablesOption = Annotated[
    str | None,
    typer.Option(
        "--tables",
        metavar="SCHEMA.TABLE,…",
        help="With --scenario data: only these tables go back, inside the live database.",
    ),
]
KeepOneOption = Annotated[
    bool,
    typer.Option(
        "--keep-one", help="Take one pod of the bad release aside before it is replaced, for the post-mortem."
    ),
]
HoldFirstOption = Annotated[bool, typer.Option("--hold-first", help="Stop the harm as step 1.")]


def request_of(
    to: str | None,
    scenario: ScenarioChoice,
    cause: CauseChoice | None,
    hold_first: bool,
    accept: list[str] | None,
    data: DataOptions | None = None,
    *,
    keep_one: bool = False,
) -> Request:
    """Return the request that these options make.

    Raises:
        UsageError: A risk of that name is not known, a time cannot be read, or what is said of the backup does not fit.
    """
    data = data or DataOptions()
    if any(told is not None for told in data) and scenario not in (ScenarioChoice.DATA, ScenarioChoice.FULL):
        raise UsageError(
            msg("--backup, --at, --max-loss and --tables belong to --scenario data or full."),
            state=msg("Nothing was changed."),
            next_command="backout plan --scenario data",
        )
    if data.tables is not None and scenario is not ScenarioChoice.DATA:
        raise UsageError(
            msg("--tables belongs to --scenario data: code and schema stay as they are."),
            state=msg("Nothing was changed."),
            next_command=f"backout plan --scenario data --tables {shlex.quote(data.tables)}",
        )
    if data.backup is not None and data.at is not None:
        raise UsageError(
            msg("--backup and --at each choose a backup: give one of them."),
            state=msg("Nothing was changed."),
            next_command="backout backup list",
        )
    for name in accept or ():
        if not is_acceptable(name):
            near = difflib.get_close_matches(name, ACCEPTABLE, n=1) or ACCEPTABLE
            raise UsageError(
                msg(
                    "There is no risk {name} to accept; known are {known}.",
                    name=name,
                    known=", ".join((*ACCEPTABLE, f"{AUTOMATION}NAME")),
                ),
                state=msg("Nothing was changed."),
                next_command=f"backout plan --accept {near[0]}",
            )
    return Request(
        to=to,
        scenario=None if scenario is ScenarioChoice.AUTO else Scenario(scenario.value),
        cause=None if cause is None else cause.value,
        hold_first=hold_first,
        accept=tuple(accept or ()),
        backup=data.backup,
        at=None if data.at is None else _time(data.at),
        tables=_table_names(data.tables),
        max_loss_rows=data.max_loss_rows,
        keep_one=keep_one,
    )


def _table_names(text: str | None) -> tuple[str, ...]:
    names = [] if text is None else [name.strip() for name in text.split(",")]
    if any("." not in name for name in names):
        raise UsageError(
            msg(
                "--tables {text} cannot be read: name each with its schema, as public.reports,public.x.",
                text=text,
            ),
            state=msg("Nothing was changed."),
            next_command="backout plan --scenario data --tables public.reports",
        )
    return tuple(dict.fromkeys(names))


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(
            msg("--at {text} cannot be read as a time; write it like 2026-11-23T02:00:00+09:00.", text=text),
            state=msg("Nothing was changed."),
            next_command="backout backup list",
        ) from None


@guarded
def command(
    to: ToOption = None,
    scenario: ScenarioOption = ScenarioChoice.AUTO,
    cause: CauseOption = None,
    hold_first: HoldFirstOption = False,
    keep_one: KeepOneOption = False,
    backup: BackupOption = None,
    at: AtOption = None,
    max_loss: MaxLossOption = None,
    tables: TablesOption = None,
    accept: AcceptOption = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write the plan, to be run later as it is."),
    ] = None,
    format_: Annotated[
        FormatChoice, typer.Option("--format", help="text, md (a runbook to follow by hand), or json.")
    ] = FormatChoice.TEXT,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how the release would be taken back; changes nothing.

    Exit code 4: something has to be accepted by name first; 8: refused. The plan is shown all the same.

    Example: backout plan --to 5.3.0 -o plan.json
    """
    from backout.app.plan import PlanFile, by_hand, write_plan
    from backout.errors import NothingToGoBackTo
    from backout.plan.refusal import refusal
    from backout.report.plan import plan_markdown

    with open_backout(config) as backout:
        try:
            plan = backout.plan(
                request_of(
                    to,
                    scenario,
                    cause,
                    hold_first,
                    accept,
                    DataOptions(backup, at, max_loss, tables),
                    keep_one=keep_one,
                )
            )
        except NothingToGoBackTo:
            backout.check_free()  # A run that waits half-way is why: it says so itself.
            raise
        parts = backout.parts
        if as_json or format_ is FormatChoice.JSON:
            out_json(PlanFile(digest=plan.digest, plan=plan))
        elif format_ is FormatChoice.MD:
            out_document(plan_markdown(plan, parts.kinds, by_hand(parts, plan)))
        else:
            from backout.cli.screen import show_plan

            show_plan(plan, parts.kinds)
        refused = refusal(plan, parts.clock.now())
    if output is not None:
        write_plan(output, plan)
    if refused is not None:
        if not as_json:
            show_error(refused, as_json=False)
        leave(refused.exit_code)
    if as_json or format_ is not FormatChoice.TEXT:
        return
    from backout.cli.run import command_of

    made = command_of(plan, scenario, cause, hold_first, DataOptions(backup, at, max_loss), keep_one=keep_one)
    out(f"next   {made if output is None else f'backout run {shlex.quote(str(output))}'}")
