"""The report of a run as one HTML file that needs nothing else and runs nothing."""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from backout.execute.run import Run
from backout.report.markdown import report_markdown
from backout.report.markup import clean, plain
from backout.report.style import PAGE, STYLE
from backout.report.words import NO_KINDS, Kinds, Tone, ending, title

if TYPE_CHECKING:
    from markdown_it.token import Token

_CELL_TONES: dict[str, Tone] = {
    "pass": "good",
    "done": "good",
    "done before": "good",
    "fail": "bad",
    "failed": "bad",
    "blocks": "bad",
    "loses data": "bad",
    "inconclusive": "warn",
    "begun, no end": "warn",
    "acted, not seen done": "warn",
    "needs approval": "warn",
    "warning": "warn",
}
_NEVER = ["link", "image", "autolink", "html_inline", "html_block", "entity", "reference", "lheading"]


def report_html(run: Run, now: datetime, kinds: Kinds = NO_KINDS) -> str:
    """Return the report of a run in any state as a page; no script, no link, nothing loaded.

    Args:
        run: The run.
        now: When the report is written.
        kinds: Step kinds by name.
    """
    end = ending(run)
    return PAGE.format(
        title=html.escape(clean(f"{plain(title(run.plan))} · {run.id}")),
        style=STYLE,
        tone=end.tone,
        badge=html.escape(clean(plain(end.title))),
        facts=html.escape(clean(f"{run.plan.service} · {run.plan.environment} · {run.id}")),
        body=_body(report_markdown(run, now, kinds)),
    )


def _body(markdown: str) -> str:
    from markdown_it import MarkdownIt  # Lazy: only this page needs it.

    # Hazard: nothing from a journal may become a link or a tag. `escape` sees to that, and this again.
    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable(_NEVER)
    reader.add_render_rule("table_open", _table_open)
    reader.add_render_rule("table_close", _table_close)
    tokens = reader.parse(markdown)
    for cell, content in pairwise(tokens):
        if cell.type == "td_open" and content.content in _CELL_TONES:
            cell.attrSet("class", _CELL_TONES[content.content])
    return str(reader.renderer.render(tokens, reader.options, {}))


def _table_open(_renderer: Any, _tokens: Sequence[Token], _index: int, _options: Any, _env: Any) -> str:
    return '<div class="wide" tabindex="0"><table>\n'


def _table_close(_renderer: Any, _tokens: Sequence[Token], _index: int, _options: Any, _env: Any) -> str:
    return "</table></div>\n"
