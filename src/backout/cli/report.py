"""`backout report`: what happened, for people."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from backout.cli.common import ConfigOption, JsonOption, err, guarded, open_backout, out
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
    from backout.report.html import report_html
    from backout.report.markdown import report_markdown

    with open_backout(config) as backout:
        run = backout.status(run_id)
        now, kinds = backout.parts.clock.now(), backout.parts.kinds
    if as_json or format_ is ReportFormat.JSON:
        text = run.model_dump_json(indent=2)
    else:
        text = (
            report_html(run, now, kinds) if format_ is ReportFormat.HTML else report_markdown(run, now, kinds)
        )
    if output is None:
        out(text)
    else:
        write_file(output, text)
        err(f"written to {output}")
