"""Backups, and databases beside the live one, as rows for a screen. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from backout.backup import Backup, BesideDatabase, BesideState, Reading
from backout.document import Document
from backout.message import Message, msg
from backout.report.duration import age, moment, span

_UNITS = ("B", "kB", "MB", "GB", "TB")


class ListedBackup(Document):
    """One backup as the list shows it.

    Attributes:
        reading: What reading it to its end told last, if its data is still what was read.
        pinned: Why it is not rotated; null: it may be.
    """

    backup: Backup
    reading: Reading | None = None
    pinned: Message | None = None


class Backups(Document):
    """What there is to go back to: backups newest first, and databases that stand beside the live one.

    Attributes:
        unknown: Why the databases beside could not be told; null: they could.
    """

    backups: tuple[ListedBackup, ...]
    beside: tuple[BesideDatabase, ...] = ()
    unknown: Message | None = None


class BackupLine(NamedTuple):
    """One row of the list."""

    name: str
    age: Message
    size: str
    format: str
    of: str
    checked: Message
    kept: Message


def backup_lines(listed: Iterable[ListedBackup], now: datetime) -> list[BackupLine]:
    """Return a row for each backup."""
    return [_line(entry, now) for entry in listed]


def beside_lines(found: Iterable[BesideDatabase], now: datetime) -> list[Message]:
    """Return a sentence for each database beside the live one: what it is, how big, until when it is kept."""
    return [
        _beside(database, now)
        if database.server is None
        else msg("On {server}: {what}", server=database.server, what=str(_beside(database, now)))
        for database in found
    ]


def size_text(count: int | None) -> str:
    """Return a number of bytes as people say it: ``12.4 MB``; "?" where it is not known."""
    if count is None:
        return "?"
    size, unit = float(count), 0
    while round(size, 1) >= 1000 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.0f} {_UNITS[unit]}" if unit == 0 else f"{size:.1f} {_UNITS[unit]}"


def _line(entry: ListedBackup, now: datetime) -> BackupLine:
    backup, manifest = entry.backup, entry.backup.manifest
    of = manifest.release if manifest and manifest.release else ""
    if backup.tables:
        of = f"only {', '.join(backup.tables)}"
    if not of and backup.before_version:
        of = f"before {backup.before_version}"
    return BackupLine(
        name=backup.name,
        age=age(backup.taken_at, now) if backup.taken_at else msg("time unknown"),
        size=size_text(backup.size_bytes),
        format=backup.format.value,
        of=of,
        checked=_checked(entry.reading, now),
        kept=msg("kept for {why}", why=str(entry.pinned)) if entry.pinned else msg(""),
    )


def _checked(reading: Reading | None, now: datetime) -> Message:
    if reading is None:
        return msg("not read yet")
    if reading.ok:
        return msg("whole, read {age}", age=str(age(reading.read_at, now)))
    return msg("UNUSABLE: {problem}", problem=str(reading.problems[0]) if reading.problems else "")


def _beside(database: BesideDatabase, now: datetime) -> Message:
    size = size_text(database.size_bytes)
    if database.closes is not None:
        return msg(
            "Nobody can connect to {live}: the swap with {name} ({size}) was cut short. Go on with it or undo it: "
            "backout resume, backout abort. To open {live} at once, as it was: backout release-hold",
            live=database.closes,
            name=database.name,
            size=size,
        )
    if database.stops_writes is not None:
        return msg(
            "Nobody can write into {live}: the switch to {name} ({size}) was cut short. Go on with it or undo it: "
            "backout resume, backout abort. To let {live} be written at once: backout release-hold",
            live=database.stops_writes,
            name=database.name,
            size=size,
        )
    if database.state is not BesideState.KEPT:
        return msg(
            "{name} ({size}): {state}, from {backup}. To drop it: backout backup drop {name}",
            name=database.name,
            size=size,
            state=database.state.value,
            backup=database.backup or "no backup",
        )
    until = database.keep_until
    if until is None:
        return msg("{name} ({size}): was live, kept.", name=database.name, size=size)
    if until > now:
        return msg(
            "{name} ({size}): was live until {since}, kept for {left} more.",
            name=database.name,
            size=size,
            since=moment(database.since) if database.since else "a swap",
            left=span((until - now).total_seconds()),
        )
    return msg(
        "{name} ({size}): was live, kept until {until}: that is over. To drop it: backout backup drop {name}",
        name=database.name,
        size=size,
        until=moment(until),
    )
