"""What a text of SQL is cut into."""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple

from backout.message import Message


class Kind(Enum):
    """What a piece of text is."""

    STATEMENT = auto()
    INSERTS = auto()
    """Some statements at once, all INSERTs of plain values into one table; `text` is the first's beginning."""
    BODY = auto()
    """The rest of a statement that was too long to be given at once."""
    COMMAND = auto()
    """One of psql's own, up to the end of its line."""
    COMMENT = auto()
    """Between statements."""
    SPACE = auto()
    DATA = auto()
    """Lines of COPY data; the line that ends them is in the last piece."""
    UNFINISHED = auto()
    """The text ended inside this; `text` says inside what."""


class Piece(NamedTuple):
    """A piece of the text; the `raw` of all pieces together is the text.

    Attributes:
        text: A statement without its comments.
        whole: False: the statement goes on in `BODY` pieces.
        inside: A command that stands inside a statement.
    """

    kind: Kind
    raw: bytes
    text: bytes
    line: int
    whole: bool = True
    inside: bool = False


class Unsplittable(Exception):
    """Nobody can tell where psql would cut this text; `why` says so, `line` where."""

    def __init__(self, why: Message, line: int) -> None:
        super().__init__(str(why))
        self.why, self.line = why, line
