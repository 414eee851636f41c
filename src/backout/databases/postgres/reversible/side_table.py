"""A dropped column's values in a table beside: the column is really dropped, and added again on the way back.

For those who bear no hidden column: an INSERT that names no columns, `SELECT *`, a subscriber. It takes as long as the
table is big, there and back, while nobody else can use it; a hidden column takes a moment.

A value is told by its row's primary key, as text. Whoever changes the key of a row, or deletes the row, is followed by
triggers, so that no value goes to another row than its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from backout.databases.postgres.reversible import constraints
from backout.databases.postgres.reversible.built import renamed
from backout.databases.postgres.reversible.catalog import own_settings
from backout.databases.postgres.reversible.difference import differences_of
from backout.databases.postgres.reversible.fill import accepts_null, tell_open
from backout.databases.postgres.reversible.following import follow, name_of, path_of, unfollow
from backout.databases.postgres.reversible.hide import (
    NotHidden,
    drop_constraints,
    numbers_itself,
    refuse_family,
    require_value,
)
from backout.databases.postgres.reversible.in_keys import in_unique, speaks_of
from backout.databases.postgres.reversible.link import LinkError, objects, scalar
from backout.databases.postgres.reversible.names import (
    COMMENT,
    HIDDEN_SCHEMA,
    SCHEMA,
    hidden,
    ident,
    literal,
)
from backout.databases.postgres.reversible.private import shutting
from backout.databases.postgres.reversible.readdressed import Renumbered
from backout.databases.postgres.reversible.rows.quiet import exactly, quietly
from backout.databases.postgres.reversible.rows.store import KEPT, SHAPE, TRUNCATED
from backout.databases.postgres.reversible.snapshot import Key, Snapshot, Thing
from backout.databases.postgres.reversible.storage import stored_words
from backout.databases.postgres.reversible.work import Moved, Work

Record = dict[str, Any]

_STILL_NEEDED = "2BP01"
_STORED = ("storage", "compression", "target", "options")


def set_aside(work: Work, table: int, attnum: int, change: int, migration: int | None) -> Record:
    """Copy a column's values into a table beside, and drop the column.

    Args:
        work: The transaction.
        table: Oid.
        attnum: The column's number.
        change: Number of the journal row.
        migration: Of the journal, where it runs; None: on a way forward again.

    Returns:
        What `bring_back` needs, and who explains the differences it makes (`explains`).

    Raises:
        NotHidden: It has something that could not be brought back, or nothing tells the values' rows.
    """
    before = work.now
    key = Key("column", table, attnum)
    column, called = before.things[key], before.name(key)
    was = work.was(key) or column
    _refuse(work, key, migration)
    record: Record = {
        "table": table,
        "attnum": attnum,
        "called": called,
        "key": _primary_key(before, table)["columns"],
        "last": attnum == max(before.columns(table)),
        **{name: was[name] for name in ("name", "type", "modifier", "not_null", "comment", *_STORED)},
        "default": was["default_text"],
        "default_calls": "FUNCEXPR" in str(was["default"]),
        "alone_unique": in_unique(before, table, attnum, alone=True),
        "unique": in_unique(work.begun or before, table, attnum),
        "numbers": False,
        "collation": _collation(work, was),
        "grants": _grants(work, key),
    }
    path = work.table_path(table, called=called)
    work.run(f"LOCK TABLE {path} IN ACCESS EXCLUSIVE MODE")
    _copy(work, record, change, path, str(column["name"]))
    follow(work, record["table"], record["key"], change)
    indexes = list(_indexes(work, before, table, attnum))
    record["constraints"] = drop_constraints(work, before, table, attnum)
    record["indexes"] = indexes
    try:
        work.run(f"ALTER TABLE {path} DROP COLUMN {ident(str(column['name']))}")
    except LinkError as error:
        if error.sqlstate != _STILL_NEEDED:
            raise
        needs = error.fields.get("D", "")
        raise NotHidden(f"{called} is needed by something else, which would go with it: {needs}") from error
    record["explains"] = [
        one for one in differences_of(before, work.now, {table}) if one[0] not in ("statistics object",)
    ]
    return record


def _refuse(work: Work, key: Key, migration: int | None) -> None:
    """Do nothing, if a column's values can be kept beside.

    Raises:
        NotHidden: They cannot.
    """
    now, called = work.now, work.now.name(key)
    column = now.things[key]
    refuse_family(now, key.oid, called)
    primary = _primary_key(now, key.oid)
    if primary is None:
        raise NotHidden(
            f"{called} is of a table without a primary key, so that nothing tells whose its values are"
        )
    if key.sub in primary["columns"]:
        raise NotHidden(f"{called} is in the primary key, which tells whose the values are")
    if primary["deferrable"]:
        raise NotHidden(
            f"{called} is of a table whose primary key is DEFERRABLE: rows may change their keys one for another"
        )
    if numbers_itself(now, key.oid, key.sub, column):
        raise NotHidden(f"{called} gets its values by itself (a sequence, an identity, GENERATED)")
    was = work.was(key)
    if was is not None and (was["type"], was["modifier"]) != (column["type"], column["modifier"]):
        raise NotHidden(f"{called} has another type since this transaction began")
    logged = f"SELECT EXISTS (SELECT FROM {SHAPE} WHERE relation = {key.oid} AND migration = {migration})"
    if migration is not None and scalar(work.link, logged) == "t":
        raise NotHidden(f"{called} is of a table whose rows this migration has changed before")


def _primary_key(now: Snapshot, table: int) -> Any:
    return next((one for one in now.of_table("constraint", table).values() if one["kind"] == "p"), None)


def _collation(work: Work, column: Thing) -> str | None:
    """Return the quoted name of a column's collation, where it is another than that of its type."""
    found = objects(
        work.link,
        "SELECT n.nspname AS schema, c.collname AS name FROM pg_catalog.pg_collation c JOIN pg_catalog.pg_namespace n "
        f"ON n.oid = c.collnamespace JOIN pg_catalog.pg_type t ON t.oid = {column['type']} AND t.typcollation <> c.oid "
        f"WHERE c.oid = {column['collation'] or 0}",
    )
    return ident(found[0]["schema"], found[0]["name"]) if found else None


def _grants(work: Work, key: Key) -> list[str]:
    """Return what gives the privileges on a column again, as GRANT has it between its words.

    Raises:
        NotHidden: Somebody else than the owner has given one.
    """
    found = objects(
        work.link,
        "SELECT e.privilege_type AS privilege, CASE e.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(e.grantee)) END AS who, "
        "e.is_grantable AS further, e.grantor = c.relowner AS own FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid, "
        f"LATERAL pg_catalog.aclexplode(a.attacl) e WHERE a.attrelid = {key.oid} AND a.attnum = {key.sub} ORDER BY 1, 2",
    )
    if not all(one["own"] for one in found):
        raise NotHidden(f"{work.now.name(key)} has privileges that others than its owner have given")
    return [
        f"{one['privilege']} ({{column}}) ON {{table}} TO {one['who']}{' WITH GRANT OPTION' if one['further'] else ''}"
        for one in found
    ]


def _indexes(work: Work, now: Snapshot, table: int, attnum: int) -> Iterator[Record]:
    """Yield the indexes that go with a column, as they were when the transaction began.

    Raises:
        NotHidden: One could not be built again as it was.
    """
    for key, one in now.of_table("index", table).items():
        if not speaks_of(one, attnum):
            continue
        if (
            any(one[word] for word in ("exclusion", "replica_identity", "clustered", "tablespace"))
            or not one["valid"]
        ):
            raise NotHidden(
                f"{now.name(Key('column', table, attnum))} is in the index {one['name']}, which could not be built again as it is "
                "(of an exclusion constraint, a replica identity, clustered on, in a tablespace, or not valid)"
            )
        constraint = next(
            (
                c
                for c in now.of_table("constraint", table).values()
                if c["index"] == key.oid and c["kind"] in "pu"
            ),
            None,
        )
        if (was := work.was(key)) is not None:
            begun = work.begun or now
            yield constraints.index_kept(was, begun, constraint) | {"comment_on_index": was["comment"]}


def _key_text(columns: dict[int, Thing], key: list[int], of: str) -> str:
    listed = ", ".join(f"{of}.{ident(str(columns[attnum]['name']))}::text" for attnum in key)
    return f"ARRAY[{listed}]"


def _copy(work: Work, record: Record, change: int, path: str, name: str) -> None:
    side, columns = path_of(change), work.now.columns(record["table"])
    forced = work.now.things[Key("table", record["table"])]["force_row_security"]
    key = _key_text(columns, record["key"], "t")
    with exactly(work.link):
        if forced:
            work.run(f"ALTER TABLE {path} NO FORCE ROW LEVEL SECURITY")
        work.run(
            f"CREATE TABLE {side} AS SELECT {key} AS k, t.{ident(name)} AS v, NULL::timestamptz AS gone, false AS blank, false AS again "
            f"FROM ONLY {path} t WITH NO DATA"
        )
        for statement in shutting(work.link, copy=name_of(change)):
            work.run(statement)
        work.rewrite(
            f"INSERT INTO {side} SELECT {key}, t.{ident(name)}, NULL, false, false FROM ONLY {path} t"
        )
        if forced:
            work.run(f"ALTER TABLE {path} FORCE ROW LEVEL SECURITY")
    work.run(f"CREATE INDEX {ident(f'{name_of(change)}_k')} ON {side} (k)")
    work.run(f"COMMENT ON TABLE {side} IS {literal(COMMENT + json.dumps({'called': record['called']}))}")


def bring_back(work: Work, record: Record, change: int, answer: str | None) -> int:
    """Add the column again, with its values in the rows that had them, and what hung on it; return its number now.

    Rows that were written since get the answer, or the default. What looks at a row comes at the end of the way, when the
    rows that it makes again are there, too.

    Raises:
        Moved: Something is not as it was left.
    """
    table, called = record["table"], record["called"]
    path = work.table_path(table, called=called)
    for attnum in record["key"]:
        work.thing("column", table, attnum, called=f"a column of the key that tells the values of {called}")
    if scalar(work.link, f"SELECT pg_catalog.to_regclass({literal(path_of(change))})") is None:
        raise Moved(called, f"has lost its values: {HIDDEN_SCHEMA}.{name_of(change)} is not there")
    there = {one["name"] for one in work.now.columns(table).values()}
    if record["name"] in there:
        raise Moved(called, "cannot come back: another column has its name")
    name = ident(record["name"])
    collate = f" COLLATE {record['collation']}" if record["collation"] else ""
    work.run(f"ALTER TABLE {path} ADD COLUMN {name} {_type(work, record)}{collate}")
    attnum = next(n for n, one in work.now.columns(table).items() if one["name"] == record["name"])
    one = Renumbered(table, record["attnum"], attnum)
    _renumber_rows(work, one)
    work.renumbered.append(one)
    _fill(work, record, change, _value(record, answer), again=False)
    column = work.now.columns(table)[attnum]
    for words in stored_words(column, record):
        work.run(f"ALTER TABLE {path} ALTER COLUMN {name} {words}")
    if record["comment"] is not None:
        work.run(f"COMMENT ON COLUMN {path}.{name} IS {literal(record['comment'])}")
    for grant in record["grants"]:
        work.run("GRANT " + grant.format(column=name, table=path))
    if not record["last"]:
        work.residues.append(f"{called} stands last now: PostgreSQL adds a column at the end alone")
    return attnum


def _value(record: Record, answer: str | None) -> str | None:
    """Return what rows get that were written since, as SQL; None: NULL. A default may be there once too often in a unique index."""
    if answer is not None:
        return None if accepts_null(answer) else answer
    return record["default"] if record["not_null"] or not record["unique"] else None


def _type(work: Work, record: Record) -> str:
    """Return the column's type as it is called now.

    Raises:
        Moved: It is not there.
    """
    with own_settings(work.link):
        found = objects(
            work.link,
            f"SELECT pg_catalog.format_type(oid, {record['modifier']}) AS name FROM pg_catalog.pg_type WHERE oid = {record['type']}",
        )
    if not found:
        raise Moved(record["called"], "is of a type that is not there any more")
    return str(found[0]["name"])


def _renumber_rows(work: Work, one: Renumbered) -> None:
    """Have the logs of rows tell of the column by its new number."""
    for log, columns in ((SHAPE, ("attnums", "key")), (TRUNCATED, ("attnums",)), (KEPT, ("row_attnums",))):
        for column in columns:
            work.link.rows(
                f"UPDATE {log} SET {column} = pg_catalog.array_replace({column}, {one.old}::int2, {one.new}::int2) "
                f"WHERE relation = {one.table} AND {one.old} = ANY ({column})"
            )
    work.link.rows(
        f"UPDATE {KEPT} SET attnum = {one.new} WHERE relation = {one.table} AND attnum = {one.old}"
    )


def _fill(work: Work, record: Record, change: int, value: str | None, *, again: bool) -> None:
    """Give the rows that have a value in the table beside that one, and the others another.

    Args:
        work: The transaction.
        record: Of the column, which is there again.
        change: Number of the journal row.
        value: An SQL expression over the row; None: NULL.
        again: Only rows that this way back has made again.
    """
    table, side = record["table"], path_of(change)
    path = work.table_path(table, called=record["called"])
    of = ident(str(work.now.things[Key("table", table)]["name"]))
    name = ident(record["name"])
    its = f"_bo_s.k = {_key_text(work.now.columns(table), record['key'], of)} AND _bo_s.gone IS NULL"
    has = f"{its} AND NOT _bo_s.blank" + (" AND _bo_s.again" if again else "")
    others = f"EXISTS (SELECT FROM {side} _bo_s WHERE {its} AND _bo_s.blank AND _bo_s.again)" if again else f"NOT EXISTS (SELECT FROM {side} _bo_s WHERE {has})"  # fmt: skip
    chosen = ident(SCHEMA, f"{hidden(change)}_new")
    with exactly(work.link), quietly(work.link, [table], []):
        # Of a row that is made again, it may be the default.
        there = "true" if again else f"{of}.{name} IS NULL AND _bo_s.v IS NOT NULL"
        work.run(f"UPDATE ONLY {path} SET {name} = _bo_s.v FROM {side} _bo_s WHERE {has} AND {there}")
        if value is not None:
            where = f"{of}.{name} IS NULL AND {others}"
            work.run(f"CREATE TABLE {chosen} AS SELECT {of}.ctid AS at FROM ONLY {path} WHERE {where}")
    if value is not None:
        # Not under the settings of the log: whoever gave the answer named things as they are found else.
        with quietly(work.link, [table], []):
            work.run(f"UPDATE ONLY {path} SET {name} = {value} WHERE {of}.ctid IN (SELECT at FROM {chosen})")
        work.run(f"DROP TABLE {chosen}")


def build_again(work: Work, record: Record) -> None:
    """Build the indexes that went with the column, and the keys."""
    table, called = record["table"], record["called"]
    path = work.table_path(table, called=called)
    for one in record["indexes"]:
        name = ident(one["name"])
        work.run(renamed(work.now, one))
        if one["word"] is not None:
            work.run(
                f"ALTER TABLE {path} ADD CONSTRAINT {name} {one['word']} USING INDEX {name} {one['deferred']}".rstrip()
            )
            if one["comment"] is not None:
                work.run(f"COMMENT ON CONSTRAINT {name} ON {path} IS {literal(one['comment'])}")
        if one["comment_on_index"] is not None:
            schema = work.schema_name(work.now.things[Key("table", table)]["schema"])
            work.run(f"COMMENT ON INDEX {ident(schema, one['name'])} IS {literal(one['comment_on_index'])}")


def require(work: Work, record: Record, change: int, answer: str | None) -> None:
    """Let the column have its default, and be required, as it was."""
    table, attnum, called = record["table"], record["attnum"], record["called"]
    path = work.table_path(table, called=called)
    name = ident(record["name"])
    if record["default"] is not None:
        work.run(f"ALTER TABLE {path} ALTER COLUMN {name} SET DEFAULT {record['default']}")
    if not record["not_null"]:
        return
    found = f"SELECT EXISTS (SELECT FROM ONLY {path} WHERE {name} IS NULL)"
    if accepts_null(answer) and scalar(work.link, found) == "t":
        tell_open(work, table, attnum, called)
    else:
        require_value(work, table, attnum, called, hidden(change))


def before_rows(work: Work, record: Record, change: int, answer: str | None) -> None:
    """Let rows be made again without a value, which they get when they are there: their log does not know the column.

    It may be called otherwise by now, or be hidden: as earlier migrations have gone back, too.
    """
    table, called = record["table"], record["called"]
    path, check = work.table_path(table, called=called), f"{hidden(change)}_nn"
    must = any(one["name"] == check for one in work.now.of_table("constraint", table).values())
    if must:
        work.run(f"ALTER TABLE {path} DROP CONSTRAINT {ident(check)}")
    work.at_last.append(lambda: _settle(work, record, change, answer, must=must))


def _settle(work: Work, record: Record, change: int, answer: str | None, *, must: bool) -> None:
    """Give rows that this way has made again their values; drop the table beside."""
    table, attnum, called = record["table"], record["attnum"], record["called"]
    now = work.thing("column", table, attnum, called=called)
    # What a row has had that could be NULL, its log tells.
    value = _value(record, answer) if record["not_null"] else None
    _fill(work, record | {"name": now["name"]}, change, value, again=True)
    if must:
        require_value(work, table, attnum, called, hidden(change))
    unfollow(work, change)
    work.run(f"DROP TABLE {path_of(change)}")
