"""`backout backup …`: make, list, read and restore backups; nothing here touches what is live."""

from __future__ import annotations

from typing import Annotated

import typer

from backout.cli.common import (
    ConfigOption,
    JsonOption,
    YesOption,
    err,
    guarded,
    leave,
    open_backout,
    out,
    out_json,
    verb_group,
)
from backout.cli.confirm import confirm
from backout.errors import ExitCode
from backout.message import Message, msg

app = verb_group(
    "backup",
    "Make, list, read and restore backups; nothing here touches the live database.",
    example="backout backup list",
)

NameArgument = Annotated[
    str | None, typer.Argument(metavar="NAME", help="A backup, as `backout backup list` names it.")
]


@app.command("create")
@guarded
def create(
    keep: Annotated[
        int | None,
        typer.Option(
            "--keep", min=1, help="Remove backout's own older backups beyond so many; pinned ones never."
        ),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Dump the live database, with a manifest that says what is in it and which release ran.

    Example: backout backup create --keep 14
    """
    from backout.report.backups import size_text

    with open_backout(config) as backout:
        made = backout.create_backup(keep=keep, note=_note)
    if as_json:
        out_json(made)
        return
    out(f"{made.name}  {size_text(made.size_bytes)}  {made.path}")
    err(f"next   backout backup verify {made.name}")


@app.command("list")
@guarded
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the backups, and the databases that stand beside the live one.

    Example: backout backup list
    """
    from backout.cli.screen import columns
    from backout.report.backups import backup_lines, beside_lines

    with open_backout(config) as backout:
        found, now = backout.backups(), backout.parts.clock.now()
    if as_json:
        out_json(found)
        return
    rows: list[tuple[str, ...]] = [("BACKUP", "TAKEN", "SIZE", "FORMAT", "RELEASE", "CHECKED", "")]
    rows += [tuple(str(cell) for cell in line) for line in backup_lines(found.backups, now)]
    columns(rows)
    for line in beside_lines(found.beside, now):
        out(f"beside: {line}")
    if found.unknown is not None:
        err(f"What stands beside the live database is not known: {found.unknown}")


@app.command("verify")
@guarded
def verify(name: NameArgument = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Read a backup (the newest, if none is named) to its end: whole, of this database, safe to restore.

    Exit code 3: it cannot be restored.

    Example: backout backup verify collector_20261123_020000.sql.gz
    """
    from backout.report.backups import size_text

    with open_backout(config) as backout:
        reading = backout.verify_backup(name, note=_note)
    if as_json:
        out_json(reading)
    elif reading.ok:
        tables, unpacked = len(reading.tables), size_text(reading.unpacked_bytes)
        out(
            f"{reading.backup} is whole: {tables} tables, {unpacked} unpacked, read in {reading.seconds:.1f} s"
        )
        err(f"next   backout backup restore {reading.backup}")
    else:
        out(f"{reading.backup} CANNOT be restored:")
        for problem in reading.problems:
            out(f"  {problem}")
        err("next   backout backup list")
    if not reading.ok:
        leave(ExitCode.NOT_POSSIBLE)


@app.command("restore")
@guarded
def restore(
    name: NameArgument = None,
    prepare: Annotated[
        bool,
        typer.Option(
            "--prepare",
            help="Keep it ready for a way back, which then pays only for the swap; without NAME the one it would take.",
        ),
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Restore a backup beside the live database and look whether it is whole; nothing is swapped.

    Example: backout backup restore --prepare
    """
    from backout.report.duration import duration

    with open_backout(config) as backout:
        restored = backout.restore_backup(name, prepare=prepare, note=_note)
    if as_json:
        out_json(restored)
    else:
        database = restored.database
        rows = sum(restored.rows.values())
        out(
            f"{database.name} stands restored from {database.backup}: {len(restored.rows)} tables, {rows} rows, "
            f"{duration(restored.seconds)}"
        )
        for problem in restored.problems:
            out(f"  {problem}")
        err(
            "next   backout plan --scenario data"
            if prepare
            else f"next   backout backup drop {database.name}"
        )
    if restored.problems:
        leave(ExitCode.NOT_POSSIBLE)


@app.command("drop")
@guarded
def drop(
    name: Annotated[str, typer.Argument(metavar="DATABASE", help="A database beside the live one.")],
    yes: YesOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Drop a database that stands beside the live one: restored, prepared, or kept after a swap.

    Example: backout backup drop collector_before_20261123_031500
    """
    with open_backout(config) as backout:
        question = msg("{name} is dropped, with everything that only it holds", name=name)
        confirm(question, word=None, yes=yes, command=f"backout backup drop {name}")
        dropped = backout.drop_beside(name)
    if as_json:
        out_json(dropped)
        return
    out(f"{dropped.name} is dropped")


def _note(message: Message) -> None:
    err(f"  {message}")
