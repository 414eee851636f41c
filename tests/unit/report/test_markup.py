from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from backout.message import Message, msg
from backout.report.markup import block, clean, code, escape, plain, say, table

# A reader with everything on that a text could abuse: what people's own viewers do.
READER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
NASTY = st.text(st.sampled_from("ab1 |`~*_[]()<>!&#;\\-+=.:/\n\r\t\"'x"), max_size=40) | st.text(max_size=40)
HOSTILE = [
    "<script>alert(1)</script>",
    "a | b",
    "a \\| b",
    "```",
    "``` `` `",
    "[click](javascript:alert(1))",
    "![x](http://127.0.0.1/x.png)",
    "&lt;b&gt;",
    "# heading",
    "- item\n- item",
    "1. item",
    "+ x",
    "> quote",
    "=====",
    "-----",
    "***bold*** __bold__ ~~gone~~",
    "line\nbreak\r\n\r\n# heading",
    "<!-- gone -->",
    "https://127.0.0.1/<b>",
    "trailing \\",
    "|---|---|",
]


def _text(markup: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", markup)).split())


def _same(text: str) -> str:
    return " ".join(clean(text).split())


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_and_does_nothing(text: str) -> None:
    assert (
        READER.render(escape(text)).strip() == f"<p>{html.escape(_same(text)).replace('&#x27;', chr(39))}</p>"
    )


@given(NASTY)
def test_any_text_in_a_paragraph_is_one_paragraph_with_the_same_text(text: str) -> None:
    shown = READER.render(escape(text))
    assert _text(shown) == _same(text)
    assert set(re.findall(r"<(\w+)", shown)) <= {"p"}


@given(NASTY, NASTY)
def test_any_text_in_a_table_stays_in_its_cell(left: str, right: str) -> None:
    shown = READER.render("\n".join(table(["A", "B"], [[escape(left), escape(right)]])))
    cells = re.findall(r"<td>(.*?)</td>", shown, re.DOTALL)
    assert [_text(c) for c in cells] == [_same(left), _same(right)]
    assert shown.count("<tr>") == 2


@given(NASTY)
def test_any_inline_code_is_code_in_text_and_in_tables(text: str) -> None:
    wanted = _same(text)
    for shown in (
        READER.render(f"x {code(text)}"),
        READER.render("\n".join(table(["A"], [[f"x {code(text)}"]]))),
    ):
        found = re.findall(r"<code>(.*?)</code>", shown, re.DOTALL)
        assert [" ".join(html.unescape(c).split()) for c in found] == ([wanted] if wanted else [])


@given(st.lists(NASTY, min_size=1, max_size=3))
def test_a_code_block_ends_where_it_should(commands: list[str]) -> None:
    shown = READER.render("\n".join([*block(commands), "after"]))
    found = re.fullmatch(
        r'<pre><code class="language-sh">(.*)\n</code></pre>\n<p>after</p>\n', shown, re.DOTALL
    )
    assert found is not None
    assert html.unescape(found[1]).split("\n") == clean("\n".join(commands), "\n\t").split("\n")


def test_what_steers_a_terminal_or_turns_the_reading_direction_is_taken_out() -> None:
    assert clean("a\x1b[2Jb\x00c\u202ed\u2066e\ud800") == "a\ufffd[2Jb\ufffdc\ufffdd\ufffde\ufffd"


def test_ordinary_words_are_left_alone() -> None:
    for text in (
        "5.4.0",
        "0.8 s",
        "run_id needs_approval",
        "ana@laptop",
        "a -> b",
        "/srv/app/releases",
        "C# 100 %",
    ):
        assert escape(text) == text.replace("C#", "C#")


@pytest.mark.parametrize("template", ["{gone}", "{", "{0}", "{a.b.c}", "{a[zz]}", "{a:zz}"])
def test_a_message_that_does_not_fit_its_fields_shows_its_template(template: str) -> None:
    assert plain(Message(template=template, fields={"a": "x"})) == template


def test_fields_of_a_sentence_cannot_act() -> None:
    assert say("{x} failed", x="<b>|") == r"\<b>| failed"
    assert plain(msg("{x}", x="{y}")) == "{y}"
