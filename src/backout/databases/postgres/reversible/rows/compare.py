"""Compares folded rows with the rows that are there now, before anything is written: what may be set back, and what stays."""

from __future__ import annotations

from collections.abc import Sequence

from backout.databases.postgres.reversible.link import Link, objects
from backout.databases.postgres.reversible.names import is_hidden
from backout.databases.postgres.reversible.rows.store import TURN
from backout.databases.postgres.reversible.rows.targets import Column, Target


def compare(
    link: Link, target: Target, migrations: Sequence[int], *, back: bool, goes_on: bool = False
) -> None:
    """Make the table `now` of a target from its `fold`.

    Its rows have those of `fold`, and: n (order of writing), at (ctid, for tables without a key), cur (the row as it is),
    act (`update`, `delete`, `insert`; `nothing`; or what forbids it: `kept`, `gone`, `taken`, `changed`), set_ (columns to set), lost
    (columns that stay), owned (columns in which somebody has written what is to be there), touched (somebody else has written the
    row since), blocked.

    Args:
        link: The session.
        target: The table.
        migrations: Numbers.
        back: The direction.
        goes_on: What was logged later was taken back right before.
    """
    numbers = ", ".join(map(str, migrations))
    ways = f"{not back}, {back}" if goes_on else f"{not back}"
    # A row that was last written by a way forward or back has not the transaction of the log any more.
    turned = f"EXISTS (SELECT FROM {TURN} u WHERE u.migration IN ({numbers}) AND u.back IN ({ways}) AND u.written_by = j.now_xmin)"
    joined = _by_key(target) if target.key else _by_value(target, back=back)
    # The row that has the key now may be one that goes to another key, or away.
    ours = f"okey IN (SELECT nkey FROM {target.part('fold')} WHERE nkey IS NOT NULL)"
    writable = [n for n, c in enumerate(target.columns, 1) if not c.generated and not c.left]
    seen = [n for n in writable if not target.columns[n - 1].quiet]
    told = [n for n, c in enumerate(target.columns, 1) if not c.generated and _tells(c, back=back)]
    differ = _where(
        writable, "{0} = ANY (oknown) AND {0} = ANY (nknown) AND old[{0}] IS DISTINCT FROM new[{0}]"
    )
    set_ = _where(writable, "{0} = ANY (differ) AND cur[{0}] IS NOT DISTINCT FROM new[{0}]")
    lost = _where(
        seen,
        "{0} = ANY (differ) AND cur[{0}] IS DISTINCT FROM new[{0}] AND cur[{0}] IS DISTINCT FROM old[{0}]",
    )
    owned = _where(seen, "{0} = ANY (differ) AND cur[{0}] IS NOT DISTINCT FROM old[{0}]")
    changed = _where(told, "{0} = ANY (nknown) AND cur[{0}] IS DISTINCT FROM new[{0}]")
    link.rows(
        f"""CREATE TABLE {target.part("now")} AS
        WITH j AS (SELECT * FROM {joined}),
        d AS (SELECT j.*, NOT sure OR now_xmin IS DISTINCT FROM xmin_ AND NOT {turned} AS touched,
          CASE WHEN old IS NOT NULL AND new IS NOT NULL AND cur IS NOT NULL THEN {differ} END AS differ,
          old IS NULL AND cur IS NOT NULL AND cardinality({changed}) > 0 AS changed FROM j OFFSET 0)
        SELECT row_number() OVER (ORDER BY last DESC) AS n, d.*, false AS blocked, CASE
            WHEN old IS NULL THEN CASE WHEN cur IS NULL THEN 'nothing' WHEN changed THEN 'changed' ELSE 'delete' END
            WHEN new IS NULL THEN CASE WHEN cur IS NULL OR {ours} THEN 'insert' ELSE 'taken' END
            WHEN cur IS NULL THEN CASE WHEN old = new THEN 'nothing' ELSE 'gone' END
            ELSE 'update' END AS act, {set_} AS set_, {lost} AS lost, {owned} AS owned
        FROM d"""
    )
    link.rows(
        f"UPDATE {target.part('now')} SET act = CASE WHEN cardinality(lost) = 0 THEN 'nothing' ELSE 'kept' END "
        "WHERE act = 'update' AND cardinality(set_) = 0"
    )
    link.rows(f"ANALYZE {target.part('now')}")


def _tells(column: Column, *, back: bool) -> bool:
    """Tell whether somebody may have written a column: not what was hidden until the way forward, and was filled by it.

    What that way hides was seen until then.
    """
    filled = column.left or (column.quiet and not is_hidden(column.name))
    return not column.unseen and (back or not filled)


def unwritten(link: Link, target: Target) -> list[int]:
    """Return the numbers of rows whose columns do not hold at this moment what was, or is, to be set.

    Of tables whose rows are told by a key; other tables cannot be looked at again.
    """
    if not target.key:
        return []
    found = objects(
        link,
        f"SELECT q.n FROM (SELECT r.n, r.set_, r.old, t.ctid AS at, {target.image('t')} AS i FROM {target.part('now')} r "
        f"LEFT JOIN {target.rows_of} t ON {target.same_key('t', 'r.okey')} WHERE r.act = 'update' OFFSET 0) q "
        f"WHERE q.at IS NULL OR EXISTS (SELECT FROM unnest(q.set_) s WHERE ({array_of(target, 'q.i')})[s] IS DISTINCT FROM q.old[s]) ORDER BY 1",
    )
    return [int(one["n"]) for one in found]


def array_of(target: Target, record: str) -> str:
    """SQL: the texts of a record, as an array."""
    return f"ARRAY[{', '.join(f'({record}).c{n}' for n in range(1, target.width + 1))}]::text[]"


def _by_key(target: Target) -> str:
    return (
        f"(SELECT q.*, CASE WHEN q.at IS NOT NULL THEN {array_of(target, 'q.r')} END AS cur FROM (SELECT f.*, t.ctid AS at, "
        f"t.xmin::text AS now_xmin, {target.image('t')} AS r FROM {target.part('fold')} f LEFT JOIN {target.rows_of} t "
        f"ON {target.same_key('t', 'coalesce(f.nkey, f.okey)')} OFFSET 0) q) j"
    )


def _by_value(target: Target, *, back: bool) -> str:
    """Rows without a key: equal ones are counted, and any of them is as good as another.

    Columns that the migrations have made are not asked on the way forward: they have kept their later values.
    """
    folded = target.part("fold")
    unseen = ",".join(str(n) for n, c in enumerate(target.columns, 1) if not _tells(c, back=back))
    common = f"(SELECT array_agg(i) FROM generate_series(1, {target.width}) i WHERE i <> ALL ('{{{unseen}}}') AND NOT EXISTS (SELECT FROM {folded} x WHERE x.new IS NOT NULL AND NOT i = ANY (x.nknown)))"

    def masked(image: str) -> str:
        return f"ARRAY(SELECT CASE WHEN i = ANY (common.c) THEN {image}[i] END FROM generate_series(1, {target.width}) i ORDER BY i)"

    return (
        f"(SELECT f.*, t.at, t.now_xmin, t.cur FROM (SELECT f.*, CASE WHEN f.new IS NOT NULL THEN {masked('f.new')} END AS told, row_number() OVER (PARTITION BY {masked('f.new')} "
        f"ORDER BY f.last) AS place FROM {folded} f, (SELECT {common} AS c) common) f LEFT JOIN (SELECT q.at, q.now_xmin, q.cur, q.told, "
        f"row_number() OVER (PARTITION BY q.told ORDER BY q.at) AS place FROM (SELECT p.at, p.now_xmin, p.cur, {masked('p.cur')} AS told "
        f"FROM (SELECT o.at, o.now_xmin, {array_of(target, 'o.r')} AS cur FROM (SELECT t.ctid AS at, t.xmin::text AS now_xmin, "
        f"{target.image('t')} AS r FROM {target.rows_of} t OFFSET 0) o) p, (SELECT {common} AS c) common) q) t ON t.told = f.told AND t.place = f.place) j"
    )


def _where(positions: list[int], condition: str) -> str:
    """SQL: those of the positions for which a condition is true, as an array."""
    each = ", ".join(f"CASE WHEN {condition.format(n)} THEN {n} END" for n in positions)
    return f"array_remove(ARRAY[{each}]::int[], NULL)"
