"""`backout`: one screen, in less than two seconds."""

from __future__ import annotations

from typing import Annotated

import typer

from backout.cli.common import (
    WITHOUT_CONFIG,
    ConfigOption,
    JsonOption,
    guarded,
    leave,
    open_backout,
    out,
    out_json,
    typed,
)
from backout.errors import ExitCode


def _show_version(wanted: bool) -> None:
    if wanted:
        from backout import __version__

        out(f"backout {__version__}")
        raise typer.Exit


def command(
    context: typer.Context,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take a production release back, code and database together.

    Without a verb: what runs since when, what was before it, whether going back is safe,
    how long it would take, who is acting now, and the one command to type.

    Example: backout
    """
    if config is not None and context.invoked_subcommand in WITHOUT_CONFIG:
        raise typer.BadParameter(
            f"{context.invoked_subcommand} reads no configuration", param_hint="--config"
        )
    if context.invoked_subcommand is None:
        _overview(config=config, as_json=as_json)


@guarded
def _overview(*, config: ConfigOption, as_json: bool) -> None:
    from backout.report.overview import overview_lines

    with open_backout(config) as backout:
        found = backout.overview()
    found = found.model_copy(update={"next_command": typed(found.next_command)})
    if as_json:
        out_json(found)
    else:
        for line in overview_lines(found):
            out(line)
    if found.unknown and found.current is None:
        leave(ExitCode.NOT_POSSIBLE)
