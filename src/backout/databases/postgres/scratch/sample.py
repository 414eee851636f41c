"""Some rows of a live database in a scratch one, with the rows that they refer to: read there in one snapshot, and shown nowhere."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from backout.databases.postgres.connect import Connector
from backout.databases.postgres.generated.look import Foreign, Look, Table, look
from backout.databases.postgres.heads import HISTORY_TABLES
from backout.databases.postgres.reversible.names import ident, literal
from backout.errors import NotPossible
from backout.message import msg

if TYPE_CHECKING:
    import psycopg

_ROUNDS = 50


def sample(live: Connector, admin_url: str, rows: int) -> int:
    """Bring so many rows of every table at random, and those that they refer to; return how many came.

    Args:
        live: Read in one snapshot.
        admin_url: The scratch database, with the same tables and no rows, as a superuser: its triggers must not fire.
        rows: Of each table, at most, besides those that others refer to.

    Raises:
        NotPossible: The role may not read a table, or is no superuser of the scratch server.
    """
    import psycopg

    try:
        with (
            live.session(live.statement_timeout_s) as source,
            psycopg.connect(admin_url, autocommit=True) as target,
        ):
            source.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            source.read_only = True
            target.execute("SET session_replication_role = replica")
            tables = look(target)
            wanted = [one for one in tables.tables.values() if _name_of(one) not in HISTORY_TABLES]
            with source.transaction():
                done = sum(_bring(source, target, one, f"ORDER BY random() LIMIT {rows}") for one in wanted)
                return done + _partners(source, target, tables, wanted)
    except psycopg.errors.InsufficientPrivilege as error:
        raise NotPossible(
            msg("No rows could be sampled: {why}", why=error.diag.message_primary or ""),
            state=msg("The live database was only read."),
            next_command="backout check -- …   # without --sample: rows are generated",
        ) from None


def _partners(
    source: psycopg.Connection[Any], target: psycopg.Connection[Any], tables: Look, wanted: Iterable[Table]
) -> int:
    """Bring the rows that others refer to, and those that these refer to, until none lacks."""
    done, came = 0, True
    for _ in range(_ROUNDS):
        if not came:
            break
        came = False
        for table in wanted:
            for one in table.foreign:
                there = tables.tables.get(one.target)
                lacking = _lacking(target, table, there, one) if there is not None else []
                if there is not None and lacking:
                    number = _bring_keys(source, target, there, one.targets, lacking)
                    done, came = done + number, came or bool(number)
    return done


def _lacking(
    target: psycopg.Connection[Any], table: Table, there: Table, one: Foreign
) -> list[tuple[str, ...]]:
    columns = ", ".join(f"t.{ident(name)}::text" for name in one.columns)
    present = " AND ".join(f"t.{ident(name)} IS NOT NULL" for name in one.columns)
    same = " AND ".join(
        f"p.{ident(to)} = t.{ident(name)}" for name, to in zip(one.columns, one.targets, strict=True)
    )
    query = (
        f"SELECT DISTINCT {columns} FROM {table.path} t WHERE {present} "
        f"AND NOT EXISTS (SELECT FROM {there.path} p WHERE {same})"
    )
    return target.execute(query.encode()).fetchall()


def _bring_keys(
    source: psycopg.Connection[Any],
    target: psycopg.Connection[Any],
    table: Table,
    names: tuple[str, ...],
    keys: list[tuple[str, ...]],
) -> int:
    place = "(" + ", ".join(f"{ident(name)}::text" for name in names) + ")"
    values = ", ".join("(" + ", ".join(map(literal, key)) + ")" for key in keys)
    return _bring(source, target, table, f"WHERE {place} IN ({values})")


def _bring(source: psycopg.Connection[Any], target: psycopg.Connection[Any], table: Table, which: str) -> int:
    columns = ", ".join(ident(c.name) for c in table.columns if not c.generated)
    if not columns:
        return 0
    read = f"COPY (SELECT {columns} FROM {table.own} {which}) TO STDOUT (FORMAT binary)"
    write = f"COPY {table.path} ({columns}) FROM STDIN (FORMAT binary)"
    with source.cursor() as one, target.cursor() as other:
        with one.copy(read.encode()) as out, other.copy(write.encode()) as into:
            for block in out:
                into.write(block)
        return other.rowcount


def _name_of(table: Table) -> str:
    return table.path.rpartition('"."')[2].strip('"')
