"""`backout status`: how a run stands."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from backout.cli.common import ConfigOption, JsonOption, guarded, leave, open_backout, out, out_json
from backout.cli.resume import RunArgument
from backout.errors import NotPossible

if TYPE_CHECKING:
    from backout import Backout
    from backout.execute.run import Run

_POLL_S, _LOOK_S = 0.3, 3.0


def _show_beside(backout: Backout) -> None:
    """Print what is kept beside the live database, with its size and until when."""
    if backout.parts.backups is None:
        return
    from backout.report.backups import beside_lines

    found = backout.backups()
    for line in beside_lines(found.beside, backout.parts.clock.now()):
        out(f"  {line}")
    if found.unknown is not None:
        out(f"  What stands beside the live database is not known: {found.unknown}")


def _show_warm(backout: Backout) -> None:
    """Print which sides get no requests, and until when each is kept."""
    from backout.app.warm import told
    from backout.platforms.abilities import DividesRequests

    parts = backout.parts
    if not isinstance(parts.platform, DividesRequests):
        return
    try:
        lines = told(parts, parts.platform.sides_now(_LOOK_S))
    except NotPossible as error:
        out(f"  Which sides are kept is not known: {error.what}")
        return
    for line in lines:
        out(f"  {line}")


def _show_paused(backout: Backout, run: Run) -> None:
    """Print what an earlier run paused; of this one the ending tells."""
    from backout.app.paused import reminders
    from backout.execute.paused import touched

    about = touched(run)
    for reminder in reminders(backout.parts, None):
        if reminder.fields.get("name") not in about:
            out(f"  {reminder}")


def _show_acting(backout: Backout, run: Run) -> None:
    """Print who acts on it; where the lease cannot be read, that nobody can tell."""
    if not run.open:
        return
    try:
        acting = backout.acting()
    except NotPossible as error:
        out(f"  at step {run.current_step}; whether anybody acts on it now is not known: {error.what}")
        return
    if acting is None or acting.waits or acting.run != run.id:
        out(f"  at step {run.current_step}; nobody acts on it now")
    else:
        out(f"  at step {run.current_step}; {acting.holder} acts on it now")


@guarded
def command(
    run_id: RunArgument = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on printing until the run ends or stops.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how a run stands: who, at which step, what is held, which version serves, what to type next.

    The exit code is the run's own: 0 proven, 5 not at its end, 6 proof failed, 7 unknown, 9 inconclusive.

    Example: backout status --follow
    """
    from backout.cli.screen import show_ending, show_timeline
    from backout.execute.run import RunState

    with open_backout(config) as backout:
        run = backout.status(run_id)
        seen = 0
        while follow:
            seen = seen if as_json else show_timeline(run, backout.parts.kinds, seen)
            if run.state not in (RunState.CREATED, RunState.RUNNING):
                break
            time.sleep(_POLL_S)
            run = backout.status(run.id)
        if as_json:
            out_json(run)
        else:
            show_ending(run, backout.parts.kinds)
            _show_acting(backout, run)
            _show_paused(backout, run)
            _show_beside(backout)
            _show_warm(backout)
    leave(run.exit_code)
