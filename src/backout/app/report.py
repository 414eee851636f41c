"""The report of a run, as text in the form that is asked for."""

from __future__ import annotations

from typing import Literal

from backout.app.parts import Parts
from backout.app.run import load


def report(parts: Parts, run_id: str | None, form: Literal["md", "html", "json"]) -> str:
    """Return what happened, for people (Markdown, HTML) or for a program (JSON)."""
    run = load(parts, run_id)
    if form == "json":
        return run.model_dump_json(indent=2)
    if form == "html":
        from backout.report.html import report_html

        return report_html(run, parts.clock.now(), parts.kinds)
    from backout.report.markdown import report_markdown

    return report_markdown(run, parts.clock.now(), parts.kinds)
