"""Mistakes in the configuration: where, which key, what was expected, what was found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from backout.env_file import sourced
from backout.errors import ConfigError
from backout.message import Field, Message, msg

KeyPath = tuple[str | int, ...]
"""Keys and list positions from the top of the file down to a value."""


class Place(NamedTuple):
    """A position in the file; both count from 1."""

    line: int
    column: int


class Problem(NamedTuple):
    """One mistake.

    Attributes:
        key: Dotted key, e.g. ``checks[0].url``; empty when the whole file is meant.
        what: What was expected and what was found, in one sentence.
        remedy: What to write instead, where that is known.
        env_file: File that sets what is missing in the environment: nothing is wrong in the configuration.
        unset: The environment lacks a variable: nothing is wrong for whoever does not need that value.
    """

    place: Place
    key: str
    what: Message
    remedy: Message | None = None
    env_file: Path | None = None
    unset: bool = False

    def message(self, path: Path) -> Message:
        """Return the whole line for a person: ``file:line:column: key: what``."""
        fields: dict[str, Field] = {
            "path": str(path),
            "line": self.place.line,
            "column": self.place.column,
            "key": self.key or "(file)",
            "what": str(self.what),
        }
        if self.remedy is None:
            return msg("{path}:{line}:{column}: {key}: {what}", **fields)
        return msg("{path}:{line}:{column}: {key}: {what} {remedy}", **fields, remedy=str(self.remedy))


class ConfigMistakes(ConfigError):
    """The file has mistakes; all of them, in file order.

    Attributes:
        path: The file.
        problems: The mistakes.
    """

    def __init__(self, path: Path, problems: Iterable[Problem]) -> None:
        self.path = path
        self.problems = tuple(sorted(problems, key=lambda p: p.place))
        lines = [str(p.message(path)) for p in self.problems]
        if len(lines) == 1:
            what = self.problems[0].message(path)
        else:
            what = msg(
                "{path} has {count} mistakes:\n{mistakes}",
                path=str(path),
                count=len(lines),
                mistakes="\n".join(lines),
            )
        super().__init__(
            what,
            state=msg("Nothing was touched."),
            next_command=_next_command(path, self.problems),
        )


def _next_command(path: Path, problems: Sequence[Problem]) -> str:
    files = [p.env_file for p in problems if p.env_file is not None]
    if len(files) == len(problems):
        return f"{sourced(*dict.fromkeys(files))}; backout doctor"
    first = next(p for p in problems if p.env_file is None)
    return f"${{EDITOR:-vi}} +{first.place.line} {path}"


def dotted(path: KeyPath) -> str:
    """Return a key path as people write it: ``checks[0].url``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def did_you_mean(found: object, known: Sequence[str]) -> Message | None:
    """Return a suggestion when one of the known names is near, else None."""
    near = get_close_matches(
        str(found).lower().replace("-", "_"), [k.lower().replace("-", "_") for k in known], n=1, cutoff=0.6
    )
    for name in known:
        if near and name.lower().replace("-", "_") == near[0]:
            return msg("Did you mean {name}?", name=name)
    return None
