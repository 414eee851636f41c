"""Schemas on their way: hidden under a name of the engine, which is the schema with all that is in it."""

from __future__ import annotations

from typing import Any

from backout.databases.postgres.reversible.names import SCHEMA, ident
from backout.databases.postgres.reversible.work import Moved, Work


def hide_schema(work: Work, oid: int, change: int) -> None:
    """Give a schema a hidden name."""
    work.run(f"ALTER SCHEMA {ident(work.schema_name(oid))} RENAME TO {ident(f'{SCHEMA}_{change}')}")


def show_schema(work: Work, operation: dict[str, Any]) -> None:
    """Undo `hide_schema`.

    Raises:
        Moved: It is gone, or another one has its name.
    """
    if _is_free(work, operation["called"]):
        _show(work, operation)
    else:
        # One that the same migration made in its place has to go first.
        work.at_end.append(lambda: _show(work, operation))


def _show(work: Work, operation: dict[str, Any]) -> None:
    called = operation["called"]
    if not _is_free(work, called):
        raise Moved(f"schema {called}", "cannot come back: another one has its name")
    work.run(f"ALTER SCHEMA {ident(work.schema_name(operation['oid']))} RENAME TO {ident(called)}")


def _is_free(work: Work, name: str) -> bool:
    return not any(key.kind == "schema" and one["name"] == name for key, one in work.now.things.items())
