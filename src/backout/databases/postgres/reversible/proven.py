"""Which schema has to stand after a way, by the fingerprints that the journal took when the migrations ran. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from backout.databases.postgres.reversible.fill import accepts_null
from backout.databases.postgres.reversible.journal import Entry, Migration


class Shape(NamedTuple):
    """A schema, by its fingerprints; None: unknown.

    Attributes:
        schema: Of what an application can notice, as `backout.schema.Schema` says it.
        whole: Of everything, as `fingerprint.read_digests` says it.
    """

    schema: str | None
    whole: str | None

    def same(self, now: Shape, *, strict_order: bool) -> tuple[bool | None, bool | None]:
        """Tell of both whether they are those that stand now; None: unknown."""
        here, there = (_of_order(one.whole, strict_order=strict_order) for one in (self, now))
        return (
            None if self.schema is None else self.schema == now.schema,
            None if here is None else here == there,
        )


def shape_back(chosen: Sequence[Migration], entries: Sequence[Entry], now: Shape) -> Shape:
    """Return the shape of the schema that stands once migrations are taken back; as `schema_back`."""
    if not chosen or _stays(entries):
        return Shape(None, None)
    return Shape(
        _back(chosen, now.schema, _schema),
        _back(chosen, now.whole, _whole),
    )


def schema_back(chosen: Sequence[Migration], entries: Sequence[Entry], now: str) -> str | None:
    """Return the fingerprint of the schema that stands once migrations are taken back.

    Args:
        chosen: Oldest first.
        entries: Their changes.
        now: Fingerprint of the schema as it stands.

    Returns:
        None: unknown, as something stays, or as somebody else changed the schema between them or since.
    """
    return shape_back(chosen, entries, Shape(now, None)).schema


def shape_forward(chosen: Sequence[Migration], undone: Sequence[Entry], now: Shape) -> Shape:
    """Return the shape of the schema that stands once migrations are made again; as `schema_back`.

    Args:
        chosen: Oldest first.
        undone: Changes of these and of all later migrations: what stays of a later one is shown with what it is part of.
        now: The shape of the schema as it stands.
    """
    if not chosen or _stays(undone):
        return Shape(None, None)
    return Shape(
        _forward(chosen, now.schema, _schema),
        _forward(chosen, now.whole, _whole),
    )


_Sides = Callable[[Migration], tuple[str | None, str | None]]
"""Returns the fingerprints of before and after a migration."""


def _schema(one: Migration) -> tuple[str | None, str | None]:
    return one.schema_before, one.schema_after


def _whole(one: Migration) -> tuple[str | None, str | None]:
    return one.whole_before, one.whole_after


def _back(chosen: Sequence[Migration], now: str | None, sides: _Sides) -> str | None:
    return sides(chosen[0])[0] if _unbroken(chosen, sides) and sides(chosen[-1])[1] == now else None


def _forward(chosen: Sequence[Migration], now: str | None, sides: _Sides) -> str | None:
    return sides(chosen[-1])[1] if _unbroken(chosen, sides) and sides(chosen[0])[0] == now else None


def _stays(entries: Sequence[Entry]) -> bool:
    return any(e.operation.get("residue") or accepts_null(e.operation.get("fill")) for e in entries)


def _unbroken(chosen: Sequence[Migration], sides: _Sides) -> bool:
    return all(sides(one)[1] == sides(then)[0] for one, then in pairwise(chosen))


def _of_order(whole: str | None, *, strict_order: bool) -> str | None:
    return whole if whole is None or strict_order else whole.split()[0]
