"""The last means for rows that stand in each other's way: their steps are taken back one by one, the latest first.

Two rows that have changed keys, or values that must be unique, cannot be written in any order; the migration went by a
third value, and so does this.
"""

from __future__ import annotations

from backout.databases.postgres.reversible.link import Link, LinkError, objects
from backout.databases.postgres.reversible.names import ident
from backout.databases.postgres.reversible.rows.fold import array
from backout.databases.postgres.reversible.rows.targets import Target
from backout.databases.postgres.reversible.rows.write import ROW_IS_REFUSED, Writer

_SAVEPOINT = "_bo_replay"


def replay(link: Link, writer: Writer) -> bool:
    """Take the pending updates of a table back step by step, all of them or none; tell whether it was done."""
    target, rows = writer.target, writer.pending["update"]
    if not rows or not target.key:
        return False
    link.rows(f"SAVEPOINT {_SAVEPOINT}")
    try:
        by = _steps(link, target, rows)
    except LinkError as error:
        link.rows(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
        link.rows(f"RELEASE SAVEPOINT {_SAVEPOINT}")
        if not error.sqlstate.startswith(ROW_IS_REFUSED):
            raise
        return False
    if by is None:
        link.rows(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
    link.rows(f"RELEASE SAVEPOINT {_SAVEPOINT}")
    if by is None:
        return False
    writer.written["update"] += len(rows)
    writer.written_by |= by
    writer.pending["update"] = []
    return True


def _steps(link: Link, target: Target, rows: list[int]) -> set[str] | None:
    """Take back each step; None: a row was not where its step had left it."""
    numbers = ",".join(map(str, rows))
    steps = objects(
        link,
        f"""SELECT e.old, e.new, e.nkey, ARRAY(SELECT i FROM unnest(r.set_) i WHERE i = ANY (e.known)
          AND e.old[i] IS DISTINCT FROM e.new[i]) AS columns
        FROM {target.part("now")} r JOIN {target.part("entries")} e ON e.seq = ANY (r.steps)
        WHERE r.n = ANY ('{{{numbers}}}') AND e.old IS NOT NULL AND e.new IS NOT NULL ORDER BY e.seq DESC""",
    )
    by: set[str] = set()
    by_whom = "NULL::text" if target.partitioned else "t.xmin::text"
    for step in steps:
        if not step["columns"]:
            continue
        sets = ", ".join(
            f"{ident(c.name)} = ({array(step['old'])})[{n}]::{c.type}"
            for n in step["columns"]
            for c in [target.columns[n - 1]]
        )
        done = link.rows(
            f"UPDATE {target.rows_of} AS t SET {sets} WHERE {target.same_key('t', array(step['nkey']))} RETURNING {by_whom} AS x"
        )
        if len(done) != 1:
            return None
        by |= {done[0]["x"]} if done[0]["x"] else set()
    return by
