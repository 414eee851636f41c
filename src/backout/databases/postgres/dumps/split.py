"""Splits SQL text where psql would, in constant memory: statements, its own commands, COPY data.

What psql takes for one of its commands it runs, whatever the server thinks of the text; so the rules are psql's:
a backslash outside quotes and comments, wherever it stands.
Source: PostgreSQL 18, src/fe_utils/psqlscan.l; the data of COPY: src/bin/psql/copy.c (handleCopyIn).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from backout.databases.postgres.dumps.pieces import Kind, Piece, Unsplittable
from backout.message import msg

HEAD_BYTES = 65_536
"""A statement longer than this is judged by its beginning."""
_LONGEST_LINE = 1 << 25
_WORD = rb"A-Za-z0-9_$\x80-\xff"
_TOKEN = rb"""['";\\()]|--|/\*|\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\$"""
_SPECIAL = re.compile(_TOKEN)
_IN_ROUTINE = re.compile(
    _TOKEN + rb"|(?<![" + _WORD + rb"])(?:begin|case|end)(?![" + _WORD + rb"])", re.IGNORECASE
)
_ROUTINE = re.compile(rb"\s*create\s+(?:or\s+replace\s+)?(?:function|procedure)\s", re.IGNORECASE)
_ENDS_WORD = re.compile(rb"[" + _WORD + rb"]")
_BLOCK = re.compile(rb"/\*|\*/")
_ESCAPED = re.compile(rb"[\\']")
# Runs of plain INSERTs into one table, as `pg_dump --inserts` writes them, are taken as one piece; no calls in them.
_ROW = rb"""(?:[^'"$\\;/\-(]++|(?<!\w)\(|(?<![eE])'[^']*+'|-(?!-)|/(?!\*))*+;\n"""
_INTO = rb"INSERT INTO [A-Za-z_][\w.]*+ (?:\([\w, ]*+\) )?(?:OVERRIDING SYSTEM VALUE )?VALUES "
_INSERTS = re.compile(rb"\s*+(" + _INTO + rb")" + _ROW + rb"(?:\1" + _ROW + rb")*+")
_END_OF_DATA = re.compile(rb"\n\\\.\r?(?:\n|\Z)")


class Splitter:
    """Feed it bytes; it gives pieces. After a COPY statement, call `begin_data` before asking for the next."""

    def __init__(self) -> None:
        self.line = 1
        self._buffer, self._at = b"", 0
        self._state: bytes = b""
        """What we are inside of: nothing, a quote, ``e'``, ``/*``, a dollar tag, or ``copy``."""
        self._depth = 0
        self._raw, self._text = bytearray(), bytearray()
        self._parens = self._begins = 0
        self._headed = self._routine = self._after_escaped = self._waits = False

    def begin_data(self) -> None:
        """What follows is COPY data, from the beginning of the next line on."""
        self._state = b"copy start"

    def feed(self, data: bytes, *, last: bool = False) -> Iterator[Piece]:
        """Yield the pieces that can be told by now; with `last`, all that is left."""
        self._buffer, self._at = self._buffer[self._at :] + data, 0
        while self._at < len(self._buffer):
            before = (self._at, self._state)
            yield from self._step(last)
            if (self._at, self._state) == before:
                break
        if len(self._raw) > HEAD_BYTES:
            yield self._head()
        if last:
            yield from self._finish()

    def _step(self, last: bool) -> Iterator[Piece]:
        if self._state.startswith(b"copy"):
            yield from self._data(last)
        elif not self._state:
            yield from self._plain(last)
        elif self._state == b"/*":
            yield from self._block(last)
        elif self._state == b"e'":
            self._escaped(last)
        else:
            self._quoted(last)

    # --- outside quotes -------------------------------------------------------------------------

    def _plain(self, last: bool) -> Iterator[Piece]:
        end = len(self._buffer) if last else self._cut()
        self._waits = False
        while self._at < end and not self._state and not self._waits:
            if not self._raw and not self._headed:
                run = _INSERTS.match(self._buffer, self._at, end)
                if run:
                    yield self._piece(Kind.INSERTS, run.end(), run[1])
                    continue
            found = (_IN_ROUTINE if self._routine else _SPECIAL).search(self._buffer, self._at, end)
            if found is None:
                self._take(end)
                break
            yield from self._token(found[0], found.start(), found.end(), last)
        if not self._state and self._at >= end and self._empty():
            yield from self._space()

    def _token(self, token: bytes, start: int, stop: int, last: bool) -> Iterator[Piece]:
        if token in (b"--", b"\\"):
            newline = self._buffer.find(b"\n", start)
            line_end = len(self._buffer) if newline < 0 else newline
            self._take(start)
            self._waits = newline < 0 and not last
            if not self._waits:
                yield from self._comment(line_end) if token == b"--" else self._command(line_end)
        elif token == b"/*":
            self._take(start)
            if self._empty():
                yield from self._space()
            self._take(stop, to_text=False)
            self._state, self._depth = b"/*", 1
        elif token == b";":
            self._take(stop)
            if not self._parens and not self._begins:
                yield self._statement()
        elif token in (b"'", b'"') or token[:1] == b"$":
            self._open(token, start, stop)
        else:
            self._nest(token.lower(), stop)

    def _open(self, token: bytes, start: int, stop: int) -> None:
        before = self._buffer[max(0, start - 2) : start]
        in_word = bool(before and _ENDS_WORD.match(before[-1:]))
        if token[:1] == b"$" and in_word:
            self._take(start + 1)  # Part of a name: a$b$.
            return
        # Hazard: after E'…' a newline and another quote go on with the same string, and its escapes.
        goes_on = self._after_escaped and not self._buffer[self._at : start].strip()
        self._after_escaped = False
        starts = before[-1:] in (b"e", b"E") and not _ENDS_WORD.match(before[:1] if len(before) > 1 else b" ")
        self._take(stop)
        self._state = b"e'" if token == b"'" and (starts or goes_on) else token

    def _nest(self, word: bytes, stop: int) -> None:
        self._take(stop)
        if word == b"(":
            if not self._parens and not self._headed:
                self._routine = bool(_ROUTINE.match(self._text))
            self._parens += 1
        elif word == b")":
            self._parens = max(0, self._parens - 1)
        elif self._parens:
            return
        elif word == b"begin" or (word == b"case" and self._begins):
            self._begins += 1
        elif word == b"end":
            self._begins = max(0, self._begins - 1)

    def _comment(self, stop: int) -> Iterator[Piece]:
        if not self._empty():
            self._take(stop, to_text=False)
            return
        yield from self._space()
        yield self._piece(Kind.COMMENT, stop, self._buffer[self._at : stop].rstrip(b"\r"))

    def _command(self, stop: int) -> Iterator[Piece]:
        inside = not self._empty()
        if not inside:
            yield from self._space()
        command = self._buffer[self._at : stop].rstrip()
        raw = bytes(self._raw) + self._buffer[self._at : stop]
        self._at = stop
        self._reset()
        self.line += raw.count(b"\n")
        yield Piece(Kind.COMMAND, raw, command, self.line, inside=inside)

    # --- inside something -----------------------------------------------------------------------

    def _quoted(self, last: bool) -> None:
        """Go to the end of a quote: ``'``, ``"`` or a dollar tag."""
        quote, size = self._state, len(self._buffer)
        end = self._buffer.find(quote, self._at)
        if end < 0:
            # A dollar tag may be cut in two.
            self._take(size if last else max(self._at, size - len(quote) + 1))
        elif len(quote) > 1:
            self._take(end + len(quote))
            self._state = b""
        elif end + 1 == size and not last:
            self._take(end)
        elif self._buffer[end + 1 : end + 2] == quote:
            self._take(end + 2)
        else:
            self._take(end + 1)
            self._state = b""

    def _escaped(self, last: bool) -> None:
        found = _ESCAPED.search(self._buffer, self._at)
        if found is None:
            self._take(len(self._buffer))
        elif found.end() == len(self._buffer) and not last:
            self._take(found.start())
        elif found[0] == b"\\" or self._buffer[found.end() : found.end() + 1] == b"'":
            self._take(min(len(self._buffer), found.end() + 1))
        else:
            self._take(found.end())
            self._state, self._after_escaped = b"", True

    def _block(self, last: bool) -> Iterator[Piece]:
        found = _BLOCK.search(self._buffer, self._at)
        if found is None:
            self._take(len(self._buffer) - (0 if last else 1), to_text=False)
            if self._empty() and len(self._raw) > HEAD_BYTES:
                yield from self._space()
            return
        self._take(found.end(), to_text=False)
        self._depth += 1 if found[0] == b"/*" else -1
        if self._depth:
            return
        self._state = b""
        if self._empty():
            yield from self._space()

    def _data(self, last: bool) -> Iterator[Piece]:
        buffer, size = self._buffer, len(self._buffer)
        if self._state == b"copy start":
            rest, newline, _ = buffer[self._at : self._at + HEAD_BYTES].partition(b"\n")
            if rest.strip():
                raise Unsplittable(msg("COPY data begins in a line with something else"), self.line)
            if not newline:
                return
            # At the newline after the statement, so that an empty table's end is found like any other.
            self._state = b"copy"
        stop = self._end_of_data(last)
        if stop is not None:
            self._state = b""
        else:
            stop = size if last else buffer.rfind(b"\n", self._at, size)
        if stop > self._at:
            yield self._piece(Kind.DATA, stop, b"")
        elif size - self._at > _LONGEST_LINE:
            # A row as long as that: what ends the data cannot be in it.
            yield self._piece(Kind.DATA, size - 1, b"")

    def _end_of_data(self, last: bool) -> int | None:
        """Return where the line that ends the data ends, without its newline; None: not in the buffer."""
        at = self._buffer.find(b"\n\\.", self._at)
        while at >= 0:
            if _END_OF_DATA.match(self._buffer, at) and (last or len(self._buffer) > at + 3):
                return at + 3
            at = self._buffer.find(b"\n\\.", at + 1)
        return None

    # --- pieces ---------------------------------------------------------------------------------

    def _cut(self) -> int:
        """Return up to where no token can be cut in two: the last line's end, or a place in a very long line."""
        newline = self._buffer.rfind(b"\n", self._at) + 1
        if newline > self._at:
            return newline
        size = len(self._buffer) - self._at
        if size > _LONGEST_LINE:
            raise Unsplittable(msg("a line is longer than {size} bytes", size=_LONGEST_LINE), self.line)
        marks = (b" ", b",", b"(", b"'")
        return self._at if size < HEAD_BYTES else max(self._at, *(self._buffer.rfind(m) + 1 for m in marks))

    def _take(self, upto: int, *, to_text: bool = True) -> None:
        part = self._buffer[self._at : upto]
        self._raw += part
        if self._after_escaped and to_text and part.strip():
            self._after_escaped = False
        if to_text and not self._headed:
            self._text += part
        elif not to_text and not self._headed and self._text:
            self._text += b" "
        self._at = upto

    def _empty(self) -> bool:
        """Whether no statement has begun."""
        return not self._headed and not self._text.strip()

    def _reset(self) -> None:
        self._raw.clear()
        self._text.clear()
        self._parens = self._begins = 0
        self._headed = self._routine = self._after_escaped = False

    def _statement(self) -> Piece:
        kind = Kind.BODY if self._headed else Kind.STATEMENT
        raw, text = bytes(self._raw), bytes(self._text)
        piece = Piece(kind, raw, text, self.line + _before(raw))
        self.line += raw.count(b"\n")
        self._reset()
        return piece

    def _head(self) -> Piece:
        kind = Kind.BODY if self._headed else Kind.STATEMENT
        raw, text = bytes(self._raw), bytes(self._text)
        piece = Piece(kind, raw, text, self.line + _before(raw), whole=False)
        self.line += raw.count(b"\n")
        self._raw.clear()
        self._text.clear()
        self._headed = True
        return piece

    def _space(self) -> Iterator[Piece]:
        if self._raw:
            raw = bytes(self._raw)
            self._reset()
            yield Piece(Kind.SPACE, raw, b"", self.line)
            self.line += raw.count(b"\n")

    def _piece(self, kind: Kind, upto: int, text: bytes) -> Piece:
        raw, line = self._buffer[self._at : upto], self.line
        self._at = upto
        self.line += raw.count(b"\n")
        return Piece(kind, raw, text, line)

    def _finish(self) -> Iterator[Piece]:
        if self._state or not self._empty():
            inside = self._state.partition(b" ")[0] or b"statement"
            raw = bytes(self._raw)
            yield Piece(Kind.UNFINISHED, raw, inside, self.line + _before(raw))
        elif self._raw:
            yield from self._space()


def _before(raw: bytes) -> int:
    """Return the lines that end before anything stands in them."""
    return raw[: len(raw) - len(raw.lstrip())].count(b"\n")
