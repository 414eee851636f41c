"""What backout says of a transaction before its COMMIT: which effects explain it, and what nobody can explain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from backout.databases.postgres.reversible.difference import Change, Difference
from backout.databases.postgres.reversible.effects import EFFECTS
from backout.databases.postgres.reversible.effects.base import Operation
from backout.databases.postgres.reversible.hide import NotHidden
from backout.databases.postgres.reversible.parse import Statement
from backout.databases.postgres.reversible.proxy.keeper import NOT_COMMITTED, Veto
from backout.databases.postgres.reversible.snapshot import Key

_LEAVE_IT_OUT = "Leave it out, or run it with the plain tool and without a way back."


def found_in(difference: Difference, statements: list[str]) -> list[tuple[str, Operation]]:
    """Take from a difference what can be taken back; return each with its kind.

    Args:
        difference: All that was done.
        statements: What ran, in short.

    Raises:
        Veto: Something new could not be hidden.
    """
    try:
        return [(one.kind, operation) for one in EFFECTS for operation in one.find(difference)]
    except NotHidden as error:
        raise Veto(
            f"backout could not hide what this transaction made: {error}{_last(statements)}",
            detail=f"So making it could not be undone. {NOT_COMMITTED}",
            hint=_LEAVE_IT_OUT,
        ) from None


def take_rewritten(difference: Difference, may_have_emptied: Callable[[], bool]) -> None:
    """Take what PostgreSQL does by itself: a table is rewritten for what a new column has in each row, and where it is put somewhere else.

    For a default that is another for each row, for a domain, which may have something against a NULL, and for another type.

    Args:
        difference: What is left.
        may_have_emptied: Tells whether something ran that may have emptied a table besides.
    """
    rewritten = [
        change.key
        for change in difference.changed("table", "filenode")
        if _is_placed(change) or any(_are_new(difference, change.key))
    ]
    if rewritten and not may_have_emptied():
        for key in rewritten:
            difference.take(key, "filenode")
    left = {c.key.oid for c in difference.changed("table", "filenode")}
    for change in list(difference.changed("index", "filenode")):
        if change.thing["table"] not in left:
            difference.take(change.key, "filenode")


def _is_placed(change: Change) -> bool:
    before, after = change.before or {}, change.after or {}
    return any(before[one] != after[one] for one in ("persistence", "tablespace"))


def _are_new(difference: Difference, table: Key) -> Iterator[bool]:
    for attnum in difference.after.columns(table.oid):
        yield difference.made(Key("column", table.oid, attnum))


def unexplained(difference: Difference, statements: list[str]) -> Veto:
    """Return the refusal of a transaction of whose difference something is left.

    Args:
        difference: What is left.
        statements: What ran, in short.
    """
    left = []
    for change in sorted(difference.left.values(), key=_whole_first)[:10]:
        what = (
            "gone"
            if change.after is None
            else "new"
            if change.before is None
            else f"another {', '.join(sorted(change.values))}"
        )
        where = difference.before if change.after is None else difference.after
        left.append(f"{change.key.kind} {where.name(change.key)}: {what}")
    known = dict.fromkeys(why for change in difference.left.values() if (why := _why(change)) is not None)
    return Veto(
        f"backout cannot undo what this transaction did to {left[0]}{_last(statements)}",
        detail=" ".join([*known, *([] if known else [f"Not understood: {'; '.join(left)}."]), NOT_COMMITTED]),
        hint=_LEAVE_IT_OUT,
    )


def _why(change: Change) -> str | None:
    """Tell why there is no way back for what is understood."""
    kind, values = change.key.kind, change.values
    if kind == "type" and change.before is None and change.thing["kind"] == "r":
        return "The functions that PostgreSQL makes with a range type are the server's own, and could not be hidden with it."
    if kind == "column" and "generated" in values:
        return "PostgreSQL cannot make a column generated again. Add another one, fill it, drop this one, and give it its name."
    return None


def _whole_first(change: Change) -> tuple[bool, bool, Key]:
    """What is understood comes first: the rest may be there because of it."""
    return _why(change) is None, change.key.kind == "column" or "table" in change.thing, change.key


def _last(statements: list[str]) -> str:
    return f"; the last of {len(statements)} was: {statements[-1]}" if statements else ""


def made_anew(dropped: str, takers: Sequence[str], why: str, *, or_else: str = "") -> Veto:
    """Return the refusal of dropping a table that another one has taken the place of.

    Args:
        dropped: What it is called.
        takers: What those are called that may have its rows.
        why: Why the way back would not be known.
        or_else: What else can be done.
    """
    instead = "Change the table itself instead of making another one of it; or drop it in a later migration."
    return Veto(
        f"backout cannot undo dropping {dropped}, which the same migration fills {', '.join(takers)} from",
        detail=f"It would come back as it was dropped, without what was written since: {why}. {NOT_COMMITTED}",
        hint=f"{instead} {or_else}".rstrip(),
    )


def refused_outright(statement: Statement, why: str) -> Veto:
    """Return the refusal of a statement that cannot be undone, whatever it does."""
    return Veto(f"backout cannot undo this statement: {short(statement)}", detail=why)


def short(statement: Statement) -> str:
    """Return a statement's text for people: one line, not too long."""
    return " ".join(statement.text.split())[:200]
