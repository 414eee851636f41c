"""All runs, newest first, for `backout history`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from backout.errors import ExitCode
from backout.execute.run import Run
from backout.message import Message, msg
from backout.report.duration import age
from backout.report.words import PURPOSES, Tone, ending


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One run.

    Attributes:
        seconds: From its creation to its end; null while it has none.
        exit_code: Null while nothing ended.
    """

    run: str
    at: datetime
    age: Message
    purpose: Message
    from_version: str | None
    to_version: str | None
    ended: Message
    tone: Tone
    exit_code: ExitCode | None
    seconds: float | None
    actor: str
    emergency: bool
    open: bool


def history_rows(runs: Iterable[Run], now: datetime) -> tuple[HistoryRow, ...]:
    """Return one row for each run, newest first."""
    return tuple(_row(run, now) for run in sorted(runs, key=lambda r: r.created_at, reverse=True))


def _row(run: Run, now: datetime) -> HistoryRow:
    end = ending(run)
    return HistoryRow(
        run=run.id,
        at=run.created_at,
        age=age(run.created_at, now),
        purpose=PURPOSES.get(run.plan.purpose, msg("{purpose}", purpose=run.plan.purpose)),
        from_version=run.plan.from_version,
        to_version=run.plan.to_version,
        ended=end.title,
        tone=end.tone,
        exit_code=end.exit_code,
        seconds=None if run.finished_at is None else (run.finished_at - run.created_at).total_seconds(),
        actor=run.actor,
        emergency=run.emergency,
        open=run.open,
    )
