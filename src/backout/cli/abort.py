"""`backout abort`: undo what a run began."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backout.cli.common import ConfigOption, JsonOption, ReasonOption, YesOption, guarded, open_backout
from backout.cli.confirm import confirm
from backout.cli.outcome import show_outcome
from backout.cli.progress import Progress, stop_safely
from backout.cli.resume import RunArgument, TakeOverOption, taken_over
from backout.message import Message, msg

if TYPE_CHECKING:
    from backout.execute.run import Run


def _question(found: Run) -> Message:
    if found.open or found.plan.data is None or found.plan.data.kept is None:
        return msg("Undo run {run}: {version} serves again.", run=found.id, version=found.plan.from_version)
    return msg(
        "Undo run {run}: {version} serves again, with the database {kept}; what was written since stays in {beside}.",
        run=found.id,
        version=found.plan.from_version,
        kept=found.plan.data.kept,
        beside=found.plan.data.beside,
    )


@guarded
def command(
    run_id: RunArgument = None,
    take_over: TakeOverOption = False,
    reason: ReasonOption = None,
    yes: YesOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Undo what a run began, backwards; the release that was bad serves again.

    A run that ended is over, but one that took data back can still be undone, by its name: the database that was
    live comes back, and what was written since the run stays in the other one.

    Example: backout abort
    """
    from backout.app.run import Conduct

    why = taken_over(take_over, reason, "abort")
    with open_backout(config) as backout:
        found = backout.status(run_id)
        if found.aborts is not None and run_id is None:  # An abort that was cut short: it goes on.
            found = backout.status(found.aborts)
        question = _question(found)
        confirm(question, word=None, yes=yes, command=f"backout abort {found.id}")
        conduct = Conduct(
            reason=reason, take_over=why, watch=Progress(dict(backout.parts.kinds)), interrupt=stop_safely()
        )
        run = backout.abort(run_id, conduct)
    show_outcome(run, as_json=as_json)
