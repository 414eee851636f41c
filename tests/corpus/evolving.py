"""A schema file that holds all its earlier and later forms, and the migrations between them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

_STEP = re.compile(r"^//@ (\d+) (\w+)(?:: (.+))?$", re.MULTILINE)
_OPENING = ("(", "{", "[")
_FROM_TO = re.compile(r"\s*//@ (\d*)-(\d*)$")


@dataclass(frozen=True)
class Planned:
    """What is between one form and the next.

    Attributes:
        custom: The migration is this SQL, written by hand.
        before: SQL, written by hand, that stands in front of what the tool made.
        renames: By the name of now, as `customers.name`, what it was before.
    """

    number: int
    name: str
    custom: str | None = None
    before: str = ""
    renames: dict[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return f"{self.number:02}_{self.name}"


@dataclass(frozen=True)
class Evolving:
    """A file whose lines tell from and to which step they are there; how, it says at its head.

    Args:
        file: Beside it is a folder of its name with SQL that is written by hand.
    """

    file: Path

    @property
    def folder(self) -> Path:
        return self.file.with_suffix("")

    @cached_property
    def text(self) -> str:
        return self.file.read_text()

    @cached_property
    def steps(self) -> tuple[Planned, ...]:
        return tuple(self._planned(*found) for found in _STEP.findall(self.text))

    def at(self, number: int) -> str:
        """Return the file as it is from this step on."""
        kept: list[str] = []
        left_out: str | None = None  # how far in the block stands that is left out
        for line in self.text.splitlines():
            if left_out is not None:
                left_out = None if _closes(line, left_out) else left_out
                continue
            if found := _FROM_TO.search(line):
                line = line[: found.start()]
                if not int(found[1] or 0) <= number <= int(found[2] or number):
                    left_out = _indent(line) if line.endswith(_OPENING) else None
                    continue
            kept.append(line)
        return "\n".join(kept) + "\n"

    def _planned(self, number: str, name: str, renames: str) -> Planned:
        at = self.folder / f"{int(number):02}_{name}"
        custom, before = at.with_name(f"{at.name}.sql"), at.with_name(f"{at.name}.before.sql")
        return Planned(
            int(number),
            name,
            custom.read_text() if custom.exists() else None,
            before.read_text() if before.exists() else "",
            {new: old for new, _, old in (one.partition(" = ") for one in renames.split("; ") if one)},
        )


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _closes(line: str, indent: str) -> bool:
    return line.startswith(tuple(indent + one for one in ")}]")) and not line.endswith(_OPENING)
