"""`backout report`: what happened, for people."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from backout.cli.common import ConfigOption, JsonOption, err, guarded, open_backout, out_document
from backout.cli.resume import RunArgument


class ReportFormat(StrEnum):
    """How the report is written."""

    MD = "md"
    HTML = "html"
    JSON = "json"


@guarded
def command(
    run_id: RunArgument = None,
    format_: Annotated[ReportFormat, typer.Option("--format", help="md, html or json.")] = ReportFormat.MD,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write it there instead of printing it."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the report of a run: timeline, steps, proof, what was accepted, what is next.

    Example: backout report -o report.html --format html
    """
    from backout.app.written import write_file

    with open_backout(config) as backout:
        text = backout.report(run_id, "json" if as_json else format_.value)
    if output is None:
        out_document(text)
    else:
        write_file(output, text)
        err(f"written to {output}")
