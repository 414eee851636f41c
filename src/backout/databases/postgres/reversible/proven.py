"""Which schema has to stand after a way, by the fingerprints that the journal took when the migrations ran. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from backout.databases.postgres.reversible.fill import accepts_null
from backout.databases.postgres.reversible.journal import Entry, Migration


def schema_back(chosen: Sequence[Migration], entries: Sequence[Entry], now: str) -> str | None:
    """Return the fingerprint of the schema that stands once migrations are taken back.

    Args:
        chosen: Oldest first.
        entries: Their changes.
        now: Fingerprint of the schema as it stands.

    Returns:
        None: unknown, as something stays, or as somebody else changed the schema between them or since.
    """
    if not chosen or _stays(entries) or not _unbroken(chosen) or chosen[-1].schema_after != now:
        return None
    return chosen[0].schema_before


def schema_forward(chosen: Sequence[Migration], undone: Sequence[Entry], now: str) -> str | None:
    """Return the fingerprint of the schema that stands once migrations are made again; as `schema_back`.

    Args:
        chosen: Oldest first.
        undone: Changes of these and of all later migrations: what stays of a later one is shown with what it is part of.
        now: Fingerprint of the schema as it stands.
    """
    if not chosen or _stays(undone) or not _unbroken(chosen) or chosen[0].schema_before != now:
        return None
    return chosen[-1].schema_after


def _stays(entries: Sequence[Entry]) -> bool:
    return any(e.operation.get("residue") or accepts_null(e.operation.get("fill")) for e in entries)


def _unbroken(chosen: Sequence[Migration]) -> bool:
    return all(one.schema_after == then.schema_before for one, then in pairwise(chosen))
