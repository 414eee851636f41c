"""The one place that asks PostgreSQL's own parser (postgast, which is libpg_query 17)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of what a client sent.

    Attributes:
        text: As the client wrote it, with the comments before it, without the semicolon.
        kind: Name of the parser's node: ``alter_table_stmt``, ``select_stmt``; empty: nothing but blanks and comments.
        node: The parser's tree of it (a protobuf message); None when empty.
        at: Where `text` begins in what the client sent, in characters, from 0.
    """

    text: str
    kind: str
    node: Any
    at: int = 0


class NotParsed(Exception):
    """The parser refuses the text; PostgreSQL most likely does, too.

    Attributes:
        at: Place in the text, in characters, from 0.
    """

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


def statements(text: str) -> list[Statement]:
    """Split text into its statements; empty text has none.

    Raises:
        NotParsed: It is not SQL.
    """
    from postgast import PgQueryError, parse

    try:
        found = parse(text)
    except PgQueryError as error:
        raise NotParsed(str(error), max(0, (getattr(error, "cursorpos", 1) or 1) - 1)) from None
    # Hazard: the parser counts bytes, Python characters.
    raw = text.encode()
    made = []
    for one in found.stmts:
        start = one.stmt_location
        end = start + one.stmt_len if one.stmt_len else len(raw)
        kind = one.stmt.WhichOneof("node")
        node = getattr(one.stmt, kind) if kind else None
        made.append(Statement(raw[start:end].decode(), kind or "", node, len(raw[:start].decode())))
    return made


def deparse(kind: str, node: Any) -> str:
    """Return the text of a tree, for what is run instead of what the user wrote."""
    from postgast import ParseResult
    from postgast import deparse as text_of

    tree = ParseResult()
    getattr(tree.stmts.add().stmt, kind).CopyFrom(node)
    return str(text_of(tree))
