"""The last means for rows that stand in each other's way: their steps are taken back one by one, the latest first.

Two rows that have changed keys, or values that must be unique, cannot be written in any order; the migration went by a
third value, and so does this.
"""

from __future__ import annotations

from collections.abc import Callable

from backout.databases.postgres.reversible.link import Link, LinkError, objects
from backout.databases.postgres.reversible.names import ident
from backout.databases.postgres.reversible.rows.fold import array
from backout.databases.postgres.reversible.rows.targets import Target
from backout.databases.postgres.reversible.rows.write import ROW_IS_REFUSED, Writer

_SAVEPOINT = "_bo_replay"
_PARKED_AT_MOST = 20


def replay(link: Link, writer: Writer) -> bool:
    """Take the pending updates of a table back step by step, or by way of a key that is free; tell whether any was done."""
    if not writer.pending["update"] or not writer.target.key:
        return False
    rows = list(writer.pending["update"])
    if _kept(link, lambda: _by_steps(link, writer, rows)):
        return True
    moved = objects(
        link,
        f"SELECT n FROM {writer.target.part('now')} WHERE n = ANY ('{{{','.join(map(str, rows))}}}') AND okey <> nkey ORDER BY n",
    )
    return any(_parked(link, writer, int(one["n"])) for one in moved[:_PARKED_AT_MOST])


def _kept(link: Link, work: Callable[[], bool]) -> bool:
    """Do something in a savepoint, which is rolled back unless it was done."""
    link.rows(f"SAVEPOINT {_SAVEPOINT}")
    try:
        done = work()
    except LinkError as error:
        if not error.sqlstate.startswith(ROW_IS_REFUSED):
            raise
        done = False
    if not done:
        link.rows(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
    link.rows(f"RELEASE SAVEPOINT {_SAVEPOINT}")
    return done


def _by_steps(link: Link, writer: Writer, rows: list[int]) -> bool:
    by = _steps(link, writer.target, rows)
    if by is None:
        return False
    writer.written["update"] += len(rows)
    writer.written_by |= by
    writer.pending["update"] = []
    return True


def _parked(link: Link, writer: Writer, row: int) -> bool:
    """Give a row a key that nobody has for a moment, so that another can have its own; it must get its own in the end."""
    pending, written, by = list(writer.pending["update"]), dict(writer.written), set(writer.written_by)
    if _kept(link, lambda: _by_parking(link, writer, row)):
        return True
    writer.pending["update"], writer.written, writer.written_by = pending, written, by
    return False


def _by_parking(link: Link, writer: Writer, row: int) -> bool:
    target, now = writer.target, writer.target.part("now")
    free = objects(
        link,
        f"SELECT k FROM (SELECT okey AS k FROM {target.part('entries')} UNION SELECT nkey FROM {target.part('entries')}) e "
        f"WHERE k IS NOT NULL AND NOT EXISTS (SELECT FROM {target.rows_of} t WHERE {target.same_key('t', 'e.k')}) LIMIT 1",
    )
    if not free:
        return False
    sets = ", ".join(
        f"{ident(c.name)} = ({array(free[0]['k'])})[{n}]::{c.type}"
        for n, c in enumerate((target.columns[i] for i in target.key), 1)
    )
    link.rows(
        f"UPDATE {target.rows_of} AS t SET {sets} FROM {now} r WHERE r.n = {row} AND {target.same_key('t', 'r.nkey')}"
    )
    link.rows(f"UPDATE {now} SET nkey = {array(free[0]['k'])} WHERE n = {row}")
    while writer.put("update"):
        pass
    return row not in writer.pending["update"]


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
