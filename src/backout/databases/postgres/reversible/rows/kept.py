"""Notes what stays as it is, and why: in a table, and the first of it for people."""

from __future__ import annotations

from collections.abc import Sequence

from backout.databases.postgres.reversible.link import Link, objects, scalar
from backout.databases.postgres.reversible.names import literal
from backout.databases.postgres.reversible.rows.compare import unwritten
from backout.databases.postgres.reversible.rows.owned import OWNED
from backout.databases.postgres.reversible.rows.report import KEPT_AT_MOST, Kept, RowsReport, Why
from backout.databases.postgres.reversible.rows.store import EVERYTHING, KEPT, LOG, SHAPE, TRUNCATED, Span
from backout.databases.postgres.reversible.rows.targets import Target
from backout.databases.postgres.reversible.rows.write import Writer

REMOVED = "removed"
"""A whole row that was deleted, with columns that the log does not know: the way forward needs them."""

ABSENT = "absent"
"""A row that was gone, or somebody's own, when it was to be deleted or written: it is not to be made again."""

_STEPS = "ARRAY(SELECT abs(s) FROM unnest(r.steps) s)"

_ACTS = {"gone": Why.GONE, "taken": Why.TAKEN, "changed": Why.ROW_CHANGED}


def start(link: Link) -> int:
    """Return a number: what is noted from here on has higher ones."""
    return int(scalar(link, f"SELECT nextval('{KEPT}_id_seq')") or 0)


def keep_removed(link: Link, target: Target, migrations: Sequence[int], *, back: bool) -> None:
    """Note the whole of rows that are to be deleted, where they have columns that the log does not know."""
    now = target.part("now")
    attnums = f"'{{{','.join(str(c.attnum) for c in target.columns)}}}'"
    _insert(
        link,
        target,
        migrations,
        back,
        f"SELECT coalesce(nkey, okey), NULL::int2, NULL, {_STEPS}::text, NULL, '{REMOVED}', {attnums}::int2[], cur FROM {now} r "
        f"WHERE act = 'delete' AND cardinality(nknown) < {target.width}",
    )


def bring_removed(link: Link, target: Target, migrations: Sequence[int]) -> None:
    """Let rows that are to be made again have all the columns that they had when the way back deleted them."""
    numbers = ", ".join(map(str, migrations))
    now = target.part("now")
    of = f"FROM {KEPT} WHERE back AND why = '{REMOVED}' AND relation = {target.oid} AND migrations && ARRAY[{numbers}]::bigint[]"
    # A row is told by what was done to it: its key, or its other values, may be others by then.
    last = (
        f"SELECT DISTINCT ON (r.n) r.n, k.row_attnums, k.row_image FROM {now} r, unnest(r.steps) s "
        f"JOIN (SELECT *, unnest(kept::bigint[]) AS step {of}) k ON k.step = abs(s) WHERE r.act = 'insert' ORDER BY r.n, k.id DESC"
    )
    for form in objects(link, f"SELECT DISTINCT row_attnums AS attnums {of}"):
        places = {attnum: n for n, attnum in enumerate(form["attnums"], 1)}
        # What the log knows is as these migrations left it: later ones, that went back with them, may have written it too.
        image = ", ".join(
            f"CASE WHEN {n} = ANY (r.oknown) THEN r.old[{n}] ELSE {f'k.row_image[{places[c.attnum]}]' if c.attnum in places else 'NULL'} END"
            for n, c in enumerate(target.columns, 1)
        )
        known = ",".join(str(n) for n, c in enumerate(target.columns, 1) if c.attnum in places)
        link.rows(
            f"UPDATE {now} r SET old = ARRAY[{image}]::text[], "
            f"oknown = ARRAY(SELECT unnest(r.oknown) UNION SELECT unnest('{{{known}}}'::int2[]) ORDER BY 1) "
            f"FROM ({last}) k WHERE k.n = r.n AND k.row_attnums = '{{{','.join(map(str, form['attnums']))}}}'"
        )


def keep_absent(link: Link, writer: Writer, migrations: Sequence[int], *, back: bool) -> None:
    """Note which rows are gone, or stay though these migrations have made them: they are somebody's by now."""
    target = writer.target
    left = ",".join(map(str, writer.pending["delete"]))
    _insert(
        link,
        target,
        migrations,
        back,
        f"SELECT coalesce(nkey, okey), NULL::int2, NULL, {_STEPS}::text, NULL, '{ABSENT}', NULL::int2[], NULL::text[] "
        f"FROM {target.part('now')} r WHERE made AND (act <> 'delete' OR n = ANY ('{{{left}}}')) "
        # Of several steps, a later one may have made it again; without a key, one that is alike may be somebody's.
        f"OR act = 'gone' AND (cardinality(steps) > 1 OR {str(not target.key).lower()})",
    )


def forget_absent(link: Link, migrations: Sequence[int], *, back: bool) -> None:
    """Forget what the last turn of migrations in a direction has noted."""
    numbers = ", ".join(map(str, migrations))
    noted = f"why = '{ABSENT}' AND back = {str(back).lower()}"
    link.rows(
        f"UPDATE {KEPT} SET migrations = ARRAY(SELECT unnest(migrations) EXCEPT SELECT unnest(ARRAY[{numbers}]::bigint[])) "
        f"WHERE {noted} AND migrations && ARRAY[{numbers}]::bigint[]"
    )
    link.rows(f"DELETE FROM {KEPT} WHERE {noted} AND migrations = '{{}}'")


def leave_absent(link: Link, target: Target, migrations: Sequence[int], *, back: bool) -> None:
    """Do not make rows that the last turn the other way has not found."""
    numbers = ", ".join(map(str, migrations))
    # Rows that a TRUNCATE took have all one number; of others, a later migration may have changed the key.
    alike = f"r.last NOT IN (SELECT unnest(ARRAY[at, -at]) FROM {TRUNCATED})"
    if target.key:
        alike = f"(k.key = r.okey OR {alike})"
    now = target.part("now")
    of = (
        f"{KEPT} k WHERE k.why = '{ABSENT}' AND k.back = {str(not back).lower()} AND k.relation = {target.oid} "
        f"AND k.migrations && ARRAY[{numbers}]::bigint[]"
    )
    acts = "'insert'" if target.key else "'insert', 'update'"
    link.rows(
        f"UPDATE {now} r SET act = 'nothing' WHERE act IN ({acts}) AND EXISTS "
        f"(SELECT FROM {of} AND k.kept::bigint[] && {_STEPS} AND {alike})"
    )
    if target.key:
        return
    # Without a key either, as many as are missing of those that are alike.
    taken = f"(SELECT unnest(ARRAY[at, -at]) FROM {TRUNCATED})"
    link.rows(
        f"UPDATE {now} r SET act = 'nothing' FROM "
        f"(SELECT n, okey, row_number() OVER (PARTITION BY okey ORDER BY n) AS place FROM {now} WHERE act = 'insert' AND last IN {taken}) a "
        f"JOIN (SELECT key, row_number() OVER (PARTITION BY key ORDER BY id) AS place FROM {of} AND k.kept::bigint[] && ARRAY{taken}) b "
        "ON b.key = a.okey AND b.place = a.place WHERE r.n = a.n"
    )


def keep(link: Link, writer: Writer, migrations: Sequence[int], *, back: bool) -> None:
    """Note what stays of a table."""
    target, now = writer.target, writer.target.part("now")
    attnums = f"'{{{','.join(str(c.attnum) for c in target.columns)}}}'::int2[]"
    key = "coalesce(r.nkey, r.okey)"
    _insert(
        link,
        target,
        migrations,
        back,
        f"SELECT {key}, c.attnum, c.name, r.cur[c.n], r.old[c.n], {literal(Why.CHANGED.value)}, NULL::int2[], NULL::text[] "
        f"FROM {now} r, {target.places} WHERE r.act IN ('update', 'kept') AND c.n = ANY (r.lost)",
    )
    _insert(
        link,
        target,
        migrations,
        back,
        f"SELECT {key}, c.attnum, c.name, b ->> 1, b ->> 2, {literal(Why.CHANGED.value)}, NULL::int2[], NULL::text[] "
        f"FROM {now} r, json_array_elements(r.between) b, {target.places} WHERE c.n = (b ->> 0)::int + 1",
    )
    for act, why in _ACTS.items():
        image = "r.cur" if act == "changed" else "r.old"
        _insert(
            link,
            target,
            migrations,
            back,
            f"SELECT {key}, NULL::int2, NULL, r.cur::text, r.old::text, {literal(why.value)}, {attnums}, {image} "
            f"FROM {now} r WHERE r.act = '{act}'",
        )
    _keep_pending(link, writer, migrations, attnums, back=back)


def _keep_pending(link: Link, writer: Writer, migrations: Sequence[int], attnums: str, *, back: bool) -> None:
    """Note the rows that were not written, but for those that are already as they are to be."""
    target, now = writer.target, writer.target.part("now")
    rows = [
        (n, writer.said.get(n, "")) for act in ("insert", "update", "delete") for n in writer.pending[act]
    ]
    if not rows:
        return
    # A foreign key's cascade may have set some of them meanwhile.
    done = set(writer.pending["update"]) - set(unwritten(link, writer.target))
    values = ", ".join(f"({n}, {literal(said)})" for n, said in rows if n not in done)
    if not values:
        return
    _insert(
        link,
        target,
        migrations,
        back,
        f"SELECT coalesce(r.nkey, r.okey), NULL::int2, NULL, r.cur::text, r.old::text, CASE WHEN r.blocked THEN {literal(Why.REFERENCED.value)} "
        f"ELSE {literal(Why.REFUSED.value + ': ')} || v.said END, {attnums}, coalesce(r.old, r.cur) "
        f"FROM {now} r JOIN (VALUES {values}) v(n, said) ON v.n = r.n",
    )


def keep_missing(
    link: Link, migrations: Sequence[int], found: Sequence[Target], *, back: bool, span: Span = EVERYTHING
) -> None:
    """Note tables, and columns, of the log that are not there any more."""
    numbers = ", ".join(map(str, migrations)) or "NULL"
    shapes = objects(
        link,
        f"SELECT DISTINCT relation::int8 AS oid, called, attnums FROM {SHAPE} WHERE migration IN ({numbers}) AND (EXISTS "
        f"(SELECT FROM {LOG} l WHERE l.migration = {SHAPE}.migration AND l.relation = {SHAPE}.relation AND {span.condition('l.seq')}) OR EXISTS "
        f"(SELECT FROM {TRUNCATED} l WHERE l.migration = {SHAPE}.migration AND l.relation = {SHAPE}.relation AND {span.condition('l.at')}))",
    )
    places = {relation: place for target in found for relation, place in target.positions.items()}
    gone = {
        (s["oid"], s["called"], a if s["oid"] in places else None)
        for s in shapes
        for a in (s["attnums"] if s["oid"] in places else [None])
        if s["oid"] not in places or a not in places[s["oid"]]
    }
    for oid, called, attnum in sorted(gone, key=str):
        why = Why.NO_TABLE if attnum is None else Why.NO_COLUMN
        column = "NULL, NULL" if attnum is None else f"{attnum}, 'column {attnum}'"
        link.rows(
            f"INSERT INTO {KEPT} (migrations, back, relation, called, attnum, column_name, why) VALUES "
            f"('{{{numbers}}}', {str(back).lower()}, {oid}, {literal(called)}, {column}, {literal(why.value)})"
        )


def report(link: Link, writers: Sequence[Writer], since: int) -> RowsReport:
    """Return what was done and what stays."""
    touched = 0
    for writer in writers:
        left = ",".join(str(n) for rows in writer.pending.values() for n in rows)
        touched += int(
            scalar(
                link,
                f"SELECT count(*) FROM {writer.target.part('now')} WHERE act IN ('update', 'delete') AND touched "
                f"AND n <> ALL ('{{{left}}}')",
            )
            or 0
        )
    of = f"FROM {KEPT} WHERE id > {since} AND why NOT IN ('{REMOVED}', '{ABSENT}', '{OWNED}')"
    found = objects(
        link, f"SELECT called, key, column_name, kept, wanted, why {of} ORDER BY id LIMIT {KEPT_AT_MOST}"
    )
    done = {act: sum(w.written[act] for w in writers) for act in ("update", "delete", "insert")}
    return RowsReport(
        done["update"],
        done["delete"],
        done["insert"],
        touched,
        tuple(_kept(one) for one in found),
        int(scalar(link, f"SELECT count(*) {of}") or 0),
    )


def _kept(one: dict[str, object]) -> Kept:
    why, _, said = str(one["why"]).partition(": ")
    key = one["key"]
    return Kept(
        table=str(one["called"]),
        key=tuple(key) if isinstance(key, list) else (),
        column=_text(one["column_name"]),
        kept=_text(one["kept"]),
        wanted=_text(one["wanted"]),
        why=Why(why),
        said=said,
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _insert(link: Link, target: Target, migrations: Sequence[int], back: bool, select: str) -> None:
    numbers = ",".join(map(str, migrations))
    link.rows(
        f"INSERT INTO {KEPT} (migrations, back, relation, called, key, attnum, column_name, kept, wanted, why, row_attnums, row_image) "
        f"SELECT '{{{numbers}}}'::bigint[], {str(back).lower()}, {target.oid}, {literal(target.called)}, q.* FROM ({select}) q"
    )
