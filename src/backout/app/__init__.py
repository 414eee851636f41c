"""Backout: the use cases. CLI and pages call only this."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from backout.app.canary_stop import CanaryStopped
    from backout.app.data import Bringing, DataDifferences
    from backout.app.doctor import Diagnoses
    from backout.app.history import History
    from backout.app.init import InitResult
    from backout.app.parts import Parts
    from backout.app.prepare import Restored
    from backout.app.record import Recorded, Recording
    from backout.app.releases import Releases
    from backout.app.run import Conduct
    from backout.app.watch import Seen, Watching
    from backout.assess.model import Request
    from backout.backup import Backup, BesideDatabase, Brought, Reading
    from backout.canary import Canary
    from backout.checks.base import Verification
    from backout.execute.run import Run
    from backout.message import Message
    from backout.plan.model import Plan
    from backout.report.backups import Backups
    from backout.report.canary import CanaryStatus
    from backout.report.overview import Acting, Overview

    Note = Callable[[Message], None]


def quiet(_message: Message) -> None:
    """Tell nobody."""


class Backout:
    """One service in one environment, and everything that can be done with its releases.

    Every method raises a `BackoutError` that says what failed, the state now, and the next command.

    Example:
        >>> from backout import Backout
        >>> backout = Backout.from_config("backout.yaml")  # doctest: +SKIP
        >>> run = backout.run(backout.plan())  # doctest: +SKIP
    """

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    @classmethod
    def from_config(
        cls,
        path: str | Path | None = None,
        environ: Mapping[str, str] | None = None,
        *,
        look_only: bool = False,
    ) -> Backout:
        """Read the configuration, join the adapters, and merge the journals that emergencies left; touches no target.

        Args:
            path: The file; None: BACKOUT_CONFIG, else backout.yaml here or above.
            environ: Where `${NAME}` references are taken from; None: the process's environment.
            look_only: Neither merge nor make anything; the state file is only read. What writes raises `StoreUnreadable`.

        Raises:
            ConfigError: With every mistake, its line and what was expected.
        """
        from backout.wiring import from_config

        return cls(from_config(path, environ, look_only=look_only))

    @classmethod
    def for_requests(
        cls, path: str | Path | None = None, environ: Mapping[str, str] | None = None
    ) -> Backout:
        """Join what says where requests go, and make or change nothing; mistakes elsewhere in the configuration do not count.

        `canary_stop` and `canary_status` need no more.
        """
        from backout.wiring import for_requests

        return cls(for_requests(path, environ))

    @classmethod
    def for_emergency(cls, path: str | Path | None = None, root: str | Path | None = None) -> Backout:
        """Join what can be had without configuration, state file, database or git: the platform.

        Args:
            path: A configuration that may or may not be readable.
            root: Where the platform's releases are, when there is no configuration; None: look around here.
        """
        from backout.wiring import for_emergency

        return cls(for_emergency(path, root))

    @staticmethod
    def init(directory: str | Path, environ: Mapping[str, str] | None = None) -> InitResult:
        """Look around and return what a `backout.yaml` for this directory would say; writes nothing."""
        import os

        from backout.app.init import init

        return init(Path(directory), os.environ if environ is None else environ)

    @staticmethod
    def write_init(found: InitResult, *, force: bool = False) -> Path:
        """Write what `init` proposed, and return the file's path; `force` keeps an older one as ``.old``."""
        from backout.app.init import write_init

        return write_init(found, force=force)

    def overview(self) -> Overview:
        """Return the one screen: what runs, what was before, is going back safe, what to type."""
        from backout.app.overview import overview

        return overview(self.parts)

    def doctor(self) -> Diagnoses:
        """Try what a rollback would need, touching nothing."""
        from backout.app.doctor import doctor

        return doctor(self.parts)

    def record(
        self, told: Recording | None = None, note: Callable[[Message], None] = lambda _message: None
    ) -> Recorded:
        """Note the release that runs now; `note` is told what is waited for. Idempotent for the same artefact."""
        from backout.app.record import Recording, record

        return record(self.parts, told or Recording(), note)

    def releases(self, limit: int = 20) -> Releases:
        """Return the newest releases."""
        from backout.app.releases import releases

        return releases(self.parts, limit)

    def plan(self, request: Request | None = None) -> Plan:
        """Return a plan; nothing is changed. `backout.plan.refusal.refusal(plan, now)` says whether it may run."""
        from backout.app.plan import plan
        from backout.assess.model import Request

        return plan(self.parts, request or Request())

    def emergency_plan(self, to: str | None = None, accept: tuple[str, ...] = ()) -> Plan:
        """Return the code plan from the platform and whatever else answers within a second."""
        from backout.app.emergency import emergency_plan

        return emergency_plan(self.parts, to, accept)

    def save_plan(self, plan: Plan, path: str | Path) -> None:
        """Write a plan to a file, with the digest that was looked at."""
        from backout.app.plan import write_plan

        write_plan(Path(path), plan)

    def load_plan(self, path: str | Path) -> Plan:
        """Return the plan in a file; raises `UsageError` if it is not ours or was changed, `PlanExpired` if too old."""
        from backout.app.plan import check_expiry, read_plan

        plan = read_plan(self.parts, Path(path))
        check_expiry(plan, self.parts)
        return plan

    def runbook(self, plan: Plan) -> str:
        """Return a plan as Markdown for a person who follows it by hand, with the commands to type."""
        from backout.app.plan import by_hand
        from backout.report.plan import plan_markdown

        return plan_markdown(plan, self.parts.kinds, by_hand(self.parts, plan))

    def check_free(self) -> None:
        """Raise `RunInProgress` if somebody else acts, or an earlier run waits: no new run could begin."""
        from backout.app.run import check_free

        check_free(self.parts)

    def run(self, plan: Plan, conduct: Conduct | None = None) -> Run:
        """Carry a plan out; the returned run's `exit_code` says how it ended."""
        from backout.app.run import Conduct, run

        return run(self.parts, plan, conduct or Conduct())

    def resume(self, run_id: str | None = None, conduct: Conduct | None = None) -> Run:
        """Go on with a run that was stopped, interrupted or killed. Idempotent."""
        from backout.app.run import Conduct, resume

        return resume(self.parts, run_id, conduct or Conduct())

    def abort(self, run_id: str | None = None, conduct: Conduct | None = None) -> Run:
        """Undo what a run began, backwards."""
        from backout.app.run import Conduct, abort

        return abort(self.parts, run_id, conduct or Conduct())

    def hold(self, conduct: Conduct | None = None) -> Run:
        """Stop the harm at once, by every means configured. Idempotent."""
        from backout.app.hold import hold
        from backout.app.run import Conduct

        return hold(self.parts, conduct or Conduct())

    def release_hold(self, conduct: Conduct | None = None) -> Run:
        """Put back exactly what was before the hold. Idempotent."""
        from backout.app.hold import release_hold
        from backout.app.run import Conduct

        return release_hold(self.parts, conduct or Conduct())

    def canary_start(self, release: str, accept: tuple[str, ...] = (), conduct: Conduct | None = None) -> Run:
        """Give a release that runs on a side the first share of the requests."""
        from backout.app.canary import start
        from backout.app.run import Conduct

        return start(self.parts, release, accept, conduct or Conduct())

    def canary_next(self, conduct: Conduct | None = None, *, resume: bool = False) -> Run:
        """Give the canary the next share, from what the router says; `resume` ends a pause first."""
        from backout.app.canary import advance
        from backout.app.run import Conduct

        return advance(self.parts, conduct or Conduct(), resume=resume)

    def canary_pause(self, reason: str | None = None) -> Canary:
        """Have nothing give the canary more requests. Idempotent."""
        from backout.app.canary import pause

        return pause(self.parts, reason)

    def canary_stop(
        self,
        side: str | None = None,
        accept: tuple[str, ...] = (),
        reason: str | None = None,
        note: Note = quiet,
    ) -> CanaryStopped:
        """Take all requests from the canary, at once; needs the router alone. Idempotent."""
        from backout.app.canary_stop import stop

        return stop(self.parts, side, accept, reason, note)

    def canary_retire(self, side: str, accept: tuple[str, ...] = (), conduct: Conduct | None = None) -> Run:
        """Stop a side that gets no requests, once it need not be kept any more."""
        from backout.app.run import Conduct
        from backout.app.warm import retire

        return retire(self.parts, side, accept, conduct or Conduct())

    def canary_status(self) -> CanaryStatus:
        """Return how a canary stands: what the router does, and what was meant."""
        from backout.app.canary import status

        return status(self.parts)

    def watch(self, told: Watching | None = None) -> Seen:
        """Look at a release until something follows from what is seen, or the time is over; return the last look."""
        from backout.app.watch import Watching, watch

        return watch(self.parts, told or Watching())

    def pause_watch(self, reason: str | None = None) -> None:
        """Let no guard of this environment act until `resume_watch`. Idempotent."""
        from backout.app.watch_marks import pause

        pause(self.parts, reason)

    def resume_watch(self, reason: str | None = None) -> None:
        """Let guards act again, and releases go on that were frozen. Idempotent."""
        from backout.app.watch_marks import resume

        resume(self.parts, reason)

    def verify(self) -> Verification:
        """Run every check on what runs now."""
        from backout.app.verify import verify

        return verify(self.parts)

    def acting(self) -> Acting | None:
        """Return who acts on the environment now, else the run that waits, else None."""
        from backout.app.overview import acting_on

        return acting_on(self.parts)

    def status(self, run_id: str | None = None) -> Run:
        """Return a run as its journal tells it: the named one, else the one that waits, else the newest."""
        from backout.app.run import load

        return load(self.parts, run_id)

    def follow(self, run_id: str | None = None, poll_s: float = 0.3) -> Iterator[Run]:
        """Yield a run as its journal tells it, each time that it changed, until it ends or stops."""
        from backout.app.history import follow

        return follow(self.parts, run_id, poll_s)

    def report(self, run_id: str | None = None, form: Literal["md", "html", "json"] = "md") -> str:
        """Return the report of a run: timeline, steps, proof, what was accepted, what is next."""
        from backout.app.report import report

        return report(self.parts, run_id, form)

    def history(self, *, limit: int = 20, verify: bool = False) -> History:
        """Return the newest runs; with `verify`, prove first that the journal was not changed."""
        from backout.app.history import history

        return history(self.parts, limit=limit, verify=verify)

    def backups(self) -> Backups:
        """Return every backup, newest first, with what is known of it, and the databases beside the live one."""
        from backout.app.backups import list_backups

        return list_backups(self.parts)

    def create_backup(self, *, keep: int | None = None, note: Note = quiet) -> Backup:
        """Dump the live database with a manifest; backout's own older ones beyond `keep` go, pinned ones never."""
        from backout.app.backups import create_backup

        return create_backup(self.parts, keep=keep, note=note)

    def verify_backup(self, name: str | None = None, *, note: Note = quiet) -> Reading:
        """Read a backup (None: the newest) to its end; the reading's `ok` says whether it can be restored."""
        from backout.app.backups import read_backup

        return read_backup(self.parts, name, note)

    def restore_backup(
        self, name: str | None = None, *, prepare: bool = False, note: Note = quiet
    ) -> Restored:
        """Restore a backup beside the live database, swapping nothing; `prepare`: for a way back to use. Idempotent."""
        from backout.app.prepare import restore_backup

        return restore_backup(self.parts, name, prepare=prepare, note=note)

    def drop_beside(self, name: str) -> BesideDatabase:
        """Drop a database that stands beside the live one, and return what it was."""
        from backout.app.backups import drop_beside

        return drop_beside(self.parts, name)

    def data_diff(
        self, kept: str | None = None, tables: tuple[str, ...] = (), *, examples: int = 3, note: Note = quiet
    ) -> DataDifferences:
        """Compare a kept database (None: the newest) with the live one; changes nothing."""
        from backout.app.data import data_diff

        return data_diff(self.parts, kept, tables, examples=examples, note=note)

    def data_bring(
        self, order: Bringing, *, dry_run: bool = False, note: Note = quiet
    ) -> tuple[Brought, ...]:
        """Bring rows of a kept database into the live one, in one transaction, parents first. Idempotent."""
        from backout.app.data import data_bring

        return data_bring(self.parts, order, dry_run=dry_run, note=note)

    def close(self) -> None:
        """Close what was opened. Idempotent."""
        self.parts.close()

    def __enter__(self) -> Backout:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
