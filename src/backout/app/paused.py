"""What stands paused since a way back: the journal tells who was, the target whether it still is."""

from __future__ import annotations

from backout.app.parts import Parts
from backout.errors import BackoutError
from backout.execute.paused import Paused, touched
from backout.execute.run import fold
from backout.message import Message, msg
from backout.observed import Answer, Workload

_RUNS_BACK = 20


def reminders(parts: Parts, workload: Workload | None) -> tuple[Message, ...]:
    """Return one sentence for each automation that is paused, with the command that lets it go on.

    Where nothing can tell whether it still is, the reminder ends with the next release that is recorded.
    """
    told = {o.name: o.paused for o in workload.owners if o.pausable} if workload is not None else {}
    journalled = {one.name: one for one in _journalled(parts)}
    found = [
        msg("{name} is paused since {at}; let it go on once git says the same: {command}",
            name=one.name, at=f"{one.at:%Y-%m-%d %H:%M UTC}", command=one.resume)
        for one in journalled.values()
        if told.get(one.name, Answer.UNKNOWN) is Answer.YES
        or (told.get(one.name) is not Answer.NO and not _deployed_since(parts, one))
    ]  # fmt: skip
    found += [
        msg("{name} is paused, and not by backout", name=name)
        for name, paused in told.items()
        if paused is Answer.YES and name not in journalled
    ]
    return tuple(found)


def _journalled(parts: Parts) -> tuple[Paused, ...]:
    newest: dict[str, Paused | None] = {}
    try:
        for created in reversed(parts.journal.events(kinds=("run.created",), newest=_RUNS_BACK)):
            for name, left in touched(fold(parts.journal.events(created.run))).items():
                newest.setdefault(name, left)
    except (BackoutError, ValueError):
        return ()  # Whoever needs the journal says what is wrong with it.
    return tuple(one for one in newest.values() if one is not None)


def _deployed_since(parts: Parts, paused: Paused) -> bool:
    return any(r.deployed_at > paused.at for r in parts.book.newest(1))
