"""What a way back has to have done before it begins, while everybody works: the indexes of keys that it brings back are built, and many values computed.

From then on, and until the way back is done or given up, the later code is refused what these keys do not allow.
"""

from __future__ import annotations

from collections.abc import Sequence

from backout.databases.postgres.reversible.after import finish
from backout.databases.postgres.reversible.ahead import convert_ahead
from backout.databases.postgres.reversible.built import is_built_before, left_over, path_of, to_build, to_find
from backout.databases.postgres.reversible.catalog import read, read_alone
from backout.databases.postgres.reversible.journal import Entry
from backout.databases.postgres.reversible.link import Link, LinkError, LinkLost
from backout.databases.postgres.reversible.remedies import brings_check, is_told, remedy
from backout.databases.postgres.reversible.repaired_ahead import give_back_early, repair_ahead
from backout.databases.postgres.reversible.twice import set_keys_right
from backout.databases.postgres.reversible.work import Moved
from backout.migration import LOCK_BUDGET_MS, Unfinished

_PATIENCE_S = 10.0


def get_ready(
    link: Link, entries: Sequence[Entry], *, ahead: bool = True, budget_ms: float = LOCK_BUDGET_MS
) -> tuple[Unfinished, ...]:
    """Do it; where an index cannot be built, none stays. Idempotent.

    Args:
        link: A session in autocommit.
        entries: Of all migrations that are to be taken back.
        ahead: Values are computed, too; nobody waits for this.
        budget_ms: For how long the locks of the way back may be held.

    Returns:
        What failed.

    Raises:
        Locked: A table is in use in which rows have a key twice about which something was told.
    """
    slow = [
        one
        for one in entries
        if brings_check(one) and is_told(one.operation) and not _is_quick(link, one, budget_ms)
    ]
    if slow:
        # Where one of these cannot be built, the rows are searched for under the locks.
        finish(link, lambda link: to_find(read(link), slow))
    failed = _keys_set_right(link, entries)
    if not failed and any(map(is_built_before, entries)):
        failed = finish(link, lambda link: to_build(read(link), entries)).unfinished
    if failed:
        give_up(link, entries)
    elif ahead:
        convert_ahead(link, entries, budget_ms)
        repair_ahead(link, entries, budget_ms)
    return failed


def _keys_set_right(link: Link, entries: Sequence[Entry]) -> tuple[Unfinished, ...]:
    try:
        set_keys_right(link, entries, patience_s=_PATIENCE_S)
    except LinkLost:
        raise
    except (Moved, LinkError) as error:
        return (Unfinished(statement="What was told of rows that have a key twice", why=str(error)),)
    return ()


def give_up(link: Link, entries: Sequence[Entry]) -> None:
    """Drop what was built, and give back what was repaired: the way back was not taken. Idempotent."""
    if any(is_built_before(entry) or brings_check(entry) for entry in entries):
        finish(link, lambda link: left_over(read(link), entries))
    # In its index a key has no place for what is given back.
    give_back_early(link, entries)


def _is_quick(link: Link, entry: Entry, budget_ms: float) -> bool:
    """Tell whether the rows that violate a CHECK are found in a time for which the locks of a way back may be held."""
    one = remedy(read_alone(link), entry.operation)
    if one is None:
        return True
    link.rows("BEGIN READ ONLY")
    try:
        link.rows(f"SET LOCAL statement_timeout = {max(1, round(budget_ms / 2))}")
        link.rows(f"SELECT count(*) FROM {path_of(read(link), one.table)} WHERE {one.bad}")
    except LinkLost:
        raise
    except LinkError:
        return False
    else:
        return True
    finally:
        link.rows("ROLLBACK")
