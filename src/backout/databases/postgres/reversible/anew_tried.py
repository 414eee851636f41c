"""A function that a way back would have to drop, to take a default or a parameter's name away: nothing may need it."""

from __future__ import annotations

from backout.databases.postgres.reversible.effects.base import Operation
from backout.databases.postgres.reversible.functions import needed_by
from backout.databases.postgres.reversible.link import Link
from backout.databases.postgres.reversible.proxy.keeper import NOT_COMMITTED, Veto


def refuse_needed(link: Link, found: list[tuple[str, Operation]]) -> None:
    """Refuse a transaction after which something needs such a function.

    Args:
        link: The session, before its COMMIT.
        found: Kind and operation of what it did.

    Raises:
        Veto: Something does.
    """
    for _kind, told in found:
        if told.get("anew") and (needs := needed_by(link, told["oid"])):
            raise Veto(
                f"backout cannot undo that {told['called']} has other defaults or names of parameters: {needs} needs it",
                detail="PostgreSQL takes no default away and gives no parameter another name, so that the way back would have to drop it. "
                f"{NOT_COMMITTED}",
                hint="Make another function beside it, with other types or another name.",
            )
