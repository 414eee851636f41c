"""Reads SQL text as a restore would run it: what is in it, what has to be left out, what must not run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from backout.databases.postgres.dumps.pieces import Kind, Piece, Unsplittable
from backout.databases.postgres.dumps.rules import (
    Judgement,
    LeaveOut,
    Refuse,
    Terms,
    in_one_line,
    is_copy,
    is_restrict,
    judge,
    judge_command,
    table_of,
)
from backout.databases.postgres.dumps.split import Splitter
from backout.message import Message, msg

MOST_PROBLEMS = 20
_ENTRY = re.compile(r"-- (?:Data for )?Name: (.*?); Type: (.*?); Schema: (.*?); Owner:")
_FROM = re.compile(r"-- Dumped from database version (\d+)(\S*)")
_FOREIGN = re.compile(r"-- (MySQL|MariaDB) dump", re.IGNORECASE)
_COMMENTS = {
    "-- PostgreSQL database dump": "header",
    "-- PostgreSQL database dump complete": "trailer",
    "-- PostgreSQL database cluster dump": "cluster",
}
_BOM = b"\xef\xbb\xbf"
_NEWLINES = re.compile(rb"[^\n]+")


@dataclass
class Told:
    """What a text told by now.

    Attributes:
        headers: How many dumps begin in it.
        complete: Whether the newest of them is whole.
        data_entries: Tables whose rows are announced by a comment; those with no comment are not counted.
        left_out: For each reason: how often, and where first.
    """

    headers: int = 0
    complete: bool = False
    cluster: bool = False
    foreign: str | None = None
    server_major: int | None = None
    database: str | None = None
    statements: int = 0
    data_entries: int = 0
    tables: dict[str, None] = field(default_factory=dict)
    problems: list[Message] = field(default_factory=list)
    more_problems: int = 0
    left_out: dict[str, tuple[Message, Message, int]] = field(default_factory=dict)


class SqlText:
    r"""Feed it the text; it gives what may run, with the lines of the original.

    Args:
        terms: What is held against.
        restricted: Whether the psql that will run it knows ``\restrict``.
        by_entry: Name places by the entry of the archive that the text comes from, not by line.
    """

    def __init__(self, terms: Terms, *, restricted: bool = True, by_entry: bool = False) -> None:
        self.told = Told()
        self._terms, self._restricted, self._by_entry = terms, restricted, by_entry
        self._splitter = Splitter()
        self._entry = ""
        self._first, self._leaving_out, self._lost = True, False, False

    def feed(self, data: bytes, *, last: bool = False) -> Iterator[bytes]:
        """Yield what may run of it. What is refused is noted in `told.problems`, and not yielded."""
        if self._lost:
            return
        if self._first and data:
            self._first, data = False, data.removeprefix(_BOM)  # As psql does.
        try:
            for piece in self._splitter.feed(data, last=last):
                yield self._piece(piece)
        except Unsplittable as error:
            self._problem(error.why, error.line)
            self._lost = True

    def _piece(self, piece: Piece) -> bytes:
        kind, raw = piece.kind, piece.raw
        if kind is Kind.DATA:
            return raw
        if kind is Kind.INSERTS:
            self._table(piece.text.decode(errors="replace"))
            self.told.statements += 1
            return raw
        if kind is Kind.STATEMENT:
            return self._statement(piece)
        if kind is Kind.BODY:
            return _lines(raw) if self._leaving_out else raw
        if kind is Kind.COMMAND:
            text = piece.text.decode(errors="replace")
            takes = self._takes(judge_command(text, piece.inside, self._terms), piece.line)
            return raw if takes and (self._restricted or not is_restrict(text)) else _lines(raw)
        if kind is Kind.COMMENT:
            self._comment(piece.text.decode(errors="replace"))
        elif kind is Kind.UNFINISHED:
            self._unfinished(piece)
        return _lines(raw)

    def _statement(self, piece: Piece) -> bytes:
        text = in_one_line(piece.text.decode(errors="replace"))
        takes = self._takes(judge(text, piece.whole, self._terms), piece.line)
        self._leaving_out = not takes
        self.told.statements += 1
        self._table(text)
        if is_copy(text) and re.search(r"\bFROM\s+stdin\b", text, re.IGNORECASE):
            self._splitter.begin_data()
        return piece.raw if takes else _lines(piece.raw)

    def _takes(self, judgement: Judgement, line: int) -> bool:
        if isinstance(judgement, Refuse) or (
            self._by_entry and isinstance(judgement, LeaveOut) and not judgement.harmless
        ):
            self._problem(judgement.why, line)
        elif isinstance(judgement, LeaveOut):
            self._is_of(judgement.database)
            key = str(judgement.why)
            why, where, count = self.told.left_out.get(key, (judgement.why, self._place(line), 0))
            self.told.left_out[key] = (why, where, count + 1)
        return judgement is None

    def _is_of(self, database: str | None) -> None:
        """Once the dump named its database, every other name is refused."""
        if database is not None and self._terms.database is None:
            self._terms = Terms(database, self._terms.server_major)
        self.told.database = self.told.database or database

    def _table(self, text: str) -> None:
        table = table_of(text)
        if table is not None:
            self.told.tables.setdefault(table)

    def _comment(self, text: str) -> None:
        told, meaning = self.told, _COMMENTS.get(text)
        if meaning == "header":
            told.headers += 1
            told.complete = False
        elif meaning == "trailer":
            told.complete = True
        elif meaning == "cluster":
            told.cluster = True
        elif entry := _ENTRY.match(text):
            told.data_entries += entry[2] == "TABLE DATA"
            schema = "" if entry[3] == "-" else f"{entry[3]}."
            self._entry = f"{schema}{entry[1]} ({entry[2]})"
        elif told.server_major is None and (version := _FROM.match(text)):
            told.server_major = int(version[1])
        elif told.foreign is None and (foreign := _FOREIGN.match(text)):
            told.foreign = foreign[1]

    def _unfinished(self, piece: Piece) -> None:
        if piece.text == b"copy":
            self._problem(msg("it ends in the middle of a table's rows"), piece.line)
        else:
            self._problem(msg("it ends in the middle of a statement that begins here"), piece.line)
        self.told.complete = False

    def _problem(self, why: Message, line: int) -> None:
        if len(self.told.problems) < MOST_PROBLEMS:
            self.told.problems.append(within(self._place(line), why))
        else:
            self.told.more_problems += 1

    def _place(self, line: int) -> Message:
        if self._by_entry and self._entry:
            return msg("Entry {entry}", entry=self._entry)
        return msg("Line {line}", line=line)


def within(place: Message, why: Message) -> Message:
    """Return one sentence that says where something is so."""
    return joined(joined(place, msg(": ")), why)


def joined(one: Message, two: Message) -> Message:
    """Return both as one template; their fields have different names."""
    return Message(template=one.template + two.template, fields={**one.fields, **two.fields})


def _lines(raw: bytes) -> bytes:
    """Return as many newlines: what psql says of a line stays true of the dump."""
    return _NEWLINES.sub(b"", raw)
