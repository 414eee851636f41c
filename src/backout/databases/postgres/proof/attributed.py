"""Which statement of a migration made which change: what each has touched in the catalog, held against the journal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from backout.databases.postgres.reversible.journal import Entry, Operation
from backout.databases.postgres.reversible.snapshot import Key, Snapshot

_MOST = 200
"""So many statements are attributed: to read the catalog after each takes as long as many of them."""
_ROWS = -1
_Place = tuple[int, int]


class _Touch(NamedTuple):
    """A statement by its number, and which values of a thing are others after it; of what is new or gone none."""

    number: int
    values: frozenset[str]


@dataclass(slots=True)
class Statements:
    """The statements of a migration that touched something, and what each has touched, by its oid and attnum.

    Attributes:
        texts: In short, in the order in which they ran.
    """

    texts: list[str] = field(default_factory=list)
    _touched: defaultdict[_Place, list[_Touch]] = field(default_factory=lambda: defaultdict(list))

    @property
    def more(self) -> bool:
        """Whether another one would be noted."""
        return len(self.texts) < _MOST

    def ran(self, text: str, before: Snapshot, after: Snapshot, written: Collection[int] = ()) -> None:
        """Note a statement with what is another after it.

        Args:
            text: In short.
            before: The catalog before it.
            after: The catalog after it.
            written: Tables whose rows it wrote.
        """
        touched = [((key.oid, key.sub), values) for key, values in _unlike(before, after)]
        touched += [((table, _ROWS), frozenset[str]()) for table in written]
        if touched:
            for place, values in touched:
                self._touched[place].append(_Touch(len(self.texts), values))
            self.texts.append(text)

    def of(self, entry: Entry) -> int | None:
        """Return the place of the statement that made a change among the texts; None: it is not known. Pure."""
        found = next(
            (touches for place in _places(entry.operation) if (touches := self._touched.get(place))), []
        )
        what = entry.kind.rpartition(".")[2]
        by_value = [one.number for one in found if what in one.values]
        numbers = by_value or [one.number for one in found]
        if not numbers:
            return None
        return numbers[0] if what == "added" else numbers[-1]


def _unlike(before: Snapshot, after: Snapshot) -> Iterator[tuple[Key, frozenset[str]]]:
    keys = after.may_be_unlike(before)
    for key in before.things.keys() | after.things.keys() if keys is None else keys:
        was, is_ = before.things.get(key), after.things.get(key)
        if was != is_:
            both = was is not None and is_ is not None
            names = (was or {}).keys() & (is_ or {}).keys() if both else ()
            yield key, frozenset(name for name in names if (was or {})[name] != (is_ or {})[name])


def _places(operation: Operation) -> Iterator[_Place]:
    """Yield what an operation is about, the most precise first."""
    inner = (operation.get(name) for name in ("hidden", "dropped"))
    parts = [operation, *(one for one in inner if isinstance(one, dict))]
    for told in parts:
        if "attnum" in told and "table" in told:
            yield told["table"], told["attnum"]
        if "oid" in told:
            yield told["oid"], told.get("sub") or 0
    for told in parts:
        yield from ((oid, sub) for _kind, oid, sub, *_values in told.get("explains", ()))
    for told in parts:
        yield from (
            (told[name], 0) for name in ("table", "type", "domain") if isinstance(told.get(name), int)
        )
        yield from ((table, _ROWS) for table in told.get("tables", ()))
