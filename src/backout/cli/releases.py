"""`backout releases`: the list one expects of a deployments page."""

from __future__ import annotations

from typing import Annotated

import typer

from backout.cli.common import MAX_ROWS, ConfigOption, JsonOption, err, guarded, open_backout, out_json


@guarded
def command(
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=MAX_ROWS, help="How many, newest first.")
    ] = 20,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the releases: version, age, state, current, quarantined, commit and subject, who.

    Example: backout releases
    """
    from backout.cli.screen import show_releases

    with open_backout(config) as backout:
        found = backout.releases(limit)
        now = backout.parts.clock.now()
    if as_json:
        out_json(found)
        return
    show_releases(found.rows, now)
    if found.more:
        err(f"There are more: backout releases --limit {min(10 * limit, MAX_ROWS)}")
    if found.unknown:
        err(f"Which one is current is unknown: {found.unknown}")
