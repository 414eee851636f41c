"""What a way back has to have done before it begins, while everybody works: the indexes of keys that it brings back are built, and many values computed.

From then on, and until the way back is done or given up, the later code is refused what these keys do not allow.
"""

from __future__ import annotations

from collections.abc import Sequence

from backout.databases.postgres.reversible.after import finish
from backout.databases.postgres.reversible.ahead import convert_ahead
from backout.databases.postgres.reversible.built import is_built_before, left_over, to_build
from backout.databases.postgres.reversible.catalog import read
from backout.databases.postgres.reversible.journal import Entry
from backout.databases.postgres.reversible.link import Link
from backout.migration import Unfinished


def get_ready(link: Link, entries: Sequence[Entry], *, ahead: bool = True) -> tuple[Unfinished, ...]:
    """Do it; where an index cannot be built, none stays. Idempotent.

    Args:
        link: A session in autocommit.
        entries: Of all migrations that are to be taken back.
        ahead: Values are computed, too; nobody waits for this.

    Returns:
        What failed.
    """
    failed: tuple[Unfinished, ...] = ()
    if any(map(is_built_before, entries)):
        failed = finish(link, lambda link: to_build(read(link), entries)).unfinished
    if failed:
        give_up(link, entries)
    elif ahead:
        convert_ahead(link, entries)
    return failed


def give_up(link: Link, entries: Sequence[Entry]) -> None:
    """Drop what was built: the way back was not taken. Idempotent."""
    if any(map(is_built_before, entries)):
        finish(link, lambda link: left_over(read(link), entries))
