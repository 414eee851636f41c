"""The proof that no write arrives; where one does although all holds, nobody may connect to the database any more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from backout.document import Json
from backout.errors import NotPossible, StepFailed
from backout.faults import fault_point
from backout.holds.base import ShutsOut
from backout.message import Message, msg
from backout.observed import REFUSE_CONNECTIONS, REFUSE_WRITES, Answer
from backout.plan.base import PASSING, Acting, Receipt
from backout.plan.model import StepSpec
from backout.steps.hold import still_ours
from backout.steps.looking import LookingStep

_PROBE_DEADLINE_S = 5.0
_WHO_WRITES = (
    'psql "$DATABASE_URL" -c "SELECT pid, usename, application_name, backend_xid, query FROM pg_stat_activity'
    ' WHERE datname = current_database()" -c "SELECT gid, owner, prepared FROM pg_prepared_xacts"'
)


@runtime_checkable
class CountsWrites(Protocol):
    """A database that can tell how many rows were written, and who is about to write more."""

    def write_count(self, deadline_s: float) -> int:
        """Return the rows written since its statistics began."""
        ...

    def writers(self, deadline_s: float) -> tuple[str, ...]:
        """Name who wrote in a transaction that is still open: no count has its rows yet."""
        ...


class NoWrites(LookingStep):
    """`hold.proof`: no write arrived for a while.

    The first write that is found makes the database refuse connections, too: that belongs to its hold, and letting the
    database go gives them back.
    """

    kind = "hold.proof"

    def describe(self, spec: StepSpec) -> Message:
        """Say how long it looks."""
        return msg("Prove that no write arrives for {seconds} s.", seconds=_seconds(spec))

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return the query to run twice, and those that must find nobody."""
        query = "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables"
        return (
            f'psql "$DATABASE_URL" -c "{query}"   # twice, {_seconds(spec)} s apart: the same number',
            f"{_WHO_WRITES}   # no session with a backend_xid, nothing prepared",
        )

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Look for rows and for open transactions that wrote, until there are none for a while.

        Raises:
            StepFailed: There still were some at the end of the time allowed; who passes is named.
        """
        database, window_s = acting.target("database", CountsWrites), _seconds(spec)
        shutting = _Shutting(acting)
        shutting.finish()
        while True:
            rows, writers = _written(database, acting, window_s)
            if not rows and not writers:
                passing = shutting.passing()
                data: dict[str, Json] = {} if passing is None else {PASSING: str(passing)}
                return Receipt(what=_proven(window_s, passing), data=data)
            found = _found(rows, writers, window_s)
            if shutting.try_once(found):
                continue
            if acting.clock.monotonic_s() + window_s >= acting.deadline_s:
                break
            acting.note(msg("{found} Looking again.", found=str(found)))
        raise shutting.failed(found)


def _found(rows: int, writers: Sequence[str], window_s: float) -> Message:
    written = msg("{rows} rows were written in {seconds} s.", rows=rows, seconds=window_s)
    if not writers:
        return written
    open_ones = msg("Have written and not committed: {writers}.", writers="; ".join(writers))
    return open_ones if not rows else msg("{written} {open}", written=str(written), open=str(open_ones))


class _Shutting:
    """What the proof does about writes that it finds."""

    def __init__(self, acting: Acting) -> None:
        means = acting.targets.get("hold:database")
        self._means = means if isinstance(means, ShutsOut) else None
        self._acting = acting
        self._tried = False
        self._refused: NotPossible | None = None

    def finish(self) -> None:
        """Finish what was cut short half-way: some sessions were not ended yet."""
        if self._means is None:
            return
        fact = self._means.observe(_PROBE_DEADLINE_S)
        if fact.held is Answer.YES and fact.mode is None:
            self._hold(self._means, REFUSE_WRITES)

    def try_once(self, found: Message) -> bool:
        """Make the database refuse connections, the first time; return whether it does, so that another look is due."""
        if self._means is None or self._tried:
            return False
        self._tried = True
        fact = self._means.observe(_PROBE_DEADLINE_S)
        if fact.held is not Answer.YES or REFUSE_CONNECTIONS not in fact.modes:
            return False
        self._acting.note(msg("{found} Taking CONNECT away, and looking again.", found=str(found)))
        try:
            self._hold(self._means, REFUSE_CONNECTIONS)
        except NotPossible as error:
            self._refused = error
            self._acting.note(error.what)
            return False
        return True

    def passing(self) -> Message | None:
        """Say who connects all the same; None: everybody does."""
        if self._means is None or self._means.observe(_PROBE_DEADLINE_S).mode != REFUSE_CONNECTIONS:
            return None
        return self._means.who_passes(_PROBE_DEADLINE_S).who

    def failed(self, found: Message) -> StepFailed:
        """Return the error that writes still arrive: what was done about it, and who passes."""
        what = msg("Writes still arrive: {found}", found=str(found))
        if self._refused is not None:
            return StepFailed(
                msg("{what} {refused}.", what=str(what), refused=str(self._refused.what)),
                state=msg("Everything configured holds, and yet something writes. {state}", state=str(self._refused.state)),
                next_command=self._refused.next_command,
            )  # fmt: skip
        passing = self.passing()
        if passing is None or self._means is None:
            return StepFailed(
                what,
                state=msg(
                    "Everything configured holds, and yet something writes (a superuser, a job, another database user)."
                ),
                next_command=_WHO_WRITES,
            )
        return StepFailed(
            what,
            state=msg("CONNECT is taken away, and yet something writes: {passing}.", passing=str(passing)),
            next_command=self._means.who_passes(_PROBE_DEADLINE_S).next_command or _WHO_WRITES,
        )

    def _hold(self, means: ShutsOut, mode: str) -> None:
        self._acting.fence.check()
        fault_point("hold.proof.shut.before")
        means.hold(mode)
        fault_point("hold.proof.shut.after")
        still_ours(self._acting, msg("The database refuses more than before by this process."))


def _proven(window_s: float, passing: Message | None) -> Message:
    proven = msg("No row was written for {seconds} s, and no open transaction has written.", seconds=window_s)
    if passing is None:
        return proven
    return msg("{proven} CONNECT is taken away: {passing}.", proven=str(proven), passing=str(passing))


def _written(database: CountsWrites, acting: Acting, window_s: float) -> tuple[int, tuple[str, ...]]:
    """Return the rows counted within a window, and who had written uncommitted at its beginning or end.

    Both ends matter: what commits within the window may be counted only seconds after it.
    """
    earlier, before = database.writers(_PROBE_DEADLINE_S), database.write_count(_PROBE_DEADLINE_S)
    acting.clock.wait(window_s)
    later, after = database.writers(_PROBE_DEADLINE_S), database.write_count(_PROBE_DEADLINE_S)
    return after - before, tuple(dict.fromkeys((*earlier, *later)))


def _seconds(spec: StepSpec) -> float:
    value = spec.params["window_s"]
    assert isinstance(value, int | float)
    return float(value)
