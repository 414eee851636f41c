"""The report of a run as a page, and with hostile text in the journal."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

from backout.execute.journal import Event
from backout.execute.run import Run, fold
from backout.report.html import _body, report_html
from backout.report.markdown import report_markdown
from backout.report.words import ending
from backout.steps import generic_step_kinds

KINDS = generic_step_kinds()
STATES = [
    "created",
    "cut short",
    "stopped",
    "unknown",
    "interrupted",
    "resumed",
    "aborted",
    "emergency",
    "pass",
    "fail",
    "inconclusive",
    "verified later",
]
SAFE_TAGS = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "header",
    "main",
    "span",
    "div",
    "h1",
    "h2",
    "p",
}
SAFE_TAGS |= {"strong", "ul", "li", "code", "pre", "table", "thead", "tbody", "tr", "th", "td"}


class Page(HTMLParser):
    """The tags and attributes that a browser would see, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.attributes, self.text = list[str](), list[tuple[str, str | None]](), ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def _later(run: Run) -> datetime:
    return run.timeline[-1].at + timedelta(minutes=7)


@pytest.mark.parametrize("name", STATES)
def test_the_page_loads_nothing_and_runs_nothing(told: dict[str, Run], name: str) -> None:
    text = report_html(told[name], _later(told[name]), KINDS)
    page = Page(text)
    assert set(page.tags) <= SAFE_TAGS
    assert not {
        a for a, _value in page.attributes if a.startswith("on") or a in ("src", "href", "style", "action")
    }
    assert "url(" not in text
    assert "@import" not in text
    assert ("http-equiv", "Content-Security-Policy") in page.attributes


@pytest.mark.parametrize("name", STATES)
def test_the_badge_tells_the_outcome_in_its_colour(told: dict[str, Run], name: str) -> None:
    end = ending(told[name])
    assert f'<span class="badge {end.tone}">{end.title}</span>' in report_html(told[name], _later(told[name]))


def test_outcomes_in_tables_have_their_colour(told: dict[str, Run]) -> None:
    text = report_html(told["fail"], _later(told["fail"]))
    assert '<td class="bad">fail</td>' in text
    assert '<td class="good">pass</td>' in text


def test_the_page_says_what_the_markdown_says(told: dict[str, Run]) -> None:
    run = told["inconclusive"]
    page = Page(report_html(run, _later(run), KINDS))
    for word in (
        "What to do next",
        "Timeline",
        "About 290 more requests would prove it",
        "Hold traffic at router: requests wait, none is refused.",
    ):
        assert word in page.text


def test_the_page_makes_no_link_or_tag_even_of_text_that_nobody_escaped() -> None:
    raw = "[x](http://127.0.0.1) ![y](y.png) <http://127.0.0.1> <b>z</b> [r]\n\n[r]: http://127.0.0.1\n\n<script>1</script>"
    assert set(Page(_body(raw)).tags) == {"p"}


ATTACKS = [
    "<script>alert(1)</script>",
    "</style></title><img src=x onerror=alert(1)>",
    "a | b | c |\n| --- |\n| d",
    "```\n# out of the block\n<b>",
    "[x](javascript:alert(1)) ![y](http://127.0.0.1/y)",
    "&lt;script&gt; &#x3c;b>",
    "{0.__class__} {x} {",
    "\x1b[2J\x00\u202egnp.exe",
    "# heading\n\n- list\n\n---\n> quote",
    "\\",
    "`",
    "~~~",
    "\n\n    <b>code</b>",
]


def _starts(markdown: str) -> list[str]:
    """How each line outside of code blocks begins: what makes it a heading, an item, a row."""
    outside = re.sub(r"^(`{3,})sh\n.*?^\1$", "", markdown, flags=re.DOTALL | re.MULTILINE)
    return [line[:2] for line in outside.splitlines() if line[:1] in "#-|>`~1"]


def _poisoned(value: Any, attack: str, name: str = "") -> Any:
    """Put the attack behind every free text of a journal: what adapters, servers and people wrote."""
    if isinstance(value, dict):
        if set(value) == {"template", "fields"}:
            return {"template": "{x}", "fields": {"x": str(value["template"]) + attack}}
        return {k: _poisoned(v, attack, k) for k, v in value.items()}
    if isinstance(value, list):
        return [_poisoned(v, attack, name) for v in value]
    texts = ("service", "environment", "reason", "name", "unit", "window", "ref", "version", "from_version")
    return (
        value + attack
        if isinstance(value, str) and name in (*texts, "to_version", "next_command", "accept", "rule")
        else value
    )


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("name", ["stopped", "resumed", "fail", "aborted", "emergency"])
def test_whatever_the_journal_holds_is_shown_and_does_nothing(
    journals: dict[str, list[Event]], name: str, attack: str
) -> None:
    run, harmless = (fold(_event(e, poison) for e in journals[name]) for poison in (attack, "!"))
    text = report_markdown(run, _later(run), KINDS)
    # Every section, row and cell is where it was: nothing broke out.
    clean_text = report_markdown(harmless, _later(harmless), KINDS)
    assert _starts(text) == _starts(clean_text)
    page_text = report_html(run, _later(run), KINDS)
    page = Page(page_text)
    clean = Page(report_html(harmless, _later(harmless), KINDS))
    assert set(page.tags) <= SAFE_TAGS
    for tag in ("h1", "h2", "tr", "td", "table", "ul", "pre"):
        assert page.tags.count(tag) == clean.tags.count(tag), tag
    assert not {
        a
        for a, _value in page.attributes
        if a not in ("class", "lang", "charset", "name", "content", "http-equiv", "tabindex")
    }
    assert "\x1b" not in page_text + text
    assert "\u202e" not in page_text + text
    for word in re.findall(r"[a-z]{5,}", attack):
        assert word in page.text, "it is shown, not swallowed"


def _event(event: Event, attack: str) -> Event:
    body = _poisoned(json.loads(json.dumps(event.body)), attack)
    return event.model_copy(update={"body": body, "actor": event.actor + attack})
