"""What somebody has written since, where it looks as if a way had done it: the next way must not take it for its own.

Whoever writes the very value that a way back would set, or makes the very row that it would put back, has it after that way, and
after the way forward again. Such values and rows are noted by the key; a note holds until a way sets that value, or makes or
deletes that row.
"""

from __future__ import annotations

from collections.abc import Sequence

from backout.databases.postgres.reversible.link import Link, scalar
from backout.databases.postgres.reversible.names import literal
from backout.databases.postgres.reversible.rows.store import KEPT
from backout.databases.postgres.reversible.rows.targets import Target
from backout.databases.postgres.reversible.rows.write import Writer

OWNED = "written since"
"""It is somebody's, whatever the log says: a value, which `row_image` holds, or the whole row. `row_attnums` are those of the key."""


def leave_owned(link: Link, target: Target, migrations: Sequence[int], *, back: bool) -> None:
    """Let stay what earlier ways have found to be somebody's.

    Of tables without a key the same is done row by row: see `kept.leave_absent`.
    """
    now, those = target.part("now"), _of(target)
    if not target.key or scalar(link, f"SELECT EXISTS (SELECT {those})") != "t":
        return
    if back:
        # What is found on the ways back of later migrations; what was somebody's before a migration is its matter.
        those += f" AND {max(migrations)} <= ANY (migrations)"
    link.rows(
        f"UPDATE {now} r SET act = CASE act WHEN 'delete' THEN 'changed' ELSE 'taken' END FROM (SELECT * {those}) k "
        "WHERE k.attnum IS NULL AND k.key = r.nkey AND r.act IN ('update', 'delete')"
    )
    link.rows(
        f"WITH o AS (SELECT r.n, array_agg(DISTINCT c.n) AS those FROM {now} r JOIN {target.places} ON c.n = ANY (r.set_) "
        f"JOIN (SELECT * {those}) k ON k.attnum = c.attnum AND k.key = r.nkey AND k.row_image[1] IS NOT DISTINCT FROM r.cur[c.n] "
        "WHERE r.act = 'update' GROUP BY r.n) "
        f"UPDATE {now} r SET set_ = ARRAY(SELECT unnest(r.set_) EXCEPT SELECT unnest(o.those) ORDER BY 1), lost = r.lost || o.those, "
        "act = CASE WHEN r.set_ <@ o.those THEN 'kept' ELSE r.act END FROM o WHERE o.n = r.n"
    )


def keep_owned(link: Link, writer: Writer, migrations: Sequence[int], *, back: bool) -> None:
    """Note what is somebody's, and forget what is not any more."""
    target, now = writer.target, writer.target.part("now")
    if not target.key:
        return
    pending = ",".join(str(n) for rows in writer.pending.values() for n in rows)
    done = f"r.n <> ALL ('{{{pending}}}')"
    set_ = f"r.act = 'update' AND {done}"
    if scalar(link, f"SELECT EXISTS (SELECT {_of(target)})") == "t":
        link.rows(
            f"DELETE FROM {KEPT} WHERE id IN (SELECT k.id FROM {now} r JOIN (SELECT * {_of(target)}) k ON k.key IN (r.nkey, r.okey) "
            f"LEFT JOIN {target.places} ON c.attnum = k.attnum WHERE r.act IN ('insert', 'delete') AND {done} "
            f"OR c.n = ANY (r.owned) OR {set_} AND c.n = ANY (r.set_) OR r.new IS NULL AND r.act = 'taken' AND k.attnum IS NULL)"
        )
    into = (
        f"INSERT INTO {KEPT} (migrations, back, relation, called, why, row_attnums, key, attnum, row_image)"
    )
    numbers = ",".join(map(str, migrations))
    of = f"'{{{numbers}}}'::bigint[], {str(back).lower()}, {target.oid}, {literal(target.called)}, '{OWNED}', {_key(target)}"
    link.rows(
        f"{into} SELECT {of}, CASE WHEN {set_} THEN r.okey ELSE r.nkey END, c.attnum, ARRAY[r.cur[c.n]] "
        f"FROM {now} r JOIN {target.places} ON c.n = ANY (r.owned)"
    )
    link.rows(f"{into} SELECT {of}, r.okey, NULL, NULL FROM {now} r WHERE r.new IS NULL AND r.act = 'taken'")


def _of(target: Target) -> str:
    return f"FROM {KEPT} WHERE why = '{OWNED}' AND relation = {target.oid} AND row_attnums = {_key(target)}"


def _key(target: Target) -> str:
    return f"'{{{','.join(str(target.columns[i].attnum) for i in target.key)}}}'::int2[]"
