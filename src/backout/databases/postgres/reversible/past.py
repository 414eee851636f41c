"""What went past the proxy while a command ran: the catalog and the tools' own histories tell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from backout.databases.postgres.heads import NO_MIGRATION, history_heads
from backout.databases.postgres.reversible import catalog
from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import Operation
from backout.databases.postgres.reversible.link import DirectLink
from backout.databases.postgres.reversible.meanwhile import Meanwhile
from backout.databases.postgres.reversible.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Stands:
    """A database as it stands.

    Attributes:
        catalog: All things.
        heads: The newest migration of each history table, by oid.
    """

    catalog: Snapshot
    heads: dict[int, str]

    @staticmethod
    def now(link: DirectLink) -> Stands:
        """Read it."""
        return Stands(catalog.read_alone(link), history_heads(link.connection))


def moved(before: Stands, after: Stands) -> bool:
    """Tell whether the schema is another one, or a tool's history names another migration as its newest."""
    return bool(Difference(before.catalog, after.catalog).left) or before.heads != after.heads


def schema_moved(before: Stands, after: Stands, seen: Meanwhile) -> bool:
    """Tell whether the schema is another one than what came through the proxy has made of it."""
    return bool(Difference(seen.rebased(before.catalog, after.catalog, 0), after.catalog).left)


def history_moved(before: Stands, after: Stands, rows: Iterable[Operation]) -> bool:
    """Tell whether a tool's history is another one, and nobody saw its table written.

    Args:
        before: Before the command.
        after: After it.
        rows: What was seen of rows.
    """
    seen = {oid for one in rows for oid in (*one.get("tables", ()), *one.get("filled", ()))}
    return any(
        before.heads.get(oid, NO_MIGRATION) != head for oid, head in after.heads.items() if oid not in seen
    )
