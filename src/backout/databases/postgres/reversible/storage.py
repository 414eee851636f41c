"""How a column is stored, as ALTER … ALTER COLUMN says it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

_STORAGE = {"p": "PLAIN", "e": "EXTERNAL", "m": "MAIN", "x": "EXTENDED"}
_COMPRESSION = {"": "DEFAULT", "p": "pglz", "l": "lz4"}
OF_COLUMN: dict[str, Callable[[Any], str]] = {
    "target": lambda value: f"SET STATISTICS {-1 if value is None else value}",
    "storage": lambda value: f"SET STORAGE {_STORAGE[value]}",
    "compression": lambda value: f"SET COMPRESSION {_COMPRESSION[value]}",
}
"""By what the catalog tells of it."""


def stored_words(now: dict[str, Any], wanted: dict[str, Any]) -> Iterator[str]:
    """Yield what has one column stored as another is."""
    for what, words in OF_COLUMN.items():
        if now[what] != wanted[what]:
            yield words(wanted[what])
    if wanted["options"]:
        yield f"SET ({', '.join(wanted['options'])})"
