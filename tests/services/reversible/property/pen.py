"""What draws: picks of a database as it is looked at, new names, and parts of statements."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

from .look import Column, Look, Table, quoted, text
from .values import PLAIN, value

_SIMPLE = (
    "a",
    "b",
    "c",
    "name",
    "email",
    "total",
    "state",
    "note",
    "owner_id",
    "kind",
    "users",
    "orders",
    "items",
    "posts",
    "tags",
)
_ODD = (
    "Order", "user", "select", 'we"ird', "spa ce", "per%cent", "ünï", "back\\slash", "dot.ted", "semi;colon", "--dash", "$1", "new",
    "old", "tgt", "it's", "r", "n", "t", "fold", "ctid_", "xmin_", "CamelCase", "L" * 63, "l" * 62,
)  # fmt: skip
_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_NUMBERS = ("integer", "bigint", "smallint", "numeric", "double precision", "real")
_TEXTS = ("text", "character varying")

_T = TypeVar("_T")


@dataclass
class Pen:
    """Draws from one look at a database.

    Attributes:
        look: The database.
        random: Where chance comes from.
        number: Grows with every value, so that each is another one.
    """

    look: Look
    random: Random
    number: int = 0

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def one(self, some: Sequence[_T]) -> _T | None:
        return self.random.choice(some) if some else None

    def next(self) -> int:
        self.number += 1
        return self.number

    def name(self) -> str:
        """Return a name that is often taken nowhere, sometimes odd, and sometimes one that was there before."""
        if self.chance(0.25):
            return self.random.choice(_ODD)
        name = self.random.choice(_SIMPLE)
        return name if self.chance(0.4) else f"{name}{self.random.randrange(30)}"

    def path(self) -> str:
        """Return a new name in one of the schemas."""
        return quoted(self.schema(), self.name())

    def schema(self) -> str:
        return "public" if self.chance(0.6) else self.random.choice(self.look.schemas)

    def table(self) -> Table | None:
        return self.one([one for one in self.look.tables if one.row is not None])

    def column(self, table: Table, *, bases: Sequence[str] = (), generated: bool = False) -> Column | None:
        """Return a column, but never the one that rows are told apart by."""
        return self.one(
            [c for c in table.others() if (not bases or c.base in bases) and (generated or not c.generated)]
        )

    def text_column(self, table: Table) -> Column | None:
        return self.one(
            [c for c in table.others() if c.type in ("text", "character varying(40)") and not c.generated]
        )

    def number_column(self, table: Table) -> Column | None:
        return self.one([c for c in table.others() if c.type in _NUMBERS and not c.generated])

    def value(self, column: Column) -> str:
        return value(column, self.next(), self.random)

    def type_name(self) -> str:
        own = [quoted(one["schema"], one["name"]) for one in self.look.types if one["class"] in "ed"]
        return self.random.choice(own) if own and self.chance(0.2) else self.random.choice(PLAIN)

    def check(self, table: Table) -> str | None:
        """Return a condition that almost all values meet."""
        column = self.column(table, generated=True)
        if column is None or table.row is None:
            return None
        if column.type in _NUMBERS:
            return f"{column.sql} > -{self.random.randrange(1, 9)}"
        if column.base in _TEXTS:
            return f"{column.sql} {self.random.choice(('<>', '!~', 'IS DISTINCT FROM'))} 'zz'"
        if column.labels:
            return f"{column.sql} IN ({', '.join(map(text, column.labels))})"
        return f"{column.sql} IS NOT NULL OR {table.row.sql} > -1"


def answer(word: str, table: Table, column: Column, expression: str) -> str | None:
    """Return the line of an answer; None: a name is too odd for one."""
    names = (table.schema, table.name, column.name)
    if not all(_PLAIN_NAME.fullmatch(one) for one in names):
        return None
    return f"-- backout: {word} {'.'.join(names)} = {expression}"


def of(told: dict[str, Any]) -> str:
    return quoted(told["schema"], told["name"])
