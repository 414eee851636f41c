"""`backout history`: all runs, and whether the journal can be trusted."""

from __future__ import annotations

from typing import Annotated

import typer

from backout.cli.common import MAX_ROWS, ConfigOption, JsonOption, guarded, open_backout, out, out_json


@guarded
def command(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=MAX_ROWS, help="How many runs.")] = 20,
    verify: Annotated[
        bool, typer.Option("--verify", help="Prove first that the journal was not changed or cut short.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the runs, newest first.

    Example: backout history --verify
    """
    from backout.cli.screen import show_history

    with open_backout(config) as backout:
        found = backout.history(limit=limit, verify=verify)
        now = backout.parts.clock.now()
    if as_json:
        out_json(found)
        return
    if found.verified_events is not None:
        out(f"The journal is whole: {found.verified_events} events, none changed.")
    show_history(found.runs, now)
