"""How a run ended, for a person and for the shell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backout.cli.common import err, leave, out_json, unwritten
from backout.execute.run import Run
from backout.message import msg

if TYPE_CHECKING:
    from backout.app.parts import Parts


def say_apart(parts: Parts) -> None:
    """Tell why and where this is journalled, if not in the state file."""
    if parts.apart is not None:
        told = msg(
            "{why} This is journalled in {folder}, and merged by the next command that can use the state file.",
            why=str(parts.apart),
            folder=str(parts.state_directory),
        )
        err(str(told))


def show_outcome(run: Run, *, as_json: bool) -> None:
    """Print how a finished run ended, and leave with its exit code."""
    if as_json:
        out_json(run)
    else:
        from backout.cli.screen import show_ending

        err()
        show_ending(run)
        err(f"report: backout report {run.id}")
    if reason := unwritten():  # The exit code tells of the run, not of the screen.
        err(f"The result could not be written ({reason}); the journal has it: backout report {run.id}")
    leave(run.exit_code)
