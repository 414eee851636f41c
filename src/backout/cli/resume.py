"""`backout resume`: go on with a run that stopped."""

from __future__ import annotations

from typing import Annotated

import typer

from backout.cli import complete
from backout.cli.common import ConfigOption, JsonOption, ReasonOption, guarded, open_backout
from backout.cli.outcome import show_outcome
from backout.cli.progress import Progress, stop_safely
from backout.errors import UsageError
from backout.message import msg

RunArgument = Annotated[
    str | None,
    typer.Argument(metavar="RUN", help="The run; else the one that waits.", autocompletion=complete.runs),
]
TakeOverOption = Annotated[
    bool, typer.Option("--take-over", help="Take over from somebody else who is acting; needs --reason.")
]


ConfirmOption = Annotated[
    str | None,
    typer.Option(
        "--confirm",
        metavar="STEP",
        help="You looked, and this step is done, although backout cannot tell; needs --reason.",
    ),
]


def taken_over(take_over: bool, reason: str | None, verb: str) -> str | None:
    """Return the reason of a take-over, or None if it is none.

    Raises:
        UsageError: A take-over without a reason.
    """
    if take_over and not reason:
        raise UsageError(
            msg("Taking over needs a reason."),
            state=msg("Nothing was changed."),
            next_command=f"backout {verb} --take-over --reason '…'",
        )
    return reason if take_over else None


@guarded
def command(
    run_id: RunArgument = None,
    take_over: TakeOverOption = False,
    confirm: ConfirmOption = None,
    reason: ReasonOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Go on with a run that was stopped, interrupted or killed, from wherever it was.

    Example: backout resume
    """
    from backout.app.run import Conduct

    why = taken_over(take_over, reason, "resume")
    with open_backout(config) as backout:
        conduct = Conduct(
            reason=reason,
            take_over=why,
            confirm=confirm,
            watch=Progress(dict(backout.parts.kinds)),
            interrupt=stop_safely(),
        )
        run = backout.resume(run_id, conduct)
    show_outcome(run, as_json=as_json)
