"""Which migrations a verb is about, or why it is refused. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from backout.databases.postgres.reversible.journal import Migration
from backout.errors import Refused, UsageError
from backout.message import Message, msg

STATES_BACK = ("applied", "failed")
STATES_STAYED = (*STATES_BACK, "finalized", "observed")
_HOUR_S = 3600.0


def nothing(what: str) -> UsageError:
    """Return the error that there is nothing to do it with."""
    return UsageError(
        msg("{what} in this database.", what=what),
        state=msg("Nothing was changed."),
        next_command="backout db history",
    )


def _kept_out(why: Message) -> Refused:
    return Refused(why, state=msg("Nothing was changed."), next_command="backout db history")


def newest(found: Sequence[Migration], *, to: str | None, steps: int | None) -> list[Migration]:
    """Return the migrations to take back: the newest so many, or all after those of a release.

    Raises:
        UsageError: There is none, or no such release.
        Refused: One of them was finalized, or only observed.
    """
    there = [one for one in found if one.state in STATES_STAYED]
    chosen = there[_end_of(there, to) :] if to is not None else there[-(steps or 1) :]
    if not chosen:
        raise nothing("There is no migration to take back")
    seen = [one for one in chosen if one.state == "observed"]
    if seen:
        raise _kept_out(
            msg(
                "Migration {names} was only observed: nothing of it is kept, and it cannot be taken back, nor what was before it.",
                names=", ".join(map(_name, seen)),
            )
        )
    final = [one for one in chosen if one.state == "finalized"]
    if final:
        raise _kept_out(
            msg(
                "Migration {names} was finalized: what it had hidden is dropped, and it cannot be taken back.",
                names=", ".join(map(_name, final)),
            )
        )
    return chosen


def oldest(
    found: Sequence[Migration], *, to: str | None, steps: int | None, undone: bool, window_s: float, now: bool
) -> list[Migration]:
    """Return the migrations to finalize: all whose window is over, else the oldest so many, or all up to a release.

    Args:
        found: The journal's, oldest first.
        to: A release: all up to its last migration.
        steps: So many.
        undone: Those that were taken back, too.
        window_s: How long a migration is kept from being finalized, from its end on.
        now: Whether the window counts.

    Raises:
        UsageError: There is no such release.
        Refused: One of them is in its window; without `to` and `steps`: all are.
    """
    states = (*STATES_BACK, "undone") if undone else STATES_BACK
    # What was finalized before counts for a release, not for a number of steps.
    known = [one for one in found if one.state in (*STATES_STAYED, *states)]
    until = known[: _end_of(known, to)] if to is not None else known
    there = [one for one in until if one.state in states][:steps]
    young = [one for one in there if one.state_age_s < window_s and not now]
    over = there[: there.index(young[0])] if young else there
    if not young or (over and to is None and steps is None):
        return over
    first = young[0]
    raise Refused(
        msg(
            "Migration {name} is {state} for {hours} h, and is kept for {window} h so that it can go the other way.",
            name=_name(first), state=first.state, hours=f"{first.state_age_s / _HOUR_S:.1f}", window=f"{window_s / _HOUR_S:g}",
        ),
        state=msg("Nothing was changed."),
        next_command="backout db finalize --now   # what is dropped cannot be taken back",
    )  # fmt: skip


def _end_of(there: Sequence[Migration], release: str) -> int:
    """Return the place after the last migration of a release.

    Raises:
        UsageError: There is none.
    """
    places = [place for place, one in enumerate(there) if one.release == release]
    if places:
        return places[-1] + 1
    known = ", ".join(sorted({one.release for one in there if one.release})) or "none"
    raise UsageError(
        msg(
            "No applied migration belongs to the release {release}; known are: {known}.",
            release=release,
            known=known,
        ),
        state=msg("Nothing was changed."),
        next_command="backout db history",
    )


def _name(one: Migration) -> str:
    return f"{one.id} ({one.release})" if one.release else str(one.id)
