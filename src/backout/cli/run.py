"""`backout run`: take the release back."""

from __future__ import annotations

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
    CauseChoice,
    CauseOption,
    HoldFirstOption,
    ScenarioChoice,
    ScenarioOption,
    ToOption,
    request_of,
)
from backout.cli.progress import Progress, stop_safely
from backout.errors import UsageError
from backout.message import Message, msg
from backout.plan.model import Plan


@guarded
def command(
    plan_file: Annotated[
        Path | None, typer.Argument(metavar="[PLAN.JSON]", help="A plan made by backout plan -o.")
    ] = None,
    to: ToOption = None,
    scenario: ScenarioOption = ScenarioChoice.AUTO,
    cause: CauseOption = None,
    hold_first: HoldFirstOption = False,
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
    reason: ReasonOption = None,
    yes: YesOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take the release back, step by step, and prove the result.

    Survives kill -9 anywhere: backout resume goes on, backout abort undoes.

    Example: backout run --to 5.3.0
    """
    if emergency:
        _emergency(to, scenario, root, reason, yes, config, as_json)
        return
    from backout.app.plan import check_expiry, read_plan
    from backout.app.run import Conduct
    from backout.plan.planner import refusal

    with open_backout(config) as backout:
        parts = backout.parts
        backout.check_free()
        if plan_file is not None:
            _only_the_file(to, cause, hold_first, accept)
            plan = read_plan(parts, plan_file)
        else:
            plan = backout.plan(request_of(to, scenario, cause, hold_first, accept))
        refused = refusal(plan, parts.clock.now())
        if refused is not None:
            raise refused
        check_expiry(plan, parts)
        if not yes and not as_json:
            from backout.cli.screen import show_plan

            show_plan(plan, parts.kinds)
        word = parts.site.service if parts.confirm == "type-service-name" else None
        confirm(_question(plan), word=word, yes=yes, command=f"backout run --to {plan.to_version}")
        err(str(_question(plan)))
        conduct = Conduct(reason=reason, watch=Progress(dict(parts.kinds)), interrupt=stop_safely())
        run = backout.run(plan, conduct)
    show_outcome(run, as_json=as_json)


def _emergency(
    to: str | None,
    scenario: ScenarioChoice,
    root: Path | None,
    reason: str | None,
    yes: bool,
    config: Path | None,
    as_json: bool,
) -> None:
    from backout import Backout
    from backout.app.run import Conduct

    command = "backout run --emergency --scenario code"
    if scenario is not ScenarioChoice.CODE:
        raise UsageError(
            msg("An emergency takes back the code alone, and that has to be said."),
            state=msg("Nothing was changed."),
            next_command=command,
        )
    with Backout.for_emergency(config, root) as backout:
        plan = backout.emergency_plan(to)
        for finding in plan.findings:
            err(f"  {finding.severity.value}: {finding.evidence}")
        err("  Nobody looked at the database: whether the earlier code can use its schema is NOT known.")
        why = ask_reason(reason, command=command)
        confirm(_question(plan), word="back", yes=yes, command=command)
        parts = backout.parts
        conduct = Conduct(reason=why, watch=Progress(dict(parts.kinds)), interrupt=stop_safely())
        run = backout.run(plan, conduct)
    show_outcome(run, as_json=as_json)


def _only_the_file(
    to: str | None, cause: CauseChoice | None, hold_first: bool, accept: list[str] | None
) -> None:
    if to or cause or hold_first or accept:
        raise UsageError(
            msg(
                "A plan file runs as it is: --to, --cause, --hold-first and --accept belong to backout plan."
            ),
            state=msg("Nothing was changed."),
            next_command="backout plan --help",
        )


def _question(plan: Plan) -> Message:
    return msg(
        "{service} in {environment}: {from_version} → {to_version}",
        service=plan.service,
        environment=plan.environment,
        from_version=plan.from_version or "nothing",
        to_version=plan.to_version,
    )
