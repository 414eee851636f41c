"""Markdown out of texts that nobody can trust: what is put in is shown, and never acts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from backout.message import Field, Message, msg

_UNSEEN = "\ufffd"
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_SPECIAL = re.compile(r"[\\`*\[\]<~]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)|#(?=#*$)")
_AT_START = re.compile(r"^(?:[-+=>#:]|\d+(?=[.)](?:\s|$)))")
_TICKS = re.compile("`+")


def plain(message: Message) -> str:
    """Return a message's text; its template, where the fields do not fit (a journal of another version)."""
    try:
        return str(message)
    except (LookupError, ValueError, AttributeError, TypeError):
        return message.template


def clean(text: str, keep: str = "") -> str:
    """Return the text on one line, without characters that steer a terminal or turn the reading direction.

    Args:
        text: Anything.
        keep: Control characters to leave alone.
    """
    return "".join(c if c in keep else _visible(c) for c in text)


def first_line(text: str | None) -> str:
    """Return the first line that is not empty, clean; nothing for None."""
    return clean(next((line for line in (text or "").splitlines() if line.strip()), "")).strip()


def escape(text: str) -> str:
    """Return Markdown that shows the text as it is, on one line."""
    line = _SPECIAL.sub(lambda m: "\\" + m[0], " ".join(clean(text).split()))
    return _AT_START.sub(lambda m: f"{m[0]}\\" if m[0].isdigit() else f"\\{m[0]}", line)


def say(template: str, /, **fields: Field) -> str:
    """Return a sentence as Markdown; the fields may hold anything."""
    return escape(plain(msg(template, **fields)))


def shown(message: Message | None) -> str:
    """Return a message as Markdown; nothing for None."""
    return "" if message is None else escape(plain(message))


def code(text: str) -> str:
    """Return Markdown that shows a text as inline code."""
    line = clean(text).strip()
    if not line:
        return ""
    ticks = "`" * (_longest_ticks(line) + 1)
    pad = " " if "`" in (line[0], line[-1]) else ""
    return f"{ticks}{pad}{line}{pad}{ticks}"


def block(lines: Iterable[str]) -> list[str]:
    """Return the Markdown lines of a code block of commands, closed whatever they hold, and a blank one."""
    text = clean("\n".join(lines), keep="\n\t")
    ticks = "`" * max(3, _longest_ticks(text) + 1)
    return [f"{ticks}sh", *text.split("\n"), ticks, ""]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the Markdown lines of a table whose cells are Markdown, and a blank one."""
    return [_row(head), _row(["---"] * len(head)), *map(_row, rows), ""]


def facts(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Return a list of labels and values (Markdown) and a blank line; pairs without value are left out."""
    return [*(f"- **{label}:** {value}" for label, value in pairs if value), ""]


def _row(cells: Sequence[str]) -> str:
    # Pipes are escaped here and not in `escape`: a table splits at them even inside of code.
    return f"| {' | '.join(c.replace('|', chr(92) + '|') for c in cells)} |"


def _visible(char: str) -> str:
    if char in "\n\r\t\v\f\x85\u2028\u2029":
        return " "
    return _UNSEEN if char in _BIDI or unicodedata.category(char) in ("Cc", "Cs") else char


def _longest_ticks(text: str) -> int:
    return max((len(t) for t in _TICKS.findall(text)), default=0)
