"""One case: everything that was drawn, as text, so that it can be run again without parts of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

Transactions = list[list[str]]


@dataclass
class Case:
    """What is run.

    Attributes:
        seed: What it was drawn from.
        before: Schema and rows of the first release.
        migrations: Transactions of each `migrate`, each a list of statements.
        writes: What code has written, by step.
        at_once: Whether all migrations go back and forward in one command.
    """

    seed: int
    before: list[str] = field(default_factory=list)
    migrations: list[Transactions] = field(default_factory=list)
    writes: dict[str, list[str]] = field(default_factory=dict)
    at_once: bool = True

    def text(self) -> str:
        """Return it for people; it can be run again as Python."""
        return json.dumps(self.__dict__, indent=1, ensure_ascii=False)


@dataclass
class Finding(Exception):
    """What is not as it has to be.

    Attributes:
        step: When.
        kind: What kind of thing: a case is made smaller as long as it stays the same.
        lines: What differs.
    """

    step: str
    kind: str
    lines: list[str]

    def __str__(self) -> str:
        return f"{self.step}: {self.kind}\n  " + "\n  ".join(self.lines[:20])


@dataclass
class Told:
    """How a case ended, where it ended as documented.

    Attributes:
        refused: Why transactions were refused before COMMIT.
        stopped: Why a way was not open, with nothing changed.
        kept: Why rows stayed as they were.
    """

    refused: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    transactions: int = 0
    ways: int = 0


Draw = Callable[[], list[str]]
