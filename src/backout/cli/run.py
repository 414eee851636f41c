"""`backout run`: take the release back."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from backout.cli.common import (
    AcceptOption,
    ConfigOption,
    JsonOption,
    ReasonOption,
    YesOption,
    err,
    guarded,
    open_backout,
)
from backout.cli.confirm import ask_reason, confirm
from backout.cli.outcome import show_outcome
from backout.cli.plan import (
    AtOption,
    BackupOption,
    CauseChoice,
    CauseOption,
    DataOptions,
    HoldFirstOption,
    KeepOneOption,
    MaxLossOption,
    ScenarioChoice,
    ScenarioOption,
    TablesOption,
    ToOption,
    request_of,
)
from backout.cli.progress import Progress, stop_safely
from backout.cli.resume import taken_over
from backout.errors import BackoutError, UsageError
from backout.message import Message, msg
from backout.plan.model import Plan
from backout.report.words import SEVERITIES, proves_only, step_sentence, title


@guarded
def command(
    plan_file: Annotated[
        Path | None, typer.Argument(metavar="PLAN.JSON", help="A plan made by backout plan -o.")
    ] = None,
    to: ToOption = None,
    scenario: ScenarioOption = ScenarioChoice.AUTO,
    cause: CauseOption = None,
    hold_first: HoldFirstOption = False,
    keep_one: KeepOneOption = False,
    backup: BackupOption = None,
    at: AtOption = None,
    max_loss: MaxLossOption = None,
    tables: TablesOption = None,
    emergency: Annotated[
        bool,
        typer.Option(
            "--emergency",
            help="Needs nothing but the platform: no configuration, state file, database or git.",
        ),
    ] = False,
    root: Annotated[
        Path | None,
        typer.Option(
            "--root",
            metavar="DIR",
            help="With --emergency and no configuration: where releases/ and current are.",
        ),
    ] = None,
    accept: AcceptOption = None,
    take_over: Annotated[
        bool,
        typer.Option(
            "--take-over",
            help="Take the place of a run that waits, or of somebody else who is acting; needs --reason.",
        ),
    ] = False,
    reason: ReasonOption = None,
    yes: YesOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take the release back, step by step, and prove the result.

    Survives kill -9 anywhere: backout resume goes on, backout abort undoes.

    Example: backout run --to 5.3.0
    """
    why = taken_over(take_over, reason, "run")
    told = DataOptions(backup, at, max_loss, tables)
    if emergency:
        _emergency(to, scenario, root, why, reason, yes, config, as_json, accept)
        return
    from backout.app.plan import check_expiry, read_plan
    from backout.app.run import Conduct
    from backout.plan.refusal import refusal

    with open_backout(config) as backout:
        parts = backout.parts
        if why is None:
            backout.check_free()
        if plan_file is not None:
            _only_the_file(to, cause, hold_first or keep_one, accept, told)
            plan = read_plan(parts, plan_file)
        else:
            plan = backout.plan(request_of(to, scenario, cause, hold_first, accept, told, keep_one=keep_one))
        refused = refusal(plan, parts.clock.now())
        if refused is not None:
            raise refused
        check_expiry(plan, parts)
        if not yes and not as_json:
            from backout.cli.screen import show_plan

            show_plan(plan, parts.kinds)
        word = parts.site.service if parts.confirm == "type-service-name" else None
        command = (
            f"backout run {shlex.quote(str(plan_file))}"
            if plan_file is not None
            else command_of(plan, scenario, cause, hold_first, told, keep_one=keep_one)
        )
        if reason is not None:
            command += f"{' --take-over' if take_over else ''} --reason {shlex.quote(reason)}"
        confirm(_question(plan), word=word, yes=yes, command=command)
        err(str(_question(plan)))
        conduct = Conduct(
            reason=reason, take_over=why, watch=Progress(dict(parts.kinds)), interrupt=stop_safely()
        )
        run = backout.run(plan, conduct)
    show_outcome(run, as_json=as_json)


def _emergency(
    to: str | None,
    scenario: ScenarioChoice,
    root: Path | None,
    take_over: str | None,
    reason: str | None,
    yes: bool,
    config: Path | None,
    as_json: bool,
    accept: list[str] | None,
) -> None:
    from backout import Backout
    from backout.app.run import Conduct

    accepted = tuple(accept or ())
    command = _emergency_command(to, root, reason, accepted, yes=yes)
    if scenario is not ScenarioChoice.CODE:
        raise UsageError(
            msg("An emergency takes back the code alone, and that has to be said."),
            state=msg("Nothing was changed."),
            next_command=command,
        )
    with Backout.for_emergency(config, root) as backout:
        plan, parts = (
            backout.emergency_plan(to, request_of(to, scenario, None, False, accept).accept),
            backout.parts,
        )
        for number, step in enumerate(plan.steps, start=1):
            err(f"  {number:>2}  {step_sentence(step.spec, parts.kinds)}")
        for finding in plan.findings:
            err(f"  {SEVERITIES[finding.severity]}: {finding.evidence}")
        err("  Nobody looked at the database: whether the earlier code can use its schema is NOT known.")
        why = ask_reason(reason, command=command)
        given = _emergency_command(to, root, why, accepted, yes=yes)
        confirm(_question(plan), word="back", yes=yes, command=given)
        err(str(_question(plan)))
        conduct = Conduct(
            reason=why, take_over=take_over, watch=Progress(dict(parts.kinds)), interrupt=stop_safely()
        )
        try:
            run = backout.run(plan, conduct)
        except BackoutError as error:
            if error.next_command.startswith("backout resume"):
                # `resume` needs what an emergency does without; the same command goes on from what stands now.
                error.next_command = _emergency_command(plan.named, root, why, accepted, yes=True)
            raise
        finally:
            _say_left_out(parts.left_out)
    show_outcome(run, as_json=as_json)


def _say_left_out(names: tuple[str, ...]) -> None:
    if names:
        err(
            str(
                msg("not looked at: {names}; if they were held: backout release-hold", names=", ".join(names))
            )
        )


def command_of(
    plan: Plan,
    scenario: ScenarioChoice,
    cause: CauseChoice | None,
    hold_first: bool,
    told: DataOptions,
    *,
    keep_one: bool = False,
) -> str:
    """Return the command that makes this plan anew and carries it out."""
    words = ["backout run", f"--to {plan.named}"]
    words += [] if scenario is ScenarioChoice.AUTO else [f"--scenario {scenario.value}"]
    words += [] if cause is None else [f"--cause {cause.value}"]
    words += ["--hold-first"] if hold_first else []
    words += ["--keep-one"] if keep_one else []
    words += [] if told.backup is None else [f"--backup {shlex.quote(told.backup)}"]
    words += [] if told.at is None else [f"--at {shlex.quote(told.at)}"]
    words += [] if told.tables is None else [f"--tables {shlex.quote(told.tables)}"]
    words += [] if told.max_loss_rows is None else [f"--max-loss {told.max_loss_rows}"]
    return " ".join([*words, *(f"--accept {shlex.quote(name)}" for name in plan.accepted)])


def _emergency_command(
    to: str | None, root: Path | None, reason: str | None, accepted: tuple[str, ...], *, yes: bool
) -> str:
    words = ["backout", "run", "--emergency", "--scenario", "code"]
    words += ["--to", to] if to else []
    words += ["--root", str(root)] if root is not None else []
    for name in accepted:
        words += ["--accept", name]
    words += ["--reason", reason] if reason else []
    return shlex.join([*words, "--yes"] if yes else words)


def _only_the_file(
    to: str | None,
    cause: CauseChoice | None,
    how: bool,
    accept: list[str] | None,
    told: DataOptions,
) -> None:
    if to or cause or how or accept or told != DataOptions():
        raise UsageError(
            msg(
                "A plan file runs as it is: --to, --cause, --hold-first, --keep-one, --backup, --at, --max-loss, --tables and --accept belong to backout plan."
            ),
            state=msg("Nothing was changed."),
            next_command="backout plan --help",
        )


def _question(plan: Plan) -> Message:
    what = _what(plan)
    return what if plan.where is None else msg("On {where}: {what}", where=str(plan.where), what=str(what))


def _what(plan: Plan) -> Message:
    if proves_only(plan):
        return title(plan)
    names = {"service": plan.service, "environment": plan.environment}
    if plan.data is not None and plan.from_version == plan.to_version:
        return msg("{service} in {environment}: data back to {backup}", **names, backup=plan.data.backup)
    versions = {"from_version": plan.from_version or "nothing", "to_version": plan.to_version}
    if plan.data is not None:
        return msg(
            "{service} in {environment}: {from_version} → {to_version}, data back to {backup}",
            **names,
            **versions,
            backup=plan.data.backup,
        )
    return msg("{service} in {environment}: {from_version} → {to_version}", **names, **versions)
